/**
 * What a restore here could not give a process, because it would not have the right to: a dump that ends the process refuses it by
 * name, and it runs on; one that leaves it running warns, and its images are whole.
 */
import { afterEach, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readText } from "./harness/processes.ts";
import { dump, ourTool, type Tool } from "./harness/tool.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-ts-rights-"));
const patience = 60_000;
let child: ChildProcess | undefined;
let turn = 0;

afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child?.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
  rmSync(dir, { recursive: true, force: true });
});

/** Starts what a shell says, and waits until `sleep` has begun; its pid. */
async function start(script: string): Promise<number> {
  child = spawn("setsid", ["sh", "-c", `${script} exec sleep 300`], { stdio: "ignore" });
  const { pid = 0 } = child;
  while (readText(`/proc/${pid}/comm`) !== "sleep\n") {
    expect(child.exitCode).toBeNull();
    await Bun.sleep(5);
  }
  return pid;
}

/** Dumps it with a tool that has less than it; twice, for the second time with -R. */
async function refused(pid: number, before: string[], words: RegExp): Promise<void> {
  const tool: Tool = [...before, ...ourTool()];
  const images = join(dir, `${turn++}`);
  const first = await dump(pid, images, { tool });
  expect(first.ok).toBe(false);
  expect(first.errors).toMatch(words);
  expect(existsSync(join(images, "inventory.img"))).toBe(false);
  expect(readText(`/proc/${pid}/comm`)).toBe("sleep\n");
  const second = await dump(pid, images, { tool, options: ["-R"] });
  expect(second.errors).toMatch(/^(?!.*Error)/s);
  expect(second.ok).toBe(true);
  expect(readFileSync(join(images, "dump.log"), "utf8")).toMatch(words);
  expect(readText(`/proc/${pid}/comm`)).toBe("sleep\n");
}

test(
  "a hard limit above that of the tool",
  async () => {
    const higher = "ulimit -Sn 1000; ulimit -Hn 2000";
    const lower = (limits: string) => ["sh", "-c", `${limits}; exec "$@"`, "sh"];
    const may = Bun.spawnSync(["sh", "-c", "ulimit -Sn 900; ulimit -Hn 900; ulimit -Hn 1000"]).success;
    if (may) return console.log("skipped: hard limits may be raised here");
    if (!Bun.spawnSync(["sh", "-c", higher]).success) return console.log("skipped: hard limits are low here");
    const pid = await start(`${higher};`);
    const words = `process ${pid}.*RLIMIT_NOFILE is 2000, and criu's is 1500.*CAP_SYS_RESOURCE`;
    await refused(pid, lower("ulimit -Sn 1000; ulimit -Hn 1500"), new RegExp(words));
  },
  patience,
);

const without = (capability: string) => [
  "setpriv",
  `--bounding-set=-${capability}`,
  `--inh-caps=-${capability}`,
];

test(
  "a nice value that the tool may not give",
  async () => {
    if (!Bun.spawnSync(["nice", "-n", "-20", "true"]).success)
      return console.log("skipped: no CAP_SYS_NICE here");
    const pid = await start("renice -n -20 -p $$ >/dev/null;");
    await refused(
      pid,
      without("sys_nice"),
      new RegExp(`process ${pid}.*has the nice value -20.*CAP_SYS_NICE`),
    );
  },
  patience,
);

test(
  "a real-time policy that the tool may not give",
  async () => {
    if (!Bun.spawnSync(["chrt", "-r", "3", "true"]).success)
      return console.log("skipped: no real-time policies here");
    const pid = await start("chrt -r -p 3 $$;");
    await refused(pid, without("sys_nice"), new RegExp(`process ${pid}.*real-time policy.*CAP_SYS_NICE`));
  },
  patience,
);

test(
  "capabilities that the tool has not",
  async () => {
    const pid = await start("");
    await refused(
      pid,
      without("net_raw"),
      new RegExp(`process ${pid}.*capabilities that criu has not, 0x2000`),
    );
  },
  patience,
);
