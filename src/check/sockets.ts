/** What the kernel offers for sockets. */

import { errnoName } from "../linux/errno.ts";
import { NR } from "../linux/nr.ts";
import { array, struct, u8, u16, u32 } from "../linux/struct.ts";
import { SIOCGSKNS } from "./files.ts";
import { ask, message, NETLINK, NLM_F, refusalIn } from "./netlink.ts";
import { attempt, call, Descriptor, int, MissingError, refusal } from "./probe.ts";

const AF = { UNIX: 1, INET: 2, NETLINK: 16, INET6: 10, PACKET: 17 } as const;
const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, CLOEXEC: 0o2000000 } as const;
const IPPROTO = { IP: 0, TCP: 6, UDP: 17, IPV6: 41, RAW: 255 } as const;
const SOL_SOCKET = 1;
/** include/uapi/asm-generic/socket.h */
const SO = { BINDTODEVICE: 25, GET_FILTER: 26, PEEK_OFF: 42, BUF_LOCK: 72 } as const;
/** include/uapi/linux/tcp.h */
const TCP = { REPAIR: 19, TIMESTAMP: 24, REPAIR_WINDOW: 29 } as const;
const IPV6_FREEBIND = 78;
/** Opens the file that a Unix socket is bound to (include/uapi/linux/un.h). */
const SIOCUNIXFILE = 0x89e0;
const SHUT_WR = 1;
const ENOENT = -2;

const sockaddrIn = struct({ family: u16, port: u16, address: u32, zero: array(u8, 8) });
/** 127.0.0.1 in the order of the network. */
const LOOPBACK = 0x0100_007f;

function socket(family: number, type: number, protocol = 0): Descriptor {
  return Descriptor.by("", NR.socket, family, type | SOCK.CLOEXEC, protocol);
}

/** TCP over IPv4, or IPv6 where there is no IPv4. */
function tcpSocket(): Descriptor {
  const made = attempt(NR.socket, AF.INET, SOCK.STREAM | SOCK.CLOEXEC, IPPROTO.TCP);
  return made >= 0 ? new Descriptor(made) : socket(AF.INET6, SOCK.STREAM, IPPROTO.TCP);
}

/** getsockopt(2) into `size` bytes; gives the bytes. @throws KernelError */
function option(what: string, { number }: Descriptor, level: number, name: number, size: number): Uint8Array {
  const value = new Uint8Array(size);
  call(what, NR.getsockopt, number, level, name, value, int(size));
  return value;
}

function repair({ number }: Descriptor): void {
  call("TCP_REPAIR", NR.setsockopt, number, IPPROTO.TCP, TCP.REPAIR, int(1), 4);
}

export function tcpRepair(): void {
  using sk = tcpSocket();
  repair(sk);
  option("TCP_TIMESTAMP", sk, IPPROTO.TCP, TCP.TIMESTAMP, 4);
}

export function tcpWindow(): void {
  using sk = tcpSocket();
  repair(sk);
  option("TCP_REPAIR_WINDOW", sk, IPPROTO.TCP, TCP.REPAIR_WINDOW, 20);
}

/** A connection over the loopback of which one side is shut is repaired. */
export function tcpHalfClosed(): void {
  using listener = socket(AF.INET, SOCK.STREAM, IPPROTO.TCP);
  using client = socket(AF.INET, SOCK.STREAM, IPPROTO.TCP);
  const address = sockaddrIn.encode({ family: AF.INET, address: LOOPBACK });
  call("to 127.0.0.1", NR.bind, listener.number, address, address.length);
  call("", NR.listen, listener.number, 1);
  call("", NR.getsockname, listener.number, address, int(address.length));
  call("to 127.0.0.1", NR.connect, client.number, address, address.length);
  call("", NR.shutdown, client.number, SHUT_WR);
  repair(client);
}

