/**
 * A task (one thread) held by ptrace.
 *
 * All tasks are seized by the one thread that runs our TypeScript; ptrace serves only the thread that attached. Stops
 * are told apart here: the trap that we asked for, the breakpoint at the end of a table, and signals that somebody else
 * sent meanwhile and that must not be lost.
 */
import { BaseError } from "../../linux/base-error.ts";
import { CAP_SYS_ADMIN, hasCapability } from "../../linux/capability.ts";
import { encodeTime } from "../../linux/clock.ts";
import { ERESTART, ERRNO, isErrno, KernelError } from "../../linux/errno.ts";
import type { Timeout } from "../../linux/interrupted-calls.ts";
import { NR } from "../../linux/nr.ts";
import { oncePerRun } from "../../linux/once-per-run.ts";
import type { HostPid } from "../../linux/pid.ts";
import { stateOf } from "../../linux/proc.ts";
import {
  getRegisters,
  getSiginfoCode,
  hasReport,
  NO_SYSCALL,
  PTRACE,
  PTRACE_EVENT,
  PTRACE_O,
  ptrace,
  type Registers,
  setRegisters,
  WAIT,
  type WaitStatus,
  wait,
} from "../../linux/ptrace.ts";
import { type Report, seizeMany, waitMany } from "../../linux/ptrace-many.ts";
import { SIG } from "../../linux/signal.ts";
import { findSleepers, type Sleep } from "../../linux/sleepers.ts";
import { addressOf, rawSyscall } from "../../linux/syscall.ts";
import { waitUntilTick } from "../../linux/ticks.ts";

/**
 * The option by which a held task is free of its seccomp filters, to be given when it is seized; 0 where we may not ask for that:
 * tasks under seccomp cannot be dumped then.
 */
export const suspendSeccomp: () => number = oncePerRun(() =>
  hasCapability(CAP_SYS_ADMIN) ? PTRACE_O.SUSPEND_SECCOMP : 0,
);

/** si_code of a breakpoint: the kernel sends it itself. */
const SI_KERNEL = 0x80;
/** A stop at a system call's entry or exit, with PTRACE_O_TRACESYSGOOD. */
export const SYSCALL_STOP = SIG.TRAP | 0x80;

/**
 * Milliseconds that a task may take for what we have it do. What a dump asks for is told at once; a restore moves memory, and
 * may wait for a slow disk.
 */
const PATIENCE = { FOUND: 30_000, BORN: 600_000 } as const;

const SHORT = encodeTime(100_000n);
const LONG = encodeTime(1_000_000n);

/** Between two looks at tasks. Most stop within microseconds: first only the processor is offered to them. */
export function pause(look: number): void {
  if (look < 20) rawSyscall(NR.sched_yield);
  else rawSyscall(NR.nanosleep, addressOf(look < 200 ? SHORT : LONG), 0);
}

/** What a leaf function may use below its stack pointer (System V psABI). */
const RED_ZONE = 128;
/** Bytes below a thread's stack pointer that nothing of ours may touch but the rest of a timeout (interrupted.ts). */
export const SPARED_STACK = RED_ZONE + 64;

/** What is left of the timeout of an interrupted call. */
export interface TimeLeft {
  readonly timeout: Timeout;
  /** When it ends, in nanoseconds of CLOCK_MONOTONIC. */
  readonly end: bigint;
  /** Nanoseconds that were left when the thread was stopped. */
  readonly left: bigint;
  /** Where the kernel has written that, if it has. */
  readonly place?: number;
}

/** A task ended while we held it. */
export class TaskGoneError extends BaseError {
  override readonly name = "TaskGoneError";
  readonly kind = "task";
  constructor(
    override readonly process: HostPid,
    readonly tid: HostPid,
    how: string,
  ) {
    super(`task ${tid} of process ${process} ${how} while it was held`);
  }
}

