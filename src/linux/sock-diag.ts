/**
 * What the kernel tells of all sockets of a network namespace (NETLINK_SOCK_DIAG), by their inode: the namespace is the one that
 * the netlink socket was made in.
 */
import { ERRNO, isErrno } from "./errno.ts";
import { type Attributes, attributesIn, attributeText, type Netlink, NLM, RequestBody } from "./netlink.ts";
import { AF, IPPROTO } from "./socket.ts";
import {
  array,
  bytes,
  type Shape,
  type Struct,
  struct,
  u8,
  u16,
  u32,
  type Values,
  viewOf,
} from "./struct.ts";

/** SOCK_DIAG_BY_FAMILY (include/uapi/linux/sock_diag.h) */
const BY_FAMILY = 20;
const ALL_STATES = 0xffff_ffff;

/** Asks for all sockets of a family. A kernel without that part of sock_diag (ENOENT) tells of none. @throws KernelError */
function dump<S extends Shape, T>(
  netlink: Netlink,
  what: string,
  request: Uint8Array,
  head: Struct<S>,
  take: (head: Values<S>, attributes: Attributes) => [number, T],
): Map<number, T> {
  const found = new Map<number, T>();
  const ask = { type: BY_FAMILY, flags: NLM.DUMP, body: request };
  try {
    netlink.ask(
      `list of ${what}`,
      ask,
      ({ body }) => {
        const [inode, socket] = take(head.decode(body), attributesIn(body, head.size));
        // Connections that nobody has accepted or that nobody holds any more have no inode.
        if (inode !== 0) found.set(inode, socket);
      },
      () => found.clear(),
    );
  } catch (error) {
    if (!isErrno(error, ERRNO.ENOENT)) throw error;
  }
  return found;
}

function wordsOf(value: Uint8Array | undefined): number[] {
  const words: number[] = [];
  for (let at = 0; value !== undefined && at + u32.size <= value.length; at += u32.size)
    words.push(u32.read(value, at));
  return words;
}

function wordOf(value: Uint8Array | undefined): number | undefined {
  return value === undefined || value.length < u32.size ? undefined : u32.read(value, 0);
}

// --- Unix (include/uapi/linux/unix_diag.h)

const unixRequest = struct({
  family: u8,
  protocol: u8,
  pad: u16,
  states: u32,
  ino: u32,
  show: u32,
  cookie: bytes(8),
});
const unixHead = struct({ family: u8, type: u8, state: u8, pad: u8, ino: u32, cookie: bytes(8) });
/** Name, inode of the name, peer, who waits to be accepted, lengths of queues. */
const UNIX_SHOW = 0x1f;
const UNIX = { NAME: 0, VFS: 1, PEER: 2, ICONS: 3, RQLEN: 4, SHUTDOWN: 6 } as const;

export interface UnixSocket {
  readonly inode: number;
  /** A value of SOCK. */
  readonly type: number;
  /** A value of TCP_STATE: ESTABLISHED, CLOSE, LISTEN; SYN_SENT where a connection is not accepted yet. */
  readonly state: number;
  /** As in struct sockaddr_un: a path may end with a zero byte, an abstract name begins with one. Undefined where it has none. */
  readonly name: Uint8Array | undefined;
  /** Where the name stands in the file system: its inode, and the device, major << 20 | minor. */
  readonly file: { readonly inode: number; readonly device: number } | undefined;
  /** Inode of the socket that it is connected to: undefined where to none, 0 where that has none (was never accepted). */
  readonly peer: number | undefined;
  /** Of a listening one: the inodes of those that connected and wait to be accepted, first come first; 0 where it is closed. */
  readonly waiting: readonly number[];
  /** Bytes that wait to be read; of a listening one, how many wait to be accepted. */
  readonly receiveQueue: number;
  /** Bytes sent that the peer has not read; of a listening one, its backlog. */
  readonly sendQueue: number;
  /** Bits: 1 receives no more, 2 sends no more. */
  readonly shutdown: number;
}

