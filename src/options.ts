/**
 * The options: ONE table. The command line, the configuration files, the RPC and the help text all read it;
 * the type `Options`, which the procedures take, is derived from it.
 *
 * The table knows every option of criu(8) and of CRIU 4.2's own parser. `built` lists the commands for which
 * an option does what it says today: to build an option is to do the work and to add the command here. An
 * option that concerns a command (`commands`) but is not built for it is refused, never ignored.
 */

import { BaseError } from "./linux/base-error.ts";

/** What can be asked of the executable. `exec` and `show` are CRIU's former commands; it refuses them both. */
export const COMMANDS = [
  { name: "dump", built: true, help: "checkpoint a process tree" },
  { name: "restore", built: true, help: "restore a process tree" },
  { name: "pre-dump", built: true, help: "save memory ahead of a dump, while the tree runs on" },
  { name: "check", built: true, help: "tell whether this kernel offers what is needed" },
  { name: "page-server", built: true, help: "receive the memory pages of a dump over the network" },
  { name: "lazy-pages", built: false, help: "fill in a restored tree's memory on demand" },
  { name: "service", built: true, help: "serve requests on a socket" },
  { name: "swrk", built: true, help: "serve requests on an inherited descriptor" },
  { name: "dedup", built: true, help: "drop from parent images the pages that later ones replace" },
  { name: "cpuinfo dump", built: true, help: "write an image of the processor's features" },
  { name: "cpuinfo check", built: true, help: "compare the processor's features with such an image" },
  { name: "exec", built: true, help: "make a system call inside a process" },
  { name: "show", built: false, help: "" },
] as const;

export type Command = (typeof COMMANDS)[number]["name"];

/** An option that is unknown, malformed, not built, or at odds with another. The message is for the user. */
export class OptionError extends BaseError {
  override readonly name = "OptionError";
  readonly kind = "option";
}

/** What an option's text becomes. */
interface Value<V> {
  readonly kind: "flag" | "count" | "text" | "number" | "size" | "choice" | "list" | "bits";
  /** The value when the option is not given: CRIU's default. */
  readonly initial: V;
  /** The value after the option was given once more, without an argument if undefined. Throws OptionError. */
  take(text: string | undefined, before: V): V;
  /** The words that are valid, where they can be told. */
  readonly words?: readonly string[];
}

export interface Option {
  /** The long flag, which is the key in a configuration file as well. */
  readonly long: string;
  readonly short?: string;
  /** `optional` arguments stand attached to the flag: `-v3`, `--cpu-cap=all`. */
  readonly argument: "none" | "required" | "optional";
  /** With an optional argument: the next word is taken as well if it is one of the valid words. */
  readonly detached?: true;
  /** Whether `--no-<long>` exists. */
  readonly negatable?: true;
  /** May be given many times, each adding to the value; otherwise the last one counts. */
  readonly repeated?: true;
  readonly value: Value<unknown>;
  /** Options whose value this one sets too, by key: to a fixed value or to the same. */
  readonly also?: Readonly<Record<string, boolean | "same">>;
  /** The field of `criu_opts` in CRIU's RPC; those with a dot are fields of a message inside it. */
  readonly rpc?: string;
  readonly section: Section;
  /** The commands that it means something to. Others accept it and do nothing, as in CRIU. */
  readonly commands: readonly Command[];
  /** The commands for which it does what it says. */
  readonly built: readonly Command[];
  /** What the argument is called in the help. */
  readonly metavar?: string;
  /** One line; empty for what only exists for compatibility. */
  readonly help: string;
}

export type Section =
  | "Common"
  | "Process tree"
  | "Memory"
  | "Files and devices"
  | "Network"
  | "Namespaces and external resources"
  | "Control groups"
  | "Check"
  | "Page server"
  | "Retired";

// ---------------------------------------------------------------------------------------------------------
// Kinds of values

const flag: Value<boolean> = { kind: "flag", initial: false, take: () => true };
const flagThatIsOn: Value<boolean> = { kind: "flag", initial: true, take: () => true };

/** What CRIU has done away with, and what to say instead. */
function retired(instead: string): Value<boolean> {
  return {
    kind: "flag",
    initial: false,
    take: () => {
      throw new OptionError(`it is retired; ${instead}`);
    },
  };
}

const text: Value<string | undefined> = { kind: "text", initial: undefined, take: (word) => word };

const lsmProfile: Value<string | undefined> = {
  kind: "text",
  initial: undefined,
  take(word) {
    if (!/^(apparmor|selinux):./.test(word ?? ""))
      throw new OptionError("expected apparmor:NAME or selinux:NAME");
    return word;
  },
};

function withDefault(initial: string): Value<string> {
  return { kind: "text", initial, take: (word, before) => word ?? before };
}

