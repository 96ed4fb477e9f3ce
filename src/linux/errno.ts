import { BaseError } from "./base-error.ts";

/** Error numbers of Linux on the asm-generic layout (x86-64, aarch64): include/uapi/asm-generic/errno*.h. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EIDRM: 43,
  EBADRQC: 56,
  ENODATA: 61,
  EOVERFLOW: 75,
  EBADFD: 77,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EDQUOT: 122,
  EKEYEXPIRED: 127,
  EOWNERDEAD: 130,
} as const;

/** Results by which a system call asks to be restarted; only a tracer ever sees them (include/linux/errno.h). */
export const ERESTART = { SYS: 512, NOINTR: 513, NOHAND: 514, RESTARTBLOCK: 516 } as const;

/** The name of an errno value ("ENOENT"), or "errno N" for one this table does not know. */
export function errnoName(errno: number): string {
  return nameOf(ERRNO, errno) ?? `errno ${errno}`;
}

/**
 * The name that a table of numbers has for a value. By search: failures are few, and to turn a table round for them
 * takes a start 0.4 ms.
 */
export function nameOf(table: Readonly<Record<string, number>>, value: number): string | undefined {
  for (const name in table) if (table[name] === value) return name;
  return undefined;
}

/** A system call that failed: which one, on what, and the kernel's errno. */
export class KernelError extends BaseError {
  override readonly name = "KernelError";
  readonly kind = "kernel";
  constructor(
    readonly call: string,
    override readonly object: string,
    override readonly errno: number,
  ) {
    super(object === "" ? `${call}: ${errnoName(errno)}` : `${call} ${object}: ${errnoName(errno)}`);
  }
}

/** True when `error` is a kernel refusal with one of the given errno values. */
export function isErrno(error: unknown, ...values: number[]): boolean {
  return error instanceof KernelError && values.includes(error.errno);
}
