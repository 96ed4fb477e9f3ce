/**
 * Which pages of a process hold content of their own, by /proc/PID/pagemap: the PAGEMAP_SCAN ioctl (kernel 6.7), or,
 * where there is none, the file's words. Nothing is said of pages never touched, of the zero page, or of pages that
 * are a file's (or shared memory's).
 */

import { ERRNO } from "./errno.ts";
import { close, O, open, withFd } from "./io.ts";
import { PAGE_SIZE, TASK_SIZE } from "./memory.ts";
import { NR } from "./nr.ts";
import { oncePerRun } from "./once-per-run.ts";
import type { HostPid } from "./pid.ts";
import { struct, u64, viewOf, word } from "./struct.ts";
import { addressOf, checkResult, memoryAt, rawSyscall, syscall } from "./syscall.ts";

/** PAGE_IS_* (include/uapi/linux/fs.h). WPALLOWED: writes to it are noted; WRITTEN: it is not protected so that they are. */
export const PAGE_IS = {
  WPALLOWED: 1n,
  WRITTEN: 2n,
  FILE: 4n,
  PRESENT: 8n,
  SWAPPED: 16n,
  PFNZERO: 32n,
  GUARD: 256n,
} as const;
/** Flags of PAGEMAP_SCAN: what is told of is protected against writes as well; it fails where that cannot be. */
export const PM_SCAN = { WP_MATCHING: 1, CHECK_WPASYNC: 2 } as const;
/** The same in the words of the file. */
const PM = {
  FILE: 1 << 29,
  SWAP: 1 << 30,
  PRESENT: 1 << 31,
  GUARD: 1 << 26,
  EXCLUSIVE: 1 << 24,
  FRAME_HIGH: 0x7f_ffff,
} as const;

/** _IOWR('f', 16, struct pm_scan_arg) (include/uapi/linux/fs.h) */
export const PAGEMAP_SCAN = 0xc060_6610;

/** struct pm_scan_arg */
export const scanArgument = struct({
  size: word,
  flags: word,
  start: word,
  end: word,
  walk_end: word,
  vec: word,
  vec_len: word,
  max_pages: word,
  category_inverted: u64,
  category_mask: u64,
  category_anyof_mask: u64,
  return_mask: u64,
});
/** struct page_region: start, end, categories. */
const REGION_SIZE = 24;
const REGIONS = 2048;

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Ranges of addresses, ascending, each of one kind. */
export interface PageRuns {
  readonly start: number[];
  readonly end: number[];
  /** Whether the range is a guard (MADV_GUARD_INSTALL) rather than content. */
  readonly guard: boolean[];
}

function append(runs: PageRuns, start: number, end: number, guard: boolean): void {
  const last = runs.end.length - 1;
  if (last >= 0 && runs.end[last] === start && runs.guard[last] === guard) runs.end[last] = end;
  else {
    runs.start.push(start);
    runs.end.push(end);
    runs.guard.push(guard);
  }
}

const regions = new Uint8Array(REGIONS * REGION_SIZE);
const regionsView = viewOf(regions);
const argument = new Uint8Array(scanArgument.size);
const kernel = oncePerRun(() => ({ knowsGuards: true, knowsScan: true }));

/**
 * Passes of the ioctl over the address space; undefined where the kernel has none. Whether a page is a file's is not asked
 * where it cannot be: the kernel would look at each page's own structure, which takes it five times as long.
 */
function scanByIoctl(fd: number, pid: HostPid, fileless: readonly Range[]): PageRuns | undefined {
  const runs: PageRuns = { start: [], end: [], guard: [] };
  let at = 0;
  for (const { start, end } of fileless) {
    if (!scanRange(fd, pid, at, start, CONTENT, runs)) return undefined;
    if (!scanRange(fd, pid, start, end, { without: PAGE_IS.PFNZERO }, runs)) return undefined;
    at = end;
  }
  return scanRange(fd, pid, at, TASK_SIZE, CONTENT, runs) ? runs : undefined;
}

