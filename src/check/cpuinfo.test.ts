import { afterAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageError } from "../images/error.ts";
import { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { CpuinfoX86Entry } from "../images/schema/generated/inventory.ts";
import { CpuMismatchError, checkCpuinfo, dumpCpuinfo } from "./cpuinfo.ts";

const NONE = 0;
const FPU = 1;
const CPU = 2;
const INS = 4;
const IMAGE = 8;
const DEFAULT = FPU | INS;
const ALL = FPU | CPU | INS | IMAGE;

const base = mkdtempSync(join(tmpdir(), "criu-ts-cpuinfo-"));
afterAll(() => rmSync(base, { recursive: true }));

let made = 0;
function newDir(): ImageDir {
  const path = join(base, String(made++));
  mkdirSync(path);
  return ImageDir.create(path);
}

/** An image of this CPU, changed. */
function imageWith(change: (entry: CpuinfoX86Entry) => void): ImageDir {
  const dir = newDir();
  dumpCpuinfo(dir);
  // What was read is not to be changed (wire.ts).
  const whole = structuredClone(dir.readOne(IMAGES.cpuinfo));
  for (const entry of whole.x86_entry) change(entry);
  dir.writeAll(IMAGES.cpuinfo, [whole]);
  return dir;
}

function setBit(entry: CpuinfoX86Entry, word: number, bit: number): void {
  entry.capability[word] = ((entry.capability[word] ?? 0) | (1 << bit)) >>> 0;
}

function hasBit(entry: CpuinfoX86Entry, word: number, bit: number): boolean {
  return (((entry.capability[word] ?? 0) >>> bit) & 1) === 1;
}

function refusal(dir: ImageDir, caps: number): string {
  try {
    checkCpuinfo(dir, caps);
  } catch (error) {
    if (error instanceof CpuMismatchError) return error.message;
    throw error;
  }
  return "";
}

const FMA4 = { word: 6, bit: 16 }; // of a line of CPUs that ended before any that we run on

describe("cpuinfo.img", () => {
  const dir = newDir();
  dumpCpuinfo(dir);

  test("names the features that /proc/cpuinfo names", () => {
    const flags = /^flags\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(" ") ?? [];
    const [entry] = dir.readOne(IMAGES.cpuinfo).x86_entry;
    if (entry === undefined) throw new Error("no entry");
    const places: Record<string, [number, number]> = {
      sse2: [0, 26],
      syscall: [1, 11],
      rep_good: [3, 16],
      avx: [4, 28],
      lahf_lm: [6, 0],
      avx2: [9, 5],
      xsaveopt: [10, 0],
      vaes: [11, 9],
      clzero: [13, 0],
    };
    for (const [name, [word, bit]] of Object.entries(places))
      if (flags.includes(name)) expect([name, hasBit(entry, word, bit)]).toEqual([name, true]);
    expect(entry.capability).toHaveLength(19);
  });

  test("is CRIU's, byte for byte", () => {
    const peer = process.env.CRIU_PEER;
    if (!peer) {
      console.log("skipped: CRIU_PEER names no CRIU");
      return;
    }
    const theirs = newDir();
    execFileSync(peer, ["cpuinfo", "dump", "-D", theirs.path, "-o", "/dev/null"], { stdio: "ignore" });
    expect(readFileSync(dir.filePath(IMAGES.cpuinfo))).toEqual(readFileSync(theirs.filePath(IMAGES.cpuinfo)));
    expect(refusal(theirs, ALL)).toBe("");
    execFileSync(peer, ["cpuinfo", "check", "-D", dir.path, "-o", "/dev/null"], { stdio: "ignore" });
  });

  test("of this CPU suits this CPU", () => {
    for (const caps of [NONE, DEFAULT, ALL]) expect(refusal(dir, caps)).toBe("");
  });
});

describe("a CPU that lacks something", () => {
  const instruction = imageWith((entry) => setBit(entry, FMA4.word, FMA4.bit));
  const nameless = imageWith((entry) => setBit(entry, 2, 9));
  const plainer = imageWith((entry) => {
    entry.capability[0] = (entry.capability[0] ?? 0) & ~1;
  });

  test("an instruction", () => {
    expect(refusal(instruction, DEFAULT)).toContain("instructions missing here: fma4");
    expect(refusal(instruction, INS | IMAGE)).toContain("fma4");
    expect(refusal(instruction, FPU | IMAGE)).toBe("");
    expect(refusal(instruction, NONE)).toBe("");
  });

  test("a bit without a name", () => {
    expect(refusal(nameless, DEFAULT | IMAGE)).toBe("");
    expect(refusal(nameless, CPU | IMAGE)).toContain("features missing here: bit 9 of word 2");
  });

  test("nothing, but has more: only `cpu` minds", () => {
    expect(refusal(plainer, DEFAULT | IMAGE)).toBe("");
    expect(refusal(plainer, CPU | IMAGE)).toContain("features only here: fpu");
  });

  test("XSAVE components, or has another XSAVE image", () => {
    const components = imageWith((entry) => {
      entry.xfeatures_mask = (entry.xfeatures_mask ?? 0n) | (1n << 40n);
      entry.xsave_size = 12;
      entry.xsave_size_max = 34;
    });
    const said = refusal(components, FPU | IMAGE);
    expect(said).toContain("XSAVE components missing here: number 40; XSAVE image of 12 bytes");
    expect(said).toContain("largest XSAVE image of 34 bytes");
    expect(refusal(components, INS | CPU | IMAGE)).toBe("");
  });
});

describe("an image", () => {
  test("may be missing unless it was asked for", () => {
    expect(refusal(newDir(), DEFAULT)).toBe("");
    expect(() => checkCpuinfo(newDir(), DEFAULT | IMAGE)).toThrow(ImageError);
  });

  test("of the first version has 12 words, and says nothing of XSAVE if it is older still", () => {
    const old = imageWith((entry) => {
      entry.capability_ver = 1;
      entry.capability.length = 12;
      delete entry.xfeatures_mask;
      delete entry.xsave_size;
      delete entry.xsave_size_max;
    });
    expect(refusal(old, ALL)).toBe("");
  });

  test("that is damaged is refused", () => {
    const damages: ((entry: CpuinfoX86Entry) => void)[] = [
      (entry) => entry.capability.push(0),
      (entry) => {
        entry.capability_ver = 3;
      },
      (entry) => {
        entry.vendor_id = 0;
      },
    ];
    for (const damage of damages) expect(() => checkCpuinfo(imageWith(damage), ALL)).toThrow(ImageError);
    const empty = newDir();
    empty.writeAll(IMAGES.cpuinfo, [{ x86_entry: [], ppc64_entry: [], s390_entry: [] }]);
    expect(() => checkCpuinfo(empty, ALL)).toThrow("0 x86 CPUs");
    writeFileSync(empty.filePath(IMAGES.cpuinfo), "");
    expect(() => checkCpuinfo(empty, ALL)).toThrow(ImageError);
  });
});
