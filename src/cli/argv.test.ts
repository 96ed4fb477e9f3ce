import { describe, expect, test } from "bun:test";
import { OptionError } from "../options.ts";
import { findCommand, parseWords } from "./argv.ts";

/** What was understood, in short: `tree=1`, `verbosity`, `no display-stats`, then the words. */
function read(line: string): string[] {
  const { given, words } = parseWords(line === "" ? [] : line.split(" "));
  return [
    ...given.map(
      ({ option, text, on }) => `${on ? "" : "no "}${option.long}${text === undefined ? "" : `=${text}`}`,
    ),
    "|",
    ...words,
  ];
}

describe("words are read as getopt_long reads them", () => {
  test.each([
    ["", "|"],
    ["dump", "| dump"],
    // options and words in any order
    ["dump -t 1 -D d", "tree=1 images-dir=d | dump"],
    ["-t 1 dump -D d", "tree=1 images-dir=d | dump"],
    ["-v4 -D d dump --tree 1", "verbosity=4 images-dir=d tree=1 | dump"],
    ["cpuinfo -v dump", "verbosity | cpuinfo dump"],
    // the end of the options
    ["restore -d -- -t 1 --x", "restore-detached | restore -t 1 --x"],
    ["dump -- -- -", "| dump -- -"],
    ["dump -", "| dump -"],
    // an argument that looks like an option
    ["dump -D -t", "images-dir=-t | dump"],
    ["dump --images-dir --tree", "images-dir=--tree | dump"],
    ["dump -D --", "images-dir=-- | dump"],
    ["dump -D=x", "images-dir==x | dump"],
    // bundles
    ["restore -dD dir", "restore-detached images-dir=dir | restore"],
    ["restore -dDdir", "restore-detached images-dir=dir | restore"],
    ["restore -dSv3", "restore-detached restore-sibling verbosity=3 | restore"],
    ["dump -Rt5", "leave-running tree=5 | dump"],
    // optional arguments stand attached
    ["dump -v", "verbosity | dump"],
    ["dump -vvv", "verbosity=vv | dump"],
    ["dump -v3", "verbosity=3 | dump"],
    ["-v 3 dump", "verbosity | 3 dump"],
    ["dump --verbosity=3", "verbosity=3 | dump"],
    ["--verbosity dump", "verbosity | dump"],
    ["dump --cpu-cap=all", "cpu-cap=all | dump"],
    ["dump --cpu-cap", "cpu-cap | dump"],
    ["--cpu-cap dump", "cpu-cap | dump"],
    ["dump --manage-cgroups=soft", "manage-cgroups=soft | dump"],
    ["dump --file-validation=buildid", "file-validation=buildid | dump"],
    ["dump --file-validation=", "file-validation= | dump"],
    ["dump -x1,2", "ext-unix-sk=1,2 | dump"],
    ["dump -x -t 1", "ext-unix-sk tree=1 | dump"],
    // ... or are the next word, if the option knows it
    ["dump --file-validation filesize -t 1", "file-validation=filesize tree=1 | dump"],
    ["--file-validation dump", "file-validation | dump"],
    ["dump --file-validation -t 1", "file-validation tree=1 | dump"],
    ["dump --file-validation", "file-validation | dump"],
    ["dump --manage-cgroups ignore", "manage-cgroups=ignore | dump"],
    ["dump --cpu-cap cpu,^ins", "cpu-cap=cpu,^ins | dump"],
    // long ones
    ["dump --tree=1", "tree=1 | dump"],
    ["dump --tree=", "tree= | dump"],
    ["dump --tree 1", "tree=1 | dump"],
    ["dump --images-dir=a=b", "images-dir=a=b | dump"],
    // shortened
    ["dump --leave-run", "leave-running | dump"],
    ["dump --tre 1", "tree=1 | dump"],
    ["dump --conf=f", "config=f | dump"],
    ["dump --h", "help | dump"],
    ["dump --ghost-l 1", "ghost-limit=1 | dump"],
    ["restore --no-restore-d", "no restore-detached | restore"],
    // whole ones are meant even where others begin like them
    ["dump --cgroup-props x", "cgroup-props=x | dump"],
    ["dump --tls", "tls | dump"],
    ["dump --no-tls", "no tls | dump"],
    // opposites
    ["dump --no-display-stats", "no display-stats | dump"],
    ["dump --no-default-config", "no-default-config | dump"],
  ])("%s", (line, understood) => {
    expect(read(line).join(" ")).toBe(understood);
  });

  test.each([
    ["dump --bogus", "unknown option --bogus"],
    ["dump --bogus=1", "unknown option --bogus"],
    ["dump --", ""],
    ["dump --=x", "unknown option --"],
    ["dump -q", "unknown option -q"],
    ["dump -vq", ""], // an argument of -v, refused later as a value
    ["dump -Rq", "unknown option -q"],
    ["dump -?", "unknown option -?"],
    ["dump --leave", "option --leave could be --leave-running or --leave-stopped"],
    ["dump --file", "option --file could be --file-locks or --file-validation"],
    ["dump --no-ex", "option --no-ex could be --no-extra or --no-experimental"],
    ["dump --no-tree", "unknown option --no-tree"],
    ["dump --no-verbosity", "unknown option --no-verbosity"],
    ["dump -t", "option -t needs an argument"],
    ["dump -Rt", "option -t needs an argument"],
    ["dump --tree", "option --tree needs an argument"],
    ["dump --leave-running=1", "option --leave-running takes no argument"],
    ["dump --no-display-stats=1", "option --no-display-stats takes no argument"],
  ])("%s: %s", (line, message) => {
    if (message === "") expect(() => read(line)).not.toThrow();
    else expect(() => read(line)).toThrow(new OptionError(message));
  });

  test("an empty word is a word, and an empty argument an argument", () => {
    const { given, words } = parseWords(["dump", "", "-o", ""]);
    expect(words).toEqual(["dump", ""]);
    expect(given.map((each) => each.text)).toEqual([""]);
  });
});

describe("the command", () => {
  test.each([
    ["dump", "dump", []],
    ["cpuinfo dump", "cpuinfo dump", []],
    ["cpuinfo check x", "cpuinfo check", ["x"]],
    ["swrk 3", "swrk", ["3"]],
    ["restore a b", "restore", ["a", "b"]],
  ])("%s", (line, command, rest) => {
    expect(findCommand(line.split(" "))).toEqual({ command, rest } as never);
  });

  test.each([
    [[], "a command is needed; criu --help lists them"],
    [["dum"], "unknown command dum; is dump meant?"],
    [["Dump"], "unknown command Dump; is dump meant?"],
    [["cpuinfo"], "cpuinfo needs to be told: dump or check"],
    [["cpuinfo", "x"], "unknown command cpuinfo x"],
  ])("%j: %s", (words, message) => {
    expect(() => findCommand(words)).toThrow(new OptionError(message));
  });
});
