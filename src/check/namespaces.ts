/** What the kernel offers for namespaces, mounts and networks. */

import { NEW } from "../linux/clone.ts";
import { errnoName } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { AT, exists, O, readText } from "../linux/io.ts";
import { attributesIn, NETLINK, Netlink, NLM, type Request, RequestBody } from "../linux/netlink.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { IFLA, IFLA_INFO, ifinfomsg, NETNSA, RTM, rtgenmsg, VETH_INFO_PEER } from "../linux/rtnetlink.ts";
import { struct, u8, u16 } from "../linux/struct.ts";
import { ChildProbe } from "./child-probe.ts";
import { setMemoryMap } from "./memory.ts";
import { attempt, MissingError, named, pipe } from "./probe.ts";

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
  const [reading, writing] = pipe();
  using _reading = reading;
  using _writing = writing;
  child.must("dup of a pipe", NR.dup3, writing.number, KNOWN_NUMBER, 0);
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

export function namespaceIds(): void {
  using route = Netlink.open(NETLINK.ROUTE);
  const { bytes } = new RequestBody(rtgenmsg.encode({})).u32(NETNSA.PID, ourPid());
  let told = false;
  named("RTM_GETNSID", () =>
    route.ask("", { type: RTM.GETNSID, flags: 0, body: bytes }, ({ body }) => {
      told ||= attributesIn(body, rtgenmsg.size).has(NETNSA.NSID);
    }),
  );
  if (!told) throw new MissingError("RTM_GETNSID is not answered with an id");
}

/** The kernel looks at the number that is wanted, which is a bad one, before it looks for the link. */
export function newLinkIndex(): void {
  using route = Netlink.open(NETLINK.ROUTE);
  const request = new RequestBody(ifinfomsg.encode({}))
    .u32(IFLA.NEW_IFINDEX, 0xffff_ffff)
    .text(IFLA.IFNAME, "criu-check-none");
  try {
    named("RTM_SETLINK with IFLA_NEW_IFINDEX", () =>
      route.tell("", { type: RTM.SETLINK, flags: 0, body: request.bytes }),
    );
  } catch (error) {
    if (error instanceof MissingError && error.message.includes("ERANGE")) return;
    throw error;
  }
  throw new MissingError("RTM_SETLINK with a bad IFLA_NEW_IFINDEX succeeds");
}

/** Of a link that leads to another namespace: which. */
export function linkNamespaceId(): void {
  using child = new ChildProbe();
  child.must("unshare of the network namespace", NR.unshare, NEW.NET);
  const other = child.must("/proc/self/ns/net", NR.openat, AT.FDCWD, "/proc/self/ns/net", 0, 0);
  child.must("unshare of the network namespace", NR.unshare, NEW.NET);
  using route = child.netlink(NETLINK.ROUTE);
  using pidfd = Fd.ofProcess(child.pid);
  using namespace = Fd.outOf(pidfd.number, other.raw);
  const link = new RequestBody(ifinfomsg.encode({})).text(IFLA.IFNAME, "veth");
  link.nest(IFLA.LINKINFO, () => {
    link.text(IFLA_INFO.KIND, "veth").nest(IFLA_INFO.DATA, () => {
      const peer = new RequestBody(ifinfomsg.encode({})).u32(IFLA.NET_NS_FD, namespace.number);
      link.raw(VETH_INFO_PEER, peer.bytes);
    });
  });
  const flags = NLM.CREATE | NLM.EXCL;
  named("a veth with its peer in another namespace", () =>
    route.tell("", { type: RTM.NEWLINK, flags, body: link.bytes }),
  );
  const name = new RequestBody(ifinfomsg.encode({})).text(IFLA.IFNAME, "veth");
  let told = false;
  named("RTM_GETLINK", () =>
    route.ask("", { type: RTM.GETLINK, flags: 0, body: name.bytes }, ({ body }) => {
      told ||= attributesIn(body, ifinfomsg.size).has(IFLA.LINK_NETNSID);
    }),
  );
  if (!told) throw new MissingError("RTM_GETLINK does not say which namespace a link leads to");
}

/** include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h */
const NFNL = { BATCH_BEGIN: 0x10, BATCH_END: 0x11, NFTABLES: 10 } as const;
const NFT_MSG = { NEWTABLE: 0, NEWSET: 9 } as const;
const NFTA_TABLE_NAME = 1;
const NFTA_SET = { TABLE: 1, NAME: 2, FLAGS: 3, KEY_TYPE: 4, KEY_LEN: 5, ID: 10 } as const;
const NFPROTO_INET = 1;
/** What nft(8) calls ipv4_addr . inet_service: two types of 6 bits each. */
const ADDRESS_AND_PORT = (7 << 6) | 13;
const ADDRESS_AND_PORT_SIZE = 8;
/** struct nfgenmsg; res_id is in network byte order. */
const nfgenmsg = struct({ family: u8, version: u8, res_id: u16 });

/** A table, in a network namespace of its own. */
export function nftables(): void {
  makeTable([]);
}

/** The same with a set in it whose keys are addresses with ports. */
export function nftablesConcatenation(): void {
  const set = new RequestBody(nfgenmsg.encode({ family: NFPROTO_INET }))
    .text(NFTA_SET.TABLE, "CRIU-check")
    .text(NFTA_SET.NAME, "conn")
    .be32(NFTA_SET.FLAGS, 0)
    .be32(NFTA_SET.KEY_TYPE, ADDRESS_AND_PORT)
    .be32(NFTA_SET.KEY_LEN, ADDRESS_AND_PORT_SIZE)
    .be32(NFTA_SET.ID, 1);
  makeTable([{ type: typeOf(NFT_MSG.NEWSET), flags: NLM.ACK | NLM.CREATE, body: set.bytes, what: "a set" }]);
}

const typeOf = (message: number) => (NFNL.NFTABLES << 8) | message;

function makeTable(more: readonly Request[]): void {
  using child = new ChildProbe();
  child.must("unshare of the network namespace", NR.unshare, NEW.NET);
  using netfilter = child.netlink(NETLINK.NETFILTER);
  const subsystem = nfgenmsg.encode({ res_id: NFNL.NFTABLES << 8 });
  const table = new RequestBody(nfgenmsg.encode({ family: NFPROTO_INET })).text(
    NFTA_TABLE_NAME,
    "CRIU-check",
  );
  const flags = NLM.ACK | NLM.CREATE;
  netfilter.batch([
    { type: NFNL.BATCH_BEGIN, flags: 0, body: subsystem, what: "a batch" },
    { type: typeOf(NFT_MSG.NEWTABLE), flags, body: table.bytes, what: "a table of nftables" },
    ...more,
    { type: NFNL.BATCH_END, flags: 0, body: subsystem, what: "a batch" },
  ]);
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
