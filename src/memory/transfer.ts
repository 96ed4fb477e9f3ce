/**
 * Moving pages of a process into its pages file.
 *
 * Much memory is written by the process itself, by pwritev(2) straight from its pages: one copy. Little is read from
 * outside, through /proc/PID/mem, and written by us, which needs no descriptor inside; so is what the process may not
 * read. Not by process_vm_readv(2): that pins the pages, and since Linux 5.19 a pinned page is first copied away from
 * those who share it copy-on-write, which costs time and doubles the memory of a tree of forked processes.
 */
import { ERRNO, KernelError } from "../linux/errno.ts";
import { close, O, open, readText, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { FS_MAGIC, fsMagicOf } from "../linux/statx.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import { oncePerRun } from "../run.ts";
import { giveBack, lend, type Taken, take, takeBack } from "../tracee/descriptors.ts";
import type { Dumpee } from "../tracee/dumpee.ts";
import type { Argument, Result, Series } from "../tracee/table.ts";
import { HugeRoom } from "./huge-room.ts";
import { Pieces } from "./pieces.ts";

/** From so many bytes on it pays to have the process write, if it can take a descriptor from us by itself. */
const WRITE_INSIDE = 128 << 10;
/** The same where we have to send it the descriptor. */
const WRITE_LENT = 4 << 20;
/** So many processes write at once at most: each holds a descriptor of ours open. */
const MOST_AT_ONCE = 64;
const WINDOW = 1 << 20;
let window: Uint8Array | undefined;

/** Fills `into` through /proc/PID/mem, which no protection stops. @throws KernelError */
function readThrough(mem: number, pid: number, address: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    const part = into.subarray(done);
    const got = rawSyscall(NR.pread64, mem, addressOf(part), part.length, address + done);
    if (got <= 0) {
      const place = `memory of process ${pid} at 0x${(address + done).toString(16)}`;
      throw new KernelError("pread64", place, got === 0 ? ERRNO.EIO : -got);
    }
    done += got;
  }
}

/** Copies pieces of a process' memory to a file of ours. @throws KernelError */
function copyFromOutside(pid: number, pieces: Pieces, fd: number): void {
  if (pieces.length === 0) return;
  window ??= new Uint8Array(WINDOW);
  const buffer = window;
  let filled = 0;
  let begin = 0;
  const flush = () => {
    if (filled > 0) writeAll(fd, buffer.subarray(0, filled), begin);
    filled = 0;
  };
  withFd(open(`/proc/${pid}/mem`, O.RDONLY), (mem) => {
    for (let i = 0; i < pieces.length; i++) {
      const from = pieces.address[i] ?? 0;
      const size = pieces.bytes[i] ?? 0;
      const offset = pieces.offset[i] ?? 0;
      if (offset !== begin + filled) flush();
      for (let done = 0; done < size; ) {
        if (filled === 0) begin = offset + done;
        const length = Math.min(size - done, WINDOW - filled);
        readThrough(mem, pid, from + done, buffer.subarray(filled, filled + length));
        filled += length;
        done += length;
        if (filled === WINDOW) flush();
      }
    }
  });
  flush();
}

/** The cgroups that pages are charged to, as /proc/PID/cgroup names them. */
function groupsOf(who: number | "self"): string {
  return readText(`/proc/${who}/cgroup`)
    .split("\n")
    .filter((line) => line.startsWith("0::") || line.includes(":memory:"))
    .join("\n");
}

const ourGroups = oncePerRun(() => groupsOf("self"));

/**
 * Whether the pages that the process would fill are charged to the memory cgroup that ours are charged to. If not, they
 * would weigh on a limit of its own.
 */
function chargedAlike(pid: number): boolean {
  return groupsOf(pid) === ourGroups();
}

/** What one pwritev(2) inside is to do. */
interface Write {
  readonly result: Result;
  readonly first: number;
  readonly count: number;
  readonly bytes: number;
}

/** A part of a large piece that is being written: part by part, each of the same size. */
interface Lot {
  readonly series: Series;
  readonly address: number;
  readonly offset: number;
  readonly part: number;
  readonly began: number;
}

/** Such a piece is written lot by lot, so that we see how fast that goes. Sizes of lots double. */
const LARGE_PIECE = 8 << 20;
const FIRST_LOT = LARGE_PIECE;
const LARGEST_LOT = 64 << 20;
/** File systems take pages as large as a write is: quickest... */
const LARGE_PART = 2 << 20;
/** ...but where a host took free memory back, large ones have to be had from it again. */
const SMALL_PART = 32 << 10;
/** Milliseconds for a MiB that tell of that. */
const SLOW = 0.75;

