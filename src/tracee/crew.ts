/**
 * The other threads of a process, let in all at once: each gets a slot, the slots are alike, and all run the same table, each
 * its own copy. So slot and table are made once, for the first, and moved for the others: the words that point into
 * the slot move with it.
 */
import { stage } from "../faults.ts";
import { readPieces, writePieces } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { startMany } from "../linux/ptrace-many.ts";
import { buildSigframe, MASK_WHILE_RUNNING, SIG_SETMASK } from "../linux/signal.ts";
import { viewOf, word } from "../linux/struct.ts";
import { OP, SLOT_HEAL, SLOT_SIZE } from "../machine/runner.ts";
import type { Area } from "./area.ts";
import { InsideThread } from "./inside.ts";
import { encodeTable, moveStack } from "./raw-table.ts";
import { restartedRegisters, type Saved } from "./saved.ts";
import { Table, type TableExecutor } from "./table.ts";
import { Task } from "./task.ts";

/** The carrier has slot 0. */
const FIRST = 1;

export class Crew implements TableExecutor {
  readonly members: readonly InsideThread[];
  /** To be filled in before `lay`, as if for one thread. */
  readonly table: Table;
  /** What the tables gave, one copy behind the other. */
  #answers: Uint8Array = new Uint8Array();

  constructor(
    private readonly pid: number,
    private readonly area: Area,
    threads: readonly { readonly task: Task; readonly saved: Saved }[],
  ) {
    this.members = threads.map(({ task, saved }, i) => new InsideThread(task, saved, area, FIRST + i));
    this.table = new Table(this, area.threadRegion(pid, FIRST));
    // The heal pointer was that of the way in (see #slot).
    this.table.operation(OP.MOVE, area.healAddress(FIRST), area.slot(FIRST) + SLOT_HEAL);
  }

  /** Writes slots and tables. @throws KernelError */
  lay(): void {
    const { area, pid } = this;
    const slot = this.#slot();
    const { entries, data } = this.table.laid;
    const inSlot = pointersInto(slot, area.slot(FIRST));
    const inEntries = pointersInto(entries, area.slot(FIRST));
    const pieces: { address: number; length: number }[] = [];
    const parts: Uint8Array[] = [];
    const add = (address: number, bytes: Uint8Array) => {
      pieces.push({ address, length: bytes.length });
      parts.push(bytes);
    };
    this.members.forEach(({ saved }, i) => {
      const frame = area.frame(FIRST + i);
      const region = area.threadRegion(pid, FIRST + i);
      add(area.slot(FIRST + i), moved(slot, inSlot, i * SLOT_SIZE));
      add(
        frame,
        buildSigframe(frame, restartedRegisters(saved.registers), saved.mask, { xstate: saved.xstate }),
      );
      add(region.address, moved(entries, inEntries, i * SLOT_SIZE));
      add(region.address + region.size - data.length, data);
    });
    writePieces(pid, pieces, Buffer.concat(parts));
  }

  /** Sets all going, and waits until all have come to the end of their tables. @throws KernelError, TaskGoneError */
  run(): void {
    this.startTable();
    for (const _ of this.members) stage("dump/thread");
    this.awaitTable();
    this.#answers = new Uint8Array(this.members.length * this.#answerSize);
    readPieces(
      this.pid,
      this.members.flatMap((_, i) => this.#answerPieces(i)),
      this.#answers,
    );
  }

  startTable(): void {
    let failure: Error | undefined;
    startMany(
      this.members,
      (thread) => thread.atDoor,
      (thread, started) => {
        thread.noteStart(started);
        failure ??= started.error;
      },
    );
    if (failure !== undefined) throw failure;
  }

  awaitTable(): void {
    const byTask = new Map(this.members.map((thread) => [thread.task, thread]));
    Task.awaitBreakpoints([...byTask.keys()], (task) => byTask.get(task)?.noteEnd());
  }

  /** Gives the results and spaces of the table what a member's copy of it gave. @throws KernelError for a `must` that failed */
  look(member: number): void {
    const { entries, data } = this.table.laid;
    const from = member * this.#answerSize;
    const answers = this.#answers.subarray(from, from + this.#answerSize);
    entries.set(answers.subarray(0, entries.length));
    data.set(answers.subarray(entries.length));
    this.table.settle();
  }

  get #answerSize(): number {
    const { entries, data } = this.table.laid;
    return entries.length + data.length;
  }

  #answerPieces(member: number): { address: number; length: number }[] {
    const { address, size } = this.area.threadRegion(this.pid, FIRST + member);
    const { entries, data } = this.table.laid;
    return [
      { address, length: entries.length },
      { address: address + size - data.length, length: data.length },
    ];
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
    word.write(view, area.healAddress(FIRST) - base, area.healTable(FIRST));
    word.write(view, SLOT_HEAL, area.threadRegion(this.pid, FIRST).address);
    return slot;
  }
}

/**
 * Which words of our own tables point into the slot that begins at `base`. They hold nothing of the process', and no number
 * of ours is as large as an address.
 */
function pointersInto(bytes: Uint8Array, base: number): number[] {
  const view = viewOf(bytes);
  const out: number[] = [];
  for (let at = 0; at + word.size <= bytes.length; at += word.size) {
    const value = word.read(view, at);
    if (value >= base && value < base + SLOT_SIZE) out.push(at);
  }
  return out;
}

/** A copy whose pointers lead `distance` bytes further. */
function moved(bytes: Uint8Array, pointers: readonly number[], distance: number): Uint8Array {
  const copy = bytes.slice();
  const view = viewOf(copy);
  for (const at of pointers) word.write(view, at, word.read(view, at) + distance);
  return copy;
}