/** Unix sockets of the namespace that have an inode. @throws KernelError */
export function unixSockets(netlink: Netlink): Map<number, UnixSocket> {
  const request = unixRequest.encode({ family: AF.UNIX, states: ALL_STATES, show: UNIX_SHOW });
  return dump(netlink, "Unix sockets", request, unixHead, ({ ino, type, state }, attributes) => {
    const [receiveQueue = 0, sendQueue = 0] = wordsOf(attributes.get(UNIX.RQLEN));
    const [inode, device = 0] = wordsOf(attributes.get(UNIX.VFS));
    return [
      ino,
      {
        inode: ino,
        type,
        state,
        name: attributes.get(UNIX.NAME)?.slice(),
        file: inode === undefined ? undefined : { inode, device },
        peer: wordOf(attributes.get(UNIX.PEER)),
        waiting: wordsOf(attributes.get(UNIX.ICONS)),
        receiveQueue,
        sendQueue,
        shutdown: attributes.get(UNIX.SHUTDOWN)?.[0] ?? 0,
      },
    ];
  });
}

// --- IP (include/uapi/linux/inet_diag.h)

/** States of TCP, which other families use as well (include/net/tcp_states.h). */
export const TCP_STATE = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
  NEW_SYN_RECV: 12,
} as const;

/** struct inet_diag_sockid; ports and addresses are in network byte order. */
const sockid = struct({
  sport: bytes(2),
  dport: bytes(2),
  source: bytes(16),
  destination: bytes(16),
  interface: u32,
  cookie: array(u32, 2),
});
const inetRequest = struct({
  family: u8,
  protocol: u8,
  extensions: u8,
  rawProtocol: u8,
  states: u32,
  id: sockid,
});
const inetHead = struct({
  family: u8,
  state: u8,
  timer: u8,
  retransmits: u8,
  id: sockid,
  expires: u32,
  rqueue: u32,
  wqueue: u32,
  uid: u32,
  inode: u32,
});
/** Numbers of attributes. An extension is asked for by bit `number - 1`; what has a number above 8 comes by itself. */
const INET = { INFO: 2, SHUTDOWN: 8, PROTOCOL: 10, V6ONLY: 11, MARK: 15, MD5SIG: 18, ULP_INFO: 19 } as const;
const ULP_NAME = 1;
/** Attribute of a request: a protocol that does not fit in its 8 bits (kernel 5.6). */
const REQUEST_PROTOCOL = 3;

export interface InetSocket {
  readonly inode: number;
  readonly family: number;
  /** A value of TCP_STATE. */
  readonly state: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** 4 or 16 bytes, as on the wire. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Index of the interface that it is bound to; 0 for none. */
  readonly interface: number;
  /** Bytes that wait to be read; of a listening one, how many wait to be accepted. */
  readonly receiveQueue: number;
  /** Bytes that the peer has not acknowledged, or the card not sent; of a listening one, its backlog. */
  readonly sendQueue: number;
  /** Bits: 1 receives no more, 2 sends no more. */
  readonly shutdown: number;
  /** What stands between TCP and the program ("tls", "mptcp"), of TCP alone. */
  readonly layer: string | undefined;
  /** Segments are signed with MD5: told with CAP_NET_ADMIN, of a socket that is looked up alone. */
  readonly md5: boolean;
}

/**
 * Sockets of a protocol over IP: TCP, UDP, UDP-Lite, MPTCP, and, where the kernel has raw_diag, raw ones of any protocol
 * (IPPROTO.RAW). @throws KernelError
 */
export function inetSockets(netlink: Netlink, family: number, protocol: number): Map<number, InetSocket> {
  const wide = protocol > 0xff;
  const request = inetRequest.encode({
    family,
    protocol: wide ? IPPROTO.TCP : protocol,
    extensions: 1 << (INET.SHUTDOWN - 1),
    // TIME_WAIT and connections still being made belong to nobody.
    states: ALL_STATES & ~(1 << TCP_STATE.TIME_WAIT) & ~(1 << TCP_STATE.NEW_SYN_RECV),
  });
  const body = wide ? withProtocol(request, protocol) : request;
  return dump(netlink, `sockets of protocol ${protocol}`, body, inetHead, (head, attributes) => [
    head.inode,
    inetSocket(head, attributes),
  ]);
}

