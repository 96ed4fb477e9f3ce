/** What the kernel offers for sockets. */
import { ERRNO } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { NETLINK, Netlink, NLM } from "../linux/netlink.ts";
import { NR } from "../linux/nr.ts";
import {
  AF,
  bind,
  connect,
  getInt,
  getOption,
  IPPROTO,
  listen,
  openSocket,
  SHUT,
  SO,
  SOCK,
  SOL,
  setInt,
  shutdown,
  socketName,
} from "../linux/socket.ts";
import { encodeInet } from "../linux/socket-address.ts";
import { array, struct, u8, u32 } from "../linux/struct.ts";
import { attempt, MissingError, named, refusal } from "./probe.ts";

/** include/uapi/linux/tcp.h, in6.h */
const TCP = { REPAIR: 19, TIMESTAMP: 24, REPAIR_WINDOW: 29 } as const;
const REPAIR_WINDOW_SIZE = 20;
const IPV6_FREEBIND = 78;
/** ioctl(2): the file that a Unix socket is bound to; the network namespace of a socket or of a tun device. */
const SIOCUNIXFILE = 0x89e0;
export const SIOCGSKNS = 0x894c;
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

/** TCP over IPv4, or IPv6 where there is no IPv4. */
function tcpSocket(): Fd {
  const made = attempt(NR.socket, AF.INET, SOCK.STREAM | SOCK.CLOEXEC, IPPROTO.TCP);
  return made >= 0 ? Fd.own(made) : openSocket(AF.INET6, SOCK.STREAM, IPPROTO.TCP);
}

function repair({ number }: Fd): void {
  named("TCP_REPAIR", () => setInt(number, SOL.TCP, TCP.REPAIR, 1));
}

export function tcpRepair(): void {
  using sk = tcpSocket();
  repair(sk);
  named("TCP_TIMESTAMP", () => getInt(sk.number, SOL.TCP, TCP.TIMESTAMP));
}

export function tcpWindow(): void {
  using sk = tcpSocket();
  repair(sk);
  named("TCP_REPAIR_WINDOW", () => getOption(sk.number, SOL.TCP, TCP.REPAIR_WINDOW, REPAIR_WINDOW_SIZE));
}

/** A connection over the loopback of which one side is shut is repaired. */
export function tcpHalfClosed(): void {
  using listener = openSocket(AF.INET, SOCK.STREAM, IPPROTO.TCP);
  using client = openSocket(AF.INET, SOCK.STREAM, IPPROTO.TCP);
  named("a connection to 127.0.0.1", () => {
    bind(listener.number, encodeInet({ family: AF.INET, host: LOOPBACK, port: 0 }));
    listen(listener.number, 1);
    connect(client.number, socketName(listener.number));
    shutdown(client.number, SHUT.WR);
  });
  repair(client);
}

export function peekOffset(): void {
  using sk = openSocket(AF.UNIX, SOCK.DGRAM);
  const value = named("SO_PEEK_OFF", () => getInt(sk.number, SOL.SOCKET, SO.PEEK_OFF));
  if (value !== -1) throw new MissingError(`SO_PEEK_OFF of a new socket is ${value}`);
}

/** IFNAMSIZ */
const INTERFACE_NAME = 16;

export function filterAndDevice(): void {
  using sk = openSocket(AF.INET, SOCK.DGRAM, IPPROTO.UDP);
  named("SO_GET_FILTER", () => getOption(sk.number, SOL.SOCKET, SO.ATTACH_FILTER, 0));
  named("SO_BINDTODEVICE", () => getOption(sk.number, SOL.SOCKET, SO.BINDTODEVICE, INTERFACE_NAME));
}

export function bufferLock(): void {
  using sk = tcpSocket();
  named("SO_BUF_LOCK", () => getInt(sk.number, SOL.SOCKET, SO.BUF_LOCK));
}

export function freebind(): void {
  using sk = openSocket(AF.INET6, SOCK.DGRAM, IPPROTO.UDP);
  named("IPV6_FREEBIND", () => setInt(sk.number, SOL.IPV6, IPV6_FREEBIND, 1));
}

export function socketNamespace(): void {
  using sk = openSocket(AF.UNIX, SOCK.DGRAM);
  namespaceOf("a socket", sk);
}

/** @throws MissingError where the kernel does not tell the network namespace of a descriptor */
export function namespaceOf(what: string, { number }: Fd): void {
  const found = attempt(NR.ioctl, number, SIOCGSKNS);
  if (found < 0) throw refusal(`ioctl SIOCGSKNS of ${what}`, found);
  Fd.own(found).close();
}

export function unixFile(): void {
  using sk = openSocket(AF.UNIX, SOCK.DGRAM);
  const file = attempt(NR.ioctl, sk.number, SIOCUNIXFILE);
  // It is bound to none, which the kernel says by the one and by no other.
  if (file >= 0) Fd.own(file).close();
  else if (file !== -ERRNO.ENOENT) throw refusal("ioctl SIOCUNIXFILE", file);
}

/** A request to sock_diag(7): struct inet_diag_req_v2, or struct unix_diag_req, which begins alike. */
const diagRequest = struct({ family: u8, protocol: u8, extensions: u8, pad: u8, states: u32 }, 56);
const UNIX_REQUEST_SIZE = 24;
const SOCK_DIAG_BY_FAMILY = 20;

function listed(what: string, family: number, protocol: number): void {
  using netlink = Netlink.open(NETLINK.SOCK_DIAG);
  const whole = diagRequest.encode({ family, protocol, states: 0xffff_ffff });
  const body = family === AF.UNIX ? whole.subarray(0, UNIX_REQUEST_SIZE) : whole;
  named(`sock_diag of ${what}`, () =>
    netlink.ask("", { type: SOCK_DIAG_BY_FAMILY, flags: NLM.DUMP, body }, () => {}),
  );
}

export function socketLists(): void {
  listed("Unix sockets", AF.UNIX, 0);
  listed("TCP sockets", AF.INET, IPPROTO.TCP);
  listed("UDP sockets", AF.INET, IPPROTO.UDP);
}

/** No list of raw sockets is needed (INET_RAW_DIAG): they are asked themselves. */
export function rawSockets(): void {
  using _v4 = openSocket(AF.INET, SOCK.RAW, IPPROTO.RAW);
  using _v6 = openSocket(AF.INET6, SOCK.RAW, IPPROTO.RAW);
}

/** struct ipt_getinfo (include/uapi/linux/netfilter_ipv4/ip_tables.h). */
const IPT_SO_GET_INFO = 64;
const iptGetinfo = struct({ name: array(u8, 32), rest: array(u32, 13) });

/** The tables of iptables as they were before nftables. */
export function legacyIptables(): void {
  using sk = openSocket(AF.INET, SOCK.RAW, IPPROTO.RAW);
  const info = iptGetinfo.encode({ name: [...new TextEncoder().encode("filter")] });
  const length = new Uint8Array(4);
  length[0] = info.length;
  const got = attempt(NR.getsockopt, sk.number, IPPROTO.IP, IPT_SO_GET_INFO, info, length);
  if (got < 0) throw refusal("getsockopt IPT_SO_GET_INFO", got);
}
