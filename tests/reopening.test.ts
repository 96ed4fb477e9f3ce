/**
 * Files that are open, or mapped, by mounts that have changed since: a deleted file of a read-only mount comes back; what could not
 * be opened or mapped again is refused by name. In a mount namespace of the test's own, which goes with it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adoptOrphans, killAll, processTree, waitGone } from "./harness/processes.ts";
import { ourTool } from "./harness/tool.ts";

// What is dumped has lost its parent: it is ours to reap.
adoptOrphans();
const dir = mkdtempSync(join(tmpdir(), "criu-ts-reopening-"));
let shell: ChildProcess;
const started: number[] = [];

/** A shell in a mount namespace; it does what it reads, and says "done" with the exit code. */
beforeAll(() => {
  shell = spawn("unshare", ["-m", "sh"], { cwd: dir, stdio: ["pipe", "pipe", "inherit"] });
});

afterAll(async () => {
  await killAll([...started, ...processTree(shell.pid ?? 0)]);
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a script there; gives what it printed. Throws where it fails. */
function run(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const take = (piece: Buffer) => {
      text += piece;
      const end = /^done (\d+)\n$/m.exec(text);
      if (end === null) return;
      shell.stdout?.off("data", take);
      const said = text.slice(0, end.index);
      if (end[1] === "0") resolve(said);
      else reject(new Error(`${script}: ${end[1]}: ${said}`));
    };
    shell.stdout?.on("data", take);
    shell.stdin?.write(`(set -e\n${script}\n)\necho "done $?"\n`);
  });
}

/** Starts `words` in a session of its own with what `redirections` opens; its pid. */
async function start(name: string, words: string, redirections: string): Promise<number> {
  await run(`setsid sh -c 'echo $$ >${name}.pid; exec ${words} ${redirections}' </dev/null >/dev/null 2>&1 &
    until [ "$(cat /proc/$(cat ${name}.pid)/comm)" = ${words.split(" ")[0]?.split("/").at(-1)} ]; do sleep 0.01; done 2>/dev/null`);
  const pid = Number(readFileSync(join(dir, `${name}.pid`), "utf8"));
  started.push(pid);
  return pid;
}

const tool = ourTool().join(" ");
const project = process.cwd();
const patience = 90_000;

async function refused(pid: number, words: RegExp): Promise<void> {
  const images = join(dir, `images-${pid}`);
  mkdirSync(images);
  await run(`cd ${project}; ! ${tool} dump -t ${pid} -D ${images} -o log >/dev/null 2>&1`);
  const errors = readFileSync(join(images, "log"), "utf8").match(/Error \(.*/g);
  expect(errors).toEqual([expect.stringMatching(words)]);
  expect(existsSync(`/proc/${pid}`)).toBe(true);
}

test(
  "a deleted file that is open by a read-only mount",
  async () => {
    await run(
      "mkdir disk readonly; mount -t tmpfs none disk; mount --bind disk readonly; echo content >disk/file",
    );
    await run("mount -o remount,bind,ro readonly");
    const pid = await start("deleted", "sleep 300", "3<readonly/file");
    await run("rm disk/file; mkdir images");
    const command = (words: string) =>
      run(`cd ${project}; ${tool} ${words} -D ${dir}/images -o log || { cat ${dir}/images/log; exit 1; }`);
    await command(`dump -t ${pid}`);
    expect(await waitGone([pid])).toEqual([]);
    await command("restore -d");
    const fd = `/proc/${pid}/fd/3`;
    expect(
      await run(`readlink ${fd}; cat ${fd}; ls disk; findmnt -no OPTIONS -T readonly | cut -d, -f1`),
    ).toBe(`${dir}/readonly/file (deleted)\ncontent\nro\n`);
    // It is on the mount that it was on.
    expect(await run(`! sh -c 'echo more >>${fd}' 2>&1`)).toContain("Read-only file system");
  },
  patience,
);

test(
  "a program whose mount has become noexec",
  async () => {
    await run('mkdir bin; mount -t tmpfs none bin; cp "$(command -v sleep)" bin/');
    const pid = await start("program", `${dir}/bin/sleep 300`, "");
    await run("mount -o remount,noexec bin");
    await refused(pid, /mapping .*bin\/sleep: its mount has become noexec/);
  },
  patience,
);

test(
  "a device whose mount has become nodev",
  async () => {
    await run("mkdir dev; mount -t tmpfs -o dev none dev; mknod dev/zero c 1 5");
    const pid = await start("device", "sleep 300", "3<dev/zero");
    await run("mount -o remount,nodev dev");
    await refused(pid, /descriptor 3: .*dev\/zero: its mount has become nodev/);
  },
  patience,
);

test(
  "a file that is open for writing and has become immutable",
  async () => {
    const can = await run(
      "mkdir t; mount -t tmpfs none t; touch t/file t/log; chattr +a t/log && chattr -a t/log || echo no",
    );
    if (can !== "") return console.log("skipped: files of a tmpfs cannot be made immutable here");
    // What may only be appended to, and only is, is in nobody's way.
    const pid = await start("immutable", "sleep 300", "3<>t/file 4>>t/log 5<t/file");
    await run("chattr +a t/log; chattr +i t/file");
    await refused(pid, /descriptor 3: .*t\/file: it has become immutable/);
  },
  patience,
);
