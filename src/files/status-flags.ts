/** File status flags (F_GETFL) of a description that is made otherwise than by opening a path with them. */
import { F } from "../linux/fcntl.ts";
import { close, fcntl, O } from "../linux/io.ts";

/** Those to open an end of a pipe anew with: neither an end without a partner nor anything else makes the opening wait. */
export function reopenFlags(flags: number): number {
  return (flags & (O.ACCMODE | O.NOATIME)) | O.NONBLOCK;
}

/** The flags, if O_ASYNC is among them. */
export function withAsync(flags: number): number | undefined {
  return (flags & O.ASYNC) === 0 ? undefined : flags;
}

/**
 * Sets the flags that a description can be given later, but for O_ASYNC: see FileRestorer.asyncFlags. Gives `fd`, which is
 * closed where that fails. @throws KernelError
 */
export function withFlags(fd: number, flags: number): number {
  try {
    fcntl(fd, F.SETFL, flags & ~O.ASYNC);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
