/**
 * What the image says of each mapping of a process (vma_entry): what kind it is, of what object, with which flags; and which
 * shared objects processes have mapped. Nothing of their content is looked at.
 */

import type { ImageDir } from "../images/image-dir.ts";
import { VmaEntry } from "../images/schema/generated/memory.ts";
import { keepBytes } from "../images/wire.ts";
import { fstat, O, open, stat, withFd } from "../linux/io.ts";
import { isLockedOnFault } from "../linux/lock-on-fault.ts";
import { MAP, PAGE_SIZE } from "../linux/memory.ts";
import { MAP_MORE } from "../linux/mman.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { PageRuns } from "../linux/pagemap.ts";
import type { HostPid } from "../linux/pid.ts";
import { type Mapping, PROTECTION_KEY } from "../linux/proc.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import { isRing } from "./aio.ts";
import { MemoryError, naming, type Range, rangeText } from "./errors.ts";
import { createSharedMemory, shmidOf } from "./shmem.ts";
import { adviceBits, anonymousName, mapFlags, protection, STATUS } from "./vma.ts";

/** Who saves the files that are mapped. */
export interface MappedFiles {
  /** Id, in files.img, of the file under a mapping. */
  mappedFile(dumpee: Dumpee, mapping: Mapping): number;
  /** The same of a socket whose rings of packets are mapped. */
  mappedSocket(dumpee: Dumpee, mapping: Mapping): number;
  /** The same of a device, if a plugin saves what is behind it. */
  mappedDevice(dumpee: Dumpee, mapping: Mapping): number | undefined;
  /** Id of the executable of a process (/proc/PID/exe). */
  exeFile(dumpee: Dumpee): number;
}

/** A shared object to be stored in the end: by one of its mappings. */
export interface SharedObject {
  readonly shmid: number;
  readonly pid: HostPid;
  readonly mapping: Mapping;
}

/** A mapping with the entry that the image has of it. */
export interface Described {
  readonly mapping: Mapping;
  readonly entry: VmaEntry;
}

const shmemDevice = oncePerRun(() => withFd(createSharedMemory(PAGE_SIZE, 0), (fd) => Number(fstat(fd).dev)));

/** The device of the kernel's own tmpfs: shared anonymous memory, memfds, System V segments. */
export function isKernelShmem({ major, minor }: Mapping): boolean {
  // dev_t as stat(2) has it: the low byte of the minor, the major, the rest of the minor.
  const device = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
  return device === shmemDevice();
}

const HUGE = "/anon_hugepage (deleted)";

/** Describes the mappings of the processes of a tree. */
export class MappingDescriber {
  /** Shared anonymous memory that was met, by its shmid. */
  readonly shared = new Map<number, SharedObject>();
  readonly #entries = new Map<Mapping, { readonly entry: VmaEntry; kept: boolean }>();

  constructor(
    private readonly images: ImageDir,
    private readonly files: MappedFiles,
    /** Told of each mapping of a System V segment. */
    private readonly noteSegment: (dumpee: Dumpee, mapping: Mapping) => void,
  ) {}

  /** The mappings of a process, ascending. @throws MemoryError for one that cannot be dumped */
  describe(dumpee: Dumpee): Described[] {
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
    if (isLockedOnFault(mapping.flags)) entry.lock_on_fault = true;
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
    // The kernel gives one of its own to what may only be executed.
    const isForExecution = mapping.exec && !mapping.read && !mapping.write;
    if (flags.has(PROTECTION_KEY) && !isForExecution)
      refuse("memory with a protection key (pkey_mprotect(2))");
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
    if (path.startsWith("socket:[")) {
      entry.status |= STATUS.SOCKET;
      entry.fdflags = O.RDWR;
      entry.shmid = BigInt(this.files.mappedSocket(dumpee, mapping));
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
      this.noteSegment(dumpee, mapping);
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
    if (!this.shared.has(shmid)) this.shared.set(shmid, { shmid, pid: dumpee.pid, mapping });
  }
}

/** Ranges of guards as entries, which stand behind all mappings. Our own area has none. */
export function guardEntries(runs: PageRuns, mappings: readonly Mapping[]): VmaEntry[] {
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

function mapFilesPath(pid: HostPid, { start, end }: Range): string {
  return `/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`;
}

/** The object under a mapping, open for reading. */
export function openMapping(pid: HostPid, mapping: Mapping): number {
  return open(mapFilesPath(pid, mapping), O.RDONLY);
}

/** MAP_HUGE_* flags for the size of the huge pages under a mapping: the block size of its file system. */
function hugeSize(pid: HostPid, mapping: Mapping): number {
  const { blksize } = naming(pid, mapping, () => stat(mapFilesPath(pid, mapping)));
  return Math.round(Math.log2(Number(blksize))) << MAP_MORE.HUGE_SHIFT;
}
