import { describe, expect, test } from "bun:test";
import {
  COMMANDS,
  type Command,
  CpuCap,
  contradiction,
  defaultOptions,
  isBuilt,
  keyOf,
  makeOptions,
  OPTIONS,
  type Option,
  OptionError,
  type Options,
  parseInheritFd,
  withGiven,
} from "./options.ts";

/** Long flags that criu(8) names. */
const OF_THE_PAGE = `
  verbosity config no-default-config pidfile log-file display-stats images-dir stream prev-images-dir work-dir
  close libdir enable-fs action-script version help track-mem pre-dump-mode tree leave-running leave-stopped
  external freeze-cgroup manage-cgroups cgroup-props cgroup-props-file cgroup-dump-controller cgroup-yard
  tcp-established tcp-close skip-in-flight evasive-devices page-server force-irmap auto-dedup file-locks
  link-remap ghost-limit shell-job cpu-cap cgroup-root lazy-pages file-validation inherit-fd restore-detached
  restore-sibling log-pid root veth-pair lsm-profile weak-sysctls extra experimental all feature daemon
  status-fd address port ps-socket tls-cacert tls-cacrl tls-cert tls-key tls`;

/** Long flags that CRIU 4.2 accepts beyond these. */
const BEYOND_THE_PAGE = `
  join-ns ext-unix-sk ms ext-mount-map exec-cmd skip-mnt enable-external-sharing enable-external-masters
  irmap-scan-path timeout empty-ns deprecated tls-no-cn-verify skip-file-rwx-check lsm-mount-context network-lock
  mntns-compat-mode unprivileged ghost-fiemap allow-uprobes`;

/** Flags of CRIU 4.2 that have a no- form. */
const NEGATABLE = `
  restore-detached restore-sibling daemon tcp-established log-pid evasive-devices link-remap shell-job file-locks
  page-server track-mem auto-dedup force-irmap extra experimental skip-in-flight deprecated display-stats
  weak-sysctls tcp-close stream tls skip-file-rwx-check mntns-compat-mode unprivileged ghost-fiemap allow-uprobes`;

const SHORTS: Record<string, string> = {
  v: "verbosity",
  o: "log-file",
  D: "images-dir",
  W: "work-dir",
  L: "libdir",
  V: "version",
  h: "help",
  t: "tree",
  R: "leave-running",
  s: "leave-stopped",
  d: "restore-detached",
  S: "restore-sibling",
  j: "shell-job",
  l: "file-locks",
  r: "root",
  x: "ext-unix-sk",
  M: "ext-mount-map",
  J: "join-ns",
};

/** What the commands that are built cannot be asked for yet. An option that gets built changes this list. */
const MISSING: Partial<Record<Command, string>> = {
  dump: `stream lazy-pages status-fd tls tls-cacert tls-cacrl tls-cert tls-key tls-no-cn-verify`,
  "pre-dump": `stream lazy-pages tls tls-cacert tls-cacrl tls-cert tls-key tls-no-cn-verify`,
  "page-server": `auto-dedup lazy-pages tls tls-cacert tls-cacrl tls-cert tls-key tls-no-cn-verify`,
  restore: "stream auto-dedup lazy-pages",
  exec: "",
  service: "",
  swrk: "",
  check: "",
  dedup: "",
  "cpuinfo dump": "stream",
  "cpuinfo check": "",
};

function words(list: string): string[] {
  return list.trim().split(/\s+/).sort();
}

function find(long: string): Option {
  const option = OPTIONS.find((each) => each.long === long);
  if (option === undefined) throw new Error(`no option ${long}`);
  return option;
}

function give(long: string, text?: string, before: Options = defaultOptions(), on = true): Options {
  return withGiven(before, [{ option: find(long), text, on, as: `--${long}` }]);
}

describe("the table", () => {
  test("has every option of the page and of CRIU 4.2, and no other", () => {
    const all = OPTIONS.map((option) => option.long);
    expect(all.toSorted()).toEqual([...words(OF_THE_PAGE), ...words(BEYOND_THE_PAGE)].sort());
    expect(new Set(all).size).toBe(all.length);
  });

  test("has the short flags of CRIU 4.2", () => {
    const shorts = OPTIONS.filter((option) => option.short !== undefined);
    expect(Object.fromEntries(shorts.map((option) => [option.short, option.long]))).toEqual(SHORTS);
  });

  test("has the no- forms of CRIU 4.2, all of them of flags", () => {
    const negatable = OPTIONS.filter((option) => option.negatable === true);
    expect(negatable.map((option) => option.long).sort()).toEqual(words(NEGATABLE));
    for (const option of negatable) expect(option.value.kind).toBe("flag");
  });

  test("knows what is built", () => {
    for (const { name, built } of COMMANDS) {
      if (!built) continue;
      const missing = OPTIONS.filter(
        ({ commands, built }) => commands.includes(name) && !built.includes(name),
      );
      const names = missing.map((option) => option.long).sort();
      expect({ [name]: names }).toEqual({ [name]: words(MISSING[name] ?? "").filter((word) => word !== "") });
    }
  });

  test.each(OPTIONS.map((option) => [option.long, option] as const))("is sound about --%s", (_, option) => {
    expect(option.argument === "none").toBe(option.value.kind === "flag");
    expect(option.metavar === undefined).toBe(option.argument === "none");
    expect(defaultOptions()).toHaveProperty(keyOf(option.long));
    for (const command of option.built) expect(option.commands).toContain(command);
    expect(new Set(option.commands).size).toBe(option.commands.length);
    if (option.detached) expect(option.value.words).toBeDefined();
    if (option.repeated) expect(option.value.kind).toBe("list");
    for (const other of Object.keys(option.also ?? {})) expect(defaultOptions()).toHaveProperty(other);
    expect(option.help.length > 0).toBe(option.section !== "Retired");
    expect(option.help).not.toMatch(/^[A-Z]|[.\n]$/);
  });

  test("names each RPC field once", () => {
    const fields = OPTIONS.flatMap((option) => (option.rpc === undefined ? [] : [option.rpc]));
    expect(new Set(fields).size).toBe(fields.length);
  });
});

