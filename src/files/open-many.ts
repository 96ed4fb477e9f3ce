/**
 * Opening many files by their paths in native loops (linux/batch.ts): each is opened, looked at, given its flags and
 * its offset. Either here, or inside a process that is to have them, where nothing has to be handed over.
 */
import { argumentAt, Batch, type Layout, resultAt } from "../linux/batch.ts";
import { F } from "../linux/fcntl.ts";
import { AT, O, SEEK } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { type FileStatus, STATX, statusIn } from "../linux/statx.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import { LaidTable } from "../tracee/laid-table.ts";
import type { Restoree } from "../tracee/restoree.ts";

/** A file to be opened. */
export interface Wish {
  /** Of fewer than {@link LONGEST} bytes, none of them NUL. */
  readonly path: string;
  /** For open(2), without O_NONBLOCK; that comes and goes as the flags say. */
  readonly flags: number;
  readonly offset: bigint;
}

/** What came of it: a descriptor, or a negative errno, and the results of the other calls. */
export interface Opened {
  readonly fd: number;
  readonly status: FileStatus;
  /** fcntl(2): 0 or a negative errno. */
  readonly flagged: number;
  /** Whether lseek(2) did not fail. */
  readonly sought: boolean;
}

/** Bytes of a path here, its NUL included. */
export const LONGEST = 256;
const HIGH = 0x1_0000_0000;
const OPEN_AT = 0;
const STATX_AT = 4;
const SETFL_AT = 5;
const LSEEK_AT = 6;
const BLOCK = 7;
const PER_FILE = BLOCK * ENTRY_SIZE + LONGEST + STATX.SIZE;

/** A block of calls for each file, its path and what is seen of it. */
class Blocks {
  readonly #paths: number;
  readonly #results: number;
  readonly #empty: number;
  readonly #buffer: Buffer;
  #laid = 0;

  constructor(
    private readonly layout: Layout,
    readonly capacity: number,
  ) {
    // Never written: an empty path.
    this.#empty = capacity * BLOCK * ENTRY_SIZE + ENTRY_SIZE;
    this.#paths = this.#empty + 8;
    this.#results = this.#paths + capacity * LONGEST;
    this.#buffer = Buffer.from(layout.bytes.buffer);
  }

  static sizeFor(capacity: number): number {
    return capacity * PER_FILE + ENTRY_SIZE + 8;
  }

  /** Bytes up to what is only written by the calls; and all of them. */
  get asked(): number {
    return this.#results;
  }

  get size(): number {
    return this.#results + this.capacity * STATX.SIZE;
  }

  fill(index: number, wish: Wish, cloexec: boolean): void {
    while (this.#laid <= index) this.#lay(this.#laid++);
    const { words, bytes } = this.layout;
    const path = this.#paths + index * LONGEST;
    bytes[path + this.#buffer.write(wish.path, path)] = 0;
    const block = index * BLOCK;
    words[argumentAt(block + OPEN_AT, 2)] = wish.flags | O.NONBLOCK | (cloexec ? O.CLOEXEC : 0);
    words[argumentAt(block + SETFL_AT, 2)] = wish.flags;
    const offset = Number(wish.offset);
    const at = argumentAt(block + LSEEK_AT, 1);
    words[at] = offset;
    words[at + 1] = offset / HIGH;
  }

  entries(count: number): number {
    return count * BLOCK;
  }

  result(index: number): Opened {
    const { words } = this.layout;
    const block = index * BLOCK;
    return {
      fd: (words[resultAt(block + OPEN_AT)] ?? 0) | 0,
      status: statusIn(words, (this.#results + index * STATX.SIZE) / 4),
      flagged: (words[resultAt(block + SETFL_AT)] ?? 0) | 0,
      sought: ((words[resultAt(block + LSEEK_AT) + 1] ?? 0) | 0) >= 0,
    };
  }

  #lay(index: number): void {
    const { layout } = this;
    const base = index * BLOCK;
    const path = layout.address + this.#paths + index * LONGEST;
    const result = layout.address + this.#results + index * STATX.SIZE;
    const empty = layout.address + this.#empty;
    layout.entry(base + OPEN_AT, NR.openat, AT.FDCWD, path, 0, 0);
    layout.move(base + 1, base + OPEN_AT, base + STATX_AT, 0);
    layout.move(base + 2, base + OPEN_AT, base + SETFL_AT, 0);
    layout.move(base + 3, base + OPEN_AT, base + LSEEK_AT, 0);
    layout.entry(base + STATX_AT, NR.statx, 0, empty, STATX.EMPTY_PATH, STATX.MASK, result);
    layout.entry(base + SETFL_AT, NR.fcntl, 0, F.SETFL, 0);
    layout.entry(base + LSEEK_AT, NR.lseek, 0, 0, SEEK.SET);
  }
}

const CHUNK = 128;
let own: { batch: Batch; blocks: Blocks } | undefined;

/** Opens all of them; each one's failure is its own. The descriptors are the caller's. */
export function openMany(wishes: readonly Wish[]): Opened[] {
  if (own === undefined) {
    const batch = new Batch(Blocks.sizeFor(CHUNK));
    own = { batch, blocks: new Blocks(batch, CHUNK) };
  }
  const { batch, blocks } = own;
  const opened: Opened[] = [];
  for (let from = 0; from < wishes.length; from += CHUNK) {
    const chunk = wishes.slice(from, from + CHUNK);
    chunk.forEach((wish, i) => {
      blocks.fill(i, wish, true);
    });
    batch.run(blocks.entries(chunk.length));
    for (let i = 0; i < chunk.length; i++) opened.push(blocks.result(i));
  }
  return opened;
}

/**
 * Opens the files inside a process, one after the other, at its lowest free numbers. While it opens some, the next ones
 * are laid out here, and what it opened before is looked at: `opened` is told of each, in their order, and throws where
 * something is not as it should be.
 */
export function openInside(
  restoree: Restoree,
  wishes: readonly (Wish & { readonly cloexec: boolean })[],
  opened: (index: number, result: Opened) => void,
): void {
  const { address, size } = restoree.area.bulkRegion(restoree.pid);
  const half = Math.floor(size / 2 / ENTRY_SIZE) * ENTRY_SIZE;
  const capacity = Math.min(CHUNK, Math.floor((half - ENTRY_SIZE - 8) / PER_FILE));
  const sides = [0, half].map((offset) => {
    const region = { pid: restoree.pid, address: address + offset, size: half };
    const table = new LaidTable(restoree.leader, region);
    return { table, blocks: new Blocks(table, capacity) };
  });
  let running: { table: LaidTable; blocks: Blocks; from: number; count: number } | undefined;
  for (let from = 0, turn = 0; from < wishes.length || running !== undefined; turn ^= 1) {
    const side = sides[turn];
    if (side === undefined) return;
    const { table, blocks } = side;
    const count = Math.min(capacity, Math.max(wishes.length - from, 0));
    for (let i = 0; i < count; i++) {
      const wish = wishes[from + i];
      if (wish !== undefined) blocks.fill(i, wish, wish.cloexec);
    }
    const before = running;
    before?.table.finish(before.blocks.size);
    running = undefined;
    if (count > 0) {
      table.start(blocks.entries(count), blocks.asked);
      running = { table, blocks, from, count };
      from += count;
    }
    if (before === undefined) continue;
    try {
      for (let i = 0; i < before.count; i++) opened(before.from + i, before.blocks.result(i));
    } catch (error) {
      running?.table.finish(0);
      throw error;
    }
  }
}
