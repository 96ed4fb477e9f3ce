/**
 * The process tree: pstree.img, and the order in which the tree can be born again.
 *
 * A process inherits session and group from its parent and can only make new ones of its own number, so the order of
 * births, setsid(2) and setpgid(2) follows from the image. Sessions and groups whose leader has died need a helper: a
 * process that takes the number, makes the session or group, and ends before the tree runs.
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type {
  CoreEntry,
  NestedPids,
  PstreeEntry,
  TaskKobjIdsEntry,
} from "../images/schema/generated/process.ts";
import { CLONE } from "../linux/clone.ts";
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { exists } from "../linux/io.ts";
import { ourPid } from "../linux/ourselves.ts";
import { type HostPid, type NsPid, nsPid, sameNumber } from "../linux/pid.ts";
import { readParent, readStat, readStats, readStatus } from "../linux/proc.ts";
import { SIG } from "../linux/signal.ts";
import type { ObjectIds } from "../tracee/enter/dumpee.ts";
import type { FrozenProcess, FrozenTree } from "../tracee/hold/freeze.ts";
import { TASK_STATE } from "./core.ts";
import { ImageValueError, UnsupportedError } from "./errors.ts";
import type { TaskNumbers } from "./identity.ts";
import { type Helpers, type Placed, type PlannedKind, placeBirths } from "./sessions.ts";

/** In the place of a parent that is not of the tree. */
const NOBODY = nsPid(0);

/** A process of a tree that is being dumped, as its next birth needs it; of a helper, which is none, there is no entry. */
interface Found extends Placed<Found> {
  readonly entry: PstreeEntry | undefined;
}

const place = { maker: undefined, flags: 0 };

/** The helpers of a restore, to see whether there could be one. */
function imaginedHelpers(): Helpers<Found> {
  let last = 0;
  return {
    unused: () => nsPid(--last),
    make: (pid, sid, pgid, maker, nested) => ({
      ...place,
      kind: "helper",
      pid,
      sid,
      pgid,
      nested,
      nestedGroup: nested,
      nestedSession: nested,
      parent: maker,
      maker,
      bears: [],
      objects: undefined,
      exitSignal: SIG.CHLD,
      entry: undefined,
    }),
  };
}

/** Tasks in pid namespaces below that of the root. */
export interface NestedTasks {
  /** The number in the images of the pid namespace that a process lives in, a dead one too. @throws KernelError */
  pidNamespaceOf(pid: HostPid): number | undefined;
}

function nestedNumbers(
  numbers: TaskNumbers,
  nested: NestedTasks,
  pid: HostPid,
  tids: readonly HostPid[],
): NestedPids | undefined {
  const own = numbers.nestedOf(pid);
  if (own.length === 0) return undefined;
  const { group, session } = numbers.nestedGroupsOf(pid);
  return {
    pids: [...own],
    threads: tids.flatMap((tid) => numbers.nestedOf(tid)),
    pgids: [...group],
    sids: [...session],
    pid_ns_id: nested.pidNamespaceOf(pid),
  };
}

/**
 * Writes pstree.img, parents before children. `objects` tells what processes share, `nested` of
 * tasks in further pid namespaces, if there are any.
 * @throws UnsupportedError for a tree that cannot be born again
 */
export function dumpPstree(
  images: ImageDir,
  tree: FrozenTree,
  objects: ReadonlyMap<HostPid, ObjectIds>,
  numbers: TaskNumbers,
  shellJob: boolean,
  nested: NestedTasks | undefined,
): void {
  const found = new Map<FrozenProcess, Found>();
  const { processes } = tree;
  const stats = readStats(processes.map(({ pid }) => pid));
  processes.forEach((process, i) => {
    const { pid } = process;
    const stat = stats[i];
    if (stat === undefined) throw new KernelError("read", `/proc of process ${pid}`, ERRNO.ESRCH);
    const tids = process.zombie ? [pid] : process.threads.map((task) => task.tid);
    const entry: PstreeEntry = {
      pid: numbers.numberOf(pid),
      ppid: process.parent === undefined ? NOBODY : numbers.numberOf(process.parent.pid),
      pgid: numbers.numberOf(stat.pgrp),
      sid: numbers.numberOf(stat.session),
      threads: tids.map((tid) => numbers.numberOf(tid)),
      nested: nested && nestedNumbers(numbers, nested, pid, tids),
    };
    const parent = process.parent === undefined ? undefined : found.get(process.parent);
    found.set(process, {
      ...place,
      ...nestedIn(entry, false),
      kind: process.zombie ? "zombie" : "task",
      pid: entry.pid,
      sid: entry.sid,
      pgid: entry.pgid,
      parent,
      objects: objects.get(pid),
      exitSignal: stat.exitSignal,
      bears: [],
      entry,
    });
  });
  const entries = [...found.values()].flatMap(({ entry }) => entry ?? []);
  for (const { pid, sid, pgid } of entries) {
    if (sid === 0 || pgid === 0)
      throw new UnsupportedError(`its session or group is of another pid namespace`, { process: pid });
  }
  placeBirths([...found.values()], imaginedHelpers());
  const [root] = entries;
  if (root !== undefined && !shellJob) refuseShellJob(root);
  images.writeAll(IMAGES.pstree, entries);
}

