/**
 * Saving the memory of processes: mm-PID.img (what is mapped, and the marks of the address space), pagemap-PID.img and
 * pages-N.img (the pages that are a process' own), pagemap-shmem-SHMID.img (what processes share).
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { Repeated } from "../images/repeated.ts";
import { type MmEntry, VmaEntry } from "../images/schema/generated/memory.ts";
import { keepBytes } from "../images/wire.ts";
import { close, fstat, O, open, readFileBytes, stat, withFd, writeAll } from "../linux/io.ts";
import { isZero, MAP, PAGE_SIZE, pageDown, readMemory } from "../linux/memory.ts";
import { MAP_MORE, MCL } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { type PageRuns, scanPages } from "../linux/pagemap.ts";
import type { HostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import type { Mapping } from "../linux/proc.ts";
import { viewOf } from "../linux/struct.ts";
import { log } from "../log.ts";
import { SLOT_SIZE } from "../machine/runner.ts";
import type { DumpStats } from "../stats.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import { Area, BULK, findGap, spansOf } from "../tracee/table/area.ts";
import type { Result, Table } from "../tracee/table/table.ts";
import { isRing, ringEntry } from "./aio.ts";
import { USUAL_COREDUMP_FILTER } from "./coredump-filter.ts";
import { MemoryError, naming, type Range, rangeText } from "./errors.ts";
import { isFull, placeWithin } from "./last-mapping.ts";
import { createPages, nextPagesId, PE, RunList, writePagemap } from "./pages.ts";
import { Pieces } from "./pieces.ts";
import { askPolicies } from "./policies.ts";
import { createSharedMemory, dumpShmemContent, shmidOf } from "./shmem.ts";
import { SysvDump } from "./sysv.ts";
import { PageCopier } from "./transfer.ts";
import { isOfUprobes, mayBeProbed, probedPages } from "./uprobes.ts";
import { adviceBits, anonymousName, checkVmas, isPrivate, mapFlags, protection, STATUS } from "./vma.ts";

/** Who saves the files that are mapped. */
export interface MappedFiles {
  /** Id, in files.img, of the file under a mapping. */
  mappedFile(dumpee: Dumpee, mapping: Mapping): number;
  /** The same of a device, if a plugin saves what is behind it. */
  mappedDevice(dumpee: Dumpee, mapping: Mapping): number | undefined;
  /** Id of the executable of a process (/proc/PID/exe). */
  exeFile(dumpee: Dumpee): number;
}

/** What of a dump's figures this folder fills in. */
export type MemoryDumpStats = Pick<
  DumpStats,
  "memdumpTime" | "memwriteTime" | "pagesScanned" | "pagesWritten" | "countShared"
>;

/** A shared object to be stored in the end: by one of its mappings. */
interface SharedObject {
  readonly shmid: number;
  readonly pid: HostPid;
  readonly mapping: Mapping;
}

/** What a process told of its memory. */
interface Answers {
  readonly brk: Result;
  readonly dumpable: Result;
  readonly thpDisabled: Result;
  readonly mdwe: Result;
  readonly merge: Result;
}

/** A mapping with the entry that the image has of it. */
interface Described {
  readonly mapping: Mapping;
  readonly entry: VmaEntry;
}

const shmemDevice = oncePerRun(() => withFd(createSharedMemory(PAGE_SIZE, 0), (fd) => Number(fstat(fd).dev)));

/** The device of the kernel's own tmpfs: shared anonymous memory, memfds, System V segments. */
function isKernelShmem({ major, minor }: Mapping): boolean {
  // dev_t as stat(2) has it: the low byte of the minor, the major, the rest of the minor.
  const device = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
  return device === shmemDevice();
}

const HUGE = "/anon_hugepage (deleted)";

export class MemoryDump {
  readonly #shared = new Map<number, SharedObject>();
  readonly #sysv: SysvDump;
  readonly #copier = new PageCopier();
  #answers: Answers | undefined;
  readonly #entries = new Map<Mapping, { readonly entry: VmaEntry; kept: boolean }>();

  #hasUprobes = false;

  constructor(
    private readonly images: ImageDir,
    private readonly files: MappedFiles,
    private readonly stats: MemoryDumpStats,
    hasOwnIpc: (pid: HostPid) => boolean = () => false,
    private readonly allowUprobes = false,
  ) {
    this.#sysv = new SysvDump(images, hasOwnIpc);
  }

