import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageError } from "../images/error.ts";
import { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { PagemapEntry } from "../images/schema/generated/memory.ts";
import { MAP, PROT, TASK_SIZE } from "../linux/memory.ts";
import { forgetWindows } from "./compare-pages.ts";
import { compareMapping, matchMappings } from "./cow-sharing.ts";
import { nextPagesId, Pagemap, PE, RunList, writePagemap } from "./pages.ts";
import { addMapping, checkCoverage, Pieces } from "./pieces.ts";
import { STATUS, type Vma } from "./vma.ts";

const PAGE = 4096;
const directories: string[] = [];

function directory(): ImageDir {
  const path = mkdtempSync(join(tmpdir(), "criu-ts-pages-"));
  directories.push(path);
  return ImageDir.create(path);
}

afterAll(() => {
  forgetWindows();
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});

/** Writes the images of a process with one page at each address, filled with the given byte. */
function written(images: ImageDir, pid: number, pages: readonly (readonly [number, number])[]): Pagemap {
  const runs = new RunList();
  for (const [address] of pages) runs.add(address, address + PAGE, PE.PRESENT);
  const id = nextPagesId(images);
  writeFileSync(
    join(images.path, `pages-${id}.img`),
    Buffer.concat(pages.map(([, byte]) => Buffer.alloc(PAGE, byte))),
  );
  writePagemap(images, IMAGES.pagemap, pid, id, runs);
  return Pagemap.read(images, IMAGES.pagemap, pid, TASK_SIZE);
}

function vma(start: number, end: number, more: Partial<Vma> = {}): Vma {
  return {
    start,
    end,
    pgoff: 0,
    object: 0,
    prot: PROT.READ | PROT.WRITE,
    flags: MAP.PRIVATE | MAP.ANONYMOUS,
    status: STATUS.REGULAR | STATUS.ANON_PRIVATE,
    advice: [],
    writableFile: false,
    lockOnFault: false,
    sealed: false,
    name: undefined,
    policy: undefined,
    ...more,
  };
}

describe("a pagemap image", () => {
  test("is read as it was written", () => {
    const map = written(directory(), 3, [
      [0x1000, 1],
      [0x2000, 2],
      [0x9000, 3],
    ]);
    expect([map.vaddr, map.bytes, map.offset, map.total]).toEqual([
      [0x1000, 0x9000],
      [2 * PAGE, PAGE],
      [0, 2 * PAGE],
      3 * PAGE,
    ]);
    map.close();
  });

  test("of many runs", () => {
    const images = directory();
    const runs = new RunList();
    for (let i = 0; i < 10_000; i++) runs.add(i * 2 * PAGE, i * 2 * PAGE + PAGE, PE.PRESENT | PE.LAZY);
    writePagemap(images, IMAGES.pagemap, 5, 1, runs);
    writeFileSync(join(images.path, "pages-1.img"), "");
    Bun.spawnSync(["truncate", "-s", String(10_000 * PAGE), join(images.path, "pages-1.img")]);
    using map = Pagemap.read(images, IMAGES.pagemap, 5, TASK_SIZE);
    expect(map.vaddr.length).toBe(10_000);
    expect(map.total).toBe(10_000 * PAGE);
  });

  const bad: [string, Partial<PagemapEntry>][] = [
    ["an address that is not aligned", { vaddr: 0x1001n }],
    ["an address beyond the address space", { vaddr: BigInt(TASK_SIZE) }],
    ["an address of 64 bits", { vaddr: 0xffff_ffff_ffff_f000n }],
    ["no pages", { nr_pages: 0n }],
    ["more pages than there are addresses", { nr_pages: 1n << 52n }],
    ["more pages than the pages file has", { nr_pages: 100n }],
    ["pages of a parent", { flags: PE.PARENT }],
    ["pages that are elsewhere", { flags: PE.LAZY }],
    ["compressed pages", { compressed_size: [100] }],
    ["flags that are not known", { flags: PE.PRESENT | 8 }],
  ];
  test.each(bad)("is refused with %s", (_what, more) => {
    const images = directory();
    writeFileSync(join(images.path, "pages-1.img"), Buffer.alloc(2 * PAGE));
    const entry = { vaddr: 0x1000n, compat_nr_pages: 0, nr_pages: 1n, flags: PE.PRESENT, ...more };
    images.writeHeaded(IMAGES.pagemap, { pages_id: 1 }, [entry], 3);
    expect(() => Pagemap.read(images, IMAGES.pagemap, 3, TASK_SIZE)).toThrow(ImageError);
  });

  test("is refused where runs overlap, and without its pages file", () => {
    const images = directory();
    const entry = { vaddr: 0x1000n, compat_nr_pages: 0, nr_pages: 1n, flags: PE.PRESENT };
    images.writeHeaded(IMAGES.pagemap, { pages_id: 1 }, [entry, entry], 3);
    expect(() => Pagemap.read(images, IMAGES.pagemap, 3, TASK_SIZE)).toThrow("not behind the one before");
    images.writeHeaded(IMAGES.pagemap, { pages_id: 1 }, [entry], 3);
    expect(() => Pagemap.read(images, IMAGES.pagemap, 3, TASK_SIZE)).toThrow(
      "pages-1.img: cannot open: ENOENT",
    );
  });

  test("of an old CRIU counts pages in another field", () => {
    const images = directory();
    writeFileSync(join(images.path, "pages-1.img"), Buffer.alloc(2 * PAGE));
    images.writeHeaded(IMAGES.pagemap, { pages_id: 1 }, [{ vaddr: 0x1000n, compat_nr_pages: 2 }], 3);
    using map = Pagemap.read(images, IMAGES.pagemap, 3, TASK_SIZE);
    expect(map.total).toBe(2 * PAGE);
  });

  /** A directory that builds on another one: its own pages by their addresses and content, and what it leaves to that. */
  function above(
    before: ImageDir,
    own: readonly (readonly [number, number])[],
    left: readonly (readonly [number, number])[],
  ): ImageDir {
    const images = directory();
    images.linkParent(before.path);
    const pages = own.map(([start, byte]) => ({
      start,
      end: start + PAGE,
      flags: PE.PRESENT as number,
      byte,
    }));
    const all = [
      ...pages,
      ...left.map(([start, end]) => ({ start, end, flags: PE.PARENT as number, byte: 0 })),
    ];
    const runs = new RunList();
    for (const { start, end, flags } of all.sort((a, b) => a.start - b.start)) runs.add(start, end, flags);
    const id = nextPagesId(images);
    const stored = pages.sort((a, b) => a.start - b.start).map(({ byte }) => Buffer.alloc(PAGE, byte));
    writeFileSync(join(images.path, `pages-${id}.img`), Buffer.concat(stored));
    writePagemap(images, IMAGES.pagemap, 3, id, runs);
    return images;
  }

  /** The first byte of each page, by its address. */
  function contents(map: Pagemap): [number, number][] {
    return map.vaddr.flatMap((start, i) =>
      Array.from({ length: (map.bytes[i] ?? 0) / PAGE }, (_, page): [number, number] => {
        const into = new Uint8Array(PAGE);
        expect(map.readAt(into, (map.offset[i] ?? 0) + page * PAGE)).toBe(PAGE);
        return [start + page * PAGE, into[0] ?? 0];
      }),
    );
  }

  test("takes from those before what it leaves to them, through a chain", () => {
    const first = directory();
    written(first, 3, [
      [0x1000, 1],
      [0x2000, 2],
      [0x3000, 3],
      [0x5000, 5],
    ]).close();
    const second = above(
      first,
      [[0x2000, 22]],
      [
        [0x1000, 0x2000],
        [0x3000, 0x4000],
        [0x5000, 0x6000],
      ],
    );
    const third = above(
      second,
      [
        [0x5000, 55],
        [0x7000, 7],
      ],
      [[0x1000, 0x4000]],
    );
    using map = Pagemap.read(third, IMAGES.pagemap, 3, TASK_SIZE);
    expect(contents(map)).toEqual([
      [0x1000, 1],
      [0x2000, 22],
      [0x3000, 3],
      [0x5000, 55],
      [0x7000, 7],
    ]);
    expect(map.total).toBe(5 * PAGE);
    expect(map.sources.map(({ file }) => file)).toEqual([
      "pages-1.img",
      "parent/pages-1.img",
      "parent/parent/pages-1.img",
    ]);
  });

  test.each([
    [
      "which lacks a page",
      [[0x1000, 0x3000]],
      "page 0x2000 is to be in the images of the dump before, and is not",
    ],
    ["which has none of the process", [[0x1000, 0x2000]], "has no pagemap-3.img"],
  ] as const)("is refused on top of a directory %s", (what, left, words) => {
    const before = directory();
    written(before, what.includes("none") ? 4 : 3, [[0x1000, 1]]).close();
    const images = above(before, [], left);
    expect(() => Pagemap.read(images, IMAGES.pagemap, 3, TASK_SIZE)).toThrow(words);
  });

  test("is refused where directories lead in a circle", () => {
    const images = directory();
    const top = above(images, [], [[0x1000, 0x2000]]);
    top.linkParent(top.path);
    expect(() => Pagemap.read(top, IMAGES.pagemap, 3, TASK_SIZE)).toThrow("more than 1024 directories");
  });

  test("may list pages only in private mappings", () => {
    using map = written(directory(), 3, [
      [0x1000, 1],
      [0x2000, 2],
      [0x3000, 3],
    ]);
    checkCoverage(3, [vma(0x1000, 0x3000), vma(0x3000, 0x5000)], map);
    expect(() => checkCoverage(3, [vma(0x1000, 0x3000)], map)).toThrow(
      "pagemap-3.img: entry 0: page 0x3000 is in no private mapping",
    );
    const shared = vma(0x2000, 0x5000, { status: STATUS.REGULAR | STATUS.FILE_SHARED });
    expect(() => checkCoverage(3, [vma(0x1000, 0x2000), shared], map)).toThrow(ImageError);
    expect(() => checkCoverage(3, [], map)).toThrow(ImageError);
  });
});

describe("Pieces", () => {
  test("join what goes on both in memory and in the file", () => {
    const pieces = new Pieces();
    pieces.add(0x1000, PAGE, 0);
    pieces.add(0x2000, PAGE, PAGE);
    pieces.add(0x4000, PAGE, 2 * PAGE);
    pieces.add(0x5000, PAGE, 5 * PAGE);
    expect([pieces.address, pieces.bytes, pieces.offset]).toEqual([
      [0x1000, 0x4000, 0x5000],
      [2 * PAGE, PAGE, PAGE],
      [0, 2 * PAGE, 5 * PAGE],
    ]);
    const divided = new Pieces();
    for (let page = 1; page < 4; page++) {
      divided.add(page * 0x1000, PAGE, page * PAGE);
      if (page === 1) divided.divide();
    }
    expect([divided.address, divided.bytes]).toEqual([
      [0x1000, 0x2000],
      [PAGE, 2 * PAGE],
    ]);
    const groups: number[][] = [];
    pieces.eachGroup((_vectors, count, bytes, offset) => groups.push([count, bytes, offset]));
    expect(groups).toEqual([
      [2, 3 * PAGE, 0],
      [1, PAGE, 5 * PAGE],
    ]);
  });

  test("are cut to what one call takes", () => {
    const pieces = new Pieces();
    pieces.add(0x1000, 5 * 2 ** 30 + PAGE, 0);
    let bytes = 0;
    pieces.eachGroup((_vectors, _count, length, offset) => {
      expect(offset).toBe(bytes);
      expect(length).toBeLessThanOrEqual(2 ** 31 - PAGE);
      bytes += length;
    });
    expect(bytes).toBe(5 * 2 ** 30 + PAGE);
    const many = new Pieces();
    for (let i = 0; i < 3000; i++) many.add(i * 2 * PAGE, PAGE, i * PAGE);
    const counts: number[] = [];
    many.eachGroup((_vectors, count) => counts.push(count));
    expect(counts).toEqual([1024, 1024, 952]);
  });

  test("are cut to stretches of one file", () => {
    const pieces = new Pieces();
    pieces.add(0x1000, 5 * PAGE, 0);
    pieces.add(0x8000, PAGE, 5 * PAGE);
    pieces.add(0xa000, PAGE, 6 * PAGE);
    pieces.add(0xc000, PAGE, 9 * PAGE);
    const cut = (bytes: number, count: number) => {
      const found: [number, number, number[]][] = [];
      pieces.eachStretch(bytes, count, ({ offset, size, address }) =>
        found.push([offset, size, [...address]]),
      );
      return found;
    };
    expect(cut(100 * PAGE, 100)).toEqual([
      [0, 7 * PAGE, [0x1000, 0x8000, 0xa000]],
      [9 * PAGE, PAGE, [0xc000]],
    ]);
    expect(cut(4 * PAGE, 2)).toEqual([
      [0, 4 * PAGE, [0x1000]],
      [4 * PAGE, 2 * PAGE, [0x5000, 0x8000]],
      [6 * PAGE, PAGE, [0xa000]],
      [9 * PAGE, PAGE, [0xc000]],
    ]);
    new Pieces().eachStretch(PAGE, 1, () => expect.unreachable());
  });

  test("of one mapping are those within it", () => {
    using map = written(directory(), 3, [
      [0x1000, 1],
      [0x2000, 2],
      [0x3000, 3],
      [0x9000, 4],
    ]);
    const cursor = { map, next: 0 };
    const first = new Pieces();
    addMapping(cursor, vma(0x2000, 0x3000), first);
    expect([first.address, first.bytes, first.offset]).toEqual([[0x2000], [PAGE], [PAGE]]);
    const second = new Pieces();
    addMapping(cursor, vma(0x3000, 0xa000), second);
    expect([second.address, second.offset]).toEqual([
      [0x3000, 0x9000],
      [2 * PAGE, 3 * PAGE],
    ]);
  });
});

describe("what a child keeps of its parent's memory", () => {
  test("are mappings that are the same in both", () => {
    const parent = [vma(0x1000, 0x3000), vma(0x5000, 0x6000), vma(0x8000, 0x9000)];
    const other = vma(0x5000, 0x6000, { flags: MAP.PRIVATE | MAP.ANONYMOUS | MAP.GROWSDOWN });
    expect(matchMappings([vma(0x1000, 0x3000), other, vma(0x7000, 0x9000)], parent)).toEqual([
      0,
      undefined,
      undefined,
    ]);
    // Other protections, advice and locks do not matter: they come later.
    expect(matchMappings([vma(0x8000, 0x9000, { prot: PROT.READ, advice: [16] })], parent)).toEqual([2]);
    const file = { status: STATUS.REGULAR | STATUS.FILE_PRIVATE, flags: MAP.PRIVATE, object: 4 };
    const mapped = [vma(0x1000, 0x3000, file)];
    expect(matchMappings([vma(0x1000, 0x3000, file)], mapped)).toEqual([0]);
    expect(matchMappings([vma(0x1000, 0x3000, { ...file, object: 5 })], mapped)).toEqual([undefined]);
    expect(matchMappings([vma(0x1000, 0x3000, { ...file, pgoff: PAGE })], mapped)).toEqual([undefined]);
  });

  /** What is read, dropped and found equal, by page. */
  function compared(child: Pagemap, parent: Pagemap, ...ranges: [number, number][]) {
    const reads: number[][] = [];
    const drops: number[][] = [];
    let equal = 0;
    const a = { map: child, next: 0 };
    const b = { map: parent, next: 0 };
    for (const [start, end] of ranges) {
      compareMapping(vma(start, end), a, b, {
        read: (address, length, offset) => reads.push([address, length, offset]),
        drop: (address, length) => drops.push([address, length]),
        compared: (_pages, same) => {
          equal += same;
        },
      });
    }
    return { reads, drops, equal };
  }

  test("are pages of equal content", () => {
    const images = directory();
    using parent = written(images, 1, [
      [0x1000, 1],
      [0x2000, 2],
      [0x3000, 3],
      [0x5000, 5],
      [0x6000, 6],
    ]);
    using child = written(images, 2, [
      [0x1000, 1],
      [0x2000, 9],
      [0x4000, 4],
      [0x5000, 5],
      [0x7000, 7],
    ]);
    expect(compared(child, parent, [0x1000, 0x8000])).toEqual({
      reads: [
        [0x2000, PAGE, PAGE],
        [0x4000, PAGE, 2 * PAGE],
        [0x7000, PAGE, 4 * PAGE],
      ],
      drops: [
        [0x3000, PAGE],
        [0x6000, PAGE],
      ],
      equal: 2,
    });
    // Runs that go on from one mapping into the next are looked at in each.
    expect(compared(child, parent, [0x1000, 0x2000], [0x2000, 0x6000])).toEqual({
      reads: [
        [0x2000, PAGE, PAGE],
        [0x4000, PAGE, 2 * PAGE],
      ],
      drops: [[0x3000, PAGE]],
      equal: 2,
    });
  });

  test("as compared page by page, at random", () => {
    const images = directory();
    const random = (n: number) => Math.floor(Math.random() * n);
    for (let round = 0; round < 30; round++) {
      const make = () => {
        const pages: [number, number][] = [];
        for (let at = 0; at < 40; at++) if (random(3) > 0) pages.push([0x10000 + at * PAGE, 1 + random(2)]);
        return pages;
      };
      const [a, b] = [make(), make()];
      using parent = written(images, 1, a);
      using child = written(images, 2, b);
      const before = new Map(a);
      const after = new Map(b);
      const { reads, drops, equal } = compared(
        child,
        parent,
        [0x10000, 0x10000 + 17 * PAGE],
        [0x10000 + 17 * PAGE, 0x10000 + 40 * PAGE],
      );
      const state = new Map(before);
      for (const [address = 0, length = 0] of drops)
        for (let at = address; at < address + length; at += PAGE) state.delete(at);
      for (const [address = 0, length = 0, offset = 0] of reads)
        for (let done = 0; done < length; done += PAGE)
          state.set(address + done, b[(offset + done) / PAGE]?.[1] ?? 0);
      expect([...state].sort(([x], [y]) => x - y)).toEqual([...after]);
      expect(equal).toBe([...after].filter(([at, byte]) => before.get(at) === byte).length);
    }
  });
});
