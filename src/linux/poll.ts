/** Waiting for descriptors: poll(2). */
import { ERRNO, KernelError } from "./errno.ts";
import { NR } from "./nr.ts";
import { s32, struct, u16 } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

/** struct pollfd */
export const pollfd = struct({ fd: s32, events: u16, revents: u16 });
export const POLL = { IN: 1, PRI: 2, OUT: 4, ERR: 8, HUP: 0x10, NVAL: 0x20, RDHUP: 0x2000 } as const;

/**
 * poll(2) of one descriptor: which of `events` (and ERR, HUP) hold, within `milliseconds`, counted anew after a signal.
 * @throws KernelError
 */
export function poll(fd: number, events: number, milliseconds = 0): number {
  const buffer = pollfd.encode({ fd, events });
  let result: number;
  do result = rawSyscall(NR.poll, addressOf(buffer), 1, milliseconds);
  while (result === -ERRNO.EINTR);
  checkResult(result, NR.poll, `descriptor ${fd}`);
  return pollfd.decode(buffer).revents;
}

/** poll(2) of many descriptors, however long it takes: of which of them one of `events`, or ERR or HUP, holds. @throws KernelError */
export function pollAll(fds: readonly number[], events: number): boolean[] {
  const buffer = new Uint8Array(fds.length * pollfd.size);
  fds.forEach((fd, i) => {
    pollfd.encodeInto(buffer, i * pollfd.size, { fd, events });
  });
  for (;;) {
    const result = rawSyscall(NR.poll, addressOf(buffer), fds.length, -1);
    if (result >= 0) break;
    if (result !== -ERRNO.EINTR) throw new KernelError("poll", `${fds.length} descriptors`, -result);
  }
  return fds.map((_, i) => pollfd.decode(buffer, i * pollfd.size).revents !== 0);
}
