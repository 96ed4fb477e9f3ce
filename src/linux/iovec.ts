/** Scattered memory, for readv(2), sendmsg(2), PTRACE_GETREGSET and the like (include/uapi/linux/uio.h). */
import { struct, word } from "./struct.ts";

/** struct iovec: an address, and a number of bytes. */
export const iovec = struct({ base: word, length: word });
/** The kernel takes so many in one call (UIO_MAXIOV). */
export const IOV_MAX = 1024;
