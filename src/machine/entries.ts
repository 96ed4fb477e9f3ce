/** The entries of the runner's tables as words of 32 bits, little-endian: the one place where they are written and read. */

import { ENTRY_ARGS, ENTRY_RESULT, ENTRY_SIZE } from "./runner.ts";

const WORD = 4;
const HIGH = 0x1_0000_0000;

/** Words of an entry. */
export const ENTRY_WORDS = ENTRY_SIZE / WORD;
const FLAGS_AT = 1;
const ARGS_AT = ENTRY_ARGS / WORD;
const RESULT_AT = ENTRY_RESULT / WORD;
export const ARGUMENTS = (RESULT_AT - ARGS_AT) / 2;

/** The same memory as words. It begins at a multiple of 4; bytes after the last whole word are left out. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / WORD));
}

/** Sets two words to a number of 64 bits, as far as a number holds it; it may be negative. */
export function setWide(words: Uint32Array, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = value < 0 || value >= HIGH ? Math.floor(value / HIGH) : 0;
}

/** The number of 64 bits, with its sign, that stands in two words, as far as a number holds it. */
export function wideAt(words: Uint32Array, at: number): number {
  return ((words[at + 1] ?? 0) | 0) * HIGH + (words[at] ?? 0);
}

/** Writes entry `index`: no flags; arguments are 64 bits wide and may be negative. Those not given, and the result, stay. */
export function setEntry(words: Uint32Array, index: number, op: number, args: readonly number[]): void {
  const at = index * ENTRY_WORDS;
  words[at] = op;
  words[at + FLAGS_AT] = 0;
  for (let i = 0; i < args.length; i++) setWide(words, at + ARGS_AT + 2 * i, args[i] ?? 0);
}

export function setFlags(words: Uint32Array, index: number, flags: number): void {
  words[index * ENTRY_WORDS + FLAGS_AT] = flags;
}

/** What stands in an entry. */
export interface Entry {
  readonly op: number;
  readonly flags: number;
  readonly args: readonly number[];
}

export function entryAt(words: Uint32Array, index: number): Entry {
  const at = index * ENTRY_WORDS;
  const args: number[] = [];
  for (let i = 0; i < ARGUMENTS; i++) args.push(wideAt(words, argumentAt(index, i)));
  return { op: words[at] ?? 0, flags: words[at + FLAGS_AT] ?? 0, args };
}

/** Index in words of an argument's low half. */
export function argumentAt(index: number, argument: number): number {
  return index * ENTRY_WORDS + ARGS_AT + 2 * argument;
}

/** Index in words of a result's low half. */
export function resultAt(index: number): number {
  return index * ENTRY_WORDS + RESULT_AT;
}
