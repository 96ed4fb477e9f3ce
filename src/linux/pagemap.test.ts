import { describe, expect, test } from "bun:test";
import { zeroFrame } from "../../tests/harness/zero-page.ts";
import { MADV } from "./mman.ts";
import { NR } from "./nr.ts";
import { type PageRuns, scanPages, scanPagesByWords } from "./pagemap.ts";
import { hostPid } from "./pid.ts";
import { memoryAt, rawSyscall, syscall } from "./syscall.ts";

const PAGE = 4096;
const PAGES = 64;

/** Offsets, in pages, of what was found in a mapping. */
function within(runs: PageRuns, start: number): { content: number[]; guards: number[] } {
  const found = { content: [] as number[], guards: [] as number[] };
  runs.start.forEach((from, i) => {
    for (let at = from; at < (runs.end[i] ?? 0); at += PAGE) {
      if (at < start || at >= start + PAGES * PAGE) continue;
      (runs.guard[i] ? found.guards : found.content).push((at - start) / PAGE);
    }
  });
  return found;
}

describe("scanPages", () => {
  test("finds what was written, not what was read or never touched", () => {
    const address = syscall("test", NR.mmap, 0, PAGES * PAGE, 3, 0x22, -1, 0);
    const range = [{ start: address, end: address + PAGES * PAGE }];
    try {
      const memory = memoryAt(address, PAGES * PAGE);
      for (const page of [1, 2, 3, 10, 63]) memory[page * PAGE] = 1;
      let sum = 0;
      for (const page of [5, 11, 62]) sum += memory[page * PAGE] ?? 0;
      expect(sum).toBe(0);
      const guarded = rawSyscall(NR.madvise, address + 20 * PAGE, 2 * PAGE, MADV.GUARD_INSTALL) === 0;
      // Without a zero page, what was read is the process' own as well.
      const content = zeroFrame() === undefined ? [1, 2, 3, 5, 10, 11, 62, 63] : [1, 2, 3, 10, 63];
      const expected = { content, guards: guarded ? [20, 21] : [] };
      expect(within(scanPages(hostPid(process.pid), range), address)).toEqual(expected);
      expect(within(scanPagesByWords(hostPid(process.pid), range), address)).toEqual(expected);
    } finally {
      rawSyscall(NR.munmap, address, PAGES * PAGE);
    }
  });

  test("does not find pages of shared memory", () => {
    const address = syscall("test", NR.mmap, 0, PAGES * PAGE, 3, 0x21, -1, 0);
    const range = [{ start: address, end: address + PAGES * PAGE }];
    try {
      memoryAt(address, PAGES * PAGE).fill(1);
      expect(within(scanPages(hostPid(process.pid), range), address).content).toEqual([]);
      expect(within(scanPagesByWords(hostPid(process.pid), range), address).content).toEqual([]);
    } finally {
      rawSyscall(NR.munmap, address, PAGES * PAGE);
    }
  });

  test("more ranges than one call gives", () => {
    const pages = 6000;
    const address = syscall("test", NR.mmap, 0, pages * PAGE, 3, 0x22, -1, 0);
    try {
      const memory = memoryAt(address, pages * PAGE);
      for (let page = 0; page < pages; page += 2) memory[page * PAGE] = 1;
      const range = [{ start: address, end: address + pages * PAGE }];
      const runs = scanPages(hostPid(process.pid), range);
      const found = runs.start.filter((start) => start >= address && start < address + pages * PAGE);
      expect(found.length).toBe(pages / 2);
      expect(runs.start).toEqual([...runs.start].sort((a, b) => a - b));
    } finally {
      rawSyscall(NR.munmap, address, pages * PAGE);
    }
  });
});
