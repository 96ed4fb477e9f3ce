/**
 * /proc/PID/mountinfo (Documentation/filesystems/proc.rst, section 3.5), a line for each mount that can be reached from the
 * root of the process:
 *
 *     36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *     id parent device root mountpoint options fields - type source super-options
 */
import { BaseError } from "./base-error.ts";
import { kernelDevice } from "./device.ts";
import { readText } from "./io.ts";
import { MS } from "./mount.ts";
import type { HostPid } from "./pid.ts";

/** A line that is not understood, or a property that is not known: what it tells would be lost. */
export class MountinfoError extends BaseError {
  override readonly name = "MountinfoError";
  readonly kind = "machine";
}

/** A mount as the kernel tells of it. Paths are without the escapes of /proc. */
export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** Of the super block: major << 20 | minor, as the kernel packs it and images hold it. */
  readonly device: number;
  /** What of the file system it shows. */
  readonly root: string;
  /** Whether the root has lost its name. */
  readonly deleted: boolean;
  /** From the root of the namespace. */
  readonly mountpoint: string;
  /** Flags of mount(2) that are the mount's own, propagation included. */
  readonly flags: number;
  /** Its peer group, and the one that it is a slave of; 0 for none. */
  readonly sharedId: number;
  readonly masterId: number;
  /** Type of the file system, as the kernel writes it: "fuse.sshfs". */
  readonly type: string;
  readonly source: string;
  /** Flags of mount(2) that are the super block's. */
  readonly superFlags: number;
  /** The other options of the super block, escaped as they were shown. */
  readonly options: string;
  /** Whether owners are shown mapped (mount_setattr(2)). */
  readonly idmapped: boolean;
}

const MOUNT_FLAGS: ReadonlyMap<string, number> = new Map([
  ["rw", 0],
  ["ro", MS.RDONLY],
  ["nosuid", MS.NOSUID],
  ["nodev", MS.NODEV],
  ["noexec", MS.NOEXEC],
  ["noatime", MS.NOATIME],
  ["nodiratime", MS.NODIRATIME],
  ["relatime", MS.RELATIME],
  ["nosymfollow", MS.NOSYMFOLLOW],
  ["idmapped", 0],
]);

/** Options of a super block that are flags. */
export const SUPER_FLAGS: ReadonlyMap<string, number> = new Map([
  ["rw", 0],
  ["ro", MS.RDONLY],
  ["sync", MS.SYNCHRONOUS],
  ["dirsync", MS.DIRSYNC],
  ["mand", MS.MANDLOCK],
  ["lazytime", MS.LAZYTIME],
]);

const DELETED = "//deleted";
const HEAD = 6;
const TAIL = 3;

/** All mounts, in the order of the text, which `where` names in errors. @throws MountinfoError */
export function parseMountinfo(text: string, where: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) if (line !== "") mounts.push(parseLine(line, where));
  return mounts;
}

function parseLine(line: string, where: string): MountInfo {
  const words = line.split(" ");
  const dash = words.indexOf("-", HEAD);
  const [id, parentId, device, root, mountpoint, options] = words;
  // The source may be empty, and then there are two spaces.
  const [type, source, superOptions] = words.slice(dash + 1);
  if (dash < 0 || options === undefined || words.length - dash - 1 < TAIL || superOptions === undefined) {
    throw new MountinfoError(`${where}: a line that is not understood: ${line}`);
  }
  const number = (word: string | undefined): number => {
    const value = /^\d+$/.test(word ?? "") ? Number(word) : Number.NaN;
    if (Number.isNaN(value)) throw new MountinfoError(`${where}: a line that is not understood: ${line}`);
    return value;
  };
  const [major, minor] = (device ?? "").split(":");
  const path = unescapePath(root ?? "");
  const deleted = path.endsWith(DELETED);
  const flags = mountFlags(options, line, where);
  const shared = { flags, sharedId: 0, masterId: 0 };
  for (const word of words.slice(HEAD, dash)) {
    const [name, value] = word.split(":");
    if (name === "shared") {
      shared.flags |= MS.SHARED;
      shared.sharedId = number(value);
    } else if (name === "master") {
      shared.flags |= MS.SLAVE;
      shared.masterId = number(value);
    } else if (name === "unbindable") shared.flags |= MS.UNBINDABLE;
    else if (name !== "propagate_from") {
      throw new MountinfoError(`${where}: a mount with ${word}, which is not known: ${line}`);
    }
  }
  return {
    id: number(id),
    parentId: number(parentId),
    device: kernelDevice(number(major), number(minor)),
    root: deleted ? path.slice(0, -DELETED.length) : path,
    deleted,
    mountpoint: unescapePath(mountpoint ?? ""),
    ...shared,
    type: type ?? "",
    source: unescapePath(source ?? ""),
    ...superBlock(superOptions),
    idmapped: options.split(",").includes("idmapped"),
  };
}

function mountFlags(options: string, line: string, where: string): number {
  let flags = 0;
  for (const option of options.split(",")) {
    const flag = MOUNT_FLAGS.get(option);
    if (flag === undefined)
      throw new MountinfoError(`${where}: a mount with ${option}, which is not known: ${line}`);
    flags |= flag;
  }
  // Where neither is said, every access counts.
  return (flags & (MS.RELATIME | MS.NOATIME)) === 0 ? flags | MS.STRICTATIME : flags;
}

function superBlock(text: string): { superFlags: number; options: string } {
  let superFlags = 0;
  const others: string[] = [];
  for (const option of splitOptions(text)) {
    const flag = SUPER_FLAGS.get(option);
    if (flag === undefined) others.push(option);
    else superFlags |= flag;
  }
  return { superFlags, options: others.join(",") };
}

/** The mounts that a process sees, in their order: those that are mounted on others come after them. @throws KernelError, MountinfoError */
export function readMountinfo(pid: HostPid | "self"): MountInfo[] {
  const path = `/proc/${pid}/mountinfo`;
  return parseMountinfo(readText(path), path);
}

/** One of ours that shows a file system of this type from its root on, the last one that was mounted. */
export function ourMountOf(type: string): MountInfo | undefined {
  return readMountinfo("self").findLast(
    (mount) => mount.type === type && mount.root === "/" && !mount.deleted,
  );
}

/** Options between commas; not those commas that stand in quotes, as in `context="a:b:c:s0:c1,c2"`. */
export function splitOptions(text: string): string[] {
  if (text === "") return [];
  if (!text.includes('"')) return text.split(",");
  return text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];
}

/** Undoes the octal escapes of /proc: blank, tab, newline, backslash and what else a file system escapes. */
export function unescapePath(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
