/**
 * Saving the memory of processes: mm-PID.img (what is mapped, and the marks of the address space), pagemap-PID.img and
 * pages-N.img (the pages that are a process' own), pagemap-shmem-SHMID.img (what processes share).
 *
 * In three steps: what is mapped is described (describe.ts); which pages are stored is selected (select.ts); they are copied
 * (transfer.ts) to where they go (page-sink.ts).
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { VmaEntry } from "../images/schema/generated/memory.ts";
import { fstat, withFd } from "../linux/io.ts";
import { PAGE_SIZE, TASK_SIZE } from "../linux/memory.ts";
import type { PageRuns } from "../linux/pagemap.ts";
import type { HostPid } from "../linux/pid.ts";
import { log } from "../log.ts";
import { SLOT_SIZE } from "../machine/runner.ts";
import type { DumpStats } from "../stats.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import { Area, BULK, findGap, spansOf } from "../tracee/table/area.ts";
import type { Table } from "../tracee/table/table.ts";
import { guardEntries, type MappedFiles, MappingDescriber, openMapping } from "./describe.ts";
import { MemoryError, naming, rangeText } from "./errors.ts";
import { isFull, placeWithin } from "./last-mapping.ts";
import { askMm, type MmAnswers, mmEntry } from "./mm-entry.ts";
import { sinkOf } from "./page-sink.ts";
import { type PagesBefore, ProcessMemory, type UnwrittenPages } from "./parent-pages.ts";
import { askPolicies } from "./policies.ts";
import { ProcessPages } from "./process-pages.ts";
import { pagesWithContent, type Selection, selectPages } from "./select.ts";
import { dumpShmemContent } from "./shmem.ts";
import { SysvDump } from "./sysv.ts";
import { PageCopier } from "./transfer.ts";
import { isOfUprobes } from "./uprobes.ts";
import { checkVmas } from "./vma.ts";

/** What of a dump's figures this folder fills in. */
export type MemoryDumpStats = Pick<
  DumpStats,
  "memdumpTime" | "memwriteTime" | "pagesScanned" | "pagesWritten" | "pagesInParent" | "countShared"
>;

export class MemoryDump {
  readonly #sysv: SysvDump;
  readonly #copier = new PageCopier();
  readonly #describer: MappingDescriber;
  #answers: MmAnswers | undefined;
  #hasUprobes = false;

  constructor(
    private readonly images: ImageDir,
    private readonly files: MappedFiles,
    private readonly stats: MemoryDumpStats,
    hasOwnIpc: (pid: HostPid) => boolean = () => false,
    private readonly allowUprobes = false,
    /** What is known of processes since the dump before. */
    private readonly unwritten: ReadonlyMap<HostPid, UnwrittenPages> = new Map(),
  ) {
    const sysv = new SysvDump(images, hasOwnIpc);
    this.#sysv = sysv;
    this.#describer = new MappingDescriber(images, files, (dumpee, mapping) => sysv.note(dumpee, mapping));
  }

  /**
   * Adds to a table what processes alone can tell of their memory. When dumpProcess is called, its answers are to be those
   * of that process.
   */
  ask(table: Table): void {
    this.#answers = askMm(table);
  }

  /**
   * Saves what a process has mapped, and its pages, which may still be copied until `finish`. @throws MemoryError, KernelError,
   * whatever the MappedFiles throw
   */
  dumpProcess(whole: Dumpee): void {
    const began = performance.now();
    const dumpee = this.#withoutUprobes(whole);
    const { pid } = dumpee;
    const answers = this.#answers;
    if (answers === undefined) throw new Error(`process ${pid} was not asked about its memory`);
    const described = this.#describer.describe(dumpee);
    const runs = pagesWithContent(pid, dumpee.mappings);
    const policies = askPolicies(dumpee.table, dumpee.mappings);
    const entries = described.map(({ mapping, entry }) => {
      const policy = policies.get(mapping);
      return policy === undefined ? entry : { ...entry, policy };
    });
    entries.push(...guardEntries(runs, dumpee.mappings));
    this.#refuseWithoutPlace(dumpee, entries, runs);
    const mm = mmEntry(dumpee, entries, this.files.exeFile(dumpee), answers);
    this.images.writeAll(IMAGES.mm, [mm], dumpee.numberOf(pid));
    using before = this.#pagesBefore(dumpee);
    this.#copy(dumpee, selectPages(dumpee, described, runs, dumpee !== whole, before));
    this.stats.memdumpTime += Math.round((performance.now() - began) * 1000);
  }

