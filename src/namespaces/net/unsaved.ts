/**
 * What a network namespace may have besides and nobody saves: queueing disciplines, transformations of IPsec, and so on. Each is asked
 * for, and refused by name: none is lost without a word. (CRIU looks at none of it.)
 */
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { genericFamilies, genlmsghdr } from "../../linux/genetlink.ts";
import {
  attributesIn,
  attributeText,
  eachAttribute,
  type Message,
  NETLINK,
  type Netlink,
  NLM,
  RequestBody,
} from "../../linux/netlink.ts";
import { nfgenmsg } from "../../linux/nftables.ts";
import { IFLA, ifinfomsg, RTM, rtmsg, tcmsg } from "../../linux/rtnetlink.ts";
import { AF } from "../../linux/socket.ts";
import { bytes, struct, u8, u16, u32 } from "../../linux/struct.ts";
import { UnsupportedError } from "../../process/errors.ts";
import type { Device } from "./devices.ts";

/** Sockets that speak of the namespace. */
export interface NetSpeaker {
  readonly id: number;
  readonly route: Netlink;
  readonly netfilter: Netlink;
  /** Another one, the caller's. @throws KernelError */
  open(protocol: number): Netlink;
}

interface Found {
  readonly what: string;
  readonly help: string;
}

/** What a kernel says that knows nothing of what it is asked for, or lets only who has all rights ask: nobody else has set it. */
const UNKNOWN: ReadonlySet<number> = new Set([
  ERRNO.EPERM,
  ERRNO.EOPNOTSUPP,
  ERRNO.EINVAL,
  ERRNO.ENOENT,
  ERRNO.EPROTONOSUPPORT,
  ERRNO.EAFNOSUPPORT,
  ERRNO.ENOSYS,
]);

/** The answers to a question; none from a kernel that does not know it. @throws KernelError */
function answers(
  netlink: Netlink,
  what: string,
  type: number,
  body: Uint8Array,
  flags: number = NLM.DUMP,
): Message[] {
  const found: Message[] = [];
  try {
    netlink.ask(
      what,
      { type, flags, body },
      (message) => void found.push({ type: message.type, body: message.body.slice() }),
      () => found.splice(0),
    );
  } catch (error) {
    if (!(error instanceof KernelError && UNKNOWN.has(error.errno))) throw error;
  }
  return found;
}

/** @throws UnsupportedError naming the first that it finds; KernelError */
export function refuseUnsaved(speaker: NetSpeaker, devices: readonly Device[]): void {
  const { id, route, netfilter } = speaker;
  const found =
    queueing(route, devices) ??
    action(route) ??
    bridgeTables(route, devices) ??
    tunnelTable(route) ??
    multicastRouting(route) ??
    addressLabels(route) ??
    netfilterObjects(netfilter) ??
    ipsec(speaker) ??
    generic(speaker);
  if (found === undefined) return;
  const { what, help } = found;
  throw new UnsupportedError(`net namespace ${id}: ${what}, which cannot be dumped; ${help}`);
}

// --- traffic control

const TCA_KIND = 1;

/** Those that the kernel gives devices by itself have no handle. Classes and filters stand on one that has. */
function queueing(route: Netlink, devices: readonly Device[]): Found | undefined {
  for (const { body } of answers(route, "list of queueing disciplines", RTM.GETQDISC, tcmsg.encode({}))) {
    const { handle, index } = tcmsg.decode(body);
    if (handle === 0) continue;
    const name = devices.find((device) => device.index === index)?.name ?? String(index);
    const kind = attributesIn(body, tcmsg.size).get(TCA_KIND);
    return {
      what: `queueing discipline ${kind === undefined ? "" : attributeText(kind)} of network device ${name}`,
      help: `tc qdisc del dev ${name} removes it`,
    };
  }
  return undefined;
}

/** struct tcamsg */
const tcamsg = struct({ family: u8, pad1: u8, pad2: u16 });
const TCA_ACT_TAB = 1;
const TCA_ACT_KIND = 1;
/** Actions may be there without a filter; the kernel tells of one kind at a time. */
const ACTIONS = [
  ...["gact", "mirred", "police", "pedit", "skbedit", "vlan", "tunnel_key", "csum", "nat", "skbmod", "ct"],
  ...["ctinfo", "bpf", "connmark", "ife", "sample", "simple", "mpls", "gate", "xt"],
];

