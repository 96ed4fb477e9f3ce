/** userfaultfd(2), by which the pages of another process' fresh memory are given to it. */
import { ERRNO } from "./errno.ts";
import { NR } from "./nr.ts";
import { s64, struct, word } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

/** UFFD_USER_MODE_ONLY (Linux 5.11): without it the call takes CAP_SYS_PTRACE. */
export const UFFD_USER_MODE_ONLY = 1;

/** struct uffdio_copy */
export const uffdioCopy = struct({ dst: word, src: word, len: word, mode: word, copy: s64 });
/** _IOWR(0xaa, 3, struct uffdio_copy): makes pages at `dst` of `len` bytes at `src` of the caller; 0 if that were all of them. */
export const UFFDIO_COPY = 0xc028_aa03;

/** UFFD_FEATURE_* (include/uapi/linux/userfaultfd.h). WP_ASYNC (Linux 6.7): a write fault is resolved by the kernel itself. */
export const UFFD_FEATURE = {
  EVENT_FORK: 1 << 1,
  EVENT_REMAP: 1 << 2,
  EVENT_REMOVE: 1 << 3,
  EVENT_UNMAP: 1 << 6,
  WP_UNPOPULATED: 1 << 13,
  WP_ASYNC: 1 << 15,
} as const;

/** struct uffdio_api; struct uffdio_register */
const uffdioApi = struct({ api: word, features: word, ioctls: word });
const uffdioRegister = struct({ start: word, len: word, mode: word, ioctls: word });
/** _IOWR(0xaa, 0x3f, struct uffdio_api), _IOWR(0xaa, 0, struct uffdio_register) */
const UFFDIO_API = 0xc018_aa3f;
const UFFDIO_REGISTER = 0xc020_aa00;
const UFFD_API = 0xaa;
const MODE = { MISSING: 1, WP: 2 } as const;

interface Range {
  readonly start: number;
  readonly end: number;
}

/** UFFDIO_API of a new userfaultfd, with these features: those that the kernel offers, or a negative errno. */
export function askFeatures(fd: number, features: number): number {
  const api = uffdioApi.encode({ api: UFFD_API, features });
  const result = rawSyscall(NR.ioctl, fd, UFFDIO_API, addressOf(api));
  return result < 0 ? result : uffdioApi.decode(api).features;
}

/** The raw result of UFFDIO_REGISTER. */
function register(fd: number, { start, end }: Range, mode: number): number {
  const argument = uffdioRegister.encode({ start, len: end - start, mode });
  return rawSyscall(NR.ioctl, fd, UFFDIO_REGISTER, addressOf(argument));
}

/**
 * Readies a new userfaultfd, ours or not, for UFFDIO_COPY to anonymous memory at `ranges`. Whoever touches that before it is
 * filled waits until `fd` is closed everywhere. False where the kernel will not.
 */
export function registerMissing(fd: number, ranges: readonly Range[]): boolean {
  return askFeatures(fd, 0) >= 0 && ranges.every((range) => register(fd, range, MODE.MISSING) >= 0);
}

/**
 * Readies a new userfaultfd, ours or not, to have writes to memory at `ranges` noted: pages that are protected afterwards
 * (linux/pagemap.ts) lose that when they are written to, and nobody waits for anything. It holds as long as `fd` is open somewhere.
 * What the kernel will not have is passed over. Gives the ranges that another userfaultfd has registered. @throws KernelError
 * where the kernel cannot do it (EINVAL, before 6.7)
 */
export function registerWrites<R extends Range>(fd: number, ranges: readonly R[]): R[] {
  const offered = askFeatures(fd, UFFD_FEATURE.WP_ASYNC | UFFD_FEATURE.WP_UNPOPULATED);
  checkResult(offered, NR.ioctl, "UFFDIO_API with WP_ASYNC");
  return registerMore(fd, ranges);
}

/** The same of a userfaultfd that is ready already. */
export function registerMore<R extends Range>(fd: number, ranges: readonly R[]): R[] {
  return ranges.filter((range) => register(fd, range, MODE.WP) === -ERRNO.EBUSY);
}
