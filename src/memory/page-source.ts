/** Where stored pages come from: the pages file of a dump, or those of the dumps before it that it builds on. */

import { ImageError } from "../images/error.ts";
import type { ImageDir } from "../images/image-dir.ts";
import { fileName, RAW_IMAGES } from "../images/kinds.ts";
import { errnoName, KernelError } from "../linux/errno.ts";
import { close, O, open, read, S, type Stat, stat } from "../linux/io.ts";

/** Bytes that can be read at an offset of their own. */
export interface ReadableBytes {
  /** Fills `into` from `offset` on, as far as there is something: gives the number of bytes. @throws KernelError, ImageError */
  readAt(into: Uint8Array, offset: number): number;
}

/** A pages file. Of the offsets that a pagemap gives to its pages, those from `base` to `end` are in it. */
export class PageSource implements Disposable {
  #fd: number | undefined;

  constructor(
    readonly path: string,
    /** What messages call it. */
    readonly file: string,
    readonly base: number,
    readonly end: number,
  ) {}

  /** The pages file `id` of a directory, of `size` bytes that are listed; `up` leads to it from the directory of the restore. */
  static of(images: ImageDir, id: number, size: number, up: string): PageSource {
    const name = fileName(RAW_IMAGES.pages, id);
    return new PageSource(images.rawPath(RAW_IMAGES.pages, id), up + name, 0, size);
  }

  /** The same file for a pagemap that has its pages `by` bytes further on. */
  moved(by: number): PageSource {
    return new PageSource(this.path, this.file, this.base + by, this.end + by);
  }

  /** Descriptor of the file, ours, opened when first needed. @throws ImageError */
  get fd(): number {
    this.#fd ??= opened(this);
    return this.#fd;
  }

  /** @throws ImageError where the file is not one, or is shorter than what is listed */
  check(): void {
    const size = this.end - this.base;
    if (size === 0) return;
    const found = statusOf(this);
    if ((found.mode & S.IFMT) !== S.IFREG) throw new ImageError("not a regular file", { file: this.file });
    if (Number(found.size) < size)
      throw new ImageError(`${size} bytes of pages are listed, ${found.size} are there`, { file: this.file });
  }

  /** Reads at an offset of the pagemap's, no further than to the end of this file's. @throws KernelError, ImageError */
  readAt(into: Uint8Array, offset: number): number {
    const most = Math.min(into.length, this.end - offset);
    const got = read(this.fd, into.subarray(0, most), offset - this.base);
    if (got === 0 && most > 0) throw new ImageError("the file is cut short", { file: this.file });
    return got;
  }

  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function refused(error: unknown, file: string): unknown {
  if (!(error instanceof KernelError)) return error;
  return new ImageError(`cannot open: ${errnoName(error.errno)}`, { file }, error);
}

function statusOf({ path, file }: PageSource): Stat {
  try {
    return stat(path);
  } catch (error) {
    throw refused(error, file);
  }
}

function opened({ path, file }: PageSource): number {
  try {
    return open(path, O.RDONLY | O.NONBLOCK);
  } catch (error) {
    throw refused(error, file);
  }
}
