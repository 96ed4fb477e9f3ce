import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OptionError } from "../options.ts";
import { configFiles, parseConfig, parseLine, readConfig } from "./config.ts";

describe("a line", () => {
  test.each([
    ["", undefined],
    ["   \t ", undefined],
    ["# a comment", undefined],
    ["   # a comment", undefined],
    ["#tree 1", undefined],
    ["tcp-established", ["tcp-established"]],
    ["  tcp-established  ", ["tcp-established"]],
    ["tcp-established # why", ["tcp-established"]],
    ["tcp-established# why", ["tcp-established"]],
    ["tcp-established\r", ["tcp-established"]],
    ["work-dir /tmp", ["work-dir", "/tmp"]],
    ["work-dir\t/tmp", ["work-dir", "/tmp"]],
    ["work-dir  \t /tmp  # there", ["work-dir", "/tmp"]],
    ["work-dir /tmp#there", ["work-dir", "/tmp"]],
    ["work-dir # nowhere", ["work-dir"]],
    ["work-dir=/tmp", ["work-dir", "/tmp"]],
    ["external mnt[/a]:b=c", ["external", "mnt[/a]:b=c"]],
    ['work-dir "/a dir with blanks"', ["work-dir", "/a dir with blanks"]],
    ['work-dir "/a dir" # there', ["work-dir", "/a dir"]],
    ['work-dir "/a dir"# there', ["work-dir", "/a dir"]],
    ['work-dir "/a#b"', ["work-dir", "/a#b"]],
    ['lsm-profile ""', ["lsm-profile", ""]],
    ['lsm-profile "" # none', ["lsm-profile", ""]],
    ['work-dir "/my \\"work\\" dir"', ["work-dir", '/my "work" dir']],
    ['work-dir \\"x\\"', ["work-dir", '"x"']],
    ['work-dir "/a\\tb\\\\c\\n"', ["work-dir", "/a\\tb\\\\c\\n"]],
    ['work-dir="/a b"', ["work-dir", "/a b"]],
  ] as [string, string[] | undefined][])("%j", (line, statement) => {
    const found = parseLine(line);
    if (statement === undefined) expect(found).toBeUndefined();
    else expect(found).toEqual({ name: statement[0] ?? "", text: statement[1] });
  });

  test.each([
    ['work-dir "', "the quote is not closed"],
    ['work-dir "/a', "the quote is not closed"],
    ['work-dir "/a\\"', "the quote is not closed"],
    ['work-dir "/a" b', "more than one argument"],
    ['work-dir "/a"b', "more than one argument"],
    ["work-dir /a b", "more than one argument"],
    ["work-dir /a b # c", "more than one argument"],
    ["a b c d", "more than one argument"],
    ["=x", "expected the name of an option"],
  ])("%j: %s", (line, message) => {
    expect(() => parseLine(line)).toThrow(message);
  });
});

describe("a file", () => {
  test("becomes options in their order", () => {
    const given = parseConfig("# all of it\nverbosity 4\nno-restore-sibling   # off\n\nleave-run\n", "f");
    expect(given.map(({ option, text, on, as }) => [option.long, text, on, as])).toEqual([
      ["verbosity", "4", true, "f:2"],
      ["restore-sibling", undefined, false, "f:3"],
      ["leave-running", undefined, true, "f:5"],
    ]);
  });

  test("may give optional arguments after a blank", () => {
    const [mode, caps, bare] = parseConfig("manage-cgroups ignore\ncpu-cap cpu\nfile-validation", "f");
    expect([mode?.text, caps?.text, bare?.text]).toEqual(["ignore", "cpu", undefined]);
  });

  test.each([
    ["verbosity 4\nbogus 1", "f:2: unknown option bogus"],
    ["--tree 1", "f:1: options stand without dashes here: --tree"],
    ["-t 1", "f:1: options stand without dashes here: -t"],
    ["\n\ndump", "f:3: a command cannot stand here: dump"],
    ["check", "f:1: a command cannot stand here: check"],
    ["exec", "f:1: a command cannot stand here: exec"],
    ["cpuinfo", "f:1: a command cannot stand here: cpuinfo"],
    ["tcp-close yes", "f:1: option tcp-close takes no argument"],
    ["no-tcp-close yes", "f:1: option no-tcp-close takes no argument"],
    ["work-dir", "f:1: option work-dir needs an argument"],
    ["leave", "f:1: option leave could be --leave-running or --leave-stopped"],
    ['work-dir "x', "f:1: the quote is not closed"],
  ])("%j: %s", (content, message) => {
    expect(() => parseConfig(content, "f")).toThrow(new OptionError(message));
  });

  test("page-server and lazy-pages are options as well as commands", () => {
    expect(parseConfig("page-server\nlazy-pages", "f").map((each) => each.option.long)).toEqual([
      "page-server",
      "lazy-pages",
    ]);
  });
});

describe("the files", () => {
  const none = { config: undefined, noDefaultConfig: false };

  test.each([
    [none, {}, ["/etc/criu/default.conf"]],
    [none, { HOME: "/h" }, ["/etc/criu/default.conf", "/h/.criu/default.conf"]],
    [none, { HOME: "/h", CRIU_CONFIG_FILE: "e" }, ["/etc/criu/default.conf", "/h/.criu/default.conf", "e"]],
    [{ config: "c", noDefaultConfig: false }, { HOME: "/h", CRIU_CONFIG_FILE: "e" }, ["e", "c"]],
    [{ config: undefined, noDefaultConfig: true }, { HOME: "/h" }, []],
    [{ config: "c", noDefaultConfig: true }, {}, ["c"]],
  ])("%j with %j", (chosen, env, paths) => {
    expect(configFiles(chosen, env).map((file) => file.path)).toEqual(paths);
  });

  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "criu-ts-config-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test("need not be there unless somebody named them", () => {
    const path = join(dir, "none.conf");
    expect(readConfig({ path, named: false })).toEqual([]);
    expect(() => readConfig({ path, named: true })).toThrow(
      `cannot read the configuration file ${path}: ENOENT`,
    );
    expect(() => readConfig({ path: dir, named: false })).toThrow("EISDIR");
  });

  test("are read", () => {
    const path = join(dir, "some.conf");
    writeFileSync(path, "tree 5");
    expect(readConfig({ path, named: true }).map((each) => each.as)).toEqual([`${path}:1`]);
  });
});
