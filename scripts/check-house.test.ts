import { expect, test } from "bun:test";
import { join } from "node:path";
import { problemsOf, sourcesOf } from "./check-house.ts";

const FINE = {
  "src/main.ts":
    'const { run } = await import("./cli/run.ts");\nconst { make } = await import("./warm/make.ts");',
  "src/cli/run.ts": 'import { dump } from "../dump.ts";\nexport const run = () => dump();',
  "src/warm/make.ts": 'import { run } from "../cli/run.ts";\nexport const make = () => run();',
  "src/dump.ts": 'import { dumpFiles } from "./files/dump.ts";\nexport const dump = () => dumpFiles();',
  "src/files/dump.ts":
    'import { open } from "../linux/io.ts";\n' +
    'import type { Pages } from "../memory/pages.ts";\n' +
    "/** Not process.env, nor setTimeout(). */\n" +
    "export const dumpFiles = (): Pages => open();\n" +
    "const NAMES: ReadonlySet<string> = new Set();\nconst sizes = new Map([[1, 2]]);",
  "src/memory/pages.ts": "export type Pages = number;",
  "src/linux/io.ts": "export function open(): number {\n  let fd = 3;\n  return fd;\n}",
};

function problems(more: Record<string, string>): string[] {
  return problemsOf(new Map(Object.entries({ ...FINE, ...more })), []);
}

test("the source as it is breaks no rule, and has no more exceptions than it needs", () => {
  expect(problemsOf(sourcesOf(join(import.meta.dirname, "..")))).toEqual([]);
});

test("what points down breaks none", () => {
  expect(problems({})).toEqual([]);
});

test.each([
  ['import { dump } from "../dump.ts";', "src/linux/io.ts imports src/dump.ts, which is above it"],
  ['import type { dump } from "../dump.ts";', "src/linux/io.ts imports src/dump.ts, which is above it"],
  ['export { dump } from "../dump.ts";', "src/linux/io.ts imports src/dump.ts, which is above it"],
  ['import {\n  dump,\n} from "../dump.ts";', "src/linux/io.ts imports src/dump.ts, which is above it"],
  ['const later = () => import("../dump.ts");', "src/linux/io.ts imports src/dump.ts, which is above it"],
])("an arrow that points up: %s", (line, problem) => {
  expect(problems({ "src/linux/io.ts": line })).toContain(problem);
});

test("a folder that has no layer", () => {
  const [problem] = problems({ "src/attic/old.ts": 'import { open } from "../linux/io.ts";' });
  expect(problem).toStartWith("src/attic/old.ts: src/attic/ has no layer");
});

test("warm/ known by others than main.ts", () => {
  const found = problems({ "src/index.ts": 'import { make } from "./warm/make.ts";' });
  expect(found).toEqual(["src/index.ts imports src/warm/make.ts, which main.ts alone may know"]);
});

test("a circle of files", () => {
  const found = problems({
    "src/linux/a.ts": 'import { b } from "./b.ts";',
    "src/linux/b.ts": 'import type { c } from "./c.ts";',
    "src/linux/c.ts": 'import { a } from "./a.ts";',
  });
  expect(found).toEqual([
    "a circle of imports: src/linux/a.ts -> src/linux/b.ts -> src/linux/c.ts -> src/linux/a.ts",
  ]);
});

test("a circle of folders in one layer", () => {
  const found = problems({ "src/memory/shmem.ts": 'import { dumpFiles } from "../files/dump.ts";' });
  expect(found).toEqual(["a circle of folders: files -> memory -> files"]);
});

test.each([
  ["let count = 0;", "count"],
  ["export let count: number | undefined;", "count"],
  ["const seen = new Map<string, number>();", "seen"],
  ["export const seen: Set<string> = new Set();", "seen"],
  ["const seen = new WeakMap<object, Map<string, () => void>>();", "seen"],
])("a variable of a module: %s", (line, name) => {
  const found = problems({ "src/linux/io.ts": line });
  expect(found).toEqual([
    `src/linux/io.ts: ${name}: a variable of a module outlives its run: see linux/once-per-run.ts`,
  ]);
});

test("an error that is not of the family", () => {
  const found = problems({ "src/linux/io.ts": "export class IoError extends Error {}" });
  expect(found).toEqual([
    "src/linux/io.ts: IoError: an error that is not of the family: see linux/base-error.ts",
  ]);
});

test.each([
  ["export const here = () => process.cwd();", "process.cwd"],
  ["export const home = () => process.env.HOME;", "process.env"],
  ["export const args = process.argv;", "process.argv"],
  ["export const wait = () => setTimeout(() => {}, 1);", "setTimeout"],
  ["export const wait = () => Bun.sleepSync(1);", "Bun.sleepSync"],
  ["export const run = () => Bun.spawn([]);", "Bun.spawn"],
  ["export const now = () => Date.now();", "Date.now"],
  ["export const chance = () => Math.random();", "Math.random"],
  ['import { readFileSync } from "node:fs";', "node:fs"],
  ['import { dlopen } from "bun:ffi";', "bun:ffi"],
  ['export const fs = () => import("node:fs");', "node:fs"],
])("what the warm executable forbids: %s", (line, what) => {
  const found = problems({ "src/linux/io.ts": line });
  expect(found).toHaveLength(1);
  expect(found[0]).toStartWith(`src/linux/io.ts: ${what}: `);
});

test("an exception is one, until there is no need for it", () => {
  const broken = new Map([["src/linux/io.ts", "let count = 0;"]]);
  const exception = { of: "src/linux/io.ts: count:", why: "a test" };
  expect(problemsOf(broken, [exception])).toEqual([]);
  expect(problemsOf(new Map(), [exception])).toEqual([
    "no exception any more, to be struck from scripts/check-house.ts: src/linux/io.ts: count:",
  ]);
});
