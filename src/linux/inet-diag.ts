/** What the kernel tells of sockets of IP (include/uapi/linux/inet_diag.h). */
import { ERRNO, isErrno } from "./errno.ts";
import {
  type Attributes,
  attributesIn,
  attributeText,
  hasAttribute,
  type Netlink,
  NLM,
  RequestBody,
} from "./netlink.ts";
import { ALL_STATES, askAll, BY_FAMILY, TCP_STATE } from "./sock-diag.ts";
import { AF, IPPROTO } from "./socket.ts";
import { array, bytes, struct, u8, u32, viewOf } from "./struct.ts";

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
/** With the information comes what else TCP has, keys among it. */
const EVERYTHING = (1 << (INET.SHUTDOWN - 1)) | (1 << (INET.INFO - 1));
/** TIME_WAIT and connections still being made belong to nobody. */
const OF_SOMEBODY = ALL_STATES & ~(1 << TCP_STATE.TIME_WAIT) & ~(1 << TCP_STATE.NEW_SYN_RECV);
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
  /** Segments are signed with MD5: told with CAP_NET_ADMIN, by tcpSocket and tcpFacts. */
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
    states: OF_SOMEBODY,
  });
  const body = wide ? withProtocol(request, protocol) : request;
  return askAll(netlink, `sockets of protocol ${protocol}`, body, inetHead, (head, attributes) => [
    head.inode,
    inetSocket(head, attributes),
  ]);
}

/** What else is to be known of a socket of TCP. */
export type TcpFacts = Pick<InetSocket, "receiveQueue" | "md5">;

/** The same of all of a family that have an inode, by that. @throws KernelError */
export function tcpFacts(netlink: Netlink, family: number): Map<number, TcpFacts> {
  const request = inetRequest.encode({
    family,
    protocol: IPPROTO.TCP,
    extensions: EVERYTHING,
    states: OF_SOMEBODY,
  });
  const found = new Map<number, TcpFacts>();
  const { inode, rqueue } = inetHead.offset;
  netlink.ask(
    "list of TCP sockets",
    { type: BY_FAMILY, flags: NLM.DUMP, body: request },
    ({ body }) => {
      const md5 = hasAttribute(body, inetHead.size, INET.MD5SIG);
      found.set(u32.read(body, inode), { receiveQueue: u32.read(body, rqueue), md5 });
    },
    () => found.clear(),
  );
  found.delete(0);
  return found;
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
    extensions: EVERYTHING,
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
