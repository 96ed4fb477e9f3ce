/**
 * What of this program's own is not built yet, for the features that clients ask of the kernel and want of us: `check` says
 * no to them, whatever the kernel offers. Who builds such a part sets it to `true` here, and nothing else; kinds of files and
 * commands are known by their own tables.
 */
import { fileKinds } from "../files/kinds.ts";
import { FdTypes } from "../images/schema/generated/files.ts";
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

export const PARTS = {
  preDump: command("pre-dump", "dumps in several rounds (pre-dump)"),
  lazyPages: command("lazy-pages", "restores that fetch memory on demand (lazy-pages)"),
  timerfd: kind(FdTypes.TIMERFD, "timerfds"),
  epoll: kind(FdTypes.EVENTPOLL, "epoll descriptors"),
  tun: kind(FdTypes.TUNF, "tun devices"),
  unixSockets: kind(FdTypes.UNIXSK, "Unix sockets"),
  inetSockets: kind(FdTypes.INETSK, "TCP and UDP sockets"),
  tcp: { what: "established TCP connections", built: false },
  locks: { what: "file locks", built: false },
  aio: { what: "contexts of asynchronous input and output", built: false },
  mounts: { what: "mount namespaces", built: false },
  autofs: { what: "mounts of autofs", built: false },
  userNamespaces: { what: "user namespaces", built: false },
  pidNamespaces: { what: "pid namespaces", built: false },
  cgroupNamespaces: { what: "cgroup namespaces", built: false },
  timeNamespaces: { what: "time namespaces", built: false },
  netNamespaces: { what: "network namespaces", built: false },
  apparmor: { what: "AppArmor profiles", built: false },
  compat: { what: "32-bit programs", built: false },
} as const satisfies Readonly<Record<string, Part>>;
