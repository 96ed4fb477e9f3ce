/** Clocks (clock_gettime(2)) and the structures of time. */
import { NR } from "./nr.ts";
import { struct, u64 } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

export const CLOCK = { REALTIME: 0, MONOTONIC: 1, BOOTTIME: 7, REALTIME_ALARM: 8, TAI: 11 } as const;
export const NSEC_PER_SEC = 1_000_000_000n;

export const timespec = struct({ sec: u64, nsec: u64 });
/** struct itimerspec: the interval, then the value. */
export const itimerspec = struct({ isec: u64, insec: u64, vsec: u64, vnsec: u64 });

/** What a clock shows to us, in nanoseconds. @throws KernelError */
export function readClock(id: number): bigint {
  const now = new Uint8Array(timespec.size);
  syscall(`clock ${id}`, NR.clock_gettime, id, addressOf(now));
  const { sec, nsec } = timespec.decode(now);
  return sec * NSEC_PER_SEC + nsec;
}
