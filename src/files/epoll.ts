/**
 * epoll(7). An instance knows the files that it watches, not their descriptors: these may have been closed since, or their
 * numbers have become others'. An image names them by a number that leads to them, as CRIU's do, and by their entry.
 */

import {
  type EventpollFileEntry,
  type EventpollTfdEntry,
  FdTypes,
  type FileEntry,
} from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import {
  addToEpoll,
  type EpollAddition,
  type EpollTarget,
  getEpollParams,
  isEpollTarget,
  parseEpollTargets,
  setEpollParams,
} from "../linux/epoll.ts";
import { errnoName } from "../linux/errno.ts";
import { F } from "../linux/fcntl.ts";
import { fcntl, O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { CALLER, type HostPid } from "../linux/pid.ts";
import { syscall } from "../linux/syscall.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import { allowDescriptors } from "./install.ts";
import type { DumpContext, FileDumper, FileId, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { withAsync, withFlags } from "./status-flags.ts";

export const epoll: FileKind = {
  type: FdTypes.EVENTPOLL,
  recognises: (file) => file.link === "anon_inode:[eventpoll]",
  dumper: (context) => new EpollDump(context),
  restorer: (context) => new EpollRestore(context),
};

/** An instance whose targets are looked for once all files are known. */
interface Waiting {
  readonly entry: EventpollFileEntry;
  readonly pid: HostPid;
  readonly fd: number;
  readonly where: string;
  readonly targets: readonly EpollTarget[];
}

class EpollDump implements FileDumper {
  readonly #waiting: Waiting[] = [];

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const params = getEpollParams(file.copy);
    const entry: EventpollFileEntry = { id, flags: file.flags, fown: file.owner, tfd: [] };
    if (params !== undefined) {
      const { busy_poll_usecs, busy_poll_budget } = params;
      const prefer_busy_poll = params.prefer_busy_poll !== 0;
      Object.assign(entry, { busy_poll_usecs, busy_poll_budget, prefer_busy_poll });
    }
    const targets = parseEpollTargets(file.fdinfo.fields.get("tfd") ?? []);
    this.context.add({ type: FdTypes.EVENTPOLL, id, epfd: entry });
    this.#waiting.push({ entry, pid: file.pid, fd: Number(file.role), where: file.where, targets });
  }

  /** Every file that it may watch is known when nothing new has been found. */
  finish(): void {
    for (const { entry, pid, fd, where, targets } of this.#waiting) {
      const nths = new Map<number, number>();
      entry.tfd = targets.map((target): EventpollTfdEntry => {
        const { number, events, data, device, inode, pos } = target;
        const nth = nths.get(number) ?? 0;
        nths.set(number, nth + 1);
        const file = this.#fileOf(target, pid, fd, nth);
        if (file === undefined) {
          throw new FileDumpError(
            `${where}: it watches a file, registered as descriptor ${number}, that no process of the tree has open`,
          );
        }
        return { id: entry.id, tfd: number, events, data, dev: device, inode: BigInt(inode), pos, ...file };
      });
    }
  }

  #fileOf(
    { number, inode }: EpollTarget,
    pid: HostPid,
    fd: number,
    nth: number,
  ): { file_id: number; tfd?: number; registered?: number } | undefined {
    const is = (otherPid: HostPid, other: number) => isEpollTarget(otherPid, other, pid, fd, number, nth);
    const there = this.context.holds(pid, number);
    if (there !== undefined && is(pid, number)) return { file_id: there.id };
    const file: FileId | undefined = this.context.find(inode, is);
    if (file === undefined) return undefined;
    const otherNumber = this.context.numberOf(pid, file.id);
    return { file_id: file.id, registered: number, ...(otherNumber !== undefined && { tfd: otherNumber }) };
  }
}

class EpollRestore implements FileRestorer {
  readonly #additions: EpollAddition[] = [];

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { flags, busy_poll_usecs = 0, busy_poll_budget = 0, prefer_busy_poll } = epollOf(entry);
    return restoring(placeOf(entry), () => {
      const fd = withFlags(syscall("", NR.epoll_create1, O.CLOEXEC), flags);
      const params = {
        busy_poll_usecs,
        busy_poll_budget,
        prefer_busy_poll: prefer_busy_poll === true ? 1 : 0,
      };
      if (Object.values(params).some((value) => value !== 0)) setEpollParams(fd, params);
      return fd;
    });
  }

  wire(entry: FileEntry, fd: number): void {
    const { tfd } = epollOf(entry);
    if (tfd.length === 0) return;
    const numbers = this.context.tableWith(entry.id);
    for (const { tfd: number, registered = number, events, data, file_id } of tfd) {
      const id = file_id ?? numbers.get(number);
      if (id === undefined) {
        throw new FileRestoreError(`${placeOf(entry)}: it watches descriptor ${number}, which is not there`);
      }
      this.#additions.push({
        epoll: fd,
        target: this.context.descriptor(id),
        number: registered,
        events,
        data,
      });
    }
  }

  /** All instances at once. A number may be one of ours that is needed: those are reached by a higher one meanwhile. */
  wired(): void {
    const additions = this.#additions.splice(0);
    if (additions.length === 0) return;
    const taken = new Set(additions.map(({ number }) => number));
    const above = additions.reduce(
      (most, { number, epoll, target }) => Math.max(most, number, epoll, target),
      0,
    );
    const moved = new Map<number, number>();
    const away = (fd: number) => {
      if (!taken.has(fd)) return fd;
      const known = moved.get(fd);
      if (known !== undefined) return known;
      const copy = this.context.kept.keep(fcntl(fd, F.DUPFD_CLOEXEC, above + 1));
      moved.set(fd, copy);
      return copy;
    };
    const what = "files.img: epoll";
    restoring(what, () => {
      const files = new Set(additions.flatMap(({ epoll, target }) => [epoll, target]));
      allowDescriptors(CALLER, above + 2 + [...files].filter((fd) => taken.has(fd)).length);
      const all = additions.map((each) => ({ ...each, epoll: away(each.epoll), target: away(each.target) }));
      addToEpoll(all, ({ number }, errno) => {
        throw new FileRestoreError(`${what}: watching descriptor ${number}: ${errnoName(errno)}`, {
          object: what,
          errno,
        });
      });
    });
    for (const copy of moved.values()) this.context.kept.drop(copy);
  }

  owner(entry: FileEntry): FownEntry {
    return epollOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(epollOf(entry).flags);
  }
}

function epollOf(entry: FileEntry): EventpollFileEntry {
  if (entry.epfd === undefined)
    throw new FileRestoreError(`files.img: file ${entry.id} is no epoll instance`);
  return entry.epfd;
}

function placeOf(entry: FileEntry): string {
  return `files.img: file ${entry.id}: an epoll instance`;
}
