/**
 * Opening many files by their paths in native loops (linux/own-table.ts): each is opened, looked at, given its flags and
 * its offset. Either here, or inside a process that is to have them, where nothing has to be handed over; what that cannot
 * open by itself it fetches from us, in its turn. What would change nothing is not called.
 */

import { wholeWords } from "../linux/blocks.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { AT, O, SEEK } from "../linux/io.ts";
import { openHow } from "../linux/mount.ts";
import { NR } from "../linux/nr.ts";
import { OwnTable, type TableLayout } from "../linux/own-table.ts";
import type { LookUp } from "../linux/path-at.ts";
import { briefIn, type FileStatus, STATX } from "../linux/statx.ts";
import { resultAt } from "../machine/entries.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { LaidTable } from "../tracee/table/laid-table.ts";

/** A file to be opened. */
export interface Wish {
  /** Of fewer than {@link LONGEST} bytes, none of them NUL. */
  readonly path: string;
  /** For open(2). */
  readonly flags: number;
  /**
   * Whether opening might have to wait for somebody, should something else stand there, a FIFO or a device: it is opened with
   * O_NONBLOCK then, and gets its flags afterwards.
   */
  readonly mayWait: boolean;
  readonly offset: bigint;
  /** From where and how the path is looked up, where it is not absolute: only we can do that. */
  readonly lookUp: Pick<LookUp, "directory" | "resolve"> | undefined;
}

/** A descriptor that a process is to have. */
export interface Wanted {
  readonly number: number;
  /** Our descriptor of the same description; or, where nobody else is to have it, how the process opens it itself. */
  readonly source: number | Wish;
  readonly flags: number;
  /** Flags of the description that the process is to set by this descriptor, where it is ours. */
  readonly asyncFlags: number | undefined;
  /** Of the description, for messages. */
  readonly id: number;
}

/** What came of it: a descriptor, or a negative errno, and the results of the other calls. */
export interface Opened {
  readonly fd: number;
  readonly status: Pick<FileStatus, "mode" | "size">;
  /** fcntl(2): 0 or a negative errno. */
  readonly flagged: number;
  /** Whether lseek(2) did not fail. */
  readonly sought: boolean;
}

/** Bytes of a path here, its NUL included. */
export const LONGEST = 256;
/** A path and a struct open_how at most. */
const MOST_PLACED = LONGEST + 32;
/** So many files at a time. */
const CHUNK = 128;
/** To open it, to look at it, its flags, its offset. */
const CALLS_PER_FILE = 4;
/** To go to a directory before, and the end. */
const OTHER_CALLS = 2;
/** Bytes of a path, on average; where none are left the next ones wait for another run. */
const PATH_SIZE = 64;
/** Of a call that is not made. */
const NONE = -1;

/**
 * A table for some files: first the calls that open them, then those that take their descriptors. Behind them lie what is
 * seen of each file, of which only the beginning is kept and the next one's is written over the rest, and the paths.
 */
class OpeningCalls {
  readonly #seen: number;
  readonly #empty: number;
  readonly #paths: number;
  readonly #buffer: Buffer;
  /** Of each file, which calls are made for it. */
  readonly #opens: number[] = [];
  readonly #setfls: number[] = [];
  readonly #lseeks: number[] = [];
  #calls = 0;
  #pathsEnd = 0;
  /** Where who runs the table goes first, with a slash at its end. */
  #directory = "";

  constructor(
    private readonly layout: TableLayout,
    private readonly capacity: number,
    /** Whether the first file that cannot be opened ends the table. */
    private readonly strict: boolean,
  ) {
    this.#seen = (capacity * CALLS_PER_FILE + OTHER_CALLS) * ENTRY_SIZE;
    // Zero whatever is done: an empty path.
    this.#empty = this.#seen + capacity * STATX.BRIEF + STATX.SIZE;
    this.#paths = this.#empty + 8;
    this.#buffer = Buffer.from(layout.bytes.buffer);
  }

  static sizeFor(capacity: number): number {
    const perFile = CALLS_PER_FILE * ENTRY_SIZE + STATX.BRIEF + PATH_SIZE;
    return capacity * perFile + OTHER_CALLS * ENTRY_SIZE + STATX.SIZE + 8 + 2 * MOST_PLACED;
  }

  get calls(): number {
    return this.#calls;
  }

