/** --inherit-fd: descriptors that our caller opened and that stand for files of the images. */
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { fcntl, O } from "../linux/io.ts";
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

  /**
   * A descriptor of the same open file description, the caller's to close; undefined where none is inherited. `flags` are those of
   * the file that it stands for, where it is used as it is. @throws FileRestoreError where it gives less access than those
   */
  take(key: string, flags?: number): number | undefined {
    const fd = this.#fds.get(key);
    if (fd === undefined) return undefined;
    if (flags !== undefined && (flags & O.PATH) === 0) {
      const has = fcntl(fd, F.GETFL);
      const [given, wanted] = [has & O.ACCMODE, flags & O.ACCMODE];
      if ((has & O.PATH) !== 0 || (given !== O.RDWR && given !== wanted))
        throw new FileRestoreError(
          `--inherit-fd fd[${fd}]:${key}: it is open ${access(has)}, but the file was open ${access(flags)}`,
        );
    }
    return fcntl(fd, F.DUPFD_CLOEXEC, 0);
  }
}

function access(flags: number): string {
  if ((flags & O.PATH) !== 0) return "by its path alone (O_PATH)";
  const mode = flags & O.ACCMODE;
  return mode === O.RDWR ? "for reading and writing" : mode === O.WRONLY ? "for writing" : "for reading";
}