  /**
   * Adds to a table what processes alone can tell of their memory. When dumpProcess is called, its answers are to be those
   * of that process.
   */
  ask(table: Table): void {
    this.#answers = {
      brk: table.must("its break", NR.brk, 0),
      dumpable: table.must("its dumpable flag", NR.prctl, PR.GET_DUMPABLE, 0, 0, 0, 0),
      thpDisabled: table.call(NR.prctl, PR.GET_THP_DISABLE, 0, 0, 0, 0),
      mdwe: table.call(NR.prctl, PR.GET_MDWE, 0, 0, 0, 0),
      merge: table.call(NR.prctl, PR.GET_MEMORY_MERGE, 0, 0, 0, 0),
    };
  }

  /**
   * Saves what a process has mapped, and its pages, which may still be copied until `finish`. @throws MemoryError, KernelError,
   * whatever the files room throws
   */
  dumpProcess(whole: Dumpee): void {
    const began = performance.now();
    const dumpee = this.#withoutUprobes(whole);
    const { pid } = dumpee;
    const answers = this.#answers;
    if (answers === undefined) throw new Error(`process ${pid} was not asked about its memory`);
    const described = this.#describe(dumpee);
    const runs = naming(pid, "its pages", () =>
      scanPages(pid, dumpee.mappings, dumpee.mappings.filter(isLargeAndFileless)),
    );
    const policies = askPolicies(dumpee.table, dumpee.mappings);
    const entries = described.map(({ mapping, entry }) => {
      const policy = policies.get(mapping);
      return policy === undefined ? entry : { ...entry, policy };
    });
    entries.push(...guardEntries(runs, dumpee.mappings));
    this.#refuseWithoutPlace(dumpee, entries, runs);
    this.images.writeAll(IMAGES.mm, [this.#mm(dumpee, entries, answers)], dumpee.numberOf(pid));
    this.#dumpPages(dumpee, described, runs, dumpee !== whole);
    this.stats.memdumpTime += Math.round((performance.now() - began) * 1000);
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
    for (const { shmid, pid, mapping } of this.#shared.values()) {
      naming(pid, mapping, () => {
        withFd(openMapping(pid, mapping), (fd) => {
          this.stats.countShared(dumpShmemContent(this.images, shmid, fd, Number(fstat(fd).size)));
        });
      });
    }
    for (const counts of this.#sysv.finish()) this.stats.countShared(counts);
    this.stats.memdumpTime += Math.round((performance.now() - began) * 1000);
  }

  #describe(dumpee: Dumpee): Described[] {
    const out: Described[] = [];
    for (const mapping of dumpee.mappings) {
      const entry = this.#entry(dumpee, mapping);
      const last = out[out.length - 1];
      // The kernel shows its data for the vDSO in parts; they are one to us and to CRIU.
      if (
        last !== undefined &&
        (entry.status & STATUS.VVAR) !== 0 &&
        (last.entry.status & STATUS.VVAR) !== 0
      ) {
        out[out.length - 1] = { ...last, entry: { ...last.entry, end: entry.end } };
        continue;
      }
      out.push({ mapping, entry });
    }
    return out;
  }

  /** Processes of a tree have many mappings in common, whose entries are made once. */
  #entry(dumpee: Dumpee, mapping: Mapping): VmaEntry {
    const known = this.#entries.get(mapping);
    if (known === undefined) {
      const entry = this.#newEntry(dumpee, mapping);
      // A SysV segment counts who has attached it, and a plugin is asked for each process.
      if ((entry.status & (STATUS.SYSVIPC | STATUS.EXT_PLUGIN)) === 0)
        this.#entries.set(mapping, { entry, kept: false });
      return entry;
    }
    if (!known.kept) keepBytes(VmaEntry, known.entry);
    known.kept = true;
    return known.entry;
  }

  #newEntry(dumpee: Dumpee, mapping: Mapping): VmaEntry {
    const entry: VmaEntry = {
      start: BigInt(mapping.start),
      end: BigInt(mapping.end),
      pgoff: BigInt(mapping.offset),
      shmid: 0n,
      prot: protection(mapping),
      flags: mapFlags(mapping),
      status: STATUS.REGULAR,
      fd: -1n,
      madv: adviceBits(mapping),
    };
    if (mapping.flags.has("lf")) entry.lock_on_fault = true;
    if (mapping.flags.has("sl")) entry.sealed = true;
    entry.anon_name = anonymousName(mapping);
    this.#recognise(dumpee, mapping, entry);
    return entry;
  }

  #recognise(dumpee: Dumpee, mapping: Mapping, entry: VmaEntry): void {
    const { pid } = dumpee;
    const { path, flags, shared } = mapping;
    const refuse = (what: string): never => {
      throw new MemoryError(pid, `mapping ${rangeText(mapping)} (${path}): ${what} cannot be dumped yet`);
    };
    if (flags.has("ss")) refuse("a shadow stack");
    if (path.startsWith("[") || path === "") {
      entry.flags |= MAP.ANONYMOUS;
      if (path === "[vsyscall]") entry.status = STATUS.VSYSCALL | STATUS.ANON_PRIVATE;
      else if (path === "[vdso]") entry.status |= STATUS.VDSO | STATUS.ANON_PRIVATE;
      else if (path.startsWith("[vvar")) entry.status |= STATUS.VVAR | STATUS.ANON_PRIVATE;
      else if (path === "[heap]") entry.status |= STATUS.HEAP | STATUS.ANON_PRIVATE;
      else if (flags.has("io") || flags.has("pf")) refuse("device memory");
      else if (shared) this.#share(dumpee, mapping, entry);
      else entry.status |= STATUS.ANON_PRIVATE;
      return;
    }
    if (isRing(mapping)) {
      entry.status = STATUS.AIORING;
      entry.pgoff = 0n;
      return;
    }
    if (!path.startsWith("/")) refuse(`a mapping of ${path}`);
    if (path.startsWith("/secretmem")) refuse("secret memory");
    const kernelShmem = isKernelShmem(mapping);
    const huge = flags.has("ht");
    if ((kernelShmem || huge) && /^\/SYSV[0-9a-f]{8}/.test(path)) {
      entry.flags |= MAP.ANONYMOUS;
      entry.status |= STATUS.ANON_SHARED | STATUS.SYSVIPC;
      entry.shmid = BigInt(mapping.inode);
      entry.fdflags = flags.has("mw") ? O.RDWR : O.RDONLY;
      this.#sysv.note(dumpee, mapping);
      return;
    }
    if (huge) entry.flags |= hugeSize(pid, mapping);
    if (huge && path === HUGE && !shared) {
      entry.flags |= MAP.ANONYMOUS;
      entry.pgoff = 0n;
      entry.status |= STATUS.ANON_PRIVATE;
      return;
    }
    if (shared && huge && path === HUGE) {
      entry.flags |= MAP.ANONYMOUS;
      this.#share(dumpee, mapping, entry);
      return;
    }
    const device = this.files.mappedDevice(dumpee, mapping);
    if (device !== undefined) entry.status |= STATUS.EXT_PLUGIN;
    else if ((flags.has("io") || flags.has("pf")) && !shared) refuse("device memory");
    entry.status |= shared ? STATUS.FILE_SHARED : STATUS.FILE_PRIVATE;
    if (kernelShmem || (huge && path.startsWith("/memfd:"))) entry.status |= STATUS.MEMFD;
    // A private mapping does not tell how its file was opened, and it makes no difference to it.
    entry.fdflags = shared && flags.has("mw") ? O.RDWR : O.RDONLY;
    entry.shmid = BigInt(device ?? this.files.mappedFile(dumpee, mapping));
  }

  #share(dumpee: Dumpee, mapping: Mapping, entry: VmaEntry): void {
    const shmid = shmidOf(this.images, `${mapping.major}:${mapping.minor}`, mapping.inode);
    entry.status |= STATUS.ANON_SHARED;
    entry.shmid = BigInt(shmid);
    if (!this.#shared.has(shmid)) this.#shared.set(shmid, { shmid, pid: dumpee.pid, mapping });
  }

  #mm(dumpee: Dumpee, vmas: VmaEntry[], { brk, dumpable, thpDisabled, mdwe, merge }: Answers): MmEntry {
    const { pid, proc } = dumpee;
    const { stat } = proc;
    const auxv = readAuxv(pid);
    return {
      mm_start_code: BigInt(stat.startCode),
      mm_end_code: BigInt(stat.endCode),
      mm_start_data: BigInt(stat.startData),
      mm_end_data: BigInt(stat.endData),
      mm_start_stack: BigInt(stat.startStack),
      mm_start_brk: BigInt(stat.startBrk),
      mm_brk: BigInt(brk.value),
      mm_arg_start: BigInt(stat.argStart),
      mm_arg_end: BigInt(stat.argEnd),
      mm_env_start: BigInt(stat.envStart),
      mm_env_end: BigInt(stat.envEnd),
      exe_file_id: this.files.exeFile(dumpee),
      mm_saved_auxv: auxv.slice(0, AUXV_WORDS),
      mm_saved_auxv_rest: auxv.slice(AUXV_WORDS),
      vmas,
      dumpable: dumpable.value,
      aios: dumpee.mappings.filter(isRing).map((mapping) => ringEntry(pid, mapping)),
      thp_disabled: !thpDisabled.failed && thpDisabled.raw !== 0,
      lock_future: lockedInFuture(dumpee),
      mdwe: mdwe.raw > 0 ? mdwe.raw : undefined,
      memory_merge: merge.raw === 1 ? true : undefined,
      // GET_THP_DISABLE gives 1 and the flags.
      thp_disable_flags: thpDisabled.raw > 1 ? thpDisabled.raw & ~1 : undefined,
      coredump_filter: proc.coredumpFilter === USUAL_COREDUMP_FILTER ? undefined : proc.coredumpFilter,
    };
  }

  #dumpPages(dumpee: Dumpee, described: readonly Described[], pageRuns: PageRuns, hasProbes: boolean): void {
    const { pid } = dumpee;
    const runs = new RunList();
    const pieces = new Pieces();
    const covered = coveredPages(dumpee);
    const own: { bytes: Uint8Array; offset: number }[] = [];
    let next = 0;
    for (const { entry, mapping } of described) {
      if ((entry.status & STATUS.AIORING) !== 0) {
        pieces.add(mapping.start, mapping.end - mapping.start, runs.pages * PAGE_SIZE);
        runs.add(mapping.start, mapping.end, PE.PRESENT);
        continue;
      }
      if (!isPrivate({ status: entry.status, end: mapping.end })) continue;
      if (
        (entry.status & (STATUS.VVAR | STATUS.EXT_PLUGIN)) !== 0 ||
        (entry.flags & MAP_MORE.DROPPABLE) !== 0
      )
        continue;
      this.stats.pagesScanned += (mapping.end - mapping.start) / PAGE_SIZE;
      if ((entry.status & STATUS.VDSO) !== 0) {
        // All of it, so that calls into it stay right under a kernel that has another one.
        pieces.add(mapping.start, mapping.end - mapping.start, runs.pages * PAGE_SIZE);
        runs.add(mapping.start, mapping.end, PE.PRESENT);
        continue;
      }
      const flags = PE.PRESENT | (canBeLazy(entry) ? PE.LAZY : 0);
      next = eachRun(pageRuns, next, mapping, (start, end) => {
        let at = start;
        const special = hasProbes && mayBeProbed(mapping) ? ofTheFile(pid, mapping, start, end) : covered;
        for (const { address, bytes } of special) {
          if (address < at || address >= end) continue;
          if (address > at) {
            pieces.add(at, address - at, runs.pages * PAGE_SIZE);
            runs.add(at, address, flags);
          }
          at = address + PAGE_SIZE;
          // A page without content was most likely never touched before we came.
          if (isZero(bytes)) continue;
          own.push({ bytes, offset: runs.pages * PAGE_SIZE });
          runs.add(address, at, flags);
        }
        if (at === end) return;
        pieces.add(at, end - at, runs.pages * PAGE_SIZE);
        runs.add(at, end, flags);
      });
    }
    this.stats.pagesWritten += runs.pages;
    dumpee.frozen.memory = runs.pages * PAGE_SIZE;
    const began = performance.now();
    const pagesId = nextPagesId(this.images);
    const fd = createPages(this.images, pagesId);
    naming(pid, "its pages", () => {
      try {
        for (const { bytes, offset } of own) writeAll(fd, bytes, offset);
      } catch (error) {
        close(fd);
        throw error;
      }
      this.#copier.copy(pid, pieces, fd);
    });
    writePagemap(this.images, IMAGES.pagemap, dumpee.numberOf(pid), pagesId, runs);
    this.stats.memwriteTime += Math.round((performance.now() - began) * 1000);
    log.debug("memory/dump", `process ${pid}: ${dumpee.mappings.length} mappings, ${runs.pages} pages`);
  }
}

