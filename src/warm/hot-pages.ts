/**
 * The pages that a command writes to. They are nearly the same in each run, so a rehearsal shows them. To have them copied all
 * at once, before they are used, takes two thirds of the time that a page fault for each takes.
 */
import { IOV_MAX, iovec } from "../linux/iovec.ts";
import { hugePageDown, PAGE_SIZE } from "../linux/memory.ts";
import { MADV } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { type PageRuns, scanPages } from "../linux/pagemap.ts";
import { readMaps } from "../linux/proc.ts";
import { PTRACE, PTRACE_EVENT, PTRACE_O, ptrace, wait } from "../linux/ptrace.ts";
import { struct, word } from "../linux/struct.ts";
import { rawSyscall } from "../linux/syscall.ts";
import type { Vma } from "../memory/vma.ts";
import type { Table } from "../tracee/table/table.ts";
import type { Executable } from "./executable.ts";
import { startProgram } from "./program.ts";

/** The commands that are rehearsed. */
export const REHEARSED = ["dump", "restore"] as const;
export type HotPages = Readonly<Record<(typeof REHEARSED)[number], PageRuns>>;

/** What two jobs write to. */
export interface Rehearsals {
  /** A process that has next to nothing. */
  readonly small: HotPages;
  /** One with many files. */
  readonly large: HotPages;
}

/** What the notes of an executable say of each command: iovecs, for process_madvise(2). */
const note = struct({ address: word, count: word });

/** Runs a command of the executable `path`, and gives the pages that it has written to. @throws Error where it fails */
export function rehearse(path: string, words: readonly string[]): PageRuns {
  const task = startProgram(path, [path, ...words], [], "/dev/null");
  const { pid } = task;
  ptrace(PTRACE.SETOPTIONS, pid, 0, PTRACE_O.EXITKILL | PTRACE_O.TRACEEXEC | PTRACE_O.TRACEEXIT);
  for (let signal = 0; ; ) {
    task.resume(PTRACE.CONT, signal);
    const stop = task.awaitAnyStop();
    if (stop.event === PTRACE_EVENT.EXIT) break;
    if (stop.event === PTRACE_EVENT.EXEC) throw new Error(`${path} starts cold`);
    signal = stop.event === 0 ? stop.signal : 0;
  }
  const pages = scanPages(pid, readMaps(pid));
  task.detach();
  const status = wait(pid)?.status;
  if (status?.kind !== "exited" || status.code !== 0)
    throw new Error(`${path} ${words.join(" ")} has failed`);
  return pages;
}

/** How many pages a command writes to within each huge page of `vmas`, by their addresses: the mean of all commands. */
export function countHotPages(vmas: readonly Vma[], hot: HotPages): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const command of REHEARSED) {
    for (const page of pagesWithin(hot[command], vmas)) {
      const block = hugePageDown(page);
      counts.set(block, (counts.get(block) ?? 0) + 1 / REHEARSED.length);
    }
  }
  return counts;
}

/**
 * Lays what copies those pages that are mapped by the executable itself, at `vmas`, but for those in huge pages that are there
 * already, `blocks`: calls for what every command writes to, and for {@link copyHotPages} lists of the rest.
 */
export function layHotPages(
  { table, notes }: Executable,
  vmas: readonly Vma[],
  hot: HotPages,
  blocks: ReadonlySet<number>,
): void {
  const lists = REHEARSED.map((command) => {
    const pages = [...pagesWithin(hot[command], vmas)];
    return new Set(pages.filter((page) => !blocks.has(hugePageDown(page))));
  });
  const common = lists.reduce((all, list) => all.intersection(list));
  const pidfd = table.call(NR.pidfd_open, table.call(NR.getpid), 0);
  const { address, count } = place(table, common);
  for (const [at, part] of parts(address, count))
    table.call(NR.process_madvise, pidfd, at, part, MADV.POPULATE_WRITE, 0);
  table.call(NR.close, pidfd);
  lists.forEach((list, i) => {
    note.encodeInto(notes, i * note.size, place(table, list.difference(common)));
  });
}

/** Addresses, ascending. */
function pagesWithin({ start, end }: PageRuns, vmas: readonly Vma[]): Set<number> {
  const pages = new Set<number>();
  for (const vma of vmas) {
    for (let i = 0; i < start.length; i++) {
      const last = Math.min(end[i] ?? 0, vma.end);
      for (let page = Math.max(start[i] ?? 0, vma.start); page < last; page += PAGE_SIZE) pages.add(page);
    }
  }
  return pages;
}

/** Places the iovecs of some pages in a table. */
function place(
  table: Table,
  pages: ReadonlySet<number>,
): { readonly address: number; readonly count: number } {
  const runs: { base: number; length: number }[] = [];
  for (const page of pages) {
    const last = runs.at(-1);
    if (last !== undefined && last.base + last.length === page) last.length += PAGE_SIZE;
    else runs.push({ base: page, length: PAGE_SIZE });
  }
  const list = new Uint8Array(runs.length * iovec.size);
  runs.forEach((run, i) => {
    iovec.encodeInto(list, i * iovec.size, run);
  });
  return { address: table.data(list).address, count: runs.length };
}

/** Of a list of iovecs, the parts that one call takes: address, count. */
function parts(address: number, count: number): [number, number][] {
  const all: [number, number][] = [];
  for (let done = 0; done < count; done += IOV_MAX)
    all.push([address + done * iovec.size, Math.min(IOV_MAX, count - done)]);
  return all;
}

/**
 * Has the pages copied that the command among `words` will write to, as the `notes` of our executable tell. Where the kernel
 * does not do that (before 6.13), or has no memory, each is copied when its time comes.
 */
export function copyHotPages(words: readonly string[], notes: Uint8Array): void {
  const command = REHEARSED.findIndex((each) => words.includes(each));
  if (command < 0) return;
  const { address, count } = note.decode(notes, command * note.size);
  const pidfd = rawSyscall(NR.pidfd_open, ourPid(), 0);
  for (const [at, part] of parts(address, count))
    rawSyscall(NR.process_madvise, pidfd, at, part, MADV.POPULATE_WRITE, 0);
  rawSyscall(NR.close, pidfd);
}
