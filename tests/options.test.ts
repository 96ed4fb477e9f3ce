/** Every option for dump and restore, asked of the peer: what it takes we take, what it refuses we refuse. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCommandLine } from "../src/cli/command-line.ts";
import { OPTIONS, type Option, OptionError } from "../src/options.ts";
import { peerTool } from "./harness/tool.ts";

const peer = peerTool();
if (peer === undefined) console.log("skipped: CRIU_PEER names no CRIU to compare options with");

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-options-"));
  writeFileSync(join(dir, "conf"), "");
});
afterAll(() => rmSync(dir, { recursive: true }));

/** What makes the peer do something else than the command, or wait for somebody. */
const ELSEWHERE = new Set([
  "help",
  "version",
  "feature",
  "stream",
  "exec-cmd",
  "config",
  "track-mem",
  "inherit-fd",
]);

/** What the peer refuses for the command once its log is open, and we before. */
const LATER = new Set(["dump --restore-sibling", "dump --mntns-compat-mode"]);
/** Its page says that this may stand alone; its parser does not know that. */
const ALONE = new Set(["--file-validation"]);

/** An argument that is valid, for options whose argument is not just any text. */
const VALID: Readonly<Record<string, string>> = {
  tree: "4000000",
  "cpu-cap": "fpu",
  "manage-cgroups": "soft",
  "file-validation": "filesize",
  "pre-dump-mode": "read",
  "network-lock": "skip",
  "ghost-limit": "5K",
  timeout: "5",
  verbosity: "4",
  close: "777",
  port: "7777",
  "status-fd": "777",
  "ps-socket": "777",
  "veth-pair": "a=b",
  "join-ns": "net:1",
  "empty-ns": "net",
  "ext-mount-map": "a:b",
  external: "mnt[a]:b",
  "ext-unix-sk": "1,2",
  "lsm-profile": "selinux:x",
  "log-file": "-",
  "images-dir": ".",
  "work-dir": ".",
  "prev-images-dir": ".",
};

/** Arguments that are not. What the peer takes for 0, or leaves for later, we refuse at once. */
const INVALID: readonly (readonly [string, string, "both" | "ours alone"])[] = [
  ["tree", "0", "both"],
  ["tree", "x", "both"],
  ["cpu-cap", "mmx", "both"],
  ["manage-cgroups", "hard", "both"],
  ["file-validation", "md5", "both"],
  ["pre-dump-mode", "write", "both"],
  ["network-lock", "ebpf", "both"],
  ["port", "0", "both"],
  ["veth-pair", "a", "both"],
  ["join-ns", "net", "both"],
  ["empty-ns", "pid", "both"],
  ["ext-mount-map", "a", "both"],
  ["timeout", "x", "ours alone"],
  ["ghost-limit", "5T", "ours alone"],
  ["external", "a", "ours alone"],
  ["close", "x", "ours alone"],
  ["lsm-profile", "x", "ours alone"],
  ["status-fd", "x", "both"],
];

const COMMANDS = {
  dump: ["dump", "-t", "4000000", "--no-default-config"],
  restore: ["restore", "-d", "--no-default-config"],
} as const;

function taken(words: readonly string[]): boolean {
  try {
    readCommandLine(words, {});
    return true;
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    if (/known but not built yet/.test(error.message)) return true;
    return false;
  }
}

/** It opens its log when it has read and taken all options. */
function takenByPeer(words: readonly string[]): boolean {
  const [program = "", ...rest] = peer ?? [];
  const { stdout } = Bun.spawnSync([program, ...rest, ...words, "-D", dir, "-v4", "-o", "-"], { cwd: dir });
  return stdout.toString().includes("Version: 4.2");
}

function flags({ long, negatable, argument }: Option): string[] {
  const all = argument === "required" ? [] : [`--${long}`];
  if (argument !== "none") all.push(`--${long}=${VALID[long] ?? "text"}`);
  if (negatable === true) all.push(`--no-${long}`);
  return all;
}

describe.if(peer !== undefined)("what the peer takes", () => {
  const options = OPTIONS.filter(({ long }) => !ELSEWHERE.has(long));
  for (const command of ["dump", "restore"] as const) {
    test.each(options.map((option) => [option.long, option] as const))(`${command} --%s`, (_, option) => {
      for (const flag of flags(option)) {
        const words = [...COMMANDS[command], flag];
        const alike = ALONE.has(flag) || LATER.has(`${command} ${flag}`) ? !taken(words) : taken(words);
        expect([flag, alike]).toEqual([flag, takenByPeer(words)]);
      }
    });

    test.each(INVALID)(`${command} --%s=%s is refused`, (long, text, by) => {
      const words = [...COMMANDS[command], `--${long}=${text}`];
      expect(taken(words)).toBe(false);
      expect(takenByPeer(words)).toBe(by === "ours alone");
    });
  }
});
