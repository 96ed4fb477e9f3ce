/**
 * Many system calls of our own in one native call: the runner's table (machine/runner.ts), run in our own process.
 *
 * What a program does for the first time goes slowly in JavaScript, a native loop does not. Where the same few calls are
 * to be made for each of a thousand things, they are laid out once as blocks of entries, and for every use only what
 * differs is filled in.
 */
import { argumentAt, ENTRY_WORDS, resultAt, setEntry, setFlags, setWide } from "../machine/entries.ts";
import { hostMachine } from "../machine/host.ts";
import { ENTRY_ARGS, ENTRY_RESULT, ENTRY_SIZE, FLAG_MUST, OP } from "../machine/runner.ts";
import { addressOf, nativeFunction, placeCode } from "./syscall.ts";

const WORD = 4;

let native: ReturnType<typeof nativeFunction> | undefined;

/** Bytes that are, or are to be, a table at `address` with what its calls read and write behind. */
export class TableLayout {
  readonly bytes: Uint8Array;
  /** The same memory in words of 32 bits, to fill in and to read by index. */
  readonly words: Uint32Array;

  constructor(
    size: number,
    /** Where the bytes are for the one who runs the table; where they are themselves, if not given. */
    address?: number,
  ) {
    this.bytes = new Uint8Array(size);
    this.words = new Uint32Array(this.bytes.buffer);
    this.address = address ?? addressOf(this.bytes);
  }

  readonly address: number;

  /** Writes an entry; arguments are 64 bits wide and may be negative; those not given are 0. */
  entry(index: number, op: number, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0, a6 = 0): void {
    setEntry(this.words, index, op, [a1, a2, a3, a4, a5, a6]);
  }

  /** As `entry`, with as many arguments as there are. */
  entryWith(index: number, op: number, args: readonly number[]): void {
    this.entry(index, op, args[0], args[1], args[2], args[3], args[4], args[5]);
  }

  /** Makes the failure of an entry that is written end the table. */
  must(index: number): void {
    setFlags(this.words, index, FLAG_MUST);
  }

  /** The result of an entry, of which 32 bits count: an errno is negative. */
  resultOf(entry: number): number {
    return (this.words[resultAt(entry)] ?? 0) | 0;
  }

  /** Sets an argument (from 0) of an entry, as `entry` does. */
  setArgument(entry: number, argument: number, value: number): void {
    setWide(this.words, argumentAt(entry, argument), value);
  }

  /** Writes 64 bits to any word of the bytes, at byte `at`, a multiple of 4. */
  setWord(at: number, value: number): void {
    setWide(this.words, at / WORD, value);
  }

  /** Writes an entry that makes the result of entry `from` the argument `argument` (from 0) of entry `to`. */
  move(index: number, from: number, to: number, argument: number): void {
    const result = this.address + from * ENTRY_SIZE + ENTRY_RESULT;
    this.entry(index, OP.MOVE, result, this.address + to * ENTRY_SIZE + ENTRY_ARGS + argument * 8);
  }
}

/** Runs a table of our own memory, which ends by an END of its own, on the spot. */
export function runTable(address: number): void {
  native ??= nativeFunction(placeCode(hostMachine.batchThunk));
  native(address, 0, 0, 0, 0, 0, 0);
}

/** A table of our own. */
export class OwnTable extends TableLayout {
  /** Runs `count` entries from `first` on. The entry that follows them is overwritten for the time. */
  run(count: number, first = 0): void {
    const { words } = this;
    const at = (first + count) * ENTRY_WORDS;
    const next = words[at] ?? 0;
    words[at] = OP.END;
    runTable(this.address + first * ENTRY_SIZE);
    words[at] = next;
  }
}
