/** Tables that are written from outside, entry by entry: those that lead a thread in and out. */

import { sigframeStack } from "../../linux/signal.ts";
import { viewOf } from "../../linux/struct.ts";
import { ENTRY_ARGS, ENTRY_SIZE, OP, SLOT_STACK } from "../../machine/runner.ts";

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

/** Writes entries, the first at byte `at`. */
export function encodeTable(buffer: Uint8Array, at: number, entries: readonly RawEntry[]): void {
  const view = viewOf(buffer);
  entries.forEach(({ op, args }, i) => {
    view.setUint32(at + i * ENTRY_SIZE, op, true);
    args.forEach((arg, k) => {
      view.setBigInt64(at + i * ENTRY_SIZE + ENTRY_ARGS + k * 8, BigInt(arg), true);
    });
  });
}