/** Each time it is given adds an entry; `valid` says what is wrong with one. */
function list(valid?: (word: string) => string | undefined): Value<readonly string[]> {
  return {
    kind: "list",
    initial: [],
    take(word, before) {
      const entry = word ?? "";
      const wrong = valid?.(entry);
      if (wrong !== undefined) throw new OptionError(wrong);
      return [...before, entry];
    },
  };
}

const descriptors: Value<readonly number[]> = {
  kind: "list",
  initial: [],
  take: (word, before) => [...before, whole(word ?? "", 0, INT_MAX)],
};

/** Inodes of unix sockets, separated by commas; an empty list when the option was given without. */
const inodes: Value<readonly string[] | undefined> = {
  kind: "list",
  initial: undefined,
  take: (word, before) => [...(before ?? []), ...(word?.split(",") ?? [])],
};

function number<V extends number | undefined>(initial: V, min: number, max: number): Value<number | V> {
  return { kind: "number", initial, take: (word) => whole(word ?? "", min, max) };
}

function choice<const W extends readonly string[]>(
  words: W,
  initial: W[number],
  whenBare?: W[number],
  synonyms: Readonly<Record<string, W[number]>> = {},
): Value<W[number]> {
  return {
    kind: "choice",
    initial,
    words,
    take(word, before) {
      if (word === undefined) return whenBare ?? before;
      const found = words.find((each) => each === word) ?? synonyms[word];
      if (found === undefined) throw new OptionError(`expected one of ${words.join(", ")}`);
      return found;
    },
  };
}

function whole(word: string, min: number, max: number): number {
  const n = /^-?\d+$/.exec(word) === null ? Number.NaN : Number(word);
  if (!(n >= min && n <= max)) {
    throw new OptionError(`expected a number ${max === INT_MAX ? `from ${min} up` : `of ${min} to ${max}`}`);
  }
  return n;
}

const INT_MAX = 2 ** 31 - 1;

/** Bytes, postfixed with K, M or G for their powers of 1024. `MB` and `MiB` are read as `M`, as CRIU does. */
const size: Value<number> = {
  kind: "size",
  initial: 1024 * 1024,
  take(word) {
    const found = /^(\d+)(?:([KMG])(?:i?B)?)?$/.exec(word ?? "");
    const unit = ["", "K", "M", "G"].indexOf(found?.[2] ?? "");
    const bytes = found === null ? Number.NaN : Number(found[1]) * 1024 ** unit;
    if (!Number.isSafeInteger(bytes)) {
      throw new OptionError("expected a size in bytes, or one that ends in K, M or G");
    }
    return bytes;
  },
};

/** `-v` adds one, `-vvv` three; `-v3` and `--verbosity=3` set it, and so does `-verbosity=3`, which CRIU's own tests say. */
const verbosity: Value<number> = {
  kind: "count",
  initial: 2,
  take(word, before) {
    if (word === undefined) return before + 1;
    if (/^v+$/.test(word)) return before + 1 + word.length;
    return whole(word.replace(/^erbosity=/, ""), 0, INT_MAX);
  },
};

/**
 * Which processor features to write on dump and to check on restore, as bits: the numbers of CRIU's RPC.
 * `image` says that the feature image is to be written and read at all; any `--cpu-cap` but `none` sets it.
 */
export const CpuCap = { none: 0, fpu: 1, cpu: 2, ins: 4, image: 8, all: 7 } as const;

const CPU_WORDS = ["none", "fpu", "ins", "cpu", "all"] as const;

const cpuCap: Value<number> = {
  kind: "bits",
  initial: CpuCap.fpu | CpuCap.ins,
  words: CPU_WORDS,
  take(list, before) {
    if (list === undefined) return before | CpuCap.all | CpuCap.image;
    let caps = before;
    for (const part of list.split(",")) {
      const inverse = part.startsWith("^");
      const word = CPU_WORDS.find((each) => each === (inverse ? part.slice(1) : part));
      if (word === undefined) {
        if (part === "") continue;
        throw new OptionError(`expected a list of ${CPU_WORDS.join(", ")}`);
      }
      if (word === "none") caps = inverse ? CpuCap.all : CpuCap.none;
      else caps = inverse ? caps & ~CpuCap[word] : caps | CpuCap[word];
    }
    return caps === CpuCap.none ? caps : caps | CpuCap.image;
  },
};

/** One entry of `--inherit-fd`: our descriptor `fd` stands for the resource that the images name `key`. */
export function parseInheritFd(entry: string): { fd: number; key: string } {
  const found = /^fd\[(\d{1,9})\]:(.+)$/s.exec(entry);
  if (found?.[1] === undefined || found[2] === undefined) {
    throw new OptionError("expected fd[NUMBER]:RESOURCE");
  }
  return { fd: Number(found[1]), key: found[2] };
}

