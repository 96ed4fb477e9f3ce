import { describe, expect, test } from "bun:test";
import { findGap } from "./area.ts";

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
