/**
 * rtnetlink (include/uapi/linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h, net_namespace.h): devices, addresses, routes, rules and
 * neighbours of a network namespace, which is that of the socket that is spoken over.
 */
import { s32, struct, u8, u16, u32 } from "./struct.ts";

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
  GETQDISC: 38,
  GETACTION: 50,
  GETADDRLABEL: 74,
  GETNETCONF: 82,
  GETMDB: 86,
  NEWNSID: 88,
  GETNSID: 90,
  NEWNEXTHOP: 104,
  GETNEXTHOP: 106,
  NEWLINKPROP: 108,
  GETTUNNEL: 122,
} as const;

/** struct ifinfomsg */
export const ifinfomsg = struct({ family: u8, pad: u8, type: u16, index: s32, flags: u32, change: u32 });
/** struct ifaddrmsg */
export const ifaddrmsg = struct({ family: u8, prefixLength: u8, flags: u8, scope: u8, index: u32 });
/** struct rtmsg; struct fib_rule_hdr has the same fields but for the protocol, which is reserved there, and the type, its action. */
export const rtmsg = struct({
  family: u8,
  destinationLength: u8,
  sourceLength: u8,
  tos: u8,
  table: u8,
  protocol: u8,
  scope: u8,
  type: u8,
  flags: u32,
});
/** struct ndmsg */
export const ndmsg = struct({
  family: u8,
  pad1: u8,
  pad2: u16,
  index: s32,
  state: u16,
  flags: u8,
  type: u8,
});
/** struct tcmsg */
export const tcmsg = struct({
  family: u8,
  pad1: u8,
  pad2: u16,
  index: s32,
  handle: u32,
  parent: u32,
  info: u32,
});
/** struct rtgenmsg, padded. */
export const rtgenmsg = struct({ family: u8 }, 4);

/** Attributes of a device. */
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  LINKINFO: 18,
  IFALIAS: 20,
  AF_SPEC: 26,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  LINK_NETNSID: 37,
  NEW_IFINDEX: 49,
  PROP_LIST: 52,
  ALT_IFNAME: 53,
} as const;
export const IFLA_INFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;
/** Within IFLA_AF_SPEC and there within AF_INET6. */
export const IFLA_INET6_ADDR_GEN_MODE = 8;
export const ADDR_GEN_MODE = { EUI64: 0, NONE: 1 } as const;
/** With IFLA_EXT_MASK: no statistics. */
export const RTEXT_FILTER_SKIP_STATS = 8;

/** Flags of a device (include/uapi/linux/if.h). */
export const IFF = { UP: 0x1, LOOPBACK: 0x8 } as const;
/** Those that are for others to set than the device itself: the rest it tells of. */
export const IFF_SETTABLE =
  /* DEBUG, NOTRAILERS, NOARP, PROMISC, ALLMULTI, MULTICAST, PORTSEL, AUTOMEDIA, DYNAMIC */
  0x4 | 0x20 | 0x80 | 0x100 | 0x200 | 0x1000 | 0x2000 | 0x4000 | 0x8000;

/** What kind of hardware a device is (include/uapi/linux/if_arp.h). */
export const ARPHRD = { ETHER: 1, LOOPBACK: 772, SIT: 776, IPGRE: 778, VOID: 0xffff, NONE: 0xfffe } as const;

export const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
export const IFA_F = { NODAD: 0x2, TENTATIVE: 0x40, PERMANENT: 0x80 } as const;

export const RTA = {
  OIF: 4,
  GATEWAY: 5,
  MULTIPATH: 9,
  CACHEINFO: 12,
  TABLE: 15,
  VIA: 18,
  ENCAP_TYPE: 21,
  ENCAP: 22,
  EXPIRES: 23,
  NH_ID: 30,
} as const;
/** struct nhmsg: a way that routes share, or several of them (include/uapi/linux/nexthop.h). */
export const nhmsg = struct({ family: u8, scope: u8, protocol: u8, pad: u8, flags: u32 });
export const NHA = { GROUP: 2, GROUP_TYPE: 3 } as const;
/** A group of ways that keeps flows where they are. */
export const NEXTHOP_GRP_TYPE_RES = 1;
/** The one flag of a way that is not its state. */
export const RTNH_F_ONLINK = 4;
/** struct rtnexthop: one of the ways of a route; its attributes follow. */
export const rtnexthop = struct({ length: u16, flags: u8, hops: u8, index: s32 });
/** Flags of a way, and of a route with one way, that tell of its state: DEAD, OFFLOAD, LINKDOWN, UNRESOLVED, TRAP. */
export const RTNH_STATE = 0x1 | 0x8 | 0x10 | 0x20 | 0x40;
/** struct rta_cacheinfo, as far as its time to live, in 1/100 s. */
export const rtaCacheinfo = struct({ references: u32, lastUse: u32, expires: s32 });
export const RT_TABLE = { MAIN: 254, LOCAL: 255 } as const;
/** Who has made a route. */
export const RTPROT = { REDIRECT: 1, KERNEL: 2, RA: 9 } as const;
/** A route that is a copy of another one for one destination. */
export const RTM_F_CLONED = 0x200;

/** What a rule of routes asks for, and what it says. */
export const FRA = { PRIORITY: 6, SUPPRESS_PREFIX_LENGTH: 14, TABLE: 15, PROTOCOL: 21 } as const;

export const NDA = { DST: 1, CACHEINFO: 3, PROBES: 4, MASTER: 9 } as const;
export const NUD = { NOARP: 0x40, PERMANENT: 0x80 } as const;
export const NTF = { SELF: 0x2, MASTER: 0x4, PROXY: 0x8 } as const;

/** Namespaces as others call them, with struct rtgenmsg. */
export const NETNSA = { NSID: 1, PID: 2, FD: 3 } as const;

export const VETH_INFO_PEER = 1;
