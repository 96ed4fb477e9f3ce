/** The times of files. */
import { timespec } from "./clock.ts";
import { AT } from "./io.ts";
import { NR } from "./nr.ts";
import { addressOf, nameAddress, syscall } from "./syscall.ts";

/** Leaves a time as it is (utimensat(2)). */
const UTIME_OMIT = 0x3fff_fffen;

/** Seconds since the epoch, and nanoseconds. */
export interface Instant {
  readonly sec: bigint;
  readonly nsec: number;
}

/** Sets the times of access and change of an open file, O_PATH ones included; what is undefined stays. @throws KernelError */
export function setTimes(fd: number, access: Instant | undefined, change: Instant | undefined): void {
  const times = new Uint8Array(2 * timespec.size);
  [access, change].forEach((time, i) => {
    const value = time === undefined ? { sec: 0n, nsec: UTIME_OMIT } : { ...time, nsec: BigInt(time.nsec) };
    timespec.encodeInto(times, i * timespec.size, value);
  });
  const flags = AT.EMPTY_PATH | AT.SYMLINK_NOFOLLOW;
  syscall("the times", NR.utimensat, fd, nameAddress(""), addressOf(times), flags);
}
