/** Stopping a process tree: every thread of every process seized and stopped, until nothing new appears. */

import { ERRNO, isErrno, KernelError } from "../../linux/errno.ts";
import { instant } from "../../linux/instants.ts";
import { close, listDirectory, readPiece } from "../../linux/io.ts";
import { kill } from "../../linux/kill.ts";
import { NR } from "../../linux/nr.ts";
import { type HostPid, hostPid } from "../../linux/pid.ts";
import {
  hasEnded,
  readChildren,
  readStat,
  readStats,
  readStatus,
  readThreads,
  stateOf,
} from "../../linux/proc.ts";
import { WAIT } from "../../linux/ptrace.ts";
import { waitMany } from "../../linux/ptrace-many.ts";
import { SIG } from "../../linux/signal.ts";
import { rawSyscall } from "../../linux/syscall.ts";
import { log } from "../../log.ts";
import { takeForcedSignals } from "./forced-signals.ts";
import { renewTimesLeft, restartInterrupted } from "./interrupted.ts";
import { pause, suspendSeccomp, Task } from "./task.ts";

/** Milliseconds that the tree may take to stop: CRIU's default of --timeout. */
const PATIENCE = 10_000;

/** A process of the frozen tree. */
export interface FrozenProcess {
  readonly pid: HostPid;
  readonly parent: FrozenProcess | undefined;
  readonly children: FrozenProcess[];
  /** Its live threads; empty for a zombie. The leader comes first if it lives. */
  readonly threads: Task[];
  zombie: boolean;
  /** Whether all its threads are known to be held. */
  whole: boolean;
  /** Signal that had stopped the process before us (SIGSTOP, SIGTSTP...), 0 if it ran. */
  stopSignal: number;
  /** Bytes of memory of its own that it is known to have. */
  memory: number;
}

/** To free so much takes milliseconds. */
const MUCH_MEMORY = 32 << 20;

/** Processes in the order parents first. */
function withDescendants(root: FrozenProcess, into: FrozenProcess[] = []): FrozenProcess[] {
  into.push(root);
  for (const child of root.children) withDescendants(child, into);
  return into;
}

/** A process that nothing has been done to yet. */
function unfrozen(pid: HostPid, parent: FrozenProcess | undefined): FrozenProcess {
  return { pid, parent, children: [], threads: [], zombie: false, whole: false, stopSignal: 0, memory: 0 };
}

export class FrozenTree {
  #isHeld = true;

  private constructor(readonly root: FrozenProcess) {}

  get processes(): FrozenProcess[] {
    return withDescendants(this.root);
  }

  /**
   * Stops the tree under `pid`. When anything fails, everything stopped so far runs on. `patience` is in milliseconds: it
   * gives up when a task has not stopped by then. `before` is told of each process that is about to be stopped. Where the tree
   * is held by a freezer, all of it is attached to first, and then `thaw`ed.
   * @throws KernelError (ESRCH no such process, EPERM not ours to trace, ETIMEDOUT), whatever `before` throws
   */
  static freeze(
    pid: HostPid,
    onProcess?: (process: FrozenProcess) => void,
    patience: number = PATIENCE,
    before?: (pid: HostPid) => void,
    thaw?: () => void,
  ): FrozenTree {
    const deadline = performance.now() + patience;
    before?.(pid);
    const seized = thaw === undefined ? new Map() : seizeTree(pid);
    let tree: FrozenTree;
    try {
      thaw?.();
      tree = FrozenTree.freezeAlone(pid, patience, seized);
    } catch (error) {
      for (const task of seized.values()) task.detach();
      throw error;
    }
    try {
      onProcess?.(tree.root);
      const known = new Set<HostPid>([pid]);
      // Children of a stopped process can appear only by reparenting from a process that is not stopped yet.
      for (let again = true; again; ) {
        const born = newChildren(tree.processes, known);
        for (const child of born) before?.(child.pid);
        // First into the tree: should one fail, all that is held by then is let go.
        for (const child of born) child.parent?.children.push(child);
        seizeLeaders(born, deadline, seized);
        for (const child of born) {
          const { parent } = child;
          if (freezeChild(child, deadline, seized)) onProcess?.(child);
          else parent?.children.splice(parent.children.indexOf(child), 1);
        }
        again = born.length > 0;
      }
    } catch (error) {
      tree.release();
      for (const task of seized.values()) task.detach();
      throw error;
    }
    return tree;
  }

  /** Stops process `pid`, but not its children. @throws as `freeze` */
  static freezeAlone(pid: HostPid, patience: number = PATIENCE, seized: SeizedTasks = new Map()): FrozenTree {
    const root = unfrozen(pid, undefined);
    const tree = new FrozenTree(root);
    try {
      freezeProcess(root, performance.now() + patience, seized);
      if (root.threads.length === 0) throw new KernelError("seize", `process ${pid}, a zombie`, ERRNO.ESRCH);
    } catch (error) {
      tree.release();
      throw error;
    }
    return tree;
  }