function inetSocket(head: ReturnType<typeof inetHead.decode>, attributes: Attributes): InetSocket {
  const { id } = head;
  const length = head.family === AF.INET6 ? 16 : 4;
  const layer = attributes.get(INET.ULP_INFO);
  const name = layer === undefined ? undefined : attributesIn(layer).get(ULP_NAME);
  return {
    inode: head.inode,
    family: head.family,
    state: head.state,
    sourcePort: viewOf(id.sport).getUint16(0),
    destinationPort: viewOf(id.dport).getUint16(0),
    source: id.source.subarray(0, length),
    destination: id.destination.subarray(0, length),
    interface: id.interface,
    receiveQueue: head.rqueue,
    sendQueue: head.wqueue,
    shutdown: attributes.get(INET.SHUTDOWN)?.[0] ?? 0,
    layer: name === undefined ? undefined : attributeText(name),
    md5: attributes.has(INET.MD5SIG),
  };
}

/** By which a socket of TCP is found among all. Hosts have 4 or 16 bytes, as on the wire; those of IPv6 may be of IPv4. */
export interface TcpEnds {
  readonly family: number;
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
  /** Index of the interface that it is bound to; 0 for none. */
  readonly interface: number;
  /** SO_COOKIE, 8 bytes. */
  readonly cookie: Uint8Array;
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >>> 8, port & 0xff);
}

/** The one socket of TCP with these ends; undefined where the kernel finds it not, or another one. @throws KernelError */
export function tcpSocket(netlink: Netlink, ends: TcpEnds): InetSocket | undefined {
  const body = inetRequest.encode({
    family: ends.family,
    protocol: IPPROTO.TCP,
    // With the information comes what else TCP has, keys among it.
    extensions: (1 << (INET.SHUTDOWN - 1)) | (1 << (INET.INFO - 1)),
    states: ALL_STATES,
    id: {
      sport: portBytes(ends.sourcePort),
      dport: portBytes(ends.destinationPort),
      source: ends.source,
      destination: ends.destination,
      interface: ends.interface,
      cookie: [u32.read(ends.cookie, 0), u32.read(ends.cookie, u32.size)],
    },
  });
  let found: InetSocket | undefined;
  try {
    netlink.ask("a TCP socket", { type: BY_FAMILY, flags: 0, body }, (message) => {
      found = inetSocket(inetHead.decode(message.body), attributesIn(message.body, inetHead.size));
    });
  } catch (error) {
    if (!isErrno(error, ERRNO.ENOENT, ERRNO.ESTALE)) throw error;
  }
  return found;
}

function withProtocol(request: Uint8Array, protocol: number): Uint8Array {
  return new RequestBody(request).u32(REQUEST_PROTOCOL, protocol).bytes;
}

// --- packet (include/uapi/linux/packet_diag.h)

const packetRequest = struct({ family: u8, protocol: u8, pad: u16, ino: u32, show: u32, cookie: bytes(8) });
const packetHead = struct({ family: u8, type: u8, protocol: u16, ino: u32, cookie: bytes(8) });
const packetInfo = struct({
  index: u32,
  version: u32,
  reserve: u32,
  copyThreshold: u32,
  timestamp: u32,
  flags: u32,
});
const packetMember = struct({ index: u32, count: u32, type: u16, length: u16, address: bytes(32) });
/** struct packet_diag_ring, and by the same fields struct tpacket_req3. */
export const packetRing = struct({
  block_size: u32,
  block_nr: u32,
  frame_size: u32,
  frame_nr: u32,
  retire_tmo: u32,
  sizeof_priv: u32,
  features: u32,
});
/** Info, memberships, rings, fanout, filter. */
const PACKET_SHOW = 0x2f;
const PACKET = { INFO: 0, MCLIST: 1, RX_RING: 2, TX_RING: 3, FANOUT: 4 } as const;
/** Bits of `flags`. */
export const PACKET_FLAG = { RUNNING: 1, AUXDATA: 2, ORIGDEV: 4, VNET_HDR: 8, LOSS: 0x10 } as const;

