/** Moving bytes between files inside the kernel (sendfile(2)). */
import { ERRNO, KernelError } from "./errno.ts";
import { NR } from "./nr.ts";
import { viewOf } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

const offsetBytes = new Uint8Array(8);
const offsetAddress = addressOf(offsetBytes);
const offsetView = viewOf(offsetBytes);
const MOST = 1 << 30;

/**
 * Copies `length` bytes at `offset` of `from` to where `to` stands. Gives how many there were: fewer where `from` ends
 * before. @throws KernelError
 */
export function copyBytes(from: number, offset: number, length: number, to: number): number {
  let done = 0;
  while (done < length) {
    offsetView.setBigUint64(0, BigInt(offset + done), true);
    const got = rawSyscall(NR.sendfile, to, from, offsetAddress, Math.min(length - done, MOST));
    if (got < 0 && got !== -ERRNO.EINTR) checkResult(got, NR.sendfile, `descriptor ${from} to ${to}`);
    if (got === 0) break;
    if (got > 0) done += got;
  }
  return done;
}

/** As copyBytes; all of them must be there. @throws KernelError */
export function copyAllBytes(from: number, offset: number, length: number, to: number): void {
  if (copyBytes(from, offset, length, to) < length) {
    throw new KernelError("sendfile", `descriptor ${from}, which ends too early`, ERRNO.EIO);
  }
}
