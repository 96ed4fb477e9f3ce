/**
 * Building the memory of processes from their images.
 *
 * First, right after its birth, a process loses what it was born with, but for our area and what it keeps of its
 * parent's pages; then its private mappings are made and filled. Its children are born after that, so that what they
 * have in common with it stays shared, copy-on-write. Last, when all processes are there, come mappings of what is
 * shared, and everything that would be in the way of filling or of births: protections, advice, locks.
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { MmEntry } from "../images/schema/generated/memory.ts";
import { MAP, PROT, TASK_SIZE } from "../linux/memory.ts";
import { MADV, MAP_MORE, NO_EXE_FD, prctlMmMap } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { NsPid } from "../linux/pid.ts";
import { PR, PR_SET_MM_MAP } from "../linux/prctl.ts";
import { word } from "../linux/struct.ts";
import { rawSyscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import type { RestoreStats } from "../stats.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Span } from "../tracee/table/area.ts";
import type { Undo } from "../undo/undo.ts";
import { restoreRing } from "./aio.ts";
import { forgetWindows } from "./compare-pages.ts";
import { giveCoredumpFilter } from "./coredump-filter.ts";
import { type Cursor, compareMapping, matchMappings } from "./cow-sharing.ts";
import { rangeText } from "./errors.ts";
import { finishMappings } from "./finish-mappings.ts";
import { FreshPieces, fillFresh, isHugeByItself } from "./fresh.ts";
import { isFull, placeWithin } from "./last-mapping.ts";
import { type Layout, layoutOf, type MemoryPlan } from "./layout.ts";
import { Pagemap } from "./pages.ts";
import { addMapping, checkCoverage, Pieces } from "./pieces.ts";
import { givePolicy } from "./policies.ts";
import { SharedRestore } from "./shared-restore.ts";
import { Steps } from "./steps.ts";
import { SysvRestore } from "./sysv.ts";
import { JOB_BYTES } from "./transfer-jobs.ts";
import { mapVdso, placeVdso, planVdso, redirectVdso, syscallInVdso, type VdsoPlan } from "./vdso.ts";
import { has, isHuge, isVdso, STATUS, type Vma } from "./vma.ts";

/** Who opens the files that are mapped. */
export interface MappableFiles {
  /** A descriptor of ours of the file with this id. It stays theirs, open until all memory is restored. */
  openForMapping(id: number, writable: boolean): number;
  /** The same of a device that a plugin knows, mapped at `start`, and the offset in it, which is `offset` unless that says otherwise. */
  deviceForMapping(
    id: number,
    writable: boolean,
    start: number,
    offset: number,
  ): { readonly fd: number; readonly offset: number };
}

export type MemoryRestoreStats = Pick<RestoreStats, "pagesCompared" | "pagesSkippedCow" | "pagesRestored">;

/** Whether what is born of us has its memory merged (PR_SET_MEMORY_MERGE). */
const ownMerge = oncePerRun(() => rawSyscall(NR.prctl, PR.GET_MEMORY_MERGE, 0, 0, 0, 0) === 1);

/** So many processes work at once at most: each may hold a descriptor of ours open. */
const MOST_BEGUN = 512;

export class MemoryRestore {
  readonly #plans = new Map<NsPid, MemoryPlan>();
  readonly #shared: SharedRestore;
  readonly #sysv: SysvRestore;
  readonly #layouts = new Map<MmEntry, Layout>();
  /** The children of a process mostly have what the one before them has. */
  #lastMatch:
    | { child: readonly Vma[]; parent: readonly Vma[]; inherited: readonly (number | undefined)[] }
    | undefined;
  /** What processes still have to do, or are doing. */
  readonly #begun = new Map<MemoryPlan, Steps>();

  /**
   * Reads and checks the images of all given processes. `ipcOf` gives the number of the IPC namespace that a process has its
   * segments of, undefined where that is ours. @throws ImageError
   */
  constructor(
    private readonly images: ImageDir,
    private readonly files: MappableFiles,
    undo: Undo,
    pids: readonly NsPid[],
    ipcOf: (pid: NsPid) => number | undefined,
    private readonly stats: MemoryRestoreStats = { pagesCompared: 0, pagesSkippedCow: 0, pagesRestored: 0 },
  ) {
    this.#sysv = new SysvRestore(images, undo, ipcOf);
    this.#shared = new SharedRestore(images, this.#sysv);
    images.loadAhead(IMAGES.mm, pids);
    images.loadAhead(IMAGES.pagemap, pids);
    for (const pid of pids) this.#plans.set(pid, this.#load(pid));
    this.#placeVdsos();
  }

