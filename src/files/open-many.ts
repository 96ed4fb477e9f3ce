/**
 * Opening many files by their paths in native loops (linux/batch.ts): each is opened, looked at, given its flags and
 * its offset. Either here, or inside a process that is to have them, where nothing has to be handed over; what that cannot
 * open by itself it fetches from us, in its turn.
 */
import { argumentAt, Batch, type Layout, resultAt } from "../linux/batch.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { AT, O, SEEK } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { briefIn, type FileStatus, STATX } from "../linux/statx.ts";
import { ENTRY_SIZE, OP } from "../machine/runner.ts";
import { LaidTable } from "../tracee/laid-table.ts";
import type { Restoree } from "../tracee/restoree.ts";

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
/** The calls of a block: what gives a descriptor, and three that take it. */
const OPEN = 0;
const TAKERS = { STATX: 4, SETFL: 5, LSEEK: 6 } as const;
/** So far before each of them stands the entry that gives it the descriptor. */
const BETWEEN = 3;
const BLOCK = 7;
/** Room for a path, as they are on average; where there is none left the next ones wait for another run. */
const PATH_ROOM = 64;
const PER_FILE = BLOCK * ENTRY_SIZE + PATH_ROOM + STATX.BRIEF;

/**
 * A block of calls for each file, its path and what is seen of it. Of that only the beginning is kept, and the next file's is
 * written over the rest.
 */
class Blocks {
  readonly #zeros: number;
  readonly #paths: number;
  readonly #results: number;
  readonly #buffer: Buffer;
  /** What blocks are laid for: to open a file that may wait, or one that does not; undefined for anything else. */
  readonly #laid: (boolean | undefined)[] = [];
  #pathsEnd: number;

  constructor(
    private readonly layout: Layout,
    readonly capacity: number,
  ) {
    this.#results = capacity * BLOCK * ENTRY_SIZE + ENTRY_SIZE;
    // Zero whatever is done: an empty path.
    this.#zeros = this.#results + capacity * STATX.BRIEF + STATX.SIZE;
    this.#paths = this.#zeros + 8;
    this.#pathsEnd = this.#paths;
    this.#buffer = Buffer.from(layout.bytes.buffer);
  }

  static sizeFor(capacity: number): number {
    return capacity * PER_FILE + ENTRY_SIZE + STATX.SIZE + 8 + LONGEST;
  }

  /** Bytes up to the end of what the calls read; and of what they write. */
  get asked(): number {
    return this.#pathsEnd;
  }

  get answered(): number {
    return this.#zeros;
  }

  /** Begins anew: no block is in use. */
  clear(): void {
    this.#pathsEnd = this.#paths;
  }

  /** Whether there is room for one more path. */
  get hasRoom(): boolean {
    return this.#pathsEnd + LONGEST <= this.layout.bytes.length;
  }

  /** The block opens a file; its path must have room. */
  open(index: number, wish: Wish, cloexec: boolean): void {
    this.#lay(index, wish.mayWait);
    const { layout } = this;
    const { words, bytes, address } = layout;
    const path = this.#pathsEnd;
    const end = path + this.#buffer.write(wish.path, path);
    bytes[end] = 0;
    this.#pathsEnd = end + 1;
    const block = index * BLOCK;
    layout.setArgument(block + OPEN, 1, address + path);
    const flags = cloexec ? wish.flags | O.CLOEXEC : wish.flags;
    words[argumentAt(block + OPEN, 2)] = wish.mayWait ? flags | O.NONBLOCK : flags;
    if (wish.mayWait) words[argumentAt(block + TAKERS.SETFL, 2)] = wish.flags;
    layout.setArgument(block + TAKERS.LSEEK, 1, Number(wish.offset));
  }

  /** The block fetches a descriptor of the process that `pidfd` is of. */
  fetch(index: number, pidfd: number, source: number, { flags, asyncFlags }: Wanted): void {
    const { layout } = this;
    const block = index * BLOCK;
    layout.entry(block + OPEN, NR.pidfd_getfd, pidfd, source, 0);
    this.#chain(block);
    layout.entry(block + TAKERS.STATX, NR.fcntl, 0, F.SETFD, flags & FD_CLOEXEC);
    if (asyncFlags === undefined) layout.entry(block + TAKERS.SETFL, NR.fcntl, 0, F.GETFL);
    else layout.entry(block + TAKERS.SETFL, NR.fcntl, 0, F.SETFL, asyncFlags);
    layout.entry(block + TAKERS.LSEEK, NR.fcntl, 0, F.GETFL);
    this.#laid[index] = undefined;
  }

