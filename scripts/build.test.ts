import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HUGE_PAGE_SIZE } from "../src/linux/memory.ts";
import { MADV } from "../src/linux/mman.ts";
import { NR } from "../src/linux/nr.ts";
import { hostPid } from "../src/linux/pid.ts";
import { type Mapping, readMaps } from "../src/linux/proc.ts";
import { getRegisters, PTRACE, wait } from "../src/linux/ptrace.ts";
import { STARTER } from "../src/machine/runner.ts";
import { SYSCALL_STOP, TaskGoneError } from "../src/tracee/hold/task.ts";
import { makeThreads } from "../src/warm/exercise.ts";
import { startProgram, withProgram } from "../src/warm/program.ts";
import { build, startsCold } from "./build.ts";

let dir: string;
let criu: string;
const reasons: string[] = [];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-build-"));
  [criu = ""] = await build(dir, (why) => reasons.push(why));
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true }));

interface How {
  readonly program?: string;
  readonly before?: readonly string[];
  readonly environment?: Record<string, string>;
}

function run(args: readonly string[], { program = criu, before = [], environment = {} }: How = {}) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...before, program, ...args], {
    cwd: dir,
    env: { HOME: dir, PATH: process.env.PATH ?? "", ...environment },
  });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

const NO_TREE = {
  code: 1,
  stdout: "",
  stderr: "Error (criu): dump needs the pid of a process: --tree PID\n",
};

test("the executable answers, and loads what it needs", () => {
  expect(run(["--version"]).stdout).toStartWith("Version: 4.2\n");
  expect(run(["--help"]).stdout).toStartWith("Usage: criu ");
  expect(run(["dump"])).toEqual(NO_TREE);
});

test("under the name crit it is the image tool", () => {
  for (const program of [join(dir, "crit"), "./crit"]) {
    expect(run(["--version"], { program })).toEqual({ code: 0, stdout: "4.2\n", stderr: "" });
  }
  expect(run(["crit", "--version"]).stdout).toBe("4.2\n");
  const json = '{"magic": "PSTREE", "entries": [{"pid": 1, "ppid": 0, "pgid": 1, "sid": 1}]}';
  writeFileSync(join(dir, "pstree.json"), json);
  expect(run(["encode", "-i", "pstree.json", "-o", "pstree.img"], { program: "./crit" }).code).toBe(0);
  expect(run(["decode", "-i", "pstree.img"], { program: "./crit" })).toEqual({
    code: 0,
    stdout: `${json}\n`,
    stderr: "",
  });
});

test("the directory it runs in has no say in what it does", () => {
  writeFileSync(join(dir, "evil.ts"), 'console.log("evil");');
  writeFileSync(join(dir, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  writeFileSync(join(dir, ".env"), "CRIU_CONFIG_FILE=/nonexistent\n");
  writeFileSync(join(dir, "package.json"), "{ not json");
  expect(run(["restore", "-S"])).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error (criu): --restore-sibling makes sense only with --restore-detached\n",
  });
});

/** What /proc says of a command that has come to where it opens its log, which is a FIFO that nobody reads. */
async function atWork({
  program = criu,
  before = [],
}: How): Promise<{ warm: boolean; status: string; mappings: readonly Mapping[] }> {
  const [log, pidfile] = [join(dir, "fifo"), join(dir, "pid")];
  Bun.spawnSync(["mkfifo", log]);
  const noted = ["sh", "-c", 'echo $$ >pid; exec "$@"', "sh"];
  const command = [...before, ...noted, program, "dump", "-t", "1", "-D", dir, "-o", log];
  const child = Bun.spawn(command, { cwd: dir, env: { PATH: process.env.PATH ?? "" }, stderr: "ignore" });
  const readOf = (name: string) => {
    try {
      return readFileSync(`/proc/${readFileSync(pidfile, "utf8").trim()}/${name}`, "utf8");
    } catch {
      return "";
    }
  };
  try {
    while (child.exitCode === null && readOf("wchan") !== "wait_for_partner") await Bun.sleep(5);
    const mappings = readMaps(hostPid(Number(readFileSync(pidfile, "utf8"))));
    return {
      warm: !mappings.some(({ path }) => path.includes("memfd:")),
      status: readOf("status"),
      mappings,
    };
  } finally {
    process.kill(Number(readFileSync(pidfile, "utf8")), "SIGKILL");
    await child.exited;
    rmSync(log);
    rmSync(pidfile);
  }
}

test("what it does at the build is no command", () => {
  expect(run(["standby"]).stderr).toContain("standby");
  expect(run(["standby"]).code).toBe(1);
});

/** What the kernel maps for a process that goes on from a snapshot lies above (fixed-layout.ts). */
const FRESH = 2 ** 46;

/** Where a command calls madvise(MADV_DONTNEED) for data among that of the snapshot. */
function memoryGivenBack(words: readonly string[]): string[] {
  const given: string[] = [];
  const task = startProgram(criu, [criu, ...words], [], "/dev/null");
  try {
    for (let entry = true, signal = 0; ; ) {
      task.resume(PTRACE.SYSCALL, signal);
      const stop = task.awaitAnyStop();
      signal = stop.event === 0 && stop.signal !== SYSCALL_STOP ? stop.signal : 0;
      if (stop.signal !== SYSCALL_STOP) continue;
      const { orig_ax, di, si, dx } = getRegisters(task.pid);
      if (entry && orig_ax === BigInt(NR.madvise) && dx === BigInt(MADV.DONTNEED)) {
        for (const { write, exec, start, end } of readMaps(task.pid))
          if (write && !exec && start < di + si && end > di && end < FRESH) given.push(`${di} ${si}`);
      }
      entry = !entry;
    }
  } catch (error) {
    if (error instanceof TaskGoneError) return given;
    throw error;
  }
}

