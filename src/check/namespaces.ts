/** What the kernel offers for namespaces, mounts and networks. */
import { errnoName } from "../linux/errno.ts";
import { AT, exists, O, readText } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { ChildProbe, NEW } from "./child-probe.ts";
import { setMemoryMap } from "./memory.ts";
import {
  AF_NETLINK,
  answersIn,
  ask,
  attribute,
  attributesIn,
  ifinfomsg,
  message,
  NETLINK,
  NLM_F,
  nested,
  nfgenmsg,
  refusalIn,
  SOCK_RAW,
} from "./netlink.ts";
import { attempt, int, MissingError, Pipe, refusal } from "./probe.ts";

/** A descriptor in a child, where a message or an option has to name one. */
const KNOWN_NUMBER = 200;

function unshares(what: string, flag: number): void {
  using child = new ChildProbe();
  child.must(`unshare of ${what}`, NR.unshare, flag);
  child.ask();
}

export function userNamespaces(): void {
  unshares("the user namespace", NEW.USER);
  setMemoryMap();
}

export function cgroupNamespaces(): void {
  unshares("the cgroup namespace", NEW.CGROUP);
}

/** A clock is set off in a new time namespace. */
export function timeNamespaces(): void {
  using child = new ChildProbe();
  child.must("unshare of the time namespace", NR.unshare, NEW.TIME);
  const path = "/proc/self/timens_offsets";
  const file = child.must(path, NR.openat, AT.FDCWD, path, O.WRONLY, 0);
  const offset = new TextEncoder().encode("monotonic 100 0\n");
  child.must(`write to ${path}`, NR.write, file, offset, offset.length);
  child.ask();
}

export function pidNamespaces(): void {
  unshares("the pid namespace", NEW.PID);
}

const MOVE_MOUNT_SET_GROUP = 0x100;

export function moveMountSetGroup(): void {
  using child = new ChildProbe();
  child.ownMounts();
  child.ownDirectory("/proc");
  child.must("mkdir", NR.mkdirat, AT.FDCWD, "/proc/sub", 0o700);
  child.bind("/proc/sub");
  child.share("/proc");
  const from = [AT.FDCWD, "/proc"] as const;
  child.must(
    "move_mount MOVE_MOUNT_SET_GROUP",
    NR.move_mount,
    ...from,
    AT.FDCWD,
    "/proc/sub",
    MOVE_MOUNT_SET_GROUP,
  );
  child.ask();
}

/** Where mountinfo says which pipe a mount of autofs talks through. */
export function autofsPipe(): void {
  using child = new ChildProbe();
  child.ownMounts();
  const info = child.must("/proc/self/mountinfo", NR.openat, AT.FDCWD, "/proc/self/mountinfo", 0, 0);
  // The end of a pipe of ours, which the child has, under a number that is known.
  using pipe = new Pipe();
  child.must("dup of a pipe", NR.dup3, pipe.writing, KNOWN_NUMBER, 0);
  const group = attempt(NR.getpgid, 0);
  const options = `fd=${KNOWN_NUMBER},pgrp=${group},minproto=5,maxproto=5,direct`;
  child.must("mount of autofs", NR.mount, "criu-check", "/proc", "autofs", 0, options);
  const text = child.readAll(info, 24);
  child.ask();
  const line = text()
    .split("\n")
    .find((each) => each.includes(" autofs criu-check "));
  if (line?.includes("pipe_ino=") !== true)
    throw new MissingError("/proc/PID/mountinfo has no pipe_ino of an autofs");
}

/** include/uapi/linux/rtnetlink.h, if_link.h, net_namespace.h, veth.h */
const RTM = { NEWLINK: 16, GETLINK: 18, SETLINK: 19, GETNSID: 90 } as const;
const IFLA = { IFNAME: 3, LINKINFO: 18, NET_NS_FD: 28, LINK_NETNSID: 37, NEW_IFINDEX: 49 } as const;
const IFLA_INFO = { KIND: 1, DATA: 2 } as const;
const VETH_INFO_PEER = 1;
const NETNSA = { NSID: 1, PID: 2 } as const;
const ERANGE = -34;

export function namespaceIds(): void {
  const rtgenmsg = new Uint8Array(1);
  const answers = ask(NETLINK.ROUTE, message(RTM.GETNSID, 0, rtgenmsg, attribute(NETNSA.PID, int(ourPid()))));
  const errno = refusalIn(answers);
  if (errno !== 0) throw refusal("RTM_GETNSID", errno);
  if (!answers.some(({ body }) => attributesIn(body, 1).has(NETNSA.NSID)))
    throw new MissingError("RTM_GETNSID is not answered with an id");
}

/** The kernel looks at the number that is wanted, which is a bad one, before it looks for the link. */
export function newLinkIndex(): void {
  const wanted = [attribute(IFLA.NEW_IFINDEX, int(-1)), attribute(IFLA.IFNAME, "criu-check-none")];
  const request = message(RTM.SETLINK, NLM_F.ACK, ifinfomsg.encode({}), ...wanted);
  const errno = refusalIn(ask(NETLINK.ROUTE, request));
  if (errno !== ERANGE) throw refusal("RTM_SETLINK with a bad IFLA_NEW_IFINDEX", errno);
}

