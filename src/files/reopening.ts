/**
 * Whether a restore, here and now, could open a file again by its path: looked at by a dump before anything is ended. A file may
 * have become immutable, or a program not executable, or its mount read-only, since it was opened. Nothing is opened for it: to
 * open a device or a FIFO does something, and whoever watches a file or has a lease on it is told.
 */
import { ERRNO, errnoName, KernelError } from "../linux/errno.ts";
import { AT, O, S, W_OK } from "../linux/io.ts";
import { writableDirectory } from "../linux/mount.ts";
import { NR } from "../linux/nr.ts";
import { ST, STATX_ATTR, statfsFlagsOf } from "../linux/statx.ts";
import { pathAddress, rawSyscall } from "../linux/syscall.ts";
import { isDevice } from "./device.ts";
import { FileDumpError } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";
import { parentOf } from "./path.ts";

const EXECUTABLE = 0o111;

export class Reopening {
  /** Flags of statfs(2) of mounts, by their numbers. */
  readonly #mounts = new Map<number, number>();

  /** `modesChange`: that the modes of files will be others is known, --skip-file-rwx-check. */
  constructor(private readonly modesChange: boolean) {}

  /** Refuses a file that has a path and is to be opened by it with its flags. @throws FileDumpError, KernelError */
  check(file: OpenFile): void {
    const { flags, format, status, isPath } = file;
    if (isPath || typeof file.role !== "number") return;
    if (isDevice(format)) {
      if ((this.#flagsOf(file) & ST.NODEV) !== 0) refuse(file, "its mount has become nodev");
      return;
    }
    if (format !== S.IFREG || (flags & O.ACCMODE) === O.RDONLY) return;
    if ((status.attributes & STATX_ATTR.IMMUTABLE) !== 0)
      refuse(file, "it has become immutable, and nobody can open it for writing any more (chattr -i)");
    if ((status.attributes & STATX_ATTR.APPEND) !== 0 && (flags & O.APPEND) === 0)
      refuse(file, "it has become append-only, and can only be opened with O_APPEND any more (chattr -a)");
  }

  /** Refuses the program of a process that cannot be executed any more. @throws FileDumpError, KernelError */
  checkProgram(file: OpenFile): void {
    if ((file.status.mode & EXECUTABLE) === 0 && !this.modesChange)
      refuse(
        file,
        "nobody may execute it any more, as a restore must (chmod +x; --skip-file-rwx-check if that will be done before a restore)",
      );
    this.checkMapped(file);
  }

  /** Refuses a file that cannot be mapped executable any more. @throws FileDumpError, KernelError */
  checkMapped(file: OpenFile): void {
    if ((this.#flagsOf(file) & ST.NOEXEC) !== 0)
      refuse(file, "its mount has become noexec, and it could not be mapped again");
  }

  /** Refuses a file without a name that could not be made anew where it was, in mounts of ours. @throws FileDumpError, KernelError */
  checkGhost(file: OpenFile, name: string): void {
    if ((this.#flagsOf(file) & ST.RDONLY) === 0) return;
    try {
      using directory = writableDirectory(nearestDirectory(parentOf(name)));
      const result = rawSyscall(NR.faccessat, directory.number, pathAddress("."), W_OK);
      if (result < 0) throw new KernelError("faccessat", name, -result);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const why = errnoName(error.errno);
      refuse(file, `it is deleted, and cannot be made anew: its file system is read-only (${why})`);
    }
  }

  #flagsOf(file: OpenFile): number {
    const { mntId } = file.status;
    let flags = this.#mounts.get(mntId);
    if (flags === undefined) {
      flags = statfsFlagsOf(file.copy);
      this.#mounts.set(mntId, flags);
    }
    return flags;
  }
}

function refuse(file: OpenFile, why: string): never {
  throw new FileDumpError(`${file.where}: ${file.link}: ${why}`);
}

/** The directory, or the one that is left of those above it. @throws KernelError */
function nearestDirectory(path: string): string {
  for (let at = path; ; at = parentOf(at))
    if (at === "/" || rawSyscall(NR.faccessat, AT.FDCWD, pathAddress(at), 0) !== -ERRNO.ENOENT) return at;
}
