/** Sockets by raw system calls: made, named, connected, asked for their options. */
import { ERRNO, KernelError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { NR } from "./nr.ts";
import { s32 } from "./struct.ts";
import { addressOf, checkResult, rawSyscall, syscall } from "./syscall.ts";

/** Address families (include/linux/socket.h). */
export const AF = {
  UNSPEC: 0,
  UNIX: 1,
  INET: 2,
  BRIDGE: 7,
  INET6: 10,
  NETLINK: 16,
  PACKET: 17,
  VSOCK: 40,
  XDP: 44,
} as const;

/** Types of socket, and the flags that socket(2) takes with them (include/linux/net.h). */
export const SOCK = {
  STREAM: 1,
  DGRAM: 2,
  RAW: 3,
  RDM: 4,
  SEQPACKET: 5,
  DCCP: 6,
  PACKET: 10,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const;

/** Protocols over IP (include/uapi/linux/in.h). */
export const IPPROTO = {
  IP: 0,
  ICMP: 1,
  IGMP: 2,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  ICMPV6: 58,
  SCTP: 132,
  UDPLITE: 136,
  RAW: 255,
  MPTCP: 262,
} as const;

/** Levels of options (include/linux/socket.h); those of protocols are the protocols' numbers. */
export const SOL = {
  IP: 0,
  SOCKET: 1,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  ICMPV6: 58,
  UDPLITE: 136,
  RAW: 255,
  PACKET: 263,
  NETLINK: 270,
} as const;

/** Options of every socket (include/uapi/asm-generic/socket.h). */
export const SO = {
  DEBUG: 1,
  REUSEADDR: 2,
  TYPE: 3,
  ERROR: 4,
  DONTROUTE: 5,
  BROADCAST: 6,
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  OOBINLINE: 10,
  NO_CHECK: 11,
  PRIORITY: 12,
  LINGER: 13,
  REUSEPORT: 15,
  PASSCRED: 16,
  PEERCRED: 17,
  RCVLOWAT: 18,
  SNDLOWAT: 19,
  RCVTIMEO: 20,
  SNDTIMEO: 21,
  BINDTODEVICE: 25,
  /** Read, it gives the classic filter (SO_GET_FILTER). */
  ATTACH_FILTER: 26,
  PEERNAME: 28,
  TIMESTAMP: 29,
  ACCEPTCONN: 30,
  PEERSEC: 31,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
  PASSSEC: 34,
  TIMESTAMPNS: 35,
  MARK: 36,
  TIMESTAMPING: 37,
  PROTOCOL: 38,
  DOMAIN: 39,
  RXQ_OVFL: 40,
  WIFI_STATUS: 41,
  PEEK_OFF: 42,
  NOFCS: 43,
  LOCK_FILTER: 44,
  SELECT_ERR_QUEUE: 45,
  BUSY_POLL: 46,
  MAX_PACING_RATE: 47,
  INCOMING_CPU: 49,
  ATTACH_BPF: 50,
  ATTACH_REUSEPORT_CBPF: 51,
  ATTACH_REUSEPORT_EBPF: 52,
  MEMINFO: 55,
  COOKIE: 57,
  PEERGROUPS: 59,
  ZEROCOPY: 60,
  TXTIME: 61,
  BINDTOIFINDEX: 62,
  TIMESTAMP_NEW: 63,
  TIMESTAMPNS_NEW: 64,
  TIMESTAMPING_NEW: 65,
  PREFER_BUSY_POLL: 69,
  BUSY_POLL_BUDGET: 70,
  NETNS_COOKIE: 71,
  BUF_LOCK: 72,
  RESERVE_MEM: 73,
  TXREHASH: 74,
  RCVMARK: 75,
  PASSPIDFD: 76,
  PEERPIDFD: 77,
  RCVPRIORITY: 82,
  PASSRIGHTS: 83,
  INQ: 84,
} as const;

/** How shutdown(2) is told what to end. */
export const SHUT = { RD: 0, WR: 1, RDWR: 2 } as const;

/**
 * ioctl(2) requests: bytes that wait to be read, bytes sent and not yet taken, of these those not yet sent; where urgent data is;
 * the file that a Unix socket is bound to.
 */
export const SIOC = { INQ: 0x541b, OUTQ: 0x5411, OUTQNSD: 0x894b, ATMARK: 0x8905, UNIXFILE: 0x89e0 } as const;

/** struct sockaddr_storage has room for every address. */
export const ADDRESS_SIZE = 128;
const addressBuffer = new Uint8Array(ADDRESS_SIZE);
const addressPointer = addressOf(addressBuffer);
const lengthBuffer = new Uint8Array(s32.size);
const lengthPointer = addressOf(lengthBuffer);
const intBuffer = new Uint8Array(s32.size);
const intPointer = addressOf(intBuffer);

// --- made and connected

/** socket(2) in our own network namespace, with O_CLOEXEC. @throws KernelError */
export function openSocket(family: number, type: number, protocol = 0): Fd {
  const what = () => `of family ${family}, type ${type}, protocol ${protocol}`;
  return Fd.own(syscall(what, NR.socket, family, type | SOCK.CLOEXEC, protocol));
}

/** socketpair(2), both with O_CLOEXEC. @throws KernelError */
export function openSocketPair(family: number, type: number, protocol = 0): [Fd, Fd] {
  const pair = new Uint8Array(2 * s32.size);
  const what = () => `of family ${family}, type ${type}`;
  syscall(what, NR.socketpair, family, type | SOCK.CLOEXEC, protocol, addressOf(pair));
  return [Fd.own(s32.read(pair, 0)), Fd.own(s32.read(pair, s32.size))];
}

/** bind(2) to the bytes of an address; 0, or the negative errno. */
export function tryBind(fd: number, address: Uint8Array): number {
  return rawSyscall(NR.bind, fd, addressOf(address), address.length);
}

/** bind(2) to the bytes of an address. @throws KernelError */
export function bind(fd: number, address: Uint8Array): void {
  checkResult(tryBind(fd, address), NR.bind, `socket ${fd}`);
}

/** connect(2) to the bytes of an address; 0, or the negative errno (-EINPROGRESS is none of failure). */
export function tryConnect(fd: number, address: Uint8Array): number {
  return rawSyscall(NR.connect, fd, addressOf(address), address.length);
}

/** connect(2) to the bytes of an address. @throws KernelError */
export function connect(fd: number, address: Uint8Array): void {
  checkResult(tryConnect(fd, address), NR.connect, `socket ${fd}`);
}

/** listen(2). @throws KernelError */
export function listen(fd: number, backlog: number): void {
  syscall(() => `socket ${fd}`, NR.listen, fd, backlog);
}

/** accept4(2) with O_CLOEXEC. @throws KernelError */
export function accept(fd: number): Fd {
  return Fd.own(syscall(() => `socket ${fd}`, NR.accept4, fd, 0, 0, SOCK.CLOEXEC));
}

/** shutdown(2) with a value of SHUT; 0, or the negative errno. */
export function tryShutdown(fd: number, how: number): number {
  return rawSyscall(NR.shutdown, fd, how);
}

/** shutdown(2) with a value of SHUT. @throws KernelError */
export function shutdown(fd: number, how: number): void {
  checkResult(tryShutdown(fd, how), NR.shutdown, `socket ${fd}`);
}

function nameBy(call: number, fd: number): Uint8Array | number {
  s32.write(lengthBuffer, 0, ADDRESS_SIZE);
  const result = rawSyscall(call, fd, addressPointer, lengthPointer);
  return result < 0 ? result : addressBuffer.slice(0, Math.min(s32.read(lengthBuffer, 0), ADDRESS_SIZE));
}

/** getsockname(2): the bytes of its own address. @throws KernelError */
export function socketName(fd: number): Uint8Array {
  const name = nameBy(NR.getsockname, fd);
  if (typeof name === "number") throw new KernelError("getsockname", `socket ${fd}`, -name);
  return name;
}

/** getpeername(2): the bytes of the peer's address; undefined where it has none. @throws KernelError */
export function peerName(fd: number): Uint8Array | undefined {
  const name = nameBy(NR.getpeername, fd);
  if (typeof name !== "number") return name;
  if (name === -ERRNO.ENOTCONN || name === -ERRNO.EINVAL) return undefined;
  throw new KernelError("getpeername", `socket ${fd}`, -name);
}

/**
 * The `length` bytes of the address that a socket is connected to, or was (SO_PEERNAME): as many as its own name has. Undefined
 * where it never was. @throws KernelError
 */
export function lastPeerName(fd: number, length: number): Uint8Array | undefined {
  const name = new Uint8Array(length);
  const result = tryGetOption(fd, SOL.SOCKET, SO.PEERNAME, name);
  if (result === -ERRNO.ENOTCONN) return undefined;
  if (result < 0) throw new KernelError("getsockopt", optionName(fd, SOL.SOCKET, SO.PEERNAME), -result);
  return name;
}

/** An ioctl(2) that gives an int: a value of SIOC. @throws KernelError */
export function ioctlInt(fd: number, request: number): number {
  syscall(() => `socket ${fd}`, NR.ioctl, fd, request, intPointer);
  return s32.read(intBuffer, 0);
}

/**
 * The file in the file system that a Unix socket has its name by, opened with O_PATH, wherever it is now; undefined where it has
 * none. Takes CAP_NET_ADMIN. @throws KernelError
 */
export function unixSocketFile(fd: number): Fd | undefined {
  const file = rawSyscall(NR.ioctl, fd, SIOC.UNIXFILE);
  if (file === -ERRNO.ENOENT) return undefined;
  return Fd.own(checkResult(file, NR.ioctl, `SIOCUNIXFILE of socket ${fd}`));
}

// --- options

function optionName(fd: number, level: number, name: number): string {
  return `option ${name} of level ${level} of socket ${fd}`;
}

/** getsockopt(2) into `value`: the length that the kernel gives, or the negative errno. */
export function tryGetOption(fd: number, level: number, name: number, value: Uint8Array): number {
  s32.write(lengthBuffer, 0, value.length);
  const result = rawSyscall(NR.getsockopt, fd, level, name, addressOf(value), lengthPointer);
  return result < 0 ? result : s32.read(lengthBuffer, 0);
}

/** getsockopt(2): the bytes of an option, at most `most` of them. @throws KernelError */
export function getOption(fd: number, level: number, name: number, most: number): Uint8Array {
  const value = new Uint8Array(most);
  const length = tryGetOption(fd, level, name, value);
  if (length < 0) throw new KernelError("getsockopt", optionName(fd, level, name), -length);
  return length < most ? value.slice(0, length) : value;
}

/** getsockopt(2) of an int; undefined where the kernel or the socket has no such option, or does not tell it. */
export function tryGetInt(fd: number, level: number, name: number): number | undefined {
  s32.write(intBuffer, 0, 0);
  s32.write(lengthBuffer, 0, s32.size);
  const result = rawSyscall(NR.getsockopt, fd, level, name, intPointer, lengthPointer);
  if (result < 0) return undefined;
  // Some options are a byte where the value fits in one (IP_*), and the rest is left as it was: zero.
  return s32.read(intBuffer, 0);
}

/** getsockopt(2) of an int. @throws KernelError */
export function getInt(fd: number, level: number, name: number): number {
  s32.write(intBuffer, 0, 0);
  s32.write(lengthBuffer, 0, s32.size);
  const result = rawSyscall(NR.getsockopt, fd, level, name, intPointer, lengthPointer);
  if (result < 0) throw new KernelError("getsockopt", optionName(fd, level, name), -result);
  return s32.read(intBuffer, 0);
}

/** setsockopt(2); 0, or the negative errno. */
export function trySetOption(fd: number, level: number, name: number, value: Uint8Array): number {
  return rawSyscall(NR.setsockopt, fd, level, name, addressOf(value), value.length);
}

/** setsockopt(2). @throws KernelError */
export function setOption(fd: number, level: number, name: number, value: Uint8Array): void {
  const result = trySetOption(fd, level, name, value);
  if (result < 0) throw new KernelError("setsockopt", optionName(fd, level, name), -result);
}

/** setsockopt(2) of an int; 0, or the negative errno. */
export function trySetInt(fd: number, level: number, name: number, value: number): number {
  // Values are counts and masks: what is above 31 bits is meant as its bits.
  s32.write(intBuffer, 0, value | 0);
  return rawSyscall(NR.setsockopt, fd, level, name, intPointer, s32.size);
}

/** setsockopt(2) of an int. @throws KernelError */
export function setInt(fd: number, level: number, name: number, value: number): void {
  const result = trySetInt(fd, level, name, value);
  if (result < 0) throw new KernelError("setsockopt", optionName(fd, level, name), -result);
}