export class Task {
  /** Signal of the group-stop that the task was found in, 0 when it was not stopped. */
  stopSignal = 0;
  /** Signals that somebody sent while the task worked for us, and that it did not get. */
  readonly withheld: number[] = [];
  /** In which call with a timeout it slept before it was stopped, and since when, where that is known. */
  sleep: Sleep | undefined;
  /** What is left of that timeout. */
  timeLeft: TimeLeft | undefined;
  #gone = false;

  private constructor(
    readonly pid: HostPid,
    readonly tid: HostPid,
    private readonly patience: number,
  ) {}

  /** Attaches to a running task without stopping it. @throws KernelError as {@link seizeAll} says */
  static seize(pid: HostPid, tid: HostPid, options: number): Task {
    ptrace(PTRACE.SEIZE, tid, 0, options | PTRACE_O.TRACESYSGOOD);
    return new Task(pid, tid, PATIENCE.BORN);
  }

  /**
   * Attaches to running tasks and asks them to stop; {@link awaitTraps} waits for it. `refused` says of those that are not
   * ours why (EPERM: no right, or another tracer holds it, or it is just ending; ESRCH: gone).
   */
  static seizeAll(
    ids: readonly { readonly pid: HostPid; readonly tid: HostPid }[],
    options: number,
  ): { tasks: Task[]; refused: Map<HostPid, KernelError> } {
    const tasks: Task[] = [];
    const refused = new Map<HostPid, KernelError>();
    const sleepers = findSleepers(ids);
    seizeMany(ids, options | PTRACE_O.TRACESYSGOOD, ({ pid, tid }, error) => {
      if (error !== undefined) {
        refused.set(tid, error);
        return;
      }
      const task = new Task(pid, tid, PATIENCE.FOUND);
      task.sleep = sleepers.get(tid);
      tasks.push(task);
    });
    return { tasks, refused };
  }

