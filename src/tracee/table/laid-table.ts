/** A table that the caller lays out by itself, for thousands of calls inside a task without an object for each. */

import { readMemory, writeMemory } from "../../linux/memory.ts";
import { TableLayout } from "../../linux/own-table.ts";
import { ENTRY_SIZE, OP } from "../../machine/runner.ts";
import type { Region, TableExecutor } from "./table.ts";

/** The end of a table takes an entry of its own behind the last one. */
export class LaidTable extends TableLayout {
  constructor(
    private readonly executor: TableExecutor,
    private readonly region: Region,
  ) {
    super(region.size, region.address);
  }

  /** Sets the task to run the first `count` entries; the bytes up to `used` go to it. */
  start(count: number, used: number): void {
    this.entry(count, OP.END);
    const size = Math.max(used, (count + 1) * ENTRY_SIZE);
    writeMemory(this.region.pid, this.region.address, this.bytes.subarray(0, size));
    this.executor.startTable(this.region.address);
  }

  /** Waits for the end of a started table and takes back the bytes up to `used`. */
  finish(used: number): void {
    this.executor.awaitTable();
    readMemory(this.region.pid, this.region.address, this.bytes.subarray(0, used));
  }
}