function action(route: Netlink): Found | undefined {
  for (const kind of ACTIONS) {
    const body = new RequestBody(tcamsg.encode({}));
    body.nest(TCA_ACT_TAB, () => body.nest(1, () => body.text(TCA_ACT_KIND, kind)));
    const isThere = answers(route, `list of actions of kind ${kind}`, RTM.GETACTION, body.bytes).some(
      (message) => attributesIn(message.body, tcamsg.size).has(TCA_ACT_TAB),
    );
    if (isThere)
      return {
        what: `action ${kind} of traffic control`,
        help: `tc actions flush action ${kind} removes those of its kind`,
      };
  }
  return undefined;
}

// --- bridges and tunnels

/** struct br_port_msg */
const brPortMsg = struct({ family: u8, pad1: u8, pad2: u16, index: u32 });
/** struct br_mdb_entry */
const brMdbEntry = struct({ index: u32, state: u8, flags: u8, vlan: u16, address: bytes(16), protocol: u16 });
const MDB_PERMANENT = 1;
const MDBA = { MDB: 1, ENTRY: 1, INFO: 1 } as const;
/** With IFLA_EXT_MASK: VLANs of bridges and of their ports. */
const RTEXT_FILTER_BRVLAN = 2;
const IFLA_BRIDGE_VLAN_INFO = 2;
/** struct bridge_vlan_info */
const bridgeVlanInfo = struct({ flags: u16, vlan: u16 });
/** PVID and UNTAGGED, as the one that each port has at first. */
const FIRST_VLAN_FLAGS = 2 | 4;
const IFLA_BR_VLAN_DEFAULT_PVID = 39;

function* insides(list: Uint8Array | undefined, type: number): Generator<Uint8Array> {
  for (const [each, value] of eachAttribute(list ?? new Uint8Array(0))) if (each === type) yield value;
}

/** The VLAN that ports of the bridge get by themselves; undefined for none. */
function firstVlan(devices: readonly Device[], bridge: number): number | undefined {
  const data = devices.find(({ index }) => index === bridge)?.data ?? new Uint8Array(0);
  const value = attributesIn(data).get(IFLA_BR_VLAN_DEFAULT_PVID);
  const vlan = value === undefined ? 1 : u16.read(value, 0);
  return vlan === 0 ? undefined : vlan;
}

function bridgeTables(route: Netlink, devices: readonly Device[]): Found | undefined {
  if (!devices.some(({ kind }) => kind === "bridge" || kind === "vxlan")) return undefined;
  const asked = brPortMsg.encode({ family: AF.BRIDGE });
  for (const { body } of answers(route, "list of multicast groups of bridges", RTM.GETMDB, asked)) {
    for (const entry of insides(attributesIn(body, brPortMsg.size).get(MDBA.MDB), MDBA.ENTRY))
      for (const info of insides(entry, MDBA.INFO))
        if ((brMdbEntry.decode(info).state & MDB_PERMANENT) !== 0)
          return {
            what: "a multicast group of a bridge that somebody has noted for good",
            help: "bridge mdb del removes it",
          };
  }
  return vlans(route, devices);
}

/** VLANs of ports, as far as they are not those of a bridge that nobody has configured. */
function vlans(route: Netlink, devices: readonly Device[]): Found | undefined {
  const head = ifinfomsg.encode({ family: AF.BRIDGE });
  const asked = new RequestBody(head).u32(IFLA.EXT_MASK, RTEXT_FILTER_BRVLAN).bytes;
  for (const { body } of answers(route, "list of VLANs of bridges", RTM.GETLINK, asked)) {
    const { index } = ifinfomsg.decode(body);
    const attributes = attributesIn(body, ifinfomsg.size);
    const device = devices.find((each) => each.index === index);
    const first = firstVlan(devices, device?.master ?? index);
    for (const value of insides(attributes.get(IFLA.AF_SPEC), IFLA_BRIDGE_VLAN_INFO)) {
      const { flags, vlan } = bridgeVlanInfo.decode(value);
      if (vlan !== first || (flags & FIRST_VLAN_FLAGS) !== FIRST_VLAN_FLAGS)
        return {
          what: `VLAN ${vlan} of a bridge at network device ${device?.name ?? index}`,
          help: "bridge vlan del removes it",
        };
    }
  }
  return undefined;
}

