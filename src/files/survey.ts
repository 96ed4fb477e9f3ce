/**
 * Looking at a whole table of descriptors at once, a few kernel calls for each in native loops (linux/batch.ts).
 *
 * First what every descriptor needs, to see whether it leads to a description that is known; then, of those that are
 * not, where /proc says they lead and what stands there.
 */

import { argumentAt, Batch, resultAt } from "../linux/batch.ts";
import { KernelError } from "../linux/errno.ts";
import { F } from "../linux/fcntl.ts";
import { AT, close, O, open, SEEK } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { type FileStatus, STATX, statusIn } from "../linux/statx.ts";
import { textOf } from "../linux/text.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";

/** What a descriptor leads to. */
export interface Sight {
  readonly fd: number;
  readonly status: FileStatus;
  /** F_GETFL. */
  readonly flags: number;
  /** lseek(2) by nothing from where it stands: the offset's halves, or those of a negative errno. */
  readonly offsetLow: number;
  readonly offsetHigh: number;
  /** F_GETSIG and F_GETOWN; negative where the descriptor is O_PATH. */
  readonly signal: number;
  readonly owner: number;
  /** What /proc/PID/fd shows, and what stands at that path (a negative errno where nothing does): see `follow`. */
  link: string | undefined;
  there: FileStatus | number | undefined;
}

/** Descriptors per run. */
const CHUNK = 128;
const LINK_SIZE = 512;
const NAME_SIZE = 16;

/** Entries of a block of the first batch. */
const GETFD = 0;
const QUERIES = 6;
const CLOSE = 12;
const BLOCK = 13;
const STATX_AT = QUERIES;
const GETFL_AT = QUERIES + 1;
const LSEEK_AT = QUERIES + 2;
const GETSIG_AT = QUERIES + 3;
const GETOWN_AT = QUERIES + 4;

/** The batch of first looks; laid out once, as far as it was needed so far. */
class FirstLook {
  readonly #batch = new Batch(CHUNK * (BLOCK * ENTRY_SIZE + STATX.SIZE) + 2 * ENTRY_SIZE);
  readonly #results = CHUNK * BLOCK * ENTRY_SIZE + ENTRY_SIZE;
  #laid = 0;

