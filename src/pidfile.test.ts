import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelError } from "./linux/errno.ts";
import { writePidfile } from "./pidfile.ts";
import { Undo } from "./undo/undo.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-ts-pidfile-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** For good. */
function write(path: string, pid: number): void {
  using undo = new Undo();
  writePidfile(path, pid, undo);
  undo.commit();
}

test("holds the pid and nothing else, for its owner", () => {
  const path = join(dir, "pid");
  write(path, 4321);
  expect(readFileSync(path, "utf8")).toBe("4321");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("one that says the same pid already is left as it is", () => {
  const path = join(dir, "same");
  writeFileSync(path, "17\n");
  write(path, 17);
  expect(readFileSync(path, "utf8")).toBe("17\n");
});

test("one that says another pid is an error, and is left as it is", () => {
  const path = join(dir, "taken");
  write(path, 1);
  expect(() => write(path, 2)).toThrow(KernelError);
  expect(() => write(path, 2)).toThrow(`openat ${path}: EEXIST`);
  expect(readFileSync(path, "utf8")).toBe("1");
});

test("where none can be made, the error names it", () => {
  const path = join(dir, "no", "pid");
  expect(() => write(path, 1)).toThrow(`${path}: ENOENT`);
  expect(existsSync(path)).toBe(false);
});

test("goes again with what else is undone, unless it was there before", () => {
  const [path, before] = [join(dir, "undone"), join(dir, "before")];
  writeFileSync(before, "5");
  {
    using undo = new Undo();
    writePidfile(path, 5, undo);
    writePidfile(before, 5, undo);
    expect(existsSync(path)).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
  expect(existsSync(before)).toBe(true);
});
