/**
 * FIFOs: pipes that have a path. In the images the path is a "reg" entry beside the FIFO's own, which may be a ghost or
 * a link remap like any other.
 */

import { IMAGES } from "../images/kinds.ts";
import { FdTypes, type FifoEntry, type FileEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { O, S } from "../linux/io.ts";
import { statusOf } from "../linux/statx.ts";
import { isPeerClosed } from "../linux/tty.ts";
import { FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { PipeDataDump, PipeDataRestore } from "./pipe-data.ts";
import { withAsync, withFlags } from "./status-flags.ts";

export const fifo: FileKind = {
  type: FdTypes.FIFO,
  recognises: (file) => file.format === S.IFIFO && !file.isPath && file.link.startsWith("/"),
  dumper: (context) => new FifoDump(context),
  restorer: (context) => new FifoRestore(context),
};

class FifoDump implements FileDumper {
  readonly #data = new PipeDataDump(IMAGES.fifo_data);

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const pathId = this.context.newId();
    this.context.paths.dump(file, pathId);
    const pipeId = file.status.ino % 2 ** 32;
    this.#data.dump(file, pipeId);
    const entry: FifoEntry = { id, pipe_id: pipeId, regf_id: pathId };
    if ((file.flags & O.ACCMODE) === O.RDONLY && !isPeerClosed(file.copy)) entry.no_hangup = true;
    this.context.add({ type: FdTypes.FIFO, id, fifo: entry });
  }

  finish(): void {
    this.#data.write(this.context.images);
  }
}

class FifoRestore implements FileRestorer {
  /**
   * By the FIFO: a description of ours that is both of its ends. With it nobody waits for a partner, and the content
   * stays until all of those who had the FIFO open have it again. None where readers wait for the first writer: it would be that one,
   * and when it is gone poll(2) would tell them of a hangup.
   */
  readonly #bothEnds = new Map<number, number | undefined>();
  #data: PipeDataRestore | undefined;

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { pipe_id } = fifoOf(entry);
    const path = this.#path(entry);
    const what = `files.img: file ${entry.id}: FIFO ${path.name}`;
    const inherited = this.context.inherited.take(path.name.replace(/^\//, ""), path.flags);
    if (inherited !== undefined) return inherited;
    return restoring(what, () => {
      if (!this.#bothEnds.has(pipe_id)) this.#keep(pipe_id, path.id, what);
      const fd = this.context.paths.openPlain(path.id, (path.flags & (O.ACCMODE | O.NOATIME)) | O.NONBLOCK);
      if (this.#bothEnds.get(pipe_id) === undefined) this.#data?.restore(pipe_id, fd);
      return withFlags(fd, path.flags);
    });
  }

  owner(entry: FileEntry): FownEntry {
    return this.#path(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(this.#path(entry).flags);
  }

  release(): void {
    this.#data?.[Symbol.dispose]();
    this.#data = undefined;
  }

  #keep(pipeId: number, pathId: number, what: string): void {
    this.#data ??= new PipeDataRestore(this.context.images, IMAGES.fifo_data);
    if (this.#awaitsWriter(pipeId) && !this.#data.hasContent(pipeId)) {
      this.#bothEnds.set(pipeId, undefined);
      return;
    }
    const fd = this.context.kept.keep(this.context.paths.openPlain(pathId, O.RDWR | O.NONBLOCK));
    this.#bothEnds.set(pipeId, fd);
    const { mode } = statusOf(fd);
    if ((mode & S.IFMT) !== S.IFIFO) throw new FileRestoreError(`${what} is none any more`);
    this.#data.restore(pipeId, fd);
  }

  /** Whether all who have it open read, and have met no writer. */
  #awaitsWriter(pipeId: number): boolean {
    for (const { fifo: other } of this.context.entries.values())
      if (other?.pipe_id === pipeId && other.no_hangup !== true) return false;
    return true;
  }

  #path(entry: FileEntry) {
    const { regf_id } = fifoOf(entry);
    return this.context.paths.entryOf(regf_id ?? entry.id);
  }
}

function fifoOf(entry: FileEntry): FifoEntry {
  if (entry.fifo === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no FIFO`);
  return entry.fifo;
}
