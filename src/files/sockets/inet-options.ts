/** The options that sockets over IP have beside those of every socket. */
import type { IpOptsEntry, IpOptsRawEntry, TcpOptsEntry } from "../../images/schema/generated/sockets.ts";
import { AF, getOption, IPPROTO, SO, SOCK, SOL, setInt, setOption, tryGetInt } from "../../linux/socket.ts";
import { ICMP_FILTER, ICMPV6_FILTER, IP, IPV6, TCP, UDP, UDPLITE } from "../../linux/socket-options.ts";
import { u32 } from "../../linux/struct.ts";
import { type Option, options, type SocketType } from "./options.ts";

/** Some of the level are understood by IPv6 sockets as well, which may talk IPv4. */
const OF_IP: readonly Option[] = [
  ...options(SOL.IP, [
    IP.RECVOPTS,
    IP.RETOPTS,
    IP.MTU_DISCOVER,
    IP.RECVERR,
    IP.RECVTTL,
    IP.RECVTOS,
    IP.PASSSEC,
    IP.RECVORIGDSTADDR,
    IP.MINTTL,
    IP.CHECKSUM,
    IP.RECVFRAGSIZE,
    IP.RECVERR_RFC4884,
    IP.UNICAST_IF,
  ]),
  { level: SOL.IP, name: IP.TRANSPARENT, early: true },
  { level: SOL.IP, name: IP.BIND_ADDRESS_NO_PORT, early: true },
  { level: SOL.IP, name: IP.LOCAL_PORT_RANGE, early: true },
];
const OF_V4: readonly Option[] = [{ level: SOL.IP, name: IP.OPTIONS, size: 40 }];
/** A stream has no use for these. */
const OF_IP_DATAGRAMS: readonly Option[] = options(SOL.IP, [
  IP.MULTICAST_TTL,
  IP.MULTICAST_LOOP,
  IP.MULTICAST_ALL,
]);
const OF_V4_DATAGRAMS: readonly Option[] = [
  // An address, or with it the index of an interface (struct ip_mreqn), where the kernel tells that.
  { level: SOL.IP, name: IP.MULTICAST_IF, size: 12 },
];
/** What an IPv6 socket has of IPv4, where CRIU has a field for an IPv4 socket alone. */
const V4_OF_V6: readonly Option[] = options(SOL.IP, [IP.TOS, IP.TTL, IP.PKTINFO]);
/** Headers of extensions that are sent with each packet. */
const V6_HEADER = 2048;
const OF_V6: readonly Option[] = [
  ...options(SOL.IPV6, [
    IPV6.PKTINFO_2292,
    IPV6.HOPOPTS_2292,
    IPV6.DSTOPTS_2292,
    IPV6.RTHDR_2292,
    IPV6.HOPLIMIT_2292,
    IPV6.FLOWINFO,
    IPV6.UNICAST_HOPS,
    IPV6.MTU_DISCOVER,
    IPV6.RECVERR,
    IPV6.ROUTER_ALERT_ISOLATE,
    IPV6.RECVERR_RFC4884,
    IPV6.FLOWINFO_SEND,
    IPV6.RECVHOPLIMIT,
    IPV6.RECVHOPOPTS,
    IPV6.RECVRTHDR,
    IPV6.RECVDSTOPTS,
    IPV6.RECVPATHMTU,
    IPV6.DONTFRAG,
    IPV6.RECVTCLASS,
    IPV6.TCLASS,
    IPV6.AUTOFLOWLABEL,
    IPV6.ADDR_PREFERENCES,
    IPV6.MINHOPCOUNT,
    IPV6.RECVORIGDSTADDR,
    IPV6.UNICAST_IF,
    IPV6.RECVFRAGSIZE,
  ]),
  { level: SOL.IPV6, name: IPV6.TRANSPARENT, early: true },
  { level: SOL.IPV6, name: IPV6.HOPOPTS, size: V6_HEADER },
  { level: SOL.IPV6, name: IPV6.RTHDRDSTOPTS, size: V6_HEADER },
  { level: SOL.IPV6, name: IPV6.RTHDR, size: V6_HEADER },
  { level: SOL.IPV6, name: IPV6.DSTOPTS, size: V6_HEADER },
];
const OF_V6_DATAGRAMS: readonly Option[] = options(SOL.IPV6, [
  IPV6.MULTICAST_IF,
  IPV6.MULTICAST_HOPS,
  IPV6.MULTICAST_LOOP,
  IPV6.MULTICAST_ALL,
]);
/** Bytes of the name of a congestion control. */
const CONGESTION = 16;
const OF_TCP: readonly Option[] = [
  ...options(SOL.TCP, [
    TCP.SYNCNT,
    TCP.LINGER2,
    TCP.DEFER_ACCEPT,
    TCP.THIN_LINEAR_TIMEOUTS,
    TCP.USER_TIMEOUT,
    TCP.NOTSENT_LOWAT,
    TCP.SAVE_SYN,
    TCP.FASTOPEN_CONNECT,
    TCP.FASTOPEN_NO_COOKIE,
    TCP.INQ,
    TCP.TX_DELAY,
    TCP.RTO_MAX_MS,
    TCP.RTO_MIN_US,
    TCP.DELACK_MAX_US,
  ]),
  { level: SOL.TCP, name: TCP.CONGESTION, size: CONGESTION },
  { level: SOL.SOCKET, name: SO.PEEK_OFF },
];
/** Two keys. */
const FASTOPEN_KEYS = 32;
/** Of a connection these are what was agreed on, not what was asked for. */
const OF_TCP_UNCONNECTED: readonly Option[] = [
  ...options(SOL.TCP, [TCP.MAXSEG, TCP.WINDOW_CLAMP, TCP.FASTOPEN]),
  { level: SOL.TCP, name: TCP.FASTOPEN_KEY, size: FASTOPEN_KEYS },
];
const OF_UDP: readonly Option[] = [
  ...options(SOL.UDP, [UDP.ENCAP, UDP.NO_CHECK6_TX, UDP.NO_CHECK6_RX, UDP.SEGMENT, UDP.GRO]),
  { level: SOL.SOCKET, name: SO.PEEK_OFF },
];
const OF_UDPLITE: readonly Option[] = options(SOL.UDPLITE, [UDPLITE.SEND_CSCOV, UDPLITE.RECV_CSCOV]);
const OF_RAW_V6: readonly Option[] = options(SOL.IPV6, [IPV6.CHECKSUM]);
/** On the listening sockets of a group it says which one gets a connection; else the kernel notes there who came last. */
const LISTENING: readonly Option[] = [{ level: SOL.SOCKET, name: SO.INCOMING_CPU }];

