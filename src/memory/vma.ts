/**
 * One mapping: as /proc shows it, as mm-PID.img has it, and as it is made again.
 *
 * The image's `status` says what a mapping is. Bits by which CRIU knows it:
 */

import { ImageError } from "../images/error.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import type { MemoryPolicyEntry, VmaEntry } from "../images/schema/generated/memory.ts";
import { MAP, PAGE_SIZE, PROT, TASK_SIZE } from "../linux/memory.ts";
import { MADV, MAP_MORE } from "../linux/mman.ts";
import type { NsPid } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import { rangeText } from "./errors.ts";

export const STATUS = {
  /** Ordinary: to be mapped again. */
  REGULAR: 1 << 0,
  /** Of older images. */
  STACK: 1 << 1,
  /** The page of the kernel's at the top of the address space; not to be touched. */
  VSYSCALL: 1 << 2,
  VDSO: 1 << 3,
  HEAP: 1 << 5,
  /** The four kinds of what is mapped; `shmid` is a file's id for the first two. */
  FILE_PRIVATE: 1 << 6,
  FILE_SHARED: 1 << 7,
  ANON_SHARED: 1 << 8,
  ANON_PRIVATE: 1 << 9,
  /** A System V segment, with ANON_SHARED; `shmid` is the segment's. */
  SYSVIPC: 1 << 10,
  SOCKET: 1 << 11,
  VVAR: 1 << 12,
  AIORING: 1 << 13,
  /** The file is a memfd's, with one of the FILE bits. */
  MEMFD: 1 << 14,
  SHADOW_STACK: 1 << 15,
  /** No mapping: a range of guards (MADV_GUARD_INSTALL) inside others. These entries come last. */
  GUARD: 1 << 16,
  /** Of a device, with one of the FILE bits: a plugin has saved what is behind it, and may say where to map it from. */
  EXT_PLUGIN: 1 << 27,
} as const;

const KINDS = STATUS.FILE_PRIVATE | STATUS.FILE_SHARED | STATUS.ANON_SHARED | STATUS.ANON_PRIVATE;
const KNOWN_FLAGS =
  MAP.SHARED |
  MAP.PRIVATE |
  MAP_MORE.DROPPABLE |
  MAP.ANONYMOUS |
  MAP.GROWSDOWN |
  MAP.LOCKED |
  MAP.NORESERVE |
  MAP.STACK |
  MAP.HUGETLB;

/** A mapping of an image, checked. Addresses and sizes in bytes. */
export interface Vma {
  readonly start: number;
  readonly end: number;
  readonly pgoff: number;
  /** File id, shmid or 0. */
  readonly object: number;
  readonly prot: number;
  readonly flags: number;
  readonly status: number;
  /** MADV_* numbers in force. */
  readonly advice: readonly number[];
  /** Whether the file was opened for writing. */
  readonly writableFile: boolean;
  /** Pages are locked when they are touched, and not before. */
  readonly lockOnFault: boolean;
  readonly sealed: boolean;
  /** Name given to anonymous memory, undefined for none. */
  readonly name: string | undefined;
  /** Which nodes its memory is taken from (mbind(2)), undefined where that is as for the thread. */
  readonly policy: MemoryPolicyEntry | undefined;
}

export function has(vma: { readonly status: number }, bit: number): boolean {
  return (vma.status & bit) !== 0;
}

/** Whether its content is the process' own: stored in pages of the process. */
export function isPrivate(vma: Pick<Vma, "status" | "end">): boolean {
  return (
    has(vma, STATUS.REGULAR) && has(vma, STATUS.FILE_PRIVATE | STATUS.ANON_PRIVATE) && vma.end <= TASK_SIZE
  );
}

/** The vDSO and its data, which the kernel provides. */
export function isVdso(vma: Pick<Vma, "status">): boolean {
  return has(vma, STATUS.VDSO | STATUS.VVAR);
}

export function isHuge(vma: Pick<Vma, "flags">): boolean {
  return (vma.flags & MAP.HUGETLB) !== 0;
}

