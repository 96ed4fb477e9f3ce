/**
 * Building the memory of processes from their images.
 *
 * First, right after its birth, a process loses what it was born with, but for our area and what it keeps of its
 * parent's pages; then its private mappings are made and filled. Its children are born after that, so that what they
 * have in common with it stays shared, copy-on-write. Last, when all processes are there, come mappings of what is
 * shared, and everything that would be in the way of filling or of births: protections, advice, locks.
 */

import { ImageError } from "../images/error.ts";
import type { ImageDir } from "../images/image-dir.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import type { MmEntry } from "../images/schema/generated/memory.ts";
import { ERRNO, errnoName } from "../linux/errno.ts";
import { close } from "../linux/io.ts";
import { MAP, PROT, pageUp, TASK_SIZE } from "../linux/memory.ts";
import { MADV, MAP_MORE, MCL, MLOCK_ONFAULT, MREMAP, NO_EXE_FD, prctlMmMap } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { NsPid } from "../linux/pid.ts";
import { PR, PR_SET_MM_MAP, PR_SET_VMA_ANON_NAME } from "../linux/prctl.ts";
import { word } from "../linux/struct.ts";
import { cString, rawSyscall } from "../linux/syscall.ts";
import { SHM } from "../linux/sysv-ipc.ts";
import { log } from "../log.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import type { RestoreStats } from "../stats.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Span } from "../tracee/table/area.ts";
import type { Result } from "../tracee/table/table.ts";
import type { Undo } from "../undo/undo.ts";
import { restoreRing } from "./aio.ts";
import { giveCoredumpFilter } from "./coredump-filter.ts";
import { type Cursor, compareMapping, forgetWindows, matchMappings } from "./cow-sharing.ts";
import { MemoryError, naming, rangeText } from "./errors.ts";
import { FreshPieces, fillFresh, isHugeByItself } from "./fresh.ts";
import { isFull, placeWithin } from "./last-mapping.ts";
import { Pagemap } from "./pages.ts";
import { addMapping, checkCoverage, Pieces } from "./pieces.ts";
import { givePolicy } from "./policies.ts";
import { createSharedMemory, fillShmem } from "./shmem.ts";
import { Steps } from "./steps.ts";
import { SysvRestore } from "./sysv.ts";
import { JOB_BYTES } from "./transfer-jobs.ts";
import { mapVdso, placeVdso, planVdso, redirectVdso, syscallInVdso, type VdsoPlan } from "./vdso.ts";
import { checkVmas, has, isHuge, isPrivate, isVdso, STATUS, type Vma } from "./vma.ts";

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

/** One process' memory, as its images say. */
interface Plan {
  /** In the images. */
  readonly pid: NsPid;
  readonly mm: MmEntry;
  readonly vmas: readonly Vma[];
  readonly guards: readonly Vma[];
  readonly layout: Layout;
  readonly pages: Pagemap;
  readonly vdso: VdsoPlan | undefined;
  /** Protection that each mapping has now; undefined: it is not mapped yet. */
  readonly now: (number | undefined)[];
  /** The mapping that is made in the place of our area, where there is one. */
  last: Vma | undefined;
}

/** The mappings of an image, and which of them ask for what. */
interface Layout {
  readonly vmas: readonly Vma[];
  readonly guards: readonly Vma[];
  /** Indexes of those whose content is the process' own. */
  readonly private: readonly number[];
  readonly anonShared: readonly Vma[];
  /** Shared ones, System V segments and the rest. */
  readonly segments: readonly Vma[];
  readonly shared: readonly Vma[];
  /** With a name or advice; locked; sealed. */
  readonly marked: readonly Vma[];
  readonly locked: readonly Vma[];
  readonly sealed: readonly Vma[];
  /** The auxiliary vector, and struct prctl_mm_map without it and without the executable. */
  readonly auxv: Uint8Array;
  readonly marks: Uint8Array;
}