export function peekOffset(): void {
  using sk = socket(AF.UNIX, SOCK.DGRAM);
  const value = option("SO_PEEK_OFF", sk, SOL_SOCKET, SO.PEEK_OFF, 4);
  if (value.some((byte) => byte !== 0xff)) throw new MissingError("SO_PEEK_OFF is on for a new socket");
}

export function filterAndDevice(): void {
  using sk = socket(AF.INET, SOCK.DGRAM, IPPROTO.UDP);
  call("SO_GET_FILTER", NR.getsockopt, sk.number, SOL_SOCKET, SO.GET_FILTER, 0, int(0));
  option("SO_BINDTODEVICE", sk, SOL_SOCKET, SO.BINDTODEVICE, 16);
}

export function bufferLock(): void {
  using sk = tcpSocket();
  option("SO_BUF_LOCK", sk, SOL_SOCKET, SO.BUF_LOCK, 4);
}

export function freebind(): void {
  using sk = socket(AF.INET6, SOCK.DGRAM, IPPROTO.UDP);
  call("IPV6_FREEBIND", NR.setsockopt, sk.number, IPPROTO.IPV6, IPV6_FREEBIND, int(1), 4);
}

export function socketNamespace(): void {
  using sk = socket(AF.UNIX, SOCK.DGRAM);
  using _namespace = Descriptor.by("SIOCGSKNS of a socket", NR.ioctl, sk.number, SIOCGSKNS);
}

export function unixFile(): void {
  using sk = socket(AF.UNIX, SOCK.DGRAM);
  const file = attempt(NR.ioctl, sk.number, SIOCUNIXFILE);
  if (file >= 0) attempt(NR.close, file);
  else if (file !== ENOENT) throw refusal("ioctl SIOCUNIXFILE", file);
}

/** A request to sock_diag(7) for a family: struct inet_diag_req_v2 or a shorter one that begins alike. */
const diagRequest = struct({ family: u8, protocol: u8, extensions: u8, pad: u8, states: u32 }, 56);
const SOCK_DIAG_BY_FAMILY = 20;

function diag(what: string, family: number, protocol: number, size: number): string | undefined {
  const request = diagRequest.encode({ family, protocol, states: 0xffff_ffff }).subarray(0, size);
  const answers = ask(NETLINK.SOCK_DIAG, message(SOCK_DIAG_BY_FAMILY, NLM_F.DUMP, request));
  const errno = refusalIn(answers);
  if (errno === 0 && answers.length > 0) return undefined;
  return `sock_diag of ${what}: ${errno === 0 ? "no answer" : errnoName(-errno)}`;
}

function allOf(...missing: (string | undefined)[]): void {
  const found = missing.filter((each) => each !== undefined);
  if (found.length > 0) throw new MissingError(found.join("; "));
}

export function socketLists(): void {
  allOf(
    diag("Unix sockets", AF.UNIX, 0, 24),
    diag("TCP sockets", AF.INET, IPPROTO.TCP, 56),
    diag("UDP sockets", AF.INET, IPPROTO.UDP, 56),
  );
}

export function rawSocketLists(): void {
  allOf(
    diag("raw IPv4 sockets", AF.INET, IPPROTO.RAW, 56),
    diag("raw IPv6 sockets", AF.INET6, IPPROTO.RAW, 56),
  );
}

/** struct ipt_getinfo (include/uapi/linux/netfilter_ipv4/ip_tables.h). */
const IPT_SO_GET_INFO = 64;
const iptGetinfo = struct({ name: array(u8, 32), rest: array(u32, 13) });

/** The tables of iptables as they were before nftables. */
export function legacyIptables(): void {
  using sk = socket(AF.INET, SOCK.RAW, IPPROTO.RAW);
  const info = iptGetinfo.encode({ name: [...new TextEncoder().encode("filter")] });
  call("IPT_SO_GET_INFO", NR.getsockopt, sk.number, IPPROTO.IP, IPT_SO_GET_INFO, info, int(info.length));
}
