/**
 * A table that many tasks run at the same time, in one process or in many, each its own copy in memory of its own. It is
 * made once, as for the first; for the others the pointers into that memory are moved, and nothing else. Who asks the same of
 * hundreds pays for one.
 */

import { type Piece, readPieces, Scatter } from "../../linux/memory.ts";
import { CALLER } from "../../linux/pid.ts";
import { startMany } from "../../linux/ptrace-many.ts";
import { wordsOf } from "../../machine/entries.ts";
import { Task } from "../hold/task.ts";
import { type Home, putRelocated, relocations } from "../table/pointer.ts";
import { type Region, Table, type TableExecutor } from "../table/table.ts";
import type { InsideThread } from "./inside-thread.ts";

/** Copies that are awaited together: while we look at some, others may still be running. */
const CHUNK = 32;

/** Who runs a copy, and where. */
export interface Copy {
  readonly thread: InsideThread;
  readonly region: Region;
  /** As many as the first copy has, of the same sizes. */
  readonly homes: readonly Home[];
}

export class SharedTable implements TableExecutor {
  /** To be filled in before `start`; then, with `look`, its results and spaces are those of one copy after the other. */
  readonly table: Table;
  readonly #answers: Uint8Array[] = [];

  /** @throws RangeError without copies */
  constructor(private readonly copies: readonly Copy[]) {
    const [first] = copies;
    if (first === undefined) throw new RangeError("a table for nobody");
    this.table = new Table(this, first.region);
  }

  /** Writes all copies and sets them running. @throws KernelError */
  start(): void {
    const [first] = this.copies;
    const { entries, data } = this.table.laid;
    const from = first?.homes ?? [];
    // One copy is the table as it is.
    const moved = this.copies.length > 1 ? relocations(wordsOf(entries), this.table.pointers, from) : [];
    for (const group of byProcess(this.copies)) {
      const scatter = new Scatter(group[0]?.region.pid ?? CALLER);
      for (const { region, homes } of group) {
        const [head, tail] = places(region, entries, data);
        const at = scatter.piece(head.address, head.length);
        putRelocated(scatter.bytes, at, entries, moved, from, homes);
        const dataAt = scatter.piece(tail.address, tail.length);
        scatter.bytes.set(data, dataAt);
      }
      scatter.flush();
    }
    this.startTable();
  }

  startTable(): void {
    let failure: Error | undefined;
    startMany(
      this.copies.map(({ thread, region }) => ({ tid: thread.tid, thread, region })),
      ({ thread, region }) => thread.registersFor(region.address),
      ({ thread }, started) => {
        thread.noteStart(started);
        failure ??= started.error;
      },
    );
    if (failure !== undefined) throw failure;
  }

  awaitTable(): void {
    this.#await(this.copies);
  }

  /**
   * Gives the results and spaces of the table what a copy of it gave; waits for that if need be.
   * @throws KernelError for a `must` that failed, TaskGoneError
   */
  look(index: number): void {
    const { entries, data } = this.table.laid;
    while (this.#answers.length <= index) this.#awaitMore(entries, data);
    const answer = this.#answers[index] ?? new Uint8Array();
    entries.set(answer.subarray(0, entries.length));
    data.set(answer.subarray(entries.length));
    this.table.settle(this.copies[index]?.region.pid);
  }

  /** Waits for all copies: their tasks stand again. @throws TaskGoneError, KernelError */
  awaitAll(): void {
    const { entries, data } = this.table.laid;
    while (this.#answers.length < this.copies.length) this.#awaitMore(entries, data);
  }

  #awaitMore(entries: Uint8Array, data: Uint8Array): void {
    const from = this.#answers.length;
    const some = this.copies.slice(from, from + CHUNK);
    if (some.length === 0) throw new RangeError("no such copy of a table");
    this.#await(some);
    const size = entries.length + data.length;
    for (const group of byProcess(some)) {
      const pieces = group.flatMap(({ region }) => places(region, entries, data));
      const answers = new Uint8Array(group.length * size);
      readPieces(group[0]?.region.pid ?? CALLER, pieces, answers);
      group.forEach((_, i) => {
        this.#answers.push(answers.subarray(i * size, (i + 1) * size));
      });
    }
  }

  #await(copies: readonly Copy[]): void {
    const threads = new Map(copies.map(({ thread }) => [thread.task, thread]));
    Task.awaitBreakpoints([...threads.keys()], (task) => threads.get(task)?.noteEnd());
  }
}

/** Neighbours that are in the same process, together. */
function byProcess(copies: readonly Copy[]): Copy[][] {
  const groups: Copy[][] = [];
  for (const copy of copies) {
    const last = groups[groups.length - 1];
    if (last !== undefined && last[0]?.region.pid === copy.region.pid) last.push(copy);
    else groups.push([copy]);
  }
  return groups;
}

/** Where a copy stands: entries at the beginning of its region, data at the end. */
function places({ address, size }: Region, entries: Uint8Array, data: Uint8Array): [Piece, Piece] {
  return [
    { address, length: entries.length },
    { address: address + size - data.length, length: data.length },
  ];
}
