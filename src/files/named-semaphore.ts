/**
 * Named semaphores (sem_open(3)). The C library makes the file by a name that nobody knows, gives it the wanted one, and removes the
 * first, by which it is mapped. So the name that the kernel tells is gone, and the file is found by the other, in the same directory.
 */

import { listDirectory } from "../linux/io.ts";
import type { TreeMounts } from "../linux/path-at.ts";
import { FS_MAGIC, statusAt } from "../linux/statx.ts";
import { pathAddress } from "../linux/syscall.ts";
import type { OpenFile } from "./open-file.ts";
import { parentOf } from "./path.ts";

/** glibc's: /dev/shm/sem.XXXXXX, and without "sem." before 2.35. */
const FIRST_NAME = /\/(?:sem\.)?[A-Za-z0-9]{6}$/;
const PREFIX = "sem.";

/** The path of a semaphore that was opened as `name`, which is gone; undefined where it is none. @throws KernelError */
export function semaphorePath(
  { status, fsMagic }: OpenFile,
  name: string,
  mounts: TreeMounts,
): string | undefined {
  if (fsMagic !== FS_MAGIC.TMPFS || !FIRST_NAME.test(name)) return undefined;
  const at = mounts.place(status.mntId, parentOf(name));
  const leaf = listDirectory(at.path, at.directory).find((each) => {
    if (!each.startsWith(PREFIX)) return false;
    const there = statusAt(at.directory, pathAddress(`${at.path}/${each}`));
    return typeof there !== "number" && there.ino === status.ino && there.dev === status.dev;
  });
  return leaf === undefined ? undefined : `${parentOf(name)}/${leaf}`;
}