describe("keys and defaults", () => {
  test.each([
    ["tree", "tree"],
    ["leave-running", "leaveRunning"],
    ["no-default-config", "noDefaultConfig"],
    ["tls-no-cn-verify", "tlsNoCnVerify"],
    ["cgroup-dump-controller", "cgroupDumpController"],
  ])("%s is %s", (long, key) => {
    expect(keyOf(long)).toBe(key);
    expect(defaultOptions()).toHaveProperty(key);
  });

  test("are CRIU's", () => {
    const options: Options = defaultOptions();
    expect(options.verbosity).toBe(2);
    expect(options.imagesDir).toBe(".");
    expect(options.workDir).toBeUndefined();
    expect(options.ghostLimit).toBe(1 << 20);
    expect(options.ghostFiemap).toBe(true);
    expect(options.timeout).toBe(10);
    expect(options.cpuCap).toBe(CpuCap.fpu | CpuCap.ins);
    expect(options.manageCgroups).toBe("soft");
    expect(options.networkLock).toBe("iptables");
    expect(options.preDumpMode).toBe("splice");
    expect(options.fileValidation).toBe("buildid");
    expect(options.inheritFd).toEqual([]);
    expect(options.tree).toBeUndefined();
    for (const option of OPTIONS) {
      if (option.value.kind !== "flag" || option.long === "ghost-fiemap") continue;
      expect((options as Record<string, unknown>)[keyOf(option.long)]).toBe(false);
    }
  });

  test("makeOptions sets what it is told", () => {
    expect(makeOptions({ tree: 7 })).toEqual({ ...defaultOptions(), tree: 7 });
  });
});

