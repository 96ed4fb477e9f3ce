/**
 * The other threads of a process, let in all at once: each gets a slot, and all run the same table. The slots are alike, so
 * the tables that lead a thread in and out are made for the first and moved for the others.
 */

import { stage } from "../../faults.ts";
import { usedXstate } from "../../linux/cpuid.ts";
import { Scatter } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import {
  MASK_WHILE_RUNNING,
  putSigframe,
  putXstate,
  SIG_SETMASK,
  sigframeSize,
  sigframeXstateSize,
} from "../../linux/signal.ts";
import { viewOf, word } from "../../linux/struct.ts";
import { OP, SLOT_HEAL, SLOT_SIZE } from "../../machine/runner.ts";
import type { Task } from "../hold/task.ts";
import type { Area } from "../table/area.ts";
import { encodeTable, moveStack } from "../table/raw-table.ts";
import { InsideThread } from "./inside-thread.ts";
import { restartedBytes, type Saved } from "./saved.ts";
import { type Home, pointersInto, putMoved, SharedTable } from "./shared-table.ts";

/** The carrier has slot 0. */
const FIRST = 1;

export class OtherThreads {
  readonly members: readonly InsideThread[];
  /** Each member's copy is its own; to be filled in before `run`. */
  readonly shared: SharedTable;

  /** @throws RangeError without threads */
  constructor(
    private readonly pid: HostPid,
    private readonly area: Area,
    threads: readonly { readonly task: Task; readonly saved: Saved }[],
  ) {
    this.members = threads.map(({ task, saved }, i) => new InsideThread(task, saved, area, FIRST + i));
    this.shared = new SharedTable(
      this.members.map((thread, i) => ({
        thread,
        region: area.threadRegion(pid, FIRST + i),
        homes: [this.#home(i)],
      })),
    );
    // The heal pointer was that of the way in (see #slot).
    this.shared.table.operation(OP.MOVE, area.healAddress(FIRST), area.slot(FIRST) + SLOT_HEAL);
  }

  /** Writes the slots. @throws KernelError */
  lay(): void {
    const { area, pid } = this;
    const slot = this.#slot();
    const first = [this.#home(0)];
    const pointers = pointersInto(slot, first);
    const scatter = new Scatter(pid);
    // Threads that wait mostly have the same extended state, which is one object then (ptrace-many.ts).
    let xstate: Uint8Array | undefined;
    let fpstate = 0;
    this.members.forEach(({ saved }, i) => {
      if (saved.xstate !== xstate) {
        ({ xstate } = saved);
        fpstate = area.xstate(FIRST + i);
        const used = usedXstate(xstate);
        const place = scatter.piece(fpstate, sigframeXstateSize(used.length));
        putXstate(scatter.bytes, place, used);
      }
      const at = scatter.piece(area.slot(FIRST + i), slot.length + sigframeSize());
      putMoved(scatter.bytes, at, slot, pointers, first, [this.#home(i)]);
      const frame = { buffer: scatter.bytes, at: at + slot.length, address: area.frame(FIRST + i) };
      putSigframe(frame, restartedBytes(saved), saved.mask, { fpstate });
    });
    scatter.flush();
  }

  /** Sets all going. @throws KernelError */
  start(): void {
    this.shared.start();
    for (const _ of this.members) stage("dump/thread");
  }

  #home(member: number): Home {
    return { address: this.area.slot(FIRST + member), size: SLOT_SIZE };
  }

  /** What a slot holds up to its frame, as it is for the first member. */
  #slot(): Uint8Array {
    const { area } = this;
    const base = area.slot(FIRST);
    const slot = new Uint8Array(area.frame(FIRST) - base);
    const view = viewOf(slot);
    encodeTable(slot, area.healTable(FIRST) - base, [
      ...moveStack(base, area.frame(FIRST)),
      { op: OP.DECREMENT, args: [area.count] },
      { op: OP.LEAVE, args: [area.frame(FIRST), area.sigreturn, NR.rt_sigreturn] },
    ]);
    // The door: sets the mask, counts the thread in, then changes to the slot's stack and, by way of the heal pointer,
    // to the first table, which begins with putting that pointer right.
    encodeTable(slot, area.door(FIRST) - base, [
      { op: NR.rt_sigprocmask, args: [SIG_SETMASK, area.mask(FIRST), 0, 8] },
      { op: OP.INCREMENT, args: [area.count] },
      { op: OP.LEAVE, args: [area.stackTop(FIRST), area.heal] },
    ]);
    view.setBigUint64(area.mask(FIRST) - base, MASK_WHILE_RUNNING, true);
    word.write(slot, area.healAddress(FIRST) - base, area.healTable(FIRST));
    word.write(slot, SLOT_HEAL, area.threadRegion(this.pid, FIRST).address);
    return slot;
  }
}