/** @throws ImageError */
function layoutOf(pid: NsPid, mm: MmEntry): Layout {
  const { vmas, guards } = checkVmas(pid, mm.vmas);
  const auxv = new Uint8Array(new BigUint64Array([...mm.mm_saved_auxv, ...mm.mm_saved_auxv_rest]).buffer);
  const marks = prctlMmMap.encode({
    start_code: mark(pid, mm.mm_start_code),
    end_code: mark(pid, mm.mm_end_code),
    start_data: mark(pid, mm.mm_start_data),
    end_data: mark(pid, mm.mm_end_data),
    start_brk: mark(pid, mm.mm_start_brk),
    brk: mark(pid, mm.mm_brk),
    start_stack: mark(pid, mm.mm_start_stack),
    arg_start: mark(pid, mm.mm_arg_start),
    arg_end: mark(pid, mm.mm_arg_end),
    env_start: mark(pid, mm.mm_env_start),
    env_end: mark(pid, mm.mm_env_end),
    auxv_size: auxv.length,
  });
  const layout = {
    vmas,
    guards,
    private: [] as number[],
    anonShared: [] as Vma[],
    segments: [] as Vma[],
    shared: [] as Vma[],
    marked: [] as Vma[],
    locked: [] as Vma[],
    sealed: [] as Vma[],
    auxv,
    marks,
  };
  vmas.forEach((vma, i) => {
    if (has(vma, STATUS.ANON_SHARED)) layout.anonShared.push(vma);
    if (has(vma, STATUS.SYSVIPC)) layout.segments.push(vma);
    else if (isPrivate(vma)) layout.private.push(i);
    else layout.shared.push(vma);
    if ((vma.flags & MAP.LOCKED) !== 0) layout.locked.push(vma);
    if (isVdso(vma)) return;
    if (vma.name !== undefined || vma.advice.length > 0 || vma.policy !== undefined) layout.marked.push(vma);
    if (vma.sealed) layout.sealed.push(vma);
  });
  return layout;
}

/** Whether what is born of us has its memory merged (PR_SET_MEMORY_MERGE). */
const ownMerge = oncePerRun(() => rawSyscall(NR.prctl, PR.GET_MEMORY_MERGE, 0, 0, 0, 0) === 1);

/** So many processes work at once at most: each may hold a descriptor of ours open. */
const MOST_BEGUN = 512;

/** A shared anonymous object: how large, and where it is once made. */
interface SharedObject {
  size: number;
  readonly flags: number;
  fd: number | undefined;
}

export class MemoryRestore {
  readonly #plans = new Map<NsPid, Plan>();
  readonly #shared = new Map<number, SharedObject>();
  readonly #sysv: SysvRestore;
  readonly #layouts = new Map<MmEntry, Layout>();
  /** The children of a process mostly have what the one before them has. */
  #lastMatch:
    | { child: readonly Vma[]; parent: readonly Vma[]; inherited: readonly (number | undefined)[] }
    | undefined;
  /** What processes still have to do, or are doing. */
  readonly #begun = new Map<Plan, Steps>();

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
    this.#attachSegments(steps, plan);
    plan.vmas.forEach((vma, i) => {
      const now = plan.now[i];
      if (now === undefined || now === vma.prot) return;
      steps.must(`mapping ${rangeText(vma)}`, NR.mprotect, vma.start, vma.end - vma.start, vma.prot);
      plan.now[i] = vma.prot;
    });
    for (const vma of layout.marked) {
      givePolicy(steps, vma);
      if (vma.name !== undefined) name(steps, vma, vma.name);
      for (const advice of vma.advice)
        steps.must(`mapping ${rangeText(vma)}`, NR.madvise, vma.start, vma.end - vma.start, advice);
    }
    for (const guard of plan.guards) {
      const object = `guards ${rangeText(guard)}`;
      steps.must(object, NR.madvise, guard.start, guard.end - guard.start, MADV.GUARD_INSTALL);
    }
    for (const vma of layout.locked) lock(steps, plan, vma);
    const disabled = plan.mm.thp_disabled === true ? 1 : 0;
    const how = disabled === 0 ? 0 : (plan.mm.thp_disable_flags ?? 0);
    steps.must("huge pages disabled", NR.prctl, PR.SET_THP_DISABLE, disabled, how, 0, 0);
    const future = (plan.mm.lock_future ?? 0) & (MCL.FUTURE | MCL.ONFAULT);
    if (future !== 0) steps.must("locking of mappings to come", NR.mlockall, future);
    for (const vma of layout.sealed)
      steps.must(`mapping ${rangeText(vma)}`, NR.mseal, vma.start, vma.end - vma.start, 0);
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

