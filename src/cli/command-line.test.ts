import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS, defaultOptions, OPTIONS, OptionError, type Options } from "../options.ts";
import { type Request, readCommandLine } from "./command-line.ts";
import { helpOn, helpText } from "./help.ts";

/** Reads a line without the configuration files of the machine. */
function read(line: string, env = {}): Request {
  const request = readCommandLine(["--no-default-config", ...line.split(" ").filter(Boolean)], env);
  if (request === "version" || "help" in request) throw new Error(`it asks for ${request}`);
  return request;
}

describe("a request", () => {
  test.each([
    ["dump -t 5", "dump", { tree: 5 }],
    ["-v4 dump -t 5 -R -D d", "dump", { tree: 5, leaveRunning: true, verbosity: 4, imagesDir: "d" }],
    ["dump -t 5 -vvv --ghost-limit 2M", "dump", { tree: 5, verbosity: 5, ghostLimit: 2 << 20 }],
    [
      "restore -dSs",
      "restore",
      { restoreDetached: true, daemon: true, restoreSibling: true, leaveStopped: true },
    ],
    ["restore -t 5 --ghost-limit 1", "restore", { tree: 5, ghostLimit: 1 }],
    ["dump -t 5 --log-pid", "dump", { tree: 5, logPid: true }],
    [
      "restore -s -W w -o l --pidfile p",
      "restore",
      { leaveStopped: true, workDir: "w", logFile: "l", pidfile: "p" },
    ],
    ["dump -t 1 -t 2", "dump", { tree: 2 }],
    ["dump -t 1 --no-tcp-established", "dump", { tree: 1 }],
    ["dump -t 1 --tcp-established --no-tcp-established", "dump", { tree: 1 }],
  ] as [string, string, Partial<Options>][])("%s", (line, command, some) => {
    expect(read(line)).toEqual({
      command,
      rest: [],
      options: { ...defaultOptions(), noDefaultConfig: true, ...some },
    } as Request);
  });

  test.each([
    ["", "a command is needed; criu --help lists them"],
    ["dumb", "unknown command dumb; is dump meant?"],
    ["dump", "dump needs the pid of a process: --tree PID"],
    ["dump restore -t 1", "dump takes no further words: restore"],
    ["dump -t x", 'invalid argument "x" for -t: expected a number from 1 up'],
    ["restore -S", "--restore-sibling makes sense only with --restore-detached"],
    ["dump -t 1 --inherit-fd fd[0]:x", "--inherit-fd is for restore, not for dump"],
  ])("%s: %s", (line, message) => {
    expect(() => read(line)).toThrow(new OptionError(message));
  });

  test.each([["-h"], ["--help"], ["dump --bogus -h"], ["-h --config /no/such"], ["--he"]])("%s", (line) => {
    expect(readCommandLine(line.split(" "), {})).toEqual({ help: [] });
  });

  test("-h after -- is no longer a question", () => {
    expect(() => read("dump -t 1 -- -h")).toThrow("dump takes no further words: -h");
  });

  test.each([["-V"], ["--vers"], ["dump -V"]])("%s", (line) => {
    expect(readCommandLine(line.split(" "), { HOME: "/nonexistent" })).toBe("version");
  });
});

describe("what is known but not built", () => {
  test.each(COMMANDS.filter((command) => !command.built).map((command) => [command.name]))(
    "%s says so",
    (name) => {
      expect(() => read(`${name} -t 1`)).toThrow(`the command ${name} is known but not built yet`);
    },
  );

  test.each([
    ["dump -t 1 --stream", "the option --stream is known but not built yet for dump"],
    ["restore --stream", "the option --stream is known but not built yet for restore"],
    [
      "restore --stream --auto-dedup --stream",
      "the options --stream, --auto-dedup are known but not built yet for restore",
    ],
  ])("%s: %s", (line, message) => {
    expect(() => read(line)).toThrow(new OptionError(message));
  });

  /** A valid argument for each option that needs one. */
  const sample: Record<string, string> = {
    "inherit-fd": "fd[0]:x",
    "veth-pair": "a=b",
    "join-ns": "net:1",
    "empty-ns": "net",
    "ext-mount-map": "auto",
    external: "mnt[]",
    "pre-dump-mode": "read",
    "network-lock": "skip",
  };
  const asked = (["dump", "restore"] as const).flatMap((command) =>
    OPTIONS.filter(({ commands, built }) => commands.includes(command) && !built.includes(command)).map(
      (option) => [command === "dump" ? "dump -t 1" : command, option] as const,
    ),
  );
  test.each(asked)("%s with each such option says so", (line, option) => {
    const argument = option.argument === "required" ? ` ${sample[option.long] ?? "1"}` : "";
    expect(() => read(`${line} --${option.long}${argument}`)).toThrow(/known but not built yet/);
  });
});

