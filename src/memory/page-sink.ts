/**
 * Where the pages of a dump go: to files of the image directory, or elsewhere (migrate/page-client.ts). A dump stores the pages of
 * each process and of each object of shared memory.
 */

import type { Id, ImageDir } from "../images/image-dir.ts";
import type { ReadableBytes } from "./page-source.ts";
import { createPages, nextPagesId, type PagemapKind, type RunList, writePagemap } from "./pages.ts";
import { type PagesBefore, ParentPages, type UnwrittenPages } from "./parent-pages.ts";

/** The pages of a process or object, one behind the other from offset 0 on in the order of their runs. */
export interface StoredPages extends ReadableBytes {
  readonly runs: RunList;
  /** Puts them into a file, whose descriptor is no longer the caller's; that may go on for as long as the process stands. @throws KernelError */
  intoFile(fd: number): void;
}

export interface PageSink {
  /** Takes the pages of process or object `id`, and lists them. @throws KernelError */
  store(kind: PagemapKind, id: Id, pages: StoredPages): void;
  /**
   * What is there of a process or object by the dump that this one builds on; the caller's, who disposes of it. Undefined where
   * nothing is. `open` opens what it is now, by addresses below `limit`; what is known to be `unwritten` is as it was.
   * @throws KernelError, ImageError, whatever `open` throws
   */
  before(
    kind: PagemapKind,
    id: Id,
    limit: number,
    open: () => ReadableBytes & Disposable,
    unwritten?: UnwrittenPages,
  ): PagesBefore | undefined;
}

const sinks = new WeakMap<ImageDir, PageSink>();

/** Has the pages of a dump to a directory go elsewhere. */
export function setSink(images: ImageDir, sink: PageSink): void {
  sinks.set(images, sink);
}

/** Where the pages of a dump to a directory go. */
export function sinkOf(images: ImageDir): PageSink {
  return sinks.get(images) ?? fileSink(images);
}

/** Files in an image directory: pages-N.img, listed in pagemap-ID.img or pagemap-shmem-ID.img. */
function fileSink(images: ImageDir): PageSink {
  return {
    store(kind, id, pages) {
      const pagesId = nextPagesId(images);
      pages.intoFile(createPages(images, pagesId));
      writePagemap(images, kind, id, pagesId, pages.runs);
    },
    before: (kind, id, limit, open, unwritten) => ParentPages.of(images, kind, id, limit, open, unwritten),
  };
}
