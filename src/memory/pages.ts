/**
 * Page images: pagemap-*.img lists runs of pages, pages-N.img has their bytes in the same order without gaps.
 */
import { ImageError } from "../images/error.ts";
import type { Id, ImageDir } from "../images/image-dir.ts";
import { fileName, type IMAGES, RAW_IMAGES } from "../images/kinds.ts";
import type { PagemapEntry } from "../images/schema/generated/memory.ts";
import { errnoName, KernelError } from "../linux/errno.ts";
import { close, O, open, S, type Stat, stat } from "../linux/io.ts";
import { PAGE_SIZE } from "../linux/memory.ts";

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

/** Runs of pages to be stored, ascending. */
export class RunList {
  readonly start: number[] = [];
  readonly end: number[] = [];
  readonly flags: number[] = [];
  pages = 0;

  /** Adds a run behind those there are, or makes the last one longer. */
  add(start: number, end: number, flags: number): void {
    const last = this.start.length - 1;
    if (last >= 0 && this.end[last] === start && this.flags[last] === flags) this.end[last] = end;
    else {
      this.start.push(start);
      this.end.push(end);
      this.flags.push(flags);
    }
    this.pages += (end - start) / PAGE_SIZE;
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

/** A pagemap image, checked against the size of its pages file. Run i: `pages[i]` pages at `vaddr[i]`. */
export class Pagemap implements Disposable {
  readonly vaddr: number[] = [];
  readonly bytes: number[] = [];
  /** Where the run begins in the pages file. */
  readonly offset: number[] = [];
  /** Bytes of all runs together. */
  total = 0;
  #fd: number | undefined;

  private constructor(
    readonly path: string,
    readonly file: string,
  ) {}

  /** Descriptor of the pages file, ours, opened when first needed. @throws ImageError */
  get fd(): number {
    this.#fd ??= openPages(this.path, this.file);
    return this.#fd;
  }

  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Reads and checks a pagemap image: runs ascending, apart, aligned, below `limit`, and as many pages as there are
   * in the pages file at least. @throws ImageError
   */
  static read(images: ImageDir, kind: PagemapKind, id: Id, limit: number): Pagemap {
    const file = fileName(kind, id);
    using reader = images.reader(kind, id);
    const pagesId = reader.head.pages_id;
    const pagesFile = fileName(RAW_IMAGES.pages, pagesId);
    const map = new Pagemap(images.rawPath(RAW_IMAGES.pages, pagesId), pagesFile);
    let floor = 0;
    let entry = 0;
    for (let record = reader.next(); record !== undefined; record = reader.next(), entry++) {
      const problem = checkEntry(record.entry, floor, limit);
      if (problem !== undefined) throw new ImageError(problem, { file, entry });
      const start = Number(record.entry.vaddr);
      const length = pagesOf(record.entry) * PAGE_SIZE;
      map.vaddr.push(start);
      map.bytes.push(length);
      map.offset.push(map.total);
      map.total += length;
      floor = start + length;
    }
    if (map.total > 0) map.checkSize();
    return map;
  }

  private checkSize(): void {
    const { mode, size } = statPages(this.path, this.file);
    if ((mode & S.IFMT) !== S.IFREG) throw new ImageError("not a regular file", { file: this.file });
    if (Number(size) < this.total)
      throw new ImageError(`${this.total} bytes of pages are listed, ${size} are there`, { file: this.file });
  }
}

/** How many pages a run has. */
export function pagesOf(entry: PagemapEntry): number {
  return entry.nr_pages === undefined ? entry.compat_nr_pages : Number(entry.nr_pages);
}

function checkEntry(entry: PagemapEntry, floor: number, limit: number): string | undefined {
  const flags = entry.flags ?? (entry.in_parent ? PE.PARENT : PE.PRESENT);
  if ((flags & PE.PARENT) !== 0) return "pages in a parent image cannot be restored yet";
  if (entry.compressed_size !== undefined)
    return "compressed pages (--compress of CRIU 4.3) cannot be restored yet";
  if ((flags & ~(PE.PARENT | PE.LAZY | PE.PRESENT)) !== 0)
    return `flags 0x${(flags >>> 0).toString(16)} of the pages are not known`;
  if ((flags & PE.PRESENT) === 0) return "pages that are to be fetched from elsewhere cannot be restored yet";
  if (entry.vaddr % BigInt(PAGE_SIZE) !== 0n) return `address 0x${entry.vaddr.toString(16)} is not aligned`;
  if (entry.vaddr < BigInt(floor))
    return `address 0x${entry.vaddr.toString(16)} is not behind the one before`;
  const pages = pagesOf(entry);
  if (pages === 0 || entry.vaddr + BigInt(pages) * BigInt(PAGE_SIZE) > BigInt(limit))
    return `${pages} pages at 0x${entry.vaddr.toString(16)} are out of range`;
  return undefined;
}

function refused(error: unknown, file: string): unknown {
  if (!(error instanceof KernelError)) return error;
  return new ImageError(`cannot open: ${errnoName(error.errno)}`, { file }, error);
}

function statPages(path: string, file: string): Stat {
  try {
    return stat(path);
  } catch (error) {
    throw refused(error, file);
  }
}

function openPages(path: string, file: string): number {
  try {
    return open(path, O.RDONLY | O.NONBLOCK);
  } catch (error) {
    throw refused(error, file);
  }
}