  /** A task that the kernel attached to us at its birth, because it holds its parent (CLONE_PTRACE). */
  static newborn(pid: HostPid, tid: HostPid): Task {
    return new Task(pid, tid, PATIENCE.BORN);
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Asks the task to stop; {@link awaitTrap} waits for it. */
  interrupt(): void {
    ptrace(PTRACE.INTERRUPT, this.tid);
  }

  /**
   * Waits until each of the tasks stands in a PTRACE_EVENT_STOP. Signals on their way to it meanwhile are let through to
   * its own handlers. `deadline` is a time of performance.now(): a task in an uninterruptible sleep comes to no stop. `gone`
   * is told of those that have ended. @throws KernelError ETIMEDOUT
   */
  static awaitTraps(tasks: readonly Task[], deadline: number, gone: (error: TaskGoneError) => void): void {
    for (let waiting = tasks, look = 0; waiting.length > 0; look++) {
      const still: Task[] = [];
      eachReport(waiting, WAIT.NOHANG, gone, (task, report) => {
        if (report === undefined || !task.#cameToTrap(task.#stopOf(report.status))) still.push(task);
      });
      const [first] = still;
      if (first !== undefined && performance.now() > deadline) {
        throw new KernelError("stop", `task ${first.tid} of process ${first.pid}`, ERRNO.ETIMEDOUT);
      }
      waiting = still;
      if (first !== undefined) pause(look);
    }
  }

  /** Waits until the task stands in a PTRACE_EVENT_STOP, however long; as {@link awaitTraps}. @throws TaskGoneError */
  awaitTrap(): void {
    while (!this.#cameToTrap(this.#await()));
  }

  #cameToTrap(stop: { signal: number; event: number }): boolean {
    if (stop.event === PTRACE_EVENT.STOP) {
      this.stopSignal = stop.signal === SIG.TRAP ? 0 : stop.signal;
      return true;
    }
    this.resume(PTRACE.CONT, stop.event === 0 && stop.signal !== SYSCALL_STOP ? stop.signal : 0);
    return false;
  }

  /** Lets the task run on; `signal` is delivered if the stop was that of a signal's delivery. */
  resume(request: number = PTRACE.CONT, signal = 0): void {
    ptrace(request, this.tid, 0, signal);
  }

  /** Waits for the breakpoint that ends a table. @throws TaskGoneError */
  awaitBreakpoint(): void {
    while (!this.#cameToBreakpoint(this.#await()));
  }

  /**
   * Has the call that the task sleeps in, if it still does after so many milliseconds, end with EINTR, as if a signal had
   * come that has a handler. It goes on with its table. @throws TaskGoneError, KernelError
   */
  limitCall(patience: number): void {
    if (this.interruptAfter(patience)) this.#endCall();
  }

  /** Interrupts the task if it has nothing to report after so many milliseconds. Whether it did. @throws KernelError */
  interruptAfter(patience: number): boolean {
    const deadline = performance.now() + patience;
    for (let look = 0; !hasReport(this.tid); look++) {
      if (performance.now() > deadline) {
        this.interrupt();
        return true;
      }
      pause(look);
    }
    return false;
  }

  #endCall(): void {
    for (;;) {
      const stop = this.#await();
      if (stop.event === PTRACE_EVENT.STOP) break;
      // The breakpoint came first: behind it stands another one.
      if (stop.signal !== SIG.TRAP) this.#foreignSignal(stop.signal);
      this.resume();
    }
    const registers = getRegisters(this.tid);
    if (asksForRestart(registers)) {
      const ax = BigInt.asUintN(64, BigInt(-ERRNO.EINTR));
      setRegisters(this.tid, { ...registers, ax, orig_ax: NO_SYSCALL });
    }
    this.resume();
  }

  /** The same for many tasks; `came` is told of each that came there. @throws TaskGoneError when all have been waited for */
  static awaitBreakpoints(tasks: readonly Task[], came: (task: Task) => void): void {
    const gone: TaskGoneError[] = [];
    const lost = (error: TaskGoneError) => void gone.push(error);
    eachReport(tasks, 0, lost, (task, report) => {
      if (report === undefined || !task.#cameToBreakpoint(task.#stopOf(report.status), report.code)) {
        task.awaitBreakpoint();
      }
      came(task);
    });
    if (gone[0] !== undefined) throw gone[0];
  }

  /** Whether a stop is that of the breakpoint; from any other the task goes on. */
  #cameToBreakpoint(stop: { signal: number; event: number }, code?: number): boolean {
    if (stop.event === 0 && stop.signal === SIG.TRAP && (code ?? getSiginfoCode(this.tid)) === SI_KERNEL) {
      return true;
    }
    if (stop.event === 0) this.#foreignSignal(stop.signal);
    this.resume();
    return false;
  }

  /** Waits for the next system call stop. @throws TaskGoneError */
  awaitSyscallStop(): void {
    for (;;) {
      const stop = this.#await();
      if (stop.event === 0 && stop.signal === SYSCALL_STOP) return;
      if (stop.event === 0) this.#foreignSignal(stop.signal);
      this.resume(PTRACE.SYSCALL);
    }
  }

  /**
   * Lets a task, stopped in a PTRACE_EVENT_STOP, take the signal that is next: it stands in such a stop again, before the first
   * instruction of the handler. It executes nothing meanwhile if there is such a signal. @throws TaskGoneError if it kills
   */
  takeSignal(): void {
    this.resume();
    const status = waitUntilTick(this.tid);
    // There was none after all.
    if (status === undefined) this.interrupt();
    for (
      let stop = status === undefined ? this.#await() : this.#stopOf(status);
      stop.event !== PTRACE_EVENT.STOP;
      stop = this.#await()
    ) {
      this.interrupt();
      this.resume(PTRACE.CONT, stop.event === 0 && stop.signal !== SYSCALL_STOP ? stop.signal : 0);
    }
  }

  /** Waits for whatever stop comes next. @throws TaskGoneError */
  awaitAnyStop(): { readonly signal: number; readonly event: number } {
    return this.#await();
  }

  /** Moves a task from any ptrace stop into a PTRACE_EVENT_STOP; it executes nothing in between. */
  eventStop(): void {
    this.startEventStop();
    this.awaitEventStop();
  }

  /** The beginning of {@link eventStop}: the task is on its way. */
  startEventStop(): void {
    this.interrupt();
    this.resume();
  }

  /** Waits for the end of {@link eventStop}. @throws TaskGoneError */
  awaitEventStop(): void {
    for (;;) {
      const stop = this.#await();
      if (stop.event === PTRACE_EVENT.STOP) return;
      if (stop.event === 0 && stop.signal !== SYSCALL_STOP) this.#foreignSignal(stop.signal);
      this.resume();
    }
  }

  /** Lets go of the task; it runs on from its registers. A task that is gone already is no error. */
  detach(): void {
    try {
      ptrace(PTRACE.DETACH, this.tid);
    } catch (error) {
      if (!isErrno(error, ERRNO.ESRCH)) throw error;
    }
  }

  /** The next stop. @throws TaskGoneError, KernelError ETIMEDOUT, EDEADLK where there is none to come */
  #await(): { signal: number; event: number } {
    for (const until = performance.now() + this.patience; ; ) {
      const status = waitUntilTick(this.tid) ?? this.#look(until);
      if (status !== undefined) return this.#stopOf(status);
    }
  }

