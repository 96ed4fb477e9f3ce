/** Scheduling of a thread (sched(7), sched_setattr(2)). */

import { NR } from "./nr.ts";
import { oncePerRun } from "./once-per-run.ts";
import { s32, struct, u32, u64 } from "./struct.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

export const SCHED = { OTHER: 0, FIFO: 1, RR: 2, BATCH: 3, IDLE: 5, DEADLINE: 6 } as const;
/** The first argument of getpriority(2): one thread. */
export const PRIO_PROCESS = 0;
/** The raw getpriority(2) gives 20 less the nice value, so that it is never negative. */
export const NICE_ZERO = 20;
/** A bit of the policy as sched_getscheduler(2) gives it. */
export const SCHED_RESET_ON_FORK = 0x4000_0000;
/** Of sched_attr. */
export const SCHED_FLAG = {
  RESET_ON_FORK: 1n,
  KEEP_POLICY: 0x8n,
  KEEP_PARAMS: 0x10n,
  UTIL_CLAMP_MIN: 0x20n,
  UTIL_CLAMP_MAX: 0x40n,
} as const;

/** struct sched_attr, version 1 (kernel 5.3); times in nanoseconds. */
export const schedAttr = struct({
  size: u32,
  policy: u32,
  flags: u64,
  nice: s32,
  priority: u32,
  runtime: u64,
  deadline: u64,
  period: u64,
  util_min: u32,
  util_max: u32,
});

/** The time slice that threads have to whom none was given; 0 where the kernel does not tell (before 6.12). */
export const usualSlice: () => bigint = oncePerRun(() => {
  const own = new Uint8Array(schedAttr.size);
  const got = rawSyscall(NR.sched_getattr, 0, addressOf(own), own.length, 0);
  return got < 0 ? 0n : schedAttr.decode(own).runtime;
});

/** Policies whose threads have a time slice. */
export function hasSlice(policy: number): boolean {
  return policy === SCHED.OTHER || policy === SCHED.BATCH || policy === SCHED.IDLE;
}
