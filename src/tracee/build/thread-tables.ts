/**
 * The calls of many threads of one process, laid out in one piece of its memory and made by all of them at once.
 *
 *     for (const thread of threads) {
 *       tables.begin(thread);
 *       tables.must("its name", NR.prctl, PR.SET_NAME, tables.data(name), 0, 0, 0);
 *     }
 *     tables.run();
 *
 * A thread tells how its table ended by its registers, so nothing is read back. When the memory is full, the threads
 * make what is there, and more can be added.
 */

import { KernelError } from "../../linux/errno.ts";
import { writeMemory } from "../../linux/memory.ts";
import { TableLayout } from "../../linux/own-table.ts";
import { callName } from "../../linux/syscall.ts";
import { ENTRY_WORDS } from "../../machine/entries.ts";
import { ENTRY_SIZE, OP } from "../../machine/runner.ts";
import { awaitTables, startTables } from "../hold/many-tasks.ts";
import type { Task } from "../hold/task.ts";
import type { Calls } from "../table/calls.ts";
import { Pointer, type Raw, rawOf } from "../table/pointer.ts";
import type { Region } from "../table/table.ts";

const DATA_ALIGN = 16;

export class ThreadTables implements Calls {
  readonly #layout: TableLayout;
  /** Of each entry, for a failure. */
  #objects: (string | undefined)[] = [];
  #dataStart: number;
  #tasks: Task[] = [];
  #tables: number[] = [];
  #ends: number[] = [];
  #isReady = false;
  /** Entries that several threads have, by what they come of. */
  #shared = new Map<object, { readonly first: number; readonly count: number }>();

  constructor(
    private readonly region: Region,
    /** The registers that tables are run with. */
    private readonly registers: Uint8Array,
    /** Called before the threads are set to anything: from there on they, and the memory, can be used. */
    private readonly ready: () => void,
  ) {
    this.#layout = new TableLayout(region.size, region.address);
    this.#dataStart = region.size;
  }

  /** What is added from here on is for `task` to do. `size` is what it needs at least, in bytes. */
  begin(task: Task, size: number): void {
    this.#endTable();
    if (this.#free < size) this.run();
    this.#beginTable(task);
  }

  call(nr: number, ...args: Raw[]): void {
    this.#add(undefined, nr, args);
  }

  must(object: string, nr: number, ...args: Raw[]): void {
    this.#add(object, nr, args);
    this.#layout.must(this.#objects.length - 1);
  }

  operation(op: number, ...args: Raw[]): void {
    this.#add(undefined, op, args);
  }

  data(bytes: Uint8Array): Pointer {
    const start = this.#dataStart - bytes.length;
    const at = start - (start % DATA_ALIGN);
    if (at < (this.#objects.length + 1) * ENTRY_SIZE)
      throw new RangeError("the calls of a thread do not fit");
    this.#layout.bytes.set(bytes, at);
    this.#dataStart = at;
    return new Pointer(this.region.address + at);
  }

  reserve(bytes: number): void {
    if (this.#free >= bytes) return;
    const task = this.#tasks[this.#tasks.length - 1];
    this.run();
    if (task !== undefined) this.#beginTable(task);
  }

  /** Adds what `lay` adds. For the same key that is the same again, and is copied where it is still there. */
  share(key: object, lay: () => void): void {
    const known = this.#shared.get(key);
    if (known !== undefined && this.#free > known.count * ENTRY_SIZE) {
      const { first, count } = known;
      const at = this.#objects.length;
      this.#layout.bytes.copyWithin(at * ENTRY_SIZE, first * ENTRY_SIZE, (first + count) * ENTRY_SIZE);
      for (let i = 0; i < count; i++) this.#objects.push(this.#objects[first + i]);
      return;
    }
    const before = this.#shared;
    const first = this.#objects.length;
    lay();
    if (this.#shared === before) this.#shared.set(key, { first, count: this.#objects.length - first });
  }

  /** Lets all threads make their calls. @throws KernelError for the first `must` that failed */
  run(): void {
    this.#endTable();
    const tasks = this.#tasks;
    if (tasks.length === 0) return;
    if (!this.#isReady) this.ready();
    this.#isReady = true;
    const { pid, address, size } = this.region;
    const { bytes } = this.#layout;
    const used = this.#objects.length * ENTRY_SIZE;
    writeMemory(pid, address, bytes.subarray(0, used));
    if (this.#dataStart < size) writeMemory(pid, address + this.#dataStart, bytes.subarray(this.#dataStart));
    let started = 0;
    startTables(tasks, this.registers, () => this.#tables[started++] ?? 0);
    let ended = 0;
    awaitTables(tasks, (task, entry, result) => {
      if (entry === this.#ends[ended++]) return;
      const index = (entry - address) / ENTRY_SIZE;
      const object = `${this.#objects[index]} of task ${task.tid} in process ${pid}`;
      throw new KernelError(callName(this.#layout.words[index * ENTRY_WORDS] ?? 0), object, -result);
    });
    this.#objects = [];
    this.#dataStart = size;
    this.#tasks = [];
    this.#tables = [];
    this.#ends = [];
    this.#shared = new Map();
  }

  /** For entries and data together, less the end of the table. */
  get #free(): number {
    return this.#dataStart - (this.#objects.length + 1) * ENTRY_SIZE;
  }

  get #next(): number {
    return this.region.address + this.#objects.length * ENTRY_SIZE;
  }

  #beginTable(task: Task): void {
    this.#tasks.push(task);
    this.#tables.push(this.#next);
  }

  #endTable(): void {
    if (this.#ends.length === this.#tasks.length) return;
    this.#ends.push(this.#next);
    this.#add(undefined, OP.END, []);
  }

  #add(object: string | undefined, op: number, args: readonly Raw[]): void {
    const index = this.#objects.length;
    if ((index + 1) * ENTRY_SIZE > this.#dataStart) throw new RangeError("the calls of a thread do not fit");
    this.#layout.entryWith(index, op, args.map(rawOf));
    this.#objects.push(object);
  }
}
