/**
 * `criu_opts` of an RPC as options: the table of options names the field of each (src/options.ts), and here stands how a
 * field that is no plain flag, number or text is said in words. What is wrong is found by the same code as on the command line.
 */
import {
  CriuCgMode,
  CriuNetworkLockMethod,
  type CriuOpts,
  type CriuPageServerInfo,
  CriuPreDumpMode,
} from "../images/schema/generated/rpc.ts";
import { CpuCap, type Given, OPTIONS, type Option, OptionError } from "../options.ts";

/** What the worker, and not the table of options, sees to. */
export const OF_THE_WORKER: ReadonlySet<keyof CriuOpts> = new Set([
  "images_dir_fd",
  "notify_scripts",
  "orphan_pts_master",
  "log_to_stderr",
  // Who is who between two dumps we tell by time of birth, and keep no pidfds in a socket of the client's.
  "pidfd_store_sk",
] as const);

/** Fields of CRIU 4.3, which are refused unless they ask for nothing. */
export const OF_4_3: ReadonlySet<keyof CriuOpts> = new Set([
  "image_io_mode",
  "compress",
  "compress_acceleration",
  "compress_region_size",
  "decompress_threads",
] as const);

/** Opens descriptors of the client's. */
export interface Peer {
  /** A path that leads to the directory, for as long as the request takes. @throws OptionError */
  directory(field: string, fd: number): string;
  /** One of ours, open for writing. @throws OptionError */
  descriptor(field: string, fd: number): number;
}

/** What is given: the text of an option's argument, or whether a flag is on. */
type Value = string | boolean;

/** An option and what is given for it. */
interface Use {
  readonly long: string;
  readonly values: readonly Value[];
}

/** Fields that are said otherwise than by their own value; or that are said by another option. */
type Converters = {
  readonly [F in keyof CriuOpts]?: (
    value: NonNullable<CriuOpts[F]>,
    peer: Peer,
    all: CriuOpts,
  ) => readonly Use[];
};

function use(long: string, ...values: Value[]): readonly Use[] {
  return [{ long, values }];
}

/** The word for a number of an enum. @throws OptionError */
function word(field: string, words: Readonly<Record<number, string>>, value: number): string {
  const found = words[value];
  if (found === undefined) throw new OptionError(`${field} of the request: ${value} has no meaning`);
  return found;
}

const CG_MODES = {
  [CriuCgMode.IGNORE]: "ignore",
  [CriuCgMode.CG_NONE]: "none",
  [CriuCgMode.PROPS]: "props",
  [CriuCgMode.SOFT]: "soft",
  [CriuCgMode.FULL]: "full",
  [CriuCgMode.STRICT]: "strict",
  [CriuCgMode.DEFAULT]: "soft",
};
const LOCK_METHODS = {
  [CriuNetworkLockMethod.IPTABLES]: "iptables",
  [CriuNetworkLockMethod.NFTABLES]: "nftables",
  [CriuNetworkLockMethod.SKIP]: "skip",
};
const PRE_DUMP_MODES = { [CriuPreDumpMode.SPLICE]: "splice", [CriuPreDumpMode.VM_READ]: "read" };
const CLONE_NEWNET = 0x4000_0000;

const CONVERTERS: Converters = {
  work_dir_fd: (fd, peer) => use("work-dir", peer.directory("work_dir_fd", fd)),
  status_fd: (fd, peer) => use("status-fd", String(peer.descriptor("status_fd", fd))),
  // The words that follow `--exec-cmd` are the worker's to run.
  exec_cmd: (words) => (words.length === 0 ? [] : use("exec-cmd", true)),
  cpu_cap: (caps) => use("cpu-cap", cpuCaps(caps)),
  ext_unix_sk: (on) => (on ? use("ext-unix-sk", true) : []),
  unix_sk_ino: (sockets) => sockets.map(({ inode }) => ({ long: "ext-unix-sk", values: [String(inode)] })),
  // Entries of the two older options, in the words of the newer one: their parts may have colons in them.
  veths: (pairs) => use("external", ...pairs.map(({ if_in, if_out }) => `veth[${if_in}]:${if_out}`)),
  ext_mnt: (mounts) => use("external", ...mounts.map(({ key, val }) => `mnt[${key}]:${val}`)),
  auto_ext_mnt: (on) => (on ? use("ext-mount-map", "auto") : []),
  manage_cgroups: (on) => use("manage-cgroups", on ? "soft" : "ignore"),
  manage_cgroups_mode: (mode) => use("manage-cgroups", word("manage_cgroups_mode", CG_MODES, mode)),
  network_lock: (method) => use("network-lock", word("network_lock", LOCK_METHODS, method)),
  pre_dump_mode: (mode) => use("pre-dump-mode", word("pre_dump_mode", PRE_DUMP_MODES, mode)),
  cg_root: (roots) =>
    use("cgroup-root", ...roots.map(({ ctrl, path }) => (ctrl === undefined ? path : `${ctrl}:${path}`))),
  inherit_fd: (fds) => use("inherit-fd", ...fds.map(({ fd, key }) => `fd[${fd}]:${key}`)),
  join_ns: (all) =>
    use(
      "join-ns",
      ...all.map(({ ns, ns_file, extra_opt }) => [`${ns}:${ns_file}`, extra_opt ?? []].flat().join(",")),
    ),
  empty_ns: (flags) => {
    if ((flags & ~CLONE_NEWNET) !== 0)
      throw new OptionError("empty_ns of the request: only CLONE_NEWNET has a meaning");
    return flags === 0 ? [] : use("empty-ns", "net");
  },
  ps: pageServer,
};

