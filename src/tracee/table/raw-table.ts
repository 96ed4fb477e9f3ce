/** Tables that are written from outside, entry by entry: those that lead a thread in and out. */

import { sigframeStack } from "../../linux/signal.ts";
import { argumentAt, setEntry, wordsOf } from "../../machine/entries.ts";
import { OP, SLOT_STACK } from "../../machine/runner.ts";
import { Pointer, type Raw, rawOf } from "./pointer.ts";

const WORD = 4;

/** An entry of a table that is written from outside. */
export interface RawEntry {
  readonly op: number;
  readonly args: readonly Raw[];
}

/** Copies the alternate stack that the heal entry has found to the frame that goes back. */
export function moveStack(slot: Pointer, frame: Pointer): RawEntry[] {
  return [0, 8, 16].map((word) => ({
    op: OP.MOVE,
    args: [slot.plus(SLOT_STACK + word), new Pointer(sigframeStack(frame.address) + word)],
  }));
}

/**
 * Writes entries, the first at byte `at`, a multiple of 4. Gives where in the buffer pointers stand then, in words of 32 bits.
 */
export function encodeTable(buffer: Uint8Array, at: number, entries: readonly RawEntry[]): number[] {
  const words = wordsOf(buffer.subarray(at));
  return entries.flatMap(({ op, args }, i) => {
    setEntry(words, i, op, args.map(rawOf));
    return args.flatMap((arg, k) => (typeof arg === "number" ? [] : [at / WORD + argumentAt(i, k)]));
  });
}