/** Which pages are asked for, of those that are present or swapped out. */
interface Wanted {
  /** Of none of these kinds. */
  readonly without: bigint;
  /** Of all of these. */
  readonly and?: bigint;
  /** PM_SCAN flags. */
  readonly flags?: number;
}

/** Pages with content of their own. */
const CONTENT: Wanted = { without: PAGE_IS.PFNZERO | PAGE_IS.FILE };

/** Adds the runs from `from` to `to` of pages that are wanted. False where there is no such ioctl. */
function scanRange(
  fd: number,
  pid: HostPid,
  from: number,
  to: number,
  { without, and = 0n, flags = 0 }: Wanted,
  runs: PageRuns,
): boolean {
  for (let at = from; at < to; ) {
    scanArgument.encodeInto(argument, 0, {
      size: scanArgument.size,
      flags,
      start: at,
      end: to,
      vec: addressOf(regions),
      vec_len: REGIONS,
      category_inverted: without,
      category_mask: without | and,
      category_anyof_mask: PAGE_IS.PRESENT | PAGE_IS.SWAPPED,
      return_mask: PAGE_IS.PRESENT | PAGE_IS.SWAPPED | (kernel().knowsGuards ? PAGE_IS.GUARD : 0n),
    });
    const count = rawSyscall(NR.ioctl, fd, PAGEMAP_SCAN, addressOf(argument));
    if (count === -ERRNO.EINVAL && kernel().knowsGuards) {
      kernel().knowsGuards = false;
      continue;
    }
    if (count === -ERRNO.ENOTTY || count === -ERRNO.EINVAL) return false;
    checkResult(count, NR.ioctl, `PAGEMAP_SCAN of process ${pid}`);
    // Not walk_end: the kernel leaves there where it stopped for a moment, when it went on to the end (6.18).
    at = to;
    for (let i = 0; i < count; i++) {
      const region = i * REGION_SIZE;
      const start =
        regionsView.getUint32(region, true) + regionsView.getUint32(region + 4, true) * 0x1_0000_0000;
      const end =
        regionsView.getUint32(region + 8, true) + regionsView.getUint32(region + 12, true) * 0x1_0000_0000;
      append(runs, start, end, (regionsView.getUint32(region + 16, true) & Number(PAGE_IS.GUARD)) !== 0);
      if (i === REGIONS - 1) at = end;
    }
  }
  return true;
}

/** The frame number of the zero page: that of a page of ours that was read and never written. */
const zeroFrame = oncePerRun((): { low: number; high: number } => {
  const address = syscall("a page", NR.mmap, 0, PAGE_SIZE, 1, 0x22, -1, 0);
  const fd = open("/proc/self/pagemap", O.RDONLY);
  try {
    if (memoryAt(address, PAGE_SIZE)[0] !== 0) throw new Error("a fresh page is not zero");
    const words = new Uint8Array(8);
    syscall("our pagemap", NR.pread64, fd, addressOf(words), 8, (address / PAGE_SIZE) * 8);
    const view = viewOf(words);
    return { low: view.getUint32(0, true), high: view.getUint32(4, true) & PM.FRAME_HIGH };
  } finally {
    close(fd);
    rawSyscall(NR.munmap, address, PAGE_SIZE);
  }
});

function scanByWords(fd: number, pid: HostPid, mappings: Iterable<Range>): PageRuns {
  const zero = zeroFrame();
  const runs: PageRuns = { start: [], end: [], guard: [] };
  const words = new Uint8Array(1 << 16);
  const view = viewOf(words);
  for (const { start, end } of mappings) {
    if (end > TASK_SIZE) continue;
    for (let at = start; at < end; ) {
      const length = Math.min(words.length, ((end - at) / PAGE_SIZE) * 8);
      const got = syscall(
        () => `pagemap of process ${pid}`,
        NR.pread64,
        fd,
        addressOf(words),
        length,
        (at / PAGE_SIZE) * 8,
      );
      if (got === 0) break;
      for (let i = 0; i + 8 <= got; i += 8, at += PAGE_SIZE) {
        const high = view.getUint32(i + 4, true);
        if ((high & PM.GUARD) !== 0) {
          append(runs, at, at + PAGE_SIZE, true);
          continue;
        }
        if ((high & (PM.PRESENT | PM.SWAP)) === 0 || (high & PM.FILE) !== 0) continue;
        const frame = high & PM.FRAME_HIGH;
        // Without CAP_SYS_ADMIN all frames read as 0: then zero pages are kept as content.
        if (frame === zero.high && view.getUint32(i, true) === zero.low && (frame | zero.low) !== 0) continue;
        append(runs, at, at + PAGE_SIZE, false);
      }
    }
  }
  return runs;
}

