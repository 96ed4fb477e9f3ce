/** The core image of a process: what all its threads have in common, and its threads. */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type {
  CoreEntry,
  TaskCoreEntry,
  TaskKobjIdsEntry,
  TaskRlimitsEntry,
} from "../images/schema/generated/process.ts";
import { O, open, readPiece, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { Owners } from "../linux/owners.ts";
import { type HostPid, type NsPid, ownNumber } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { readStat, readStatuses, type TaskStat, type TaskStatus } from "../linux/proc.ts";
import { askOutside } from "../linux/ptrace-many.ts";
import { RLIMIT, rlimit } from "../linux/rlimit.ts";
import { SIG, SIG_SETMASK } from "../linux/signal.ts";
import { viewOf } from "../linux/struct.ts";
import { cString } from "../linux/syscall.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import type { Saved } from "../tracee/enter/saved.ts";
import type { FrozenProcess } from "../tracee/hold/freeze.ts";
import type { Table } from "../tracee/table/table.ts";
import { autogroupNice, giveAutogroupNice } from "./autogroup.ts";
import { ImageValueError, UnsupportedError } from "./errors.ts";
import { loginuidIn } from "./loginuid.ts";
import { askMembarrier, giveMembarrier } from "./membarrier.ts";
import { askRefusedOfTask } from "./refused.ts";
import { isCompat } from "./registers.ts";
import type { Rights } from "./rights.ts";
import { askRlimits, giveRlimits, ownRlimits } from "./rlimits.ts";
import type { SeccompDump } from "./seccomp.ts";
import { askSigactions, dumpPending, giveDrain, givePending, giveSigactions } from "./signals.ts";
import { askThread, type Known, type ThreadState } from "./thread.ts";
import { armTimers, askItimers, createPosixTimers, dumpPosixTimers, giveOverruns } from "./timers.ts";
import { askXcompPermission } from "./xcomp.ts";

/** task_core_entry.task_state. */
export const TASK_STATE = { ALIVE: 1, DEAD: 2, STOPPED: 3, HELPER: 4, ZOMBIE: 6 } as const;
const MARCH_X86_64 = 1;
/** Changes nothing (personality(2)). */
const PERSONALITY_QUERY = 0xffff_ffff;

/**
 * Refuses a process that no image can carry, before anything of it is touched or read: without its first thread it has
 * neither memory nor namespaces to be seen by its number. @throws UnsupportedError
 */
export function refuseDeadLeader({ pid, threads }: FrozenProcess): void {
  if (threads[0]?.tid === pid) return;
  throw new UnsupportedError(`its first thread has ended while others run on, which cannot be dumped`, {
    process: pid,
  });
}

/** Refuses threads that no image can carry, before anything of theirs is touched. @throws UnsupportedError */
export function refuseThreads({ pid, threads }: FrozenProcess, saved: readonly Saved[]): void {
  saved.forEach((thread, i) => {
    if (isCompat(thread.registers)) {
      throw new UnsupportedError(`task ${threads[i]?.tid} runs 32-bit code, which cannot be dumped`, {
        process: pid,
      });
    }
  });
}

/** What it has of semaphores and of its children. */
export type OfOthers = "sem_undos" | "stops_waited_for" | "continued_children";
const NOTHING_OF_OTHERS = { sem_undos: [], stops_waited_for: [], continued_children: [] };

/** What core-PID holds of a process. Its first thread has run the table that asked for it. */
export interface CoreAnswers {
  readonly task: (dumpee: Omit<Dumpee, "pidfd">, leader: ThreadState) => Omit<TaskCoreEntry, OfOthers>;
  readonly thread: (known: Known) => ThreadState;
}

/** Asks processes for what core-TID of their first threads holds: all of them run this table. */
export function askCore(table: Table, seccomp: SeccompDump): CoreAnswers {
  return { task: askTask(table), thread: askThread(table, seccomp) };
}

/**
 * Writes core-TID of all threads of a process, and its ids. `cgroupSets` says in which groups each thread is, `ofOthers` what its end
 * does to semaphores, and what it knows of its children; `rights`
 * whether a restore could give it all that.
 * @throws KernelError, TaskGoneError, ImageError
 */
export function dumpCore(
  images: ImageDir,
  dumpee: Omit<Dumpee, "pidfd">,
  saved: readonly Saved[],
  ids: TaskKobjIdsEntry,
  seccomp: SeccompDump,
  own: CoreAnswers,
  cgroupSets: ReadonlyMap<HostPid, number>,
  ofOthers: Pick<TaskCoreEntry, OfOthers>,
  rights: Rights,
): void {
  const { pid, numberOf, frozen } = dumpee;
  const [leader, ...others] = frozen.threads.flatMap((task, i) => {
    const found = saved[i];
    return found === undefined ? [] : [{ task, saved: found }];
  });
  if (leader === undefined) throw new Error(`process ${pid} has no threads`);
  const entered =
    others.length === 0
      ? undefined
      : dumpee.entered.enterThreads(others, (threadTable) => askThread(threadTable, seccomp));
  for (const first of whatIsKnown([leader], [dumpee.proc.status], dumpee.owners)) {
    const state = own.thread(first);
    const task = own.task(dumpee, state);
    rights.checkTask(pid, task);
    rights.checkThread(pid, first.task.tid, state.thread_core);
    images.writeAll(
      IMAGES.core,
      [
        {
          ...coreOf(state, cgroupSets.get(first.task.tid)),
          tc: { ...task, ...ofOthers },
        },
      ],
      numberOf(pid),
    );
  }
  images.writeAll(IMAGES.ids, [ids], numberOf(pid));
  if (entered === undefined) return;
  // Nothing of it moves while they run our table.
  const statuses = readStatuses(
    pid,
    others.map(({ task }) => task.tid),
  );
  // What is asked by ptrace is asked of those that stand.
  entered.answers.awaitAll();
  whatIsKnown(others, statuses, dumpee.owners).forEach((thread, member) => {
    entered.answers.look(member);
    const state = entered.asked(thread);
    state.thread_core.blk_sigset = state.mask;
    rights.checkThread(pid, thread.task.tid, state.thread_core);
    images.writeAll(IMAGES.core, [coreOf(state, cgroupSets.get(thread.task.tid))], numberOf(thread.task.tid));
  });
}

/** What is known of stopped threads without their help. @throws KernelError */
function whatIsKnown(
  threads: readonly Pick<Known, "task" | "saved">[],
  statuses: readonly TaskStatus[],
  owners: Owners,
): Known[] {
  const outside = askOutside(threads.map(({ task }) => task));
  return threads.flatMap(({ task, saved }, i) => {
    const status = statuses[i];
    const rest = outside[i];
    return status === undefined || rest === undefined ? [] : [{ task, saved, status, owners, outside: rest }];
  });
}

function coreOf(state: ThreadState, cg_set: number | undefined): CoreEntry {
  const thread_core = cg_set === undefined ? state.thread_core : { ...state.thread_core, cg_set };
  return { mtype: MARCH_X86_64, thread_info: state.thread_info, thread_core };
}

function askTask(table: Table): CoreAnswers["task"] {
  const sigactions = askSigactions(table);
  const itimers = askItimers(table);
  const rlimits = askRlimits(table);
  const subreaper = table.space(8);
  table.must("its subreaper flag", NR.prctl, PR.GET_CHILD_SUBREAPER, subreaper.address, 0, 0, 0);
  const membarrier = askMembarrier(table);
  const xcomp = askXcompPermission(table);
  const refuse = askRefusedOfTask(table);
  const personality = table.must("its personality", NR.personality, PERSONALITY_QUERY);
  return ({ pid, numberOf, frozen, entered, proc }, leader) => {
    const { stat } = proc;
    refuse(pid, proc.status);
    const task: Omit<TaskCoreEntry, OfOthers> = {
      task_state: frozen.stopSignal === 0 ? TASK_STATE.ALIVE : TASK_STATE.STOPPED,
      exit_code: 0,
      personality: personality.value,
      flags: stat.flags,
      blk_sigset: leader.mask,
      comm: stat.comm,
      timers: { ...itimers(), posix: dumpPosixTimers(entered.table, proc.timers, numberOf) },
      rlimits: rlimits(),
      signals_s: dumpPending(pid, true, true, proc.status.get("ShdPnd")),
      oom_score_adj: proc.oomScoreAdj,
      sigactions: sigactions(entered.ownSigtrap()),
      child_subreaper: viewOf(subreaper.bytes).getUint32(0, true) !== 0,
      ...exitSignalOf(stat),
    };
    const login = loginuidIn(proc.loginuid);
    if (login !== undefined) task.loginuid = login;
    if (frozen.stopSignal !== 0) task.stop_signo = frozen.stopSignal;
    const permission = xcomp();
    if (permission !== undefined) task.xcomp_permission = permission;
    const autogroup = autogroupNice(proc.stat, pid);
    if (autogroup !== 0) task.autogroup_nice = autogroup;
    const registrations = membarrier(entered.table);
    if (registrations !== 0) task.membarrier_registration_mask = registrations;
    return task;
  };
}

/** The field of our own that says which signal the parent gets in the end, where that is not SIGCHLD. */
function exitSignalOf({ exitSignal }: TaskStat): Pick<TaskCoreEntry, "exit_signal"> {
  return exitSignal === SIG.CHLD || exitSignal < 0 ? {} : { exit_signal: exitSignal };
}

/** Writes the core image of a zombie: its name and how it ended. */
export function dumpZombie(images: ImageDir, process: FrozenProcess, number: NsPid): void {
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
      ...NOTHING_OF_OTHERS,
      ...exitSignalOf(stat),
    },
  };
  images.writeAll(IMAGES.core, [core], number);
}