/** Errors by which a process is told that it may take nothing from us, now or ever. */
const NO_TAKING = [ERRNO.EPERM, ERRNO.EACCES, ERRNO.ESRCH, ERRNO.ENOSYS, ERRNO.EINVAL];
const taking = oncePerRun(() => ({ works: true }));

/** A process that writes its pages. */
class Writing {
  #writes: Write[] = [];
  /** What it did not write after all: memory under a protection key. */
  #rest = new Pieces();
  #taken: Taken | undefined;
  #lent: number | undefined;
  #running = false;
  #room: HugeRoom | undefined;
  /** Indexes of pieces that are written lot by lot, when all others are. */
  readonly #large: number[] = [];
  /** Bytes of the first of them that are written. */
  #done = 0;
  #lot: Lot | undefined;
  #lotSize = FIRST_LOT;
  #part = LARGE_PART;

  constructor(
    private readonly dumpee: Dumpee,
    private readonly pieces: Pieces,
    private readonly fd: number,
  ) {}

  /** Sets the process to work. False where it can have no descriptor of ours. @throws KernelError */
  start(bytes: number): boolean {
    const { dumpee, fd } = this;
    const { table } = dumpee;
    if (taking().works) this.#taken = take(dumpee, fd);
    else if (bytes >= WRITE_LENT) this.#lent = lend(dumpee, fd);
    const inside: Argument | undefined = this.#lent ?? this.#taken?.fd;
    if (inside === undefined) return false;
    this.#prepare(inside);
    const byLots = this.#room === undefined;
    let first = 0;
    this.pieces.eachGroup((group, count, length, offset) => {
      if (byLots && length >= LARGE_PIECE && count === 1) this.#large.push(first);
      else {
        if (table.free < group.length + LAST_CALLS) {
          table.run();
          this.#look();
        }
        const result = table.call(NR.pwritev, inside, table.data(group), count, offset, 0);
        this.#writes.push({ result, first, count, bytes: length });
      }
      first += count;
    }, LARGE_PIECE);
    this.#startTable();
    return true;
  }

  /** What is in the table is the last if no large piece is left. */
  #startTable(): void {
    if (this.#large.length === 0) this.#giveBack();
    this.dumpee.table.start();
    this.#running = true;
  }