  /** Every mapping of every process: our area must avoid them all. */
  *spans(): Generator<Span> {
    for (const { vmas } of this.#layouts.values())
      for (const { start, end, flags } of vmas)
        yield { start, end, growsDown: (flags & MAP.GROWSDOWN) !== 0 };
    for (const { vdso } of this.#plans.values()) {
      if (vdso?.old !== undefined && vdso.place !== undefined) yield vdso.place;
    }
  }

  /** Whether some process is to have as many mappings as there may be, so that our area would be one too much. */
  get isFull(): boolean {
    return [...this.#layouts.values()].some(({ vmas }) => isFull(vmas.length));
  }

  /**
   * A place for so many bytes of ours, at a multiple of `align`, within mappings that are made in its place at the end
   * ({@link lastMapping}), away from `others`. Undefined where there is none.
   */
  placeWithin(others: readonly Span[], size: number, align: number): number | undefined {
    const plans = [...this.#plans.values()];
    if (plans.some(({ mm }) => (mm.lock_future ?? 0) !== 0)) return undefined;
    const vdsos = plans.flatMap(({ vdso }) => (vdso?.place === undefined ? [] : [vdso.place]));
    const found = placeWithin(plans, [...others, ...vdsos], size, align);
    for (const [plan, vma] of found?.mappings ?? []) plan.last = vma;
    return found?.address;
  }

  /** What a process maps in the place of our area when that goes: address, length, protection and flags as for mmap(2). */
  lastMapping(pid: NsPid): readonly [number, number, number, number] | undefined {
    const vma = this.#plan(pid).last;
    return vma === undefined ? undefined : [vma.start, vma.end - vma.start, vma.prot, vma.flags | MAP.FIXED];
  }

  /** Whether the images have so much private memory that two threads of ours may have to move it. */
  get isMuch(): boolean {
    let stored = 0;
    for (const { pages } of this.#plans.values()) stored += pages.total;
    return stored >= JOB_BYTES;
  }

  /**
   * Adds what is set last: the dumpable flag, which credentials clear; PR_SET_MDWE, once all is mapped. Sets the filter of core
   * files.
   */
  giveLast({ table, number, pid }: Restoree): void {
    const { dumpable, mdwe = 0, memory_merge = false, coredump_filter } = this.#plan(number).mm;
    giveCoredumpFilter(pid, coredump_filter);
    if (memory_merge || ownMerge())
      table.must("merging of its memory", NR.prctl, PR.SET_MEMORY_MERGE, memory_merge ? 1 : 0, 0, 0, 0);
    if (dumpable !== undefined) table.call(NR.prctl, PR.SET_DUMPABLE, dumpable, 0, 0, 0);
    if (mdwe !== 0) table.must("MDWE", NR.prctl, PR.SET_MDWE, mdwe, 0, 0, 0);
  }

  /**
   * Right after the birth of a process: its private memory, filled. `parent` is given where it was born of another
   * process of the tree, with that one's memory. @throws KernelError, ImageError, MemoryError
   */
  premap(restoree: Restoree, parent?: Restoree): void {
    const plan = this.#plan(restoree.number);
    const steps = new Steps(restoree);
    const parentPlan = parent === undefined ? undefined : this.#plan(parent.number);
    // Another executable cannot be set while the old one is mapped, and what it maps is another program anyway.
    const donor =
      parentPlan !== undefined && parentPlan.mm.exe_file_id === plan.mm.exe_file_id ? parentPlan : undefined;
    const inherited = donor === undefined ? [] : this.#match(plan, donor);
    if (donor === undefined) unmapAll(steps);
    else unmapOthers(steps, donor, inherited);
    setHugePages(steps, false);
    this.#mapVdso(steps, plan, donor);
    this.#setMarks(steps, plan, donor === undefined);
    const reads = new Pieces();
    const fresh = new FreshPieces();
    this.#mapPrivate(steps, plan, donor, inherited, reads, fresh);
    this.#fill(steps, plan, reads, fresh);
    steps.closeFile();
    const { old, place } = plan.vdso ?? {};
    if (old !== undefined && place !== undefined) {
      steps.run();
      redirectVdso(restoree.pid, old, plan.pages, place);
    }
    steps.leave();
    this.#begin(plan, steps);
    log.debug(
      "memory/restore",
      `process ${plan.pid}: ${plan.vmas.length} mappings, ${reads.pages + fresh.all} pages read`,
    );
  }

  /** Right after the birth of a process into the memory of another one. */
  shareMemory(restoree: Restoree, host: Restoree): void {
    this.#plans.set(restoree.number, this.#plan(host.number));
  }

  /** Makes the contexts of asynchronous I/O that a process had. Its memory is in place. @throws MemoryError, KernelError */
  restoreRings(restoree: Restoree): void {
    for (const entry of this.#plan(restoree.number).mm.aios) restoreRing(restoree, entry);
  }

  /**
   * When all children of a process are born: shared mappings, protections, advice, guards, locks. Calls are left in its
   * table, for the caller to add more and to start it; {@link settle} waits for it and looks at what came of them.
   * @throws KernelError, ImageError, MemoryError
   */
  complete(restoree: Restoree): void {
    const plan = this.#plan(restoree.number);
    const steps = this.#begun.get(plan) ?? new Steps(restoree);
    const { layout } = plan;
    for (const vma of layout.shared) this.#mapShared(steps, plan, vma);
    steps.closeFile();
    this.#shared.attachSegments(steps, plan);
    finishMappings(steps, plan);
    steps.leave();
    this.#begin(plan, steps);
  }

  /** An address at which a process has a system call instruction of its own, where that is known. */
  syscallAt(pid: NsPid): number | undefined {
    return syscallInVdso(this.#plan(pid).vdso);
  }

  /** Waits for what processes still work on. @throws KernelError, ImageError, MemoryError */
  settle(): void {
    for (const [plan, steps] of this.#begun) this.#conclude(plan, steps);
  }

  /** When all processes are complete: what only the work needed is closed, removed segments are removed. */
  finish(): void {
    this.settle();
    this.#close();
    this.#sysv.finish();
  }

  /** After a failure: closes what is ours. Never throws. */
  abort(): void {
    this.#close();
  }

  #match({ vmas }: MemoryPlan, donor: MemoryPlan): readonly (number | undefined)[] {
    const last = this.#lastMatch;
    if (last?.child === vmas && last.parent === donor.vmas) return last.inherited;
    const inherited = matchMappings(vmas, donor.vmas);
    this.#lastMatch = { child: vmas, parent: donor.vmas, inherited };
    return inherited;
  }

  #begin(plan: MemoryPlan, steps: Steps): void {
    this.#begun.set(plan, steps);
    const [oldest] = this.#begun.size > MOST_BEGUN ? this.#begun : [];
    if (oldest !== undefined) this.#conclude(...oldest);
  }

  #conclude(plan: MemoryPlan, steps: Steps): void {
    this.#begun.delete(plan);
    steps.run();
    plan.pages.close();
  }

  #close(): void {
    for (const { pages } of this.#plans.values()) pages.close();
    this.#shared.close();
    forgetWindows();
  }

  #plan(pid: NsPid): MemoryPlan {
    const plan = this.#plans.get(pid);
    if (plan === undefined) throw new Error(`no memory images of process ${pid} were read`);
    return plan;
  }

  #load(pid: NsPid): MemoryPlan {
    const mm = this.images.readOne(IMAGES.mm, pid);
    // Forked children often have what others have, which is one object then (images/wire.ts).
    let layout = this.#layouts.get(mm);
    if (layout === undefined) {
      layout = layoutOf(pid, mm);
      this.#layouts.set(mm, layout);
    }
    const { vmas } = layout;
    const pages = Pagemap.read(this.images, IMAGES.pagemap, pid, TASK_SIZE);
    let vdso: VdsoPlan | undefined;
    try {
      checkCoverage(pid, vmas, pages);
      vdso = planVdso(pid, vmas, pages);
    } finally {
      pages.close();
    }
    for (const vma of layout.anonShared) this.#shared.note(pid, vma);
    return { pid, mm, ...layout, layout, pages, vdso, now: vmas.map(() => undefined), last: undefined };
  }

  /** One place for all processes whose old vDSO is another one than this kernel's. */
  #placeVdsos(): void {
    const moved = [...this.#plans.values()].filter(({ vdso }) => vdso?.old !== undefined);
    if (moved.length === 0) return;
    const place = placeVdso(this.spans());
    for (const { vdso } of moved) if (vdso !== undefined) vdso.place = place;
  }

  #mapVdso(steps: Steps, { vdso }: MemoryPlan, donor: MemoryPlan | undefined): void {
    const place = vdso?.place;
    const before = donor?.vdso?.place;
    if (place?.start === before?.start && place?.end === before?.end) return;
    if (before !== undefined) steps.must("the vDSO", NR.munmap, before.start, before.end - before.start);
    if (place !== undefined) mapVdso(steps, place);
  }

  /** Where code, data, heap, arguments lie; the auxiliary vector; the executable where it is not the parent's. */
  #setMarks(steps: Steps, { mm, layout: { marks, auxv } }: MemoryPlan, withExe: boolean): void {
    const exe = withExe ? this.files.openForMapping(mm.exe_file_id, false) : undefined;
    const inside = exe === undefined ? undefined : steps.file("its executable", exe);
    // A word is kept where half of one is asked for.
    const map = new Uint8Array(marks.length + word.size);
    steps.reserve(auxv.length + map.length + 2 * ENTRY_SIZE);
    const early = inside === undefined ? NO_EXE_FD : inside.settled ? inside.value : 0;
    map.set(marks);
    prctlMmMap.encodeInto(map, 0, { auxv: auxv.length > 0 ? steps.data(auxv).address : 0, exe_fd: early });
    const at = steps.data(map);
    if (inside?.settled === false) steps.keep(inside, at.plus(prctlMmMap.offset.exe_fd));
    steps.must("the marks of its memory", NR.prctl, PR.SET_MM, PR_SET_MM_MAP, at, marks.length, 0);
  }