/** struct tunnel_msg */
const tunnelMsg = struct({ family: u8, flags: u8, reserved: u16, index: u32 });

function tunnelTable(route: Netlink): Found | undefined {
  const asked = tunnelMsg.encode({ family: AF.BRIDGE });
  if (answers(route, "list of networks of vxlan devices", RTM.GETTUNNEL, asked).length === 0)
    return undefined;
  return { what: "a vxlan device that filters networks", help: "bridge vni del removes them" };
}

// --- routing

const RTNL_FAMILY = { IPMR: 128, IP6MR: 129 } as const;

function multicastRouting(route: Netlink): Found | undefined {
  for (const family of [RTNL_FAMILY.IPMR, RTNL_FAMILY.IP6MR]) {
    const found = answers(route, "list of multicast routes", RTM.GETROUTE, rtmsg.encode({ family }));
    // A kernel without them tells of other routes instead.
    if (found.some(({ body }) => rtmsg.decode(body).family === family))
      return { what: "a route of multicast", help: "the program that has made it can be ended before" };
  }
  return undefined;
}

/** struct ifaddrlblmsg */
const ifaddrlblmsg = struct({
  family: u8,
  reserved: u8,
  prefixLength: u8,
  flags: u8,
  index: u32,
  sequence: u32,
});
const IFAL = { ADDRESS: 1, LABEL: 2 } as const;
/** Those that each namespace has (net/ipv6/addrlabel.c; RFC 6724 has others): the first bytes of the address, its length, the label. */
const USUAL_LABELS: ReadonlySet<string> = new Set([
  "/0=1",
  "fc/7=5",
  "fec/10=11",
  "2002/16=2",
  "3ffe/16=12",
  "2001/32=6",
  "2001001/28=7",
  "00000000000000000000ffff/96=4",
  "/96=3",
  "00000000000000000000000000000001/128=0",
]);

function addressLabels(route: Netlink): Found | undefined {
  const asked = ifaddrlblmsg.encode({ family: AF.INET6 });
  const found = answers(route, "list of address labels", RTM.GETADDRLABEL, asked);
  // None at all: a kernel without IPv6.
  if (found.length === 0) return undefined;
  const labels = found.map(({ body }) => {
    const attributes = attributesIn(body, ifaddrlblmsg.size);
    const { prefixLength } = ifaddrlblmsg.decode(body);
    const address = (attributes.get(IFAL.ADDRESS) ?? new Uint8Array(0)).toHex().replace(/0+$/, "");
    const label = attributes.get(IFAL.LABEL);
    return `${address}/${prefixLength}=${label === undefined ? "" : u32.read(label, 0)}`;
  });
  const isUsual = labels.length === USUAL_LABELS.size && labels.every((label) => USUAL_LABELS.has(label));
  if (isUsual) return undefined;
  return {
    what: "labels of IPv6 addresses that are not as in a new namespace",
    help: "ip addrlabel puts them back",
  };
}

// --- netfilter

const IPSET_PROTOCOL = 7;
/** By the number of the subsystem: what it is asked with to list all, and what it has. */
const SUBSYSTEMS: readonly {
  readonly number: number;
  readonly ask: number;
  readonly attributes?: Uint8Array;
  readonly what: string;
  readonly help: string;
}[] = [
  {
    number: 6,
    ask: 7,
    attributes: new RequestBody().u8(1, IPSET_PROTOCOL).bytes,
    what: "a set of ipset",
    help: "ipset destroy removes it, and nf_tables have sets that can be dumped",
  },
  { number: 7, ask: 1, what: "a counter of nfacct", help: "nfacct del removes it" },
  { number: 8, ask: 1, what: "a policy of timeouts of tracked connections", help: "nfct del removes it" },
];

function netfilterObjects(netfilter: Netlink): Found | undefined {
  for (const { number, ask, attributes, what, help } of SUBSYSTEMS) {
    const head = nfgenmsg.encode({});
    const body = new Uint8Array([...head, ...(attributes ?? [])]);
    if (answers(netfilter, what, (number << 8) | ask, body).length > 0) return { what, help };
  }
  return undefined;
}

// --- IPsec

const XFRM_MSG = { GETSA: 0x12, GETPOLICY: 0x15, GETDEFAULT: 0x28 } as const;
/** struct xfrm_userpolicy_default */
const policyDefault = struct({ in: u8, forward: u8, out: u8 });
const XFRM_BLOCK = 1;

