/** Comparing pages, byte by byte, that are stored in images or stand in the memory of a process. */

import { PAGE_SIZE } from "../linux/memory.ts";
import type { ReadableBytes } from "./page-source.ts";

/** Of what many are compared with so much is kept, so that it is read once for all of them. */
const OLDER_WINDOW = 4 << 20;
/** Of the other little enough that it is still in the processor's cache when it is compared. */
const NEWER_WINDOW = 128 << 10;

/** A piece of it in memory. */
class Window {
  readonly buffer: Buffer;
  #bytes: ReadableBytes | undefined;
  #start = 0;
  #length = 0;

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafeSlow(size);
  }

  /** Makes the page at `offset` available, and some behind it; gives where it stands in `buffer`. @throws KernelError, ImageError */
  at(bytes: ReadableBytes, offset: number): number {
    const isThere = offset >= this.#start && offset + PAGE_SIZE <= this.#start + this.#length;
    if (bytes !== this.#bytes || !isThere) {
      this.#bytes = undefined;
      let length = 0;
      while (length < PAGE_SIZE) {
        const got = bytes.readAt(this.buffer.subarray(length), offset + length);
        if (got === 0) throw new RangeError(`no whole page is at offset ${offset}`);
        length += got;
      }
      this.#bytes = bytes;
      this.#start = offset;
      this.#length = length - (length % PAGE_SIZE);
    }
    return offset - this.#start;
  }

  /** How many bytes are there from position `at` on. */
  left(at: number): number {
    return this.#length - at;
  }
}

let windows: { newer: Window; older: Window } | undefined;

/** Ends the memory of what was read: descriptors, files and processes may change from here on. */
export function forgetWindows(): void {
  windows = undefined;
}

/** Whole pages, from an offset on. */
export interface PagesAt {
  readonly bytes: ReadableBytes;
  readonly offset: number;
}

/**
 * Compares `length` bytes of whole pages; tells of them in order, by their distance from the beginning, and in pieces that
 * are equal, or single pages that are not. @throws KernelError, ImageError
 */
export function compareRange(
  newer: PagesAt,
  older: PagesAt,
  length: number,
  tell: (distance: number, length: number, isEqual: boolean) => void,
): void {
  windows ??= { newer: new Window(NEWER_WINDOW), older: new Window(OLDER_WINDOW) };
  const one = windows.newer;
  const other = windows.older;
  for (let done = 0; done < length; ) {
    const n = one.at(newer.bytes, newer.offset + done);
    const o = other.at(older.bytes, older.offset + done);
    const piece = Math.min(length - done, one.left(n), other.left(o));
    if (one.buffer.compare(other.buffer, o, o + piece, n, n + piece) === 0) tell(done, piece, true);
    else
      for (let at = 0; at < piece; at += PAGE_SIZE) {
        const from = o + at;
        const isEqual =
          one.buffer.compare(other.buffer, from, from + PAGE_SIZE, n + at, n + at + PAGE_SIZE) === 0;
        tell(done + at, PAGE_SIZE, isEqual);
      }
    done += piece;
  }
}
