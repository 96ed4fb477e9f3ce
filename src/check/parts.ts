/**
 * What of this program's own is not built yet, for the features that clients ask of the kernel and want of us: `check` says
 * no to them, whatever the kernel offers. Commands, kinds of files and kinds of namespaces are known by their own tables; who
 * builds one of the rest sets it to `true` here.
 */
import { fileKinds } from "../files/kinds.ts";
import { FdTypes } from "../images/schema/generated/files.ts";
import { KINDS } from "../namespaces/kinds.ts";
import type { NamespaceName } from "../namespaces/namespace.ts";
import { COMMANDS, type Command } from "../options.ts";

export interface Part {
  /** What it is about, for messages: plural. */
  readonly what: string;
  readonly built: boolean;
}

function command(name: Command, what: string): Part {
  return { what, built: COMMANDS.some((each) => each.name === name && each.built) };
}

function kind(type: FdTypes, what: string): Part {
  return { what, built: fileKinds.some((each) => each.type === type) };
}

const NAMESPACES: Readonly<Record<NamespaceName, string>> = {
  mnt: "mount namespaces",
  user: "user namespaces",
  pid: "pid namespaces",
  cgroup: "cgroup namespaces",
  time: "time namespaces",
  net: "network namespaces",
  ipc: "IPC namespaces",
  uts: "UTS namespaces",
};

function namespace(name: NamespaceName): Part {
  const kind = KINDS.find((each) => each.name === name);
  return { what: NAMESPACES[name], built: kind?.dump !== undefined };
}

export const PARTS = {
  preDump: command("pre-dump", "dumps in several rounds (pre-dump)"),
  lazyPages: command("lazy-pages", "restores that fetch memory on demand (lazy-pages)"),
  timerfd: kind(FdTypes.TIMERFD, "timerfds"),
  epoll: kind(FdTypes.EVENTPOLL, "epoll descriptors"),
  tun: kind(FdTypes.TUNF, "tun devices"),
  unixSockets: kind(FdTypes.UNIXSK, "Unix sockets"),
  inetSockets: kind(FdTypes.INETSK, "TCP and UDP sockets"),
  mounts: namespace("mnt"),
  userNamespaces: namespace("user"),
  pidNamespaces: namespace("pid"),
  cgroupNamespaces: namespace("cgroup"),
  timeNamespaces: namespace("time"),
  netNamespaces: namespace("net"),
  locks: { what: "file locks", built: true },
  tcp: kind(FdTypes.INETSK, "established TCP connections"),
  aio: { what: "contexts of asynchronous input and output", built: true },
  autofs: { what: "mounts of autofs", built: true },
  apparmor: { what: "AppArmor profiles", built: false },
  compat: { what: "32-bit programs", built: false },
} as const satisfies Readonly<Record<string, Part>>;
