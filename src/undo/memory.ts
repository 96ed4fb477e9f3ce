/**
 * How entries of the undo list stand in memory. It stays where it is, and what it holds, until the entry is given back: the
 * warden reads it when we are dead.
 *
 *     calls, conditions, moves of results ... | tail | words | bytes that calls read
 *
 * The tail ends the table where we run it. Where the warden does, it takes the entry from the list and goes on with the next
 * older one.
 */
import { alignUp } from "../linux/align.ts";
import { NR } from "../linux/nr.ts";
import { TableLayout } from "../linux/own-table.ts";
import { type FileIdentity, STATX } from "../linux/statx.ts";
import { u64 } from "../linux/struct.ts";
import { ENTRY_ARGS, ENTRY_RESULT, ENTRY_SIZE, OP } from "../machine/runner.ts";
import { StillThere, type UndoArgument, UndoCall, type UndoStep } from "./calls.ts";

const WORD = 8;
/** What JUMP takes for a range in which no word lies. */
export const ALWAYS = [1, 0] as const;
/** A call that was not made has this for its result, which is no kernel's. */
const NOT_MADE = -0x1_0000;
/** Entries have a few hundred bytes each. */
const CHUNK = 1 << 14;
/** A look at the file, and three jumps if it is not the one. */
const CONDITION = 4;
const TAIL = 3;

/** Words of ours that all entries refer to, by their addresses. */
export interface CommonWords {
  /** Says where the newest entry of the list stands. */
  readonly head: number;
  /** Not zero as long as we live. */
  readonly alive: number;
  /** Says where a table stands that is at its end. */
  readonly end: number;
  /** Room for a struct statx. */
  readonly status: number;
}

/** A piece of memory for entries, one behind the other. */
class Chunk extends TableLayout {
  used = 0;
  /** Entries that are not given back. */
  live = 0;
}

/** An entry as it stands in memory. */
export interface Laid {
  readonly chunk: Chunk;
  /** Of its table. */
  readonly address: number;
  /** Of the word that says where the next older entry stands. */
  readonly older: number;
  /** Of each step, the number in the chunk of the table entry that is its call. */
  readonly calls: readonly number[];
}

export class UndoMemory {
  #current = new Chunk(CHUNK);
  /** All that hold entries. */
  readonly #chunks = new Set<Chunk>();

  constructor(private readonly common: CommonWords) {}

  /** Lays an entry out, of which the next older one stands at address `older`. Nobody runs it yet. */
  lay(steps: readonly UndoStep[], older: number): Laid {
    const texts = bytesIn(steps);
    const entries = steps.reduce((sum, step) => sum + entriesOf(step), TAIL);
    const size = entries * ENTRY_SIZE + 2 * WORD + sum(texts, ({ length }) => alignUp(length, WORD));
    const chunk = this.#chunkFor(size);
    const first = chunk.used / ENTRY_SIZE;
    chunk.used += alignUp(size, ENTRY_SIZE);
    chunk.live++;
    this.#chunks.add(chunk);
    return new Layer(chunk, first, entries, texts, this.common).lay(steps, older);
  }

  /** The entry is of no use any more. */
  free({ chunk }: Laid): void {
    if (--chunk.live > 0) return;
    chunk.used = 0;
    this.#chunks.delete(chunk);
  }

  #chunkFor(size: number): Chunk {
    if (this.#current.used + size > this.#current.bytes.length)
      this.#current = new Chunk(Math.max(CHUNK, alignUp(size, ENTRY_SIZE)));
    return this.#current;
  }
}

/** Forgets what came of an earlier run. */
export function forgetResults({ chunk, calls }: Laid): void {
  for (const entry of calls) chunk.setWord(entry * ENTRY_SIZE + ENTRY_RESULT, NOT_MADE);
}

/** What came of a step's call, an errno negative; undefined where a condition has kept it from being made. */
export function resultOf({ chunk, calls }: Laid, step: number): number | undefined {
  const result = chunk.resultOf(calls[step] ?? 0);
  return result === NOT_MADE ? undefined : result;
}

/** Writes one entry. */
class Layer {
  readonly #places = new Map<Uint8Array, number>();
  readonly #calls: number[] = [];
  #entry: number;
  readonly #older: number;
  readonly #tail: number;