/** A page that is not saved. */
const NOTHING = new Uint8Array(PAGE_SIZE);

/** Pages that are the file's but for the kernel's breakpoints, ascending: nothing of them is the process' own. */
function ofTheFile(pid: HostPid, mapping: Mapping, start: number, end: number): CoveredPage[] {
  return probedPages(pid, mapping, start, end).map((address) => ({ address, bytes: NOTHING }));
}

interface CoveredPage {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Pages that hold something of ours just now, ascending, with the content that is the process' own. */
function coveredPages({ pid, entered }: Dumpee): CoveredPage[] {
  const pages = new Map<number, Uint8Array>();
  for (const { address: start, bytes: original } of entered.covered) {
    const end = start + original.length;
    for (let address = pageDown(start); address < end; address += PAGE_SIZE) {
      const bytes = pages.get(address) ?? readMemory(pid, address, new Uint8Array(PAGE_SIZE));
      const from = Math.max(address, start);
      const to = Math.min(address + PAGE_SIZE, end);
      bytes.set(original.subarray(from - start, to - start), from - address);
      pages.set(address, bytes);
    }
  }
  return [...pages].map(([address, bytes]) => ({ address, bytes })).sort((a, b) => a.address - b.address);
}

/** Mappings of this size are looked at by a call of their own: each page is cheaper to look at there. */
const LARGE = 16 << 20;

function isLargeAndFileless({ start, end, read, shared, path }: Mapping): boolean {
  return end - start >= LARGE && read && !shared && (path === "" || path.startsWith("["));
}

/** Whether CRIU would let pages of this mapping come after the process runs (lazy-pages). */
function canBeLazy({ flags }: VmaEntry): boolean {
  const kind = MAP.ANONYMOUS | MAP.PRIVATE;
  return (flags & (kind | MAP.LOCKED | MAP.HUGETLB)) === kind;
}

/**
 * Gives the content of `mapping` to `use`, run by run; `next` is the index of the first run that can lie in it. Returns
 * that of the first run that can lie in the mapping behind.
 */
function eachRun(
  runs: PageRuns,
  next: number,
  mapping: Range,
  use: (start: number, end: number) => void,
): number {
  const count = runs.start.length;
  let i = next;
  while (i < count && (runs.end[i] ?? 0) <= mapping.start) i++;
  for (; i < count; i++) {
    const start = Math.max(runs.start[i] ?? 0, mapping.start);
    const end = Math.min(runs.end[i] ?? 0, mapping.end);
    if (start >= mapping.end) break;
    if (runs.guard[i] !== true && start < end) use(start, end);
    // A run may go on in the next mapping.
    if ((runs.end[i] ?? 0) > mapping.end) break;
  }
  return i;
}

/** Ranges of guards as entries, which stand behind all mappings. Our own area has none. */
function guardEntries(runs: PageRuns, mappings: readonly Mapping[]): VmaEntry[] {
  const entries: VmaEntry[] = [];
  runs.start.forEach((start, i) => {
    if (runs.guard[i] !== true) return;
    const end = runs.end[i] ?? start;
    if (!mappings.some((mapping) => mapping.start < end && mapping.end > start)) return;
    entries.push({
      start: BigInt(start),
      end: BigInt(end),
      pgoff: 0n,
      shmid: 0n,
      prot: 0,
      flags: 0,
      status: STATUS.GUARD,
      fd: -1n,
    });
  });
  return entries;
}

/**
 * What mlockall(2) was told of mappings to come, which nothing shows but such a mapping. Undefined for nothing. More memory is
 * locked than the process' own mappings make up, if so.
 */
function lockedInFuture({ mappings, proc, entered }: Dumpee): number | undefined {
  const kilobytes = Number.parseInt(proc.status.get("VmLck") ?? "0", 10);
  let own = 0;
  for (const { flags, start, end } of mappings) if (flags.has("lo")) own += end - start;
  const locks = entered.locksNewMappings(kilobytes * 1024 - own);
  return locks === undefined ? undefined : MCL.FUTURE | (locks.onFault ? MCL.ONFAULT : 0);
}

function mapFilesPath(pid: HostPid, { start, end }: Range): string {
  return `/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`;
}

/** The object under a mapping, open for reading. */
function openMapping(pid: HostPid, mapping: Mapping): number {
  return open(mapFilesPath(pid, mapping), O.RDONLY);
}

/** MAP_HUGE_* flags for the size of the huge pages under a mapping: the block size of its file system. */
function hugeSize(pid: HostPid, mapping: Mapping): number {
  const { blksize } = naming(pid, mapping, () => stat(mapFilesPath(pid, mapping)));
  return Math.round(Math.log2(Number(blksize))) << MAP_MORE.HUGE_SHIFT;
}

const AT_NULL = 0n;
/** CRIU's AT_VECTOR_SIZE on x86-64: it refuses images with more. */
const AUXV_WORDS = 44;

/** The auxiliary vector up to its AT_NULL, as execve(2) made it; the kernel shows zeros after that. */
function readAuxv(pid: HostPid): readonly bigint[] {
  const bytes = readFileBytes(`/proc/${pid}/auxv`);
  return auxvs.of(bytes, () => auxvIn(bytes));
}

const auxvs = new Repeated<readonly bigint[]>(() => {});

function auxvIn(bytes: Uint8Array): bigint[] {
  const view = viewOf(bytes);
  const words: bigint[] = [];
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const type = view.getBigUint64(at, true);
    words.push(type, view.getBigUint64(at + 8, true));
    if (type === AT_NULL) break;
  }
  return words;
}
