/**
 * Opening many files by their paths in native loops (linux/batch.ts): each is opened, looked at, given its flags and
 * its offset.
 */
import { Batch } from "../linux/batch.ts";
import { F } from "../linux/fcntl.ts";
import { AT, O, SEEK } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { type FileStatus, STATX, statusIn } from "../linux/statx.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";

/** A file to be opened. */
export interface Wish {
  /** Shorter than {@link LONGEST}, without NUL. */
  readonly path: string;
  /** For open(2), without O_NONBLOCK; that comes and goes as the flags say. */
  readonly flags: number;
  readonly offset: bigint;
}

/** What came of it: a descriptor of ours, or a negative errno, and the results of the other calls. */
export interface Opened {
  readonly fd: number;
  readonly status: FileStatus;
  /** fcntl(2): 0 or a negative errno. */
  readonly flagged: number;
  /** lseek(2): whether it failed. */
  readonly sought: boolean;
}

/** Bytes of a path here, its NUL included. */
export const LONGEST = 256;
const CHUNK = 128;
const OPEN_AT = 0;
const STATX_AT = 4;
const SETFL_AT = 5;
const LSEEK_AT = 6;
const BLOCK = 7;

class Opener {
  readonly #paths = CHUNK * BLOCK * ENTRY_SIZE + ENTRY_SIZE;
  readonly #results = this.#paths + CHUNK * LONGEST;
  readonly #batch = new Batch(this.#results + CHUNK * STATX.SIZE + 8);
  readonly #buffer = Buffer.from(this.#batch.bytes.buffer);
  #laid = 0;

  open(wishes: readonly Wish[], from: number, count: number, into: Opened[]): void {
    while (this.#laid < count) this.#lay(this.#laid++);
    const { bytes, words } = this.#batch;
    bytes.fill(0, this.#paths, this.#paths + count * LONGEST);
    for (let i = 0; i < count; i++) {
      const wish = wishes[from + i];
      if (wish === undefined) break;
      this.#buffer.write(wish.path, this.#paths + i * LONGEST);
      const block = i * BLOCK;
      words[Batch.argumentAt(block + OPEN_AT, 2)] = wish.flags | O.NONBLOCK | O.CLOEXEC;
      words[Batch.argumentAt(block + SETFL_AT, 2)] = wish.flags;
      const offset = Number(wish.offset);
      const at = Batch.argumentAt(block + LSEEK_AT, 1);
      words[at] = offset;
      words[at + 1] = offset / 0x1_0000_0000;
    }
    this.#batch.run(count * BLOCK);
    for (let i = 0; i < count; i++) {
      const block = i * BLOCK;
      into.push({
        fd: (words[Batch.resultAt(block + OPEN_AT)] ?? 0) | 0,
        status: statusIn(words, (this.#results + i * STATX.SIZE) / 4),
        flagged: (words[Batch.resultAt(block + SETFL_AT)] ?? 0) | 0,
        sought: ((words[Batch.resultAt(block + LSEEK_AT) + 1] ?? 0) | 0) >= 0,
      });
    }
  }

  #lay(block: number): void {
    const batch = this.#batch;
    const base = block * BLOCK;
    const path = batch.address + this.#paths + block * LONGEST;
    const result = batch.address + this.#results + block * STATX.SIZE;
    // Never written: an empty path.
    const empty = batch.address + batch.bytes.length - 8;
    batch.entry(base + OPEN_AT, NR.openat, AT.FDCWD, path, 0, 0);
    batch.move(base + 1, base + OPEN_AT, base + STATX_AT, 0);
    batch.move(base + 2, base + OPEN_AT, base + SETFL_AT, 0);
    batch.move(base + 3, base + OPEN_AT, base + LSEEK_AT, 0);
    batch.entry(base + STATX_AT, NR.statx, 0, empty, STATX.EMPTY_PATH, STATX.MASK, result);
    batch.entry(base + SETFL_AT, NR.fcntl, 0, F.SETFL, 0);
    batch.entry(base + LSEEK_AT, NR.lseek, 0, 0, SEEK.SET);
  }
}

let opener: Opener | undefined;

/** Opens all of them; each one's failure is its own. The descriptors are the caller's. */
export function openMany(wishes: readonly Wish[]): Opened[] {
  opener ??= new Opener();
  const opened: Opened[] = [];
  for (let from = 0; from < wishes.length; from += CHUNK) {
    opener.open(wishes, from, Math.min(CHUNK, wishes.length - from), opened);
  }
  return opened;
}
