/**
 * New names in the file system that are taken away again if the command does not come to its end.
 *
 * An entry of the undo list comes before its change, so it must do no harm to what others have put there: it knows the file by its
 * inode. What gets a new inode is made under a name that nobody else has, and gets its own when the inode is known.
 */
import { ERRNO } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { instant } from "../linux/instants.ts";
import { AT, O, selfPath } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { ourPid } from "../linux/ourselves.ts";
import { isAbsentAt, type PathAt, withName } from "../linux/path-at.ts";
import { checkResult, cString, pathAddress, rawSyscall } from "../linux/syscall.ts";
import { call, unlinking } from "./calls.ts";
import type { Undo, UndoEntry } from "./undo.ts";

export const AT_REMOVEDIR = 0x200;
const RENAME_NOREPLACE = 1;

const serial = oncePerRun(() => ({ last: 0 }));

/** A name in the directory of `path` that nobody else has. */
export function nameBeside(path: string): string {
  return `${path}.criu-ts.${ourPid()}.${++serial().last}`;
}

/** Says that what is about to be made at a path that nobody else has goes again. @throws KernelError */
export function layOwnName(undo: Undo, { directory, path }: PathAt, isDirectory = false): UndoEntry {
  const flags = isDirectory ? AT_REMOVEDIR : 0;
  return undo.lay(path, [call(NR.unlinkat, directory, cString(path), flags).allowing(ERRNO.ENOENT)]);
}

/** Something that was made. */
export interface Named {
  /** O_PATH, the caller's. */
  readonly fd: Fd;
  /** The name that it has. */
  readonly at: PathAt;
  /** Takes the name away. */
  readonly entry: UndoEntry;
}

/**
 * Makes something that is to have the name `at`, whose directory stays open as long as the undo list: `make` makes it under another
 * name, and gives the raw result of the call that does, number `nr`. If the name that it is to have is taken, it keeps that other one.
 * @throws KernelError, whatever `make` throws
 */
export function makeNamed(
  undo: Undo,
  at: PathAt,
  nr: number,
  make: (at: PathAt) => number,
  isDirectory = false,
): Named {
  const beside = withName(at, nameBeside);
  const first = layOwnName(undo, beside, isDirectory);
  instant();
  checkResult(make(beside), nr, at.path);
  const fd = Fd.openAt(beside.directory, beside.path, O.PATH | O.NOFOLLOW);
  try {
    const flags = isDirectory ? AT_REMOVEDIR : 0;
    const entry = undo.lay(at.path, unlinking(at.directory, at.path, fd.number, flags));
    instant();
    const isFree = renameIfFree(beside, at);
    (isFree ? first : entry).drop();
    return isFree ? { fd, at, entry } : { fd, at: beside, entry: first };
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** Gives the file that `fd`, which is lent, is open at one more name. A negative errno where that cannot be. @throws KernelError */
export function linkNamed(undo: Undo, fd: number, { directory, path }: PathAt): UndoEntry | number {
  const to = pathAddress(path, 1);
  // It may be a name of this very file, which is not ours to take away.
  const there = rawSyscall(NR.faccessat, directory, to, 0);
  if (there !== -ERRNO.ENOENT) return there === 0 ? -ERRNO.EEXIST : there;
  const entry = undo.lay(path, unlinking(directory, path, fd));
  const from = pathAddress(selfPath(fd));
  instant();
  const result = rawSyscall(NR.linkat, AT.FDCWD, from, directory, to, AT.SYMLINK_FOLLOW);
  if (result === 0) return entry;
  entry.drop();
  return result;
}

/** False where something else has the name. @throws KernelError */
function renameIfFree(from: PathAt, to: PathAt): boolean {
  const rename = (flags: number) =>
    rawSyscall(
      NR.renameat2,
      from.directory,
      pathAddress(from.path),
      to.directory,
      pathAddress(to.path, 1),
      flags,
    );
  let result = rename(RENAME_NOREPLACE);
  // Not every file system can promise it.
  if (result === -ERRNO.EINVAL && isAbsentAt(to)) result = rename(0);
  if (result === -ERRNO.EEXIST || result === -ERRNO.EINVAL) return false;
  checkResult(result, NR.renameat2, to.path);
  return true;
}
