/** A process being restored: born bare, held, and built into the image by calls inside it. */

import { NR } from "../../linux/nr.ts";
import type { HostPid, Identity, NsPid } from "../../linux/pid.ts";
import { getRegisterBytes, NO_SYSCALL, setRegisters, userRegs } from "../../linux/ptrace.ts";
import { viewOf } from "../../linux/struct.ts";
import type { Task } from "../hold/task.ts";
import type { Area } from "../table/area.ts";
import { type Region, type Result, Table, type TableExecutor } from "../table/table.ts";

/** The registers that tables are run with (struct user_regs_struct), made of those that a task stands with now. */
export function runnerRegisters(tid: HostPid, area: Area): Uint8Array {
  const registers = getRegisterBytes(tid);
  userRegs.encodeInto(registers, 0, {
    ip: BigInt(area.run),
    // Nobody needs the stack.
    sp: BigInt(area.stackTop(0)),
    orig_ax: NO_SYSCALL,
  });
  return registers;
}

/** A thread that runs tables of its own, one after the other. */
export class RestoredThread implements TableExecutor {
  readonly table: Table;

  constructor(
    readonly task: Task,
    /** Those of the runner. All that is born of the same root has the same ones. */
    readonly registers: Uint8Array,
    region: Region,
  ) {
    this.table = new Table(this, region);
  }

  startTable(address: number): void {
    viewOf(this.registers).setBigUint64(userRegs.offset.bx, BigInt(address), true);
    setRegisters(this.task.tid, this.registers);
    this.task.resume();
  }

  awaitTable(): void {
    this.task.awaitBreakpoint();
  }
}

/** A task, by all its numbers. */
export interface RestoredTask {
  readonly task: Task;
  readonly identity: Identity;
}

export class Restoree {
  /** Its first thread; makes the process-wide calls. */
  readonly leader: RestoredThread;
  /** Address of a system call instruction of its own, once it is known (release.ts). */
  exit = 0;
  /** Its other threads, once they are there. */
  readonly threads: RestoredTask[] = [];

  constructor(
    task: Task,
    readonly identity: Identity,
    readonly area: Area,
    registers: Uint8Array,
    /**
     * Number, inside the process, of a pidfd of ours: by it the process fetches descriptors that we opened. No
     * descriptor of the image has this number; it is closed last.
     */
    readonly ourPidfd: number,
  ) {
    this.leader = new RestoredThread(task, registers, area.bulkRegion(task.pid));
  }

  get pid(): HostPid {
    return this.identity.host;
  }

  /** Its number in the images. */
  get number(): NsPid {
    return this.identity.number;
  }

  /** One of its threads, by its number in the images; undefined for another task. */
  thread(number: NsPid): Identity | undefined {
    if (number === this.number) return this.identity;
    return this.threads.find(({ identity }) => identity.number === number)?.identity;
  }

  /** All its threads. */
  get tasks(): Task[] {
    return [this.leader.task, ...this.threads.map(({ task }) => task)];
  }

  /** Calls inside it, by the leader. */
  get table(): Table {
    return this.leader.table;
  }

  /**
   * Adds to the table: fetch our descriptor `fd`. The result is its number inside, the lowest free one, with
   * close-on-exec set. `object` names it should that fail.
   */
  fetch(object: string, fd: number): Result {
    return this.table.must(object, NR.pidfd_getfd, this.ourPidfd, fd, 0);
  }
}