  #mapPrivate(
    steps: Steps,
    plan: MemoryPlan,
    donor: MemoryPlan | undefined,
    inherited: readonly (number | undefined)[],
    reads: Pieces,
    fresh: FreshPieces,
  ): void {
    const child: Cursor = { map: plan.pages, next: 0 };
    const parent: Cursor | undefined = donor === undefined ? undefined : { map: donor.pages, next: 0 };
    plan.layout.private.forEach((i) => {
      const vma = plan.vmas[i];
      if (vma === undefined || vma === plan.last || (isVdso(vma) && vma !== plan.vdso?.old)) return;
      const before = reads.pages;
      const from = inherited[i];
      if (from !== undefined && donor !== undefined && parent !== undefined) {
        compareMapping(vma, child, parent, {
          read: (address, length, offset) => reads.add(address, length, offset),
          drop: (address, length) => {
            steps.must(`mapping ${rangeText(vma)}`, NR.madvise, address, length, MADV.DONTNEED);
          },
          compared: (pages, equal) => {
            this.stats.pagesCompared += pages;
            this.stats.pagesSkippedCow += equal;
          },
        });
        const now = donor.now[from] ?? vma.prot;
        plan.now[i] = now;
        if (reads.pages > before && (now & PROT.WRITE) === 0) {
          steps.must(
            `mapping ${rangeText(vma)}`,
            NR.mprotect,
            vma.start,
            vma.end - vma.start,
            now | PROT.WRITE,
          );
          plan.now[i] = now | PROT.WRITE;
        }
        return;
      }
      const filled = isPlain(vma) ? fresh : reads;
      const pages = () => reads.pages + fresh.all;
      const empty = pages();
      // Pages are made within one mapping at a time.
      fresh.begin(mayBeHuge(plan, vma));
      addMapping(child, vma, filled);
      if (filled === fresh && pages() > empty) fresh.ranges.push(vma);
      const prot = pages() > empty ? vma.prot | PROT.WRITE : vma.prot;
      this.#map(steps, vma, prot, MAP.FIXED);
      givePolicy(steps, vma);
      plan.now[i] = prot;
    });
  }

  /** mmap(2) of one mapping as its flags say, but without locking it. */
  #map(steps: Steps, vma: Vma, prot: number, more: number, fd?: number): void {
    const object = `mapping ${rangeText(vma)}`;
    const flags = (vma.flags & ~MAP.LOCKED) | more;
    let file = fd;
    let offset = vma.pgoff;
    if (has(vma, STATUS.EXT_PLUGIN)) {
      const device = this.files.deviceForMapping(vma.object, vma.writableFile, vma.start, vma.pgoff);
      file = device.fd;
      offset = device.offset;
    } else if (file === undefined && has(vma, STATUS.FILE_PRIVATE | STATUS.FILE_SHARED | STATUS.SOCKET))
      file = this.files.openForMapping(vma.object, vma.writableFile);
    if (file === undefined) steps.must(object, NR.mmap, vma.start, vma.end - vma.start, prot, flags, -1, 0);
    else {
      const inside = steps.file(object, file);
      steps.must(
        object,
        NR.mmap,
        vma.start,
        vma.end - vma.start,
        prot,
        flags & ~MAP.ANONYMOUS,
        inside,
        offset,
      );
    }
  }

  #mapShared(steps: Steps, plan: MemoryPlan, vma: Vma): void {
    const fd = has(vma, STATUS.ANON_SHARED) ? this.#shared.object(plan, vma) : undefined;
    this.#map(steps, vma, vma.prot, MAP.FIXED, fd);
  }

  /** Lets the process read its pages from the pages file into place. */
  #fill(steps: Steps, { pages }: MemoryPlan, reads: Pieces, fresh: FreshPieces): void {
    this.stats.pagesRestored += reads.pages + fresh.all;
    const isFilled = fresh.length === 0 || fillFresh(steps, pages, fresh);
    for (const each of isFilled ? [reads] : [reads, fresh]) addReads(steps, pages, each);
    if (fresh.blocks.length === 0) return;
    setHugePages(steps, true);
    addReads(steps, pages, fresh.blocks);
    setHugePages(steps, false);
  }
}

