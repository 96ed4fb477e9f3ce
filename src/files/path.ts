/**
 * Paths as the kernel has them: bytes, of which the strings here lose none (linux/text.ts), and the few calls on them
 * that this folder makes by the thousand.
 */

import { AT, O, open, selfPath } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { addressOf, checkResult, nameAddress, pathAddress, rawSyscall } from "../linux/syscall.ts";
import { textOf } from "../linux/text.ts";

/** PATH_MAX of include/uapi/linux/limits.h, its NUL included. */
export const PATH_MAX = 4096;

/** openat(2) with O_CLOEXEC. @throws KernelError */
export function openPath(path: string, flags: number, mode = 0): number {
  const result = rawSyscall(NR.openat, AT.FDCWD, pathAddress(path), flags | O.CLOEXEC, mode);
  return result < 0 ? checkResult(result, NR.openat, path) : result;
}

const linkBytes = new Uint8Array(PATH_MAX * 2);
const linkAddress = addressOf(linkBytes);
const selfFds = oncePerRun(() => open("/proc/self/fd", O.PATH | O.DIRECTORY));

/** What /proc shows a descriptor of ours to be: its path, or a word like `pipe:[12]`. @throws KernelError */
export function linkOf(fd: number): string {
  const length = rawSyscall(NR.readlinkat, selfFds(), nameAddress(String(fd)), linkAddress, linkBytes.length);
  if (length < 0) checkResult(length, NR.readlinkat, selfPath(fd));
  return textOf(linkBytes, 0, length);
}

/** The directory that a path's last component is in. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** "/a/b/c" to "/a/c"; undefined where there is no grandparent. */
export function inGrandparent(path: string): string | undefined {
  const parent = parentOf(path);
  if (parent === "/") return undefined;
  const above = parentOf(parent);
  return `${above === "/" ? "" : above}${path.slice(path.lastIndexOf("/"))}`;
}

const DELETED = " (deleted)";

/** Whether /proc marks the link of a name that is gone. A name may really end so: that alone proves nothing. */
export function saysDeleted(link: string): boolean {
  return link.endsWith(DELETED);
}

/** The name without the mark of /proc. */
export function withoutDeleted(link: string): string {
  return saysDeleted(link) ? link.slice(0, -DELETED.length) : link;
}