describe("configuration files", () => {
  let dir: string;
  let home: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "criu-ts-home-"));
    home = join(dir, "home");
    mkdirSync(join(home, ".criu"), { recursive: true });
    writeFileSync(join(home, ".criu/default.conf"), "verbosity 1\nghost-limit 1K\ndisplay-stats\ntree 1\n");
    writeFileSync(join(dir, "env.conf"), "verbosity 3\nghost-limit 2K\ninherit-fd fd[0]:a\n");
    writeFileSync(join(dir, "some.conf"), "verbosity 4\ninherit-fd fd[0]:b\n");
    writeFileSync(join(dir, "bad.conf"), "verbosity 4\ntree zero # no\n");
    writeFileSync(join(dir, "unbuilt.conf"), "stream\n");
    writeFileSync(join(dir, "help.conf"), "help\n");
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  function options(line: string, env: Record<string, string>): Options {
    const request = readCommandLine(line.split(" "), env);
    if (request === "version" || "help" in request) throw new Error(`it asks for ${request}`);
    return request.options;
  }

  // These leave out /etc/criu/default.conf, which a machine may have, by way of what overrides it.
  test("the user's is read, and the command line overrides it", () => {
    expect(options("dump -v4 --no-display-stats", { HOME: home })).toMatchObject({
      tree: 1,
      verbosity: 4,
      ghostLimit: 1024,
      displayStats: false,
    });
  });

  test("the environment's comes after, and lists add up", () => {
    const env = { HOME: home, CRIU_CONFIG_FILE: join(dir, "env.conf") };
    expect(options("restore --inherit-fd fd[0]:c", env)).toMatchObject({
      verbosity: 3,
      ghostLimit: 2048,
      displayStats: true,
      inheritFd: ["fd[0]:a", "fd[0]:c"],
    });
  });

  test("--config stands in for the default ones, after the environment's", () => {
    const env = { HOME: home, CRIU_CONFIG_FILE: join(dir, "env.conf") };
    expect(options(`restore --config ${join(dir, "some.conf")}`, env)).toMatchObject({
      verbosity: 4,
      ghostLimit: 2048,
      displayStats: false,
      inheritFd: ["fd[0]:a", "fd[0]:b"],
    });
  });

  test("--no-default-config leaves them out", () => {
    expect(options("dump -t 2 --no-default-config", { HOME: home })).toMatchObject({ verbosity: 2 });
  });

  test("-v adds to what a file says", () => {
    expect(options(`restore -v --conf=${join(dir, "some.conf")} --no-default`, {}).verbosity).toBe(5);
  });

  test("what is wrong in one is said with file and line", () => {
    const path = join(dir, "bad.conf");
    expect(() => options(`dump --config=${path}`, {})).toThrow(
      new OptionError(`invalid argument "zero" for ${path}:2: tree: expected a number from 1 up`),
    );
  });

  test("what is not built is refused from there too, unless turned off again", () => {
    const line = `dump -t 1 --config=${join(dir, "unbuilt.conf")}`;
    expect(() => options(line, {})).toThrow("--stream is known but not built yet");
    expect(options(`${line} --no-stream`, {}).stream).toBe(false);
  });

  test("help may be asked for there", () => {
    expect(readCommandLine(["--config", join(dir, "help.conf")], {})).toEqual({ help: [] });
  });
});

describe("help on", () => {
  test.each(OPTIONS.filter(({ help }) => help !== "").map(({ long }) => [long]))("%s", (long) => {
    const text = helpOn([`--${long}`]);
    // Two are called as a command is.
    if (!COMMANDS.some(({ name }) => name === long)) expect(helpOn([long])).toBe(text);
    expect(text).toContain(`--${long}`);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(130);
  });

  test.each(COMMANDS.filter(({ help }) => help !== "").map(({ name }) => [name]))("%s", (name) => {
    expect(helpOn(name.split(" "))).toStartWith(`Usage: criu ${name}`);
  });

  test("a section, a letter, and what is no topic", () => {
    expect(helpOn(["memory"])).toMatch(/^Memory\n/);
    expect(helpOn(["-t"])).toStartWith("-t, --tree PID\n");
    expect(helpOn(["network-lock"])).toContain("If not given: iptables");
    expect(() => helpOn(["nonsense"])).toThrow(
      "there is no help on nonsense; topics are commands, options, and common,",
    );
    expect(readCommandLine(["help", "dump"], {})).toEqual({ help: ["dump"] });
  });
});

describe("the help", () => {
  const text = helpText();

  test("names every option and every command that are more than a memory, in lines that fit", () => {
    for (const option of OPTIONS) {
      if (option.help !== "") expect(text).toContain(` --${option.long}`);
    }
    for (const command of COMMANDS) if (command.help !== "") expect(text).toContain(`  ${command.name} `);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(130);
    expect(text).toEndWith("\n");
  });

  test("marks what is not built", () => {
    expect(text).toMatch(/--stream .*\(not built yet\)\n/);
    expect(text).not.toMatch(/--leave-running .*\(not built yet\)\n/);
    expect(text).toMatch(/ {2}lazy-pages .*\(not built yet\)\n/);
  });
});
