import { describe, expect, test } from "bun:test";
import { array, bytes, s32, s64, struct, u8, u16, u32, u64, word } from "./struct.ts";

const point = struct({ x: u8, y: u32 });
const all = struct({
  u8,
  u16,
  u32,
  s32,
  u64,
  s64,
  word,
  raw: bytes(3),
  list: array(point, 2),
});

describe("a declared structure", () => {
  test("is laid out as C does it", () => {
    expect(all.offset).toEqual({
      u8: 0,
      u16: 2,
      u32: 4,
      s32: 8,
      u64: 16,
      s64: 24,
      word: 32,
      raw: 40,
      list: 44,
    });
    expect([all.size, all.align]).toEqual([64, 8]);
    expect(struct({ a: u8 }, 7).size).toBe(7);
  });

  test("gives back what was written, whatever the bits", () => {
    for (const u64 of [
      0n,
      1n,
      0xffff_ffffn,
      0x1f_ffff_ffff_ffffn,
      0x20_0000_0000_0000n,
      0xffff_ffff_ffff_ffffn,
    ]) {
      const values = {
        u8: 255,
        u16: 0xfffe,
        u32: 0xffff_fffe,
        s32: -2,
        u64,
        s64: -u64 / 2n,
        word: 0x1f_ffff_ffff_fffe,
        raw: Uint8Array.of(1, 2, 3),
        list: [
          { x: 1, y: 2 },
          { x: 3, y: 0x8000_0000 },
        ],
      };
      const encoded = all.encode(values);
      expect(all.decode(encoded)).toEqual(values);
      const view = new DataView(encoded.buffer);
      expect(view.getBigUint64(16, true)).toBe(u64);
      expect(view.getBigInt64(24, true)).toBe(-u64 / 2n);
      expect(view.getBigUint64(32, true)).toBe(0x1f_ffff_ffff_fffen);
      expect(view.getInt32(8, true)).toBe(-2);
    }
  });

  test("keeps what is not written, and its own place", () => {
    const buffer = new Uint8Array(10).fill(0xee);
    point.encodeInto(buffer, 1, { y: 7 });
    expect(buffer.toHex()).toBe("eeeeeeeeee07000000ee");
    expect(() => point.decode(buffer, 3)).toThrow(RangeError);
    expect(() => point.encodeInto(buffer, 3, { y: 1 })).toThrow(RangeError);
  });
});
