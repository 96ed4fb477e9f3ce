/** Restartable sequences as the kernel sees them in a thread's memory (include/uapi/linux/rseq.h). */

import { readMemory, readPieces } from "./memory.ts";
import type { HostPid } from "./pid.ts";
import type { rseqConfiguration } from "./ptrace.ts";
import { struct, u32, u64 } from "./struct.ts";

const rseqArea = struct({ cpu_id_start: u32, cpu_id: u32, rseq_cs: u64 });
const rseqCs = struct({ version: u32, flags: u32, start_ip: u64, post_commit_offset: u64, abort_ip: u64 });
/** RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL: the sequence asks not to be aborted by what we do. */
const NO_RESTART_ON_SIGNAL = 2;

/** The registration of a thread's area; undefined where the kernel cannot tell. */
export type RseqConfiguration = ReturnType<typeof rseqConfiguration.decode>;

/**
 * Where stopped threads of a process are to go on that were stopped inside a critical section: at the abort handler; for the
 * others undefined. Once a thread runs anything else, the kernel forgets that it was in a critical section, so whoever
 * makes it do so has to see to the abort. @throws KernelError where a registered area cannot be read
 */
export function rseqAborts(
  pid: HostPid,
  threads: readonly { readonly rseq: RseqConfiguration | undefined; readonly ip: bigint }[],
): (bigint | undefined)[] {
  const registered = threads.flatMap(({ rseq }) =>
    rseq === undefined || rseq.rseq_abi_pointer === 0n ? [] : [rseq],
  );
  const areas = new Uint8Array(registered.length * rseqArea.size);
  const pieces = registered.map(({ rseq_abi_pointer }) => ({
    address: Number(rseq_abi_pointer),
    length: rseqArea.size,
  }));
  if (pieces.length > 0) readPieces(pid, pieces, areas);
  let at = 0;
  return threads.map(({ rseq, ip }) => {
    if (rseq === undefined || rseq.rseq_abi_pointer === 0n) return undefined;
    const { rseq_cs } = rseqArea.decode(areas, at);
    at += rseqArea.size;
    if (rseq_cs === 0n) return undefined;
    const cs = rseqCs.decode(readMemory(pid, Number(rseq_cs), new Uint8Array(rseqCs.size)));
    const inside = ip - cs.start_ip >= 0n && ip - cs.start_ip < cs.post_commit_offset;
    return inside && (cs.flags & NO_RESTART_ON_SIGNAL) === 0 ? cs.abort_ip : undefined;
  });
}
