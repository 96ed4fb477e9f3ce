/**
 * The process tree: pstree.img, and the order in which the tree can be born again.
 *
 * A process inherits session and group from its parent and can only make new ones of its own number, so the order of
 * births, setsid(2) and setpgid(2) follows from the image. Sessions and groups whose leader has died need a helper: a
 * process that takes the number, makes the session or group, and ends before the tree runs.
 */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { CoreEntry, PstreeEntry, TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { ourPid } from "../linux/ourselves.ts";
import { readParent, readStat, readStatus } from "../linux/proc.ts";
import type { FrozenTree } from "../tracee/freeze.ts";
import { TASK_STATE } from "./core.ts";
import { ImageValueError, UnsupportedError } from "./errors.ts";

/** Writes pstree.img, parents before children. */
export function dumpPstree(images: ImageDir, tree: FrozenTree): void {
  const entries = tree.processes.map((process): PstreeEntry => {
    const stat = readStat(process.pid);
    return {
      pid: process.pid,
      ppid: process.parent?.pid ?? 0,
      pgid: stat.pgrp,
      sid: stat.session,
      threads: process.zombie ? [process.pid] : process.threads.map((task) => task.tid),
    };
  });
  for (const { pid, sid, pgid } of entries) {
    if (sid === 0 || pgid === 0)
      throw new UnsupportedError(`process ${pid}: its session or group is of another pid namespace`);
  }
  const [root] = entries;
  if (root !== undefined) refuseShellJob(root);
  images.writeAll(IMAGES.pstree, entries);
}

/** A root in a session of somebody else's is a shell job: who restores it has to lend it one. @throws UnsupportedError */
function refuseShellJob({ pid, sid }: { readonly pid: number; readonly sid: number }): void {
  if (pid === sid) return;
  throw new UnsupportedError(
    `process ${pid}: the root of the tree does not lead its session, ${sid}: that takes --shell-job, which is not built yet`,
  );
}

/** The flag in /proc/PID/stat of a thread of the kernel's own. */
const PF_KTHREAD = 0x200000;

/**
 * What cannot be the root of a dump, found before anything is touched: no process at all, one of the kernel's;
 * and one that waits for us, or we ourselves, whose stop would never end. @throws KernelError
 */
export function refuseRoot(pid: number): void {
  const refuse = (what: string, errno: number): never => {
    throw new KernelError("dump", `process ${pid}${what}`, errno);
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
  for (let ancestor = ourPid(); ancestor > 0; ancestor = readParent(ancestor)) {
    if (ancestor === pid) refuse(", an ancestor of ours", ERRNO.EDEADLK);
  }
}

/** What a process of the plan is. */
export type PlannedKind = "task" | "zombie" | "helper";

/** A process to be born. */
export interface PlannedProcess {
  readonly kind: PlannedKind;
  readonly pid: number;
  readonly pgid: number;
  readonly sid: number;
  /** Ids of its threads, its own first. */
  readonly threads: readonly number[];
  /** undefined for a helper. */
  readonly core: CoreEntry | undefined;
  /** Which kernel objects it shares with others; undefined for the dead. */
  readonly ids: TaskKobjIdsEntry | undefined;
  parent: PlannedProcess | undefined;
  readonly children: PlannedProcess[];
}

export interface PstreePlan {
  readonly root: PlannedProcess;
  /** Parents before children. */
  readonly all: readonly PlannedProcess[];
}

function withDescendants(process: PlannedProcess, into: PlannedProcess[] = []): PlannedProcess[] {
  into.push(process);
  for (const child of process.children) withDescendants(child, into);
  return into;
}

/** Highest number that a kernel gives (PID_MAX_LIMIT). */
const MAX_PID = 1 << 22;

function checkNumber(pid: number, what: string): void {
  if (!Number.isInteger(pid) || pid < 1 || pid > MAX_PID)
    throw new ImageValueError(`pstree.img: ${what} ${pid}`);
}

/** Of old images they are in the core. @throws ImageError where they are nowhere */
function idsOf(images: ImageDir, pid: number, core: CoreEntry): TaskKobjIdsEntry {
  return images.tryReadOne(IMAGES.ids, pid) ?? core.ids ?? images.readOne(IMAGES.ids, pid);
}

/** Reads and checks the tree of the images. @throws ImageValueError, UnsupportedError */
export function planPstree(images: ImageDir): PstreePlan {
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
  const byPid = new Map<number, PlannedProcess>();
  const numbers = new Set<number>();
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
    const process: PlannedProcess = {
      kind,
      pid: entry.pid,
      pgid: entry.pgid,
      sid: entry.sid,
      threads: [entry.pid, ...others],
      core,
      ids: kind === "task" ? idsOf(images, entry.pid, core) : undefined,
      parent: undefined,
      children: [],
    };
    byPid.set(entry.pid, process);
    if (entry.ppid === 0) {
      if (root !== undefined)
        throw new ImageValueError(`pstree.img: two roots, ${root.pid} and ${entry.pid}`);
      root = process;
    } else {
      const parent = byPid.get(entry.ppid);
      if (parent === undefined) {
        throw new ImageValueError(`pstree.img: process ${entry.pid} comes before its parent ${entry.ppid}`);
      }
      if (parent.kind !== "task")
        throw new ImageValueError(`pstree.img: process ${entry.pid} is the child of a dead one`);
      process.parent = parent;
      parent.children.push(process);
    }
  }
  if (root === undefined) throw new ImageValueError("pstree.img: no root");
  if (root.kind !== "task") throw new UnsupportedError(`process ${root.pid}, the root, is a zombie`);
  refuseShellJob(root);
  addHelpers(root, byPid, numbers);
  return { root, all: withDescendants(root) };
}

/**
 * Adds a helper for each session and each group without a living leader. The helper of a session takes over, for the
 * time of births, those members of the session whose parent cannot give it to them; when it ends they fall back to
 * that parent, which is made a child subreaper meanwhile.
 */
function addHelpers(root: PlannedProcess, byPid: Map<number, PlannedProcess>, numbers: Set<number>): void {
  const helper = (pid: number, sid: number, pgid: number, parent: PlannedProcess): PlannedProcess => {
    if (numbers.has(pid)) throw new UnsupportedError(`session or group ${pid} has the number of a thread`);
    const made: PlannedProcess = {
      kind: "helper",
      pid,
      pgid,
      sid,
      threads: [pid],
      core: undefined,
      ids: undefined,
      parent,
      children: [],
    };
    numbers.add(pid);
    byPid.set(pid, made);
    return made;
  };
  for (const process of withDescendants(root)) {
    if (process.sid === root.sid || byPid.has(process.sid)) continue;
    // The session's leader has died. Its members hang below the parent that took them over.
    const parent = process.parent ?? root;
    const made = helper(process.sid, process.sid, process.sid, parent);
    for (const member of [...parent.children]) {
      if (member.sid !== made.sid) continue;
      parent.children.splice(parent.children.indexOf(member), 1);
      made.children.push(member);
    }
    parent.children.push(made);
  }
  for (const process of withDescendants(root)) {
    if (process.pgid === root.pgid || byPid.has(process.pgid)) continue;
    const parent = process.parent ?? root;
    const made = helper(process.pgid, process.sid, process.pgid, parent);
    made.parent = parent;
    parent.children.unshift(made);
  }
}

/**
 * The session that a process must be born into: its own, or, if it leads its own, any that a descendant born before
 * its setsid(2) needs. Undefined where it does not matter.
 */
export function birthSession(process: PlannedProcess): number | undefined {
  if (process.sid !== process.pid) return process.sid;
  for (const child of process.children) {
    const needed = birthSession(child);
    if (needed !== undefined && needed !== process.sid) return needed;
  }
  return undefined;
}

/** The children that must be born before their parent makes its own session. */
export function bornBeforeSession(process: PlannedProcess): readonly PlannedProcess[] {
  if (process.sid !== process.pid) return [];
  return process.children.filter((child) => {
    const needed = birthSession(child);
    return needed !== undefined && needed !== process.sid;
  });
}
