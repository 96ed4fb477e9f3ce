/**
 * Huge pages of the heap of which a command uses so many small ones that all of it is had sooner at once: such a block is
 * anonymous memory, with one page fault, that is read from the executable; of all others the pages are mapped from it, and
 * copied one by one. Which is sooner depends on the machine, so it is measured where the executable is built.
 */
import { HUGE_PAGE_SIZE, MAP, PAGE_SIZE, PROT } from "../linux/memory.ts";
import { MADV } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { memoryAt, rawSyscall, syscall } from "../linux/syscall.ts";
import type { Vma } from "../memory/vma.ts";
import { countHotPages, type Rehearsals } from "./hot-pages.ts";

/** The least of so many measurements counts. */
const TRIES = 5;
/** Of the pages in use about half are written to, and known; the others are only read, or are written to in large jobs. */
const WRITTEN = 1 / 2;

/** A page that large jobs write to counts so much: every job pays for the block, only these have something of it. */
const LARGE = 1 / 8;

/** The dense blocks within mappings, by their addresses. `fd` is a file of more than HUGE_PAGE_SIZE bytes, to measure with. */
export function denseBlocks(vmas: readonly Vma[], { small, large }: Rehearsals, fd: number): Set<number> {
  const enough = smallPagesPerHugeOne(fd) * WRITTEN;
  const counts = [
    ...countHotPages(vmas, small),
    ...[...countHotPages(vmas, large)].map(([block, count]) => [block, count * LARGE] as const),
  ];
  const blocks = counts.filter(
    ([block, count]) => count >= enough && vmas.some((vma) => holdsBlock(vma, block)),
  );
  return new Set(blocks.map(([block]) => block));
}

/** Whether all of a block lies in a mapping. */
export function holdsBlock({ start, end }: Vma, block: number): boolean {
  return block >= start && block + HUGE_PAGE_SIZE <= end;
}

/** How many small pages can be copied and written to in the time that a huge one takes to be read. */
function smallPagesPerHugeOne(fd: number): number {
  const readable = PROT.READ | PROT.WRITE;
  const reserved = syscall("to measure", NR.mmap, 0, 2 * HUGE_PAGE_SIZE, PROT.NONE, ANONYMOUS, -1, 0);
  const block = Math.ceil(reserved / HUGE_PAGE_SIZE) * HUGE_PAGE_SIZE;
  try {
    const huge = least(
      () => {
        syscall("to measure", NR.mmap, block, HUGE_PAGE_SIZE, readable, ANONYMOUS | MAP.FIXED, -1, 0);
        rawSyscall(NR.madvise, block, HUGE_PAGE_SIZE, MADV.HUGEPAGE);
      },
      () => syscall("to measure", NR.pread64, fd, block, HUGE_PAGE_SIZE, 0),
    );
    const bytes = memoryAt(block, HUGE_PAGE_SIZE);
    const small = least(
      () => syscall("to measure", NR.mmap, block, HUGE_PAGE_SIZE, readable, MAP.PRIVATE | MAP.FIXED, fd, 0),
      () => {
        rawSyscall(NR.madvise, block, HUGE_PAGE_SIZE, MADV.POPULATE_WRITE);
        for (let at = 0; at < HUGE_PAGE_SIZE; at += PAGE_SIZE) bytes[at] = 0;
      },
    );
    return (huge / small) * (HUGE_PAGE_SIZE / PAGE_SIZE);
  } finally {
    rawSyscall(NR.munmap, reserved, 2 * HUGE_PAGE_SIZE);
  }
}

const ANONYMOUS = MAP.PRIVATE | MAP.ANONYMOUS | MAP.NORESERVE;

/** The least time that `act` takes, in nanoseconds, each time after `prepare`. */
function least(prepare: () => void, act: () => void): number {
  let time = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    prepare();
    const start = Bun.nanoseconds();
    act();
    time = Math.min(time, Bun.nanoseconds() - start);
  }
  return time;
}
