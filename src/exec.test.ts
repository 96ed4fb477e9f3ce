import { describe, expect, test } from "bun:test";
import { callInside, hexdump, readArgument } from "./exec.ts";
import { NR } from "./linux/nr.ts";
import { hostPid } from "./linux/pid.ts";
import { OptionError } from "./options.ts";

describe("an argument", () => {
  test.each([
    ["0", 0],
    ["17", 17],
    ["-1", -1],
    ["0x1F", 31],
    ["0644", 0o644],
    ["0xffffffffffffffff", -1],
    ["-0x10", -16],
  ])("%s is a number", (word, value) => {
    expect(readArgument(word)).toBe(value);
  });

  test.each([
    ["/etc/motd", "/etc/motd"],
    ["&17", "17"],
    ["&", ""],
    ["&@4", "@4"],
    ["1k", "1k"],
    ["--x", "--x"],
  ])("%s is a text", (word, text) => {
    expect(readArgument(word)).toBe(text);
  });

  test.each([
    ["@0", []],
    ["@3", [0, 0, 0]],
    ["@4:0aFF", [10, 255, 0, 0]],
  ])("%s is a buffer", (word, bytes) => {
    expect(readArgument(word)).toEqual(Uint8Array.from(bytes));
  });

  test.each([["@1:0102"], ["@999999"], ["089"], ["0x1fffffffffffff0"]])("%s is refused", (word) => {
    expect(() => readArgument(word)).toThrow(OptionError);
  });
});

test("bytes are shown as hexdump -C shows them", () => {
  const bytes = new Uint8Array(70);
  bytes.set(new TextEncoder().encode("one line"));
  bytes[64] = 0xff;
  expect(hexdump(bytes).split("\n")).toEqual([
    "00000000  6f 6e 65 20 6c 69 6e 65 00 00 00 00 00 00 00 00  |one line........|",
    "00000010  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  |................|",
    "*",
    "00000040  ff 00 00 00 00 00                                |......|",
    "00000046",
    "",
  ]);
});

test("what cannot be made is refused before anything is touched", () => {
  const to =
    (nr: number, args: readonly number[] = []) =>
    () =>
      callInside(hostPid(process.ppid), nr, args, 1);
  expect(to(NR.exit_group)).toThrow("exit_group cannot be made inside another process");
  expect(to(NR.clone3)).toThrow("clone3 cannot be made");
  expect(to(0x10001)).toThrow("there is no system call 65537");
  expect(to(NR.getpid, [1, 2, 3, 4, 5, 6, 7])).toThrow("7 arguments");
  expect(() => callInside(hostPid(process.pid), NR.getpid, [], 1)).toThrow("cannot stop itself");
  expect(() => callInside(hostPid(2), NR.getpid, [], 1)).toThrow("a kernel thread");
  expect(() => callInside(hostPid(process.ppid), NR.write, [1, "x".repeat(60_000), 3], 1)).toThrow(
    "60001 bytes",
  );
});
