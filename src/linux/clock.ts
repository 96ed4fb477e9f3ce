/** Clocks (clock_gettime(2)) and the structures of time. */
import { NR } from "./nr.ts";
import { s64, struct, u64 } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

export const CLOCK = { REALTIME: 0, MONOTONIC: 1, BOOTTIME: 7, REALTIME_ALARM: 8, TAI: 11 } as const;
export const NSEC_PER_SEC = 1_000_000_000n;

/** struct timespec: seconds, negative ones before the beginning of a clock, and nanoseconds. */
export const timespec = struct({ sec: s64, nsec: s64 });
/** struct timeval: seconds and microseconds. */
export const timeval = struct({ sec: s64, usec: s64 });
/** struct itimerspec: the interval, then the value. */
export const itimerspec = struct({ isec: u64, insec: u64, vsec: u64, vnsec: u64 });

/** A time, or a length of time, in nanoseconds and not negative, as calls take it. */
export function encodeTime(nanoseconds: bigint): Uint8Array {
  return timespec.encode({ sec: nanoseconds / NSEC_PER_SEC, nsec: nanoseconds % NSEC_PER_SEC });
}

/** What a clock shows to us, in nanoseconds. @throws KernelError */
export function readClock(id: number): bigint {
  const now = new Uint8Array(timespec.size);
  syscall(`clock ${id}`, NR.clock_gettime, id, addressOf(now));
  const { sec, nsec } = timespec.decode(now);
  return sec * NSEC_PER_SEC + nsec;
}
