/** The processors that a task may run on: sched_setaffinity(2). */

import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

/** A mask, a bit for each processor. Large enough for any kernel of today (CONFIG_NR_CPUS is 8192 at the most). */
export type CpuMask = Uint8Array;
const MASK_SIZE = 1024;

/** Of a task, 0 for the calling thread; undefined where the kernel does not tell. */
export function affinityOf(tid: HostPid): CpuMask | undefined {
  const mask = new Uint8Array(MASK_SIZE);
  return rawSyscall(NR.sched_getaffinity, tid, mask.length, addressOf(mask)) < 0 ? undefined : mask;
}

/** Whether the kernel took the mask for a task, 0 for the calling thread. Processors that it may not have do not matter. */
export function setAffinity(tid: HostPid, mask: CpuMask): boolean {
  return rawSyscall(NR.sched_setaffinity, tid, mask.length, addressOf(mask)) === 0;
}

/** All processors that there are or may be. */
export function everyCpu(): CpuMask {
  return new Uint8Array(MASK_SIZE).fill(0xff);
}

/** The processor that runs this now; undefined where the kernel does not tell. */
export function presentCpu(): number | undefined {
  const cpu = new Uint32Array(1);
  const result = rawSyscall(NR.getcpu, addressOf(new Uint8Array(cpu.buffer)), 0, 0);
  return result < 0 ? undefined : cpu[0];
}

/** That processor alone. */
export function onlyCpu(cpu: number): CpuMask {
  const mask = new Uint8Array(MASK_SIZE);
  mask[cpu >> 3] = 1 << (cpu & 7);
  return mask;
}