  /** Whether a stop can still come of a task that has told of none for a while. Gives the one that came just now. */
  #look(until: number): WaitStatus | undefined {
    const state = stateOf(this.pid, this.tid);
    const report = wait(this.tid, WAIT.NOHANG);
    if (report !== undefined) return report.status;
    // The end of a first thread is told when the others have been waited for; of others, to nobody, when they are gone.
    if (state === undefined || state === "Z") this.#end(undefined);
    const what = `task ${this.tid} of process ${this.pid}`;
    if (state === "t") throw new KernelError("wait4", `${what}, whose stop has been told`, ERRNO.EDEADLK);
    if (performance.now() > until) throw new KernelError("wait4", `${what}, state ${state}`, ERRNO.ETIMEDOUT);
    return undefined;
  }

  /** @throws TaskGoneError where it is none */
  #stopOf(status: WaitStatus | undefined): { signal: number; event: number } {
    return status?.kind === "stopped" ? status : this.#end(status);
  }

  #end(status: WaitStatus | undefined): never {
    this.#gone = true;
    throw new TaskGoneError(
      this.pid,
      this.tid,
      status?.kind === "killed" ? `was killed by signal ${status.signal}` : "ended",
    );
  }

  /**
   * With all signals blocked only a few still come: SIGSTOP, and SIGTRAP, which we cannot block. They are sent again
   * when we are done. A fault of the runner itself is a bug and the end.
   */
  #foreignSignal(signal: number): void {
    if (signal === SIG.STOP || signal === SIG.TRAP) this.withheld.push(signal);
    else throw new TaskGoneError(this.pid, this.tid, `faulted with signal ${signal}`);
  }
}

/** Whether a call was broken off, and is to be made again. */
function asksForRestart({ ax, orig_ax }: Registers): boolean {
  const result = -Number(BigInt.asIntN(64, ax));
  return orig_ax !== NO_SYSCALL && Object.values<number>(ERESTART).includes(result);
}

/**
 * Waits for tasks, and looks at what each reports. What has been reported is not reported again: so all are looked at
 * before anything is said of one that is gone, or thrown.
 */
function eachReport(
  tasks: readonly Task[],
  options: number,
  gone: (error: TaskGoneError) => void,
  look: (task: Task, report: Report | undefined) => void,
): void {
  const lost: TaskGoneError[] = [];
  const failures: unknown[] = [];
  waitMany(tasks, options, (task, outcome) => {
    try {
      if (outcome instanceof KernelError) throw outcome;
      look(task, outcome);
    } catch (error) {
      if (error instanceof TaskGoneError) lost.push(error);
      else failures.push(error);
    }
  });
  for (const error of lost) gone(error);
  if (failures.length > 0) throw failures[0];
}