/** Of a link that leads to another namespace: which. */
export function linkNamespaceId(): void {
  using child = new ChildProbe();
  child.must("unshare of the network namespace", NR.unshare, NEW.NET);
  const other = child.must("/proc/self/ns/net", NR.openat, AT.FDCWD, "/proc/self/ns/net", 0, 0);
  child.must("dup of it", NR.dup3, other, KNOWN_NUMBER, 0);
  child.must("unshare of the network namespace", NR.unshare, NEW.NET);
  const socket = child.must("netlink", NR.socket, AF_NETLINK, SOCK_RAW, NETLINK.ROUTE);
  const peer = nested(VETH_INFO_PEER, ifinfomsg.encode({}), attribute(IFLA.NET_NS_FD, int(KNOWN_NUMBER)));
  const kind = nested(IFLA.LINKINFO, attribute(IFLA_INFO.KIND, "veth"), nested(IFLA_INFO.DATA, peer));
  const flags = NLM_F.ACK | NLM_F.CREATE | NLM_F.EXCL;
  const made = child.exchange(
    socket,
    message(RTM.NEWLINK, flags, ifinfomsg.encode({}), attribute(IFLA.IFNAME, "veth"), kind),
  );
  const told = child.exchange(
    socket,
    message(RTM.GETLINK, 0, ifinfomsg.encode({}), attribute(IFLA.IFNAME, "veth")),
  );
  child.ask();
  const errno = refusalIn(answersIn(made()));
  if (errno !== 0) throw refusal("RTM_NEWLINK of a veth with its peer in another namespace", errno);
  if (!answersIn(told()).some(({ body }) => attributesIn(body, ifinfomsg.size).has(IFLA.LINK_NETNSID)))
    throw new MissingError("RTM_GETLINK does not say which namespace a link leads to");
}

/** include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h */
const NFNL = { BATCH_BEGIN: 0x10, BATCH_END: 0x11, NFTABLES: 10 } as const;
const NFT_MSG = { NEWTABLE: 0, NEWSET: 9 } as const;
const NFTA_TABLE_NAME = 1;
const NFTA_SET = { TABLE: 1, NAME: 2, FLAGS: 3, KEY_TYPE: 4, KEY_LEN: 5, ID: 10 } as const;
const NFPROTO_INET = 1;
/** What nft(8) calls ipv4_addr . inet_service: two types of 6 bits each. */
const ADDRESS_AND_PORT = (7 << 6) | 13;

/** A number in the order of the network. */
function big(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** A table, and a set in it whose keys are addresses with ports, in a network namespace of its own. */
export function nftables(): void {
  nftablesWith([]);
}

export function nftablesConcatenation(): void {
  const parts = [
    attribute(NFTA_SET.TABLE, "CRIU-check"),
    attribute(NFTA_SET.NAME, "conn"),
    attribute(NFTA_SET.FLAGS, big(0)),
    attribute(NFTA_SET.KEY_TYPE, big(ADDRESS_AND_PORT)),
    attribute(NFTA_SET.KEY_LEN, big(8)),
    attribute(NFTA_SET.ID, big(1)),
  ];
  const type = (NFNL.NFTABLES << 8) | NFT_MSG.NEWSET;
  nftablesWith([
    message(type, NLM_F.ACK | NLM_F.CREATE, nfgenmsg.encode({ family: NFPROTO_INET }), ...parts),
  ]);
}

function nftablesWith(more: readonly Uint8Array[]): void {
  const subsystem = nfgenmsg.encode({ res_id: NFNL.NFTABLES << 8 });
  const type = (NFNL.NFTABLES << 8) | NFT_MSG.NEWTABLE;
  const table = attribute(NFTA_TABLE_NAME, "CRIU-check");
  const batch = [
    message(NFNL.BATCH_BEGIN, 0, subsystem),
    message(type, NLM_F.ACK | NLM_F.CREATE, nfgenmsg.encode({ family: NFPROTO_INET }), table),
    ...more,
    message(NFNL.BATCH_END, 0, subsystem),
  ];
  using child = new ChildProbe();
  child.must("unshare of the network namespace", NR.unshare, NEW.NET);
  const socket = child.must("netlink of netfilter", NR.socket, AF_NETLINK, SOCK_RAW, NETLINK.NETFILTER);
  const made = child.exchange(socket, Buffer.concat(batch), 2 + more.length);
  child.ask();
  const answers = answersIn(made());
  const errno = refusalIn(answers);
  if (errno !== 0) throw refusal("a table of nftables", errno);
  if (answers.length === 0) throw new MissingError("a table of nftables: no answer");
}

export function apparmorStacks(): void {
  const path = "/sys/kernel/security/apparmor/features/domain/stack";
  if (!exists(path)) throw new MissingError(`${path}: ${errnoName(2)}`);
  if (readText(path).trim() !== "yes") throw new MissingError("AppArmor stacks no profiles");
}

/** A network namespace is told by its inode, and joined by its descriptor. */
export function netNamespaceFile(): void {
  using child = new ChildProbe();
  const file = child.must("/proc/self/ns/net", NR.openat, AT.FDCWD, "/proc/self/ns/net", 0, 0);
  child.must("setns of a network namespace", NR.setns, file, NEW.NET);
  child.ask();
}
