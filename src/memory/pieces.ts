/** Pieces of a process' memory and where their bytes stand in its pages file. */
import { ImageError } from "../images/error.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import { IOV_MAX, iovec } from "../linux/iovec.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { viewOf } from "../linux/struct.ts";
import type { Cursor } from "./cow-sharing.ts";
import type { PageSource } from "./page-source.ts";
import type { Pagemap } from "./pages.ts";
import { isPrivate, type Vma } from "./vma.ts";

/** One call moves no more (the kernel's limit is just below 2 GiB). */
const MOST = 1 << 30;

/**
 * Reads the pieces of a pagemap that lie within `into`, which stands for memory from `start` on.
 * @throws KernelError, ImageError
 */
export function readStored(map: Pagemap, pieces: Pieces, start: number, into: Uint8Array): void {
  for (let i = 0; i < pieces.length; i++) {
    const at = (pieces.address[i] ?? 0) - start;
    // A piece may begin before, or go on behind.
    const first = Math.max(at, 0);
    const part = into.subarray(first, Math.max(at + (pieces.bytes[i] ?? 0), first));
    const offset = (pieces.offset[i] ?? 0) + first - at;
    for (let done = 0; done < part.length; ) done += map.readAt(part.subarray(done), offset + done);
  }
}

/** Pieces that stand one behind the other in the pages file, from `offset` on; `size` is the sum of their bytes. */
export interface Stretch {
  readonly address: number[];
  readonly bytes: number[];
  readonly offset: number;
  size: number;
}

/** Pieces in the order in which they were added: addresses and offsets ascend. */
export class Pieces {
  readonly address: number[] = [];
  readonly bytes: number[] = [];
  readonly offset: number[] = [];
  pages = 0;
  /** How many of them nothing more is joined to. */
  #divided = 0;

  /** How many pieces there are. */
  get length(): number {
    return this.address.length;
  }

  /** Bytes of all of them together. */
  get size(): number {
    return this.pages * PAGE_SIZE;
  }

  /** The offset behind the last. */
  get end(): number {
    return (this.offset.at(-1) ?? 0) + (this.bytes.at(-1) ?? 0);
  }

  /** What is added next stays apart from what is there, even where it goes on. */
  divide(): void {
    this.#divided = this.length;
  }

  add(address: number, length: number, offset: number): void {
    this.pages += length / PAGE_SIZE;
    const last = this.length - 1;
    const bytes = this.bytes[last] ?? 0;
    if (
      last >= this.#divided &&
      (this.address[last] ?? 0) + bytes === address &&
      (this.offset[last] ?? 0) + bytes === offset &&
      bytes + length <= MOST
    ) {
      this.bytes[last] = bytes + length;
      return;
    }
    for (let done = 0; done < length; done += MOST) {
      this.address.push(address + done);
      this.bytes.push(Math.min(MOST, length - done));
      this.offset.push(offset + done);
    }
  }

  /** The index of the piece that has what stands at an offset. */
  at(offset: number): number {
    let low = 0;
    for (let high = this.length; low + 1 < high; ) {
      const middle = (low + high) >>> 1;
      if ((this.offset[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Those that stand in each of the sources of a pagemap, which all are of. */
  *bySource({ sources }: Pagemap): Generator<readonly [PageSource, Pieces]> {
    for (const source of sources) yield [source, sources.length === 1 ? this : this.#within(source)];
  }

  #within({ base, end }: PageSource): Pieces {
    const found = new Pieces();
    this.offset.forEach((offset, i) => {
      if (offset < base || offset >= end) return;
      found.divide();
      found.add(this.address[i] ?? 0, this.bytes[i] ?? 0, offset);
    });
    return found;
  }

  /** Cuts them into stretches of so many bytes and pieces, at the most. */
  eachStretch(mostBytes: number, mostPieces: number, use: (stretch: Stretch) => void): void {
    let stretch: Stretch = { address: [], bytes: [], offset: 0, size: 0 };
    for (let i = 0; i < this.length; i++) {
      const size = this.bytes[i] ?? 0;
      for (let done = 0; done < size; ) {
        const offset = (this.offset[i] ?? 0) + done;
        const goesOn = offset === stretch.offset + stretch.size && stretch.address.length < mostPieces;
        if (!goesOn || stretch.size === mostBytes) {
          if (stretch.size > 0) use(stretch);
          stretch = { address: [], bytes: [], offset, size: 0 };
        }
        const part = Math.min(size - done, mostBytes - stretch.size);
        stretch.address.push((this.address[i] ?? 0) + done);
        stretch.bytes.push(part);
        stretch.size += part;
        done += part;
      }
    }
    if (stretch.size > 0) use(stretch);
  }

  /**
   * What one preadv(2) can do: bytes of iovecs, their count, bytes in all, offset. The iovecs are overwritten by the next.
   */
  eachGroup(use: (vectors: Uint8Array, count: number, bytes: number, offset: number) => void): void {
    const vectors = new Uint8Array(Math.min(IOV_MAX, this.length) * iovec.size);
    const view = viewOf(vectors);
    let count = 0;
    let bytes = 0;
    let begin = 0;
    const flush = () => {
      if (count > 0) use(vectors.subarray(0, count * iovec.size), count, bytes, begin);
      count = 0;
      bytes = 0;
    };
    for (let i = 0; i < this.length; i++) {
      const address = this.address[i] ?? 0;
      const length = this.bytes[i] ?? 0;
      const offset = this.offset[i] ?? 0;
      if (count === IOV_MAX || offset !== begin + bytes || bytes + length > MOST) flush();
      if (count === 0) begin = offset;
      const at = count * iovec.size;
      view.setUint32(at, address % 0x1_0000_0000, true);
      view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
      view.setUint32(at + 8, length, true);
      count++;
      bytes += length;
    }
    flush();
  }
}

/** Adds all pages that an image has of one mapping. */
export function addMapping(cursor: Cursor, vma: Vma, pieces: Pieces): void {
  const { map } = cursor;
  const count = map.vaddr.length;
  const end = (i: number) => (map.vaddr[i] ?? 0) + (map.bytes[i] ?? 0);
  while (cursor.next < count && end(cursor.next) <= vma.start) cursor.next++;
  for (let i = cursor.next; i < count; i++) {
    const start = map.vaddr[i] ?? 0;
    if (start >= vma.end) break;
    const from = Math.max(start, vma.start);
    pieces.add(from, Math.min(end(i), vma.end) - from, (map.offset[i] ?? 0) + from - start);
    cursor.next = i;
  }
}

/** Every page of the image lies in a private mapping. @throws ImageError */
export function checkCoverage(pid: number, vmas: readonly Vma[], map: Pagemap): void {
  let at = 0;
  for (let i = 0; i < map.vaddr.length; i++) {
    let address = map.vaddr[i] ?? 0;
    const end = address + (map.bytes[i] ?? 0);
    while (address < end) {
      while ((vmas[at]?.end ?? Number.POSITIVE_INFINITY) <= address) at++;
      const vma = vmas[at];
      if (vma === undefined || vma.start > address || !isPrivate(vma)) {
        throw new ImageError(`page 0x${address.toString(16)} is in no private mapping`, {
          file: fileName(IMAGES.pagemap, pid),
          entry: i,
        });
      }
      address = vma.end;
    }
  }
}