  see(pid: number, pidfd: number, fds: readonly number[], from: number, count: number, into: Sight[]): void {
    while (this.#laid < count) this.#lay(this.#laid++);
    const { words } = this.#batch;
    for (let i = 0; i < count; i++) {
      const at = argumentAt(i * BLOCK + GETFD, 0);
      words[at] = pidfd;
      words[at + 2] = fds[from + i] ?? 0;
    }
    this.#batch.run(count * BLOCK);
    for (let i = 0; i < count; i++) {
      const base = i * BLOCK;
      const fd = fds[from + i] ?? 0;
      const copy = (words[resultAt(base + GETFD)] ?? 0) | 0;
      if (copy < 0) throw new KernelError("pidfd_getfd", `of process ${pid}: descriptor ${fd}`, -copy);
      const seek = resultAt(base + LSEEK_AT);
      into.push({
        fd,
        status: statusIn(words, (this.#results + i * STATX.SIZE) / 4),
        flags: words[resultAt(base + GETFL_AT)] ?? 0,
        offsetLow: words[seek] ?? 0,
        offsetHigh: (words[seek + 1] ?? 0) | 0,
        signal: (words[resultAt(base + GETSIG_AT)] ?? 0) | 0,
        owner: (words[resultAt(base + GETOWN_AT)] ?? 0) | 0,
        link: undefined,
        there: undefined,
      });
    }
  }

  #lay(block: number): void {
    const batch = this.#batch;
    const base = block * BLOCK;
    const result = batch.address + this.#results + block * STATX.SIZE;
    // The last word of memory is never written: an empty path.
    const empty = batch.address + batch.bytes.length - 8;
    batch.entry(base + GETFD, NR.pidfd_getfd, 0, 0, 0);
    for (let i = 0; i < QUERIES - 1; i++) batch.move(base + 1 + i, base + GETFD, base + QUERIES + i, 0);
    batch.entry(base + STATX_AT, NR.statx, 0, empty, STATX.EMPTY_PATH, STATX.MASK, result);
    batch.entry(base + GETFL_AT, NR.fcntl, 0, F.GETFL);
    batch.entry(base + LSEEK_AT, NR.lseek, 0, 0, SEEK.CUR);
    batch.entry(base + GETSIG_AT, NR.fcntl, 0, F.GETSIG);
    batch.entry(base + GETOWN_AT, NR.fcntl, 0, F.GETOWN);
    batch.move(base + CLOSE - 1, base + GETFD, base + CLOSE, 0);
    batch.entry(base + CLOSE, NR.close, 0);
  }
}

const READLINK_AT = 0;
const THERE_AT = 1;
const LINK_BLOCK = 2;

class SecondLook {
  readonly #links = CHUNK * LINK_BLOCK * ENTRY_SIZE + ENTRY_SIZE;
  readonly #names = this.#links + CHUNK * LINK_SIZE;
  readonly #results = this.#names + CHUNK * NAME_SIZE;
  readonly #batch = new Batch(this.#results + CHUNK * STATX.SIZE);
  readonly #buffer = Buffer.from(this.#batch.bytes.buffer);
  #laid = 0;

  see(directory: number, sights: readonly Sight[], from: number, count: number): void {
    while (this.#laid < count) this.#lay(this.#laid++);
    const { bytes, words } = this.#batch;
    bytes.fill(0, this.#links, this.#names + count * NAME_SIZE);
    for (let i = 0; i < count; i++) {
      this.#buffer.write(String(sights[from + i]?.fd), this.#names + i * NAME_SIZE, "latin1");
      words[argumentAt(i * LINK_BLOCK + READLINK_AT, 0)] = directory;
    }
    this.#batch.run(count * LINK_BLOCK);
    for (let i = 0; i < count; i++) {
      const sight = sights[from + i];
      const length = (words[resultAt(i * LINK_BLOCK + READLINK_AT)] ?? 0) | 0;
      // A longer one is left to be found by itself.
      if (sight === undefined || length < 0 || length >= LINK_SIZE) continue;
      const link = this.#links + i * LINK_SIZE;
      sight.link = textOf(bytes, link, link + length);
      const result = (words[resultAt(i * LINK_BLOCK + THERE_AT)] ?? 0) | 0;
      sight.there = result < 0 ? result : statusIn(words, (this.#results + i * STATX.SIZE) / 4);
    }
  }

  #lay(block: number): void {
    const batch = this.#batch;
    const base = block * LINK_BLOCK;
    const name = batch.address + this.#names + block * NAME_SIZE;
    const link = batch.address + this.#links + block * LINK_SIZE;
    const result = batch.address + this.#results + block * STATX.SIZE;
    batch.entry(base + READLINK_AT, NR.readlinkat, 0, name, link, LINK_SIZE);
    batch.entry(base + THERE_AT, NR.statx, AT.FDCWD, link, STATX.FOLLOW_NOTHING, STATX.MASK, result);
  }
}

let firstLook: FirstLook | undefined;
let secondLook: SecondLook | undefined;

/** What the descriptors of a process lead to, in their order. @throws KernelError */
export function look(pid: number, pidfd: number, fds: readonly number[]): Sight[] {
  firstLook ??= new FirstLook();
  const sights: Sight[] = [];
  for (let from = 0; from < fds.length; from += CHUNK) {
    firstLook.see(pid, pidfd, fds, from, Math.min(CHUNK, fds.length - from), sights);
  }
  return sights;
}

/** Fills in `link` and `there`, where the link is not too long. @throws KernelError */
export function follow(pid: number, sights: readonly Sight[]): void {
  if (sights.length === 0) return;
  secondLook ??= new SecondLook();
  const directory = open(`/proc/${pid}/fd`, O.PATH | O.DIRECTORY);
  try {
    for (let from = 0; from < sights.length; from += CHUNK) {
      secondLook.see(directory, sights, from, Math.min(CHUNK, sights.length - from));
    }
  } finally {
    close(directory);
  }
}