  /** What is there of it by the dump that this one builds on. */
  #pagesBefore({ pid, numberOf }: Dumpee): PagesBefore | undefined {
    const open = () => new ProcessMemory(pid);
    const unwritten = this.unwritten.get(pid);
    return sinkOf(this.images).before(IMAGES.pagemap, numberOf(pid), TASK_SIZE, open, unwritten);
  }

  /** A restore has an area of its own in the process, until it lets go of it. @throws MemoryError where that cannot be */
  #refuseWithoutPlace(
    { pid, numberOf, mappings }: Dumpee,
    entries: readonly VmaEntry[],
    runs: PageRuns,
  ): void {
    const size = Area.sizeFor(1, BULK.RESTORE);
    const full = isFull(mappings.length);
    if (!full && findGap(spansOf(mappings), size, SLOT_SIZE) !== undefined) return;
    const { vmas, guards } = checkVmas(numberOf(pid), entries);
    const pages = { vaddr: runs.start, bytes: runs.end.map((end, i) => end - (runs.start[i] ?? end)) };
    if (placeWithin([{ vmas, guards, pages }], [], size, SLOT_SIZE) !== undefined) return;
    const what = full
      ? "its mappings are as many as vm.max_map_count allows: a larger one helps"
      : "its address space is full";
    throw new MemoryError(pid, `${what}; none of ${size} bytes without content is there to be made last`);
  }

  /** Whether a process had a mapping that a uprobe needs, which is not saved. */
  get hasUprobes(): boolean {
    return this.#hasUprobes;
  }

  /** Such a mapping is the kernel's own, who makes another one when the probe is hit again. @throws MemoryError */
  #withoutUprobes(dumpee: Dumpee): Dumpee {
    const { pid, mappings } = dumpee;
    const found = mappings.find(isOfUprobes);
    if (found === undefined) return dumpee;
    if (!this.allowUprobes)
      throw new MemoryError(
        pid,
        `mapping ${rangeText(found)} (${found.path}) belongs to a uprobe; --allow-uprobes leaves it out, if the probe is there at the restore too`,
      );
    this.#hasUprobes = true;
    return { ...dumpee, mappings: mappings.filter((mapping) => mapping !== found) };
  }

  /** After a failure: nothing is copied any more. Never throws. */
  abort(): void {
    this.#copier.abandon();
  }

  /** Saves what the processes share, after all of them. @throws MemoryError, KernelError */
  finish(): void {
    const began = performance.now();
    this.#copier.settle();
    this.stats.memwriteTime += Math.round((performance.now() - began) * 1000);
    for (const { shmid, pid, mapping } of this.#describer.shared.values()) {
      naming(pid, mapping, () => {
        withFd(openMapping(pid, mapping), (fd) => {
          this.stats.countShared(dumpShmemContent(this.images, shmid, fd, Number(fstat(fd).size)));
        });
      });
    }
    for (const counts of this.#sysv.finish()) this.stats.countShared(counts);
    this.stats.memdumpTime += Math.round((performance.now() - began) * 1000);
  }

  /** Sets the copying going. */
  #copy(dumpee: Dumpee, selection: Selection): void {
    const { pid } = dumpee;
    const { runs, scanned } = selection;
    this.stats.pagesScanned += scanned;
    this.stats.pagesWritten += runs.pages;
    this.stats.pagesInParent += runs.inParent;
    dumpee.frozen.memory = runs.pages * PAGE_SIZE;
    const began = performance.now();
    using pages = new ProcessPages(pid, selection, this.#copier);
    naming(pid, "its pages", () => {
      sinkOf(this.images).store(IMAGES.pagemap, dumpee.numberOf(pid), pages);
    });
    this.stats.memwriteTime += Math.round((performance.now() - began) * 1000);
    log.debug("memory/dump", `process ${pid}: ${dumpee.mappings.length} mappings, ${runs.pages} pages`);
  }
}
