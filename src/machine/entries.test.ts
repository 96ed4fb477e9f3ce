import { expect, test } from "bun:test";
import {
  argumentAt,
  ENTRY_WORDS,
  entryAt,
  resultAt,
  setEntry,
  setFlags,
  setWide,
  wideAt,
  wordsOf,
} from "./entries.ts";
import { ENTRY_SIZE, FLAG_MUST, OP } from "./runner.ts";

const LARGEST = Number.MAX_SAFE_INTEGER;

test("numbers of 64 bits come back with their sign", () => {
  const words = new Uint32Array(2);
  for (const value of [
    0,
    1,
    -1,
    -4095,
    2 ** 31,
    -(2 ** 31),
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 32),
    LARGEST,
    -LARGEST,
  ]) {
    setWide(words, 0, value);
    expect(wideAt(words, 0)).toBe(value);
    expect(new BigInt64Array(words.buffer)[0]).toBe(BigInt(value));
  }
});

test("an entry has the place and the form that the runner reads", () => {
  const bytes = new Uint8Array(3 * ENTRY_SIZE);
  const words = wordsOf(bytes);
  setEntry(words, 1, OP.MOVE, [0x7fff_ffff_f000, -100]);
  setFlags(words, 1, FLAG_MUST);
  expect(entryAt(words, 1)).toEqual({
    op: OP.MOVE,
    flags: FLAG_MUST,
    args: [0x7fff_ffff_f000, -100, 0, 0, 0, 0],
  });
  expect(entryAt(words, 0).op).toBe(0);
  expect(entryAt(words, 2).op).toBe(0);
  expect(argumentAt(1, 0)).toBeGreaterThan(ENTRY_WORDS);
  expect(resultAt(1)).toBe(argumentAt(1, 6));
});

test("an entry that is laid anew keeps arguments that are not given, and loses its flags", () => {
  const words = new Uint32Array(ENTRY_WORDS);
  setEntry(words, 0, 5, [1, 2, 3]);
  setFlags(words, 0, FLAG_MUST);
  setEntry(words, 0, 6, [9]);
  expect(entryAt(words, 0)).toEqual({ op: 6, flags: 0, args: [9, 2, 3, 0, 0, 0] });
});
