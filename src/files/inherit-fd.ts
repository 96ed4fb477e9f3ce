/** --inherit-fd: descriptors that our caller opened and that stand for files of the images. */
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { fcntl } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { rawSyscall } from "../linux/syscall.ts";
import { FileRestoreError, restoring } from "./errors.ts";

/**
 * Keys name files as CRIU does: `pipe:[INODE]`, `file[MNT_ID:INODE]`, `tty[RDEV:DEV]`, `socket:[INODE]`, and a path
 * without its leading slash.
 */
export class InheritedFds {
  readonly #fds = new Map<string, number>();

  /** @throws FileRestoreError where a descriptor is not open or an entry says nothing */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const found = /^fd\[(\d{1,9})\]:(.+)$/s.exec(entry);
      if (found?.[1] === undefined || found[2] === undefined) {
        throw new FileRestoreError(`--inherit-fd ${entry}: expected fd[NUMBER]:RESOURCE`);
      }
      const fd = Number(found[1]);
      restoring(`--inherit-fd ${entry}`, () => fcntl(fd, F.GETFD));
      // What the restored processes are to have of it goes its own way.
      rawSyscall(NR.fcntl, fd, F.SETFD, FD_CLOEXEC);
      this.#fds.set(found[2], fd);
    }
  }

  get isEmpty(): boolean {
    return this.#fds.size === 0;
  }

  has(key: string): boolean {
    return this.#fds.has(key);
  }

  /** A descriptor of the same open file description, the caller's to close; undefined where none is inherited. */
  take(key: string): number | undefined {
    const fd = this.#fds.get(key);
    return fd === undefined ? undefined : fcntl(fd, F.DUPFD_CLOEXEC, 0);
  }
}
