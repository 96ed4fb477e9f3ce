/** Searching the paths of inodes that are known by nothing else (--force-irmap, --irmap-scan-path). */
import { isDirectory, listDirectory } from "../linux/io.ts";
import type { TreeMounts } from "../linux/path-at.ts";
import { statusAt } from "../linux/statx.ts";
import { pathAddress } from "../linux/syscall.ts";

/** Where what programs watch mostly is. */
const USUAL = [
  "/etc",
  "/var/spool",
  "/var/log",
  "/usr/share/dbus-1/system-services",
  "/var/lib/polkit-1/localauthority",
  "/usr/share/polkit-1/actions",
  "/lib/udev",
  "/",
];

/**
 * A path of an inode: below one of `more`, or of the usual places, of which the root is looked through without what is below.
 * `device` is major << 20 | minor. Undefined where there is none.
 */
export function searchInode(
  device: number,
  inode: number,
  more: readonly string[],
  mounts: TreeMounts,
): string | undefined {
  for (const place of [...more, ...USUAL]) {
    const found = searchBelow(mounts, place, device, inode, place !== "/");
    if (found !== undefined) return found;
  }
  return undefined;
}

function searchBelow(
  mounts: TreeMounts,
  path: string,
  device: number,
  inode: number,
  deep: boolean,
): string | undefined {
  const at = mounts.fromRoot(path);
  const status = statusAt(at.directory, pathAddress(at.path));
  if (typeof status === "number") return undefined;
  if (status.ino === inode && status.dev === device) return path;
  if (!isDirectory(status.mode)) return undefined;
  let names: string[];
  try {
    names = listDirectory(at.path, at.directory);
  } catch {
    return undefined;
  }
  for (const name of names) {
    if (name === "." || name === "..") continue;
    const below = `${path === "/" ? "" : path}/${name}`;
    const found = deep
      ? searchBelow(mounts, below, device, inode, true)
      : match(mounts, below, device, inode);
    if (found !== undefined) return found;
  }
  return undefined;
}

function match(mounts: TreeMounts, path: string, device: number, inode: number): string | undefined {
  const at = mounts.fromRoot(path);
  const status = statusAt(at.directory, pathAddress(at.path));
  return typeof status !== "number" && status.ino === inode && status.dev === device ? path : undefined;
}
