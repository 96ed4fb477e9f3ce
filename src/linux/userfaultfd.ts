/** userfaultfd(2), by which the pages of another process' fresh memory are given to it. */
import { close } from "./io.ts";
import { NR } from "./nr.ts";
import { s64, struct, word } from "./struct.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

/** UFFD_USER_MODE_ONLY (Linux 5.11): without it the call takes CAP_SYS_PTRACE. */
export const UFFD_USER_MODE_ONLY = 1;

/** struct uffdio_copy */
export const uffdioCopy = struct({ dst: word, src: word, len: word, mode: word, copy: s64 });
/** _IOWR(0xaa, 3, struct uffdio_copy): makes pages at `dst` of `len` bytes at `src` of the caller; 0 if that were all of them. */
export const UFFDIO_COPY = 0xc028_aa03;

/** struct uffdio_api; struct uffdio_register */
const uffdioApi = struct({ api: word, features: word, ioctls: word });
const uffdioRegister = struct({ start: word, len: word, mode: word, ioctls: word });
/** _IOWR(0xaa, 0x3f, struct uffdio_api), _IOWR(0xaa, 0, struct uffdio_register) */
const UFFDIO_API = 0xc018_aa3f;
const UFFDIO_REGISTER = 0xc020_aa00;
const UFFD_API = 0xaa;
const MODE_MISSING = 1;

/**
 * Readies a new userfaultfd, ours or not, for UFFDIO_COPY to anonymous memory at `ranges`. Whoever touches that before it is
 * filled waits until `fd` is closed everywhere. False, and `fd` is closed, where the kernel will not.
 */
export function registerMissing(
  fd: number,
  ranges: readonly { readonly start: number; readonly end: number }[],
): boolean {
  const ask = (request: number, argument: Uint8Array) =>
    rawSyscall(NR.ioctl, fd, request, addressOf(argument)) >= 0;
  const ready =
    ask(UFFDIO_API, uffdioApi.encode({ api: UFFD_API })) &&
    ranges.every(({ start, end }) =>
      ask(UFFDIO_REGISTER, uffdioRegister.encode({ start, len: end - start, mode: MODE_MISSING })),
    );
  if (!ready) close(fd);
  return ready;
}
