/**
 * Moving pages of a process into its pages file: read through /proc/PID/mem, which no protection stops, and written by us, in
 * jobs that two threads work on. Nothing of it happens inside the process, so its own limits and rights have no say.
 *
 * Not by process_vm_readv(2): that pins the pages, and since Linux 5.19 a pinned page is first copied away from those who share
 * it copy-on-write, which costs time and doubles the memory of a tree of forked processes.
 */

import { ERRNO, KernelError } from "../linux/errno.ts";
import { close, O, open, writeAll } from "../linux/io.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { FS_MAGIC, fsMagicOf } from "../linux/statx.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { HugePreallocation } from "./huge-preallocation.ts";
import type { Pieces, Stretch } from "./pieces.ts";
import { JOB_BYTES, PIECES, type Transfer, TransferJobs, WINDOW } from "./transfer-jobs.ts";

/** A process whose pages are being copied, and the file that they go to. */
class Source {
  readonly mem: number;
  #outstanding = 0;
  #whole = false;

  /** `fd` is closed when all transfers have ended. @throws KernelError */
  constructor(
    readonly pid: HostPid,
    readonly fd: number,
    readonly runsOn: boolean,
  ) {
    try {
      this.mem = open(`/proc/${pid}/mem`, O.RDONLY);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  begun(): void {
    this.#outstanding++;
  }

  ended(): void {
    this.#outstanding--;
    this.#closeIfOver();
  }

  /** Nothing more will be begun. */
  conclude(): void {
    this.#whole = true;
    this.#closeIfOver();
  }

  #closeIfOver(): void {
    if (!this.#whole || this.#outstanding > 0) return;
    close(this.mem);
    close(this.fd);
  }
}

/** Pieces that go through the window together. */
class Copy implements Transfer {
  constructor(
    private readonly source: Source,
    private readonly stretch: Stretch,
  ) {}

  /** Lays its calls: a read of each piece, and the write. */
  lay(jobs: TransferJobs): void {
    const { mem, fd } = this.source;
    const { address, bytes, offset, size } = this.stretch;
    this.source.begun();
    const window = jobs.begin(this, size, bytes.length + 1);
    let into = window;
    bytes.forEach((length, i) => {
      jobs.call(length, NR.pread64, mem, into, length, address[i] ?? 0);
      into += length;
    });
    jobs.call(size, NR.pwrite64, fd, window, size, offset);
  }

  /** Does it over step by step, to see what it is. */
  failed(): void {
    const { mem, pid, fd, runsOn } = this.source;
    const { address, bytes, offset, size } = this.stretch;
    const copy = new Uint8Array(size);
    let at = 0;
    bytes.forEach((length, i) => {
      const into = copy.subarray(at, at + length);
      if (runsOn) readWhatIsLeft(mem, address[i] ?? 0, into);
      else readThrough(mem, pid, address[i] ?? 0, into);
      at += length;
    });
    writeAll(fd, copy, offset);
  }

  end(): void {
    this.source.ended();
  }
}

/** Fills `into` through /proc/PID/mem. @throws KernelError */
function readThrough(mem: number, pid: HostPid, address: number, into: Uint8Array): void {
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

/** Fills whole pages of `into` through /proc/PID/mem; a page that has gone meanwhile is zero. */
function readWhatIsLeft(mem: number, address: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; done += PAGE_SIZE) {
    const page = into.subarray(done, done + PAGE_SIZE);
    if (rawSyscall(NR.pread64, mem, addressOf(page), PAGE_SIZE, address + done) !== PAGE_SIZE) page.fill(0);
  }
}

/** So many bytes are copied in each of the two ways before one is chosen. */
const TRIAL = 8 * JOB_BYTES;

/**
 * A large file on tmpfs, which is copied to in two ways: by both threads, or by one while ours makes huge pages ahead. Which is
 * the quicker one depends on the machine, so both are tried.
 */
class Trial implements Disposable {
  #copied = 0;
  #began = performance.now();
  #first: number | undefined;
  #over = false;

  constructor(private readonly ahead: HugePreallocation) {}

  /** Makes some more pages ahead, if that is the way. False if not. */
  advance(): boolean {
    return this.ahead.advance();
  }

  /** So many bytes more have been laid. */
  copied(bytes: number): void {
    this.#copied += bytes;
    if (this.#over || this.#copied < TRIAL * (this.#first === undefined ? 1 : 2)) return;
    const now = performance.now();
    const took = now - this.#began;
    this.#began = now;
    if (this.#first === undefined) {
      this.#first = took;
      // Two jobs are still on their way.
      this.ahead.begin(this.#copied + 2 * JOB_BYTES);
    } else {
      this.#over = true;
      if (took > this.#first) this.ahead.stop();
    }
  }

  [Symbol.dispose](): void {
    this.ahead[Symbol.dispose]();
  }
}

/** Copies pages of processes to files. */
export class PageCopier {
  readonly #jobs = new TransferJobs(() => this.#trial?.advance() ?? false);
  #trial: Trial | undefined;

  /**
   * Copies pieces of a process' memory to where they belong in `fd`, a file of ours that is no longer the caller's. It may go on
   * until {@link settle}; until then the process has to stand, unless it `runsOn` and it does not matter what becomes of its pages.
   * @throws KernelError, for this process or an earlier one
   */
  copy(pid: HostPid, pieces: Pieces, fd: number, runsOn = false): void {
    const source = new Source(pid, fd, runsOn);
    try {
      if (pieces.size >= JOB_BYTES) this.#prepare(fd, pieces.end);
      pieces.eachStretch(WINDOW, PIECES, (stretch) => {
        new Copy(source, stretch).lay(this.#jobs);
        this.#trial?.copied(stretch.size);
      });
      // What was made ahead for this file is of no use to the next.
      if (this.#trial !== undefined) this.settle();
    } finally {
      source.conclude();
    }
  }

  /** Waits for all that still goes on. @throws KernelError */
  settle(): void {
    try {
      this.#jobs.settle();
    } finally {
      this.#endTrial();
    }
  }

  /** After a failure: nothing goes on any more. Never throws. */
  abandon(): void {
    this.#jobs.abandon();
    this.#endTrial();
  }

  /**
   * Sees to it that the file's blocks are found at once rather than one by one: that halves the time of the writing. Where
   * it fails, the writing tells.
   */
  #prepare(fd: number, size: number): void {
    if (fsMagicOf(fd) !== FS_MAGIC.TMPFS) rawSyscall(NR.fallocate, fd, 0, 0, size);
    else {
      const ahead = HugePreallocation.of(fd, size);
      if (ahead !== undefined) this.#trial = new Trial(ahead);
    }
  }

  #endTrial(): void {
    this.#trial?.[Symbol.dispose]();
    this.#trial = undefined;
  }
}
