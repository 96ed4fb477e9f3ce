/**
 * `criu cpuinfo dump` and `cpuinfo check` from the command line, for images of this CPU and of others, in every mode of
 * `--cpu-cap`; where CRIU_PEER names a CRIU 4.2, each image is put before it too, and each of the two dumps reads the other's.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../src/images/image-dir.ts";
import { IMAGES } from "../src/images/kinds.ts";
import type { CpuinfoX86Entry } from "../src/images/schema/generated/inventory.ts";
import { ourTool, peerTool } from "./harness/tool.ts";

setDefaultTimeout(60_000);
const base = mkdtempSync(join(tmpdir(), "criu-ts-cpuinfo-"));
afterAll(() => rmSync(base, { recursive: true }));

function run(action: string, dir: string, args: string[] = [], tool = ourTool()) {
  const command = [...tool, "cpuinfo", action, "--no-default-config", "-D", dir, "-o", "/dev/null", ...args];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdin: "ignore" });
  return { code: exitCode, said: stdout.toString() + stderr.toString() };
}

function newDir(name: string): string {
  const dir = join(base, name);
  mkdirSync(dir);
  return dir;
}

/** Images of CPUs by what they have that this one has not, or the other way round. */
const CPUS: Record<string, (entry: CpuinfoX86Entry) => void> = {
  same: () => {},
  // fma4: of a line of CPUs that ended.
  instructions: (entry) => flip(entry, 6, 16),
  // A bit that has no name.
  nameless: (entry) => flip(entry, 2, 9),
  "less than here": (entry) => flip(entry, 4, 0),
  "another XSAVE image": (entry) => {
    entry.xsave_size = (entry.xsave_size ?? 0) + 64;
  },
  "more XSAVE components": (entry) => {
    entry.xfeatures_mask = (entry.xfeatures_mask ?? 0n) | (1n << 40n);
  },
};

function flip(entry: CpuinfoX86Entry, word: number, bit: number): void {
  entry.capability[word] = ((entry.capability[word] ?? 0) ^ (1 << bit)) >>> 0;
}

/** What refuses which image: f fpu, i ins, c cpu. */
const MINDS: Record<string, string> = {
  same: "",
  instructions: "ic",
  nameless: "c",
  "less than here": "c",
  "another XSAVE image": "f",
  "more XSAVE components": "f",
};

/** Modes and what each looks at. */
const MODES: [string[], string][] = [
  [[], "fi"],
  [["--cpu-cap"], "fic"],
  [["--cpu-cap=all"], "fic"],
  [["--cpu-cap=none"], "fic"],
  [["--cpu-cap=^fpu"], "i"],
  [["--cpu-cap=^ins"], "f"],
  [["--cpu-cap=none,fpu"], "f"],
  [["--cpu-cap=none,ins"], "i"],
  [["--cpu-cap=none,cpu"], "c"],
  [["--cpu-cap=cpu,^fpu"], "ic"],
  [["--cpu-cap=^none,^fpu,^ins"], "c"],
  [["--cpu-cap=^fpu,^ins"], "fic"],
];

describe.each(Object.keys(CPUS).map((name) => [name]))("an image of a CPU: %s", (name) => {
  const dir = newDir(name);
  expect(run("dump", dir)).toEqual({ code: 0, said: "" });
  const images = ImageDir.open(dir);
  const whole = structuredClone(images.readOne(IMAGES.cpuinfo));
  for (const entry of whole.x86_entry) CPUS[name]?.(entry);
  images.writeAll(IMAGES.cpuinfo, [whole]);

  test.each(MODES)("checked with %j", (args, looksAt) => {
    const minded = [...(MINDS[name] ?? "")].some((each) => looksAt.includes(each));
    expect(run("check", dir, args).code).toBe(minded ? 1 : 0);
    const peer = peerTool();
    if (peer !== undefined) expect(run("check", dir, args, peer).code).toBe(minded ? 1 : 0);
  });
});

test("a dump leaves what else is in the directory, and the mode makes no difference to it", () => {
  const dir = newDir("beside others");
  writeFileSync(join(dir, "inventory.img"), "kept");
  expect(run("dump", dir, ["--cpu-cap=none"]).code).toBe(0);
  expect(readFileSync(join(dir, "inventory.img"), "utf8")).toBe("kept");
  const peer = peerTool();
  if (peer === undefined) return;
  const theirs = newDir("theirs");
  run("dump", theirs, [], peer);
  const image = "cpuinfo.img";
  expect(readFileSync(join(dir, image))).toEqual(readFileSync(join(theirs, image)));
});

test("without an image there is nothing to check", () => {
  const dir = newDir("empty");
  for (const args of [[], ["--cpu-cap=none"]]) {
    const { code, said } = run("check", dir, [...args, "-o", "-"]);
    expect(code).toBe(1);
    expect(said).toContain("cpuinfo.img");
  }
  expect(existsSync(join(dir, "cpuinfo.img"))).toBe(false);
});

test("what differs is named", () => {
  const said = run("check", join(base, "instructions"), ["-o", "-"]).said;
  expect(said).toContain("instructions missing here: fma4");
});
