import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelError } from "./linux/errno.ts";
import { writePidfile } from "./pidfile.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-ts-pidfile-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("holds the pid and nothing else, for its owner", () => {
  const path = join(dir, "pid");
  writePidfile(path, 4321);
  expect(readFileSync(path, "utf8")).toBe("4321");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("one that says the same pid already is left as it is", () => {
  const path = join(dir, "same");
  writeFileSync(path, "17\n");
  writePidfile(path, 17);
  expect(readFileSync(path, "utf8")).toBe("17\n");
});

test("one that says another pid is an error, and is left as it is", () => {
  const path = join(dir, "taken");
  writePidfile(path, 1);
  expect(() => writePidfile(path, 2)).toThrow(KernelError);
  expect(() => writePidfile(path, 2)).toThrow(`openat ${path}: EEXIST`);
  expect(readFileSync(path, "utf8")).toBe("1");
});

test("where none can be made, the error names it", () => {
  const path = join(dir, "no", "pid");
  expect(() => writePidfile(path, 1)).toThrow(`${path}: ENOENT`);
  expect(existsSync(path)).toBe(false);
});
