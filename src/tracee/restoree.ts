/** A process being restored: born bare, held, and built into the image by calls inside it. */
import { NR } from "../linux/nr.ts";
import { getRegisters, type Registers, setRegisters } from "../linux/ptrace.ts";
import type { Area } from "./area.ts";
import { type Region, type Result, Table, type TableExecutor } from "./table.ts";
import type { Task } from "./task.ts";

/** A thread being restored; it runs tables in its own region of the area. */
export class RestoredThread implements TableExecutor {
  readonly table: Table;
  readonly #registers: Registers;

  constructor(
    readonly task: Task,
    readonly area: Area,
    readonly index: number,
    region: Region = index === 0 ? area.bulkRegion(task.pid) : area.threadRegion(task.pid, index),
  ) {
    this.#registers = getRegisters(task.tid);
    this.table = new Table(this, region);
  }

  startTable(address: number): void {
    setRegisters(this.task.tid, {
      ...this.#registers,
      ip: BigInt(this.area.run),
      bx: BigInt(address),
      sp: BigInt(this.area.stackTop(this.index)),
      orig_ax: 0xffff_ffff_ffff_ffffn,
    });
    this.task.resume();
  }

  awaitTable(): void {
    this.task.awaitBreakpoint();
  }
}

export class Restoree {
  /** Children just born that nobody has taken over yet. */
  readonly newborn: Task[] = [];
  /** Address of a system call instruction of its own, once it is known (release.ts). */
  exit = 0;
  /** Its other threads, once they are there. */
  readonly threads: RestoredThread[] = [];

  constructor(
    readonly pid: number,
    /** Its first thread; makes the process-wide calls. */
    readonly leader: RestoredThread,
    /**
     * Number, inside the process, of a pidfd of ours: by it the process fetches descriptors that we opened. No
     * descriptor of the image has this number; it is closed last.
     */
    readonly ourPidfd: number,
  ) {}

  /** Calls inside it, by the leader. */
  get table(): Table {
    return this.leader.table;
  }

  get area(): Area {
    return this.leader.area;
  }

  /**
   * Adds to the table: fetch our descriptor `fd`. The result is its number inside, the lowest free one, with
   * close-on-exec set. `object` names it should that fail.
   */
  fetch(object: string, fd: number): Result {
    return this.table.must(object, NR.pidfd_getfd, this.ourPidfd, fd, 0);
  }
}
