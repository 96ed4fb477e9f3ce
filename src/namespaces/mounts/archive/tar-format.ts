/**
 * The tar format, as POSIX.1 (ustar, pax) and GNU have it: blocks of 512 bytes, a header for each file, content after it.
 * Written is ustar with pax records for what does not fit in it; read is that, and what GNU tar writes by itself: long names
 * as entries of their own, numbers in base 256, sparse files of its old kind and of pax 1.0.
 */

import { BaseError } from "../../../linux/base-error.ts";

export const BLOCK = 512;

/** What a header is of (its field `typeflag`). */
export const TYPE = {
  FILE: "0",
  OLD_FILE: "\0",
  CONTIGUOUS: "7",
  HARD_LINK: "1",
  SYMLINK: "2",
  CHARACTER: "3",
  BLOCK: "4",
  DIRECTORY: "5",
  FIFO: "6",
  PAX: "x",
  PAX_GLOBAL: "g",
  GNU_LONG_NAME: "L",
  GNU_LONG_LINK: "K",
  GNU_SPARSE: "S",
} as const;

/** Where the fields of a header stand: [first byte, bytes]. */
export const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 8],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
  /** GNU's old sparse files: four extents, whether more follow, the size with holes. */
  sparse: [386, 96],
  sparseMore: [482, 1],
  sparseSize: [483, 12],
} as const;

/** In a block of further extents: 21 of them, then whether yet more follow. */
export const EXTENDED_SPARSE = { extents: 21, more: 504 } as const;
/** An extent of an old sparse file: offset and size, 12 bytes each. */
export const OLD_EXTENT = 24;

export const USTAR_MAGIC = "ustar\x0000";

/** Seconds and nanoseconds since the epoch. */
export interface Time {
  readonly sec: bigint;
  readonly nsec: number;
}

/** A part of a file that is no hole, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** A file in an archive. */
export interface TarEntry {
  /** A value of {@link TYPE}. */
  readonly type: string;
  /** As in the archive: `./directory/name`. */
  readonly path: string;
  /** Permissions alone. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  /** Of links: what a symbolic one says, or the path in the archive of the other name. */
  readonly link: string;
  /** Of devices. */
  readonly major: number;
  readonly minor: number;
  /** Of regular files, with holes. */
  readonly size: number;
  /** What of a regular file is content: all of it, if not given. */
  readonly extents?: readonly Extent[];
  /** Extended attributes. */
  readonly attributes: ReadonlyMap<string, Uint8Array>;
  /** Of directories: sockets in it, for which tar has no type. See {@link SOCKETS}. */
  readonly sockets?: string;
}

/** Keys of pax records. */
export const PAX = {
  PATH: "path",
  LINK: "linkpath",
  SIZE: "size",
  UID: "uid",
  GID: "gid",
  MTIME: "mtime",
  ATTRIBUTE: "SCHILY.xattr.",
  SPARSE_MAJOR: "GNU.sparse.major",
  SPARSE_MINOR: "GNU.sparse.minor",
  SPARSE_NAME: "GNU.sparse.name",
  SPARSE_SIZE: "GNU.sparse.realsize",
  /** Our own: `mode uid gid name` of each socket of a directory, in octal, decimal, decimal; between them NUL. */
  SOCKETS: "CRIUTS.sockets",
} as const;

/** An archive that cannot be read. */
export class TarError extends BaseError {
  override readonly name = "TarError";
  readonly kind = "image";
}

/** How many bytes of zero follow content of `size` bytes. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
