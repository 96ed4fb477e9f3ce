/**
 * Page images: pagemap-*.img lists runs of pages, pages-N.img has their bytes in the same order without gaps.
 */
import { ImageError } from "../images/error.ts";
import { type Id, type ImageDir, PARENT_LINK } from "../images/image-dir.ts";
import { fileName, type IMAGES, RAW_IMAGES } from "../images/kinds.ts";
import type { PagemapEntry } from "../images/schema/generated/memory.ts";
import { O, open } from "../linux/io.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { PageSource, type ReadableBytes } from "./page-source.ts";

/** Flags of a pagemap entry. */
export const PE = {
  /** The pages are in the directory of the dump before. */
  PARENT: 1,
  /** The pages may be fetched after the process runs. */
  LAZY: 2,
  /** The pages stand in the pages file. */
  PRESENT: 4,
} as const;

export type PagemapKind = typeof IMAGES.pagemap;

const lastPagesId = new WeakMap<ImageDir, number>();

/** The next number of a pages file in a directory that is being filled. */
export function nextPagesId(images: ImageDir): number {
  const id = (lastPagesId.get(images) ?? 0) + 1;
  lastPagesId.set(images, id);
  return id;
}

/** Makes pages-`id`.img, empty, for writing. The caller closes it. @throws KernelError */
export function createPages(images: ImageDir, id: number): number {
  return open(images.rawPath(RAW_IMAGES.pages, id), O.RDWR | O.CREAT | O.TRUNC, 0o644);
}

/** Runs of pages that an image is to have, ascending. */
export class RunList {
  readonly start: number[] = [];
  readonly end: number[] = [];
  readonly flags: number[] = [];
  /** Those that are stored. */
  pages = 0;
  /** Those that the images of the dump before have. */
  inParent = 0;

  /** Adds a run behind those there are, or makes the last one longer. */
  add(start: number, end: number, flags: number): void {
    const last = this.start.length - 1;
    if (last >= 0 && this.end[last] === start && this.flags[last] === flags) this.end[last] = end;
    else {
      this.start.push(start);
      this.end.push(end);
      this.flags.push(flags);
    }
    if ((flags & PE.PARENT) === 0) this.pages += (end - start) / PAGE_SIZE;
    else this.inParent += (end - start) / PAGE_SIZE;
  }
}

/** A pagemap image of more runs is written piece by piece. */
const MANY_RUNS = 4096;

/** Writes a pagemap image. */
export function writePagemap(
  images: ImageDir,
  kind: PagemapKind,
  id: Id,
  pagesId: number,
  runs: RunList,
): void {
  const head = { pages_id: pagesId };
  const entry = (start: number, i: number): PagemapEntry => ({
    vaddr: BigInt(start),
    compat_nr_pages: 0,
    flags: runs.flags[i] ?? PE.PRESENT,
    nr_pages: BigInt(((runs.end[i] ?? start) - start) / PAGE_SIZE),
  });
  if (runs.start.length <= MANY_RUNS) {
    images.writeHeaded(kind, head, runs.start.map(entry), id);
    return;
  }
  using writer = images.writer(kind, id, head);
  runs.start.forEach((start, i) => {
    writer.add(entry(start, i));
  });
}

/** Of what is in no pages file of its own: between the offsets of two files lies so much that nothing is in. */
const GAP = PAGE_SIZE;

/** So many dumps, each on top of the one before, are read at the most. */
const MOST_PARENTS = 1024;

/**
 * A pagemap image, checked against the size of its pages file. Run i: `pages[i]` pages at `vaddr[i]`. Pages that stand in the
 * images of dumps before are among the runs, each with its source.
 */
export class Pagemap implements ReadableBytes, Disposable {
  readonly vaddr: number[] = [];
  readonly bytes: number[] = [];
  /** Where the run begins: an offset that {@link sourceAt} knows the file of. */
  readonly offset: number[] = [];
  /** Ascending by their offsets; the first is the directory's own. */
  readonly sources: PageSource[] = [];
  /** Bytes of all runs together. */
  total = 0;

  private constructor() {}

  /** The pages file that has what stands at an offset of a run. */
  sourceAt(offset: number): PageSource {
    const source = this.sources.findLast(({ base }) => base <= offset);
    if (source === undefined) throw new RangeError(`no pages are at offset ${offset}`);
    return source;
  }

  /** Reads at an offset of a run, within one source. @throws KernelError, ImageError */
  readAt(into: Uint8Array, offset: number): number {
    return this.sourceAt(offset).readAt(into, offset);
  }

  /** What messages call the directory's own pages file. */
  get file(): string {
    return this.sources[0]?.file ?? "";
  }