  #giveBack(): void {
    if (this.#taken !== undefined) giveBack(this.dumpee, this.#taken);
    else if (this.#lent !== undefined) takeBack(this.dumpee, this.#lent);
  }

  /** Has some more written, or makes room for what is. False when there is no more to do but to wait. @throws KernelError */
  advance(): boolean {
    return this.#room?.advance() ?? this.#writeLot();
  }

  #writeLot(): boolean {
    const { table } = this.dumpee;
    const [index] = this.#large;
    if (index === undefined) return false;
    this.wait();
    this.#look();
    if (this.#refused) {
      for (const each of this.#large.splice(0)) this.#leave(each, 0);
      return false;
    }
    const fd = this.#lent ?? this.#taken?.fd.value ?? -1;
    const address = (this.pieces.address[index] ?? 0) + this.#done;
    const offset = (this.pieces.offset[index] ?? 0) + this.#done;
    const left = (this.pieces.bytes[index] ?? 0) - this.#done;
    const most = Math.floor((table.free - LAST_CALLS) / ENTRY_SIZE) * this.#part;
    const bytes = Math.min(left, most, this.#lotSize);
    const part = Math.min(this.#part, bytes);
    const count = Math.floor(bytes / part);
    const series = table.series(NR.pwrite64, count, [fd, address, part, offset], [0, part, 0, part]);
    this.#lot = { series, address, offset, part, began: performance.now() };
    this.#done += count * part;
    if (this.#done === this.pieces.bytes[index]) {
      this.#large.shift();
      this.#done = 0;
    }
    this.#lotSize = Math.min(2 * this.#lotSize, LARGEST_LOT);
    this.#startTable();
    return true;
  }

  /**
   * Sees to it that the file's blocks are found at once rather than one by one: that halves the time of the writing. Where
   * it fails, the writing tells.
   */
  #prepare(inside: Argument): void {
    const { dumpee, pieces, fd } = this;
    const size = pieces.end;
    if (fsMagicOf(fd) !== FS_MAGIC.TMPFS) {
      dumpee.table.call(NR.fallocate, inside, 0, 0, size);
      return;
    }
    this.#room = HugeRoom.of(fd, size);
    this.#room?.begin();
  }

  /** Waits for the end of its writing, and does what it could not. @throws KernelError */
  settle(): void {
    this.wait();
    this.#look();
    const rest = this.#rest;
    if (this.#taken !== undefined && this.#refused) {
      if (NO_TAKING.includes(-this.#taken.fd.raw as (typeof NO_TAKING)[number])) taking().works = false;
      // A refusal may come after the pidfd was opened.
      giveBack(this.dumpee, this.#taken);
      this.dumpee.table.run();
    }
    copyFromOutside(this.dumpee.pid, rest, this.fd);
  }

  /** The process stands again, whatever it has written, and has nothing of ours. @throws KernelError */
  abandon(): void {
    this.wait();
    if (this.#large.length === 0) return;
    this.#giveBack();
    this.dumpee.table.run();
  }

  /** @throws KernelError */
  wait(): void {
    if (!this.#running) return;
    this.#running = false;
    this.dumpee.table.finish();
  }

  close(): void {
    this.#room?.[Symbol.dispose]();
    close(this.fd);
  }

  /** Whether the process could not take our descriptor. */
  get #refused(): boolean {
    return this.#taken?.fd.failed === true;
  }

  /** Leaves a piece to us, but for the bytes that are written. */
  #leave(index: number, written: number): void {
    const length = this.pieces.bytes[index] ?? 0;
    if (written >= length) return;
    const address = (this.pieces.address[index] ?? 0) + written;
    this.#rest.add(address, length - written, (this.pieces.offset[index] ?? 0) + written);
  }

  #look(): void {
    for (const { result, first, count, bytes } of this.#writes.splice(0)) {
      if (!this.#refused) this.#refuse(result.raw);
      let done = result.failed ? 0 : result.raw;
      if (done === bytes) continue;
      for (let i = first; i < first + count; i++) {
        const length = this.pieces.bytes[i] ?? 0;
        this.#leave(i, Math.min(done, length));
        done -= Math.min(done, length);
      }
    }
    if (this.#lot !== undefined) this.#lookAtLot(this.#lot);
    this.#lot = undefined;
  }

  #lookAtLot({ series, address, offset, part, began }: Lot): void {
    const { results } = series;
    const milliseconds = performance.now() - began;
    if (milliseconds > (results.length * part * SLOW) / (1 << 20)) this.#part = SMALL_PART;
    for (let i = 0; i < results.length; i++) {
      const written = results[i] ?? 0;
      if (written === part) continue;
      this.#refuse(written);
      const done = i * part + Math.max(0, written);
      this.#rest.add(address + done, (i + 1) * part - done, offset + done);
    }
  }

  /** A page that cannot be read is left to us; any other failure is one of the file. @throws KernelError */
  #refuse(result: number): void {
    if (result < 0 && result !== -ERRNO.EFAULT) throw new KernelError("pwritev", "of pages", -result);
  }
}

/** Room for the calls that end a table. */
const LAST_CALLS = 1024;

/** Copies pages of processes to files; several processes write at the same time. */
export class PageCopier {
  #writings: Writing[] = [];

  /**
   * Copies pieces of a process' memory to where they belong in `fd`, a file of ours that is ours to close. `readable`
   * are those that the process may read itself, `mostBytes` is its limit on the size of a file. What it writes itself
   * may go on until {@link settle}; until then it runs no other table. @throws KernelError
   */
  copy(dumpee: Dumpee, mostBytes: number, readable: Pieces, unreadable: Pieces, fd: number): void {
    const { pid } = dumpee;
    const bytes = readable.size;
    const inside = bytes >= WRITE_INSIDE && bytes + unreadable.size <= mostBytes && chargedAlike(pid);
    const writing = new Writing(dumpee, readable, fd);
    let begun = false;
    try {
      copyFromOutside(pid, unreadable, fd);
      begun = inside && writing.start(bytes);
      if (!begun) copyFromOutside(pid, readable, fd);
    } finally {
      if (begun) this.#writings.push(writing);
      else writing.close();
    }
    if (this.#writings.length > MOST_AT_ONCE) this.#settleFirst();
  }

  /** Waits for all that still goes on. @throws KernelError */
  settle(): void {
    for (let more = true; more; ) {
      more = false;
      for (const writing of this.#writings) if (writing.advance()) more = true;
    }
    while (this.#writings.length > 0) this.#settleFirst();
  }

  /** After a failure: all processes stand again. Never throws. */
  abandon(): void {
    for (const writing of this.#writings.splice(0)) {
      try {
        writing.abandon();
      } catch {
        // The failure that brought us here is the one to tell.
      } finally {
        writing.close();
      }
    }
  }

  #settleFirst(): void {
    const [writing] = this.#writings;
    if (writing === undefined) return;
    while (writing.advance());
    writing.settle();
    this.#writings.shift();
    writing.close();
  }
}