/** A root in a session of somebody else's is a shell job: who restores it has to lend it one. @throws UnsupportedError */
function refuseShellJob({ pid, sid }: Pick<PstreeEntry, "pid" | "sid">): void {
  if (pid === sid) return;
  throw new UnsupportedError(
    `the root of the tree does not lead its session, ${sid}: --shell-job has a restore put it into its own`,
    { process: pid },
  );
}

/** The flag in /proc/PID/stat of a thread of the kernel's own. */
const PF_KTHREAD = 0x200000;

/**
 * What cannot be the root of a dump, found before anything is touched: no process at all, one of the kernel's;
 * and one that waits for us, or we ourselves, whose stop would never end. @throws KernelError
 */
export function refuseRoot(pid: HostPid): void {
  refuseOther("dump", pid);
  for (let ancestor = ourPid(); ancestor > 0; ancestor = readParent(ancestor)) {
    if (ancestor === pid) throw new KernelError("dump", `process ${pid}, an ancestor of ours`, ERRNO.EDEADLK);
  }
}

/** What is no process, or one of the kernel's; `work` is what is refused. @throws KernelError */
export function refuseOther(work: string, pid: HostPid): void {
  const refuse = (what: string, errno: number): never => {
    throw new KernelError(work, `process ${pid}${what}`, errno);
  };
  let stat: ReturnType<typeof readStat>;
  try {
    stat = readStat(pid);
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT, ERRNO.ESRCH)) refuse(", which is not there", ERRNO.ESRCH);
    throw error;
  }
  if ((stat.flags & PF_KTHREAD) !== 0) refuse(", a kernel thread", ERRNO.EPERM);
  const leader = readStatus(pid).get("Tgid");
  if (leader !== String(pid)) refuse(`, a thread of process ${leader}`, ERRNO.EINVAL);
}

/** A process to be born. */
export interface PlannedProcess extends Placed<PlannedProcess> {
  /** Those of its threads, by their ids. */
  readonly nestedThreads: ReadonlyMap<NsPid, readonly NsPid[]>;
  /** What it calls its group; 0 for one that it cannot see. */
  readonly ownGroup: NsPid | undefined;
  /** The number in the images of its pid namespace; undefined where it is its maker's. */
  readonly pidNamespace: number | undefined;
  /** Ids of its threads, its own first. */
  readonly threads: readonly NsPid[];
  /** undefined for a helper. */
  readonly core: CoreEntry | undefined;
  /** Which kernel objects it shares with others; undefined for the dead. */
  readonly ids: TaskKobjIdsEntry | undefined;
  /** Its number, from 0 on, among those that are born into the same memory. */
  part: number;
}

/** Whether a process is born with memory of its own, rather than into that of its maker. */
export function hasOwnMemory({ flags }: PlannedProcess): boolean {
  return (flags & CLONE.VM) === 0;
}

export interface PstreePlan {
  readonly root: PlannedProcess;
  /** In the order of births, roughly: makers before those that they bear. */
  readonly all: readonly PlannedProcess[];
  /** How many processes have the same memory at most. */
  readonly parts: number;
}

/** Highest number that a kernel gives (PID_MAX_LIMIT). */
const MAX_PID = 1 << 22;

