/**
 * The same few system calls for each of many things, in native loops (own-table.ts): a block of entries for each thing, with
 * bytes of its own that the calls read and write. Blocks are laid once; for every use only what differs is filled in.
 */

import { argumentAt } from "../machine/entries.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import { instant, instantsMatter } from "./instants.ts";
import { OwnTable } from "./own-table.ts";

const WORD = 8;

export interface Shape {
  /** Things in one run, at the most. */
  readonly capacity: number;
  /** Entries of a block. */
  readonly entries: number;
  /** Bytes of a block; whole words of 8. */
  readonly bytes: number;
}

export class Blocks extends OwnTable {
  readonly #lay: (blocks: Blocks, block: number) => void;
  #laid = 0;

  /** `lay` writes the entries of a block and what of its bytes is the same in every use. */
  constructor(
    readonly shape: Shape,
    lay: (blocks: Blocks, block: number) => void,
  ) {
    super(shape.capacity * (shape.entries * ENTRY_SIZE + shape.bytes) + ENTRY_SIZE);
    this.#lay = lay;
  }

  /** Number of the entry that is the `step`th of a block. */
  entryOf(block: number, step: number): number {
    return block * this.shape.entries + step;
  }

  /** Where the bytes of a block begin: an index of `bytes`. */
  bytesOf(block: number): number {
    const { capacity, entries, bytes } = this.shape;
    return (capacity * entries + 1) * ENTRY_SIZE + block * bytes;
  }

  /** Sets an argument (from 0) of a step to a small number that is not negative. */
  give(block: number, step: number, argument: number, value: number): void {
    this.words[argumentAt(this.entryOf(block, step), argument)] = value;
  }

  /** The result of a step, where that is small, or a negative errno. */
  result(block: number, step: number): number {
    return this.resultOf(this.entryOf(block, step));
  }

  /**
   * For all of `things`, `capacity` at a time: `fill` gives a block what is its thing's own, then all run, then `take` is
   * called for each, in order. `changes` says that other processes are changed by it (instants.ts).
   */
  forEach<T>(
    things: readonly T[],
    fill: (thing: T, block: number) => void,
    take: (thing: T, block: number) => void,
    changes = false,
  ): void {
    const { capacity } = this.shape;
    for (let from = 0; from < things.length; from += capacity) {
      const chunk = capacity >= things.length ? things : things.slice(from, from + capacity);
      while (this.#laid < chunk.length) this.#lay(this, this.#laid++);
      chunk.forEach(fill);
      const count = chunk.length * this.shape.entries;
      if (changes && instantsMatter()) for (let i = 0; i < count; i++) this.#step(i);
      else this.run(count);
      chunk.forEach(take);
    }
  }

  #step(entry: number): void {
    instant();
    this.run(1, entry);
  }
}

/** `size` rounded up to whole words. */
export function wholeWords(size: number): number {
  return Math.ceil(size / WORD) * WORD;
}

/** Blocks are made when they are first used. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