  get files(): number {
    return this.#opens.length;
  }

  /** Bytes up to the end of what the calls read; and of what they write. */
  get asked(): number {
    return this.#pathsEnd;
  }

  get answered(): number {
    return this.#empty;
  }

  get isFull(): boolean {
    return this.files === this.capacity || this.#pathsEnd + MOST_PLACED > this.layout.bytes.length;
  }

  /** Begins anew; what is in `directory`, if one is given, is opened from there: the kernel has less to look up. */
  begin(directory = ""): void {
    this.#opens.length = 0;
    this.#setfls.length = 0;
    this.#lseeks.length = 0;
    this.#calls = 0;
    this.#pathsEnd = this.#paths;
    this.#directory = directory;
    if (directory === "") return;
    this.layout.entry(this.#calls, NR.chdir, this.#place(directory));
    this.layout.must(this.#calls++);
  }

  /** Opens one more file, for which there must be space. */
  open({ path, flags, mayWait, lookUp }: Wish, cloexec: boolean): void {
    const name = this.#place(isWithin(path, this.#directory) ? path.slice(this.#directory.length) : path);
    const all = (cloexec ? flags | O.CLOEXEC : flags) | (mayWait ? O.NONBLOCK : 0);
    if (lookUp === undefined) this.#add(NR.openat, AT.FDCWD, name, all);
    else this.#add(NR.openat2, lookUp.directory, name, this.#placeHow(all, lookUp.resolve), openHow.size);
  }

  /** Fetches one more from the process that `pidfd` is of. */
  fetch(pidfd: number, source: number): void {
    this.#add(NR.pidfd_getfd, pidfd, source, 0);
  }

  /** Looks at a file that is opened as `fd`, and gives it what it is to have. */
  see(index: number, fd: number, { flags, mayWait, offset }: Wish): void {
    const { layout } = this;
    const seen = layout.address + this.#seen + index * STATX.BRIEF;
    const empty = layout.address + this.#empty;
    layout.entry(this.#calls++, NR.statx, fd, empty, STATX.EMPTY_PATH, STATX.MASK, seen);
    if (mayWait) this.#setFlags(index, fd, flags);
    if (offset === 0n) return;
    layout.entry(this.#calls, NR.lseek, fd, Number(offset), SEEK.SET);
    this.#lseeks[index] = this.#calls++;
  }

  /** Gives a descriptor that is fetched as `fd` what it is to have. */
  mark(index: number, fd: number, { flags, asyncFlags }: Wanted): void {
    // It comes as one to be closed on exec.
    if ((flags & FD_CLOEXEC) === 0) this.layout.entry(this.#calls++, NR.fcntl, fd, F.SETFD, 0);
    if (asyncFlags !== undefined) this.#setFlags(index, fd, asyncFlags);
  }

  /** The descriptor that a file was opened as, or a negative errno: without the directory there is none. */
  descriptor(index: number): number {
    const { layout } = this;
    const went = this.#directory === "" ? 0 : layout.resultOf(0);
    return went < 0 ? went : layout.resultOf(this.#opens[index] ?? NONE);
  }

  /** The file whose failure has ended the table; undefined where there is none. */
  get ended(): number | undefined {
    for (let i = 0; i < this.files; i++) if (this.descriptor(i) < 0) return i;
    return undefined;
  }

  result(index: number): Opened {
    const { layout } = this;
    const { words } = layout;
    const setfl = this.#setfls[index] ?? NONE;
    const lseek = this.#lseeks[index] ?? NONE;
    return {
      fd: this.descriptor(index),
      status: briefIn(words, (this.#seen + index * STATX.BRIEF) / 4),
      flagged: setfl === NONE ? 0 : layout.resultOf(setfl),
      sought: lseek === NONE || ((words[resultAt(lseek) + 1] ?? 0) | 0) >= 0,
    };
  }

  #add(nr: number, first: number, second: number, third: number, fourth = 0): void {
    this.layout.entry(this.#calls, nr, first, second, third, fourth);
    if (this.strict) this.layout.must(this.#calls);
    this.#opens.push(this.#calls++);
    this.#setfls.push(NONE);
    this.#lseeks.push(NONE);
  }

  #setFlags(index: number, fd: number, flags: number): void {
    this.layout.entry(this.#calls, NR.fcntl, fd, F.SETFL, flags);
    this.#setfls[index] = this.#calls++;
  }

  /** Gives the address of a struct open_how. */
  #placeHow(flags: number, resolve: number): number {
    const at = wholeWords(this.#pathsEnd);
    openHow.encodeInto(this.layout.bytes, at, { flags: BigInt(flags), mode: 0n, resolve: BigInt(resolve) });
    this.#pathsEnd = at + openHow.size;
    return this.layout.address + at;
  }

  /** Gives the address of a path. */
  #place(path: string): number {
    const at = this.#pathsEnd;
    const end = at + this.#buffer.write(path, at);
    this.layout.bytes[end] = 0;
    this.#pathsEnd = end + 1;
    return this.layout.address + at;
  }
}

let own: { batch: OwnTable; opening: OpeningCalls } | undefined;

/** Opens all of them; each one's failure is its own. The descriptors are the caller's. */
export function openMany(wishes: readonly Wish[]): Opened[] {
  if (own === undefined) {
    const batch = new OwnTable(OpeningCalls.sizeFor(CHUNK));
    own = { batch, opening: new OpeningCalls(batch, CHUNK, false) };
  }
  const { batch, opening } = own;
  const opened: Opened[] = [];
  while (opened.length < wishes.length) {
    opening.begin();
    const some = wishes.slice(opened.length, opened.length + CHUNK);
    for (const wish of some) {
      if (opening.isFull) break;
      opening.open(wish, true);
    }
    const { calls, files } = opening;
    batch.run(calls);
    for (let i = 0; i < files; i++) {
      const [wish, fd] = [some[i], opening.descriptor(i)];
      if (wish !== undefined && fd >= 0) opening.see(i, fd, wish);
    }
    batch.run(opening.calls - calls, calls);
    for (let i = 0; i < files; i++) opened.push(opening.result(i));
  }
  return opened;
}

/**
 * Opens files inside a process, and fetches descriptors into it, one after the other: each must have the lowest number that is
 * free then. The process' working directory is another one afterwards. `opened` is told of each, in their order, and throws where
 * something is not as it should be: for the first one that cannot be opened of all.
 */
export function openInside(
  restoree: Restoree,
  wanted: readonly Wanted[],
  opened: (wanted: Wanted, result: Opened) => void,
): void {
  if (wanted.length === 0) return;
  restoree.table.run();
  const capacity = Math.min(CHUNK, wanted.length);
  const { pid, address, size } = restoree.area.bulkRegion(restoree.pid);
  const needed = OpeningCalls.sizeFor(capacity);
  if (needed > size) throw new RangeError("no space for the calls that open files");
  const table = new LaidTable(restoree.leader, { pid, address, size: needed });
  const opening = new OpeningCalls(table, capacity, true);
  for (let from = 0; from < wanted.length; from += opening.files) {
    const some = wanted.slice(from, from + capacity);
    opening.begin(directoryOf(some));
    for (const { source, flags } of some) {
      if (opening.isFull) break;
      if (typeof source === "number") opening.fetch(restoree.ourPidfd, source);
      else opening.open(source, (flags & FD_CLOEXEC) !== 0);
    }
    some.length = opening.files;
    some.forEach((each, i) => {
      if (typeof each.source === "number") opening.mark(i, each.number, each);
      else opening.see(i, each.number, each.source);
    });
    table.start(opening.calls, opening.asked);
    table.finish(opening.answered);
    const ended = opening.ended;
    some.forEach((each, i) => {
      if (ended === undefined || ended === i) opened(each, opening.result(i));
    });
  }
}

/** The directory that the first and the last of some files are in, with a slash at its end; "" where there is none. */
function directoryOf(wanted: readonly Wanted[]): string {
  const [first, last] = [wanted[0]?.source, wanted.at(-1)?.source];
  if (typeof first !== "object" || typeof last !== "object") return "";
  const directory = first.path.slice(0, first.path.lastIndexOf("/") + 1);
  return isWithin(first.path, directory) && isWithin(last.path, directory) ? directory : "";
}

/** Whether a path can be looked up from a directory, without which it neither begins with a slash nor is empty. */
function isWithin(path: string, directory: string): boolean {
  const { length } = directory;
  return length > 0 && path.startsWith(directory) && (path[length] ?? "/") !== "/";
}
