/**
 * The memory of a pre-dump: which pages a process has content in is found while it stands; they are copied while it runs on. What
 * it changes meanwhile does not matter: the dump that builds on these images takes anew what is not as it is here.
 */

import type { Id, ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { Fd } from "../linux/fd.ts";
import { fstat } from "../linux/io.ts";
import { PAGE_SIZE, TASK_SIZE } from "../linux/memory.ts";
import type { HostPid } from "../linux/pid.ts";
import { hasEnded, type Mapping } from "../linux/proc.ts";
import { log } from "../log.ts";
import type { DumpStats } from "../stats.ts";
import { isRing } from "./aio.ts";
import { isKernelShmem, openMapping } from "./describe.ts";
import { naming } from "./errors.ts";
import { sinkOf } from "./page-sink.ts";
import { PE, RunList } from "./pages.ts";
import { ProcessMemory, type UnwrittenPages } from "./parent-pages.ts";
import { Pieces } from "./pieces.ts";
import { ProcessPages } from "./process-pages.ts";
import { eachRun, pagesWithContent, storeChanged } from "./select.ts";
import { dumpShmemContent, shmidOf } from "./shmem.ts";
import { PageCopier } from "./transfer.ts";

/** What of a process was found while it stood. */
interface Found {
  readonly pid: HostPid;
  readonly id: Id;
  readonly runs: RunList;
  readonly pieces: Pieces;
}

export class MemoryPreDump implements Disposable {
  readonly #found: Found[] = [];
  /** Objects of memory that processes share, open, by their shmid. */
  readonly #shared = new Map<number, Fd>();
  readonly #copier = new PageCopier();

  constructor(
    private readonly images: ImageDir,
    private readonly stats: DumpStats,
  ) {}

  /**
   * Looks at a process that stands; `id` is its pid in the images. Pages of its own in the images before that are known to be
   * `unwritten` are left to those. @throws KernelError, MemoryError, ImageError
   */
  look(pid: HostPid, id: Id, mappings: readonly Mapping[], unwritten?: UnwrittenPages): void {
    const own = mappings.filter(hasOwnPages);
    const pageRuns = pagesWithContent(pid, own);
    const runs = new RunList();
    const pieces = new Pieces();
    const open = () => new ProcessMemory(pid);
    using before = sinkOf(this.images).before(IMAGES.pagemap, id, TASK_SIZE, open, unwritten);
    let next = 0;
    for (const mapping of own) {
      this.stats.pagesScanned += (mapping.end - mapping.start) / PAGE_SIZE;
      next = eachRun(pageRuns, next, mapping, (start, end) => {
        storeChanged({ runs, pieces }, before, start, end, PE.PRESENT);
      });
    }
    this.#found.push({ pid, id, runs, pieces });
    for (const mapping of mappings) if (isSharedMemory(mapping)) this.#share(pid, mapping);
  }

  #share(pid: HostPid, mapping: Mapping): void {
    using fd = Fd.own(naming(pid, mapping, () => openMapping(pid, mapping)));
    const { dev, ino } = fstat(fd.number);
    const shmid = shmidOf(this.images, dev, ino);
    if (!this.#shared.has(shmid)) this.#shared.set(shmid, Fd.own(fd.release()));
  }

  /** Copies what was found, of processes that run on. @throws KernelError, MemoryError */
  copy(): void {
    const began = performance.now();
    for (const { pid, id, runs, pieces } of this.#found) {
      this.stats.pagesWritten += runs.pages;
      this.stats.pagesInParent += runs.inParent;
      using pages = new ProcessPages(pid, { runs, pieces, own: [] }, this.#copier, true);
      try {
        naming(pid, "its pages", () => sinkOf(this.images).store(IMAGES.pagemap, id, pages));
      } catch (error) {
        if (!hasEnded(pid, pid)) throw error;
        log.debug("memory/pre-dump", `process ${pid}: it has ended meanwhile`);
        continue;
      }
      log.debug(
        "memory/pre-dump",
        `process ${pid}: ${runs.pages} pages, ${runs.inParent} are in the images before`,
      );
    }
    this.#copier.settle();
    this.stats.memwriteTime += Math.round((performance.now() - began) * 1000);
    for (const [shmid, fd] of this.#shared)
      this.stats.countShared(dumpShmemContent(this.images, shmid, fd.number, fstat(fd.number).size));
    this.stats.memdumpTime += Math.round((performance.now() - began) * 1000);
  }

  /** Nothing is copied any more, and nothing is open. Never throws. */
  [Symbol.dispose](): void {
    this.#copier.abandon();
    for (const fd of this.#shared.values()) fd.close();
  }
}

/** Whether pages of a mapping may be a process' own, and are the same in every image. */
function hasOwnPages(mapping: Mapping): boolean {
  const { shared, path, flags } = mapping;
  if (shared || flags.has("io") || flags.has("pf") || flags.has("dp")) return false;
  return !/^\[(vvar|vdso|vsyscall)/.test(path) && !path.startsWith("socket:[") && !isRing(mapping);
}

function isSharedMemory(mapping: Mapping): boolean {
  return mapping.shared && isKernelShmem(mapping) && !mapping.path.startsWith("/SYSV");
}