  constructor(
    private readonly chunk: Chunk,
    private readonly first: number,
    entries: number,
    texts: ReadonlySet<Uint8Array>,
    private readonly common: CommonWords,
  ) {
    this.#entry = first;
    let at = (first + entries) * ENTRY_SIZE;
    this.#older = at;
    this.#tail = at + WORD;
    at += 2 * WORD;
    chunk.setWord(this.#tail, this.#addressOf((first + entries - TAIL) * ENTRY_SIZE));
    for (const text of texts) {
      chunk.bytes.set(text, at);
      this.#places.set(text, this.#addressOf(at));
      at += alignUp(text.length, WORD);
    }
  }

  lay(steps: readonly UndoStep[], older: number): Laid {
    const { chunk, common } = this;
    const made = new Map<UndoCall, number>();
    for (const step of steps) {
      if (step instanceof StillThere) this.#condition(step);
      else made.set(step, this.#call(step, made));
      this.#calls.push(this.#entry - 1);
    }
    chunk.setWord(this.#older, older);
    const olderAt = this.#addressOf(this.#older);
    this.#add(OP.JUMP, common.end, common.alive, 0, 0);
    this.#add(OP.MOVE, olderAt, common.head);
    this.#add(OP.JUMP, common.head, common.head, ...ALWAYS);
    const address = this.#addressOf(this.first * ENTRY_SIZE);
    return { chunk, address, older: olderAt, calls: this.#calls };
  }

  #call({ nr, args }: UndoCall, made: ReadonlyMap<UndoCall, number>): number {
    const moves = args.filter((arg) => arg instanceof UndoCall).length;
    const entry = this.#entry + moves;
    args.forEach((arg, i) => {
      if (!(arg instanceof UndoCall)) return;
      const from = made.get(arg);
      if (from === undefined) throw new Error("the result of a call that is not made before");
      this.chunk.move(this.#entry++, from, entry, i);
    });
    const plain = args.map((arg) => this.#argument(arg));
    this.chunk.entryWith(this.#entry++, nr, plain);
    return entry;
  }

  #argument(arg: UndoArgument): number {
    if (typeof arg === "number") return arg;
    return arg instanceof UndoCall ? 0 : this.#placeOf(arg);
  }

  #condition({ directory, name, file }: StillThere): void {
    const { status } = this.common;
    const look = this.#entry;
    this.#add(NR.statx, directory, this.#placeOf(name), STATX.FOLLOW_NOTHING, STATX.MASK, status);
    this.#add(OP.JUMP, this.#addressOf(this.#tail), this.#addressOf(look * ENTRY_SIZE + ENTRY_RESULT), 0, 0);
    this.#unless(status + STATX.INODE, file.inode);
    this.#unless(status + STATX.DEVICE, file.device);
  }

  /** Goes to the tail unless a word is this one, all 64 bits of it. */
  #unless(word: number, wanted: FileIdentity["inode"]): void {
    const args = this.#entry * ENTRY_SIZE + ENTRY_ARGS;
    this.#add(OP.JUMP, this.#addressOf(this.#tail), word);
    u64.write(this.chunk.bytes, args + 2 * WORD, wanted);
    u64.write(this.chunk.bytes, args + 3 * WORD, wanted);
  }

  #add(op: number, ...args: number[]): void {
    this.chunk.entryWith(this.#entry++, op, args);
  }

  #placeOf(text: Uint8Array): number {
    const place = this.#places.get(text);
    if (place === undefined) throw new Error("bytes without a place");
    return place;
  }

  #addressOf(at: number): number {
    return this.chunk.address + at;
  }
}

function entriesOf(step: UndoStep): number {
  if (step instanceof StillThere) return CONDITION;
  return 1 + step.args.filter((arg) => arg instanceof UndoCall).length;
}

function bytesIn(steps: readonly UndoStep[]): Set<Uint8Array> {
  const found = new Set<Uint8Array>();
  for (const step of steps) {
    if (step instanceof StillThere) found.add(step.name);
    else for (const arg of step.args) if (arg instanceof Uint8Array) found.add(arg);
  }
  return found;
}

function sum<T>(things: Iterable<T>, of: (thing: T) => number): number {
  let total = 0;
  for (const thing of things) total += of(thing);
  return total;
}