function isInheritFd(entry: string): string | undefined {
  try {
    parseInheritFd(entry);
    return undefined;
  } catch (error) {
    return error instanceof OptionError ? error.message : String(error);
  }
}

function hasSeparator(separator: string, shape: string): (word: string) => string | undefined {
  return (word) => (word.indexOf(separator) > 0 ? undefined : `expected ${shape}`);
}

/** For an empty network lxc repeats one of its own words, as "console:", which is nothing's name: CRIU takes that too. */
const external = list((word) => (/^[a-z]+(\[[^\]]*\]|:)/.test(word) ? undefined : "expected TYPE[ID]:VALUE"));

// ---------------------------------------------------------------------------------------------------------
// The table

function commandNames(): Command[] {
  const names: Command[] = [];
  for (const { name } of COMMANDS) names.push(name);
  return names;
}

const ALL: readonly Command[] = commandNames();
const DUMP: readonly Command[] = ["dump"];
const DUMPS: readonly Command[] = ["dump", "pre-dump"];
const RESTORE: readonly Command[] = ["restore"];
const BOTH: readonly Command[] = ["dump", "restore"];
const TREES: readonly Command[] = ["dump", "pre-dump", "restore"];
const CHECK: readonly Command[] = ["check"];
const CPUS: readonly Command[] = [...BOTH, "cpuinfo dump", "cpuinfo check"];
const SERVICE: readonly Command[] = ["service"];
const SERVERS: readonly Command[] = ["page-server", "lazy-pages", "service"];
const TRANSFERS: readonly Command[] = ["dump", "pre-dump", "page-server", "lazy-pages"];
/** Of these, those that are built. */
const PAGES: readonly Command[] = ["dump", "pre-dump", "page-server"];
/** Not built yet for any command. */
const NOT_YET: readonly Command[] = [];