  /** Ends every process and waits until each has ended; its parent finds it so. `sent` is called when none lives on. */
  kill(sent: () => void): void {
    this.#isHeld = false;
    for (const { pid, zombie } of this.processes) {
      if (zombie) continue;
      instant();
      kill(pid, SIG.KILL);
    }
    sent();
    for (const { pid, zombie, memory } of this.processes)
      if (!zombie && memory >= MUCH_MEMORY) helpToFree(pid);
    awaitEnds(this.processes.flatMap(({ threads }) => threads));
  }

  /** Asks every process to stop by itself as soon as it is let go. */
  stop(): void {
    for (const process of this.processes) if (!process.zombie) kill(process.pid, SIG.STOP);
  }

  /** Lets every task run on; a process that had been stopped by a signal goes back to that. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const tasks = this.processes.flatMap(({ threads }) => threads).filter(({ gone }) => !gone);
    try {
      renewTimesLeft(tasks);
    } catch (error) {
      // It has what was left when it was stopped; one may have been killed meanwhile.
      log.debug("freeze", error instanceof Error ? error.message : String(error));
    }
    for (const task of tasks) task.detach();
  }

  /** As release, unless that or the end of the tree has come before. */
  [Symbol.dispose](): void {
    this.release();
  }
}

/** Tasks that we are attached to already, and that are asked to stop, by their numbers. */
type SeizedTasks = Map<HostPid, Task>;

/** Attaches to all tasks of a tree that a freezer holds: nothing of it changes. @throws KernelError */
function seizeTree(root: HostPid): SeizedTasks {
  const seized: SeizedTasks = new Map();
  for (let pids = [root]; pids.length > 0; ) {
    const tasks = pids.flatMap((pid) => readThreads(pid).map((tid) => ({ pid, tid })));
    const living = tasks.filter(({ pid, tid }) => stateOf(pid, tid) !== "Z");
    for (const task of Task.seizeAll(living, suspendSeccomp()).tasks) seized.set(task.tid, task);
    pids = readChildren(tasks).flat();
  }
  return seized;
}

/** Attaches to tasks, and asks them to stop, but for those that were. */
function seizeThose(
  ids: readonly { readonly pid: HostPid; readonly tid: HostPid }[],
  seized: SeizedTasks,
): ReturnType<typeof Task.seizeAll> {
  const known = ids.flatMap(({ tid }) => {
    const task = seized.get(tid);
    seized.delete(tid);
    return task === undefined ? [] : [task];
  });
  const found = new Set(known.map(({ tid }) => tid));
  const { tasks, refused } = Task.seizeAll(
    ids.filter(({ tid }) => !found.has(tid)),
    suspendSeccomp(),
  );
  return { tasks: [...known, ...tasks], refused };
}

/** Frees the memory of a killed process together with the process itself: process_mrelease(2), kernel 5.15. */
function helpToFree(pid: HostPid): void {
  const pidfd = rawSyscall(NR.pidfd_open, pid, 0);
  if (pidfd < 0) return;
  rawSyscall(NR.process_mrelease, pidfd, 0);
  close(pidfd);
}

/** Milliseconds that a killed task may take to end: much memory, or a device, may have to be let go. */
const END_PATIENCE = 60_000;

/**
 * Milliseconds without an end after which those that have nothing more are left alone: the init of a pid namespace ends when all in it
 * have been waited for, and that may be up to a process outside of the tree.
 */
const QUIET_PATIENCE = 200;

/** Whether a killed task has given back its memory and its files. */
function holdsNothing(tid: HostPid): boolean {
  try {
    return readPiece(`/proc/${tid}/statm`).startsWith("0 ") && listDirectory(`/proc/${tid}/fd`).length === 0;
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT) || isErrno(error, ERRNO.ESRCH)) return true;
    throw error;
  }
}

/**
 * Waits until tasks that have been killed, and that are ours, have ended. One that has vanished by then is no error. A leader reports
 * its end when its other threads are gone, and the last thread of a pid namespace's init when all others in it have been waited
 * for: so nobody is waited for alone. @throws KernelError
 */
export function awaitEnds(tasks: readonly { readonly tid: HostPid }[]): void {
  let rest = tasks;
  const until = performance.now() + END_PATIENCE;
  let quiet = performance.now() + QUIET_PATIENCE;
  for (let look = 0; rest.length > 0; look++) {
    const still: { readonly tid: HostPid }[] = [];
    waitMany(rest, WAIT.NOHANG, (task, outcome) => {
      // The other threads of a killed process may vanish without a report.
      if (outcome instanceof KernelError) {
        if (!isErrno(outcome, ERRNO.ECHILD)) throw outcome;
      } else if (outcome === undefined || outcome.status.kind === "stopped") still.push(task);
    });
    const now = performance.now();
    if (still.length < rest.length) quiet = now + QUIET_PATIENCE;
    else pause(look);
    rest = still;
    if (now > quiet && rest.every(({ tid }) => holdsNothing(tid))) return;
    if (now < until) continue;
    for (const { tid } of rest) log.warn("freeze", `task ${tid} was killed, but does not end`);
    return;
  }
}

