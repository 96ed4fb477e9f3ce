/**
 * pidfd_open(2): descriptors of processes of the tree, and of processes that are gone. Of these nothing is left but how they
 * ended, and which descriptors are of the same one.
 */

import { FdTypes, type FileEntry, type PidfdEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { type HostPid, hostPid, type NsPid, nsPid } from "../linux/pid.ts";
import { endedProcess, exitCodeOf, PIDFD } from "../linux/pidfd.ts";
import { readStatus } from "../linux/proc.ts";
import { syscall } from "../linux/syscall.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { withAsync, withFlags } from "./status-flags.ts";

/** In an image: a process that has ended and that nobody can wait for any more. */
const GONE = nsPid(-1);

export const pidfd: FileKind = {
  type: FdTypes.PIDFD,
  recognises: (file) => file.link === "anon_inode:[pidfd]",
  dumper: (context) => new PidfdDump(context),
  restorer: (context) => new PidfdRestore(context),
};

class PidfdDump implements FileDumper {
  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const { fields } = file.fdinfo;
    const pid = hostPid(Number(fields.get("Pid")?.[0] ?? -1));
    if (pid > 0 && !this.#isInTree(pid, file.flags)) {
      throw new FileDumpError(
        `${file.where}: a pidfd of process ${pid}, which is not of the tree and would be another one after a restore`,
      );
    }
    if (pid === 0)
      throw new FileDumpError(`${file.where}: a pidfd of a process outside of our pid namespace`);
    const entry: PidfdEntry = {
      id,
      ino: file.status.ino % 2 ** 32,
      flags: file.flags & ~O.RDWR,
      nspid: pid > 0 ? this.context.tasks.numberOf(pid) : GONE,
      fown: file.owner,
    };
    const code = pid > 0 ? undefined : exitCodeOf(file.copy);
    if (code !== undefined) entry.exit_code = code;
    this.context.add({ type: FdTypes.PIDFD, id, pidfd: entry });
  }

  #isInTree(pid: HostPid, flags: number): boolean {
    const process = (flags & PIDFD.THREAD) === 0 ? pid : hostPid(Number(readStatus(pid).get("Tgid")));
    return this.context.tasks.has(process);
  }
}

class PidfdRestore implements FileRestorer {
  /** Of those of processes that are gone: what was opened with others of the same process. */
  readonly #gone = new Map<number, number>();

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { nspid, flags } = pidfdOf(entry);
    const what = nspid === GONE ? "of a process that is gone" : `of process ${nspid}`;
    return restoring(`files.img: file ${entry.id}: a pidfd ${what}`, () => {
      const fd =
        nspid === GONE
          ? this.#goneOf(entry)
          : syscall("", NR.pidfd_open, this.#hostOf(nspid), flags & (PIDFD.NONBLOCK | PIDFD.THREAD));
      return withFlags(fd, flags);
    });
  }

  isLate(entry: FileEntry): boolean {
    const { nspid, flags } = pidfdOf(entry);
    return nspid !== GONE && (flags & PIDFD.THREAD) !== 0;
  }

  owner(entry: FileEntry): FownEntry {
    return pidfdOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(pidfdOf(entry).flags);
  }

  #hostOf(nspid: NsPid): HostPid {
    const host = this.context.hostOf(nspid);
    if (host === undefined) throw new FileRestoreError(`files.img: process ${nspid} is not of the tree`);
    return host;
  }

  /** Descriptors of one and the same process can only be opened while it is there: all of them at once. */
  #goneOf(entry: FileEntry): number {
    if (!this.#gone.has(entry.id)) {
      const { ino, exit_code } = pidfdOf(entry);
      const alike = [...this.context.entries.values()].filter(
        ({ pidfd }) => pidfd !== undefined && pidfd.nspid === GONE && pidfd.ino === ino,
      );
      const wanted = alike.map(({ pidfd }) => (pidfd?.flags ?? 0) & (PIDFD.NONBLOCK | PIDFD.THREAD));
      // From above its namespace, nobody could so much as ask for it.
      const fds = this.context.withNumbers(() => endedProcess(exit_code ?? 0, wanted));
      alike.forEach(({ id }, i) => {
        this.#gone.set(id, this.context.kept.keep(fds[i] ?? -1));
      });
    }
    return this.context.kept.release(this.#gone.get(entry.id) ?? -1);
  }
}

function pidfdOf(entry: FileEntry): PidfdEntry {
  if (entry.pidfd === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no pidfd`);
  return entry.pidfd;
}
