/**
 * Which pages of a tree are written to from one dump to the next (`--track-mem`). The kernel notes it for memory that a userfaultfd
 * has registered and protected, as long as that is open: the tracker, a process that does nothing else, keeps it open until the
 * tree ends or the next dump ends the tracker. The tree itself has no part in it.
 *
 * What is not registered, as it was mapped since, is not known; nor is anything where the tracker is gone. Then pages are compared
 * with those of the images (memory/parent-pages.ts).
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { InventoryEntry } from "../images/schema/generated/inventory.ts";
import { ChildTable } from "../linux/child-table.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { F } from "../linux/fcntl.ts";
import { Fd } from "../linux/fd.ts";
import { fcntl, listNumbers, readLink, readPiece } from "../linux/io.ts";
import { kill } from "../linux/kill.ts";
import { MADV } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { type PageRuns, protectedPages, protectPages } from "../linux/pagemap.ts";
import { type HostPid, hostPid } from "../linux/pid.ts";
import { POLL, poll, pollfd } from "../linux/poll.ts";
import { PR } from "../linux/prctl.ts";
import { type Mapping, readMaps, readStat } from "../linux/proc.ts";
import { SIG } from "../linux/signal.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { registerMore, registerWrites } from "../linux/userfaultfd.ts";
import { log } from "../log.ts";
import { isRing } from "../memory/aio.ts";
import type { UnwrittenPages } from "../memory/parent-pages.ts";
import type { Table } from "../tracee/table/table.ts";
import { userfaultfdOfLiving } from "../tracee/table/userfaultfd.ts";

/** What /proc calls it. */
const NAME = "criu-tracker";
/** Its descriptors begin there: what is below is closed. */
const FIRST_FD = 128;
const LAST_FD = 0xffff_ffff;
/** So many milliseconds it may take to end. */
const PATIENCE = 5000;
/** So many processes are tracked at the most, each by a descriptor; the others are compared. */
const MOST = 512;
/** Of the memory that it was born with it gives away these many mappings, the largest: more calls find no place in a table. */
const MOST_MAPPINGS = 128;

/** What an inventory says of a tracker. */
export type TrackerFields = Pick<InventoryEntry, "tracker_pid" | "tracker_start">;

/**
 * What a dump that builds on these images knows of the processes of a tree, which stand: the pages that were not written to since. The
 * tracker ends. Nothing is known without one. @throws KernelError
 */
export function unwrittenSince(
  before: ImageDir | undefined,
  pids: readonly HostPid[],
): ReadonlyMap<HostPid, UnwrittenPages> {
  const found = new Map<HostPid, UnwrittenPages>();
  const inventory = before?.tryReadOne(IMAGES.inventory);
  const tracker = inventory && livingTracker(inventory);
  if (tracker === undefined) return found;
  for (const pid of pids) found.set(pid, new Unwritten(protectedPages(pid)));
  end(tracker);
  return found;
}

/** The tracker that an inventory tells of, if that is what lives under its number. */
function livingTracker({ tracker_pid, tracker_start }: TrackerFields): HostPid | undefined {
  if (tracker_pid === undefined) return undefined;
  const pid = hostPid(tracker_pid);
  const start = startOfTracker(pid);
  if (start !== undefined && BigInt(start) === tracker_start) return pid;
  log.info("tracker", `${pid} tracks nothing any more: pages are compared`);
  return undefined;
}

/** When a process has begun that is a tracker of ours; undefined of any other. @throws KernelError */
function startOfTracker(pid: HostPid): number | undefined {
  return unlessGone(() => {
    const { comm, startTime, state } = readStat(pid);
    if (comm !== NAME || state === "Z") return undefined;
    return readLink(`/proc/${pid}/exe`) === readLink("/proc/self/exe") ? startTime : undefined;
  });
}

/** Ends a tracker: nothing is registered by it any more. @throws KernelError */
function end(tracker: HostPid): void {
  unlessGone(() => {
    using pidfd = Fd.ofProcess(tracker);
    kill(tracker, SIG.KILL);
    poll(pidfd.number, POLL.IN, PATIENCE);
  });
}

/** Looks at a process, which may end meanwhile: undefined then. @throws KernelError */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT, ERRNO.ESRCH)) return undefined;
    throw error;
  }
}

/** Ends the trackers of a tree, by its root, that earlier dumps have left: what builds on those has its pages compared. @throws KernelError */
function endTrackersOf(root: HostPid): void {
  for (const number of listNumbers("/proc")) {
    const pid = hostPid(number);
    if (startOfTracker(pid) !== undefined && isTrackerOf(pid, root)) end(pid);
  }
}

/** It has a pidfd of the root of its tree. */
function isTrackerOf(tracker: HostPid, root: HostPid): boolean {
  const found = unlessGone(() =>
    listNumbers(`/proc/${tracker}/fdinfo`).some((fd) =>
      readPiece(`/proc/${tracker}/fdinfo/${fd}`).includes(`\nPid:\t${root}\n`),
    ),
  );
  return found === true;
}

/** Pages that are known not to have been written to. */
class Unwritten implements UnwrittenPages {
  constructor(private readonly runs: PageRuns) {}

