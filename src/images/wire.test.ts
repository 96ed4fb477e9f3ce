import { describe, expect, test } from "bun:test";
import { nsPid } from "../linux/pid.ts";
import { bytesToText, textToBytes } from "../linux/text.ts";
import { ImageError } from "./error.ts";
import { CODECS, codecOf, randomOf, sample } from "./samples.test-support.ts";
import { CgroupDirEntry } from "./schema/generated/cgroups.ts";
import { MESSAGES } from "./schema/generated/fields.ts";
import { RegFileEntry } from "./schema/generated/files.ts";
import { InventoryEntry } from "./schema/generated/inventory.ts";
import { AioRingEntry, PagemapEntry } from "./schema/generated/memory.ts";
import { PstreeEntry, RlimitEntry } from "./schema/generated/process.ts";
import { CriuOpts, CriuReq, CriuReqType, CriuVersion } from "./schema/generated/rpc.ts";
import { FownEntry, SkOptsEntry } from "./schema/generated/sockets.ts";
import { type Codec, decode, encode, keepBytes } from "./wire.ts";

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(" ", ""));
}

function errorOf(action: () => unknown): ImageError {
  try {
    action();
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function damaged(codec: Codec<unknown>, input: Uint8Array): void {
  try {
    decode(codec, input);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
  }
}

describe("kept bytes", () => {
  test("stand where the message would", () => {
    const fown = keepBytes(FownEntry, { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: nsPid(7) });
    const whole = { id: 1, flags: 0, pos: 0n, fown, name: "", build_id: [] };
    const before = encode(RegFileEntry, whole).toHex();
    expect(before).toBe("0801100018002a0a080010001800200028073200");
    fown.pid = nsPid(8);
    expect(encode(RegFileEntry, whole).toHex()).toBe(before);
    expect(encode(RegFileEntry, { ...whole, fown: { ...fown } }).toHex()).not.toBe(before);
  });
});

describe("proto2", () => {
  test("a required field is written though it is zero", () => {
    const fown = { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: 0 };
    expect(encode(FownEntry, fown).toHex()).toBe("08001000180020002800");
    expect(encode(RlimitEntry, { cur: 0n, max: 0xffffffffffffffffn }).toHex()).toBe(
      "080010ffffffffffffffffff01",
    );
  });

  test("a present optional field is written though it is zero, or has its default", () => {
    const entry = { vaddr: 0n, compat_nr_pages: 0 };
    expect(encode(PagemapEntry, entry).toHex()).toBe("08001000");
    expect(encode(PagemapEntry, { ...entry, in_parent: false, flags: 0, nr_pages: 0n }).toHex()).toBe(
      "08001000180020002800",
    );
    const opts = {
      veths: [],
      exec_cmd: [],
      ext_mnt: [],
      cg_root: [],
      inherit_fd: [],
      skip_mnt: [],
      enable_fs: [],
    };
    const rest = {
      unix_sk_ino: [],
      irmap_scan_paths: [],
      external: [],
      join_ns: [],
      cgroup_dump_controller: [],
    };
    expect(encode(CriuOpts, { ...opts, ...rest, images_dir_fd: -1, log_level: 2 }).toHex()).toBe(
      "08ffffffffffffffffff014802",
    );
  });

  test("an absent optional field is undefined, whatever its default", () => {
    const version = decode(CriuVersion, bytes("0804 1002"));
    expect(version).toEqual({ major_number: 4, minor_number: 2 });
    expect(version.sublevel).toBeUndefined();
    const fown = "2a0a 0800 1000 1800 2000 2800";
    expect(decode(RegFileEntry, bytes(`0801 1000 1800 ${fown} 3200`)).mnt_id).toBeUndefined();
  });

  test("a missing required field is named", () => {
    expect(errorOf(() => decode(RlimitEntry, bytes("0801"))).message).toBe(
      "byte 2: required field rlimit_entry.max is missing",
    );
    expect(errorOf(() => decode(FownEntry, bytes(""))).what).toContain("fown_entry.uid");
  });

  test("repeated numbers are written unpacked, and read either way", () => {
    const first = nsPid(1);
    const entry = { pid: first, ppid: nsPid(0), pgid: first, sid: first, threads: [first, nsPid(300)] };
    expect(encode(PstreeEntry, entry).toHex()).toBe("0801100018012001280128ac02");
    expect(decode(PstreeEntry, bytes("08011000180120012a0301ac02"))).toEqual(entry);
    expect(decode(PstreeEntry, bytes("08011000180120012a0101 28ac02"))).toEqual(entry);
  });

  test("fixed64, sint and negative numbers", () => {
    const sk = {
      so_sndbuf: 1,
      so_rcvbuf: 2,
      so_snd_tmo_sec: 0n,
      so_snd_tmo_usec: 0n,
      so_rcv_tmo_sec: 0n,
      so_rcv_tmo_usec: 0n,
    };
    const encoded = encode(SkOptsEntry, { ...sk, so_filter: [0x0102030405060708n], others: [] });
    expect(encoded.toHex()).toEndWith("81010807060504030201");
    expect(decode(SkOptsEntry, encoded).so_filter).toEqual([0x0102030405060708n]);
  });

  test("fields of a later version are passed over", () => {
    const known = encode(AioRingEntry, { id: 1n, nr_req: 2, ring_len: 3 }).toHex();
    // Fields 100 to 103, one of each wire type in use.
    const later = "a00605 a9060102030405060708 b2060261 62 bd0601020304";
    expect(decode(AioRingEntry, bytes(later + known))).toEqual({ id: 1n, nr_req: 2, ring_len: 3 });
  });

  test("an enum's unknown value is refused", () => {
    expect(decode(CriuReq, bytes("0801")).type).toBe(CriuReqType.DUMP);
    expect(errorOf(() => decode(CriuReq, bytes("0863"))).message).toBe(
      "byte 1: criu_req.type: unknown value 99",
    );
    expect(errorOf(() => decode(InventoryEntry, bytes("08023007"))).what).toContain(
      "inventory_entry.lsmtype",
    );
  });
});

describe("numbers that do not fit", () => {
  const ring = { id: 1n, nr_req: 2, ring_len: 3 };
  test.each([
    ["a negative uint32", { ...ring, nr_req: -1 }, "aio_ring_entry.nr_req: -1 is no uint32"],
    ["a large uint32", { ...ring, nr_req: 2 ** 32 }, "aio_ring_entry.nr_req: 4294967296 is no uint32"],
    ["a fraction", { ...ring, ring_len: 0.5 }, "aio_ring_entry.ring_len: 0.5 is no uint32"],
    ["a negative uint64", { ...ring, id: -1n }, "aio_ring_entry.id: -1 is no uint64"],
    ["a large uint64", { ...ring, id: 1n << 64n }, "aio_ring_entry.id: 18446744073709551616 is no uint64"],
  ])("%s", (_, entry, message) => {
    expect(errorOf(() => encode(AioRingEntry, entry)).message).toBe(message);
  });
});

describe("bytes that are no message", () => {
  test.each([
    ["a tag cut short", "80", "the message is cut short"],
    ["a number cut short", "08ff", "the message is cut short"],
    ["an eleven-byte number", "08ffffffffffffffffffff01", "a number of more than ten bytes"],
    ["field number zero", "0001", "not a field"],
    ["a tag beyond 32 bits", "ffffffffffff01", "not a field"],
    ["a length beyond the end", "f2070561", "a length reaches beyond the message"],
    ["a length beyond 32 bits", "f207ffffffffffff01", "a length reaches beyond the message"],
    ["a group", "f307", "field 126 has a wire type that is not in use"],
    ["a fixed word cut short", "f107010203", "the message is cut short"],
  ])("%s", (_, hex, what) => {
    expect(errorOf(() => decode(AioRingEntry, bytes(hex))).what).toBe(what);
  });

  test("nesting is limited", () => {
    let message = encode(CgroupDirEntry, { dir_name: "", children: [], properties: [] });
    for (let depth = 0; depth < 300; depth++) {
      const size: number[] = [];
      for (
        let rest = message.length;
        size.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest) && rest > 0x7f;
        rest >>>= 7
      );
      message = Uint8Array.from([0x0a, 0, 0x12, ...size, ...message]);
    }
    expect(errorOf(() => decode(CgroupDirEntry, message)).what).toBe("messages are nested too deeply");
  });
});

describe("every message", () => {
  for (const [name, codec] of CODECS) {
    test(name, () => {
      const random = randomOf(name.length);
      for (let round = 0; round < 6; round++) {
        const message = sample(name, random, { all: round % 2 === 0, plain: false });
        const encoded = encode(codec, message);
        expect(decode(codec, encoded)).toStrictEqual(message);

        // Cut anywhere and changed anywhere it is another message or an ImageError, never something else.
        for (let end = 0; end < Math.min(encoded.length, 200); end++)
          damaged(codec, encoded.subarray(0, end));
        for (let times = 0; times < 50 && encoded.length > 0; times++) {
          const changed = encoded.slice();
          changed[random() % changed.length] = random() & 0xff;
          damaged(codec, changed);
        }
      }
    });
  }

  test("none is left out", () => {
    expect(CODECS.size).toBe(Object.keys(MESSAGES).length);
    expect(codecOf("core_entry").name).toBe("core_entry");
  });
});

describe("text", () => {
  test("no byte of the kernel's text is lost", () => {
    const random = randomOf(1);
    const pieces = [
      [0xff],
      [0x80],
      [0xc3, 0xa4],
      [0xe2, 0x98, 0x83],
      [0xf0, 0x9d, 0x84, 0x9e],
      [0xed, 0xa0, 0x80],
    ];
    const more = [
      [0xf4, 0x90, 0x80, 0x80],
      [0xc0, 0xaf],
      [0xe2, 0x98],
      [0x2f],
      [0x61],
      [0xef, 0xbb, 0xbf],
      [0xed, 0xb3, 0xbf],
    ];
    for (let round = 0; round < 2000; round++) {
      const all = [...pieces, ...more];
      const text = Uint8Array.from(
        Array.from({ length: random() % 30 }, () => all[random() % all.length] ?? []).flat(),
      );
      expect(textToBytes(bytesToText(text)).toHex()).toBe(text.toHex());
    }
  });

  test("good UTF-8 is itself", () => {
    expect(bytesToText(new TextEncoder().encode("/ä/☃/𝄞"))).toBe("/ä/☃/𝄞");
    expect(bytesToText(Uint8Array.of(0x2f, 0xff))).toBe("/\udcff");
    expect(textToBytes("𝄞").toHex()).toBe("f09d849e");
  });
});