/** Whether a process being filled gets huge pages; what it is to have in the end is set when all is filled. */
function setHugePages(steps: Steps, enabled: boolean): void {
  steps.must("huge pages", NR.prctl, PR.SET_THP_DISABLE, enabled ? 0 : 1, 0, 0, 0);
}

function mayBeHuge({ mm }: MemoryPlan, { advice }: Vma): boolean {
  return isHugeByItself() && mm.thp_disabled !== true && !advice.includes(MADV.NOHUGEPAGE);
}

function unmapAll(steps: Steps): void {
  const { area } = steps.restoree;
  steps.must("what it was born with", NR.munmap, 0, area.address);
  steps.must("what it was born with", NR.munmap, area.end, TASK_SIZE - area.end);
}

/** Unmaps what the parent has mapped and the child does not keep. */
function unmapOthers(steps: Steps, parent: MemoryPlan, inherited: readonly (number | undefined)[]): void {
  const kept = new Set(inherited);
  let start = 0;
  let end = 0;
  const flush = () => {
    if (end > start) steps.must("what it was born with", NR.munmap, start, end - start);
  };
  parent.vmas.forEach((vma, i) => {
    if (parent.now[i] === undefined || kept.has(i)) return;
    if (vma.start !== end) {
      flush();
      start = vma.start;
    }
    end = vma.end;
  });
  flush();
}

/** Whether a mapping is of anonymous memory in pages of the usual size. */
function isPlain(vma: Vma): boolean {
  return (
    has(vma, STATUS.ANON_PRIVATE) && !isHuge(vma) && !isVdso(vma) && (vma.flags & MAP_MORE.DROPPABLE) === 0
  );
}

function addReads(steps: Steps, map: Pagemap, reads: Pieces): void {
  for (const [{ file, fd, base }, pieces] of reads.bySource(map)) {
    if (pieces.length === 0) continue;
    const inside = steps.file(file, fd);
    pieces.eachGroup((vectors, count, bytes, offset) => {
      steps.reserve(vectors.length);
      const result = steps.must(file, NR.preadv, inside, steps.data(vectors), count, offset - base, 0);
      steps.expect(result, bytes, file);
    });
  }
}
