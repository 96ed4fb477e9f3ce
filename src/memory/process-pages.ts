/** The pages of a process that a dump stores, as they stand in its pages file: where each comes from. */

import { close, writeAll } from "../linux/io.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import type { HostPid } from "../linux/pid.ts";
import type { StoredPages } from "./page-sink.ts";
import type { RunList } from "./pages.ts";
import { ProcessMemory } from "./parent-pages.ts";
import type { Selection } from "./select.ts";
import type { PageCopier } from "./transfer.ts";

export class ProcessPages implements StoredPages, Disposable {
  #memory: ProcessMemory | undefined;

  /** Of a process that stands, or `runsOn`, where it does not matter what becomes of its pages. */
  constructor(
    private readonly pid: HostPid,
    private readonly selection: Pick<Selection, "runs" | "pieces" | "own">,
    private readonly copier: PageCopier,
    private readonly runsOn = false,
  ) {}

  get runs(): RunList {
    return this.selection.runs;
  }

  intoFile(fd: number): void {
    try {
      for (const { bytes, offset } of this.selection.own) writeAll(fd, bytes, offset);
    } catch (error) {
      close(fd);
      throw error;
    }
    this.copier.copy(this.pid, this.selection.pieces, fd, this.runsOn);
  }

  readAt(into: Uint8Array, offset: number): number {
    const { own, pieces } = this.selection;
    const page = own.find((each) => each.offset <= offset && offset < each.offset + PAGE_SIZE);
    if (page !== undefined) {
      const part = page.bytes.subarray(offset - page.offset).subarray(0, into.length);
      into.set(part);
      return part.length;
    }
    const i = pieces.at(offset);
    const distance = offset - (pieces.offset[i] ?? 0);
    const most = Math.min(into.length, (pieces.bytes[i] ?? 0) - distance);
    this.#memory ??= new ProcessMemory(this.pid, this.runsOn);
    return this.#memory.readAt(into.subarray(0, most), (pieces.address[i] ?? 0) + distance);
  }

  [Symbol.dispose](): void {
    this.#memory?.[Symbol.dispose]();
  }
}