test("built cold it has the same bytes each time, and answers", async () => {
  const made = ["cold-here", "cold-there"].map((name) => join(dir, name));
  for (const into of made) await build(into, (why) => expect(why).toBe(""), true);
  const [here = "", there = ""] = made.map((into) => join(into, "criu"));
  expect(readFileSync(here).equals(readFileSync(there))).toBe(true);
  expect([here, criu].map(startsCold)).toEqual([true, false]);
  expect(run(["dump"], { program: here })).toEqual(NO_TREE);
  for (const into of made) rmSync(into, { recursive: true });
}, 120_000);

describe("the warm start", () => {
  test("was made here", async () => {
    expect(reasons).toEqual([]);
    expect((await atWork({})).warm).toBe(true);
  });

  test("has program and compiled code where huge pages can be", async () => {
    const { mappings } = await atWork({});
    const large = mappings.filter(({ start, end }) => end - start >= HUGE_PAGE_SIZE);
    const ofFile = large.filter(({ inode }) => inode !== 0);
    const within = (at: number) => at % HUGE_PAGE_SIZE;
    // Constants, code, data; and, where the heap has grown, what stays in the file of it.
    expect(ofFile.length).toBeGreaterThanOrEqual(3);
    for (const { start, offset } of ofFile) expect(within(start)).toBe(within(offset));
    // Behind what was compiled first is a little more, or nothing yet.
    const [program, compiled, ...behind] = large.filter(({ exec }) => exec);
    expect([program?.write, compiled?.write]).toEqual([false, true]);
    expect([program, compiled].map((each) => within(each?.start ?? 1))).toEqual([0, 0]);
    expect(behind.filter(({ inode }) => inode !== 0)).toEqual([]);
  });

  test("knows its own words, environment and directory, not those of the build", () => {
    const config = { CRIU_CONFIG_FILE: "/nonexistent.conf" };
    expect(run(["dump", "-t", "1"], { environment: config }).stderr).toContain("/nonexistent.conf");
    expect(run(["restore", "-D", "not-there"]).stderr).toContain("--images-dir not-there");
    writeFileSync(join(dir, "log"), "");
    expect(run(["restore", "-D", ".", "-o", "log"]).code).toBe(1);
    expect(readFileSync(join(dir, "log"), "utf8")).toContain("inventory.img");
  });

  test("gives no memory back that would be as in the file again, rather than zero", async () => {
    const threads = join(dir, "threads");
    makeThreads(threads, 3000);
    const images = mkdtempSync(join(dir, "images-"));
    await withProgram(threads, (pid) => {
      expect(run(["dump", "-t", String(pid), "-D", images]).code).toBe(0);
      wait(pid);
      const pidfile = join(images, "pid");
      expect(memoryGivenBack(["restore", "-d", "-D", images, "--pidfile", pidfile])).toEqual([]);
      expect(readFileSync(pidfile, "utf8")).toBe(String(pid));
    });
  }, 60_000);

  test("begins at the same time many times over, wherever the kernel puts the rest", async () => {
    const started = Array.from({ length: 200 }, () =>
      Bun.spawn([criu, "dump"], { cwd: dir, env: { HOME: dir }, stdout: "ignore", stderr: "pipe" }),
    );
    for (const each of started) {
      expect(await each.exited).toBe(1);
      expect(await new Response(each.stderr).text()).toBe(NO_TREE.stderr);
    }
  }, 60_000);

  test.each([
    ["without randomness", ["setarch", "-R"]],
    ["with the old layout of the address space", ["sh", "-c", 'ulimit -s unlimited; exec "$@"', "sh"]],
    ["with a stack of 64 MiB", ["sh", "-c", 'ulimit -s 65536; exec "$@"', "sh"]],
    [
      "with another clock, that begins before that of the build",
      [
        "unshare",
        "-T",
        "--monotonic",
        String(2 - Math.floor(Number(readFileSync("/proc/uptime", "utf8").split(".")[0]))),
      ],
    ],
    ["without standard input and output", ["sh", "-c", 'exec "$@" <&- >&-', "sh"]],
  ])("works %s", async (_, before) => {
    expect(run(["dump"], { before })).toEqual(NO_TREE);
    expect((await atWork({ before })).warm).toBe(true);
  });

  test("keeps signals ignored that were ignored", async () => {
    const { status } = await atWork({ before: ["sh", "-c", 'trap "" HUP USR1; exec "$@"', "sh"] });
    const ignored = BigInt(`0x${/SigIgn:\s*(\w+)/.exec(status)?.[1]}`);
    expect(ignored & 0x201n).toBe(0x201n);
  });

  test("is not taken on another CPU: there it starts cold", async () => {
    const other = join(dir, "other-cpu");
    copyFileSync(criu, other);
    const bytes = readFileSync(other);
    // The first check's leaf, masks, and what is to remain of ecx: one bit more than this CPU has.
    const check = 4096 + STARTER.DATA + STARTER.CHECKS;
    bytes.writeUInt32LE(0, check + 8);
    bytes.writeUInt32LE(0xffff_ffff, check + 24);
    writeFileSync(other, bytes);
    chmodSync(other, 0o755);
    expect((await atWork({ program: other })).warm).toBe(false);
    expect(run(["dump"], { program: other })).toEqual(NO_TREE);
    expect(run(["--version"], { program: other }).stdout).toStartWith("Version: 4.2\n");
    rmSync(join(dir, "crit"));
    symlinkSync("other-cpu", join(dir, "crit"));
    expect(run(["--version"], { program: "./crit" }).stdout).toBe("4.2\n");
  });
});
