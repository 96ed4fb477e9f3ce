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
import { wordsOf } from "../../machine/entries.ts";
import { OP, SLOT_HEAL, SLOT_SIZE } from "../../machine/runner.ts";
import type { Task } from "../hold/task.ts";
import type { Area } from "../table/area.ts";
import { type Home, Pointer, putRelocated, type Relocation, relocations } from "../table/pointer.ts";
import { encodeTable, moveStack } from "../table/raw-table.ts";
import { InsideThread } from "./inside-thread.ts";
import { restartedBytes, type Saved } from "./saved.ts";
import { SharedTable } from "./shared-table.ts";

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
    this.shared.table.operation(
      OP.MOVE,
      new Pointer(area.healAddress(FIRST)),
      new Pointer(area.slot(FIRST) + SLOT_HEAL),
    );
  }

  /** Writes the slots. @throws KernelError */
  lay(): void {
    const { area, pid } = this;
    const { slot, moved } = this.#slot();
    const first = [this.#home(0)];
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
      putRelocated(scatter.bytes, at, slot, moved, first, [this.#home(i)]);
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

  /** What a slot holds up to its frame, as it is for the first member, and what is to be moved for the others. */
  #slot(): { readonly slot: Uint8Array; readonly moved: readonly Relocation[] } {
    const { area } = this;
    const base = area.slot(FIRST);
    const slot = new Uint8Array(area.frame(FIRST) - base);
    const own = (address: number) => new Pointer(address);
    const healing = encodeTable(slot, area.healTable(FIRST) - base, [
      ...moveStack(own(base), own(area.frame(FIRST))),
      { op: OP.DECREMENT, args: [area.count] },
      { op: OP.LEAVE, args: [own(area.frame(FIRST)), area.sigreturn, NR.rt_sigreturn] },
    ]);
    // The door: sets the mask, counts the thread in, then changes to the slot's stack and, by way of the heal pointer,
    // to the first table, which begins with putting that pointer right.
    const entering = encodeTable(slot, area.door(FIRST) - base, [
      { op: NR.rt_sigprocmask, args: [SIG_SETMASK, own(area.mask(FIRST)), 0, 8] },
      { op: OP.INCREMENT, args: [area.count] },
      { op: OP.LEAVE, args: [own(area.stackTop(FIRST)), area.heal] },
    ]);
    viewOf(slot).setBigUint64(area.mask(FIRST) - base, MASK_WHILE_RUNNING, true);
    const words = [
      { at: area.healAddress(FIRST) - base, value: area.healTable(FIRST) },
      { at: SLOT_HEAL, value: area.threadRegion(this.pid, FIRST).address },
    ];
    for (const { at, value } of words) word.write(slot, at, value);
    const pointers = [...healing, ...entering, ...words.map(({ at }) => at / 4)];
    return { slot, moved: relocations(wordsOf(slot), pointers, [this.#home(0)]) };
  }
}