  #match({ vmas }: Plan, donor: Plan): readonly (number | undefined)[] {
    const last = this.#lastMatch;
    if (last?.child === vmas && last.parent === donor.vmas) return last.inherited;
    const inherited = matchMappings(vmas, donor.vmas);
    this.#lastMatch = { child: vmas, parent: donor.vmas, inherited };
    return inherited;
  }

  #begin(plan: Plan, steps: Steps): void {
    this.#begun.set(plan, steps);
    const [oldest] = this.#begun.size > MOST_BEGUN ? this.#begun : [];
    if (oldest !== undefined) this.#conclude(...oldest);
  }

  #conclude(plan: Plan, steps: Steps): void {
    this.#begun.delete(plan);
    steps.run();
    plan.pages.close();
  }

  #close(): void {
    for (const { pages } of this.#plans.values()) pages.close();
    for (const object of this.#shared.values()) {
      if (object.fd !== undefined) close(object.fd);
      object.fd = undefined;
    }
    forgetWindows();
  }

  #plan(pid: NsPid): Plan {
    const plan = this.#plans.get(pid);
    if (plan === undefined) throw new Error(`no memory images of process ${pid} were read`);
    return plan;
  }

  #load(pid: NsPid): Plan {
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
    for (const vma of layout.anonShared) this.#noteShared(pid, vma);
    return { pid, mm, ...layout, layout, pages, vdso, now: vmas.map(() => undefined), last: undefined };
  }

  #noteShared(pid: NsPid, vma: Vma): void {
    const size = vma.pgoff + vma.end - vma.start;
    if (has(vma, STATUS.SYSVIPC)) {
      const whole = this.#sysv.size(pid, vma.object);
      const problem =
        whole === undefined ? "is not in the image" : size > whole + (1 << 30) ? "is too small" : undefined;
      if (problem !== undefined) {
        throw new ImageError(`mapping ${rangeText(vma)}: System V segment ${vma.object} ${problem}`, {
          file: fileName(IMAGES.mm, pid),
        });
      }
      return;
    }
    const known = this.#shared.get(vma.object);
    if (known !== undefined) known.size = Math.max(known.size, size);
    else
      this.#shared.set(vma.object, {
        size,
        flags: isHuge(vma) ? vma.flags & ~(0xffff ^ MAP.NORESERVE) : vma.flags & MAP.NORESERVE,
        fd: undefined,
      });
  }

  /** One place for all processes whose old vDSO is another one than this kernel's. */
  #placeVdsos(): void {
    const moved = [...this.#plans.values()].filter(({ vdso }) => vdso?.old !== undefined);
    if (moved.length === 0) return;
    const place = placeVdso(this.spans());
    for (const { vdso } of moved) if (vdso !== undefined) vdso.place = place;
  }

  #mapVdso(steps: Steps, { vdso }: Plan, donor: Plan | undefined): void {
    const place = vdso?.place;
    const before = donor?.vdso?.place;
    if (place?.start === before?.start && place?.end === before?.end) return;
    if (before !== undefined) steps.must("the vDSO", NR.munmap, before.start, before.end - before.start);
    if (place !== undefined) mapVdso(steps, place);
  }

  /** Where code, data, heap, arguments lie; the auxiliary vector; the executable where it is not the parent's. */
  #setMarks(steps: Steps, { mm, layout: { marks, auxv } }: Plan, withExe: boolean): void {
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
    plan: Plan,
    donor: Plan | undefined,
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

  #mapShared(steps: Steps, plan: Plan, vma: Vma): void {
    const fd = has(vma, STATUS.ANON_SHARED) ? this.#sharedObject(plan, vma) : undefined;
    this.#map(steps, vma, vma.prot, MAP.FIXED, fd);
  }

  #sharedObject(plan: Plan, vma: Vma): number {
    const object = this.#shared.get(vma.object);
    if (object === undefined) throw new Error(`shared memory ${vma.object} was not noted`);
    object.fd ??= naming(plan.pid, vma, () => {
      const fd = createSharedMemory(object.size, object.flags);
      try {
        fillShmem(this.images, vma.object, fd, object.size);
      } catch (error) {
        close(fd);
        throw error;
      }
      return fd;
    });
    return object.fd;
  }

  /** Attaches System V segments: each attachment is made somewhere, and its parts are moved to where they were. */
  #attachSegments(steps: Steps, plan: Plan): void {
    if (plan.layout.segments.length === 0) return;
    const groups = new Map<string, Vma[]>();
    for (const vma of plan.layout.segments) {
      const key = `${vma.object}:${vma.start - vma.pgoff}:${vma.writableFile}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [vma]);
      else group.push(vma);
    }
    for (const group of groups.values()) {
      const [first] = group;
      if (first === undefined) continue;
      const object = `mapping ${rangeText(first)}`;
      naming(plan.pid, first, () => this.#sysv.ready(plan.pid, first.object));
      const exec = group.some((vma) => (vma.prot & PROT.EXEC) !== 0) ? SHM.EXEC : 0;
      const flags = (first.writableFile ? 0 : SHM.RDONLY) | exec;
      const attached = steps.must(object, NR.shmat, first.object, 0, flags);
      steps.run();
      const size = pageUp(this.#sysv.size(plan.pid, first.object) ?? 0);
      let at = 0;
      for (const vma of group) {
        const length = vma.end - vma.start;
        if (vma.pgoff > at) steps.must(object, NR.munmap, attached.value + at, vma.pgoff - at);
        steps.must(
          `mapping ${rangeText(vma)}`,
          NR.mremap,
          attached.value + vma.pgoff,
          length,
          length,
          MREMAP.MAYMOVE | MREMAP.FIXED,
          vma.start,
        );
        steps.must(`mapping ${rangeText(vma)}`, NR.mprotect, vma.start, length, vma.prot);
        at = vma.pgoff + length;
      }
      if (at < size) steps.must(object, NR.munmap, attached.value + at, size - at);
    }
    steps.run();
  }

  /** Lets the process read its pages from the pages file into place. */
  #fill(steps: Steps, { pages }: Plan, reads: Pieces, fresh: FreshPieces): void {
    this.stats.pagesRestored += reads.pages + fresh.all;
    const { file, fd } = pages;
    const isFilled = fresh.length === 0 || fillFresh(steps, pages, fresh);
    const small = isFilled ? [reads] : [reads, fresh];
    for (const each of small) {
      if (each.length > 0) addReads(steps, file, steps.file(file, fd), each);
    }
    if (fresh.blocks.length === 0) return;
    setHugePages(steps, true);
    addReads(steps, file, steps.file(file, fd), fresh.blocks);
    setHugePages(steps, false);
  }
}

/** Whether a process being filled gets huge pages; what it is to have in the end is set when all is filled. */
function setHugePages(steps: Steps, enabled: boolean): void {
  steps.must("huge pages", NR.prctl, PR.SET_THP_DISABLE, enabled ? 0 : 1, 0, 0, 0);
}

function mayBeHuge({ mm }: Plan, { advice }: Vma): boolean {
  return isHugeByItself() && mm.thp_disabled !== true && !advice.includes(MADV.NOHUGEPAGE);
}

function unmapAll(steps: Steps): void {
  const { area } = steps.restoree;
  steps.must("what it was born with", NR.munmap, 0, area.address);
  steps.must("what it was born with", NR.munmap, area.end, TASK_SIZE - area.end);
}

/** Unmaps what the parent has mapped and the child does not keep. */
function unmapOthers(steps: Steps, parent: Plan, inherited: readonly (number | undefined)[]): void {
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

/** A mark of the address space as a number. @throws ImageError */
function mark(pid: NsPid, value: bigint): number {
  if (value < 0n || value > BigInt(TASK_SIZE)) {
    throw new ImageError(`0x${value.toString(16)} is no address`, { file: fileName(IMAGES.mm, pid) });
  }
  return Number(value);
}

/** Names anonymous memory; a kernel that knows no names leaves it without one. */
function name(steps: Steps, vma: Vma, name: string): void {
  const text = cString(name);
  steps.reserve(text.length);
  const address = steps.data(text);
  steps.checked(
    () => {},
    NR.prctl,
    PR.SET_VMA,
    PR_SET_VMA_ANON_NAME,
    vma.start,
    vma.end - vma.start,
    address,
  );
}

/** mlock2(2). What cannot be made present (no access, a guard) is locked all the same. */
function lock(steps: Steps, { pid, guards }: Plan, vma: Vma): void {
  const onFault = vma.lockOnFault ? MLOCK_ONFAULT : 0;
  const guarded = guards.some((guard) => guard.start < vma.end && guard.end > vma.start);
  const unreachable = guarded || vma.prot === PROT.NONE || !has(vma, STATUS.ANON_PRIVATE);
  steps.checked(
    (result) => {
      if (!result.failed || (unreachable && result.raw !== -ERRNO.EPERM)) return;
      throw new MemoryError(pid, `mapping ${rangeText(vma)}: mlock2: ${errnoName(-result.raw)}`, {
        errno: -result.raw,
      });
    },
    NR.mlock2,
    vma.start,
    vma.end - vma.start,
    onFault,
  );
}

/** Whether a mapping is of anonymous memory in pages of the usual size. */
function isPlain(vma: Vma): boolean {
  return (
    has(vma, STATUS.ANON_PRIVATE) && !isHuge(vma) && !isVdso(vma) && (vma.flags & MAP_MORE.DROPPABLE) === 0
  );
}

function addReads(steps: Steps, file: string, inside: Result, reads: Pieces): void {
  reads.eachGroup((vectors, count, bytes, offset) => {
    steps.reserve(vectors.length);
    const result = steps.must(file, NR.preadv, inside, steps.data(vectors), count, offset, 0);
    steps.expect(result, bytes, file);
  });
}
