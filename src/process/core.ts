/** The core image of a process: what all its threads have in common, and its threads. */
import { stage } from "../faults.ts";
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { CoreEntry, TaskCoreEntry, TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import { O, open, readPiece, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { readStat } from "../linux/proc.ts";
import { SIG, SIG_SETMASK } from "../linux/signal.ts";
import { viewOf } from "../linux/struct.ts";
import { cString } from "../linux/syscall.ts";
import type { Dumpee } from "../tracee/dumpee.ts";
import type { FrozenProcess } from "../tracee/freeze.ts";
import type { Saved } from "../tracee/infection.ts";
import type { Table } from "../tracee/table.ts";
import { ImageValueError, UnsupportedError } from "./errors.ts";
import { loginuidOf } from "./loginuid.ts";
import { isCompat } from "./registers.ts";
import { askRlimits, giveRlimits } from "./rlimits.ts";
import type { SeccompDump } from "./seccomp.ts";
import { askSigactions, dumpPending, giveDrain, givePending, giveSigactions } from "./signals.ts";
import { askThread, type ThreadState } from "./thread.ts";
import { armTimers, askTimers, createPosixTimers, giveOverruns } from "./timers.ts";

/** task_core_entry.task_state. */
export const TASK_STATE = { ALIVE: 1, DEAD: 2, STOPPED: 3, HELPER: 4, ZOMBIE: 6 } as const;
const MARCH_X86_64 = 1;
const PR_GET_CHILD_SUBREAPER = 37;
const RLIMIT_CORE = 4;
const MEMBARRIER_CMD_GET_REGISTRATIONS = 1 << 9;

/**
 * Refuses a process that no image can carry, before anything of it is touched or read: without its first thread it has
 * neither memory nor namespaces to be seen by its number. @throws UnsupportedError
 */
export function refuseDeadLeader({ pid, threads }: FrozenProcess): void {
  if (threads[0]?.tid === pid) return;
  throw new UnsupportedError(
    `process ${pid}: its first thread has ended while others run on, which cannot be dumped`,
  );
}

/** Refuses threads that no image can carry, before anything of theirs is touched. @throws UnsupportedError */
export function refuseThreads({ pid, threads }: FrozenProcess, saved: readonly Saved[]): void {
  saved.forEach((thread, i) => {
    if (isCompat(thread.registers)) {
      throw new UnsupportedError(
        `process ${pid}: task ${threads[i]?.tid} runs 32-bit code, which cannot be dumped`,
      );
    }
  });
}

/**
 * Asks a live process for what core-TID of its threads holds, and returns what writes the images. The first thread is
 * set to work at once, so that many processes can be; the others follow it, because it makes their breakpoints safe.
 */
export function askCore(
  images: ImageDir,
  dumpee: Omit<Dumpee, "pidfd">,
  saved: readonly Saved[],
  ids: TaskKobjIdsEntry,
  seccomp: SeccompDump,
): () => void {
  const { pid, table, infection, frozen } = dumpee;
  const [leader, ...others] = frozen.threads.flatMap((task, i) => {
    const found = saved[i];
    return found === undefined ? [] : [{ task, saved: found }];
  });
  if (leader === undefined) throw new Error(`process ${pid} has no threads`);
  const common = askTask(dumpee);
  const own = askThread(table, leader.task, leader.saved, seccomp);
  table.start();
  return () => {
    table.finish();
    const tables = infection.enterThreads(others);
    const answers = others.map(({ task, saved: found }, i) => {
      const threadTable = tables[i];
      if (threadTable === undefined) throw new Error(`no table for task ${task.tid}`);
      const answer = askThread(threadTable, task, found, seccomp);
      threadTable.start();
      stage("dump/thread");
      return { tid: task.tid, threadTable, answer };
    });
    const state = own();
    images.writeAll(IMAGES.core, [{ ...coreOf(state), tc: common(state) }], pid);
    images.writeAll(IMAGES.ids, [ids], pid);
    for (const { tid, threadTable, answer } of answers) {
      threadTable.finish();
      const thread = answer();
      thread.thread_core.blk_sigset = thread.mask;
      images.writeAll(IMAGES.core, [coreOf(thread)], tid);
    }
  };
}

function coreOf(state: ThreadState): CoreEntry {
  return { mtype: MARCH_X86_64, thread_info: state.thread_info, thread_core: state.thread_core };
}

function askTask({
  pid,
  table,
  infection,
  frozen,
}: Omit<Dumpee, "pidfd">): (leader: ThreadState) => TaskCoreEntry {
  const sigactions = askSigactions(table, pid, infection.area.oldSigtrap);
  const timers = askTimers(table, pid);
  const rlimits = askRlimits(table);
  const subreaper = table.space(8);
  table.must("its subreaper flag", NR.prctl, PR_GET_CHILD_SUBREAPER, subreaper.address, 0, 0, 0);
  // Kernels before 6.3 do not tell; a process that registered then registers again by itself at need.
  const membarrier = table.call(NR.membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);
  const stat = readStat(pid);
  const personality = Number.parseInt(readPiece(`/proc/${pid}/personality`), 16);
  return (leader) => {
    const task: TaskCoreEntry = {
      task_state: frozen.stopSignal === 0 ? TASK_STATE.ALIVE : TASK_STATE.STOPPED,
      exit_code: 0,
      personality,
      flags: stat.flags,
      blk_sigset: leader.mask,
      comm: stat.comm,
      timers: timers(),
      rlimits: rlimits(),
      signals_s: dumpPending(pid, true),
      oom_score_adj: Number(readPiece(`/proc/${pid}/oom_score_adj`)),
      sigactions: sigactions(),
      child_subreaper: viewOf(subreaper.bytes).getUint32(0, true) !== 0,
    };
    const login = loginuidOf(pid);
    if (login !== undefined) task.loginuid = login;
    if (frozen.stopSignal !== 0) task.stop_signo = frozen.stopSignal;
    if (!membarrier.failed && membarrier.raw !== 0) task.membarrier_registration_mask = membarrier.raw;
    return task;
  };
}

/** Writes the core image of a zombie: its name and how it ended. */
export function dumpZombie(images: ImageDir, process: FrozenProcess): void {
  const stat = readStat(process.pid);
  const core: CoreEntry = {
    mtype: MARCH_X86_64,
    tc: {
      task_state: TASK_STATE.DEAD,
      exit_code: stat.exitCode,
      personality: 0,
      flags: 0,
      blk_sigset: 0n,
      comm: stat.comm,
      sigactions: [],
    },
  };
  images.writeAll(IMAGES.core, [core], process.pid);
}

const PR = { SET_DUMPABLE: 4, SET_CHILD_SUBREAPER: 36, SET_NAME: 15 } as const;
/** Registrations that MEMBARRIER_CMD_GET_REGISTRATIONS reports are commands of the same bits. */
const MEMBARRIER_BITS = 10;

/** The core image's task part, which every living process has. */
export function taskOf(core: CoreEntry | undefined, pid: number): TaskCoreEntry {
  if (core?.tc === undefined) throw new ImageValueError(`core-${pid}.img: no task part`);
  checkArchitecture(core, pid);
  return core.tc;
}

/** @throws ImageValueError */
export function checkArchitecture({ mtype }: CoreEntry, tid: number): void {
  if (mtype !== MARCH_X86_64)
    throw new ImageValueError(`core-${tid}.img: of architecture ${mtype}, this is x86-64`);
}

/**
 * Gives a process what all its threads have in common and what needs no order: before its credentials. Returns the ids
 * of the timers that run already.
 */
export function giveTask(table: Table, pid: number, task: TaskCoreEntry): ReadonlySet<number> {
  giveDrain(table);
  giveSigactions(table, pid, task.sigactions);
  table.must("its personality", NR.personality, task.personality);
  let running: ReadonlySet<number> = new Set();
  if (task.timers !== undefined) {
    createPosixTimers(table, task.timers.posix);
    running = giveOverruns(table, pid, task.timers.posix);
  }
  for (let bit = 0; bit < MEMBARRIER_BITS; bit++) {
    const command = 1 << bit;
    if (((task.membarrier_registration_mask ?? 0) & command) !== 0)
      table.must("membarrier", NR.membarrier, command, 0, 0);
  }
  if (task.rlimits !== undefined) giveRlimits(table, pid, task.rlimits);
  return running;
}

/** Gives what comes after the credentials: dumpable, which they clear, the subreaper flag; the signals; the timers. */
export function giveTaskLast(
  table: Table,
  pid: number,
  task: TaskCoreEntry,
  dumpable: number | undefined,
  runningTimers: ReadonlySet<number>,
): void {
  if (dumpable !== undefined) table.call(NR.prctl, PR.SET_DUMPABLE, dumpable, 0, 0, 0);
  table.must(
    "its subreaper flag",
    NR.prctl,
    PR.SET_CHILD_SUBREAPER,
    task.child_subreaper === true ? 1 : 0,
    0,
    0,
    0,
  );
  if (task.signals_s !== undefined) givePending(table, pid, pid, task.signals_s, true);
  if (task.timers !== undefined) armTimers(table, task.timers, runningTimers);
}

/** Whether a process ignores SIGTRAP; see tracee/release.ts. */
export function ignoresTrap(task: TaskCoreEntry): boolean {
  const SIG_IGN = 1n;
  return task.sigactions[SIG.TRAP - 1]?.sigaction === SIG_IGN;
}

/** Sets from outside what /proc alone can set. */
export function restoreProc(pid: number, task: TaskCoreEntry): void {
  if (
    task.oom_score_adj !== undefined &&
    Number(readPiece(`/proc/${pid}/oom_score_adj`)) !== task.oom_score_adj
  ) {
    withFd(open(`/proc/${pid}/oom_score_adj`, O.WRONLY), (fd) => {
      writeAll(fd, new TextEncoder().encode(String(task.oom_score_adj)));
    });
  }
}

/** Makes a process end as the image says it did; its parent finds the same status. */
export function giveDeath(table: Table, core: CoreEntry, pid: number): void {
  const { exit_code: status, comm } = taskOf(core, pid);
  table.must("its name", NR.prctl, PR.SET_NAME, table.data(cString(comm)), 0, 0, 0);
  const signal = status & 0x7f;
  if (signal === 0) {
    table.must("its end", NR.exit_group, (status >> 8) & 0xff);
    return;
  }
  // A core file would be written beside us; the mark that one was written cannot be had without.
  table.must("its core limit", NR.prlimit64, 0, RLIMIT_CORE, table.data(new Uint8Array(16)), 0);
  const none = table.data(new Uint8Array(8));
  table.must("its end", NR.kill, pid, signal);
  table.must("its end", NR.rt_sigprocmask, SIG_SETMASK, none, 0, 8);
}
