import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  closeLog,
  DEFAULT_LEVEL,
  firstError,
  forgetFirstError,
  getLevel,
  Level,
  log,
  openLog,
  setLevel,
} from "./log.ts";

let dir: string;
let file: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-log-"));
  file = join(dir, "criu.log");
  openLog({ output: "/dev/null" }); // whatever waits from elsewhere goes there
  closeLog();
  setLevel(DEFAULT_LEVEL);
  forgetFirstError();
});

afterEach(() => {
  closeLog();
  setLevel(DEFAULT_LEVEL);
  rmSync(dir, { recursive: true });
});

function content(path = file): string {
  return readFileSync(path, "utf8");
}

function sayAll(): void {
  log.error("files/pipe", "no such pipe");
  log.warn("dump", "odd");
  log.info("mnt", "a mount");
  log.debug("mnt", "its parent");
}

test("by default errors and warnings are written, without times", () => {
  openLog({ output: file });
  sayAll();
  expect(content()).toBe("Error (files/pipe): no such pipe\nWarn  (dump): odd\n");
});

test.each([
  [0, 0],
  [1, 1],
  [2, 2],
  [3, 3],
  [4, 4],
  [5, 4],
])("level %i writes %i of four lines", (level, lines) => {
  setLevel(level);
  openLog({ output: file });
  sayAll();
  expect(content().split("\n").length - 1).toBe(lines);
  expect([1, 2, 3, 4].filter((each) => log.enabled(each)).length).toBe(lines);
});

test("from level 3 every line has a time of twelve columns, and only errors and warnings a level word", () => {
  setLevel(4);
  openLog({ output: file });
  sayAll();
  const lines = content().trimEnd().split("\n");
  for (const line of lines) expect(line).toMatch(/^\(00\.\d{6}\) \S/);
  expect(lines.map((line) => line.slice(12))).toEqual([
    "Error (files/pipe): no such pipe",
    "Warn  (dump): odd",
    "mnt: a mount",
    "mnt: its parent",
  ]);
});

test.each([
  [0, "(00.000000) "],
  [12.345_678, "(00.012345) "],
  [59_999.999, "(59.999999) "],
  [61_000.001, "(61.000001) "],
  [123_456.789_012, "(123.45678) "],
])("%f ms after the start is %s", (ms, time) => {
  setLevel(3);
  const clock = spyOn(performance, "now").mockReturnValue(1000);
  try {
    openLog({ output: file });
    clock.mockReturnValue(1000 + ms + 0.0001);
    log.info("", "x");
  } finally {
    clock.mockRestore();
  }
  expect(content()).toBe(`${time}x\n`);
});

test("a line without a place is its text", () => {
  setLevel(3);
  openLog({ output: file });
  log.info("", "Running on a machine");
  expect(content().slice(12)).toBe("Running on a machine\n");
});

test("what is said before the log is opened comes first, and only what the level lets through", () => {
  sayAll();
  setLevel(3);
  openLog({ output: file });
  log.info("mnt", "later");
  const lines = content().split("\n");
  expect(lines.slice(0, 3)).toEqual([
    "Error (files/pipe): no such pipe",
    "Warn  (dump): odd",
    "(00.000000) mnt: a mount",
  ]);
  expect(lines[3]).toMatch(/^\(00\.\d{6}\) mnt: later$/);
});

test("the early buffer is bounded, keeps errors longest, and says that something is missing", () => {
  for (let i = 0; i < 5000; i++) log.debug("noise", "x".repeat(100));
  log.error("dump", "what counts");
  setLevel(4);
  openLog({ output: file });
  expect(content().length).toBeLessThan(140 * 1024);
  expect(content()).toContain("Error (dump): what counts\n");
  expect(content()).toMatch(/Warn {2}\(log\): .*lost\n$/);
});

test("the file is emptied, private, and appended to", () => {
  openLog({ output: file });
  log.error("a", "1");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  openLog({ output: file });
  log.error("a", "2");
  expect(content()).toBe("Error (a): 2\n");
});

