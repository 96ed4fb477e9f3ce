/** Tables that are written from outside, entry by entry: those that lead a thread in and out. */

import { sigframeStack } from "../../linux/signal.ts";
import { setEntry, wordsOf } from "../../machine/entries.ts";
import { OP, SLOT_STACK } from "../../machine/runner.ts";

/** An entry of a table that is written from outside. */
export interface RawEntry {
  readonly op: number;
  readonly args: readonly number[];
}

/** Copies the alternate stack that the heal entry has found to the frame that goes back. */
export function moveStack(slot: number, frame: number): RawEntry[] {
  return [0, 8, 16].map((word) => ({
    op: OP.MOVE,
    args: [slot + SLOT_STACK + word, sigframeStack(frame) + word],
  }));
}

/** Writes entries, the first at byte `at`, a multiple of 4. */
export function encodeTable(buffer: Uint8Array, at: number, entries: readonly RawEntry[]): void {
  const words = wordsOf(buffer.subarray(at));
  entries.forEach(({ op, args }, i) => {
    setEntry(words, i, op, args);
  });
}
