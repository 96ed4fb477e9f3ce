/** What the build makes beside the executables: manual pages that troff takes, completions that bash takes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS, OPTIONS } from "../src/options.ts";
import { critPage, criuPage, writeManual } from "./manual.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-manual-"));
  writeManual(dir);
});
afterAll(() => rmSync(dir, { recursive: true }));

const page = (name: string, section: number) => join(dir, `share/man/man${section}/${name}.${section}`);
const hasGroff = Bun.which("groff") !== null;
if (!hasGroff) console.log("skipped: no groff to read the manual pages with");

describe("the manual pages", () => {
  test("name every option and every command", () => {
    const text = criuPage();
    for (const { long, help } of OPTIONS) {
      if (help !== "") expect(text).toContain(`\\-\\-${long.replaceAll("-", "\\-")}\\fR`);
    }
    for (const { name, help } of COMMANDS)
      if (help !== "") expect(text).toContain(`\\fB${name.replaceAll("-", "\\-")}\\fR`);
    expect(critPage()).toContain("\\fBdecode\\fR");
  });

  test.if(hasGroff)("are read by groff without a complaint", () => {
    for (const path of [page("criu", 8), page("crit", 1)]) {
      const { stderr, stdout, exitCode } = Bun.spawnSync(["groff", "-man", "-Tutf8", "-ww", path]);
      expect([exitCode, stderr.toString()]).toEqual([0, ""]);
      expect(stdout.toString().length).toBeGreaterThan(1000);
    }
  });
});

/** What bash would offer for the last of the words. */
function completions(program: string, ...words: string[]): string[] {
  const script = `
source ${join(dir, "share/bash-completion/completions", program)}
compopt() { :; }
COMP_WORDS=(${program} ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length}
_${program} ${program} '${words.at(-1) ?? ""}' '${words.at(-2) ?? program}'
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script], { cwd: dir });
  expect(stderr.toString()).toBe("");
  return stdout
    .toString()
    .split("\n")
    .filter((word) => word !== "");
}

describe("the completions", () => {
  test.each([
    ["criu", ["du"], ["dump"]],
    ["criu", ["dump", "--leave-r"], ["--leave-running"]],
    ["criu", ["dump", "--no-tcp-e"], ["--no-tcp-established"]],
    ["criu", ["restore", "--manage-cgroups", "s"], ["soft", "strict"]],
    ["criu", ["cpuinfo", ""], ["dump", "check"]],
    [
      "criu",
      ["help", "pre-"],
      ["pre-dump", "prev-images-dir", "pre-dump-mode"].filter((word) => word.startsWith("pre-")),
    ],
    ["criu", ["dump", "-D", "sh"], ["share"]],
    ["criu", ["dump", "-t", String(process.pid)], [String(process.pid)]],
    ["crit", ["de"], ["decode"]],
    ["crit", ["x", "dir", "rs"], ["rss"]],
    ["crit", ["decode", "--pr"], ["--pretty"]],
  ] as [string, string[], string[]][])("%s %j: %j", (program, words, expected) => {
    expect(completions(program, ...words)).toEqual(expected);
  });
});
