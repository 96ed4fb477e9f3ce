/** Restartable sequences (rseq(2)): the registration of a thread's area. */
import type { RseqEntry } from "../images/schema/generated/process.ts";
import { NR } from "../linux/nr.ts";
import type { Saved } from "../tracee/enter/saved.ts";
import type { Calls } from "../tracee/table/calls.ts";

/** The image's entry of a registration; undefined where there is none. */
export function dumpRseq(configuration: Saved["rseq"]): RseqEntry | undefined {
  if (configuration === undefined) return undefined;
  return {
    rseq_abi_pointer: configuration.rseq_abi_pointer,
    rseq_abi_size: configuration.rseq_abi_size,
    signature: configuration.signature,
  };
}

/** Registers the area again. The memory must be in place: the kernel writes the CPU number there. */
export function giveRseq(table: Calls, entry: RseqEntry): void {
  if (entry.rseq_abi_pointer === 0n) return;
  table.must(
    "its rseq area",
    NR.rseq,
    Number(entry.rseq_abi_pointer),
    entry.rseq_abi_size,
    0,
    entry.signature,
  );
}
