import { describe, expect, test } from "bun:test";
import { PAGE_SIZE } from "../../linux/memory.ts";
import { CALLER } from "../../linux/pid.ts";
import { sigframeSize } from "../../linux/signal.ts";
import { hostMachine } from "../../machine/host.ts";
import { SLOT_SIZE } from "../../machine/runner.ts";
import { Area, BULK, findGap } from "./area.ts";

const TOP = 0x7fff_ffff_f000;
const MiB = 1 << 20;

describe("a place between mappings", () => {
  test("is the highest one that is far from everything", () => {
    const below = TOP - 0x10_0000_0000;
    const spans = [
      { start: TOP - 3 * MiB, end: TOP - 2 * MiB },
      { start: below, end: TOP - 100 * MiB },
    ];
    const found = findGap(spans, MiB, 0x8000) ?? 0;
    expect(found).toBe(TOP - 6 * MiB - (TOP % 0x8000));
    expect(found % 0x8000).toBe(0);
  });

  test("is the largest gap where all are small, and leaves a stack its own", () => {
    const stack = { start: 0x7000_0000_0000, end: TOP, growsDown: true };
    const text = { start: 0x10_0000, end: 0x7000_0000_0000 - 3 * MiB };
    expect(findGap([stack, text], MiB / 2, 0x8000)).toBe(0x7000_0000_0000 - 2 * MiB - MiB / 2);
    expect(findGap([stack, text], 2 * MiB, 0x8000)).toBeUndefined();
    expect(findGap([{ ...stack, growsDown: false }, text], 2 * MiB, 0x8000)).toBe(0x7000_0000_0000 - 2 * MiB);
  });

  test("touches no mapping that begins below another one and ends above it, as those of another process may", () => {
    const one = { start: 0x5000_0000_0000, end: 0x6000_0000_0000 };
    const other = { start: 0x10_0000, end: TOP - 10 * MiB };
    const found = findGap([one, other], MiB, 0x8000) ?? 0;
    expect(found).toBeGreaterThanOrEqual(other.end);
  });

  test("is not there where everything is mapped", () => {
    expect(findGap([{ start: 0, end: TOP }], 0x1000, 0x1000)).toBeUndefined();
  });
});

describe("an area", () => {
  const slots = 3;
  const area = Area.place([], slots, BULK.RESTORE, 2);
  const within = (start: number, size: number, end: number) => start + size <= end;

  test("begins with code and header, which do not overlap", () => {
    expect(area.address % SLOT_SIZE).toBe(0);
    expect(within(area.address, hostMachine.runner.code.length, area.count)).toBe(true);
    const header = [area.count, area.patience, area.oldSigtrap, area.ourSigtrap, area.pause, area.slot(0)];
    expect(header.toSorted((a, b) => a - b)).toEqual(header);
    expect(area.head.length).toBeLessThanOrEqual(PAGE_SIZE);
  });

  test("has a slot for each thread, in which nothing overlaps, nor what is written first lies on a second page", () => {
    for (let index = 0; index < slots; index++) {
      const slot = area.slot(index);
      expect(slot % SLOT_SIZE).toBe(0);
      const { address, size } = area.threadRegion(CALLER, index);
      const inOrder = [
        slot,
        area.healAddress(index),
        area.mask(index),
        area.healTable(index),
        area.door(index),
        area.frame(index),
        address,
        area.xstate(index),
        area.stackTop(index),
        slot + SLOT_SIZE,
      ];
      expect(inOrder.toSorted((a, b) => a - b)).toEqual(inOrder);
      expect(within(area.frame(index), sigframeSize(), address)).toBe(true);
      expect(address + size).toBe(slot + PAGE_SIZE);
    }
  });

  test("has bulk of its own for each part, behind the slots, and ends with the last", () => {
    const [first, second] = [area.bulkRegion(CALLER), area.part(1).bulkRegion(CALLER)];
    expect(first.address).toBe(area.slot(slots));
    expect(second).toEqual({ ...first, address: first.address + first.size });
    expect(second.address + second.size).toBe(area.end);
    expect(area.size).toBe(Area.sizeFor(slots, BULK.RESTORE, 2));
  });
});
