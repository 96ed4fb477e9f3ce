/**
 * A process in an executable: whoever starts the file becomes the process that was dumped, where it was.
 *
 * The images of a dump are turned into one table of system calls (executable.ts): mappings of the file itself, copy-on-write,
 * so that a page is read or copied when it is used and not before, but for memory that is used densely, which is read at once
 * (dense-blocks.ts); then signal handlers, threads, and the registers by rt_sigreturn(2). What a process inherits stays that of
 * the new one: its ids, descriptors, directories, limits, credentials, words and environment.
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { CoreEntry } from "../images/schema/generated/process.ts";
import { CLONE, CLONE_AS_THREAD, cloneArgs } from "../linux/clone.ts";
import { cpuid, hasLeaf } from "../linux/cpuid.ts";
import { AT, O, open, read, SEEK, withFd } from "../linux/io.ts";
import { HUGE_PAGE_SIZE, hugePageDown, MAP, PAGE_SIZE, PROT, pageUp, TASK_SIZE } from "../linux/memory.ts";
import { MADV, MFD } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { type HostPid, type NsPid, sameNumber } from "../linux/pid.ts";
import { ARCH } from "../linux/prctl.ts";
import { buildSigframe, SIG_BLOCK, sigframeMask, sigframeSize } from "../linux/signal.ts";
import { cString } from "../linux/syscall.ts";
import { textToBytes } from "../linux/text.ts";
import { OP } from "../machine/runner.ts";
import { Pagemap } from "../memory/pages.ts";
import { addMapping, Pieces, readStored } from "../memory/pieces.ts";
import { checkVmas, has, isPrivate, isVdso, STATUS, type Vma } from "../memory/vma.ts";
import { giveSigactions } from "../process/signals.ts";
import { finalState, giveName, givePlaces, partsOf } from "../process/thread.ts";
import { Pointer } from "../tracee/table/pointer.ts";
import type { Result, Table } from "../tracee/table/table.ts";
import { denseBlocks, holdsBlock } from "./dense-blocks.ts";
import { type CpuCheck, Executable, layWithin, repeat } from "./executable.ts";
import { layHotPages, type Rehearsals } from "./hot-pages.ts";
import { PICTURE_ADDRESS } from "./standby.ts";

/** For the calls and their data, in bytes. */
const TABLE_SIZE = 0x2_0000;
/** Pages that are not there but lie between such that are, so many at the most, are stored rather than mapped around. */
const GAP = 64 * PAGE_SIZE;
/** Anonymous mappings of so many bytes are the runtime's heaps, and have nothing else in them. */
const HEAP = 64 * 2 ** 20;
/** Above programs, where their libraries and heaps are. */
const LOWEST = 2 ** 40;
const SELF = "/proc/self/exe";
/** For the calls of a thread and its frame, in bytes. */
const THREAD_SIZE = 0x2000;
const FRAME_ALIGN = 64;
const STDERR = 2;
/** So much is copied at a time, in bytes, and so often more than needed, as a signal may end a call early. Too much does no harm. */
const COPY_SIZE = 2 ** 21;
const SPARE_COPIES = 2;
/** As shells say it of what cannot be executed. */
const CANNOT_RUN = 126;

/** A part of the program's file within the executable. The next one begins where this one ends, or before. */
interface Part {
  /** In the program's file. */
  readonly from: number;
  readonly size: number;
  /** In the executable. */
  readonly offset: number;
  /** Where its beginning is mapped. */
  readonly address: number;
}

/** The stored pages of a mapping. */
interface StoredPages {
  readonly pieces: Pieces;
  /** Reads those that lie in `into`, which stands for memory from `start` on. */
  read(start: number, into: Uint8Array): void;
}

/**
 * Makes an executable of process `pid`, dumped to `images`, whose program is the file `program`. On a machine that it cannot
 * run on (another CPU, no /proc, addresses that are taken), the executable runs the program from its beginning. `rehearsals`
 * tell, once there are such, which pages it will write to.
 * @throws KernelError, ImageError; RangeError where the process has what no executable can hold
 */
