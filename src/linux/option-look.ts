/** Many options of a socket, read in one native call: to see whether they are those of the one before. */

import { resultAt } from "../machine/entries.ts";
import { NR } from "./nr.ts";
import { OwnTable } from "./own-table.ts";

/** Which option, and how many bytes its value has at most. */
export interface OptionOf {
  readonly level: number;
  readonly name: number;
  readonly size: number;
}

const WORD = 4;
const ENTRY_WORDS = resultAt(1) - resultAt(0);

export class OptionLook {
  readonly #table: OwnTable;
  readonly #count: number;
  /** In words of the table: where the lengths stand, which the kernel changes, and how many words these and the values are. */
  readonly #at: number;
  readonly #size: number;
  readonly #lengths: Uint32Array;
  /** What the kernel said the time before: results, then lengths and values. */
  #before = new Uint32Array(0);

  constructor(options: readonly OptionOf[]) {
    const wordsOf = ({ size }: OptionOf) => Math.ceil(size / WORD);
    this.#count = options.length;
    this.#at = (options.length + 1) * ENTRY_WORDS;
    this.#size = options.reduce((sum, option) => sum + 1 + wordsOf(option), 0);
    this.#lengths = Uint32Array.from(options, ({ size }) => size);
    this.#table = new OwnTable((this.#at + this.#size) * WORD);
    let at = this.#at + options.length;
    for (const [i, option] of options.entries()) {
      const value = this.#table.address + at * WORD;
      const length = this.#table.address + (this.#at + i) * WORD;
      this.#table.entry(i, NR.getsockopt, 0, option.level, option.name, value, length);
      at += wordsOf(option);
    }
  }

  /** Whether all options of the socket are as those of the one that was asked for before. */
  isAsBefore(fd: number): boolean {
    const { words } = this.#table;
    for (let i = 0; i < this.#count; i++) this.#table.setArgument(i, 0, fd);
    words.fill(0, this.#at, this.#at + this.#size);
    words.set(this.#lengths, this.#at);
    this.#table.run(this.#count);
    const now = new Uint32Array(this.#count + this.#size);
    for (let i = 0; i < this.#count; i++) now[i] = words[resultAt(i)] ?? 0;
    now.set(words.subarray(this.#at, this.#at + this.#size), this.#count);
    const before = this.#before;
    this.#before = now;
    return Buffer.from(now.buffer).equals(Buffer.from(before.buffer));
  }
}