/** By their keys: see {@link keyOf}. */
// biome-ignore format: a table, one option a paragraph
const TABLE = {
  // -- Common ---------------------------------------------------------------------------------------------
  verbosity: { long: "verbosity", short: "v", argument: "optional", value: verbosity,
    rpc: "log_level", section: "Common", commands: ALL, built: ALL, metavar: "NUM",
    help: "say more: 0 nothing, 1 errors, 2 warnings, 3 information and times, 4 debug" },
  logFile: { long: "log-file", short: "o", argument: "required", value: text,
    rpc: "log_file", section: "Common", commands: ALL, built: ALL, metavar: "FILE",
    help: "log to FILE in the work directory; - is standard output" },
  logPid: { long: "log-pid", argument: "none", negatable: true, value: flag, section: "Common",
    commands: RESTORE, built: RESTORE, help: "log each restored process to a file of its own, FILE.PID" },
  imagesDir: { long: "images-dir", short: "D", argument: "required", value: withDefault("."),
    rpc: "images_dir", section: "Common", commands: ALL, built: ALL, metavar: "DIR",
    help: "the directory of the images" },
  workDir: { long: "work-dir", short: "W", argument: "required", value: text,
    rpc: "work_dir_fd", section: "Common", commands: ALL, built: ALL, metavar: "DIR",
    help: "where logs, pidfiles and statistics go; by default where the images are" },
  config: { long: "config", argument: "required", value: text, rpc: "config_file", section: "Common",
    commands: ALL, built: ALL, metavar: "FILE",
    help: "read this configuration file instead of the default ones" },
  noDefaultConfig: { long: "no-default-config", argument: "none", value: flag, section: "Common",
    commands: ALL, built: ALL, help: "leave the default configuration files unread" },
  pidfile: { long: "pidfile", argument: "required", value: text, section: "Common",
    commands: ALL, built: ALL, metavar: "FILE",
    help: "write the pid of the root task, or of the server, into FILE" },
  displayStats: { long: "display-stats", argument: "none", negatable: true, value: flag,
    rpc: "display_stats", section: "Common", commands: ALL, built: ALL,
    help: "print the statistics when done" },
  close: { long: "close", argument: "required", repeated: true, value: descriptors, section: "Common",
    commands: ALL, built: ALL, metavar: "FD", help: "close descriptor FD before doing anything" },
  stream: { long: "stream", argument: "none", negatable: true, value: flag, section: "Common",
    commands: [...TREES, "cpuinfo dump"], built: NOT_YET, help: "exchange images with criu-image-streamer" },
  libdir: { long: "libdir", short: "L", argument: "required", value: text, section: "Common",
    commands: TREES, built: TREES, metavar: "DIR", help: "the directory of the plugins; see docs/plugins.md" },
  actionScript: { long: "action-script", argument: "required", repeated: true, value: list(), section: "Common",
    commands: ALL, built: ALL, metavar: "FILE",
    help: "run FILE at the stages of the work, named in CRTOOLS_SCRIPT_ACTION" },
  unprivileged: { long: "unprivileged", argument: "none", negatable: true, value: flag,
    rpc: "unprivileged", section: "Common", commands: ALL, built: ALL,
    help: "accept what cannot be done without being root" },
  deprecated: { long: "deprecated", argument: "none", negatable: true, value: flag, section: "Common",
    commands: ALL, built: ALL, help: "allow what CRIU is about to retire" },
  help: { long: "help", short: "h", argument: "none", value: flag, section: "Common",
    commands: ALL, built: ALL, help: "print this text" },
  version: { long: "version", short: "V", argument: "none", value: flag, section: "Common",
    commands: ALL, built: ALL, help: "print the version" },

  // -- Process tree ---------------------------------------------------------------------------------------
  tree: { long: "tree", short: "t", argument: "required", value: number(undefined, 1, INT_MAX),
    rpc: "pid", section: "Process tree", commands: [...DUMPS, "exec"], built: [...DUMPS, "exec"], metavar: "PID",
    help: "the root of the process tree to dump; the process to make a system call in" },
  leaveRunning: { long: "leave-running", short: "R", argument: "none", value: flag,
    also: { leaveStopped: false }, rpc: "leave_running", section: "Process tree", commands: DUMP, built: DUMP,
    help: "let the tree run on after the dump instead of killing it" },
  leaveStopped: { long: "leave-stopped", short: "s", argument: "none", value: flag,
    also: { leaveRunning: false }, rpc: "leave_stopped", section: "Process tree", commands: BOTH, built: BOTH,
    help: "leave the tree stopped after the dump or the restore" },
  restoreDetached: { long: "restore-detached", short: "d", argument: "none", negatable: true, value: flag,
    also: { daemon: "same" }, section: "Process tree", commands: ["restore", ...SERVERS], built: ["restore", "service", "page-server"],
    help: "return once the tree runs, instead of waiting for its end" },
  restoreSibling: { long: "restore-sibling", short: "S", argument: "none", negatable: true, value: flag,
    rpc: "rst_sibling", section: "Process tree", commands: RESTORE, built: RESTORE,
    help: "make the root task a sibling of criu; needs --restore-detached" },
  execCmd: { long: "exec-cmd", argument: "none", value: flag, rpc: "exec_cmd", section: "Process tree",
    commands: RESTORE, built: RESTORE,
    help: "become the command that follows --, as the parent of the restored tree" },
  shellJob: { long: "shell-job", short: "j", argument: "none", negatable: true, value: flag,
    rpc: "shell_job", section: "Process tree", commands: TREES, built: TREES,
    help: "the tree belongs to a session and a terminal outside of it" },
  cpuCap: { long: "cpu-cap", argument: "optional", detached: true, value: cpuCap,
    rpc: "cpu_cap", section: "Process tree",
    commands: CPUS, built: CPUS, metavar: "CAPS",
    help: "processor features to record and compare: fpu, ins, cpu, all, none; ^ excludes" },
  timeout: { long: "timeout", argument: "required", value: number(10, 0, INT_MAX),
    rpc: "timeout", section: "Process tree", commands: [...DUMPS, "exec"], built: [...DUMPS, "exec"], metavar: "SECONDS",
    help: "give up when the tree cannot be stopped, or the system call does not end, in that time (10)" },
  freezeCgroup: { long: "freeze-cgroup", argument: "required", value: text,
    rpc: "freeze_cgroup", section: "Process tree", commands: DUMPS, built: DUMPS, metavar: "PATH",
    help: "stop the tree with the freezer of this control group" },
  lsmProfile: { long: "lsm-profile", argument: "required", value: lsmProfile,
    rpc: "lsm_profile", section: "Process tree", commands: RESTORE, built: RESTORE, metavar: "TYPE:NAME",
    help: "restore under this apparmor or selinux profile" },
  weakSysctls: { long: "weak-sysctls", argument: "none", negatable: true, value: flag,
    rpc: "weak_sysctls", section: "Process tree", commands: RESTORE, built: RESTORE,
    help: "pass over the sysctls that this kernel lacks" },
  allowUprobes: { long: "allow-uprobes", argument: "none", negatable: true, value: flag, section: "Process tree",
    commands: BOTH, built: BOTH, help: "let through the mapping that a uprobe leaves in a process" },

  // -- Memory ---------------------------------------------------------------------------------------------
  prevImagesDir: { long: "prev-images-dir", argument: "required", value: text, rpc: "parent_img", section: "Memory",
    commands: [...DUMPS, "page-server"], built: [...DUMPS, "page-server"], metavar: "DIR",
    help: "save only what changed since the images in DIR, relative to the image directory" },
  trackMem: { long: "track-mem", argument: "none", negatable: true, value: flag,
    rpc: "track_mem", section: "Memory", commands: DUMPS, built: DUMPS,
    help: "have the kernel track what memory changes" },
  preDumpMode: { long: "pre-dump-mode", argument: "required", value: choice(["splice", "read"], "splice"),
    rpc: "pre_dump_mode", section: "Memory", commands: ["pre-dump"], built: ["pre-dump"], metavar: "MODE",
    help: "how a pre-dump takes memory: splice or read" },
  autoDedup: { long: "auto-dedup", argument: "none", negatable: true, value: flag,
    rpc: "auto_dedup", section: "Memory", commands: [...TREES, "page-server"], built: DUMPS,
    help: "punch pages out of the images as they are replaced or restored" },
  lazyPages: { long: "lazy-pages", argument: "none", value: flag, rpc: "lazy_pages", section: "Memory",
    commands: ["dump", "pre-dump", "restore", "page-server"], built: NOT_YET,
    help: "hand over memory on demand rather than through the images" },

  // -- Files and devices ----------------------------------------------------------------------------------
  linkRemap: { long: "link-remap", argument: "none", negatable: true, value: flag,
    rpc: "link_remap", section: "Files and devices", commands: DUMPS, built: DUMPS,
    help: "give unlinked files that have other names a temporary name" },
  ghostLimit: { long: "ghost-limit", argument: "required", value: size,
    rpc: "ghost_limit", section: "Files and devices", commands: DUMPS, built: DUMPS, metavar: "SIZE",
    help: "the largest deleted file to save in an image, with K, M or G (1M)" },
  ghostFiemap: { long: "ghost-fiemap", argument: "none", negatable: true, value: flagThatIsOn,
    section: "Files and devices", commands: DUMPS, built: DUMPS,
    help: "find the holes of deleted files with FIEMAP" },
  evasiveDevices: { long: "evasive-devices", argument: "none", negatable: true, value: flag,
    rpc: "evasive_devices", section: "Files and devices", commands: DUMP, built: DUMP,
    help: "accept any path of a device whose own one is gone" },
  fileLocks: { long: "file-locks", short: "l", argument: "none", negatable: true, value: flag,
    rpc: "file_locks", section: "Files and devices", commands: TREES, built: TREES,
    help: "save and restore file locks" },
  fileValidation: { long: "file-validation", argument: "optional", detached: true,
    value: choice(["filesize", "buildid"], "buildid", "buildid"), section: "Files and devices",
    commands: BOTH, built: BOTH, metavar: "MODE",
    help: "how to tell that a file is still the same: filesize or buildid" },
  skipFileRwxCheck: { long: "skip-file-rwx-check", argument: "none", negatable: true, value: flag,
    rpc: "skip_file_rwx_check", section: "Files and devices", commands: RESTORE, built: RESTORE,
    help: "do not compare the permissions of files" },
  inheritFd: { long: "inherit-fd", argument: "required", repeated: true, value: list(isInheritFd),
    rpc: "inherit_fd", section: "Files and devices", commands: RESTORE, built: RESTORE, metavar: "fd[N]:RES",
    help: "use our open descriptor N for the resource RES" },
  forceIrmap: { long: "force-irmap", argument: "none", negatable: true, value: flag,
    rpc: "force_irmap", section: "Files and devices", commands: DUMPS, built: DUMPS,
    help: "search for the paths of watched inodes" },
  irmapScanPath: { long: "irmap-scan-path", argument: "required", repeated: true, value: list(),
    rpc: "irmap_scan_paths", section: "Files and devices", commands: DUMPS, built: DUMPS, metavar: "PATH",
    help: "search there as well" },

  // -- Network --------------------------------------------------------------------------------------------
  tcpEstablished: { long: "tcp-established", argument: "none", negatable: true, value: flag,
    rpc: "tcp_established", section: "Network", commands: TREES, built: TREES,
    help: "save and restore established TCP connections" },
  tcpClose: { long: "tcp-close", argument: "none", negatable: true, value: flag,
    rpc: "tcp_close", section: "Network", commands: TREES, built: TREES,
    help: "let go of TCP connections, and restore their sockets closed" },
  skipInFlight: { long: "skip-in-flight", argument: "none", negatable: true, value: flag,
    rpc: "tcp_skip_in_flight", section: "Network", commands: TREES, built: TREES,
    help: "pass over connections that are not established yet" },
  networkLock: { long: "network-lock", argument: "required",
    value: choice(["iptables", "nftables", "skip"], "iptables", undefined, { none: "skip" }),
    rpc: "network_lock", section: "Network", commands: TREES, built: TREES, metavar: "METHOD",
    help: "what blocks connections meanwhile: iptables, nftables or skip" },
  extUnixSk: { long: "ext-unix-sk", short: "x", argument: "optional", repeated: true, value: inodes,
    rpc: "ext_unix_sk", section: "Network", commands: TREES, built: TREES, metavar: "INODES",
    help: "allow unix sockets with an end outside of the tree" },
  vethPair: { long: "veth-pair", argument: "required", repeated: true, value: list(hasSeparator("=", "IN=OUT")),
    rpc: "veths", section: "Network", commands: RESTORE, built: RESTORE, metavar: "IN=OUT",
    help: "the outside name of a veth device" },

  // -- Namespaces and external resources ------------------------------------------------------------------
  root: { long: "root", short: "r", argument: "required", value: text,
    rpc: "root", section: "Namespaces and external resources",
    commands: TREES, built: TREES, metavar: "PATH", help: "the root of the restored mount namespace" },
  external: { long: "external", argument: "required", repeated: true, value: external,
    rpc: "external", section: "Namespaces and external resources",
    commands: TREES, built: TREES, metavar: "RES", help: "a resource from outside: TYPE[ID]:VALUE" },
  extMountMap: { long: "ext-mount-map", short: "M", argument: "required", repeated: true,
    value: list((word) => word === "auto" ? undefined : hasSeparator(":", "KEY:VALUE or auto")(word)),
    rpc: "ext_mnt", section: "Namespaces and external resources",
    commands: TREES, built: TREES, metavar: "KEY:VAL", help: "an external mount; see --external" },
  enableExternalSharing: { long: "enable-external-sharing", argument: "none", value: flag,
    rpc: "ext_sharing", section: "Namespaces and external resources", commands: TREES, built: TREES,
    help: "find external shared mounts" },
  enableExternalMasters: { long: "enable-external-masters", argument: "none", value: flag,
    rpc: "ext_masters", section: "Namespaces and external resources", commands: TREES, built: TREES,
    help: "find external master mounts" },
  skipMnt: { long: "skip-mnt", argument: "required", repeated: true, value: list(),
    rpc: "skip_mnt", section: "Namespaces and external resources",
    commands: TREES, built: TREES, metavar: "PATH", help: "leave out the mount at PATH" },
  enableFs: { long: "enable-fs", argument: "required", repeated: true, value: list(),
    rpc: "enable_fs", section: "Namespaces and external resources",
    commands: TREES, built: TREES, metavar: "FS,...",
    help: "try mounts of these file systems though they are not supported, or of all" },
  lsmMountContext: { long: "lsm-mount-context", argument: "required", value: text,
    rpc: "lsm_mount_context", section: "Namespaces and external resources",
    commands: RESTORE, built: RESTORE, metavar: "CTX", help: "the context for mounts that have one" },
  mntnsCompatMode: { long: "mntns-compat-mode", argument: "none", negatable: true, value: flag,
    rpc: "mntns_compat_mode", section: "Namespaces and external resources", commands: BOTH, built: BOTH,
    help: "build mount namespaces the older way" },
  joinNs: { long: "join-ns", short: "J", argument: "required", repeated: true,
    value: list(hasSeparator(":", "NS:FILE or NS:PID")),
    rpc: "join_ns", section: "Namespaces and external resources",
    commands: RESTORE, built: RESTORE, metavar: "NS:FILE", help: "restore into a namespace that exists" },
  emptyNs: { long: "empty-ns", argument: "required", repeated: true,
    value: list((word) => word === "net" ? undefined : "expected net"),
    rpc: "empty_ns", section: "Namespaces and external resources",
    commands: TREES, built: TREES, metavar: "net", help: "make the namespace but leave it empty" },

  // -- Control groups -------------------------------------------------------------------------------------
  manageCgroups: { long: "manage-cgroups", argument: "optional", detached: true,
    value: choice(["none", "props", "soft", "full", "strict", "ignore"], "soft", "soft"),
    rpc: "manage_cgroups_mode", section: "Control groups", commands: BOTH, built: BOTH, metavar: "MODE",
    help: "how to deal with control groups: none, props, soft, full, strict, ignore" },
  cgroupRoot: { long: "cgroup-root", argument: "required", repeated: true, value: list(),
    rpc: "cg_root", section: "Control groups", commands: BOTH, built: BOTH, metavar: "[CTL:]PATH",
    help: "the root of the controller's groups" },
  cgroupProps: { long: "cgroup-props", argument: "required", value: text,
    rpc: "cgroup_props", section: "Control groups", commands: DUMP, built: DUMP, metavar: "SPEC",
    help: "controllers and their properties to save" },
  cgroupPropsFile: { long: "cgroup-props-file", argument: "required", value: text,
    rpc: "cgroup_props_file", section: "Control groups", commands: DUMP, built: DUMP, metavar: "FILE",
    help: "the same, read from FILE" },
  cgroupDumpController: { long: "cgroup-dump-controller", argument: "required", repeated: true, value: list(),
    rpc: "cgroup_dump_controller", section: "Control groups", commands: DUMP, built: DUMP, metavar: "NAME",
    help: "save this controller and no other" },
  cgroupYard: { long: "cgroup-yard", argument: "required", value: text,
    rpc: "cgroup_yard", section: "Control groups", commands: BOTH, built: BOTH, metavar: "PATH",
    help: "a directory where the hierarchies are mounted already" },

  // -- Check ----------------------------------------------------------------------------------------------
  extra: { long: "extra", argument: "none", negatable: true, value: flag, section: "Check",
    commands: CHECK, built: CHECK, help: "check also what only some trees need" },
  experimental: { long: "experimental", argument: "none", negatable: true, value: flag, section: "Check",
    commands: CHECK, built: CHECK, help: "check also what is experimental" },
  all: { long: "all", argument: "none", value: flag,
    also: { extra: true, experimental: true }, section: "Check", commands: CHECK, built: CHECK,
    help: "both of them" },
  feature: { long: "feature", argument: "required", repeated: true, value: list(), section: "Check",
    commands: CHECK, built: CHECK, metavar: "NAME", help: "check one feature; list names them" },

  // -- Page server ----------------------------------------------------------------------------------------
  pageServer: { long: "page-server", argument: "none", negatable: true, value: flag, section: "Page server",
    commands: [...DUMPS, "lazy-pages"], built: DUMPS, help: "send the pages to a page server" },
  address: { long: "address", argument: "required", value: text, rpc: "ps.address", section: "Page server",
    commands: [...TRANSFERS, "service"], built: [...PAGES, "service"], metavar: "ADDR",
    help: "the server's address; the service's socket" },
  port: { long: "port", argument: "required", value: number(undefined, 1, 65535),
    rpc: "ps.port", section: "Page server", commands: TRANSFERS, built: PAGES, metavar: "NUM",
    help: "the server's port" },
  psSocket: { long: "ps-socket", argument: "required", value: number(undefined, 0, INT_MAX),
    rpc: "ps.fd", section: "Page server", commands: TRANSFERS, built: PAGES, metavar: "FD",
    help: "use this connected socket instead" },
  daemon: { long: "daemon", argument: "none", negatable: true, value: flag,
    also: { restoreDetached: "same" }, section: "Page server",
    commands: ["restore", ...SERVERS], built: ["restore", "service", "page-server"], help: "serve in the background" },
  statusFd: { long: "status-fd", argument: "required", value: number(undefined, 0, INT_MAX),
    rpc: "status_fd", section: "Page server", commands: [...SERVERS, "dump"], built: [...SERVICE, "page-server"], metavar: "FD",
    help: "write a zero byte to FD once requests can come" },
  tls: { long: "tls", argument: "none", negatable: true, value: flag, rpc: "tls", section: "Page server",
    commands: TRANSFERS, built: NOT_YET, help: "secure the connection with TLS" },
  tlsCacert: { long: "tls-cacert", argument: "required", value: text, rpc: "tls_cacert", section: "Page server",
    commands: TRANSFERS, built: NOT_YET, metavar: "FILE", help: "the certificate authority to trust" },
  tlsCacrl: { long: "tls-cacrl", argument: "required", value: text, rpc: "tls_cacrl", section: "Page server",
    commands: TRANSFERS, built: NOT_YET, metavar: "FILE", help: "the certificates that it revoked" },
  tlsCert: { long: "tls-cert", argument: "required", value: text, rpc: "tls_cert", section: "Page server",
    commands: TRANSFERS, built: NOT_YET, metavar: "FILE", help: "our certificate" },
  tlsKey: { long: "tls-key", argument: "required", value: text, rpc: "tls_key", section: "Page server",
    commands: TRANSFERS, built: NOT_YET, metavar: "FILE", help: "its private key" },
  tlsNoCnVerify: { long: "tls-no-cn-verify", argument: "none", value: flag,
    rpc: "tls_no_cn_verify", section: "Page server", commands: TRANSFERS, built: NOT_YET,
    help: "accept a server certificate with another name" },

  // -- Retired --------------------------------------------------------------------------------------------
  ms: { long: "ms", argument: "none", value: retired("check --feature asks for one thing"), section: "Retired",
    commands: CHECK, built: CHECK, help: "" },
} as const satisfies Readonly<Record<string, Option>>;

