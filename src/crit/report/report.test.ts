import { describe, expect, test } from "bun:test";
import { PE } from "../../memory/pages.ts";
import { count, duration, html, Markup, number, size, table, text, visible } from "./html.ts";
import { PIECES, Stored } from "./stored.ts";

const PAGE = 4096;

function vma(start: number, pages: number) {
  const end = BigInt(start + pages * PAGE);
  return { start: BigInt(start), end, pgoff: 0n, shmid: 0n, prot: 3, flags: 2, status: 1, fd: -1n };
}

function run(start: number, pages: number, flags: number) {
  return { vaddr: BigInt(start), compat_nr_pages: 0, nr_pages: BigInt(pages), flags };
}

describe("what is stored", () => {
  test("is counted for each mapping and placed in the line", () => {
    const stored = new Stored([vma(0x1000, 4), vma(0x100000, 4)]);
    const extents: number[][] = [];
    const add = (start: number, pages: number, flags: number) =>
      stored.add(run(start, pages, flags), (...extent) => extents.push(extent));
    add(0x2000, 1, PE.PRESENT);
    add(0x3000, 2, PE.PARENT);
    add(0x101000, 3, PE.PRESENT | PE.LAZY);
    expect(stored.ofVma).toEqual([
      { here: PAGE, parent: 2 * PAGE, lazy: 0 },
      { here: 3 * PAGE, parent: 0, lazy: 0 },
    ]);
    expect(stored.total).toEqual({ here: 4 * PAGE, parent: 2 * PAGE, lazy: 0 });
    // Pages of the parent take no room in the pages file.
    expect(extents).toEqual([
      [0x2000, 0x3000, 0],
      [0x101000, 0x104000, PAGE],
    ]);
    const eighth = PIECES / 8;
    const filled = (place: "here" | "parent") =>
      Array.from({ length: 8 }, (_, n) => stored.line.filled[place].slice(n * eighth, (n + 1) * eighth));
    const full = new Float64Array(eighth).fill(1);
    const none = new Float64Array(eighth);
    expect(filled("here")).toEqual([none, full, none, none, none, full, full, full]);
    expect(filled("parent")).toEqual([none, none, full, full, none, none, none, none]);
  });

  test("a run over several mappings, and pieces of a piece", () => {
    const stored = new Stored([vma(0x1000, 1000), vma(0x1000 + 1000 * PAGE, 3000)]);
    stored.add(run(0x1000 + 999 * PAGE, 2, PE.PRESENT), () => {});
    expect(stored.ofVma.map(({ here }) => here)).toEqual([PAGE, PAGE]);
    const pieces = stored.line.filled.here;
    expect(pieces.reduce((sum, part) => sum + part, 0)).toBeCloseTo((2 * PIECES) / 4000, 9);
    expect(pieces[199]).toBeCloseTo(0.2, 9);
    expect(pieces[200]).toBeCloseTo(0.2, 9);
  });

  test("of old images, and compressed", () => {
    const stored = new Stored([vma(0, 8)]);
    const offsets: number[] = [];
    const each = (_start: number, _end: number, offset: number) => offsets.push(offset);
    stored.add({ vaddr: 0n, compat_nr_pages: 1, in_parent: true }, each);
    stored.add({ vaddr: 0x1000n, compat_nr_pages: 1 }, each);
    stored.add(
      { ...run(0x2000, 2, PE.PRESENT), compressed_size: [10, 20], total_compressed_size: 30n },
      each,
    );
    stored.add(run(0x4000, 1, PE.PRESENT), each);
    expect(stored.total).toEqual({ here: 4 * PAGE, parent: PAGE, lazy: 0 });
    expect(offsets).toEqual([0, PAGE + 30]);
  });
});

describe("html", () => {
  test("parts are text", () => {
    expect(html`<b title="${'"'}">${"<&>'"}</b>${undefined}${[1, html`<i>`, 2n]}`.text).toBe(
      '<b title="&quot;">&lt;&amp;&gt;&#39;</b>1<i>2',
    );
  });

  test("what cannot be seen is written out", () => {
    expect(visible("a\x00\x1b[31m\u202e\udc80\u2028ü→")).toBe("a\\x00\\x1b[31m\\u202e\\x80\\u2028ü→");
  });

  test("numbers for people", () => {
    expect([0, 999, 1000, 1234567].map(count)).toEqual(["0", "999", "1\u202f000", "1\u202f234\u202f567"]);
    expect([0, 1023, 1024, 1536, 10 << 20, 1000 << 10, 2 ** 40].map(size)).toEqual([
      "0 B",
      "1023 B",
      "1 KiB",
      "1.5 KiB",
      "10 MiB",
      "1.0 MiB",
      "1 TiB",
    ]);
    expect([5, 1500, 25_000, 1_234_567].map(duration)).toEqual(["5 µs", "1.5 ms", "25 ms", "1.23 s"]);
  });

  test("a table tells what it leaves out", () => {
    const rows = Array.from({ length: 5 }, (_, n) => [n, new Markup("<x>")]);
    const shown = table([number("N"), text("X")], rows, 3, "crit x").text;
    expect(shown.match(/<tr><td class="num">/g)).toHaveLength(3);
    expect(shown).toContain("And 2 more: see crit x.");
  });
});
