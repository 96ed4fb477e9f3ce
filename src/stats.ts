/** The figures of stats-dump and stats-restore: times in microseconds, counts of pages. */
import type { DumpStatsEntry, RestoreStatsEntry } from "./images/schema/generated/stats.ts";

/** Runs from its making; gives microseconds, at least 1 so that what happened is seen to have taken time. */
export class Stopwatch {
  readonly #start = performance.now();

  get micros(): number {
    return Math.max(1, Math.round((performance.now() - this.#start) * 1000));
  }
}

/** Pages of shared memory: looked at, written, and left to the images of the dump before. */
export interface SharedCounts {
  readonly scanned: number;
  readonly written: number;
  readonly inParent: number;
}

/** Collected by a dump as it goes. */
export class DumpStats {
  freezingTime = 0;
  frozenTime = 0;
  memdumpTime = 0;
  memwriteTime = 0;
  pagesScanned = 0;
  pagesWritten = 0;
  pagesInParent = 0;
  sharedScanned = 0;
  sharedWritten = 0;
  sharedInParent = 0;

  /** Pages of shared memory. */
  countShared({ scanned, written, inParent }: SharedCounts): void {
    this.sharedScanned += scanned;
    this.sharedWritten += written;
    this.sharedInParent += inParent;
  }

  get entry(): DumpStatsEntry {
    return {
      freezing_time: this.freezingTime,
      frozen_time: this.frozenTime,
      memdump_time: this.memdumpTime,
      memwrite_time: this.memwriteTime,
      pages_scanned: BigInt(this.pagesScanned),
      pages_skipped_parent: BigInt(this.pagesInParent),
      pages_written: BigInt(this.pagesWritten),
      irmap_resolve: 0,
      pages_lazy: 0n,
      page_pipes: 0n,
      page_pipe_bufs: 0n,
      shpages_scanned: BigInt(this.sharedScanned),
      shpages_skipped_parent: BigInt(this.sharedInParent),
      shpages_written: BigInt(this.sharedWritten),
    };
  }
}

/** Collected by a restore as it goes. */
export class RestoreStats {
  pagesCompared = 0;
  pagesSkippedCow = 0;
  pagesRestored = 0;
  forkingTime = 0;
  restoreTime = 0;

  get entry(): RestoreStatsEntry {
    return {
      pages_compared: BigInt(this.pagesCompared),
      pages_skipped_cow: BigInt(this.pagesSkippedCow),
      forking_time: this.forkingTime,
      restore_time: this.restoreTime,
      pages_restored: BigInt(this.pagesRestored),
    };
  }
}
