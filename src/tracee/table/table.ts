/**
 * Tables of system calls to be made inside a held task: `tracee.run([...calls])` as an object that is filled in.
 *
 *     const table = runner.table();
 *     const fd = table.must("/etc/motd", NR.openat, AT.FDCWD, table.data(cString("/etc/motd")), O.RDONLY);
 *     table.must("its offset", NR.lseek, fd, 10, SEEK.SET);
 *     table.run();
 *
 * An argument may be the result of an earlier call. One run is one round trip. `start()` and `finish()` stand apart so
 * that many tasks can work at once: start all, then finish all.
 */

import { KernelError } from "../../linux/errno.ts";
import { type Piece, readMemory, readPieces, writeMemory, writePieces } from "../../linux/memory.ts";
import type { HostPid } from "../../linux/pid.ts";
import { callName, checkResult } from "../../linux/syscall.ts";
import {
  argumentAt,
  ENTRY_WORDS,
  resultAt,
  setEntry,
  setFlags,
  setWide,
  wideAt,
  wordsOf,
} from "../../machine/entries.ts";
import { ENTRY_ARGS, ENTRY_RESULT, ENTRY_SIZE, FLAG_MUST, OP } from "../../machine/runner.ts";
import { move, Pointer, type Raw, rawOf } from "./pointer.ts";

/** Memory of the task that tables are laid out in. */
export interface Region {
  readonly pid: HostPid;
  readonly address: number;
  readonly size: number;
  /** How much of it, at its end, can be used for what the calls read and write: all of it, if not given. */
  readonly dataSize?: number;
}

/** How a table gets executed: the task's registers are set to `table` and it runs until the table's end. */
export interface TableExecutor {
  startTable(address: number): void;
  awaitTable(): void;
  /**
   * Makes the calls of a table one by one from outside, in place of the two above: its entries need not be in the task's memory.
   * Both get the results.
   */
  callEach?(entries: Uint8Array, data: Uint8Array): void;
}

/** What a call in a table gives back once the table has run. */
export class Result {
  #value: number | undefined;
  constructor(
    readonly nr: number,
    readonly object: string | undefined,
    readonly entry: number,
  ) {}

  settle(value: number): void {
    this.#value = value;
  }

  get settled(): boolean {
    return this.#value !== undefined;
  }

  /** The kernel's raw result, negative errno on failure. */
  get raw(): number {
    if (this.#value === undefined) throw new Error(`the result of ${callName(this.nr)} is not there yet`);
    return this.#value;
  }

  get failed(): boolean {
    return this.raw < 0 && this.raw > -4096;
  }

  /** The result of a call that must have succeeded. @throws KernelError */
  get value(): number {
    return this.checked(this.object ?? "");
  }

  /** The same of a call whose failure the table did not stop at; `object` names what it worked on. */
  checked(object: string): number {
    return checkResult(this.raw, this.nr, object);
  }
}

/** Bytes in the task that calls read from or write to. */
export class Space {
  #bytes: Uint8Array | undefined;
  constructor(
    readonly address: Pointer,
    readonly offset: number,
    readonly length: number,
  ) {}

  /** The address of a byte of it. */
  at(offset: number): Pointer {
    return this.address.plus(offset);
  }

  settle(bytes: Uint8Array): void {
    this.#bytes = bytes;
  }

  /** What stands there after the run; the caller's own copy. */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw new Error("these bytes are not there yet");
    return this.#bytes;
  }
}

/** An argument that stands in a word of the task's memory by the time of the call. */
export class Stored {
  constructor(readonly address: Raw) {}
}

export type Argument = number | Pointer | Result | Stored;

const DATA_ALIGN = 16;
const NO_DATA = new Uint8Array();
const NO_ARGUMENTS: readonly number[] = [];
const WORD = 4;
/**
 * So large is a mirror at first, in bytes. The allocator clears all of it, and each page that it touches in that is a fault
 * of some microseconds: with hundreds of tables, most of what they cost.
 */
