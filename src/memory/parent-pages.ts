/**
 * What of a process' memory, or of a shared object, stands already in the images of the dump before: pages that have not changed
 * since then are not stored again, but said to be there (PE_PARENT).
 */

import type { Id, ImageDir } from "../images/image-dir.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { close, O, open, read } from "../linux/io.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { compareRange, forgetWindows } from "./compare-pages.ts";
import type { ReadableBytes } from "./page-source.ts";
import { Pagemap, type PagemapKind } from "./pages.ts";

/** Which pages are known not to have been written to since the dump before. */
export interface UnwrittenPages {
  /** Cuts a range into parts, in order, of which that is known or not. */
  eachPart(start: number, end: number, use: (start: number, end: number, isUnwritten: boolean) => void): void;
}

/** What of a process or object is there by the dump before, and as it is now. */
export interface PagesBefore extends Disposable {
  /**
   * Cuts a range of whole pages into parts, in order: whether they are there as they are now. Ranges are asked for in ascending
   * order. @throws KernelError, ImageError
   */
  eachPart(start: number, end: number, use: (start: number, end: number, isThere: boolean) => void): void;
}

/** Made for one process or object, and to be disposed of. */
export class ParentPages implements PagesBefore {
  private constructor(
    private readonly map: Pagemap,
    private readonly now: ReadableBytes & Disposable,
    private readonly unwritten: UnwrittenPages | undefined,
  ) {}

  /**
   * Undefined where the images build on no others, or where those do not have process or object `id`. `open` opens what is compared
   * with them, by addresses below `limit`; what is known to be unwritten need not be compared. @throws ImageError, whatever `open`
   * throws
   */
  static of(
    images: ImageDir,
    kind: PagemapKind,
    id: Id,
    limit: number,
    open: () => ReadableBytes & Disposable,
    unwritten?: UnwrittenPages,
  ): ParentPages | undefined {
    const { previous } = images;
    if (previous?.has(kind, id) !== true) return undefined;
    const map = Pagemap.read(previous, kind, id, limit);
    return map.total === 0 ? undefined : new ParentPages(map, open(), unwritten);
  }

  eachPart(start: number, end: number, use: (start: number, end: number, isThere: boolean) => void): void {
    this.map.eachPart(start, end, (first, to, offset) => {
      if (offset === undefined) use(first, to, false);
      else if (this.unwritten === undefined) this.#compare(first, to, offset, use);
      else
        this.unwritten.eachPart(first, to, (from, until, isUnwritten) => {
          if (isUnwritten) use(from, until, true);
          else this.#compare(from, until, offset + from - first, use);
        });
    });
  }

  #compare(
    start: number,
    end: number,
    offset: number,
    use: (start: number, end: number, isThere: boolean) => void,
  ): void {
    const newer = { bytes: this.now, offset: start };
    const older = { bytes: this.map, offset };
    compareRange(newer, older, end - start, (distance, length, isEqual) => {
      use(start + distance, start + distance + length, isEqual);
    });
  }

  [Symbol.dispose](): void {
    forgetWindows();
    this.map.close();
    this.now[Symbol.dispose]();
  }
}

/** The memory of a process, by its addresses. */
export class ProcessMemory implements ReadableBytes, Disposable {
  readonly #fd: number;

  /** Of one that `runsOn` a page that has gone is zero. @throws KernelError */
  constructor(
    private readonly pid: HostPid,
    private readonly runsOn = false,
  ) {
    this.#fd = open(`/proc/${pid}/mem`, O.RDONLY);
  }

  readAt(into: Uint8Array, offset: number): number {
    const got = rawSyscall(NR.pread64, this.#fd, addressOf(into), into.length, offset);
    if (got > 0) return got;
    if (this.runsOn) {
      const page = Math.min(into.length, PAGE_SIZE - (offset % PAGE_SIZE));
      into.fill(0, 0, page);
      return page;
    }
    const place = `memory of process ${this.pid} at 0x${offset.toString(16)}`;
    throw new KernelError("pread64", place, got === 0 ? ERRNO.EIO : -got);
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** A file in whole pages: what lies behind its end, in its last page, is zero. The descriptor stays the caller's. */
export class FileBytes implements ReadableBytes, Disposable {
  constructor(private readonly fd: number) {}

  readAt(into: Uint8Array, offset: number): number {
    const got = read(this.fd, into, offset);
    if (got > 0) return got;
    const rest = Math.min(PAGE_SIZE - (offset % PAGE_SIZE), into.length);
    into.fill(0, 0, rest);
    return rest;
  }

  [Symbol.dispose](): void {}
}