function checkNumber(pid: NsPid, what: string): void {
  if (!Number.isInteger(pid) || pid < 1 || pid > MAX_PID)
    throw new ImageValueError(`pstree.img: ${what} ${pid}`);
}

/** Of old images they are in the core. @throws ImageError where they are nowhere */
function idsOf(images: ImageDir, pid: NsPid, core: CoreEntry): TaskKobjIdsEntry {
  return images.tryReadOne(IMAGES.ids, pid) ?? core.ids ?? images.readOne(IMAGES.ids, pid);
}

/** Numbers below the root's pid namespace. @throws ImageValueError */
function nestedIn(
  { pid, threads, nested }: PstreeEntry,
  isTask: boolean,
): Pick<PlannedProcess, "nested" | "nestedThreads" | "ownGroup" | "nestedGroup" | "nestedSession"> {
  const { pids = [], pgids = [], sids = [] } = nested ?? {};
  const nestedThreads = new Map<NsPid, readonly NsPid[]>();
  if (isTask && pids.length > 0) {
    threads.forEach((tid, i) => {
      const numbers = nested?.threads.slice(i * pids.length, (i + 1) * pids.length) ?? [];
      if (numbers.length !== pids.length)
        throw new ImageValueError(`pstree.img: thread ${tid} of process ${pid} lacks numbers`);
      nestedThreads.set(tid, numbers);
    });
  }
  for (const number of [...pids, ...(nested?.threads ?? [])]) checkNumber(number, `process ${pid} called`);
  const seen = (numbers: readonly NsPid[]) => numbers.filter((number) => number > 0);
  return {
    nested: pids,
    nestedThreads,
    ownGroup: pgids[0],
    nestedGroup: seen(pgids),
    nestedSession: seen(sids),
  };
}

/** Reads and checks the tree of the images. @throws ImageValueError, UnsupportedError */
export function planPstree(images: ImageDir, shellJob: boolean): PstreePlan {
  // Which throws where it is not there, unlike readAll.
  const { entries } = images.readHeaded(IMAGES.pstree);
  images.loadAhead(
    IMAGES.core,
    entries.flatMap(({ pid, threads }) => [pid, ...threads.filter((tid) => tid !== pid)]),
  );
  images.loadAhead(
    IMAGES.ids,
    entries.map(({ pid }) => pid),
  );
  const byPid = new Map<NsPid, PlannedProcess>();
  const processes: PlannedProcess[] = [];
  const numbers = new Set<NsPid>();
  let root: PlannedProcess | undefined;
  for (const entry of entries) {
    checkNumber(entry.pid, "process");
    checkNumber(entry.pgid, `process ${entry.pid} in group`);
    checkNumber(entry.sid, `process ${entry.pid} in session`);
    const core = images.readOne(IMAGES.core, entry.pid);
    const state = core.tc?.task_state;
    if (state === undefined) throw new ImageValueError(`core-${entry.pid}.img: no task state`);
    const kind: PlannedKind =
      state === TASK_STATE.DEAD || state === TASK_STATE.ZOMBIE
        ? "zombie"
        : state === TASK_STATE.HELPER
          ? "helper"
          : "task";
    // CRIU leaves a zombie's list of threads as it finds it in its memory.
    const others = kind === "task" ? entry.threads.filter((tid) => tid !== entry.pid) : [];
    for (const tid of [entry.pid, ...others]) {
      checkNumber(tid, `process ${entry.pid} with thread`);
      if (numbers.has(tid)) throw new ImageValueError(`pstree.img: ${tid} stands twice`);
      numbers.add(tid);
    }
    const parent = entry.ppid === 0 ? undefined : byPid.get(entry.ppid);
    if (entry.ppid !== 0) {
      if (parent === undefined) {
        throw new ImageValueError(`pstree.img: process ${entry.pid} comes before its parent ${entry.ppid}`);
      }
      if (parent.kind !== "task")
        throw new ImageValueError(`pstree.img: process ${entry.pid} is the child of a dead one`);
    } else if (root !== undefined) {
      throw new ImageValueError(`pstree.img: two roots, ${root.pid} and ${entry.pid}`);
    }
    const ids = kind === "task" ? idsOf(images, entry.pid, core) : undefined;
    const process: PlannedProcess = {
      kind,
      pid: entry.pid,
      ...nestedIn(entry, kind === "task"),
      pidNamespace: ids?.pid_ns_id ?? entry.nested?.pid_ns_id,
      pgid: entry.pgid,
      sid: entry.sid,
      threads: [entry.pid, ...others],
      core,
      ids,
      objects: ids && { vm: ids.vm_id, files: ids.files_id, fs: ids.fs_id, sighand: ids.sighand_id },
      exitSignal: core.tc?.exit_signal ?? SIG.CHLD,
      parent,
      maker: undefined,
      flags: 0,
      bears: [],
      part: 0,
    };
    byPid.set(entry.pid, process);
    processes.push(process);
    if (parent === undefined) root = process;
  }
  if (root === undefined) throw new ImageValueError("pstree.img: no root");
  if (root.kind !== "task") throw new UnsupportedError(`process ${root.pid}, the root, is a zombie`);
  if (!shellJob) refuseShellJob(root);
  else if (root.sid !== root.pid) joinOurSession(root, processes);
  const all = placeBirths(processes, helpersBeside(numbers, processes));
  return { root, all, parts: giveParts(all) };
}

