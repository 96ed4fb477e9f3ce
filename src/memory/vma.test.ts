import { describe, expect, test } from "bun:test";
import { ImageError } from "../images/error.ts";
import type { VmaEntry } from "../images/schema/generated/memory.ts";
import { MAP, PROT, TASK_SIZE } from "../linux/memory.ts";
import { MADV, MAP_MORE } from "../linux/mman.ts";
import { nsPid } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import { adviceBits, anonymousName, checkVma, checkVmas, isPrivate, mapFlags, STATUS } from "./vma.ts";

function entry(more: Partial<VmaEntry> = {}): VmaEntry {
  return {
    start: 0x10000n,
    end: 0x20000n,
    pgoff: 0n,
    shmid: 0n,
    prot: PROT.READ | PROT.WRITE,
    flags: MAP.PRIVATE | MAP.ANONYMOUS,
    status: STATUS.REGULAR | STATUS.ANON_PRIVATE,
    fd: -1n,
    ...more,
  };
}

describe("checkVma", () => {
  test("takes what CRIU writes", () => {
    const vma = checkVma(entry({ madv: 1n << 16n, flags: MAP.PRIVATE | MAP.ANONYMOUS | MAP.GROWSDOWN }));
    expect(vma).toMatchObject({ start: 0x10000, end: 0x20000, advice: [MADV.DONTDUMP] });
    expect(vma && isPrivate(vma)).toBe(true);
  });

  test("passes over the vsyscall page, whose address is no number of ours", () => {
    const status = STATUS.VSYSCALL | STATUS.ANON_PRIVATE;
    expect(checkVma(entry({ start: 0xffffffffff600000n, end: 0xffffffffff601000n, status }))).toBeUndefined();
  });

  test("keeps of the flags what mmap(2) may be told", () => {
    const huge = (21 << MAP_MORE.HUGE_SHIFT) | MAP.HUGETLB;
    const kept = MAP.PRIVATE | MAP.ANONYMOUS;
    expect(checkVma(entry({ flags: kept | MAP.FIXED | 0x8000 }))?.flags).toBe(kept);
    expect(checkVma(entry({ flags: kept | huge }))?.flags).toBe((kept | huge) >>> 0);
    expect(checkVma(entry({ flags: kept | (21 << MAP_MORE.HUGE_SHIFT) }))?.flags).toBe(kept);
  });

  const shared = STATUS.REGULAR | STATUS.FILE_SHARED;
  test("tells from the descriptor's flags how a file was opened, or else from the protection", () => {
    const file = { flags: MAP.SHARED, status: shared };
    expect(checkVma(entry({ ...file, fdflags: 2 }))?.writableFile).toBe(true);
    expect(checkVma(entry({ ...file, fdflags: 0 }))?.writableFile).toBe(false);
    expect(checkVma(entry(file))?.writableFile).toBe(true);
    expect(checkVma(entry({ ...file, prot: PROT.READ }))?.writableFile).toBe(false);
  });

  const bad: [string, Partial<VmaEntry>][] = [
    ["a start that is not aligned", { start: 0x10001n }],
    ["an end that is not aligned", { end: 0x20010n }],
    ["an end before the start", { end: 0x8000n }],
    ["an empty range", { end: 0x10000n }],
    ["an end beyond the address space", { end: BigInt(TASK_SIZE) + 4096n }],
    ["a start of 64 bits", { start: 0xffff_ffff_ffff_f000n }],
    ["an offset that is not aligned", { pgoff: 1n }],
    ["an offset of 64 bits", { pgoff: 0xffff_ffff_ffff_f000n }],
    ["an object of 64 bits", { shmid: 1n << 60n }],
    ["advice that does not exist", { madv: 1n << 50n }],
    ["advice that destroys", { madv: 1n << BigInt(MADV.DONTNEED) }],
    ["no kind", { status: STATUS.REGULAR }],
    ["two kinds", { status: STATUS.REGULAR | STATUS.ANON_PRIVATE | STATUS.FILE_PRIVATE }],
    ["private flags for a shared kind", { status: shared }],
    ["shared flags for a private kind", { flags: MAP.SHARED }],
    ["a private segment", { status: STATUS.REGULAR | STATUS.ANON_PRIVATE | STATUS.SYSVIPC }],
    ["a vDSO that is a file", { status: STATUS.REGULAR | STATUS.FILE_PRIVATE | STATUS.VDSO }],
    ["a packet socket that is anonymous", { status: STATUS.REGULAR | STATUS.SOCKET | STATUS.ANON_PRIVATE }],
    ["a name with a zero", { anon_name: "a\0b" }],
    ["a name that is too long", { anon_name: "x".repeat(80) }],
  ];
  test.each(bad)("refuses %s", (_what, more) => {
    expect(() => checkVma(entry(more))).toThrow(ImageError);
  });
});

describe("checkVmas", () => {
  test("takes guards apart, wherever they lie", () => {
    const guard = entry({ start: 0x12000n, end: 0x13000n, prot: 0, flags: 0, status: STATUS.GUARD });
    const { vmas, guards } = checkVmas(nsPid(7), [entry(), guard]);
    expect([vmas.length, guards.length]).toEqual([1, 1]);
  });

  test("names the image and the mapping that reaches into another", () => {
    const second = entry({ start: 0x1f000n, end: 0x30000n });
    expect(() => checkVmas(nsPid(7), [entry(), second])).toThrow(
      "mm-7.img: mapping 1: mapping 1f000-30000 is not behind 10000-20000",
    );
    expect(() => checkVmas(nsPid(7), [entry({ start: 0x30000n, end: 0x40000n }), entry()])).toThrow(
      ImageError,
    );
  });
});

describe("a mapping of /proc", () => {
  const mapping: Mapping = {
    start: 0,
    end: 4096,
    read: true,
    write: true,
    exec: false,
    shared: false,
    offset: 0,
    major: 0,
    minor: 0,
    inode: 0,
    path: "",
    flags: new Set(["rd", "wr", "gd", "lo", "nr", "ht", "dc", "wf"]),
  };

  test("has the flags and the advice of its VmFlags", () => {
    expect(mapFlags(mapping)).toBe(MAP.PRIVATE | MAP.GROWSDOWN | MAP.LOCKED | MAP.NORESERVE | MAP.HUGETLB);
    expect(adviceBits(mapping)).toBe((1n << 10n) | (1n << 18n));
    expect(adviceBits({ ...mapping, flags: new Set(["rd"]) })).toBeUndefined();
  });

  test("that may be dropped is not private to mmap(2)", () => {
    expect(mapFlags({ ...mapping, flags: new Set(["dp"]) })).toBe(MAP_MORE.DROPPABLE);
  });

  test("has a name where it was given one", () => {
    expect(anonymousName({ ...mapping, path: "[anon:a name]" })).toBe("a name");
    expect(anonymousName({ ...mapping, path: "[anon_shmem:x]" })).toBe("x");
    expect(anonymousName({ ...mapping, path: "[heap]" })).toBeUndefined();
  });
});
