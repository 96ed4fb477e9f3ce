/**
 * Packets made by ourselves and sent to sockets of this machine, as if they came from the peer: segments of TCP by which a
 * connection that is being restored learns that the peer has closed it, has reset it, or has sent something urgent.
 */
import type { Fd } from "./fd.ts";
import { AF, IPPROTO, openSocket, SO, SOCK, SOL, setInt } from "./socket.ts";
import { encodeInet } from "./socket-address.ts";
import { send } from "./socket-messages.ts";
import { IP, IPV6 } from "./socket-options.ts";
import { viewOf } from "./struct.ts";

/** Flags of a segment. */
export const SEGMENT = { FIN: 1, RST: 4, ACK: 0x10, URG: 0x20 } as const;

/** Both ends as the packet has them; hosts have 4 bytes, or 16 both. */
export interface Ends {
  readonly from: Uint8Array;
  readonly fromPort: number;
  readonly to: Uint8Array;
  readonly toPort: number;
}

export interface Segment {
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  /** As in the header: scaled. */
  readonly window: number;
  /** How many bytes of `data` are before the end of the urgent ones. */
  readonly urgent?: number;
  readonly data?: Uint8Array;
}

const TCP_HEADER = 20;
const UDP_HEADER = 8;
const HOPS = 64;

/** The sum of words of 16 bits in network byte order, on top of `sum`. */
function addWords(bytes: Uint8Array, sum: number): number {
  for (let i = 0; i < bytes.length; i++) sum += (bytes[i] ?? 0) << (i % 2 === 0 ? 8 : 0);
  return sum;
}

function folded(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x1_0000);
  return ~rest & 0xffff;
}

/** The checksum of a transport's packet with its pseudo header (RFC 1071, RFC 8200). */
function checksum(packet: Uint8Array, { from, to }: Ends, protocol: number): number {
  return folded(addWords(packet, addWords(to, addWords(from, protocol + packet.length))));
}

function tcpSegment(ends: Ends, segment: Segment): Uint8Array {
  const { sequence, acknowledgement, flags, window, urgent = 0, data = new Uint8Array(0) } = segment;
  const bytes = new Uint8Array(TCP_HEADER + data.length);
  const view = viewOf(bytes);
  view.setUint16(0, ends.fromPort);
  view.setUint16(2, ends.toPort);
  view.setUint32(4, sequence);
  view.setUint32(8, acknowledgement);
  bytes[12] = (TCP_HEADER / 4) << 4;
  bytes[13] = flags;
  view.setUint16(14, Math.min(window, 0xffff));
  view.setUint16(18, urgent);
  bytes.set(data, TCP_HEADER);
  view.setUint16(16, checksum(bytes, ends, IPPROTO.TCP));
  return bytes;
}

function datagram(ends: Ends, data: Uint8Array, protocol: number): Uint8Array {
  const bytes = new Uint8Array(UDP_HEADER + data.length);
  const view = viewOf(bytes);
  view.setUint16(0, ends.fromPort);
  view.setUint16(2, ends.toPort);
  view.setUint16(4, bytes.length);
  bytes.set(data, UDP_HEADER);
  // 0 is for none.
  view.setUint16(6, checksum(bytes, ends, protocol) || 0xffff);
  return bytes;
}

const ICMP_HEADER = 8;
const UNREACHABLE = { V4: 3, V6: 1 } as const;

/** A message that a datagram of UDP did not arrive, to who has sent it, from itself: the beginning of the datagram is in it. */
function unreachable(ends: Ends, code: number): Uint8Array {
  const { from, to } = ends;
  const v4 = to.length === 4;
  const about = packetOf(ends, IPPROTO.UDP, datagram(ends, new Uint8Array(0), IPPROTO.UDP));
  const bytes = new Uint8Array(ICMP_HEADER + about.length);
  bytes[0] = v4 ? UNREACHABLE.V4 : UNREACHABLE.V6;
  bytes[1] = code;
  bytes.set(about, ICMP_HEADER);
  const itself = { from, fromPort: 0, to: from, toPort: 0 };
  const sum = v4 ? folded(addWords(bytes, 0)) : checksum(bytes, itself, IPPROTO.ICMPV6);
  viewOf(bytes).setUint16(2, sum);
  return packetOf(itself, v4 ? IPPROTO.ICMP : IPPROTO.ICMPV6, bytes);
}

/** With a header of the network. The kernel fills in the length, the number and the checksum of one of IPv4. */
function packetOf({ from, to }: Ends, protocol: number, content: Uint8Array): Uint8Array {
  const v4 = to.length === 4;
  const size = v4 ? 20 : 40;
  const bytes = new Uint8Array(size + content.length);
  const view = viewOf(bytes);
  if (v4) {
    bytes[0] = 0x45;
    view.setUint16(2, bytes.length);
    bytes[8] = HOPS;
    bytes[9] = protocol;
    bytes.set(from, 12);
    bytes.set(to, 16);
  } else {
    bytes[0] = 0x60;
    view.setUint16(4, content.length);
    bytes[6] = protocol;
    bytes[7] = HOPS;
    bytes.set(from, 8);
    bytes.set(to, 24);
  }
  bytes.set(content, size);
  return bytes;
}

/** What send(2) takes. */
export interface PreparedPacket {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly to: Uint8Array;
}

/** How a socket of a network namespace is made. */
export type MakeSocket = (family: number, type: number, protocol: number) => Fd;

/** Sends packets to sockets of one network namespace, with a mark by which a network lock lets them pass. */
export class PacketSender implements Disposable {
  readonly #sockets = new Map<number, Fd>();

  constructor(
    private readonly mark: number,
    private readonly make: MakeSocket = openSocket,
  ) {}

  /** @throws KernelError */
  segment(ends: Ends, segment: Segment): void {
    this.#send(ends, packetOf(ends, IPPROTO.TCP, tcpSegment(ends, segment)));
  }

  /** Of UDP, or of UDP-Lite, where the sum is of all of it. @throws KernelError */
  datagram(ends: Ends, data: Uint8Array, protocol: number = IPPROTO.UDP): void {
    this.#send(ends, packetOf(ends, protocol, datagram(ends, data, protocol)));
  }

  /**
   * The packet by which the sender of a datagram, `ends`, learns that it did not arrive: code `code` of "destination unreachable". It
   * is not sent; the descriptor is lent. @throws KernelError
   */
  unreachable(ends: Ends, code: number): PreparedPacket {
    const host = ends.from;
    const family = host.length === 4 ? AF.INET : AF.INET6;
    return {
      fd: this.#socket(family),
      bytes: unreachable(ends, code),
      to: encodeInet({ family, port: 0, host }),
    };
  }

  #send({ to }: Ends, bytes: Uint8Array): void {
    const family = to.length === 4 ? AF.INET : AF.INET6;
    send(this.#socket(family), { bytes, to: encodeInet({ family, port: 0, host: to }) });
  }

  #socket(family: number): number {
    let fd = this.#sockets.get(family);
    if (fd === undefined) {
      fd = this.make(family, SOCK.RAW, IPPROTO.RAW);
      this.#sockets.set(family, fd);
      if (family === AF.INET6) setInt(fd.number, SOL.IPV6, IPV6.HDRINCL, 1);
      else setInt(fd.number, SOL.IP, IP.HDRINCL, 1);
      setInt(fd.number, SOL.SOCKET, SO.MARK, this.mark);
    }
    return fd.number;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#sockets.values()) fd.close();
    this.#sockets.clear();
  }
}