const MIRROR_SIZE = 0x2000;

/** Calls that many tables have in common, as they stood in one of them. */
interface SharedCalls {
  readonly entries: Uint8Array;
  readonly data: Uint8Array;
  /** Address of the data there. */
  readonly dataAt: number;
  /** Where in the entries, in words of 32 bits, pointers to the data stand. */
  readonly toData: readonly number[];
  /** And pointers to elsewhere, which stay as they are. */
  readonly others: readonly number[];
  /** Of each entry that must succeed. */
  readonly objects: readonly (string | undefined)[];
}

const sharedCalls = new WeakMap<object, SharedCalls>();
const wantedOnce = new WeakSet<object>();

export class Table {
  /** What is laid: entries from the beginning on, data up to the end. It has no more bytes than that needs. */
  #mirror: Uint8Array;
  #words: Uint32Array;
  /** What the region has more than the mirror: so far before its place in the region stands data in the mirror. */
  #gap: number;
  #used = 0;
  #dataStart: number;
  #pending: Result[] = [];
  #spaces: Space[] = [];
  /** Where in the entries, in words of 32 bits, pointers stand. */
  #pointers: number[] = [];
  #placed: { readonly shared: SharedCalls; readonly at: number }[] = [];
  #running = false;
  /** How often it was run. */
  #runs = 0;

  constructor(
    private readonly executor: TableExecutor,
    readonly region: Region,
  ) {
    const size = Math.min(region.size, MIRROR_SIZE);
    this.#mirror = new Uint8Array(size);
    this.#words = wordsOf(this.#mirror);
    this.#gap = region.size - size;
    this.#dataStart = region.size;
  }

  /** A call that may fail; its result tells. */
  call(nr: number, ...args: Argument[]): Result {
    return this.#add(nr, undefined, args);
  }

  /** A call that ends the table if it fails; `run` then throws, naming the call and `object`. */
  must(object: string, nr: number, ...args: Argument[]): Result {
    return this.#add(nr, object, args);
  }