/** The core image's task part, which every living process has. */
export function taskOf(core: CoreEntry | undefined, pid: NsPid): TaskCoreEntry {
  if (core?.tc === undefined) throw new ImageValueError(`core-${pid}.img: no task part`);
  checkArchitecture(core, pid);
  return core.tc;
}

/** @throws ImageValueError */
export function checkArchitecture({ mtype }: CoreEntry, tid: NsPid): void {
  if (mtype !== MARCH_X86_64)
    throw new ImageValueError(`core-${tid}.img: of architecture ${mtype}, this is x86-64`);
}

/** What every process is born with, because it descends from us. */
export interface InheritedAttributes {
  readonly rlimits: TaskRlimitsEntry;
  readonly oomScoreAdj: number;
}

/** @throws KernelError */
export function ownAttributes(): InheritedAttributes {
  return { rlimits: ownRlimits(), oomScoreAdj: Number(readPiece("/proc/self/oom_score_adj")) };
}

/**
 * Gives a process what all its threads have in common and what needs no order: before its credentials. `ended` are the
 * signals, other than SIGCHLD, of its children that are dead already. Returns the ids of the timers that run already.
 */
export function giveTask(
  restoree: Restoree,
  task: TaskCoreEntry,
  inherited: InheritedAttributes,
  ended: readonly number[],
): ReadonlySet<number> {
  const { table, pid, number } = restoree;
  giveDrain(table, ended);
  table.share(task.sigactions, () => giveSigactions(table, number, task.sigactions));
  table.must("its personality", NR.personality, task.personality);
  let running: ReadonlySet<number> = new Set();
  if (task.timers !== undefined) {
    createPosixTimers(table, task.timers.posix, (tid) =>
      ownNumber(restoree.thread(tid) ?? restoree.identity),
    );
    running = giveOverruns(table, number, task.timers.posix);
  }
  giveMembarrier(table, task.membarrier_registration_mask ?? 0);
  if (task.rlimits !== undefined) giveRlimits(table, pid, task.rlimits, inherited.rlimits);
  return running;
}