  eachPart(
    start: number,
    end: number,
    use: (start: number, end: number, isUnwritten: boolean) => void,
  ): void {
    const { runs } = this;
    let i = firstEndingBehind(runs, start);
    for (let at = start; at < end; i++) {
      const from = Math.min(Math.max(runs.start[i] ?? end, at), end);
      const to = Math.min(runs.end[i] ?? end, end);
      if (from > at) use(at, from, false);
      if (from < to) use(from, to, true);
      at = Math.max(from, to);
    }
  }
}

/** The index of the first run that ends behind an address. */
function firstEndingBehind({ end }: PageRuns, address: number): number {
  let low = 0;
  for (let high = end.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((end[middle] ?? 0) <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Memory that can be tracked: what has pages of files, or is written to by devices, is compared. */
function isTracked({ shared, path, flags }: Mapping): boolean {
  const isAnonymous = path === "" || /^\[(heap|stack|anon:)/.test(path);
  return (
    isAnonymous && !shared && !flags.has("ht") && !flags.has("io") && !flags.has("pf") && !flags.has("dp")
  );
}

/** Devices and the kernel write to memory of a process behind its back where it has these. */
function isWrittenByOthers(mapping: Mapping): boolean {
  const { path, flags } = mapping;
  return isRing(mapping) || path.includes("[io_uring]") || (flags.has("io") && !path.startsWith("["));
}

/** Begins to track the processes of a tree, one by one while they stand; to be disposed of. */
export class Tracker implements Disposable {
  readonly #uffds: Fd[] = [];
  /** Whether earlier trackers of the tree have been ended. */
  #isAlone = false;
  #child: ChildTable | undefined;
  #go: Fd | undefined;

  /** `root` is that of the tree. */
  constructor(private readonly root: HostPid) {}

  /** Registers the memory of process `pid`, by calls of its own. What the kernel will not have is not tracked. @throws KernelError */
  register(pid: HostPid, table: Table, mappings: readonly Mapping[]): void {
    if (this.#uffds.length === MOST || mappings.some(isWrittenByOthers)) return;
    const uffd = userfaultfdOfLiving(pid, table);
    if (uffd === undefined) return;
    try {
      const taken = registerWrites(uffd.number, mappings.filter(isTracked));
      if (taken.length > 0) {
        if (!this.#isAlone) endTrackersOf(this.root);
        this.#isAlone = true;
        registerMore(uffd.number, taken);
      }
    } catch (error) {
      uffd.close();
      if (!isErrno(error, ERRNO.EINVAL)) throw error;
      log.debug("tracker", `process ${pid}: this kernel does not track what is written: pages are compared`);
      return;
    }
    this.#uffds.push(uffd);
  }

  /** From here on writes of processes that were registered are noted. They stand, and nothing of ours is in them. @throws KernelError */
  begin(pids: readonly HostPid[]): void {
    if (this.#uffds.length > 0) for (const pid of pids) protectPages(pid);
  }

  /**
   * Starts what keeps it so for as long as the root lives; if we die before `commit`, it ends. Gives what the inventory is to
   * say of it; nothing where nothing is tracked. @throws KernelError
   */
  keep(): TrackerFields {
    if (this.#uffds.length === 0) return {};
    const [reading, writing] = Fd.pipe();
    this.#go = writing;
    const fds = [reading, Fd.ofProcess(this.root), ...this.#uffds.splice(0)].map(moved);
    const numbers = fds.map((fd) => fd.number);
    const [go = 0, rootFd = 0] = numbers;
    const child = new ChildTable(true);
    this.#child = child;
    child.call(NR.setsid);
    child.call(NR.prctl, PR.SET_NAME, NAME);
    // Whoever waits for the end of something that we have open is not to wait for the tracker.
    [...numbers, LAST_FD + 1].reduce((before, number) => {
      if (number > before + 1) child.call(NR.close_range, before + 1, number - 1, 0);
      return number;
    }, -1);
    for (const { start, end } of spare(child)) child.call(NR.madvise, start, end - start, MADV.DONTNEED);
    child.endUnless(child.call(NR.read, go, child.data(1).address, 1), 1);
    child.call(NR.ppoll, pollfd.encode({ fd: rootFd, events: POLL.IN }), 1, 0, 0, 0);
    const pid = child.start();
    for (const fd of fds) fd.close();
    return { tracker_pid: pid, tracker_start: BigInt(readStat(pid).startTime) };
  }

  /** The inventory is in place: the tracker stays. */
  commit(): void {
    if (this.#go === undefined) return;
    rawSyscall(NR.write, this.#go.number, addressOf(Uint8Array.of(1)), 1);
    this.#child?.leave();
  }

  /** Nothing is tracked where it was not committed. Never throws. */
  [Symbol.dispose](): void {
    this.#go?.close();
    this.#child?.[Symbol.dispose]();
    for (const uffd of this.#uffds) uffd.close();
  }
}

/** The same among the descriptors that the tracker keeps. @throws KernelError where there may be no more */
function moved(fd: Fd): Fd {
  const copy = Fd.own(fcntl(fd.number, F.DUPFD_CLOEXEC, FIRST_FD));
  fd.close();
  return copy;
}

/** The largest mappings of ours that the tracker does not need. */
function spare(child: ChildTable): Mapping[] {
  return readMaps(ourPid())
    .filter((each) => !each.shared && !each.path.startsWith("[") && !child.needs(each))
    .sort((a, b) => b.end - b.start - (a.end - a.start))
    .slice(0, MOST_MAPPINGS);
}