/** The kernel takes names of anonymous memory up to this size, with the zero behind. */
const MOST_NAME = 80;

/** Two letters of VmFlags (fs/proc/task_mmu.c) as flags of mmap(2). */
const FLAG_LETTERS: readonly (readonly [string, number])[] = [
  ["gd", MAP.GROWSDOWN],
  ["lo", MAP.LOCKED],
  ["nr", MAP.NORESERVE],
  ["ht", MAP.HUGETLB],
];
/** The same as advice of madvise(2). */
const ADVICE_LETTERS: readonly (readonly [string, number])[] = [
  ["rr", MADV.RANDOM],
  ["sr", MADV.SEQUENTIAL],
  ["dc", MADV.DONTFORK],
  ["mg", MADV.MERGEABLE],
  ["hg", MADV.HUGEPAGE],
  ["nh", MADV.NOHUGEPAGE],
  ["dd", MADV.DONTDUMP],
  ["wf", MADV.WIPEONFORK],
];

/** Flags of mmap(2), as the image has them, of a mapping as /proc shows it. */
export function mapFlags(mapping: Mapping): number {
  let flags: number = mapping.shared ? MAP.SHARED : MAP.PRIVATE;
  if (mapping.flags.has("dp")) flags = MAP_MORE.DROPPABLE;
  for (const [letters, flag] of FLAG_LETTERS) if (mapping.flags.has(letters)) flags |= flag;
  return flags;
}

/** Advice as the image has it: bit N for MADV_* number N; undefined for none. */
export function adviceBits(mapping: Mapping): bigint | undefined {
  let bits = 0n;
  for (const [letters, advice] of ADVICE_LETTERS)
    if (mapping.flags.has(letters)) bits |= 1n << BigInt(advice);
  return bits === 0n ? undefined : bits;
}

/** The name given to anonymous memory: [anon:NAME] or, where it is shared, [anon_shmem:NAME]. */
export function anonymousName({ path }: Mapping): string | undefined {
  return /^\[anon(?:_shmem)?:(.*)\]$/s.exec(path)?.[1];
}

export function protection(mapping: Mapping): number {
  return (mapping.read ? PROT.READ : 0) | (mapping.write ? PROT.WRITE : 0) | (mapping.exec ? PROT.EXEC : 0);
}

/** A number that fits and is a multiple of the page size. */
function pageAligned(value: bigint, name: string, limit: number): number {
  // What is too large for a number stays too large when it is rounded.
  const number = Number(value);
  if (number < 0 || number > limit) throw new ImageError(`${name} 0x${value.toString(16)} is out of range`);
  if (number % PAGE_SIZE !== 0) throw new ImageError(`${name} 0x${value.toString(16)} is not aligned`);
  return number;
}

const NO_ADVICE: readonly number[] = [];

/** The numbers of the bits that are set; undefined where one of them is no advice that we know. */
function adviceOf(bits: bigint): readonly number[] | undefined {
  if (bits === 0n) return NO_ADVICE;
  const advice: number[] = [];
  let rest = bits;
  for (const [, number] of ADVICE_LETTERS) {
    const bit = 1n << BigInt(number);
    if ((bits & bit) === 0n) continue;
    advice.push(number);
    rest &= ~bit;
  }
  return rest === 0n ? advice : undefined;
}

function checkKind(vma: Vma): void {
  const fail = (what: string): never => {
    throw new ImageError(`${rangeText(vma)}: ${what}`);
  };
  if (has(vma, STATUS.SHADOW_STACK)) fail("a shadow stack cannot be restored");
  const kind = vma.status & KINDS;
  if (has(vma, STATUS.SOCKET)) {
    if (kind !== 0) fail("a mapping of a packet socket is of no other kind");
    return;
  }
  if (kind === 0 || (kind & (kind - 1)) !== 0) fail(`kind 0x${vma.status.toString(16)} makes no sense`);
  const shared = (kind & (STATUS.FILE_SHARED | STATUS.ANON_SHARED)) !== 0;
  if (shared !== ((vma.flags & MAP.SHARED) !== 0)) fail("its flags do not go with its kind");
  if (has(vma, STATUS.SYSVIPC) && kind !== STATUS.ANON_SHARED) fail("a System V segment is shared");
  if (isVdso(vma) && kind !== STATUS.ANON_PRIVATE) fail("a vDSO is private");
}