/** Gives what comes after the credentials: the subreaper flag; the signals; the timers. */
export function giveTaskLast(
  { table, identity }: Restoree,
  task: TaskCoreEntry,
  runningTimers: ReadonlySet<number>,
): void {
  table.must(
    "its subreaper flag",
    NR.prctl,
    PR.SET_CHILD_SUBREAPER,
    task.child_subreaper === true ? 1 : 0,
    0,
    0,
    0,
  );
  if (task.signals_s !== undefined)
    givePending(table, ownNumber(identity), ownNumber(identity), task.signals_s, true);
  if (task.timers !== undefined) armTimers(table, task.timers, runningTimers);
}

/** Whether a process ignores SIGTRAP; see tracee/build/release.ts. */
export function ignoresTrap(task: TaskCoreEntry): boolean {
  const SIG_IGN = 1n;
  return task.sigactions[SIG.TRAP - 1]?.sigaction === SIG_IGN;
}

/** Sets from outside what /proc alone can set. */
export function restoreProc(pid: HostPid, task: TaskCoreEntry, { oomScoreAdj }: InheritedAttributes): void {
  if (task.autogroup_nice !== undefined) giveAutogroupNice(pid, task.autogroup_nice);
  const wanted = task.oom_score_adj;
  if (wanted === undefined || wanted === oomScoreAdj) return;
  withFd(open(`/proc/${pid}/oom_score_adj`, O.WRONLY), (fd) => {
    writeAll(fd, new TextEncoder().encode(String(wanted)));
  });
}

/** Makes a process end as the image says it did; its parent finds the same status. */
export function giveDeath({ table, identity }: Restoree, core: CoreEntry): void {
  const { exit_code: status, comm } = taskOf(core, identity.number);
  table.must("its name", NR.prctl, PR.SET_NAME, table.data(cString(comm)), 0, 0, 0);
  const signal = status & 0x7f;
  if (signal === 0) {
    table.must("its end", NR.exit_group, (status >> 8) & 0xff);
    return;
  }
  // A core file would be written beside us; the mark that one was written cannot be had without.
  table.must("its core limit", NR.prlimit64, 0, RLIMIT.CORE, table.data(new Uint8Array(rlimit.size)), 0);
  const none = table.data(new Uint8Array(8));
  table.must("its end", NR.kill, ownNumber(identity), signal);
  table.must("its end", NR.rt_sigprocmask, SIG_SETMASK, none, 0, 8);
}