/** The children of stopped processes that are not among `known` yet; they are now. */
function newChildren(processes: readonly FrozenProcess[], known: Set<HostPid>): FrozenProcess[] {
  const threads = processes.flatMap((process) =>
    process.threads.map(({ pid, tid }) => ({ pid, tid, process })),
  );
  return readChildren(threads).flatMap((children, i) => {
    const fresh = children.filter((child) => !known.has(child));
    return fresh.map((child) => {
      known.add(child);
      return unfrozen(child, threads[i]?.process);
    });
  });
}

/** Stops the first thread of each of many processes, where that can be done at once; mostly it is the only one. */
function seizeLeaders(processes: readonly FrozenProcess[], deadline: number, seized: SeizedTasks): void {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const leaders = processes.map(({ pid }) => ({ pid, tid: pid }));
  const { tasks } = seizeThose(leaders, seized);
  for (const task of tasks) byPid.get(task.pid)?.threads.push(task);
  Task.awaitTraps(tasks, deadline, ({ process }) => byPid.get(process)?.threads.splice(0));
  const held = processes.filter(({ threads }) => threads.length > 0);
  readStats(held.map(({ pid }) => pid)).forEach((stat, i) => {
    const process = held[i];
    if (process !== undefined) process.whole = stat?.threadCount === 1;
  });
}

/**
 * Freezes a process whose parent is stopped. It may end while we come for it: then it is a zombie, or gone, where its
 * parent ignores SIGCHLD; false if gone.
 */
function freezeChild(process: FrozenProcess, deadline: number, seized: SeizedTasks): boolean {
  const { pid, threads } = process;
  try {
    if (threads.length === 0 && stateOf(pid, pid) === "Z" && readThreads(pid).length === 1) {
      process.zombie = true;
    } else freezeProcess(process, deadline, seized);
    // It may have ended between the two looks.
    if (threads.length === 0) process.zombie = true;
    return true;
  } catch (error) {
    const state = stateOf(pid, pid);
    if (state !== undefined && (state !== "Z" || readThreads(pid).length > 1)) throw error;
    for (const task of threads.splice(0)) if (!task.gone) task.detach();
    process.zombie = true;
    return state !== undefined;
  }
}

/** A task has one tracer: a debugger, strace, another dump. */
function withTracer(pid: HostPid, tid: HostPid, error: KernelError): KernelError {
  try {
    const tracer = Number(readStatus(pid, tid).get("TracerPid"));
    if (tracer === 0) return error;
    const name = readStatus(hostPid(tracer)).get("Name");
    return new KernelError(
      error.call,
      `${error.object}, which process ${tracer} (${name}) traces`,
      error.errno,
    );
  } catch {
    return error;
  }
}

/**
 * Stops every thread of a process: until those that we hold, with the dead, are as many as it has. A listing without
 * news would not tell that: it may lack threads that live, when others ended while it was made.
 */
function freezeProcess(process: FrozenProcess, deadline: number, seized: SeizedTasks): void {
  const { pid, threads } = process;
  const held = new Set(threads.map(({ tid }) => tid));
  /** Threads that have ended and are still there. */
  const ended = new Set<HostPid>();
  while (!process.whole) {
    let dead = 0;
    const news = readThreads(pid).filter((tid) => !held.has(tid));
    // A leader that has ended while its threads live on is a zombie thread: there is nothing to seize.
    if (news[0] === pid && readStat(pid, pid).state === "Z") dead += news.splice(0, 1).length;
    const { tasks: fresh, refused } = seizeThose(
      news.map((tid) => ({ pid, tid })),
      seized,
    );
    for (const task of fresh) {
      held.add(task.tid);
      threads.push(task);
    }
    for (const [tid, error] of refused) {
      // Gone since the listing. What its number leads to now may be another one.
      if (isErrno(error, ERRNO.ESRCH) && tid !== pid) {
        ended.delete(tid);
        continue;
      }
      // One that is just ending may not be seized.
      if (!isErrno(error, ERRNO.EPERM) || tid === pid || !hasEnded(pid, tid))
        throw withTracer(pid, tid, error);
      if (ended.has(tid)) dead++;
      ended.add(tid);
    }
    Task.awaitTraps(fresh, deadline, (error) => {
      if (error.tid === pid) throw error;
      threads.splice(
        threads.findIndex(({ tid }) => tid === error.tid),
        1,
      );
      // Its number may be another's soon.
      held.delete(error.tid);
    });
    process.whole = threads.length + dead === readStat(pid, pid).threadCount;
    if (!process.whole && performance.now() > deadline) {
      throw new KernelError("stop", `process ${pid}`, ERRNO.ETIMEDOUT);
    }
  }
  for (const task of threads) if (task.stopSignal !== 0) process.stopSignal = task.stopSignal;
  if (process.stopSignal === 0) {
    takeForcedSignals(threads);
    restartInterrupted(threads);
  }
  log.debug("freeze", `process ${pid} stopped, ${threads.length} threads`);
}
