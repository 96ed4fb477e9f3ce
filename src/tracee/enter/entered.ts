/** A process that we work inside of while it is dumped: what those who ask it know of it, in whichever way it was entered. */

import type { HostPid } from "../../linux/pid.ts";
import type { Mapping } from "../../linux/proc.ts";
import type { Task } from "../hold/task.ts";
import type { Table } from "../table/table.ts";
import type { Saved } from "./saved.ts";

/** A thread, stopped, and its state as found. */
export interface ThreadRequest {
  readonly task: Task;
  readonly saved: Saved;
}

/** A process to be entered. */
export interface EnterRequest {
  readonly carrier: ThreadRequest;
  /** All threads that are going to be asked, the carrier among them. */
  readonly threads: readonly ThreadRequest[];
  readonly maps: readonly Mapping[];
  /** Numbers of its memory and of its signal handlers: those that are equal are one. */
  readonly vm: number;
  readonly sighand: number;
}

/** What several threads answer to one table. */
export interface Answers {
  /**
   * Gives the results and spaces of the table what the `index`th of them has answered; waits for that if need be.
   * @throws KernelError for a `must` that failed, TaskGoneError
   */
  look(index: number): void;
  /** Waits until all stand again. @throws TaskGoneError, KernelError */
  awaitAll(): void;
}

export interface Entered {
  readonly pid: HostPid;
  /** Tables of the carrier: process-wide work, after what it is asked first (`askAll` in enter.ts). */
  readonly table: Table;
  /** The carrier's state as found. */
  readonly saved: Saved;
  /** Whether it is the first one inside its memory, and so the one to save it. */
  readonly isFirst: boolean;
  /** What stood in its memory where something of ours lies now: bytes that a dump has to take for the process' own. */
  readonly covered: { readonly address: number; readonly bytes: Uint8Array }[];

  /**
   * Lets the other threads in, and has each run the table that `fill` makes, whose value comes back; they stand in a
   * PTRACE_EVENT_STOP. @throws KernelError
   */
  enterThreads<T>(
    threads: readonly ThreadRequest[],
    fill: (table: Table) => T,
  ): { answers: Answers; asked: T };

  /**
   * Runs what has been added to `table`, as its `run` does; but a call that sleeps for longer than so many milliseconds ends
   * with EINTR. @throws KernelError, TaskGoneError
   */
  runWithin(patience: number): void;

  /** The program's own handling of SIGTRAP, a struct kernel_sigaction. @throws KernelError */
  ownSigtrap(): Uint8Array;

  /**
   * Whether new mappings of it are locked, and so mlockall(MCL_FUTURE) was called, and how; `locked` is how many bytes are locked
   * now beyond its mappings as found. @throws KernelError
   */
  locksNewMappings(locked: number): { readonly onFault: boolean } | undefined;
}
