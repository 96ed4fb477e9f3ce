/**
 * A task (one thread) held by ptrace.
 *
 * All tasks are seized by the one thread that runs our TypeScript; ptrace serves only the thread that attached. Stops
 * are told apart here: the trap that we asked for, the breakpoint at the end of a table, the birth of a child, and
 * signals that somebody else sent meanwhile and that must not be lost.
 */
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { NR } from "../linux/nr.ts";
import {
  getEventMessage,
  getSiginfoCode,
  PTRACE,
  PTRACE_EVENT,
  PTRACE_O,
  ptrace,
  WAIT,
  type WaitStatus,
  wait,
} from "../linux/ptrace.ts";
import { SIG } from "../linux/signal.ts";
import { rawSyscall } from "../linux/syscall.ts";

/** si_code of a breakpoint: the kernel sends it itself. */
const SI_KERNEL = 0x80;
/** A stop at a system call's entry or exit, with PTRACE_O_TRACESYSGOOD. */
const SYSCALL_STOP = SIG.TRAP | 0x80;

/** A task ended while we held it. */
export class TaskGoneError extends Error {
  override readonly name = "TaskGoneError";
  constructor(
    readonly pid: number,
    readonly tid: number,
    how: string,
  ) {
    super(`task ${tid} of process ${pid} ${how} while it was held`);
  }
}

export class Task {
  /** Signal of the group-stop that the task was found in, 0 when it was not stopped. */
  stopSignal = 0;
  /** Tasks born of this one since the caller last took them, in order; each waits in its first stop. */
  readonly newborn: number[] = [];
  /** Signals that somebody sent while the task worked for us, and that it did not get. */
  readonly withheld: number[] = [];
  #gone = false;

  private constructor(
    readonly pid: number,
    readonly tid: number,
  ) {}

  /**
   * Attaches to a running task without stopping it. @throws KernelError (EPERM: no right, or another tracer holds it;
   * ESRCH: gone)
   */
  static seize(pid: number, tid: number, options: number): Task {
    ptrace(PTRACE.SEIZE, tid, 0, options | PTRACE_O.TRACESYSGOOD);
    return new Task(pid, tid);
  }

  /** A task that the kernel attached to us at its birth, by a PTRACE_O_TRACE* option of its parent. */
  static newborn(pid: number, tid: number): Task {
    return new Task(pid, tid);
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Asks the task to stop; {@link awaitTrap} waits for it. */
  interrupt(): void {
    ptrace(PTRACE.INTERRUPT, this.tid);
  }

  /**
   * Waits until the task stands in a PTRACE_EVENT_STOP. Signals on their way to it meanwhile are let through to its
   * own handlers. `patience` is in milliseconds. @throws TaskGoneError, KernelError ETIMEDOUT
   */
  awaitTrap(patience = Number.POSITIVE_INFINITY): void {
    const deadline = performance.now() + patience;
    for (;;) {
      const stop = patience === Number.POSITIVE_INFINITY ? this.#await() : this.#poll(deadline);
      if (stop.event === PTRACE_EVENT.STOP) {
        this.stopSignal = stop.signal === SIG.TRAP ? 0 : stop.signal;
        return;
      }
      this.resume(PTRACE.CONT, stop.event === 0 && stop.signal !== SYSCALL_STOP ? stop.signal : 0);
    }
  }

  /** Lets the task run on; `signal` is delivered if the stop was that of a signal's delivery. */
  resume(request: number = PTRACE.CONT, signal = 0): void {
    ptrace(request, this.tid, 0, signal);
  }

  /** Waits for the breakpoint that ends a table. @throws TaskGoneError */
  awaitBreakpoint(): void {
    for (;;) {
      const stop = this.#await();
      if (stop.event === 0 && stop.signal === SIG.TRAP && this.#stoppedByBreakpoint()) return;
      if (stop.event === 0) this.#foreignSignal(stop.signal);
      this.#noteBirth(stop.event);
      this.resume();
    }
  }

  /** Waits for the next system call stop. @throws TaskGoneError */
  awaitSyscallStop(): void {
    for (;;) {
      const stop = this.#await();
      if (stop.event === 0 && stop.signal === SYSCALL_STOP) return;
      if (stop.event === 0) this.#foreignSignal(stop.signal);
      this.#noteBirth(stop.event);
      this.resume(PTRACE.SYSCALL);
    }
  }

  /** Waits for whatever stop comes next. @throws TaskGoneError */
  awaitAnyStop(): { readonly signal: number; readonly event: number } {
    return this.#await();
  }

  /** Moves a task from any ptrace stop into a PTRACE_EVENT_STOP; it executes nothing in between. */
  park(): void {
    this.interrupt();
    this.resume();
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

  /** As await, but not for ever: a task in an uninterruptible sleep comes to no stop. */
  #poll(deadline: number): { signal: number; event: number } {
    for (let pause = 0; ; pause++) {
      const result = wait(this.tid, WAIT.NOHANG);
      if (result !== undefined) return this.#stopOf(result.status);
      if (performance.now() > deadline)
        throw new KernelError("stop", `task ${this.tid} of process ${this.pid}`, ERRNO.ETIMEDOUT);
      // Most tasks stop within microseconds: first only the processor is offered to them.
      if (pause < 20) rawSyscall(NR.sched_yield);
      else Bun.sleepSync(pause < 200 ? 0.1 : 5);
    }
  }

  #await(): { signal: number; event: number } {
    return this.#stopOf(wait(this.tid)?.status);
  }

  #stopOf(status: WaitStatus | undefined): { signal: number; event: number } {
    if (status?.kind === "stopped") return status;
    this.#gone = true;
    throw new TaskGoneError(
      this.pid,
      this.tid,
      status?.kind === "killed" ? `was killed by signal ${status.signal}` : "ended",
    );
  }

  #stoppedByBreakpoint(): boolean {
    return getSiginfoCode(this.tid) === SI_KERNEL;
  }

  #noteBirth(event: number): void {
    if (event === PTRACE_EVENT.FORK || event === PTRACE_EVENT.VFORK || event === PTRACE_EVENT.CLONE) {
      this.newborn.push(getEventMessage(this.tid));
    }
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
