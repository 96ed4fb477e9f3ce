/**
 * Filling fresh anonymous memory of a process being restored. Its pages are made by userfaultfd(2) out of a window of ours: no
 * page fault is taken for each, and none is cleared before it is filled; two threads do it (transfer-jobs.ts).
 */

import { ImageError } from "../images/error.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { readPiece } from "../linux/io.ts";
import { HUGE_PAGE_SIZE } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid } from "../linux/pid.ts";
import { addressOf, memoryAt, rawSyscall } from "../linux/syscall.ts";
import { registerMissing, UFFDIO_COPY, uffdioCopy } from "../linux/userfaultfd.ts";
import { userfaultfdOf } from "../tracee/table/userfaultfd.ts";
import type { Range } from "./errors.ts";
import type { PageSource } from "./page-source.ts";
import type { Pagemap } from "./pages.ts";
import { Pieces, type Stretch } from "./pieces.ts";
import type { Steps } from "./steps.ts";
import { JOB_BYTES, PIECES, type Transfer, TransferJobs, WINDOW } from "./transfer-jobs.ts";

/** Pieces of memory that was just mapped, and the mappings that they are in. */
export class FreshPieces extends Pieces {
  readonly ranges: Range[] = [];
  /** What fills huge pages wholly, where the kernel makes those by itself. */
  readonly blocks = new Pieces();
  #hasBlocks = false;

  /** Whatever is added next is of another mapping, which may have huge pages or not. */
  begin(mayBeHuge: boolean): void {
    this.divide();
    this.blocks.divide();
    this.#hasBlocks = mayBeHuge;
  }

  /** Pages of both. */
  get all(): number {
    return this.pages + this.blocks.pages;
  }

  override add(address: number, length: number, offset: number): void {
    const from = Math.ceil(address / HUGE_PAGE_SIZE) * HUGE_PAGE_SIZE;
    const end = address + length;
    const to = end - (end % HUGE_PAGE_SIZE);
    if (!this.#hasBlocks || to <= from) {
      super.add(address, length, offset);
      return;
    }
    if (from > address) super.add(address, from - address, offset);
    this.blocks.add(from, to - from, offset + from - address);
    if (end > to) super.add(to, end - to, offset + to - address);
  }
}

/** So often the kernel is asked again for pages that it says to be asked again for. */
const TRIES = 1000;

/** Bytes of the pages file that go through the window together. */
class Filling implements Transfer {
  /** Where the argument of each UFFDIO_COPY is: the kernel writes into it how far it came. */
  readonly #copies: number[] = [];

  constructor(
    private readonly pid: HostPid,
    private readonly source: PageSource,
    private readonly stretch: Stretch,
    private readonly uffd: number,
  ) {}

  /** Lays its calls: the read, and what makes the pages of each piece. */
  lay(jobs: TransferJobs): void {
    const { address, bytes, offset, size } = this.stretch;
    const { fd, base } = this.source;
    const window = jobs.begin(this, size, 1 + bytes.length);
    jobs.call(size, NR.pread64, fd, window, size, offset - base);
    let src = window;
    bytes.forEach((len, i) => {
      const copy = uffdioCopy.encode({ dst: address[i] ?? 0, src, len });
      const argument = jobs.argument(copy);
      this.#copies.push(argument);
      jobs.call(0, NR.ioctl, this.uffd, UFFDIO_COPY, argument);
      src += len;
    });
  }

  /** Goes on where each of the calls stopped: one that came to an end before the last of its pages tells only that, EAGAIN. */
  failed(call: number, result: number): void {
    const { file } = this.source;
    if (call === 0 && result >= 0) throw new ImageError("the file is cut short", { file });
    if (call === 0) throw new KernelError("pread64", file, -result);
    if (result !== -ERRNO.EAGAIN) this.#fail(this.stretch.address[call - 1] ?? 0, result);
    let offset = this.stretch.offset;
    this.stretch.bytes.forEach((length, i) => {
      const argument = memoryAt(this.#copies[i] ?? 0, uffdioCopy.size);
      const done = Math.max(0, Number(uffdioCopy.decode(argument).copy));
      if (done < length) this.#rest(offset + done, (this.stretch.address[i] ?? 0) + done, length - done);
      offset += length;
    });
  }

  #rest(offset: number, address: number, length: number): void {
    const bytes = new Uint8Array(length);
    for (let got = 0; got < length; ) got += this.source.readAt(bytes.subarray(got), offset + got);
    const argument = new Uint8Array(uffdioCopy.size);
    for (let done = 0, tries = 0; done < length; tries++) {
      const src = addressOf(bytes) + done;
      uffdioCopy.encodeInto(argument, 0, { dst: address + done, src, len: length - done });
      const result = rawSyscall(NR.ioctl, this.uffd, UFFDIO_COPY, addressOf(argument));
      if (result < 0 && (result !== -ERRNO.EAGAIN || tries === TRIES)) this.#fail(address + done, result);
      done += Math.max(0, Number(uffdioCopy.decode(argument).copy));
    }
  }

  #fail(address: number, result: number): never {
    throw new KernelError(
      "UFFDIO_COPY",
      `memory of process ${this.pid} at 0x${address.toString(16)}`,
      -result,
    );
  }

  end(): void {}
}

/**
 * Whether the kernel makes huge pages wherever memory is touched. What fills one wholly is to have it, as it may have had; the rest
 * is filled with them disabled, as memory that there was none of would become resident.
 */
export const isHugeByItself = oncePerRun(() => {
  try {
    return readPiece("/sys/kernel/mm/transparent_hugepage/enabled").includes("[always]");
  } catch {
    return false;
  }
});

/**
 * Fills pieces of a process' fresh memory from its pages file. What the process has to do before must have been run. False where
 * it does not pay or cannot be done so, and nothing is filled. @throws KernelError, ImageError
 */
export function fillFresh(steps: Steps, map: Pagemap, pieces: FreshPieces): boolean {
  if (pieces.size < JOB_BYTES) return false;
  const { pid, table } = steps.restoree;
  using uffd = userfaultfdOf(pid, table);
  if (uffd === undefined || !registerMissing(uffd.number, pieces.ranges)) return false;
  const jobs = new TransferJobs();
  try {
    for (const [source, those] of pieces.bySource(map))
      those.eachStretch(WINDOW, PIECES, (stretch) =>
        new Filling(pid, source, stretch, uffd.number).lay(jobs),
      );
    jobs.settle();
  } catch (error) {
    jobs.abandon();
    throw error;
  }
  return true;
}
