import { expect, test } from "bun:test";
import { MAP, PROT } from "../linux/memory.ts";
import { type AddressSpace, placeWithin } from "./last-mapping.ts";
import { STATUS, type Vma } from "./vma.ts";

const ALIGN = 0x8000;

function vma(start: number, end: number, more: Partial<Vma> = {}): Vma {
  return {
    start,
    end,
    pgoff: 0,
    object: 0,
    prot: PROT.NONE,
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

function space(vmas: Vma[], pages: [address: number, bytes: number][] = []): AddressSpace {
  return {
    vmas,
    guards: [],
    pages: { vaddr: pages.map(([address]) => address), bytes: pages.map(([, bytes]) => bytes) },
  };
}

test("the place is within a mapping without content, or free, in every process", () => {
  const reserve = vma(0x101000, 0x400000);
  const first = space([vma(0x1000, 0x100000), reserve], [[0x2000, 0x1000]]);
  const found = placeWithin([first, space([])], [], 0x40000, ALIGN);
  expect(found?.address).toBe(0x108000);
  expect(found?.mappings.get(first)).toBe(reserve);
});

test("what another process has there, or we, is in the way", () => {
  const first = space([vma(0x100000, 0x400000)]);
  const ours = { start: 0x100000, end: 0x200000 };
  expect(placeWithin([first], [ours], 0x40000, ALIGN)?.address).toBe(0x200000);
  const other = space([vma(0x100000, 0x180000, { name: "heap" })]);
  expect(placeWithin([first, other], [], 0x40000, ALIGN)).toBeUndefined();
});

test("a mapping with pages, a name, advice, or of a file is not made last", () => {
  const size = 0x40000;
  expect(
    placeWithin([space([vma(0x100000, 0x200000)], [[0x180000, 0x1000]])], [], size, ALIGN),
  ).toBeUndefined();
  for (const more of [
    { name: "x" },
    { advice: [1] },
    { status: STATUS.REGULAR | STATUS.FILE_PRIVATE },
    { sealed: true },
  ])
    expect(placeWithin([space([vma(0x100000, 0x200000, more)])], [], size, ALIGN)).toBeUndefined();
});