  entries(count: number): number {
    return count * BLOCK;
  }

  result(index: number): Opened {
    const { words } = this.layout;
    const block = index * BLOCK;
    return {
      fd: (words[resultAt(block + OPEN)] ?? 0) | 0,
      status: briefIn(words, (this.#results + index * STATX.BRIEF) / 4),
      flagged: (words[resultAt(block + TAKERS.SETFL)] ?? 0) | 0,
      sought: ((words[resultAt(block + TAKERS.LSEEK) + 1] ?? 0) | 0) >= 0,
    };
  }

  #lay(index: number, mayWait: boolean): void {
    if (this.#laid[index] === mayWait) return;
    this.#laid[index] = mayWait;
    const { layout } = this;
    const block = index * BLOCK;
    const result = layout.address + this.#results + index * STATX.BRIEF;
    const empty = layout.address + this.#zeros;
    layout.entry(block + OPEN, NR.openat, AT.FDCWD, 0, 0, 0);
    this.#chain(block);
    layout.entry(block + TAKERS.STATX, NR.statx, 0, empty, STATX.EMPTY_PATH, STATX.MASK, result);
    layout.entry(block + TAKERS.SETFL, NR.fcntl, 0, F.SETFL, 0);
    if (!mayWait) this.#skip(block + TAKERS.SETFL);
    layout.entry(block + TAKERS.LSEEK, NR.lseek, 0, 0, SEEK.SET);
  }

  /** Instead of a call nothing is done, with success; what comes as its first argument before does not matter. */
  #skip(entry: number): void {
    const { layout } = this;
    const spare = layout.address + this.#zeros;
    layout.entry(entry - BETWEEN, OP.MOVE, spare, spare);
    layout.entry(entry, OP.MOVE, spare, spare);
    layout.words[resultAt(entry)] = 0;
  }

  /** The descriptor becomes the first argument of the calls that take it. */
  #chain(block: number): void {
    for (const taker of Object.values(TAKERS))
      this.layout.move(block + taker - BETWEEN, block + OPEN, block + taker, 0);
  }
}

const CHUNK = 128;
let own: { batch: Batch; blocks: Blocks } | undefined;

/** Has blocks laid for wishes from one on, `most` at the most; gives how many. */
function fill<T>(
  blocks: Blocks,
  from: number,
  wishes: readonly T[],
  most: number,
  lay: (wish: T, block: number) => void,
): number {
  blocks.clear();
  let count = 0;
  for (; count < most && from + count < wishes.length && blocks.hasRoom; count++) {
    const wish = wishes[from + count];
    if (wish !== undefined) lay(wish, count);
  }
  return count;
}

/** Opens all of them; each one's failure is its own. The descriptors are the caller's. */
export function openMany(wishes: readonly Wish[]): Opened[] {
  if (own === undefined) {
    const batch = new Batch(Blocks.sizeFor(CHUNK));
    own = { batch, blocks: new Blocks(batch, CHUNK) };
  }
  const { batch, blocks } = own;
  const opened: Opened[] = [];
  while (opened.length < wishes.length) {
    const count = fill(blocks, opened.length, wishes, CHUNK, (wish, i) => blocks.open(i, wish, true));
    batch.run(blocks.entries(count));
    for (let i = 0; i < count; i++) opened.push(blocks.result(i));
  }
  return opened;
}

/**
 * Opens files inside a process, and fetches descriptors into it, one after the other, at its lowest free numbers. `opened` is
 * told of each, in their order, and throws where something is not as it should be.
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
  const needed = Blocks.sizeFor(capacity);
  if (needed > size) throw new RangeError("no room for the calls that open files");
  const table = new LaidTable(restoree.leader, { pid, address, size: needed });
  const blocks = new Blocks(table, capacity);
  for (let from = 0; from < wanted.length; ) {
    const count = fill(blocks, from, wanted, capacity, (each, i) => {
      const { source, flags } = each;
      if (typeof source === "number") blocks.fetch(i, restoree.ourPidfd, source, each);
      else blocks.open(i, source, (flags & FD_CLOEXEC) !== 0);
    });
    table.start(blocks.entries(count), blocks.asked);
    table.finish(blocks.answered);
    for (let i = 0; i < count; i++, from++) {
      const each = wanted[from];
      if (each !== undefined) opened(each, blocks.result(i));
    }
  }
}
