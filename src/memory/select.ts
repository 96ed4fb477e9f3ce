/**
 * Which pages of a process are stored, and where each goes in its pages file. Nothing is copied here.
 */

import type { VmaEntry } from "../images/schema/generated/memory.ts";
import { isZero, MAP, PAGE_SIZE, pageDown, readMemory } from "../linux/memory.ts";
import { MAP_MORE } from "../linux/mman.ts";
import { type PageRuns, scanPages } from "../linux/pagemap.ts";
import type { HostPid } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import type { Described } from "./describe.ts";
import { MemoryError, naming, type Range, rangeText } from "./errors.ts";
import { PE, RunList } from "./pages.ts";
import type { PagesBefore } from "./parent-pages.ts";
import { Pieces } from "./pieces.ts";
import { mayBeProbed, probedPages } from "./uprobes.ts";
import { isPrivate, STATUS } from "./vma.ts";

/** The pages of a process that are stored. */
export interface Selection {
  /** All of them, as its pagemap lists them. */
  readonly runs: RunList;
  /** Those that are copied from its memory. */
  readonly pieces: Pieces;
  /** The others: pages that hold something of ours just now, as they are without it, and where they go. */
  readonly own: readonly { readonly bytes: Uint8Array; readonly offset: number }[];
  /** How many pages were looked at. */
  readonly scanned: number;
}

/**
 * Selects from the pages with content, `pageRuns`. Where a process has uprobes (`hasProbes`), pages that are the file's but for
 * those are left out. What the images of the dump `before` have as it is now is not stored again. @throws KernelError, MemoryError
 */
export function selectPages(
  dumpee: Dumpee,
  described: readonly Described[],
  pageRuns: PageRuns,
  hasProbes: boolean,
  before?: PagesBefore,
): Selection {
  const { pid } = dumpee;
  const runs = new RunList();
  const pieces = new Pieces();
  const covered = coveredPages(dumpee);
  const own: { bytes: Uint8Array; offset: number }[] = [];
  let scanned = 0;
  let next = 0;
  const store = (start: number, end: number, flags: number) => {
    storeChanged({ runs, pieces }, undefined, start, end, flags);
  };
  for (const { entry, mapping } of described) {
    if ((entry.status & STATUS.AIORING) !== 0) {
      store(mapping.start, mapping.end, PE.PRESENT);
      continue;
    }
    if ((entry.status & STATUS.SOCKET) !== 0) {
      next = eachRun(pageRuns, next, mapping, () => {
        const what = `mapping ${rangeText(mapping)} (${mapping.path}): pages of its own of a ring of packets`;
        throw new MemoryError(dumpee.pid, `${what} cannot be dumped`);
      });
      continue;
    }
    if (!isPrivate({ status: entry.status, end: mapping.end })) continue;
    if ((entry.status & (STATUS.VVAR | STATUS.EXT_PLUGIN)) !== 0 || (entry.flags & MAP_MORE.DROPPABLE) !== 0)
      continue;
    scanned += (mapping.end - mapping.start) / PAGE_SIZE;
    if ((entry.status & STATUS.VDSO) !== 0) {
      // All of it, so that calls into it stay right under a kernel that has another one.
      store(mapping.start, mapping.end, PE.PRESENT);
      continue;
    }
    const flags = PE.PRESENT | (canBeLazy(entry) ? PE.LAZY : 0);
    next = eachRun(pageRuns, next, mapping, (start, end) => {
      let at = start;
      const special = hasProbes && mayBeProbed(mapping) ? ofTheFile(pid, mapping, start, end) : covered;
      for (const { address, bytes } of special) {
        if (address < at || address >= end) continue;
        if (address > at) storeChanged({ runs, pieces }, before, at, address, flags);
        at = address + PAGE_SIZE;
        // A page without content was most likely never touched before we came.
        if (isZero(bytes)) continue;
        own.push({ bytes, offset: runs.pages * PAGE_SIZE });
        runs.add(address, at, flags);
      }
      if (at < end) storeChanged({ runs, pieces }, before, at, end, flags);
    });
  }
  return { runs, pieces, own, scanned };
}

/** Adds a range of whole pages: what the images before have as it is now is left to them, the rest is stored with these flags. */
export function storeChanged(
  { runs, pieces }: Pick<Selection, "runs" | "pieces">,
  before: PagesBefore | undefined,
  start: number,
  end: number,
  flags: number,
): void {
  const add = (from: number, to: number, isThere: boolean) => {
    if (!isThere) pieces.add(from, to - from, runs.pages * PAGE_SIZE);
    runs.add(from, to, isThere ? PE.PARENT : flags);
  };
  if (before === undefined) add(start, end, false);
  else before.eachPart(start, end, add);
}

/** Mappings of this size are looked at by a call of their own: each page is cheaper to look at there. */
const LARGE = 16 << 20;

function isLargeAndFileless({ start, end, read, shared, path }: Mapping): boolean {
  return end - start >= LARGE && read && !shared && (path === "" || path.startsWith("["));
}

/** The pages with content among the mappings of a process, and its guards. @throws KernelError, MemoryError */
export function pagesWithContent(pid: HostPid, mappings: readonly Mapping[]): PageRuns {
  return naming(pid, "its pages", () => scanPages(pid, mappings, mappings.filter(isLargeAndFileless)));
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

/** Whether CRIU would let pages of this mapping come after the process runs (lazy-pages). */
function canBeLazy({ flags }: VmaEntry): boolean {
  const kind = MAP.ANONYMOUS | MAP.PRIVATE;
  return (flags & (kind | MAP.LOCKED | MAP.HUGETLB)) === kind;
}

/**
 * Gives the content of `mapping` to `use`, run by run; `next` is the index of the first run that can lie in it. Returns
 * that of the first run that can lie in the mapping behind.
 */
export function eachRun(
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