/**
 * The pages with content of their own among the given mappings of process `pid` (the ioctl sees all mappings, so the
 * caller has to intersect), and its guard ranges. `fileless` are those among them, ascending, that have no file's pages and
 * are large enough to be worth a call of their own. @throws KernelError
 */
export function scanPages(
  pid: HostPid,
  mappings: Iterable<Range>,
  fileless: readonly Range[] = [],
): PageRuns {
  const fd = open(`/proc/${pid}/pagemap`, O.RDONLY);
  try {
    if (kernel().knowsScan) {
      const runs = scanByIoctl(fd, pid, fileless);
      if (runs !== undefined) return runs;
      kernel().knowsScan = false;
    }
    return scanByWords(fd, pid, mappings);
  } finally {
    close(fd);
  }
}

/**
 * Protects the pages with content of their own of process `pid` against writes, where its memory has been registered for that
 * (linux/userfaultfd.ts): from here on the kernel notes which are written to. @throws KernelError
 */
export function protectPages(pid: HostPid): void {
  const protectedRuns: PageRuns = { start: [], end: [], guard: [] };
  withFd(open(`/proc/${pid}/pagemap`, O.RDONLY), (fd) => {
    scanRange(fd, pid, 0, TASK_SIZE, { ...CONTENT, flags: PM_SCAN.WP_MATCHING }, protectedRuns);
  });
}

/** The pages of process `pid` that were protected in that way and have not been written to since. @throws KernelError */
export function protectedPages(pid: HostPid): PageRuns {
  const runs: PageRuns = { start: [], end: [], guard: [] };
  const wanted = { without: PAGE_IS.WRITTEN, and: PAGE_IS.WPALLOWED };
  withFd(open(`/proc/${pid}/pagemap`, O.RDONLY), (fd) => {
    scanRange(fd, pid, 0, TASK_SIZE, wanted, runs);
  });
  return runs;
}

/**
 * How many pages of a stretch of anonymous memory a write would need memory for: those that are not there, are swapped out,
 * are the zero page, or are shared with a process that was forked. @throws KernelError
 */
export function pagesToCome(pid: HostPid, address: number, size: number): number {
  const zero = zeroFrame();
  const from = Math.floor(address / PAGE_SIZE);
  const count = Math.ceil((address + size) / PAGE_SIZE) - from;
  const words = new Uint8Array(count * 8);
  const view = viewOf(words);
  withFd(open(`/proc/${pid}/pagemap`, O.RDONLY), (fd) => {
    syscall(() => `pagemap of process ${pid}`, NR.pread64, fd, addressOf(words), words.length, from * 8);
  });
  let missing = 0;
  for (let i = 0; i < words.length; i += 8) {
    const high = view.getUint32(i + 4, true);
    const isZeroPage =
      (high & PM.FRAME_HIGH) === zero.high &&
      view.getUint32(i, true) === zero.low &&
      (zero.high | zero.low) !== 0;
    const own =
      (high & PM.PRESENT) !== 0 && (high & PM.EXCLUSIVE) !== 0 && (high & PM.FILE) === 0 && !isZeroPage;
    if (!own) missing++;
  }
  return missing;
}

/** The same by the words of the file alone, for tests. */
export function scanPagesByWords(pid: HostPid, mappings: Iterable<Range>): PageRuns {
  const fd = open(`/proc/${pid}/pagemap`, O.RDONLY);
  try {
    return scanByWords(fd, pid, mappings);
  } finally {
    close(fd);
  }
}