/** What a ring held is put into ordinary memory in its place; aio.ts makes the ring of it. */
function ringAsMemory(entry: VmaEntry): VmaEntry {
  return {
    ...entry,
    pgoff: 0n,
    shmid: 0n,
    prot: PROT.READ | PROT.WRITE,
    flags: MAP.PRIVATE | MAP.ANONYMOUS,
    status: STATUS.REGULAR | STATUS.ANON_PRIVATE,
    madv: undefined,
  };
}

/**
 * Checks one entry of an image. Undefined for what is not mapped by us: the vsyscall page. @throws ImageError
 */
export function checkVma(entry: VmaEntry): Vma | undefined {
  const status = entry.status >>> 0;
  if ((status & STATUS.VSYSCALL) !== 0) return undefined;
  if ((status & STATUS.AIORING) !== 0) return checkVma(ringAsMemory(entry));
  const start = pageAligned(entry.start, "a mapping's start", TASK_SIZE);
  const end = pageAligned(entry.end, "a mapping's end", TASK_SIZE);
  if (start >= end) throw new ImageError(`mapping ${rangeText({ start, end })} is empty`);
  const advice = adviceOf(entry.madv ?? 0n);
  if (advice === undefined)
    throw new ImageError(
      `mapping ${rangeText({ start, end })}: unknown advice 0x${entry.madv?.toString(16)}`,
    );
  const object = Number(entry.shmid);
  if (object > Number.MAX_SAFE_INTEGER)
    throw new ImageError(`mapping ${rangeText({ start, end })}: object ${entry.shmid} is out of range`);
  const hugeSize = MAP_MORE.HUGE_MASK * 2 ** MAP_MORE.HUGE_SHIFT;
  const shared = (entry.flags & MAP.SHARED) !== 0;
  const vma: Vma = {
    start,
    end,
    pgoff: pageAligned(entry.pgoff, "a mapping's offset", Number.MAX_SAFE_INTEGER),
    object,
    prot: entry.prot & (PROT.READ | PROT.WRITE | PROT.EXEC),
    flags: ((entry.flags & KNOWN_FLAGS) | (entry.flags & MAP.HUGETLB ? entry.flags & hugeSize : 0)) >>> 0,
    status,
    advice,
    writableFile:
      entry.fdflags === undefined ? shared && (entry.prot & PROT.WRITE) !== 0 : (entry.fdflags & 3) !== 0,
    lockOnFault: entry.lock_on_fault === true,
    sealed: entry.sealed === true,
    name: entry.anon_name,
    policy: entry.policy,
  };
  if (vma.name !== undefined && (vma.name.length >= MOST_NAME || vma.name.includes("\0")))
    throw new ImageError(`mapping ${rangeText(vma)}: its name is no name`);
  if (!has(vma, STATUS.GUARD)) checkKind(vma);
  return vma;
}

/** Checks all entries of one process: sorted, apart from each other, guards last. @throws ImageError */
export function checkVmas(pid: NsPid, entries: readonly VmaEntry[]): { vmas: Vma[]; guards: Vma[] } {
  const vmas: Vma[] = [];
  const guards: Vma[] = [];
  entries.forEach((entry, index) => {
    try {
      const vma = checkVma(entry);
      if (vma === undefined) return;
      if (has(vma, STATUS.GUARD)) {
        guards.push(vma);
        return;
      }
      const last = vmas[vmas.length - 1];
      if (last !== undefined && vma.start < last.end)
        throw new ImageError(`mapping ${rangeText(vma)} is not behind ${rangeText(last)}`);
      vmas.push(vma);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      throw new ImageError(`mapping ${index}: ${error.what}`, { file: fileName(IMAGES.mm, pid) });
    }
  });
  return { vmas, guards };
}