test("a log that cannot be opened throws and leaves the former one in place", () => {
  openLog({ output: file });
  expect(() => openLog({ output: join(dir, "no", "such") })).toThrow("ENOENT");
  log.error("a", "still here");
  expect(content()).toBe("Error (a): still here\n");
});

test("a full log does not stop the work", () => {
  openLog({ output: "/dev/full" });
  expect(() => log.warn("a", "lost")).not.toThrow();
  closeLog();
});

test("an error that a full log does not take is told on standard error, once", () => {
  const script = join(dir, "script.ts");
  writeFileSync(
    script,
    `import { log, openLog } from ${JSON.stringify(join(import.meta.dir, "log.ts"))};
    log.error("early", "one");
    openLog({ output: "/dev/full" });
    log.warn("late", "two");
    log.error("late", "three");`,
  );
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, script]);
  expect([exitCode, stderr.toString()]).toEqual([0, "Error (early): one\nError (late): three\n"]);
});

test("lines about a restored process carry its pid in six columns", () => {
  openLog({ output: file });
  log.forPid(1234).error("restore", "no");
  log.forPid(1234567).warn("restore", "hm");
  setLevel(3);
  log.forPid(1).info("restore", "well");
  expect(content().replace(/\(00\.\d{6}\)/, "(time)")).toBe(
    "  1234: Error (restore): no\n1234567: Warn  (restore): hm\n(time)      1: restore: well\n",
  );
});

test("with perPid each process has a file of its own", () => {
  openLog({ output: file, perPid: true });
  log.forPid(7).error("restore", "no");
  log.forPid(7).error("restore", "again");
  log.error("restore", "failed");
  expect(readdirSync(dir).sort()).toEqual(["criu.log", "criu.log.7"]);
  expect(content(`${file}.7`)).toBe("Error (restore): no\nError (restore): again\n");
  expect(content()).toBe("Error (restore): failed\n");
});

test("the first error is kept, whatever the level", () => {
  setLevel(Level.none);
  openLog({ output: file });
  expect(firstError()).toBeUndefined();
  log.warn("a", "not this");
  log.error("a", "this");
  log.error("a", "nor this");
  expect(firstError()).toBe("Error (a): this");
  expect(content()).toBe("");
  forgetFirstError();
  expect(firstError()).toBeUndefined();
});

test("text that costs something is not made when nobody reads it", () => {
  openLog({ output: file });
  let made = 0;
  const text = () => `made ${++made}`;
  log.debug("a", text);
  log.info("a", text);
  expect(made).toBe(0);
  log.warn("a", text);
  expect(content()).toBe("Warn  (a): made 1\n");
});

test("a message stays one line and cannot drive a terminal", () => {
  openLog({ output: file });
  log.error("files", "path \u001b[2Jx\ny\tz\u009b\n");
  expect(content()).toBe("Error (files): path \\x1b[2Jx\\ny\tz\\x9b\n");
});

test("without a file lines go to standard error, and early ones are not lost when no log is ever opened", () => {
  const source = `
    import { log, openLog, closeLog, say } from ${JSON.stringify(join(import.meta.dir, "log.ts"))};
    log.error("early", "one");
    if (process.argv[2] === "open") openLog();
    if (process.argv[2] === "stdout") openLog({ output: "-" });
    log.error("late", "two");
    say("answer\\n");
    closeLog();
  `;
  const script = join(dir, "script.ts");
  writeFileSync(script, source);
  for (const [mode, stdout] of [
    ["open", "answer\n"],
    ["never", "answer\n"],
    ["stdout", "Error (early): one\nError (late): two\nanswer\n"],
  ] as const) {
    const ran = Bun.spawnSync([process.execPath, script, mode]);
    expect(ran.stdout.toString()).toBe(stdout);
    expect(ran.stderr.toString()).toBe(mode === "stdout" ? "" : "Error (early): one\nError (late): two\n");
  }
});

test("the level is what was set", () => {
  setLevel(3);
  expect(getLevel()).toBe(3);
});