describe("values", () => {
  test.each([
    ["0", 0],
    ["4096", 4096],
    ["1K", 1024],
    ["3M", 3 << 20],
    ["2G", 2 * 2 ** 30],
    ["5MB", 5 << 20],
    ["5MiB", 5 << 20],
  ])("--ghost-limit %s is %i bytes", (text, bytes) => {
    expect(give("ghost-limit", text).ghostLimit).toBe(bytes);
  });

  test.each([["1T"], [""], ["-1"], ["1m"], ["K"], ["1 M"], ["99999999G"], ["0x10"]])(
    "--ghost-limit %p is refused",
    (text) => {
      expect(() => give("ghost-limit", text)).toThrow(OptionError);
    },
  );

  test.each([
    [["v"], 4],
    [["vv"], 5],
    [[undefined], 3],
    [["0"], 0],
    [["4", undefined], 5],
    [[undefined, "1"], 1],
    [["erbosity=0"], 0],
  ])("-v with %j makes %i", (texts, level) => {
    let options = defaultOptions();
    for (const text of texts) options = give("verbosity", text, options);
    expect(options.verbosity).toBe(level);
  });

  const { fpu, cpu, ins, all, image } = CpuCap;
  test.each([
    [undefined, all | image],
    ["all", all | image],
    ["none", 0],
    ["cpu", fpu | ins | cpu | image],
    ["^fpu", ins | image],
    ["^ins,^fpu", 0],
    ["none,cpu", cpu | image],
    ["none,fpu,ins", fpu | ins | image],
    ["^none", all | image],
    ["fpu,", fpu | ins | image],
  ])("--cpu-cap=%s is %i", (text, caps) => {
    expect(give("cpu-cap", text).cpuCap).toBe(caps);
  });

  test.each([
    ["tree", "0"],
    ["tree", "-1"],
    ["tree", "12x"],
    ["tree", ""],
    ["tree", "4294967296"],
    ["close", "-1"],
    ["verbosity", "x"],
    ["verbosity", "3v"],
    ["cpu-cap", "mmx"],
    ["file-validation", "md5"],
    ["file-validation", ""],
    ["manage-cgroups", "hard"],
    ["network-lock", "ebpf"],
    ["pre-dump-mode", "write"],
    ["port", "0"],
    ["port", "65536"],
    ["inherit-fd", "3:pipe[1]"],
    ["inherit-fd", "fd[x]:pipe[1]"],
    ["inherit-fd", "fd[3]:"],
    ["veth-pair", "eth0"],
    ["empty-ns", "pid"],
    ["external", "mnt"],
    ["ext-mount-map", "key"],
  ])("--%s %p is refused, by name", (long, text) => {
    expect(() => give(long, text)).toThrow(new RegExp(`^invalid argument ".*" for --${long}: expected `));
  });

  test("an argument from a file is refused with its place", () => {
    const given = { option: find("tree"), text: "x", on: true, as: "/etc/criu/default.conf:3" };
    expect(() => withGiven(defaultOptions(), [given])).toThrow(
      'invalid argument "x" for /etc/criu/default.conf:3: tree: expected a number from 1 up',
    );
  });

  test("--file-validation and --manage-cgroups may stand alone", () => {
    expect(give("file-validation", undefined, give("file-validation", "filesize")).fileValidation).toBe(
      "buildid",
    );
    expect(give("manage-cgroups", undefined, give("manage-cgroups", "full")).manageCgroups).toBe("soft");
  });

  test("--network-lock none is skip", () => {
    expect(give("network-lock", "none").networkLock).toBe("skip");
  });

  test("lists grow and leave the former options alone", () => {
    const one = give("inherit-fd", "fd[3]:pipe[1]");
    const two = give("inherit-fd", "fd[4]:a/b:c", one);
    expect(one.inheritFd).toEqual(["fd[3]:pipe[1]"]);
    expect(two.inheritFd.map(parseInheritFd)).toEqual([
      { fd: 3, key: "pipe[1]" },
      { fd: 4, key: "a/b:c" },
    ]);
    expect(give("close", "4", give("close", "3")).close).toEqual([3, 4]);
    expect(give("ext-unix-sk").extUnixSk).toEqual([]);
    expect(give("ext-unix-sk", "1,2", give("ext-unix-sk", "3")).extUnixSk).toEqual(["3", "1", "2"]);
  });

  test("the last of --leave-running and --leave-stopped counts", () => {
    const stopped = give("leave-stopped", undefined, give("leave-running"));
    expect([stopped.leaveRunning, stopped.leaveStopped]).toEqual([false, true]);
    const running = give("leave-running", undefined, stopped);
    expect([running.leaveRunning, running.leaveStopped]).toEqual([true, false]);
  });

  test("--daemon and --restore-detached are one", () => {
    expect(give("daemon").restoreDetached).toBe(true);
    const off = give("daemon", undefined, give("restore-detached"), false);
    expect([off.daemon, off.restoreDetached]).toEqual([false, false]);
  });

  test("--all is --extra and --experimental", () => {
    expect(give("all")).toMatchObject({ extra: true, experimental: true });
  });

  test("a no- form turns off", () => {
    expect(give("display-stats", undefined, give("display-stats"), false).displayStats).toBe(false);
    expect(give("ghost-fiemap", undefined, defaultOptions(), false).ghostFiemap).toBe(false);
  });
});

describe("what is built", () => {
  test.each([
    ["tree", "dump", true],
    ["tree", "restore", true], // means nothing to it
    ["inherit-fd", "restore", true],
    ["tcp-established", "dump", true],
    ["stream", "restore", false],
    ["tree", "check", true],
  ] as const)("--%s for %s: %p", (long, command, built) => {
    expect(isBuilt(find(long), command)).toBe(built);
  });
});

describe("contradictions", () => {
  test.each([
    ["dump", {}, "--tree"],
    ["pre-dump", {}, "--tree"],
    ["dump", { tree: 1 }, undefined],
    ["restore", {}, undefined],
    ["restore", { tree: 1 }, undefined],
    ["restore", { restoreSibling: true }, "--restore-detached"],
    ["dump", { tree: 1, restoreSibling: true }, "--restore-detached"],
    ["restore", { restoreSibling: true, restoreDetached: true }, undefined],
    ["dump", { tree: 1, inheritFd: ["fd[3]:x"] }, "--inherit-fd"],
    ["restore", { inheritFd: ["fd[3]:x"] }, undefined],
    ["restore", { execCmd: true, restoreDetached: true }, "--exec-cmd"],
    ["dump", { tree: 1, execCmd: true }, "--exec-cmd"],
    ["dump", { tree: 1, mntnsCompatMode: true }, "--mntns-compat-mode"],
    ["pre-dump", { tree: 1, lazyPages: true }, "--lazy-pages"],
    ["page-server", { psSocket: 1, daemon: true }, "--ps-socket"],
    ["restore", { emptyNs: ["net"], joinNs: ["net:/proc/1/ns/net"] }, "--empty-ns"],
  ] as [Command, Partial<Options>, string | undefined][])("%s %j: %p", (command, some, about) => {
    const said = contradiction(makeOptions(some), command);
    if (about === undefined) expect(said).toBeUndefined();
    else expect(said).toContain(about);
  });
});