  close(): void {
    for (const source of this.sources) source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Reads and checks a pagemap image: runs ascending, apart, aligned, below `limit`, and as many pages as there are
   * in the pages file at least. `up` leads to the directory from that which is restored. @throws ImageError
   */
  static read(images: ImageDir, kind: PagemapKind, id: Id, limit: number, up = ""): Pagemap {
    const file = fileName(kind, id);
    const map = new Pagemap();
    let floor = 0;
    let own = 0;
    let entry = 0;
    let pagesId: number;
    const inParent: number[] = [];
    {
      using reader = images.reader(kind, id);
      pagesId = reader.head.pages_id;
      for (let record = reader.next(); record !== undefined; record = reader.next(), entry++) {
        const problem = checkEntry(record.entry, floor, limit);
        if (problem !== undefined) throw new ImageError(problem, { file: up + file, entry });
        const start = Number(record.entry.vaddr);
        const length = pagesOf(record.entry) * PAGE_SIZE;
        const isHere = (flagsOf(record.entry) & PE.PARENT) === 0;
        if (!isHere) inParent.push(map.vaddr.length);
        map.vaddr.push(start);
        map.bytes.push(length);
        map.offset.push(own);
        if (isHere) own += length;
        map.total += length;
        floor = start + length;
      }
    }
    const source = PageSource.of(images, pagesId, own, up);
    source.check();
    map.sources.push(source);
    if (inParent.length > 0) map.#join(parentMap(images, kind, id, limit, up), inParent, up + file);
    return map;
  }

  /** Gives the runs of these numbers what the dump before has of them. @throws ImageError */
  #join(before: Pagemap, inParent: readonly number[], file: string): void {
    const shift = (this.sources[0]?.end ?? 0) + GAP;
    this.sources.push(...before.sources.map((source) => source.moved(shift)));
    const own = { vaddr: this.vaddr.splice(0), bytes: this.bytes.splice(0), offset: this.offset.splice(0) };
    const wanted = new Set(inParent);
    own.vaddr.forEach((start, i) => {
      const end = start + (own.bytes[i] ?? 0);
      if (!wanted.has(i)) {
        this.#add(start, end, own.offset[i] ?? 0);
        return;
      }
      before.eachPart(start, end, (from, to, offset) => {
        if (offset === undefined) {
          const what = `page 0x${from.toString(16)} is to be in the images of the dump before, and is not`;
          throw new ImageError(what, { file, entry: i });
        }
        this.#add(from, to, offset + shift);
      });
    });
  }

  /** Cuts a range of addresses into parts, in order: those that are listed, with the offset of each, and those that are not. */
  eachPart(
    start: number,
    end: number,
    use: (start: number, end: number, offset: number | undefined) => void,
  ): void {
    let run = this.#firstEndingBehind(start);
    for (let at = start; at < end; run++) {
      const first = this.vaddr[run] ?? end;
      const from = Math.min(Math.max(first, at), end);
      if (from > at) use(at, from, undefined);
      const to = Math.min(first + (this.bytes[run] ?? 0), end);
      if (from < to) use(from, to, (this.offset[run] ?? 0) + from - first);
      at = Math.max(from, to);
    }
  }

  /** The number of the first run that ends behind an address. */
  #firstEndingBehind(address: number): number {
    let low = 0;
    for (let high = this.vaddr.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if ((this.vaddr[middle] ?? 0) + (this.bytes[middle] ?? 0) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #add(start: number, end: number, offset: number): void {
    this.vaddr.push(start);
    this.bytes.push(end - start);
    this.offset.push(offset);
  }
}

/** How many pages a run has. */
export function pagesOf(entry: PagemapEntry): number {
  return entry.nr_pages === undefined ? entry.compat_nr_pages : Number(entry.nr_pages);
}

/** The pagemap of the same process or object in the directory of the dump before; `up` leads to the directory that asks. @throws ImageError */
function parentMap(images: ImageDir, kind: PagemapKind, id: Id, limit: number, up: string): Pagemap {
  const file = up + fileName(kind, id);
  const link = `${up}${PARENT_LINK}`;
  if (up.length > MOST_PARENTS * (PARENT_LINK.length + 1))
    throw new ImageError(`more than ${MOST_PARENTS} directories lead one to the other by ${PARENT_LINK}`, {
      file,
    });
  const parent = images.parent();
  if (parent === undefined)
    throw new ImageError(`pages are to be in the images of the dump before, but ${link} leads nowhere`, {
      file,
    });
  if (!parent.has(kind, id))
    throw new ImageError(
      `pages are to be in the images of the dump before, which has no ${fileName(kind, id)}`,
      {
        file,
      },
    );
  return Pagemap.read(parent, kind, id, limit, `${link}/`);
}

function flagsOf(entry: PagemapEntry): number {
  return entry.flags ?? (entry.in_parent ? PE.PARENT : PE.PRESENT);
}

function checkEntry(entry: PagemapEntry, floor: number, limit: number): string | undefined {
  const flags = flagsOf(entry);
  if (entry.compressed_size !== undefined)
    return "compressed pages (--compress of CRIU 4.3) cannot be restored yet";
  if ((flags & ~(PE.PARENT | PE.LAZY | PE.PRESENT)) !== 0)
    return `flags 0x${(flags >>> 0).toString(16)} of the pages are not known`;
  if ((flags & (PE.PRESENT | PE.PARENT)) === 0)
    return "pages that are to be fetched from elsewhere cannot be restored yet";
  if (entry.vaddr % BigInt(PAGE_SIZE) !== 0n) return `address 0x${entry.vaddr.toString(16)} is not aligned`;
  if (entry.vaddr < BigInt(floor))
    return `address 0x${entry.vaddr.toString(16)} is not behind the one before`;
  const pages = pagesOf(entry);
  if (pages === 0 || entry.vaddr + BigInt(pages) * BigInt(PAGE_SIZE) > BigInt(limit))
    return `${pages} pages at 0x${entry.vaddr.toString(16)} are out of range`;
  return undefined;
}
