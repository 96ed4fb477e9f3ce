/** What of a memory is stored, and where: counted for each mapping, and drawn in a line as long as all mappings together. */
import type { PagemapEntry, VmaEntry } from "../../images/schema/generated/memory.ts";
import { PAGE_SIZE } from "../../linux/memory.ts";
import { PE, pagesOf } from "../../memory/pages.ts";

/** Where pages are. */
export const PLACES = ["here", "parent", "lazy"] as const;
export type Place = (typeof PLACES)[number];
/** Bytes by where they are. */
export type Bytes = Record<Place, number>;

export function noBytes(): Bytes {
  return { here: 0, parent: 0, lazy: 0 };
}

/** Pages that are in no image here are in that of the dump before, or with a page server. */
function placeOf(entry: PagemapEntry): Place {
  const flags = entry.flags ?? (entry.in_parent ? PE.PARENT : PE.PRESENT);
  if ((flags & PE.PARENT) !== 0) return "parent";
  return (flags & PE.PRESENT) !== 0 ? "here" : "lazy";
}

/** Into so many pieces a line is cut. */
export const PIECES = 800;

/** A line of a memory: its mappings one behind the other, without what is between them. */
export class Line {
  /** Of each piece how much is stored, from 0 to 1, by place. */
  readonly filled: Record<Place, Float64Array>;

  constructor(readonly length: number) {
    this.filled = {
      here: new Float64Array(PIECES),
      parent: new Float64Array(PIECES),
      lazy: new Float64Array(PIECES),
    };
  }

  /** Bytes from `start` to `end` of the line are at `place`. */
  add(place: Place, start: number, end: number): void {
    const pieces = this.filled[place];
    const scale = PIECES / this.length;
    for (let at = start * scale; at < end * scale; ) {
      const piece = Math.min(Math.floor(at), PIECES - 1);
      const next = Math.min(piece + 1, end * scale);
      // What is left at the end for the numbers' sake only.
      if (next <= at) break;
      pieces[piece] = (pieces[piece] ?? 0) + (next - at);
      at = next;
    }
  }
}

/** What is stored of the mappings of a memory, which are in order and apart. */
export class Stored {
  /** Of each mapping. */
  readonly ofVma: Bytes[];
  readonly total = noBytes();
  readonly line: Line;
  /** Where each mapping begins in the line. */
  readonly begins: number[] = [];
  private at = 0;
  /** Offset in the pages file of the next run that is there. */
  private offset = 0;

  constructor(private readonly vmas: readonly VmaEntry[]) {
    this.ofVma = vmas.map(noBytes);
    let length = 0;
    for (const { start, end } of vmas) {
      this.begins.push(length);
      length += Number(end - start);
    }
    this.line = new Line(length);
  }

  /** Adds a run of pages, in their order. `each` is told of every piece that stands in the pages file. */
  add(entry: PagemapEntry, each: (start: number, end: number, offset: number) => void): void {
    const place = placeOf(entry);
    const start = Number(entry.vaddr);
    const length = pagesOf(entry) * PAGE_SIZE;
    this.total[place] += length;
    if (place === "here") {
      // Compressed pages are not to be read at their places.
      if (entry.compressed_size === undefined) each(start, start + length, this.offset);
      this.offset += Number(entry.total_compressed_size ?? length);
    }
    this.spread(place, start, start + length);
  }

  private spread(place: Place, start: number, end: number): void {
    const { vmas } = this;
    while (this.at < vmas.length && Number(vmas[this.at]?.end) <= start) this.at++;
    for (let n = this.at; n < vmas.length; n++) {
      const vma = vmas[n];
      const bytes = this.ofVma[n];
      if (vma === undefined || bytes === undefined || Number(vma.start) >= end) return;
      const from = Math.max(start, Number(vma.start));
      const to = Math.min(end, Number(vma.end));
      bytes[place] += to - from;
      const shift = (this.begins[n] ?? 0) - Number(vma.start);
      this.line.add(place, from + shift, to + shift);
    }
  }
}