export interface InetState {
  /** Connected, or once connected, over TCP. */
  readonly connection: boolean;
  readonly listening: boolean;
}

/** The options without a field in CRIU's images that such a socket has. */
export function inetOptions({ family, type, protocol }: SocketType, state: InetState): Option[] {
  const raw = type === SOCK.RAW;
  const table = [...OF_IP, ...(family === AF.INET6 ? [...OF_V6, ...V4_OF_V6] : OF_V4)];
  if (type !== SOCK.STREAM)
    table.push(...OF_IP_DATAGRAMS, ...(family === AF.INET6 ? OF_V6_DATAGRAMS : OF_V4_DATAGRAMS));
  if (raw && family === AF.INET6) table.push(...OF_RAW_V6);
  if (!raw && (protocol === IPPROTO.TCP || protocol === IPPROTO.MPTCP)) {
    table.push(...OF_TCP);
    if (!state.connection) table.push(...OF_TCP_UNCONNECTED);
  }
  if (!raw && (protocol === IPPROTO.UDP || protocol === IPPROTO.UDPLITE)) table.push(...OF_UDP);
  if (!raw && protocol === IPPROTO.UDPLITE) table.push(...OF_UDPLITE);
  if (state.listening) table.push(...LISTENING);
  return table;
}

/** MPTCP has few of them. */
const isSet = (value: number | undefined): true | undefined =>
  value === undefined || value === 0 ? undefined : true;
const unlessZero = (value: number | undefined): number | undefined => (value === 0 ? undefined : value);

/** @throws KernelError */
export function dumpIpOptions(fd: number, { family, type, protocol }: SocketType): IpOptsEntry {
  const raw = type === SOCK.RAW ? dumpRawOptions(fd, family, protocol) : undefined;
  if (family === AF.INET6) {
    return {
      raw,
      freebind: isSet(tryGetInt(fd, SOL.IPV6, IPV6.FREEBIND)),
      pktinfo: isSet(tryGetInt(fd, SOL.IPV6, IPV6.RECVPKTINFO)),
    };
  }
  return {
    raw,
    freebind: isSet(tryGetInt(fd, SOL.IP, IP.FREEBIND)),
    pktinfo: isSet(tryGetInt(fd, SOL.IP, IP.PKTINFO)),
    tos: unlessZero(tryGetInt(fd, SOL.IP, IP.TOS)),
    ttl: unlessZero(tryGetInt(fd, SOL.IP, IP.TTL)),
  };
}