/** A kernel without IPsec has no sockets that speak of it. */
function tryOpen(speaker: NetSpeaker, protocol: number): Netlink | undefined {
  try {
    return speaker.open(protocol);
  } catch (error) {
    if (error instanceof KernelError && UNKNOWN.has(error.errno)) return undefined;
    throw error;
  }
}

function ipsec(speaker: NetSpeaker): Found | undefined {
  using xfrm = tryOpen(speaker, NETLINK.XFRM);
  if (xfrm === undefined) return undefined;
  const nothing = new Uint8Array(0);
  if (answers(xfrm, "list of transformations", XFRM_MSG.GETSA, nothing).length > 0)
    return { what: "a state of IPsec (XFRM)", help: "ip xfrm state flush removes it" };
  if (answers(xfrm, "list of policies", XFRM_MSG.GETPOLICY, nothing).length > 0)
    return { what: "a policy of IPsec (XFRM)", help: "ip xfrm policy flush removes it" };
  const asked = policyDefault.encode({});
  const isBlocked = answers(xfrm, "policy for all else", XFRM_MSG.GETDEFAULT, asked, 0).some(({ body }) =>
    Object.values(policyDefault.decode(body)).includes(XFRM_BLOCK),
  );
  if (isBlocked)
    return { what: "a policy of IPsec (XFRM) for all else", help: "ip xfrm policy setdefault takes it back" };
  return undefined;
}

// --- generic netlink

/** By name: the command that lists all, and what it has. */
const FAMILIES: readonly {
  readonly name: string;
  readonly list: number;
  readonly what: string;
  readonly help: string;
}[] = [
  {
    name: "mptcp_pm",
    list: 3,
    what: "an endpoint of MPTCP",
    help: "ip mptcp endpoint flush removes it",
  },
  { name: "IPVS", list: 4, what: "a service of IPVS", help: "ipvsadm -C removes it" },
  { name: "l2tp", list: 4, what: "a tunnel of L2TP", help: "ip l2tp del tunnel removes it" },
  { name: "fou", list: 3, what: "a port of FOU", help: "ip fou del removes it" },
  { name: "ila", list: 3, what: "a mapping of ILA", help: "ip ila del removes it" },
  { name: "SEG6", list: 2, what: "a key of IPv6 segment routing", help: "ip sr hmac set removes it" },
  { name: "IOAM6", list: 3, what: "a namespace of IOAM6", help: "ip ioam namespace del removes it" },
  { name: "TIPCv2", list: 1, what: "a bearer of TIPC", help: "tipc bearer disable removes it" },
];
const MPTCP = { NAME: "mptcp_pm", GET_LIMITS: 6, RECEIVED: 2, SUBFLOWS: 3 } as const;
/** Subflows of a connection where nobody has said how many. */
const USUAL_SUBFLOWS = 2;

function generic(speaker: NetSpeaker): Found | undefined {
  using netlink = tryOpen(speaker, NETLINK.GENERIC);
  if (netlink === undefined) return undefined;
  const families = genericFamilies(netlink);
  for (const { name, list, what, help } of FAMILIES) {
    const type = families.get(name);
    if (type === undefined) continue;
    const body = genlmsghdr.encode({ command: list, version: 1 });
    if (answers(netlink, what, type, body).length > 0) return { what, help };
  }
  return mptcpLimits(netlink, families.get(MPTCP.NAME));
}

function mptcpLimits(netlink: Netlink, type: number | undefined): Found | undefined {
  if (type === undefined) return undefined;
  const body = genlmsghdr.encode({ command: MPTCP.GET_LIMITS, version: 1 });
  for (const message of answers(netlink, "limits of MPTCP", type, body, 0)) {
    const attributes = attributesIn(message.body, genlmsghdr.size);
    const received = attributes.get(MPTCP.RECEIVED);
    const subflows = attributes.get(MPTCP.SUBFLOWS);
    const areUsual =
      (received === undefined || u32.read(received, 0) === 0) &&
      (subflows === undefined || u32.read(subflows, 0) === USUAL_SUBFLOWS);
    if (!areUsual) return { what: "limits of MPTCP", help: "ip mptcp limits puts them back" };
  }
  return undefined;
}