export type PacketRing = ReturnType<typeof packetRing.decode>;
export type PacketMember = ReturnType<typeof packetMember.decode>;

export interface PacketSocket extends Readonly<ReturnType<typeof packetInfo.decode>> {
  readonly inode: number;
  readonly type: number;
  /** ETH_P_*, in the order of this machine. */
  readonly protocol: number;
  readonly members: readonly PacketMember[];
  readonly receiveRing: PacketRing | undefined;
  readonly sendRing: PacketRing | undefined;
  /** As PACKET_FANOUT takes it. */
  readonly fanout: number | undefined;
}

/** Packet sockets of the namespace. @throws KernelError */
export function packetSockets(netlink: Netlink): Map<number, PacketSocket> {
  const request = packetRequest.encode({ family: AF.PACKET, show: PACKET_SHOW });
  return dump(netlink, "packet sockets", request, packetHead, ({ ino, type, protocol }, attributes) => {
    const ring = (attribute: number): PacketRing | undefined => {
      const value = attributes.get(attribute);
      return value === undefined ? undefined : packetRing.decode(value);
    };
    const list = attributes.get(PACKET.MCLIST) ?? new Uint8Array(0);
    const members = [];
    for (let at = 0; at + packetMember.size <= list.length; at += packetMember.size)
      members.push(packetMember.decode(list, at));
    const info = packetInfo.decode(attributes.get(PACKET.INFO) ?? new Uint8Array(packetInfo.size));
    return [
      ino,
      {
        ...info,
        inode: ino,
        type,
        protocol,
        members,
        receiveRing: ring(PACKET.RX_RING),
        sendRing: ring(PACKET.TX_RING),
        fanout: wordOf(attributes.get(PACKET.FANOUT)),
      },
    ];
  });
}

// --- netlink (include/uapi/linux/netlink_diag.h)

const netlinkRequest = struct({ family: u8, protocol: u8, pad: u16, ino: u32, show: u32, cookie: bytes(8) });
const netlinkHead = struct({
  family: u8,
  type: u8,
  protocol: u8,
  state: u8,
  port: u32,
  peerPort: u32,
  peerGroup: u32,
  ino: u32,
  cookie: bytes(8),
});
const ALL_PROTOCOLS = 0xff;
/** Groups and flags. */
const NETLINK_SHOW = 0xa;
const NETLINK_DIAG = { GROUPS: 1, FLAGS: 4 } as const;
/** Bits of `flags`. */
export const NETLINK_FLAG = {
  CB_RUNNING: 1,
  PKTINFO: 2,
  BROADCAST_ERROR: 4,
  NO_ENOBUFS: 8,
  LISTEN_ALL_NSID: 0x10,
  CAP_ACK: 0x20,
} as const;
/** The `state` of one that is connected; any other is not. */
export const NETLINK_CONNECTED = 1;

export interface NetlinkSocket {
  readonly inode: number;
  readonly type: number;
  /** A value of NETLINK. */
  readonly protocol: number;
  readonly state: number;
  readonly port: number;
  readonly peerPort: number;
  /** Number of the group that it sends to, from 1; 0 for none. */
  readonly peerGroup: number;
  /** Bit masks of 32 groups each. */
  readonly groups: readonly number[];
  readonly flags: number;
}

/** Netlink sockets of the namespace that are bound, of programs, of all protocols. @throws KernelError */
export function netlinkSockets(netlink: Netlink): Map<number, NetlinkSocket> {
  const request = netlinkRequest.encode({ family: AF.NETLINK, protocol: ALL_PROTOCOLS, show: NETLINK_SHOW });
  return dump(netlink, "netlink sockets", request, netlinkHead, (head, attributes) => [
    head.ino,
    {
      inode: head.ino,
      type: head.type,
      protocol: head.protocol,
      state: head.state,
      port: head.port,
      peerPort: head.peerPort,
      peerGroup: head.peerGroup,
      groups: wordsOf(attributes.get(NETLINK_DIAG.GROUPS)),
      flags: wordOf(attributes.get(NETLINK_DIAG.FLAGS)) ?? 0,
    },
  ]);
}