  /** An entry that is no call: an operation of the runner's own. */
  operation(op: number, ...args: Raw[]): void {
    this.#grow(ENTRY_SIZE);
    const index = this.#used / ENTRY_SIZE;
    setEntry(this.#words, index, op, NO_ARGUMENTS);
    for (let i = 0; i < args.length; i++) this.#setArgument(argumentAt(index, i), args[i] ?? 0);
    this.#used += ENTRY_SIZE;
  }

  /** Copies the result of a call that this table makes to the word at an address of the task. */
  keep(result: Result, at: Raw): void {
    this.operation(OP.MOVE, this.resultAt(result), at);
  }

  /** Where in the task the result of a call will stand. */
  resultAt(result: Result): Pointer {
    return new Pointer(this.region.address + result.entry + ENTRY_RESULT);
  }

  /** Places bytes for calls to read; gives their address in the task. Valid until the table has run. */
  data(bytes: Uint8Array): Pointer {
    const offset = this.#reserve(bytes.length);
    this.#mirror.set(bytes, offset - this.#gap);
    return new Pointer(this.region.address + offset);
  }

  /** Writes to bytes that `data` has placed. */
  place({ address }: Pointer, bytes: Uint8Array): void {
    this.#mirror.set(bytes, address - this.region.address - this.#gap);
  }

  /** Bytes for calls to write to (zeroed), readable after the run. */
  space(length: number, initial?: Uint8Array): Space {
    const offset = this.#reserve(length);
    if (initial !== undefined) this.#mirror.set(initial, offset - this.#gap);
    const space = new Space(new Pointer(this.region.address + offset), offset, length);
    this.#spaces.push(space);
    return space;
  }

  /**
   * Makes the same call with each of `values` as one argument, `before` and `after` it the others, on the spot and
   * after what was added before. All are small and not negative. Gives the raw results, which are small as well, in
   * order. For thousands of calls: each costs a few words and no object.
   */
  each(nr: number, before: readonly number[], values: readonly number[], after: readonly number[]): number[] {
    this.run();
    const { pid, address, size } = this.region;
    const step = ENTRY_WORDS;
    const most = Math.floor(size / ENTRY_SIZE) - 1;
    this.#grow(Math.min(most, values.length) * ENTRY_SIZE);
    const words = this.#words;
    const results: number[] = [];
    const varying = 2 + 2 * before.length;
    for (let done = 0; done < values.length; done += most) {
      const count = Math.min(most, values.length - done);
      for (let i = 0; i < count; i++) {
        const at = i * step;
        words[at] = nr;
        for (let k = 0; k < before.length; k++) words[at + 2 + 2 * k] = before[k] ?? 0;
        words[at + varying] = values[done + i] ?? 0;
        for (let k = 0; k < after.length; k++) words[at + varying + 2 + 2 * k] = after[k] ?? 0;
      }
      words[count * step] = OP.END;
      const used = this.#mirror.subarray(0, (count + 1) * ENTRY_SIZE);
      if (this.executor.callEach !== undefined) this.executor.callEach(used, NO_DATA);
      else {
        writeMemory(pid, address, used);
        this.executor.startTable(address);
        this.executor.awaitTable();
        readMemory(pid, address, used);
      }
      for (let i = 0; i < count; i++) results.push((words[resultAt(i)] ?? 0) | 0);
      used.fill(0);
    }
    return results;
  }

  /** Whether there is nothing to run. */
  get empty(): boolean {
    return this.#used === 0;
  }

  /**
   * Adds what `lay` adds: calls whose results nobody asks for. For the same key that is the same again, in whatever
   * table, and from the third time on it is copied.
   */
  share(key: object, lay: () => void): void {
    const shared = sharedCalls.get(key);
    if (shared !== undefined && this.free > shared.entries.length + shared.data.length) {
      this.#place(shared);
      return;
    }
    const runs = this.#runs;
    const first = this.#used;
    const dataEnd = this.#dataStart;
    lay();
    if (wantedOnce.has(key) && this.#runs === runs) sharedCalls.set(key, this.#sharedSince(first, dataEnd));
    else wantedOnce.add(key);
  }

  /** Sees to space for `bytes` of entries and data, by running what has been added if need be. */
  reserve(bytes: number): void {
    if (this.free < bytes) this.run();
  }

  /** What is to be written before it runs, valid until then: its entries, to the region's beginning; its data, to the end. */
  get laid(): { readonly entries: Uint8Array; readonly data: Uint8Array } {
    this.#grow(0);
    setEntry(this.#words, this.#used / ENTRY_SIZE, OP.END, NO_ARGUMENTS);
    return {
      entries: this.#mirror.subarray(0, this.#used + ENTRY_SIZE),
      data: this.#mirror.subarray(this.#dataStart - this.#gap),
    };
  }

  /** Where in the entries of `laid`, in words of 32 bits, pointers stand. */
  get pointers(): readonly number[] {
    return this.#pointers;
  }

  /** Where `laid` stands in the task. */
  get #places(): Piece[] {
    const { address, size } = this.region;
    return [
      { address, length: this.#used + ENTRY_SIZE },
      { address: address + this.#dataStart, length: size - this.#dataStart },
    ];
  }

  /** Whether the task works through it to its end whatever becomes of us, once it was started. */
  get runsByItself(): boolean {
    return this.executor.callEach === undefined;
  }

  /** Writes the table into the task and sets it running. */
  start(): void {
    const { pid, address } = this.region;
    const { entries, data } = this.laid;
    this.#running = true;
    this.#runs++;
    if (this.executor.callEach !== undefined) {
      this.executor.callEach(entries, data);
      return;
    }
    if (data.length === 0) writeMemory(pid, address, entries);
    else writePieces(pid, this.#places, entries, data);
    this.executor.startTable(address);
  }

  /** Waits for the end of a started table and settles its results. @throws KernelError for a `must` that failed */
  finish(): void {
    this.#running = false;
    if (this.executor.callEach === undefined) this.#readBack();
    try {
      this.settle();
    } finally {
      this.#mirror.fill(0, 0, this.#used + ENTRY_SIZE);
      this.#mirror.fill(0, this.#dataStart - this.#gap);
      this.#used = 0;
      this.#dataStart = this.region.size;
      this.#pending = [];
      this.#spaces = [];
      this.#pointers = [];
      this.#placed = [];
    }
  }

  #readBack(): void {
    this.executor.awaitTable();
    const { pid, address } = this.region;
    const { entries, data } = this.laid;
    if (this.#spaces.length === 0) readMemory(pid, address, entries);
    else readPieces(pid, this.#places, entries, data);
  }

  /**
   * Takes the results out of what `laid` gives, where it was read back, from process `pid`.
   * @throws KernelError for a `must` that failed
   */
  settle(pid = this.region.pid): void {
    for (const space of this.#spaces) {
      const at = space.offset - this.#gap;
      space.settle(this.#mirror.slice(at, at + space.length));
    }
    for (const result of this.#pending) {
      const value = this.#readWord(result.entry + ENTRY_RESULT);
      result.settle(value);
      if (result.object !== undefined && value < 0 && value > -4096) {
        throw new KernelError(callName(result.nr), `${result.object} in process ${pid}`, -value);
      }
    }
    for (const { shared, at } of this.#placed) this.#refuseFailureIn(shared, at, pid);
  }

  /** Runs what has been added, or waits for it where it was started. @throws KernelError for a `must` that failed */
  run(): void {
    if (this.#used === 0) return;
    if (!this.#running) this.start();
    this.finish();
  }

  /** What was added since then to be copied to other tables. */
  #sharedSince(first: number, dataEnd: number): SharedCalls {
    const { address } = this.region;
    const low = address + this.#dataStart;
    const high = address + dataEnd;
    const start = first / WORD;
    const laid = this.#pointers.filter((at) => at >= start);
    const isToData = (at: number) => {
      const value = wideAt(this.#words, at);
      return value >= low && value < high;
    };
    return {
      entries: this.#mirror.slice(first, this.#used),
      data: this.#mirror.slice(this.#dataStart - this.#gap, dataEnd - this.#gap),
      dataAt: low,
      toData: laid.filter(isToData).map((at) => at - start),
      others: laid.filter((at) => !isToData(at)).map((at) => at - start),
      objects: this.#pending.filter(({ entry }) => entry >= first).map(({ object }) => object),
    };
  }

  #place(shared: SharedCalls): void {
    const at = this.#used;
    const { entries, data, dataAt, toData, others } = shared;
    this.#grow(entries.length + data.length);
    this.#dataStart -= data.length;
    this.#mirror.set(data, this.#dataStart - this.#gap);
    this.#mirror.set(entries, at);
    const moved = this.region.address + this.#dataStart - dataAt;
    for (let i = 0; i < toData.length; i++) {
      const word = at / WORD + (toData[i] ?? 0);
      move(this.#words, word, moved);
      this.#pointers.push(word);
    }
    for (let i = 0; i < others.length; i++) this.#pointers.push(at / WORD + (others[i] ?? 0));
    this.#placed.push({ shared, at });
    this.#used += entries.length;
  }

  #refuseFailureIn({ objects }: SharedCalls, at: number, pid: HostPid): void {
    const words = this.#words;
    const high = resultAt(at / ENTRY_SIZE) + 1;
    for (let i = 0; i < objects.length; i++) {
      // Nearly all have succeeded, and the high half of a result shows it.
      if (words[high + i * ENTRY_WORDS] !== 0xffff_ffff) continue;
      const value = this.#readWord(at + i * ENTRY_SIZE + ENTRY_RESULT);
      const object = objects[i];
      if (object === undefined || value <= -4096) continue;
      const nr = words[at / WORD + i * ENTRY_WORDS] ?? 0;
      throw new KernelError(callName(nr), `${object} in process ${pid}`, -value);
    }
  }

  #add(nr: number, object: string | undefined, args: readonly Argument[]): Result {
    let moves = 0;
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      if (arg instanceof Stored || (arg instanceof Result && !arg.settled)) moves++;
    }
    // Whoever lays much asks for space beforehand (reserve), where a table may be run in between: what data() and space() gave is lost then.
    const needed = (moves + 2) * ENTRY_SIZE;
    if (this.#used + needed > this.#dataStart) throw new RangeError("the table of calls is full");
    this.#grow(needed);
    const entry = this.#used + moves * ENTRY_SIZE;
    const index = entry / ENTRY_SIZE;
    setEntry(this.#words, index, nr, NO_ARGUMENTS);
    if (object !== undefined) setFlags(this.#words, index, FLAG_MUST);
    for (let i = 0, at = entry + ENTRY_ARGS; i < args.length; i++, at += 8) {
      const arg = args[i] ?? 0;
      if (typeof arg === "number" || arg instanceof Pointer) this.#setArgument(at / WORD, arg);
      else if (arg instanceof Stored) this.#addMove(arg.address, at);
      else if (arg.settled) setWide(this.#words, at / WORD, arg.value);
      else this.#addMove(this.resultAt(arg), at);
    }
    this.#used = entry + ENTRY_SIZE;
    const result = new Result(nr, object, entry);
    this.#pending.push(result);
    return result;
  }

  #addMove(from: Raw, to: number): void {
    this.operation(OP.MOVE, from, new Pointer(this.region.address + to));
  }

  #setArgument(word: number, argument: Raw): void {
    if (typeof argument !== "number") this.#pointers.push(word);
    setWide(this.#words, word, rawOf(argument));
  }

  /** What is left for entries and data together, in bytes. */
  get free(): number {
    const { size, dataSize = size } = this.region;
    return Math.min(this.#dataStart - this.#used - ENTRY_SIZE, this.#dataStart - (size - dataSize));
  }

  /** Sees to so many bytes between entries and data in the mirror, and to those of the end of the table. */
  #grow(bytes: number): void {
    const data = this.region.size - this.#dataStart;
    const needed = this.#used + bytes + 2 * ENTRY_SIZE + data;
    const { size } = this.region;
    const length = this.#mirror.length;
    if (needed <= length || length === size) return;
    const larger = new Uint8Array(Math.min(size, Math.max(Math.ceil(needed / length), 2) * length));
    larger.set(this.#mirror.subarray(0, this.#used));
    larger.set(this.#mirror.subarray(this.#dataStart - this.#gap), larger.length - data);
    this.#mirror = larger;
    this.#words = wordsOf(larger);
    this.#gap = size - larger.length;
  }

  #reserve(length: number): number {
    const start = this.#dataStart - length;
    const aligned = start - (start % DATA_ALIGN);
    const { size, dataSize = size } = this.region;
    if (aligned < Math.max(this.#used + 2 * ENTRY_SIZE, size - dataSize))
      throw new RangeError("the table's data does not fit");
    this.#grow(this.#dataStart - aligned);
    this.#dataStart = aligned;
    return aligned;
  }

  #readWord(at: number): number {
    return wideAt(this.#words, at / WORD);
  }
}

/** Runs the tables of several tasks, all at once. @throws KernelError for the first `must` that failed */
export function runTogether(tables: Iterable<Table>): void {
  const started = [...tables].filter((table) => !table.empty);
  for (const table of started) table.start();
  for (const table of started) table.finish();
}