/**
 * The session of a shell job is that of who restores it, and so are the groups that were not of the tree: ours, which all are born
 * into.
 */
function joinOurSession(root: PlannedProcess, processes: readonly PlannedProcess[]): void {
  const outside = root.sid;
  const leaders = new Set(processes.map(({ pid }) => pid));
  const { session, pgrp } = readStat(ourPid());
  for (const process of processes) {
    if (process.sid !== outside) continue;
    process.sid = sameNumber(session);
    if (!leaders.has(process.pgid)) process.pgid = sameNumber(pgrp);
  }
}

/** All numbers that processes name beside the ids of their threads: of groups, of sessions, and those in namespaces below. */
function namedBy(processes: readonly PlannedProcess[]): ReadonlySet<NsPid> {
  return new Set(
    processes.flatMap(({ pgid, sid, nested, nestedThreads, nestedGroup, nestedSession }) => [
      ...[pgid, sid, ...nested, ...nestedGroup, ...nestedSession],
      ...[...nestedThreads.values()].flat(),
    ]),
  );
}

/** Makes helpers with numbers that are not in `taken`, ids of threads. */
function helpersBeside(taken: Set<NsPid>, processes: readonly PlannedProcess[]): Helpers<PlannedProcess> {
  let wanted: ReadonlySet<NsPid> | undefined;
  // What the kernel has given before us it gives to nobody for a long while.
  let last: number = ourPid();
  const unused = () => {
    wanted ??= namedBy(processes);
    for (let tried = 0; tried < MAX_PID; tried++) {
      last = last > 1 ? last - 1 : MAX_PID;
      const number = nsPid(last);
      if (!taken.has(number) && !wanted.has(number) && !exists(`/proc/${last}`)) return number;
    }
    throw new UnsupportedError("no process number is left for a helper");
  };
  const make = (
    pid: NsPid,
    sid: NsPid,
    pgid: NsPid,
    maker: PlannedProcess,
    nested: readonly NsPid[],
  ): PlannedProcess => {
    if (taken.has(pid)) throw new UnsupportedError(`session or group ${pid} has the number of a thread`);
    taken.add(pid);
    return {
      kind: "helper",
      pid,
      nested,
      nestedThreads: new Map(),
      ownGroup: undefined,
      nestedGroup: nested,
      nestedSession: nested,
      pidNamespace: undefined,
      pgid,
      sid,
      threads: [pid],
      core: undefined,
      ids: undefined,
      objects: undefined,
      exitSignal: SIG.CHLD,
      parent: maker,
      maker,
      flags: 0,
      bears: [],
      part: 0,
    };
  };
  return { make, unused };
}

/** Numbers those that are born into the same memory. Returns how many have the same one at most. */
function giveParts(all: readonly PlannedProcess[]): number {
  let most = 1;
  /** The memory's first process, and how many have it. */
  const memories = new Map<PlannedProcess, { count: number }>();
  for (const process of all) {
    const { maker } = process;
    const shared = maker === undefined || hasOwnMemory(process) ? undefined : memories.get(maker);
    const memory = shared ?? { count: 0 };
    memories.set(process, memory);
    process.part = memory.count++;
    most = Math.max(most, memory.count);
  }
  return most;
}