export function makeSnapshot(
  images: ImageDir,
  pid: HostPid,
  program: string,
  path: string,
  rehearsals?: Rehearsals,
): void {
  using made = new Executable(path, PICTURE_ADDRESS, TABLE_SIZE);
  for (const each of cpuChecks()) made.need(each);
  const snapshot = new Snapshot(made, images, sameNumber(pid), program, rehearsals);
  snapshot.take();
  layColdStart(made, snapshot.parts);
  made.finish();
}

/** What the C library and the runtime have looked at: a CPU that has as much will do. */
function cpuChecks(): CpuCheck[] {
  const checks: CpuCheck[] = [];
  const features = (leaf: number, subleaf: number, used: readonly ("ebx" | "ecx" | "edx")[]) => {
    if (!hasLeaf(leaf)) return;
    const found = cpuid(leaf, subleaf);
    const pick = (name: "ebx" | "ecx" | "edx") => (used.includes(name) ? found[name] : 0);
    const bits = [0, pick("ebx"), pick("ecx"), pick("edx")] as const;
    checks.push({ leaf, subleaf, masks: bits, values: bits });
  };
  features(1, 0, ["ecx", "edx"]);
  features(7, 0, ["ebx", "ecx", "edx"]);
  features(0x8000_0001, 0, ["ecx", "edx"]);
  // The size of the extended state that the kernel has enabled: as the saved one, exactly.
  checks.push({ leaf: 0xd, subleaf: 0, masks: [0, 0xffff_ffff, 0, 0], values: [0, cpuid(0xd, 0).ebx, 0, 0] });
  return checks;
}

/** Runs the program, which the file holds, from its beginning: in memory, since parts of a file cannot be run. */
function layColdStart({ otherwise: table, startedWith }: Executable, parts: readonly Part[]): void {
  const from = table.call(NR.openat, AT.FDCWD, table.data(cString(SELF)), O.RDONLY | O.CLOEXEC);
  const to = table.call(NR.memfd_create, table.data(cString("criu")), MFD.CLOEXEC);
  parts.forEach((part, i) => {
    const size = Math.min(part.size, (parts[i + 1]?.from ?? Number.POSITIVE_INFINITY) - part.from);
    table.call(NR.lseek, to, part.from, SEEK.SET);
    table.call(NR.lseek, from, part.offset, SEEK.SET);
    const copied = table.call(NR.sendfile, to, from, 0, COPY_SIZE);
    repeat(table, table.resultAt(copied), Math.ceil(size / COPY_SIZE) + SPARE_COPIES);
  });
  const { words, environment } = startedWith;
  table.call(NR.execveat, to, table.data(cString("")), words, environment, AT.EMPTY_PATH);
  const said = textToBytes("criu: cannot start: memfd_create(2) or execveat(2) of it was refused\n");
  table.call(NR.write, STDERR, table.data(said), said.length);
  table.call(NR.exit_group, CANNOT_RUN);
}

function isHeap({ start, end, status }: Vma): boolean {
  return (status & STATUS.FILE_PRIVATE) === 0 && end - start >= HEAP;
}

/** Stored pages that are laid together. */
interface StoredRange {
  readonly start: number;
  end: number;
  /** Whether it lies in dense blocks. */
  readonly dense: boolean;
}

/** Pieces together with the small gaps between them, apart where dense blocks begin and end. */
function rangesOf({ length, address, bytes }: Pieces, blocks: ReadonlySet<number>): readonly StoredRange[] {
  const ranges: StoredRange[] = [];
  for (let i = 0; i < length; i++) {
    const end = (address[i] ?? 0) + (bytes[i] ?? 0);
    for (let start = address[i] ?? 0; start < end; ) {
      const block = hugePageDown(start);
      const stop = Math.min(end, block + HUGE_PAGE_SIZE);
      const dense = blocks.has(block);
      const last = ranges.at(-1);
      if (last?.dense === dense && start - last.end <= GAP) last.end = stop;
      else ranges.push({ start, end: stop, dense });
      start = stop;
    }
  }
  return ranges;
}

/** Lays the calls that make a process out of images. */
class Snapshot {
  /** Where the executable holds the program. */
  readonly parts: readonly Part[];
  readonly #table: Table;
  readonly #self: Result;
  readonly #vmas: readonly Vma[];
  /** Of open and mapped files, by their ids in the images. */
  readonly #names: ReadonlyMap<number, string | undefined>;
  /** Where threads have registered with rseq(2). */
  readonly #rseqs: readonly number[];
  /** The last mapping of the program that is as the executable holds it. */
  #asHeld: Vma | undefined;
  /** Blocks of a huge page that are read at once. */
  readonly #dense: Set<number>;
  /** What is stored of them, whole pages. */
  readonly #toRead: { readonly start: number; readonly bytes: Uint8Array }[] = [];

