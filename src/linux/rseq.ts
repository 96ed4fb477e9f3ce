/** Restartable sequences as the kernel sees them in a thread's memory (include/uapi/linux/rseq.h). */
import { readMemory } from "./memory.ts";
import { getRseq, type rseqConfiguration } from "./ptrace.ts";
import { struct, u32, u64 } from "./struct.ts";

const rseqArea = struct({ cpu_id_start: u32, cpu_id: u32, rseq_cs: u64 });
const rseqCs = struct({ version: u32, flags: u32, start_ip: u64, post_commit_offset: u64, abort_ip: u64 });
/** RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL: the sequence asks not to be aborted by what we do. */
const NO_RESTART_ON_SIGNAL = 2;

export interface RseqState {
  /** The registration; undefined when the thread has none or the kernel cannot tell. */
  readonly configuration: ReturnType<typeof rseqConfiguration.decode> | undefined;
  /** Where a thread that was stopped inside a critical section is to go on: at the abort handler. */
  readonly abortIp: bigint | undefined;
}

/**
 * Looks at the rseq state of a stopped thread. Once the thread runs anything else, the kernel forgets that it was in a
 * critical section, so whoever makes it do so has to see to the abort.
 */
export function readRseq(pid: number, tid: number, ip: bigint): RseqState {
  const configuration = getRseq(tid);
  if (configuration === undefined || configuration.rseq_abi_pointer === 0n) {
    return { configuration: undefined, abortIp: undefined };
  }
  const area = new Uint8Array(rseqArea.size);
  const { rseq_cs } = rseqArea.decode(readMemory(pid, Number(configuration.rseq_abi_pointer), area));
  if (rseq_cs === 0n) return { configuration, abortIp: undefined };
  const cs = rseqCs.decode(readMemory(pid, Number(rseq_cs), new Uint8Array(rseqCs.size)));
  const inside = ip - cs.start_ip >= 0n && ip - cs.start_ip < cs.post_commit_offset;
  return {
    configuration,
    abortIp: inside && (cs.flags & NO_RESTART_ON_SIGNAL) === 0 ? cs.abort_ip : undefined,
  };
}
