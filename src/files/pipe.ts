/** Pipes of pipe(2): any number of descriptions of either end, what waits in between, and its room. */

import { IMAGES } from "../images/kinds.ts";
import { FdTypes, type FileEntry, type PipeEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { F } from "../linux/fcntl.ts";
import { close, fcntl, O, S, selfPath } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { syscall } from "../linux/syscall.ts";
import { FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { openPath } from "./path.ts";
import { makePipe, PipeDataDump, PipeDataRestore } from "./pipe-data.ts";
import { reopenFlags, withAsync, withFlags } from "./status-flags.ts";

export const pipe: FileKind = {
  type: FdTypes.PIPE,
  recognises: (file) => file.format === S.IFIFO && !file.isPath && file.link.startsWith("pipe:["),
  dumper: (context) => new PipeDump(context),
  restorer: (context) => new PipeRestore(context),
};

class PipeDump implements FileDumper {
  readonly #data = new PipeDataDump(IMAGES.pipes_data);

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const pipeId = file.status.ino;
    const entry: PipeEntry = { id, pipe_id: pipeId, flags: file.flags, fown: file.owner, ...ownedAs(file) };
    this.#data.dump(file, pipeId);
    this.context.add({ type: FdTypes.PIPE, id, pipe: entry });
  }

  finish(): void {
    this.#data.write(this.context.images);
  }
}

/** Permissions that pipe(2) gives. */
const USUAL_MODE = 0o600;
const PERMISSIONS = 0o7777;

/** Whose a pipe is, where it is not root's, and who may open it by /proc/PID/fd. */
function ownedAs(file: OpenFile): Pick<PipeEntry, "uid" | "gid" | "mode"> {
  const { fullStatus, owners } = file;
  const [uid, gid] = [owners.uid(fullStatus.uid), owners.gid(fullStatus.gid)];
  const mode = fullStatus.mode & PERMISSIONS;
  return { ...((uid !== 0 || gid !== 0) && { uid, gid }), ...(mode !== USUAL_MODE && { mode }) };
}

interface Pipe {
  /** Ours until the end: what is given away is a duplicate, as others may have to be opened by it. */
  readonly read: number;
  readonly write: number;
  /** Whether the description that pipe(2) made of the end is given away. */
  readGiven: boolean;
  writeGiven: boolean;
}

class PipeRestore implements FileRestorer {
  readonly #pipes = new Map<number, Pipe>();
  #data: PipeDataRestore | undefined;

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const pipe = pipeOf(entry);
    const what = `files.img: file ${entry.id}: pipe:[${pipe.pipe_id}]`;
    return restoring(what, () => {
      const inherited = this.context.inherited.take(`pipe:[${pipe.pipe_id}]`);
      if (inherited !== undefined) {
        const fd = openPath(selfPath(inherited), reopenFlags(pipe.flags));
        close(inherited);
        return withFlags(fd, pipe.flags);
      }
      const made = this.#pipes.get(pipe.pipe_id) ?? this.#make(pipe);
      const access = pipe.flags & O.ACCMODE;
      // open(2) marks what it opens with O_LARGEFILE, pipe(2) does not: so the first one is told from later ones.
      const original = (pipe.flags & O.LARGEFILE) === 0;
      if (original && access === O.RDONLY && !made.readGiven) {
        made.readGiven = true;
        return withFlags(fcntl(made.read, F.DUPFD_CLOEXEC), pipe.flags);
      }
      if (original && access === O.WRONLY && !made.writeGiven) {
        made.writeGiven = true;
        return withFlags(fcntl(made.write, F.DUPFD_CLOEXEC), pipe.flags);
      }
      return withFlags(openPath(selfPath(made.write), reopenFlags(pipe.flags)), pipe.flags);
    });
  }

  owner(entry: FileEntry): FownEntry {
    return pipeOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(pipeOf(entry).flags);
  }

  release(): void {
    this.#data?.[Symbol.dispose]();
    this.#data = undefined;
  }

  #make({ pipe_id: pipeId, uid, gid, mode }: PipeEntry): Pipe {
    this.#data ??= new PipeDataRestore(this.context.images, IMAGES.pipes_data);
    const { kept } = this.context;
    const { read, write } = makePipe();
    const made: Pipe = {
      read: kept.keep(read),
      write: kept.keep(write),
      readGiven: false,
      writeGiven: false,
    };
    this.#pipes.set(pipeId, made);
    this.#data.restore(pipeId, made.write);
    const { owners } = this.context;
    // The owner first: to change it takes bits of the mode.
    if (uid !== undefined || gid !== undefined)
      syscall("its owner", NR.fchown, write, owners.uid(uid ?? 0), owners.gid(gid ?? 0));
    if (mode !== undefined) syscall("its mode", NR.fchmod, write, mode & PERMISSIONS);
    return made;
  }
}

function pipeOf(entry: FileEntry): PipeEntry {
  if (entry.pipe === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no pipe`);
  return entry.pipe;
}
