/**
 * `criu dedup`, and `--auto-dedup` of a dump: pages that a dump has stored anew need no room any more in the images that it builds on.
 * They are punched out of those, which are of no use but for this dump from then on.
 */

import { ImageError } from "../images/error.ts";
import { ImageDir, PARENT_LINK } from "../images/image-dir.ts";
import { IMAGES, kindOfFile } from "../images/kinds.ts";
import { BaseError } from "../linux/base-error.ts";
import { Fd } from "../linux/fd.ts";
import { listDirectory, O } from "../linux/io.ts";
import { FALLOC } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { Pagemap, type PagemapKind } from "../memory/pages.ts";
import type { Options } from "../options.ts";

/** No address of a process, and no offset in an object, is behind it. */
const LIMIT = Number.MAX_SAFE_INTEGER;

const PAGEMAPS: readonly PagemapKind[] = [IMAGES.pagemap, IMAGES.shmem_pagemap];

/** Returns the exit code. @throws ImageError, KernelError: what was punched out by then stays so */
export function dedup(options: Options): number {
  const images = ImageDir.open(options.imagesDir);
  if (images.parent() === undefined)
    throw new ImageError("there are no images that these build on", { file: PARENT_LINK });
  dropReplaced(images);
  return 0;
}

/**
 * Punches out of all images that these build on what stands in these. They must be whole: what is punched out is nowhere else.
 * @throws ImageError, KernelError
 */
export function dropReplaced(images: ImageDir): void {
  const before = images.parent();
  if (before === undefined) return;
  let bytes = 0;
  for (const name of listDirectory(images.path)) {
    const found = kindOfFile(name);
    const kind = PAGEMAPS.find((each) => each === found?.kind);
    const id = found?.id;
    if (kind === undefined || id === undefined || !before.has(kind, id)) continue;
    using newer = Pagemap.read(images, kind, id, LIMIT);
    using older = Pagemap.read(before, kind, id, LIMIT);
    bytes += punchReplaced(newer, older);
  }
  log.info("dedup", `${bytes} bytes are dropped from the images before`);
}

/** The same at the end of a dump, which is whole whatever becomes of it. */
export function dropReplacedByDump(images: ImageDir): void {
  try {
    dropReplaced(images);
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    log.warn("dedup", `the images are whole, those before are larger than they need be: ${error.message}`);
  }
}

/** Punches what is in the own file of the newer one out of the files of the older one. Gives the number of bytes. */
function punchReplaced(newer: Pagemap, older: Pagemap): number {
  const ownEnd = newer.sources[0]?.end ?? 0;
  let bytes = 0;
  newer.vaddr.forEach((start, i) => {
    if ((newer.offset[i] ?? 0) >= ownEnd) return;
    older.eachPart(start, start + (newer.bytes[i] ?? 0), (from, to, offset) => {
      if (offset === undefined) return;
      punch(older, offset, to - from);
      bytes += to - from;
    });
  });
  return bytes;
}

function punch(map: Pagemap, offset: number, length: number): void {
  const { path, file, base } = map.sourceAt(offset);
  using fd = Fd.open(path, O.RDWR);
  const mode = FALLOC.KEEP_SIZE | FALLOC.PUNCH_HOLE;
  syscall(file, NR.fallocate, fd.number, mode, offset - base, length);
}
