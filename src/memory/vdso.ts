/**
 * The vDSO: code that the kernel gives to every process, with data pages ([vvar]) in front of it.
 *
 * Where the kernel gives the same one as at the dump, it is mapped at the place that it had. Where it gives another
 * one, that one is mapped somewhere free, and at the old place stand the old pages, from the image, with a jump at
 * the beginning of every function: the process, and its C library, go on calling the old addresses.
 */

import { ImageError } from "../images/error.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import { ERRNO } from "../linux/errno.ts";
import { PAGE_SIZE, TASK_SIZE, writeMemory } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid, NsPid } from "../linux/pid.ts";
import { ARCH } from "../linux/prctl.ts";
import { ourMaps } from "../linux/proc.ts";
import { memoryAt } from "../linux/syscall.ts";
import { hostMachine } from "../machine/host.ts";
import { callGetrandom, callInstead, giveBack, jumpTo } from "../machine/vdso.ts";
import { type Range, rangeText } from "./errors.ts";
import type { Pagemap } from "./pages.ts";
import { addMapping, Pieces, readStored } from "./pieces.ts";
import type { Steps } from "./steps.ts";
import { vdsoFunctions } from "./vdso-elf.ts";
import { has, isVdso, STATUS, type Vma } from "./vma.ts";

/** What a process is to have. */
export interface VdsoPlan {
  /** Where the kernel's vDSO goes, its data first; undefined while that is to be chosen: see {@link placeVdso}. */
  place: Range | undefined;
  /** The mapping with the old pages and a jump in every function, where the kernel's is another one. */
  readonly old: Vma | undefined;
}

/** Our own vDSO, which is the kernel's. */
interface Runtime {
  /** Data and code together, in bytes. */
  readonly size: number;
  /** Where the code begins in it. */
  readonly codeAt: number;
  readonly code: Uint8Array;
}

/** @throws Error where the kernel gives us none */
const ourVdso = oncePerRun((): Runtime => {
  const parts = ourMaps().filter(({ path }) => path === "[vdso]" || path.startsWith("[vvar"));
  const code = parts.find(({ path }) => path === "[vdso]");
  const start = parts[0]?.start;
  const end = parts[parts.length - 1]?.end;
  if (code === undefined || start === undefined || end === undefined)
    throw new Error("this kernel gives no vDSO");
  return {
    size: end - start,
    codeAt: code.start - start,
    code: memoryAt(code.start, code.end - code.start),
  };
});

/** The pages of the image that lie in a mapping; the rest is zero. @throws ImageError */
function storedPages(vma: Vma, pages: Pagemap): Uint8Array | undefined {
  const pieces = new Pieces();
  addMapping({ map: pages, next: 0 }, vma, pieces);
  if (pieces.length === 0) return undefined;
  const bytes = new Uint8Array(vma.end - vma.start);
  readStored(pages, pieces, vma.start, bytes);
  return bytes;
}

/** No vDSO is larger than so. */
const MOST = 64 * PAGE_SIZE;

/** What the images of a process say of its vDSO; undefined where it has none. @throws ImageError */
export function planVdso(pid: NsPid, vmas: readonly Vma[], pages: Pagemap): VdsoPlan | undefined {
  const fail = (what: string): never => {
    throw new ImageError(what, { file: fileName(IMAGES.mm, pid) });
  };
  const parts = vmas.filter(isVdso);
  const codes = parts.filter((part) => has(part, STATUS.VDSO));
  const [first] = parts;
  const [code] = codes;
  const last = parts[parts.length - 1];
  if (first === undefined || last === undefined) return undefined;
  if (codes.length > 1 || parts.length > 2) fail("more than one vDSO");
  for (const part of parts)
    if (part.end - part.start > MOST) fail(`the vDSO ${rangeText(part)} is too large`);
  // Data alone (which valgrind leaves): nothing calls into it.
  if (code === undefined) return undefined;
  const ours = ourVdso();
  const stored = storedPages(code, pages);
  const samePlaces =
    first.end === (parts.length === 2 ? code.start : code.end) &&
    last.end - first.start === ours.size &&
    code.start - first.start === ours.codeAt;
  if (samePlaces && (stored === undefined || Buffer.compare(stored, ours.code) === 0))
    return { place: { start: first.start, end: last.end }, old: undefined };
  if (stored === undefined)
    fail(`the vDSO ${rangeText(code)} is another one than this kernel's, and is not stored`);
  // Fails here, before anything is built, if its functions cannot be found.
  try {
    vdsoFunctions(stored ?? new Uint8Array(0));
  } catch (error) {
    throw error instanceof ImageError ? error.at({ file: pages.file }) : error;
  }
  return { place: undefined, old: code };
}

const LOWEST = 0x10_0000;
const MARGIN = 0x20_0000;

/** A place for the kernel's vDSO that no process of the tree uses. @throws ImageError when there is none */
export function placeVdso(spans: Iterable<Range>): Range {
  const { size } = ourVdso();
  let ceiling = TASK_SIZE;
  for (const span of [...spans, { start: 0, end: LOWEST }].sort((a, b) => b.start - a.start)) {
    if (ceiling - span.end >= size + 2 * MARGIN) {
      const start = ceiling - MARGIN - size;
      return { start: start - (start % PAGE_SIZE), end: start - (start % PAGE_SIZE) + size };
    }
    ceiling = Math.min(ceiling, span.start);
  }
  throw new ImageError(`the mappings leave no gap of ${size} bytes for the vDSO`);
}

/** Where the kernel's vDSO, which a process has, makes a system call; undefined where it has none. */
export function syscallInVdso(plan: VdsoPlan | undefined): number | undefined {
  if (plan?.place === undefined) return undefined;
  const { code, codeAt } = ourVdso();
  const found = Buffer.from(code.buffer, code.byteOffset, code.length).indexOf(hostMachine.gadgets.call);
  return found < 0 ? undefined : plan.place.start + codeAt + found;
}

/** Maps the kernel's vDSO, of which the process has none now. */
export function mapVdso(steps: Steps, place: Range): void {
  steps.must(`the vDSO ${rangeText(place)}`, NR.arch_prctl, ARCH.MAP_VDSO_64, place.start);
}

/** System calls that do what functions of a vDSO do, for those that the kernel's does not have. */
const CALLS: Readonly<Record<string, number>> = {
  gettimeofday: NR.gettimeofday,
  clock_gettime: NR.clock_gettime,
  clock_getres: NR.clock_getres,
  time: NR.time,
  getcpu: NR.getcpu,
};

/**
 * Puts a jump to the kernel's function, mapped at `place`, at the beginning of each function of the old vDSO, whose
 * pages are in place, writable. @throws KernelError
 */
export function redirectVdso(pid: HostPid, old: Vma, pages: Pagemap, place: Range): void {
  const ours = ourVdso();
  const now = vdsoFunctions(ours.code);
  const before = vdsoFunctions(storedPages(old, pages) ?? new Uint8Array(0));
  for (const [name, { offset, size }] of before) {
    const target = now.get(name);
    const call = CALLS[name.replace(/^__vdso_/, "")];
    let code: Uint8Array;
    if (name.endsWith("getrandom")) code = callGetrandom(NR.getrandom, -ERRNO.ENOSYS);
    else if (target !== undefined) code = jumpTo(place.start + ours.codeAt + target.offset);
    else if (call !== undefined) code = callInstead(call);
    // As on a machine without such a function: callers then make the system call.
    else code = giveBack(-ERRNO.ENOSYS);
    if ((size !== 0 && size < code.length) || offset + code.length > old.end - old.start) continue;
    writeMemory(pid, old.start + offset, code);
  }
}
