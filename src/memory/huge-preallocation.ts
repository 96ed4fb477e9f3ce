/**
 * A large pages file on tmpfs is given huge pages ahead of its writer.
 *
 * A write to tmpfs looks for a page of its own for every 4 KiB: that takes longer than the copy. MADV_COLLAPSE on a
 * mapping of the file gives it huge pages whatever the mount's `huge=` says, and does not take the file's lock, so it goes
 * on ahead of whoever writes. Not on other file systems: theirs have large pages by themselves, or none.
 */

import { ERRNO } from "../linux/errno.ts";
import { HUGE_PAGE_SIZE, MAP, PAGE_SIZE, PROT } from "../linux/memory.ts";
import { MADV } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { CALLER } from "../linux/pid.ts";
import { RLIMIT, readRlimit } from "../linux/rlimit.ts";
import { rawSyscall } from "../linux/syscall.ts";

/** One call makes so much: each call first drains the lists of fresh pages of all processors. */
const GROUP = 4 << 20;
/** The first groups are made before the writing begins. */
const LEAD = 4;
/** Milliseconds in which a writer fills small pages of a group by itself. */
const SLOW = 2;
/** After so many slow groups in a row we leave it at that. */
const PATIENCE = 3;
/** A smaller file is as fast without. */
const WORTH = 256 << 20;

/** Whether we may make a file of `size` bytes: who may not and does, is ended by a signal. */
function mayMake(size: number): boolean {
  return Number(readRlimit(CALLER, RLIMIT.FSIZE).cur) >= size;
}

export class HugePreallocation implements Disposable {
  /** Where pages are to be made next: nowhere, until it is begun. */
  #at: number;
  #slow = 0;

  private constructor(
    /** Our mapping of the file, aligned to huge pages inside of what is reserved for it. */
    private readonly address: number,
    private readonly size: number,
    private readonly reserved: number,
  ) {
    this.#at = size;
  }

  /** Pages for `size` bytes of a file on tmpfs, open as `fd`. Undefined where it does not pay or is not to be had. */
  static of(fd: number, size: number): HugePreallocation | undefined {
    if (size < WORTH || !mayMake(size) || rawSyscall(NR.ftruncate, fd, size) < 0) return undefined;
    const reserved = rawSyscall(
      NR.mmap,
      0,
      size + HUGE_PAGE_SIZE,
      PROT.NONE,
      MAP.PRIVATE | MAP.ANONYMOUS,
      -1,
      0,
    );
    if (reserved < 0) return undefined;
    const address = Math.ceil(reserved / HUGE_PAGE_SIZE) * HUGE_PAGE_SIZE;
    const made = new HugePreallocation(address, size, reserved);
    if (rawSyscall(NR.mmap, address, size, PROT.WRITE, MAP.SHARED | MAP.FIXED, fd, 0) === address)
      return made;
    made[Symbol.dispose]();
    return undefined;
  }

  /** Makes pages ahead of a writer, from so many bytes on. */
  begin(from: number): void {
    this.#at = Math.ceil(from / GROUP) * GROUP;
    for (let group = 0; group < LEAD && this.advance(); group++);
  }

  /** Makes some more. False when there is no more to make. */
  advance(): boolean {
    const { address } = this;
    const from = this.#at;
    const end = Math.min(from + GROUP, this.size - (this.size % HUGE_PAGE_SIZE));
    if (from >= end) return false;
    this.#at = end;
    const began = performance.now();
    for (let at = from; at < end; at += HUGE_PAGE_SIZE) {
      // The kernel makes none where nothing is at all.
      if (rawSyscall(NR.madvise, address + at, PAGE_SIZE, MADV.POPULATE_WRITE) < 0) return this.stop();
    }
    const result = rawSyscall(NR.madvise, address + from, end - from, MADV.COLLAPSE);
    // They stay in the file, and are not to count as our memory.
    rawSyscall(NR.madvise, address + from, end - from, MADV.DONTNEED);
    // Of pages that are busy just now there may be others.
    if (result < 0 && result !== -ERRNO.EAGAIN) return this.stop();
    // Huge pages may have to be put together first, or be had from a host. The writer would soon wait for us.
    this.#slow = performance.now() - began > SLOW ? this.#slow + 1 : 0;
    return this.#slow < PATIENCE || this.stop();
  }

  /** Makes no more. */
  stop(): false {
    this.#at = this.size;
    return false;
  }

  [Symbol.dispose](): void {
    rawSyscall(NR.munmap, this.reserved, this.size + HUGE_PAGE_SIZE);
  }
}