/** All options, in the order of the help. */
export const OPTIONS: readonly Option[] = Object.values(TABLE);

// ---------------------------------------------------------------------------------------------------------
// Options

/** The key of a long flag: `leave-running` is `leaveRunning`. */
export type KeyOf<L extends string> = L extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<KeyOf<Tail>>}`
  : L;

/**
 * What a procedure is asked to do: the value of every option under its key, absent ones with their default.
 *
 * Sizes are bytes, times seconds. Paths are as given, except that the command line hands over `imagesDir` and
 * `workDir` as absolute paths, both existing, and has made the work directory the current one: other relative
 * paths count from there, and `prevImagesDir` from the images.
 */
export type Options = {
  readonly [K in keyof typeof TABLE]: (typeof TABLE)[K]["value"]["initial"];
};

/** `leave-running` to `leaveRunning`. */
export function keyOf<const L extends string>(long: L): KeyOf<L> {
  let key = "";
  let from = 0;
  for (let dash = long.indexOf("-"); dash >= 0; dash = long.indexOf("-", from)) {
    key += long.slice(from, dash) + long.charAt(dash + 1).toUpperCase();
    from = dash + 2;
  }
  return (key + long.slice(from)) as KeyOf<L>;
}

/** The options as they are when none is given. Each call makes a new object. */
export function defaultOptions(): Options {
  const values: Record<string, unknown> = {};
  for (const key in TABLE) values[key] = TABLE[key as keyof Options].value.initial;
  return values as Options;
}

/** Options for a caller that sets few of them: `makeOptions({ tree: 1234, imagesDir: "/tmp/images" })`. */
export function makeOptions(some: Partial<Options>): Options {
  return { ...defaultOptions(), ...some };
}

/** One option as somebody gave it: on a command line, in a file, in a message. */
export interface Given {
  readonly option: Option;
  /** The argument, if there was one. */
  readonly text: string | undefined;
  /** False for the `no-` form. */
  readonly on: boolean;
  /** The flag as written, or the file and line that it comes from: for messages. */
  readonly as: string;
}

/** The options after all of these were given, in their order, on top of `before`. Throws OptionError. */
export function withGiven(before: Options, all: readonly Given[]): Options {
  const values: Record<string, unknown> = { ...before };
  for (const { option, text, on, as } of all) {
    const key = keyOf(option.long);
    try {
      values[key] = on ? option.value.take(text, values[key]) : false;
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      const flag = as.startsWith("-") ? as : `${as}: ${option.long}`;
      const what = text === undefined ? flag : `invalid argument ${JSON.stringify(text)} for ${flag}`;
      throw new OptionError(`${what}: ${error.message}`);
    }
    for (const other in option.also) {
      const value = option.also[other];
      if (value === "same") values[other] = values[key];
      else if (on) values[other] = value;
    }
  }
  return values as Options;
}

/** Whether `command` may be asked for this option: it is built for it, or means nothing to it. */
export function isBuilt(entry: Option, command: Command): boolean {
  return entry.built.includes(command) || !entry.commands.includes(command);
}

/** What is asked for and not built for `command`: one line for the user. A flag that ends up off asks for nothing. */
export function unbuilt(options: Options, command: Command): string | undefined {
  for (const { name, built } of COMMANDS)
    if (name === command && !built) return `the command ${command} is known but not built yet`;
  const names: string[] = [];
  for (const option of OPTIONS) {
    const value: unknown = options[keyOf(option.long) as keyof Options];
    if (value !== option.value.initial && !isBuilt(option, command)) names.push(`--${option.long}`);
  }
  if (names.length === 0) return undefined;
  const what = names.length === 1 ? `the option ${names[0]} is` : `the options ${names.join(", ")} are`;
  return `${what} known but not built yet for ${command}`;
}

/** What makes these options senseless for `command`, if anything; one line for the user. */
export function contradiction(options: Options, command: Command): string | undefined {
  if ((command === "dump" || command === "pre-dump") && options.tree === undefined) {
    return `${command} needs the pid of a process: --tree PID`;
  }
  if (command === "exec" && options.tree === undefined) return "exec needs the pid of a process: --tree PID";
  if (options.restoreSibling && !options.restoreDetached) {
    return "--restore-sibling makes sense only with --restore-detached";
  }
  if (options.inheritFd.length > 0 && command !== "restore") {
    return `--inherit-fd is for restore, not for ${command}`;
  }
  if (options.execCmd && command !== "restore") return `--exec-cmd is for restore, not for ${command}`;
  if (options.execCmd && options.restoreDetached) {
    return "--exec-cmd and --restore-detached exclude each other";
  }
  if (options.mntnsCompatMode && command !== "restore") {
    return `--mntns-compat-mode is for restore, not for ${command}`;
  }
  if (options.lazyPages && command === "pre-dump") return "--lazy-pages is not for pre-dump";
  if (options.psSocket !== undefined && options.psSocket <= 2 && options.daemon) {
    return "--ps-socket names a standard descriptor, which --daemon closes";
  }
  if (options.emptyNs.includes("net") && options.joinNs.some((ns) => ns.startsWith("net:"))) {
    return "--empty-ns and --join-ns name the same namespace";
  }
  return undefined;
}
