/** A thread of a dumped process that runs our tables, in its slot of the area. */

import { kill, killThread } from "../../linux/kill.ts";
import type { HostPid } from "../../linux/pid.ts";
import { NO_SYSCALL, setRegisters, setSignalMask, userRegs } from "../../linux/ptrace.ts";
import type { Started } from "../../linux/ptrace-many.ts";
import { MASK_WHILE_RUNNING, SIG } from "../../linux/signal.ts";
import { SPARED_STACK, type Task } from "../hold/task.ts";
import type { Area } from "../table/area.ts";
import type { TableExecutor } from "../table/table.ts";
import type { Saved } from "./saved.ts";

/** TF would trap after the first instruction, DF would make string code run backwards. */
export const FLAGS_TF_DF = 0x500n;

/** A thread inside the area: runs tables on its slot's stack. */
export class InsideThread implements TableExecutor {
  /** Whether its registers have been touched. */
  inside = false;
  /** Whether it has been given a table. */
  started = false;
  /** Whether it runs a table just now. */
  #running = false;

  constructor(
    readonly task: Task,
    readonly saved: Saved,
    private readonly area: Area,
    private readonly index: number,
  ) {}

  startTable(address: number): void {
    const { tid } = this.task;
    // Registers first: whatever happens next, the thread is on the way that leads back.
    setRegisters(tid, this.registersFor(address));
    if (!this.inside) {
      this.inside = true;
      setSignalMask(tid, MASK_WHILE_RUNNING);
    }
    this.started = true;
    this.#running = true;
    this.task.resume();
  }

  get tid(): HostPid {
    return this.task.tid;
  }

  /**
   * Registers, a `userRegs`, with which it runs a table. Where it is not inside yet, it comes in by its door, and the table
   * is the one that stands in its region.
   */
  registersFor(table: number): Uint8Array {
    if (this.inside) return this.#registersAt(table, this.area.stackTop(this.index));
    return this.#registersAt(this.area.door(this.index), this.#ownStack);
  }

  /** It was set going with `registersFor`, this far. */
  noteStart({ set, runs }: Started): void {
    this.inside ||= set;
    this.started ||= runs;
    this.#running ||= runs;
  }

  /** It came to the end of its table. */
  noteEnd(): void {
    this.#running = false;
  }

  awaitTable(): void {
    this.task.awaitBreakpoint();
    this.#running = false;
  }

  /** Makes the thread run its heal table when it goes on; on `stack`, which the table does not use. */
  turnToHeal(stack = this.area.stackTop(this.index)): void {
    setRegisters(this.task.tid, this.#registersAt(this.area.healTable(this.index), stack));
  }

  /** Has it stop, at the end of any table that it runs. */
  startLeaving(): void {
    this.settle();
    this.task.startEventStop();
  }

  /**
   * Gives it back mask and registers, once it has stopped. `countOut` is to take it from the count of those inside: before it
   * is out, as to count one too few does no harm.
   */
  leave(countOut: () => void): void {
    this.task.awaitEventStop();
    // A mask with SIGTRAP blocked must not meet a breakpoint, should we die between the two: the heal table has none.
    this.turnToHeal(this.#ownStack);
    countOut();
    this.putBack();
  }

  /** For a thread whose registers lead it back anyhow. */
  putBack(): void {
    putBack(this.task, this.saved);
  }

  /** Ends a table that was started and that nobody waited for. */
  settle(): void {
    if (this.#running) this.awaitTable();
  }

  /** Where its handlers may run, should a signal come before the mask is set: below what it uses itself. */
  get #ownStack(): number {
    const below = Number(this.saved.registers.sp) - SPARED_STACK;
    return below - (below % 16);
  }

  #registersAt(table: number, stack: number): Uint8Array {
    const { bytes, registers } = this.saved;
    const out = bytes.slice();
    userRegs.encodeInto(out, 0, {
      ip: BigInt(this.area.run),
      bx: BigInt(table),
      sp: BigInt(stack),
      orig_ax: NO_SYSCALL,
      flags: registers.flags & ~FLAGS_TF_DF,
    });
    return out;
  }
}

/** Gives a stopped thread the mask and the registers that it was found with, and the signals that it did not get meanwhile. */
export function putBack(task: Task, saved: Saved): void {
  setSignalMask(task.tid, saved.mask);
  setRegisters(task.tid, saved.bytes);
  for (const signal of task.withheld.splice(0)) {
    // A stop is for the process, and comes when it is let go.
    if (signal === SIG.STOP) kill(task.pid, signal);
    else killThread(task.pid, task.tid, signal);
  }
}
