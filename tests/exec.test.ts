/**
 * `criu exec` from the command line: what it prints, and that processes of all kinds go on as if nothing had been: by their
 * own judgement, and by what /proc shows of them.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { buildFixtures } from "./harness/build.ts";
import { type Fixture, Skipped, startFixture } from "./harness/fixture.ts";
import { compareSnapshots, processState, snapshotProc } from "./harness/processes.ts";
import { ourTool } from "./harness/tool.ts";

setDefaultTimeout(120_000);

/** Trees that something may go wrong with: many threads, signals, registers, alternate stacks, sleeps, shared memory. */
const FIXTURES = [
  "minimal",
  "many_threads",
  "busy_signals",
  "busy_compute",
  "fpu_sse_avx",
  "altstack",
  "clone_vm",
  "rseq",
  "seccomp_deny",
  "stopped_root",
];

const children: Bun.Subprocess[] = [];
let sleeper = 0;
beforeAll(async () => {
  const child = Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore"] });
  children.push(child);
  sleeper = child.pid;
  await Bun.sleep(100);
});
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

function run(pid: number, words: string[]) {
  const command = [...ourTool(), "exec", "--no-default-config", "-t", String(pid), ...words];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdin: "ignore" });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

const said = (stdout: string) => ({ code: 0, stdout, stderr: "" });

describe("what is printed", () => {
  test("the result of a call by name or number", () => {
    expect(run(sleeper, ["getpid"])).toEqual(said(`getpid() = ${sleeper}\n`));
    expect(run(sleeper, ["39"])).toEqual(said(`getpid() = ${sleeper}\n`));
  });

  test("numbers, texts and buffers that were filled", () => {
    const opened = run(sleeper, ["openat", "-100", "/proc/self/comm", "0"]);
    expect(opened).toEqual(said('openat(-100, "/proc/self/comm", 0) = 3\n'));
    expect(run(sleeper, ["read", "3", "@20:0102", "5"])).toEqual(
      said(
        "read(3, @20, 5) = 5\nargument 2:\n" +
          "00000000  73 6c 65 65 70 00 00 00 00 00 00 00 00 00 00 00  |sleep...........|\n" +
          "00000010  00 00 00 00                                      |....|\n" +
          "00000014\n",
      ),
    );
    expect(run(sleeper, ["close", "3"])).toEqual(said("close(3) = 0\n"));
  });

  test("addresses in hexadecimal", () => {
    const { stdout } = run(sleeper, ["mmap", "0", "4096", "0", "34", "-1", "0"]);
    const [, address = ""] = /= (0x[0-9a-f]+)\n$/.exec(stdout) ?? [];
    const maps = readFileSync(`/proc/${sleeper}/maps`, "utf8");
    expect(maps).toContain(`${address.slice(2)}-`);
    expect(run(sleeper, ["munmap", address, "4096"]).code).toBe(0);
  });

  test("errors by their names, with exit code 1", () => {
    const failed = { code: 1, stdout: 'openat(-100, "/nowhere", 0) = -1 ENOENT\n', stderr: "" };
    expect(run(sleeper, ["openat", "-100", "/nowhere", "0"])).toEqual(failed);
    expect(run(sleeper, ["500"]).stdout).toBe("syscall 500() = -1 ENOSYS\n");
  });

  test.each([
    [["exit", "0"], "exit cannot be made inside another process"],
    [["frobnicate"], "no system call is called frobnicate"],
    [[], "exec needs a system call, by its name or number"],
  ])("%j is refused", (words, message) => {
    const { code, stderr } = run(sleeper, words);
    expect({ code, stderr }).toEqual({ code: 1, stderr: `Error (criu): ${message}\n` });
    expect(processState(sleeper)).toBe("S");
  });

  test("a process that is not there is named", () => {
    expect(run(0x3ffffe, ["getpid"]).stderr).toContain("process 4194302, which is not there: ESRCH");
  });
});

test("a call that sleeps too long ends with EINTR, and the process goes on in its own", () => {
  const before = snapshotProc(sleeper);
  const own = readFileSync(`/proc/${sleeper}/stat`, "utf8").slice(0, 30);
  expect(run(sleeper, ["--timeout", "1", "pause"]).stdout).toBe("pause() = -1 EINTR\n");
  expect(run(sleeper, ["--timeout", "1", "ppoll", "0", "0", "0", "0", "0"]).stdout).toEndWith("= -1 EINTR\n");
  expect(compareSnapshots(before, snapshotProc(sleeper))).toEqual([]);
  expect(readFileSync(`/proc/${sleeper}/stat`, "utf8").slice(0, 30)).toBe(own);
});

test("killed in the middle of a call, it leaves nothing once that has ended", async () => {
  const before = snapshotProc(sleeper);
  const second = `@16:${"0100000000000000"}`;
  const command = [...ourTool(), "exec", "-t", String(sleeper), "nanosleep", second, "0"];
  const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] });
  await Bun.sleep(500);
  child.kill("SIGKILL");
  await child.exited;
  await Bun.sleep(1500);
  expect(compareSnapshots(before, snapshotProc(sleeper))).toEqual([]);
  expect(processState(sleeper)).toBe("S");
});

describe("a process goes on as if nothing had been", () => {
  beforeAll(() => buildFixtures(FIXTURES));

  test.each(FIXTURES.map((name) => [name]))("%s", async (name) => {
    let fixture: Fixture | undefined;
    try {
      fixture = await startFixture(name);
      const { pid, directives } = fixture;
      const before = snapshotProc(pid);
      for (let i = 0; i < 5; i++) expect(run(pid, ["getpid"])).toEqual(said(`getpid() = ${pid}\n`));
      expect(run(pid, ["kill", "0x7fffffff", "0"]).stdout).toEndWith("= -1 ESRCH\n");
      if (directives.moves === undefined) expect(compareSnapshots(before, snapshotProc(pid))).toEqual([]);
      expect(await fixture.finish()).toBe("PASS");
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
      console.log(`${name}: skipped: ${error.message}`);
    } finally {
      await fixture?.stop();
    }
  });
});