/** The bits are those of the command line; all others mean nothing. */
function cpuCaps(caps: number): string {
  const words: string[] = ["none"];
  for (const word of ["fpu", "cpu", "ins"] as const) if ((caps & CpuCap[word]) !== 0) words.push(word);
  return words.join(",");
}

function pageServer({ address, port, fd }: CriuPageServerInfo, _: Peer, all: CriuOpts): readonly Use[] {
  const uses: Use[] = [];
  // 0 is a port of the kernel's choice.
  if (port !== undefined && port !== 0) uses.push({ long: "port", values: [String(port & 0xffff)] });
  // With lazy pages we are the server ourselves.
  if (all.lazy_pages === true) return uses;
  uses.push({ long: "page-server", values: [true] });
  if (address !== undefined) uses.push({ long: "address", values: [address] });
  if (fd !== undefined) uses.push({ long: "ps-socket", values: [String(fd)] });
  return uses;
}

/** Fields of the messages inside, which the table names with a dot, are the page server's. */
const WITH_DOT = /\./;

/** The options whose field a converter does not say, by field. */
const PLAIN: ReadonlyMap<string, Option> = plainOptions();

function plainOptions(): Map<string, Option> {
  const plain = new Map<string, Option>();
  for (const option of OPTIONS)
    if (option.rpc !== undefined && !WITH_DOT.test(option.rpc)) plain.set(option.rpc, option);
  return plain;
}

/** Whether a field of criu_opts has a meaning. */
export function hasMeaning(field: keyof CriuOpts): boolean {
  return OF_THE_WORKER.has(field) || OF_4_3.has(field) || CONVERTERS[field] !== undefined || PLAIN.has(field);
}

/** The options that a request gives, in the order of its fields. @throws OptionError */
export function givenBy(opts: CriuOpts, peer: Peer): Given[] {
  const given: Given[] = [];
  const add = (field: string, option: Option, value: Value) => {
    given.push(takeValue(`${field} of the request`, option, value));
  };
  for (const field of Object.keys(opts) as (keyof CriuOpts)[]) {
    const value = opts[field];
    if (value === undefined || OF_THE_WORKER.has(field)) continue;
    if (OF_4_3.has(field)) refuse4_3(field, value);
    const uses = convert(opts, field, peer);
    for (const { long, values } of uses ?? []) for (const each of values) add(field, optionOf(long), each);
    const option = uses === undefined ? PLAIN.get(field) : undefined;
    if (option !== undefined) for (const each of plainValues(value)) add(field, option, each);
  }
  return given;
}

function convert<F extends keyof CriuOpts>(opts: CriuOpts, field: F, peer: Peer): readonly Use[] | undefined {
  const value = opts[field];
  if (value === undefined || value === null) return undefined;
  return CONVERTERS[field]?.(value, peer, opts);
}

function plainValues(value: unknown): readonly Value[] {
  if (typeof value === "boolean" || typeof value === "string") return [value];
  if (typeof value === "number") return [String(value)];
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function takeValue(as: string, option: Option, value: Value): Given {
  if (typeof value === "boolean") return { option, text: undefined, on: value, as };
  if (value.includes("\0")) throw new OptionError(`${as}: a zero byte cannot stand in it`);
  return { option, text: value, on: true, as };
}

function refuse4_3(field: string, value: unknown): void {
  const asksForNothing = value === 0 || (field === "decompress_threads" && value === 1);
  if (!asksForNothing) throw new OptionError(`${field} of the request is of CRIU 4.3, and not built yet`);
}

function optionOf(long: string): Option {
  const option = OPTIONS.find((each) => each.long === long);
  if (option === undefined) throw new Error(`no option ${long}`);
  return option;
}