  constructor(
    private readonly made: Executable,
    private readonly images: ImageDir,
    private readonly pid: NsPid,
    private readonly program: string,
    private readonly rehearsals: Rehearsals | undefined,
  ) {
    const { vmas, guards } = checkVmas(pid, images.readOne(IMAGES.mm, pid).vmas);
    if (guards.length > 0) throw new RangeError("there are guarded pages");
    // The kernel gives its own.
    this.#vmas = vmas.filter((vma) => !isVdso(vma) && !has(vma, STATUS.VSYSCALL));
    this.#dense =
      rehearsals === undefined
        ? new Set()
        : withFd(open(program, O.RDONLY), (fd) => denseBlocks(this.#vmas.filter(isHeap), rehearsals, fd));
    this.#rseqs = this.#cores().map(({ thread_core }) =>
      Number(thread_core?.rseq_entry?.rseq_abi_pointer ?? 0),
    );
    this.#names = new Map(images.readAll(IMAGES.files).map(({ id, reg }) => [id, reg?.name]));
    this.parts = this.#addProgram();
    this.#table = made.table;
    this.#self = this.#table.must(SELF, NR.openat, AT.FDCWD, this.#table.data(cString(SELF)), O.RDONLY);
  }

  take(): void {
    this.#layMemory();
    if (this.rehearsals !== undefined) layHotPages(this.made, this.#vmas, this.rehearsals.small, this.#dense);
    this.#table.must(SELF, NR.close, this.#self);
    const [leader, ...others] = this.#cores();
    if (leader === undefined) throw new RangeError(`process ${this.pid} has no first thread`);
    giveSigactions(
      this.#table,
      this.pid,
      // What was ignored or blocked when the new process was started stays so.
      (leader.tc?.sigactions ?? []).map((action) => (action.sigaction === 0n ? undefined : action)),
    );
    for (const other of others) this.#layThread(other);
    this.#layFirst(leader);
  }

  /** The first thread's first. */
  #cores(): CoreEntry[] {
    const tree = this.images.readAll(IMAGES.pstree);
    const [only] = tree;
    if (tree.length !== 1 || only?.pid !== this.pid)
      throw new RangeError(`the images are not those of process ${this.pid} alone`);
    const others = only.threads.filter((tid) => tid !== this.pid);
    return [this.pid, ...others].map((tid) => this.images.readOne(IMAGES.core, tid));
  }

  /** The name of the file that a mapping is of. */
  #fileOf({ object }: Vma): string | undefined {
    return this.#names.get(object);
  }

  #layMemory(): void {
    using pages = Pagemap.read(this.images, IMAGES.pagemap, this.pid, TASK_SIZE);
    const cursor = { map: pages, next: 0 };
    for (const vma of this.#vmas) {
      if (!isPrivate(vma)) throw new RangeError(`mapping ${vma.start.toString(16)} is not private`);
      const pieces = new Pieces();
      addMapping(cursor, vma, pieces);
      const stored: StoredPages = {
        pieces,
        read: (start, into) => readStored(pages, pieces, start, into),
      };
      if (has(vma, STATUS.FILE_PRIVATE)) this.#layFile(vma, stored);
      else this.#layAnonymous(vma, stored);
    }
    this.#layDense();
    // After that, as it may be against huge pages.
    for (const { start, end, advice } of this.#vmas)
      for (const each of advice) this.#table.must("advice", NR.madvise, start, end - start, each);
    this.#keepFromChildren();
  }

