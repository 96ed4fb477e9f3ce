/**
 * Pointers that tables are laid with. A table that was made for one place is copied to others: what points into the place is
 * moved then, and that is what was laid as a pointer. A number that looks like an address stays what it is.
 */

import { word } from "../../linux/struct.ts";
import { setWide, wideAt } from "../../machine/entries.ts";

const WORD = 4;

/** An address in memory of a task that tables are laid out in. */
export class Pointer {
  constructor(readonly address: number) {}

  plus(offset: number): Pointer {
    return new Pointer(this.address + offset);
  }
}

/** What an argument of an entry can be: a number, which stays the same wherever the table is copied to, or a pointer. */
export type Raw = number | Pointer;

export function rawOf(argument: Raw): number {
  return typeof argument === "number" ? argument : argument.address;
}

/** A stretch of memory that belongs to a table and lies elsewhere for each of its copies. */
export interface Home {
  readonly address: number;
  readonly size: number;
}

/** Where a pointer stands, in words of 32 bits, and the home that it points into, the `home`th. */
export interface Relocation {
  readonly at: number;
  readonly home: number;
}

/** The pointers, of those that stand at `pointers`, that lead into homes; the others mean the same place in each copy. */
export function relocations(
  words: Uint32Array,
  pointers: readonly number[],
  homes: readonly Home[],
): Relocation[] {
  return pointers.flatMap((at) => {
    const value = wideAt(words, at);
    const home = homes.findIndex(({ address, size }) => value >= address && value < address + size);
    return home < 0 ? [] : [{ at, home }];
  });
}

/** Puts bytes into a buffer at `at`, their pointers moved from the homes `from` to the homes `to`. */
export function putRelocated(
  buffer: Uint8Array,
  at: number,
  bytes: Uint8Array,
  list: readonly Relocation[],
  from: readonly Home[],
  to: readonly Home[],
): void {
  buffer.set(bytes, at);
  const distances = from.map(({ address }, i) => (to[i]?.address ?? address) - address);
  for (const relocation of list) {
    const place = at + relocation.at * WORD;
    word.write(buffer, place, word.read(buffer, place) + (distances[relocation.home] ?? 0));
  }
}

/** Moves the pointer that stands in two words of 32 bits, the low one at `at`. */
export function move(words: Uint32Array, at: number, distance: number): void {
  setWide(words, at, wideAt(words, at) + distance);
}
