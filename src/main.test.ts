/** The executable as others see it: streams, exit codes, descriptors, directories. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VERSION } from "./version.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-main-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: string[], options: { env?: Record<string, string>; shell?: string } = {}): Ran {
  const words = [process.execPath, join(import.meta.dir, "main.ts"), ...args];
  const command = options.shell === undefined ? words : ["sh", "-c", options.shell, "sh", ...words];
  const env = { PATH: process.env.PATH ?? "", HOME: dir, ...options.env };
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: dir, env });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("--version", () => {
  test.each([[["--version"]], [["-V"]], [["dump", "-V"]], [["-v4", "--version"]]])("%j", (args) => {
    const { code, stdout, stderr } = run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(`Version: 4.2\ncriu-ts: ${VERSION}\n`);
    // How engines of old read it: the first line, a number of two or three parts, and a GitID if there is one.
    expect(stdout).toMatch(/^Version: \d+\.\d+(\.\d+)?\n/);
    expect(stdout).not.toContain("GitID");
  });
});

test("--help goes to standard output", () => {
  const { code, stdout, stderr } = run(["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toStartWith("Usage: criu ");
});

test("a reader that goes away is no error", () => {
  expect(run(["--help"], { shell: '"$@" | head -n 1 && echo well' }).stdout).toEndWith("well\n");
});

describe("what cannot be done is one line on standard error, and exit 1", () => {
  test.each([
    [[], "a command is needed; criu --help lists them"],
    [["bogus"], "unknown command bogus"],
    [["dump", "--bogus"], "unknown option --bogus"],
    [["dump", "-v0", "--bogus"], "unknown option --bogus"],
    [["dump", "-v0"], "dump needs the pid of a process: --tree PID"],
    [["dump", "-v4"], "dump needs the pid of a process: --tree PID"],
    [["restore", "--stream"], "the option --stream is known but not built yet for restore"],
    [["lazy-pages"], "the command lazy-pages is known but not built yet"],
    [["restore", "-D", "none"], "cannot open --images-dir none: ENOENT"],
    [["restore", "-D", "/dev/null"], "--images-dir /dev/null is not a directory"],
    [["restore", "-W", "none"], "cannot open --work-dir none: ENOENT"],
    [["restore", "-o", "no/such"], /^cannot open --log-file no\/such in .*: ENOENT$/],
    [["restore", "-v0", "-o", "."], /^cannot open --log-file \. in .*: EISDIR$/],
    [["restore", "--inherit-fd", "fd[77]:x"], "--inherit-fd fd[77]:x: descriptor 77 is not open"],
    [["restore", "--config", "none"], "cannot read the configuration file none: ENOENT"],
  ] as [string[], string | RegExp][])("%j", (args, message) => {
    const { code, stdout, stderr } = run(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    const [line, rest] = stderr.split("\n");
    expect(rest).toBe("");
    expect(line).toStartWith("Error (criu): ");
    const said = line?.slice("Error (criu): ".length);
    if (typeof message === "string") expect(said).toBe(message);
    else expect(said).toMatch(message);
  });
});

/** Runs a procedure of the test's own in place of dump and restore, through what the executable runs. */
function runProcedure(body: string, args: string[], options: { shell?: string } = {}): Ran {
  const script = join(dir, "procedure.ts");
  const at = (name: string) => JSON.stringify(join(import.meta.dir, name));
  writeFileSync(
    script,
    `import { run } from ${at("cli/run.ts")};
    import { log, say } from ${at("log.ts")};
    import * as fs from "node:fs";
    const procedure = async (options) => { ${body} };
    process.exit(await run(process.argv.slice(2), { dump: async () => procedure, restore: async () => procedure }));`,
  );
  const words = [process.execPath, script, ...args];
  const command = options.shell === undefined ? words : ["bash", "-c", options.shell, "bash", ...words];
  const ran = Bun.spawnSync(command, { cwd: dir, env: { PATH: process.env.PATH ?? "", HOME: dir } });
  return { code: ran.exitCode, stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
}

describe("a procedure", () => {
  test("runs in the work directory, with absolute paths and the log there", () => {
    mkdirSync(join(dir, "i"));
    mkdirSync(join(dir, "w"));
    const body =
      'log.info("dump", "here"); say(JSON.stringify([process.cwd(), options.imagesDir, options.workDir])); return 0;';
    const { code, stdout, stderr } = runProcedure(body, [
      "dump",
      "-t1",
      "-D",
      "i",
      "-W",
      "w/",
      "-o",
      "l",
      "-v3",
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const real = (name: string) => join(dir, name);
    expect(JSON.parse(stdout)).toEqual([real("w"), real("i"), real("w")]);
    const lines = readFileSync(real("w/l"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => line.replace(/^\(00\.\d{6}\) /, ""))).toEqual([
      `Version: 4.2 (criu-ts ${VERSION})`,
      expect.stringMatching(/^Running on \S+ Linux \S+ .* \S+$/),
      "dump: here",
    ]);
  });

  test("works in the images' directory when no other is given, and logs to standard error", () => {
    mkdirSync(join(dir, "i2"));
    const body = 'log.error("dump", "hm"); say(process.cwd()); return 3;';
    const ran = runProcedure(body, ["dump", "-t1", "-D", "i2"]);
    expect(ran).toEqual({ code: 3, stdout: join(dir, "i2"), stderr: "Error (dump): hm\n" });
  });

  test("that throws is an error in the log, not on the terminal, and exit 1", () => {
    const ran = runProcedure('throw new Error("pipe 5 of process 7 broke")', ["dump", "-t1", "-o", "log"]);
    expect(ran).toEqual({ code: 1, stdout: "", stderr: "" });
    expect(readFileSync(join(dir, "log"), "utf8")).toBe("Error (criu): pipe 5 of process 7 broke\n");
  });

  test("is warned of what is odd", () => {
    const { stderr } = runProcedure("return 0", ["restore", "-t", "1"]);
    expect(stderr).toBe("Warn  (cli): restore has no use for --tree\n");
  });

  test("finds the descriptors of --close closed, but for the runtime's own", () => {
    const body =
      'for (const fd of [20, 21]) say(fs.existsSync("/proc/self/fd/" + fd) ? "open " : "closed "); return 0;';
    const all = Array.from({ length: 20 }, (_, fd) => ["--close", String(fd + 3)]).flat();
    const shell = 'exec 20</dev/null 21</dev/null; "$@"';
    expect(runProcedure(body, ["restore", "--close", "21"], { shell }).stdout).toBe("open closed ");
    expect(runProcedure(body, ["restore", ...all], { shell })).toEqual({
      code: 0,
      stdout: "closed closed ",
      stderr: "",
    });
  });

  test("gets the descriptors of --inherit-fd only if somebody handed them over", () => {
    const shell = 'exec 20</dev/null; "$@"';
    const body = "say(options.inheritFd[0]); return 0;";
    expect(runProcedure(body, ["restore", "--inherit-fd", "fd[20]:pipe[3]"], { shell })).toEqual({
      code: 0,
      stdout: "fd[20]:pipe[3]",
      stderr: "",
    });
    // 3 is free here, so the runtime took it for its own
    const runtime = runProcedure(body, ["restore", "--inherit-fd", "fd[3]:pipe[3]"], {
      shell: 'exec 3<&-; "$@"',
    });
    expect(runtime.stderr).toBe("Error (criu): --inherit-fd fd[3]:pipe[3]: descriptor 3 is not open\n");
  });

  test("leaves what it logged behind when it is killed", () => {
    const body = 'log.error("dump", "last words"); process.kill(process.pid, "SIGKILL"); return 0;';
    runProcedure(body, ["dump", "-t1", "-o", "killed"]);
    expect(readFileSync(join(dir, "killed"), "utf8")).toBe("Error (dump): last words\n");
  });
});

test("an option of --config reaches the command", () => {
  writeFileSync(join(dir, "c"), 'log-file "a log"\nverbosity 4 # all of it\n');
  run(["restore", "--config=c", "--images-dir", dir]);
  expect(existsSync(join(dir, "a log"))).toBe(true);
  expect(readFileSync(join(dir, "a log"), "utf8")).toContain("(00.000000) config: reading c\n");
});