  /** A place for a mapping, below one of ours; the kernel puts nothing there. @throws RangeError where there is none */
  #roomFor(size: number): number {
    const places = this.#vmas.map((vma) => hugePageDown(vma.start - size));
    const isFree = (at: number) => this.#vmas.every(({ start, end }) => end <= at || start >= at + size);
    const found = places.find((at) => at > LOWEST && isFree(at));
    if (found === undefined) throw new RangeError(`there is no room for ${size} bytes`);
    return found;
  }

  /**
   * Reads dense blocks, which lie together in the executable. Before that one byte of each huge page of them is looked at through a
   * mapping: where the file has left the page cache, the kernel then reads huge pages (Linux 5.18), which it copies in half
   * the time from then on; read(2) would have it read small ones.
   */
  #layDense(): void {
    const table = this.#table;
    if (this.#toRead.length === 0) return;
    const size = this.#toRead.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const mapped = this.#roomFor(size);
    const offset = this.made.add(Buffer.concat(this.#toRead.map(({ bytes }) => bytes)), mapped);
    table.must(SELF, NR.mmap, mapped, size, PROT.READ, MAP.PRIVATE | MAP.FIXED_NOREPLACE, this.#self, offset);
    table.call(NR.madvise, mapped, size, MADV.HUGEPAGE);
    for (let at = mapped; at < mapped + size; at += HUGE_PAGE_SIZE)
      table.call(NR.madvise, at, PAGE_SIZE, MADV.POPULATE_READ);
    table.must(SELF, NR.munmap, mapped, size);
    let from = offset;
    for (const { start, bytes } of this.#toRead) {
      table.must("memory", NR.pread64, this.#self, start, bytes.length, from);
      from += bytes.length;
    }
  }

  /**
   * Of our memory, children that are born bare need the machine programs and what rseq(2) writes to. To share the rest with them
   * costs: its page tables are copied, each page that we write to after that is copied once more, and the child has to unmap it.
   */
  #keepFromChildren(): void {
    const start = Math.min(...this.#vmas.map((vma) => vma.start));
    const end = Math.max(...this.#vmas.map((vma) => vma.end));
    // There are gaps, for which the call fails when it has done the rest.
    this.#table.call(NR.madvise, start, end - start, MADV.DONTFORK);
    for (const vma of this.#vmas) {
      const programs = !has(vma, STATUS.FILE_PRIVATE) && !isHeap(vma) && (vma.prot & PROT.EXEC) !== 0;
      if (programs || this.#rseqs.some((at) => at >= vma.start && at < vma.end))
        this.#table.must("our memory", NR.madvise, vma.start, vma.end - vma.start, MADV.DOFORK);
    }
  }

  /** The program's code apart from what is before it, each to be mapped by huge pages. */
  #addProgram(): Part[] {
    const own = this.#vmas.filter((vma) => this.#fileOf(vma) === this.program);
    const [first] = own;
    const code = own.find(({ prot }) => prot & PROT.EXEC);
    if (first === undefined || code === undefined)
      throw new RangeError(`process ${this.pid} does not run ${this.program}`);
    const add = (from: number, size: number | undefined, address: number): Part => ({
      from,
      address,
      ...this.made.addFile(this.program, from, size, address),
    });
    if (first === code || first.pgoff !== 0) return [add(0, undefined, code.start - code.pgoff)];
    const head = add(0, first.end - first.start, first.start);
    return [head, add(code.pgoff, undefined, code.start)];
  }

  /** Of the program, what is as in the file is mapped from where the executable holds it. */
  #layFile(vma: Vma, stored: StoredPages): void {
    const name = this.#fileOf(vma);
    if (name === undefined) throw new RangeError(`mapping ${vma.start.toString(16)} has no file`);
    const length = vma.end - vma.start;
    const part = this.parts.findLast(({ from }) => from <= vma.pgoff);
    const isHeld = part !== undefined && vma.pgoff - part.from + length <= pageUp(part.size);
    if (name === this.program && stored.pieces.length === 0 && isHeld) {
      const start = this.#startOf(vma, part);
      const before = vma.start - start;
      const offset = part.offset + vma.pgoff - part.from - before;
      const fixed = before > 0 ? MAP.FIXED : MAP.FIXED_NOREPLACE;
      this.#map(vma, start, before + length, offset, fixed);
      this.#asHeld = vma;
      return;
    }
    const bytes = new Uint8Array(length);
    withFd(open(name, O.RDONLY), (fd) => read(fd, bytes, vma.pgoff));
    stored.read(vma.start, bytes);
    this.#map(vma, vma.start, length, this.made.add(bytes, vma.start), MAP.FIXED_NOREPLACE);
  }

  /**
   * Code that begins within a huge page is mapped from the beginning of that page on, together with what can only be read
   * before it, if the executable holds both as they are in memory: the page is there by one fault then.
   */
  #startOf(vma: Vma, part: Part): number {
    const [head] = this.parts;
    const before = this.#asHeld;
    const start = hugePageDown(vma.start);
    const joined =
      head !== undefined &&
      before?.prot === PROT.READ &&
      before.start <= start &&
      start < before.end &&
      vma.start === part.address &&
      part.offset - head.offset === part.address - head.address;
    return joined ? start : vma.start;
  }

  #layAnonymous(vma: Vma, { pieces, read }: StoredPages): void {
    const flags = vma.flags | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE;
    const length = vma.end - vma.start;
    this.#table.must("memory", NR.mmap, vma.start, length, vma.prot, flags, -1, 0);
    if (isHeap(vma)) {
      // What a large job needs more of is had in huge pages.
      this.#table.call(NR.madvise, vma.start, length, MADV.HUGEPAGE);
      if (vma.prot & PROT.EXEC && this.rehearsals !== undefined) this.#addDense(vma, pieces);
    }
    for (const { start, end, dense } of rangesOf(pieces, this.#dense)) {
      const bytes = new Uint8Array(end - start);
      read(start, bytes);
      if (dense) this.#toRead.push({ start, bytes });
      else this.#map(vma, start, bytes.length, this.made.add(bytes, start), MAP.FIXED);
    }
  }

  /** Code that was compiled is used densely, though it is hardly written to. */
  #addDense(vma: Vma, pieces: Pieces): void {
    for (const { start, end } of rangesOf(pieces, this.#dense)) {
      for (let block = hugePageDown(start); block < end; block += HUGE_PAGE_SIZE) {
        const stored = Math.min(end, block + HUGE_PAGE_SIZE) - Math.max(start, block);
        if (holdsBlock(vma, block) && stored >= HUGE_PAGE_SIZE / 2) this.#dense.add(block);
      }
    }
  }

  #map({ prot }: Vma, start: number, length: number, offset: number, fixed: number): void {
    this.#table.must("memory", NR.mmap, start, length, prot, MAP.PRIVATE | fixed, this.#self, offset);
    // When the file has left the page cache, what faults read back are huge pages then (Linux 5.18), not single ones.
    this.#table.call(NR.madvise, start, length, MADV.HUGEPAGE);
  }

  /** Another thread is born with its own table, by which it becomes what it was. */
  #layThread(core: CoreEntry): void {
    const { info, thread } = partsOf(core);
    const tid = Number(info.clear_tid_addr);
    const args = cloneArgs.encode({
      flags: CLONE_AS_THREAD + CLONE.SETTLS + CLONE.CHILD_SETTID + CLONE.CHILD_CLEARTID,
      child_tid: tid,
      tls: Number(info.gpregs.fs_base),
    });
    const table = this.#table;
    const own = layWithin(table, THREAD_SIZE, (its) => {
      giveName(its, thread.comm ?? "");
      this.#layState(its, core);
    });
    table.must("a thread", OP.SPAWN, table.data(args), args.length, own);
  }

  #layFirst(core: CoreEntry): void {
    const table = this.#table;
    const { info } = partsOf(core);
    table.must("its TLS", NR.arch_prctl, ARCH.SET_FS, Number(info.gpregs.fs_base));
    const tid = table.must("its id", NR.set_tid_address, Number(info.clear_tid_addr));
    // The C library keeps the thread's id in the word that the kernel clears at its end.
    table.keep(tid, Number(info.clear_tid_addr));
    this.#layState(table, core);
  }

  /** The rest of a thread's state, its registers last. */
  #layState(table: Table, core: CoreEntry): void {
    givePlaces(table, partsOf(core).thread);
    const { registers, extended, mask } = finalState(core);
    const place = table.data(new Uint8Array(sigframeSize(extended.length) + FRAME_ALIGN));
    const at = Math.ceil(place.address / FRAME_ALIGN) * FRAME_ALIGN;
    table.place(new Pointer(at), buildSigframe(at, registers, mask, { xstate: extended }));
    if (core.tc !== undefined) table.must("its mask", NR.rt_sigprocmask, SIG_BLOCK, 0, sigframeMask(at), 8);
    table.operation(OP.LEAVE, at, this.made.sigreturn);
  }
}
