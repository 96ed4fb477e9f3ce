/**
 * Device nodes that are opened anew by their path: those whose open file description holds nothing but an offset. All
 * other character devices (terminals, tun, fuse, ...) have a state of their own and are kinds of their own.
 */

import { O, S } from "../linux/io.ts";
import type { FullStatus } from "../linux/statx.ts";
import type { OpenFile } from "./open-file.ts";

/** null, zero, full, random, urandom, mem, port, kmsg (include/uapi/linux/major.h: MEM_MAJOR). */
const MEM_MAJOR = 1;
const ZERO_MINOR = 5;
const KMSG_MINOR = 11;
/** /dev/autofs, by which servers of automounts control them: what it knows is the mounts' (MISC_MAJOR, AUTOFS_MINOR). */
const AUTOFS = { major: 10, minor: 235 } as const;

/** Offset in an image: leave it where opening puts it. */
export const NO_OFFSET = 0xffff_ffff_ffff_ffffn;

export function isPlainDevice(file: OpenFile): boolean {
  if (file.isPath) return file.format === S.IFCHR || file.format === S.IFBLK;
  if (file.format !== S.IFCHR) return file.format === S.IFBLK;
  const { rdevMajor, rdevMinor } = file.fullStatus;
  return rdevMajor === MEM_MAJOR || (rdevMajor === AUTOFS.major && rdevMinor === AUTOFS.minor);
}

/** Its mappings are memory like any other. */
export function isZeroDevice({ fullStatus: { mode, rdevMajor, rdevMinor } }: OpenFile): boolean {
  return (mode & S.IFMT) === S.IFCHR && rdevMajor === MEM_MAJOR && rdevMinor === ZERO_MINOR;
}

export function isDevice(format: number): boolean {
  return format === S.IFCHR || format === S.IFBLK;
}

export function sameDevice(a: FullStatus, b: FullStatus): boolean {
  const type = a.mode & S.IFMT;
  return (
    isDevice(type) && type === (b.mode & S.IFMT) && a.rdevMajor === b.rdevMajor && a.rdevMinor === b.rdevMinor
  );
}

/** The offset to note; the log of the kernel, opened for writing, refuses to be positioned. */
export function devicePosition(file: OpenFile): bigint {
  const { rdevMajor, rdevMinor } = file.fullStatus;
  const position = file.position;
  const writesLog =
    file.format === S.IFCHR &&
    rdevMajor === MEM_MAJOR &&
    rdevMinor === KMSG_MINOR &&
    (file.flags & O.ACCMODE) === O.WRONLY;
  return writesLog && position === 0n ? NO_OFFSET : position;
}
