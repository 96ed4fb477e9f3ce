import { describe, expect, test } from "bun:test";
import { NR } from "../../linux/nr.ts";
import { CALLER } from "../../linux/pid.ts";
import { word } from "../../linux/struct.ts";
import { argumentAt, resultAt, wideAt, wordsOf } from "../../machine/entries.ts";
import { OP } from "../../machine/runner.ts";
import { Pointer, putRelocated, relocations } from "./pointer.ts";
import { encodeTable } from "./raw-table.ts";
import { type Space, Table } from "./table.ts";

const SIZE = 0x4000;
/** Above 4 GiB, so that both halves of a word count. */
const HERE = { pid: CALLER, address: 0x5_ffff_e000, size: SIZE };
const THERE = { pid: CALLER, address: 0x7000_0000_1000, size: SIZE };
const NOBODY = { startTable: () => {}, awaitTable: () => {} };

function argumentsOf(table: Table, entry: number): number[] {
  const words = wordsOf(table.laid.entries);
  return [0, 1, 2, 3, 4, 5].map((argument) => wideAt(words, argumentAt(entry, argument)));
}

function wordIn(bytes: Uint8Array, value: number): Uint8Array {
  word.write(bytes, 0, value);
  return bytes;
}

/** A table whose call gets a pointer, a number of the same value, and bytes that hold it as well. */
function layLookalikes(table: Table): { space: Space; lookalike: number } {
  const space = table.space(16);
  const lookalike = space.address.address;
  const payload = table.data(wordIn(new Uint8Array(16), lookalike));
  table.call(NR.write, lookalike, payload, lookalike, space.at(8));
  return { space, lookalike };
}

describe("a table that is copied", () => {
  const homes = [HERE];
  const moved = (table: Table) => relocations(wordsOf(table.laid.entries), table.pointers, homes);

  test("has its pointers moved, and no number that looks like one", () => {
    const table = new Table(NOBODY, HERE);
    const { lookalike } = layLookalikes(table);
    const { entries } = table.laid;
    const copy = new Uint8Array(entries.length + 12);
    // A place that is aligned to nothing.
    putRelocated(copy, 9, entries, moved(table), homes, [THERE]);
    const words = wordsOf(copy.slice(9, 9 + entries.length));
    const at = (argument: number) => wideAt(words, argumentAt(0, argument));
    const distance = THERE.address - HERE.address;
    expect(at(0)).toBe(lookalike);
    expect(at(1)).toBe((argumentsOf(table, 0)[1] ?? 0) + distance);
    expect(at(2)).toBe(lookalike);
    expect(at(3)).toBe(lookalike + 8 + distance);
  });

  test("finds results of its own calls where the copy is", () => {
    const table = new Table(NOBODY, HERE);
    const first = table.call(NR.getpid);
    table.call(NR.close, first);
    const { entries } = table.laid;
    const copy = new Uint8Array(entries.length);
    putRelocated(copy, 0, entries, moved(table), homes, [THERE]);
    // The result of the first call is brought to the argument of the second one by a move between them.
    const words = wordsOf(copy);
    expect(wideAt(words, argumentAt(1, 0))).toBe(THERE.address + resultAt(0) * 4);
    expect(wideAt(words, argumentAt(1, 1))).toBe(THERE.address + argumentAt(2, 0) * 4);
  });

  test("keeps pointers to what is the same for all copies", () => {
    const table = new Table(NOBODY, HERE);
    table.call(NR.write, new Pointer(HERE.address + SIZE), new Pointer(HERE.address - 8));
    expect(table.pointers).toHaveLength(2);
    expect(moved(table)).toEqual([]);
  });

  test("moves each pointer by the distance of its own home", () => {
    const head = { address: 0x1_0000, size: 0x1000 };
    const table = new Table(NOBODY, HERE);
    const space = table.space(8);
    table.operation(OP.MOVE, new Pointer(head.address + 8), space.address);
    const { entries } = table.laid;
    const from = [head, HERE];
    const copy = new Uint8Array(entries.length);
    const list = relocations(wordsOf(entries), table.pointers, from);
    putRelocated(copy, 0, entries, list, from, [{ address: 0x9_0000, size: 0x1000 }, THERE]);
    const words = wordsOf(copy);
    expect(wideAt(words, argumentAt(0, 0))).toBe(0x9_0008);
    expect(wideAt(words, argumentAt(0, 1))).toBe(space.address.address + THERE.address - HERE.address);
  });
});

describe("calls that tables share", () => {
  /** Lays the same calls into a table at THERE from the third time on, when they are copied. */
  function shared(key: object, lay: (table: Table) => void): Table {
    for (const region of [HERE, HERE]) {
      const table = new Table(NOBODY, region);
      table.share(key, () => lay(table));
    }
    const table = new Table(NOBODY, THERE);
    table.call(NR.getpid);
    table.share(key, () => {
      throw new Error("it was laid once more");
    });
    return table;
  }

  test("have their pointers moved, and no number or byte that looks like one", () => {
    let lookalike = 0;
    const table = shared({}, (each) => {
      ({ lookalike } = layLookalikes(each));
    });
    const [first = 0, payload = 0, third, space = 0] = argumentsOf(table, 1);
    expect(first).toBe(lookalike);
    expect(third).toBe(lookalike);
    expect(space).toBe(THERE.address + SIZE - 16 + 8);
    expect(payload).toBe(THERE.address + SIZE - 32);
    const { data } = table.laid;
    expect(word.read(data, payload - (THERE.address + SIZE - data.length))).toBe(lookalike);
  });

  test("are moved once more where the table that they are copied to is copied", () => {
    const table = shared({}, (each) => void layLookalikes(each));
    const { entries } = table.laid;
    const list = relocations(wordsOf(entries), table.pointers, [THERE]);
    expect(list.map(({ at }) => at)).toEqual([argumentAt(1, 1), argumentAt(1, 3)]);
  });
});

test("a table that is written from outside tells where its pointers are", () => {
  const buffer = new Uint8Array(0x200);
  const pointers = encodeTable(buffer, 0x40, [
    { op: OP.INCREMENT, args: [0x1000] },
    { op: OP.MOVE, args: [0x1000, new Pointer(0x1000)] },
  ]);
  expect(pointers).toEqual([0x40 / 4 + argumentAt(1, 1)]);
  expect(wideAt(wordsOf(buffer), pointers[0] ?? 0)).toBe(0x1000);
});