/** Words of struct icmp_filter, struct icmp6_filter. */
const ICMP_WORDS = 1;
const ICMPV6_WORDS = 8;

function dumpRawOptions(fd: number, family: number, protocol: number): IpOptsRawEntry {
  if (family === AF.INET6) {
    const filter =
      protocol === IPPROTO.ICMPV6 ? filterWords(fd, SOL.ICMPV6, ICMPV6_FILTER, ICMPV6_WORDS) : [];
    return { hdrincl: isSet(tryGetInt(fd, SOL.IPV6, IPV6.HDRINCL)), icmpv_filter: filter };
  }
  return {
    hdrincl: isSet(tryGetInt(fd, SOL.IP, IP.HDRINCL)),
    nodefrag: isSet(tryGetInt(fd, SOL.IP, IP.NODEFRAG)),
    icmpv_filter: protocol === IPPROTO.ICMP ? filterWords(fd, SOL.RAW, ICMP_FILTER, ICMP_WORDS) : [],
  };
}

function filterWords(fd: number, level: number, name: number, count: number): number[] {
  const bytes = getOption(fd, level, name, count * u32.size);
  return Array.from({ length: Math.floor(bytes.length / u32.size) }, (_, i) => u32.read(bytes, i * u32.size));
}

/** @throws KernelError */
export function restoreIpOptions(
  fd: number,
  { family, protocol }: SocketType,
  entry: IpOptsEntry | undefined,
): void {
  if (entry === undefined) return;
  const { freebind, pktinfo, tos, ttl, raw } = entry;
  const set = (level: number, name: number, value: number | boolean | undefined): void => {
    if (value !== undefined) setInt(fd, level, name, Number(value));
  };
  if (family === AF.INET6) {
    set(SOL.IPV6, IPV6.FREEBIND, freebind);
    set(SOL.IPV6, IPV6.RECVPKTINFO, pktinfo);
  } else {
    set(SOL.IP, IP.FREEBIND, freebind);
    set(SOL.IP, IP.PKTINFO, pktinfo);
    set(SOL.IP, IP.TOS, tos);
    set(SOL.IP, IP.TTL, ttl);
  }
  if (raw === undefined) return;
  const words = raw.icmpv_filter;
  if (words.length > 0 && (protocol === IPPROTO.ICMP || protocol === IPPROTO.ICMPV6)) {
    const bytes = new Uint8Array(words.length * u32.size);
    for (const [i, value] of words.entries()) u32.write(bytes, i * u32.size, value);
    if (family === AF.INET6) setOption(fd, SOL.ICMPV6, ICMPV6_FILTER, bytes);
    else setOption(fd, SOL.RAW, ICMP_FILTER, bytes);
  }
  if (family === AF.INET6) set(SOL.IPV6, IPV6.HDRINCL, raw.hdrincl);
  else {
    set(SOL.IP, IP.NODEFRAG, raw.nodefrag);
    set(SOL.IP, IP.HDRINCL, raw.hdrincl);
  }
}

/** @throws KernelError */
export function dumpTcpOptions(fd: number): TcpOptsEntry {
  return {
    nodelay: isSet(tryGetInt(fd, SOL.TCP, TCP.NODELAY)),
    cork: isSet(tryGetInt(fd, SOL.TCP, TCP.CORK)),
    keepcnt: unlessZero(tryGetInt(fd, SOL.TCP, TCP.KEEPCNT)),
    keepidle: unlessZero(tryGetInt(fd, SOL.TCP, TCP.KEEPIDLE)),
    keepintvl: unlessZero(tryGetInt(fd, SOL.TCP, TCP.KEEPINTVL)),
  };
}

/** @throws KernelError */
export function restoreTcpOptions(fd: number, entry: TcpOptsEntry | undefined): void {
  if (entry === undefined) return;
  const set = (name: number, value: number | boolean | undefined): void => {
    if (value !== undefined) setInt(fd, SOL.TCP, name, Number(value));
  };
  set(TCP.NODELAY, entry.nodelay);
  set(TCP.CORK, entry.cork);
  set(TCP.KEEPCNT, entry.keepcnt);
  set(TCP.KEEPIDLE, entry.keepidle);
  set(TCP.KEEPINTVL, entry.keepintvl);
}
