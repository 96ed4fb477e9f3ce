/**
 * Where the pages of a dump go. A dump opens a sink for each process, and each object of shared memory, writes the pages, and
 * has them listed.
 */

import type { Id, ImageDir } from "../images/image-dir.ts";
import { createPages, nextPagesId, type PagemapKind, type RunList, writePagemap } from "./pages.ts";

/** What the pages of one process or object go to. */
export interface OpenSink {
  /** A descriptor of ours, which whoever opened the sink closes: the pages stand in the order of their runs, from offset 0 on. */
  readonly fd: number;
  /** Lists the pages; they need not all be written yet. @throws KernelError */
  list(): void;
}

export interface PageSink {
  /** Opens it for the pages of process or object `id`, which are `runs`. @throws KernelError */
  open(kind: PagemapKind, id: Id, runs: RunList): OpenSink;
}

/** Files in an image directory: pages-N.img, listed in pagemap-ID.img or pagemap-shmem-ID.img. */
export function fileSink(images: ImageDir): PageSink {
  return {
    open(kind, id, runs) {
      const pagesId = nextPagesId(images);
      const fd = createPages(images, pagesId);
      return { fd, list: () => writePagemap(images, kind, id, pagesId, runs) };
    },
  };
}
