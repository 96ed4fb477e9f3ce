/**
 * Paths as the kernel has them: bytes, of which the strings here lose none (images/text.ts), and the few calls on them
 * that this room makes by the thousand.
 */

import { ERRNO, KernelError } from "../linux/errno.ts";
import { AT, O, open } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, checkResult, rawSyscall } from "../linux/syscall.ts";
import { textOf, textToBytes } from "../linux/text.ts";

/** PATH_MAX of include/uapi/linux/limits.h, its NUL included. */
const PATH_MAX = 4096;

const encoder = new TextEncoder();

/** A place for one NUL-terminated path. */
class PathPlace {
  readonly #bytes = new Uint8Array(PATH_MAX * 2);
  readonly #address = addressOf(this.#bytes);

  put(path: string): number {
    const bytes = this.#bytes;
    let length: number;
    if (path.length >= PATH_MAX) throw new KernelError("path", "", ERRNO.ENAMETOOLONG);
    if (path.isWellFormed()) length = encoder.encodeInto(path, bytes).written;
    else {
      const encoded = textToBytes(path);
      length = Math.min(encoded.length, PATH_MAX);
      bytes.set(encoded.subarray(0, length));
    }
    if (length >= PATH_MAX) throw new KernelError("path", "", ERRNO.ENAMETOOLONG);
    if (path.includes("\0")) throw new KernelError("path", "", ERRNO.EINVAL);
    bytes[length] = 0;
    return this.#address;
  }
}

const first = new PathPlace();
const second = new PathPlace();

/** Address of a NUL-terminated copy, good until the next call of any function here. @throws KernelError */
export function pathAddress(path: string): number {
  return first.put(path);
}

/** openat(2) with O_CLOEXEC. @throws KernelError */
export function openPath(path: string, flags: number, mode = 0): number {
  const result = rawSyscall(NR.openat, AT.FDCWD, first.put(path), flags | O.CLOEXEC, mode);
  return result < 0 ? checkResult(result, NR.openat, path) : result;
}

/** unlinkat(2). @throws KernelError */
export function unlinkPath(path: string, flags = 0): void {
  checkResult(rawSyscall(NR.unlinkat, AT.FDCWD, first.put(path), flags), NR.unlinkat, path);
}

export const AT_REMOVEDIR = 0x200;

/** linkat(2) that follows `from` if it is a link of /proc; gives the raw result. */
export function linkPath(from: string, to: string, follow: boolean): number {
  return rawSyscall(
    NR.linkat,
    AT.FDCWD,
    first.put(from),
    AT.FDCWD,
    second.put(to),
    follow ? AT.SYMLINK_FOLLOW : 0,
  );
}

/** symlinkat(2). @throws KernelError */
export function symlinkPath(target: string, path: string): number {
  return rawSyscall(NR.symlinkat, first.put(target), AT.FDCWD, second.put(path));
}

/** The path by which an open descriptor of ours can be opened again. */
export function selfPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

const linkBytes = new Uint8Array(PATH_MAX * 2);
const linkAddress = addressOf(linkBytes);
const numberBytes = new Uint8Array(64);
const numberAddress = addressOf(numberBytes);
let selfFds: number | undefined;

/** What /proc shows a descriptor of ours to be: its path, or a word like `pipe:[12]`. @throws KernelError */
export function linkOf(fd: number): string {
  selfFds ??= open("/proc/self/fd", O.PATH | O.DIRECTORY);
  const { written } = encoder.encodeInto(String(fd), numberBytes);
  numberBytes[written] = 0;
  const length = rawSyscall(NR.readlinkat, selfFds, numberAddress, linkAddress, linkBytes.length);
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
