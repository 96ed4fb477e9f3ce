import { describe, expect, test } from "bun:test";
import { ImageError } from "../images/error.ts";
import { hostPid } from "../linux/pid.ts";
import { readMaps } from "../linux/proc.ts";
import { memoryAt } from "../linux/syscall.ts";
import { callGetrandom, callInstead, giveBack, jumpTo } from "../machine/vdso.ts";
import { vdsoFunctions } from "./vdso-elf.ts";

const code = readMaps(hostPid(process.pid)).find(({ path }) => path === "[vdso]");
const bytes = code === undefined ? undefined : memoryAt(code.start, code.end - code.start).slice();
if (bytes === undefined) console.log("skipped: this kernel gives no vDSO");

describe.skipIf(bytes === undefined)("the functions of the vDSO", () => {
  const vdso = bytes ?? new Uint8Array(0);

  test("are found", () => {
    const functions = vdsoFunctions(vdso);
    for (const name of ["clock_gettime", "gettimeofday", "time", "getcpu"]) {
      const found = functions.get(`__vdso_${name}`);
      expect(found?.offset).toBeGreaterThan(0);
      // Each has room for what may take its place.
      expect(found?.size).toBeGreaterThan(jumpTo(0).length);
    }
  });

  test("of damaged bytes are refused or others, in a moment", () => {
    const random = (n: number) => Math.floor(Math.random() * n);
    for (let round = 0; round < 3000; round++) {
      const damaged = round < 500 ? vdso.slice(0, random(vdso.length)) : vdso.slice();
      if (round >= 500) for (let i = 0; i <= random(8); i++) damaged[random(1200)] = random(256);
      try {
        for (const { offset } of vdsoFunctions(damaged).values()) {
          expect(offset).toBeGreaterThanOrEqual(0);
          expect(offset).toBeLessThan(damaged.length);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError);
      }
    }
  });
});

describe("what takes the place of a function", () => {
  test("is as encoded by hand", () => {
    expect(jumpTo(0x7f00_1234_5678).toHex()).toBe("48b8785634120" + "07f0000ffe0");
    expect(callInstead(228).toHex()).toBe("b8e40000000f05c3");
    expect(giveBack(-38).toHex()).toBe("48c7c0daffffffc3");
    expect(callGetrandom(318, -38).toHex()).toBe("4983f8ff7408b83e0100000f05c348c7c0daffffffc3");
  });
});
