import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.ts";

let dir: string;
let criu: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-build-"));
  [criu = ""] = await build(dir);
}, 60_000);
afterAll(() => rmSync(dir, { recursive: true }));

function run(...args: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([criu, ...args], { cwd: dir, env: { HOME: dir } });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

test("the executable answers, and loads what it needs", () => {
  expect(run("--version").stdout).toStartWith("Version: 4.2\n");
  expect(run("--help").stdout).toStartWith("Usage: criu ");
  expect(run("dump")).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error (criu): dump needs the pid of a process: --tree PID\n",
  });
});

test("the directory it runs in has no say in what it does", () => {
  writeFileSync(join(dir, "evil.ts"), 'console.log("evil");');
  writeFileSync(join(dir, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  writeFileSync(join(dir, ".env"), "CRIU_CONFIG_FILE=/nonexistent\n");
  writeFileSync(join(dir, "package.json"), "{ not json");
  expect(run("restore", "-S")).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error (criu): --restore-sibling makes sense only with --restore-detached\n",
  });
});
