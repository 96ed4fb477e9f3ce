/** Sockets by raw system calls: made, named, connected, asked for their options; and messages with what is beside their bytes. */
import { alignUp } from "./align.ts";
import { ERRNO, KernelError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { NR } from "./nr.ts";
import { bytes, s32, struct, u16, u32, viewOf, word } from "./struct.ts";
import { addressOf, checkResult, rawSyscall, syscall } from "./syscall.ts";
import { textOf, textToBytes } from "./text.ts";

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

/** Flags of sending and receiving (include/linux/socket.h). */
export const MSG = {
  OOB: 1,
  PEEK: 2,
  CTRUNC: 8,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  EOR: 0x80,
  ERRQUEUE: 0x2000,
  NOSIGNAL: 0x4000,
  MORE: 0x8000,
  CMSG_CLOEXEC: 0x4000_0000,
} as const;

/** Control messages of level SOL.SOCKET. */
export const SCM = {
  RIGHTS: 1,
  CREDENTIALS: 2,
  SECURITY: 3,
  PIDFD: 4,
  TIMESTAMP: 29,
  TIMESTAMPNS: 35,
} as const;

/** How shutdown(2) is told what to end. */
export const SHUT = { RD: 0, WR: 1, RDWR: 2 } as const;

/**
 * ioctl(2) requests: bytes that wait to be read, bytes sent and not yet taken, of these those not yet sent; where urgent data is;
 * the file that a Unix socket is bound to.
 */
export const SIOC = { INQ: 0x541b, OUTQ: 0x5411, OUTQNSD: 0x894b, ATMARK: 0x8905, UNIXFILE: 0x89e0 } as const;

/** struct sockaddr_storage has room for every address. */
const ADDRESS_SIZE = 128;
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

/** struct pollfd */
export const pollfd = struct({ fd: s32, events: u16, revents: u16 });
export const POLL = { IN: 1, PRI: 2, OUT: 4, ERR: 8, HUP: 0x10, NVAL: 0x20, RDHUP: 0x2000 } as const;

/**
 * poll(2) of one descriptor: which of `events` (and ERR, HUP) hold, within `milliseconds`, counted anew after a signal.
 * @throws KernelError
 */
export function poll(fd: number, events: number, milliseconds = 0): number {
  const buffer = pollfd.encode({ fd, events });
  let result: number;
  do result = rawSyscall(NR.poll, addressOf(buffer), 1, milliseconds);
  while (result === -ERRNO.EINTR);
  checkResult(result, NR.poll, `descriptor ${fd}`);
  return pollfd.decode(buffer).revents;
}

/** poll(2) of many descriptors, however long it takes: of which of them one of `events`, or ERR or HUP, holds. @throws KernelError */
export function pollAll(fds: readonly number[], events: number): boolean[] {
  const buffer = new Uint8Array(fds.length * pollfd.size);
  fds.forEach((fd, i) => {
    pollfd.encodeInto(buffer, i * pollfd.size, { fd, events });
  });
  for (;;) {
    const result = rawSyscall(NR.poll, addressOf(buffer), fds.length, -1);
    if (result >= 0) break;
    if (result !== -ERRNO.EINTR) throw new KernelError("poll", `${fds.length} descriptors`, -result);
  }
  return fds.map((_, i) => pollfd.decode(buffer, i * pollfd.size).revents !== 0);
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

/** getsockopt(2): the bytes of an option, at most `room` of them. @throws KernelError */
export function getOption(fd: number, level: number, name: number, room: number): Uint8Array {
  const value = new Uint8Array(room);
  const length = tryGetOption(fd, level, name, value);
  if (length < 0) throw new KernelError("getsockopt", optionName(fd, level, name), -length);
  return length < room ? value.slice(0, length) : value;
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

// --- messages

/** What stands beside the bytes of a message (struct cmsghdr and what follows it). */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

const cmsghdr = struct({ len: word, level: s32, type: s32 });
const iovec = struct({ base: word, len: word });
/** struct user_msghdr (include/linux/socket.h). */
const msghdr = struct({
  name: word,
  namelen: s32,
  iov: word,
  iovlen: word,
  control: word,
  controllen: word,
  flags: s32,
});

function encodeControl(messages: readonly ControlMessage[]): Uint8Array {
  let size = 0;
  for (const { data } of messages) size += cmsghdr.size + alignUp(data.length, word.size);
  const buffer = new Uint8Array(size);
  let at = 0;
  for (const { level, type, data } of messages) {
    cmsghdr.encodeInto(buffer, at, { len: cmsghdr.size + data.length, level, type });
    buffer.set(data, at + cmsghdr.size);
    at += cmsghdr.size + alignUp(data.length, word.size);
  }
  return buffer;
}

function decodeControl(buffer: Uint8Array): ControlMessage[] {
  const messages: ControlMessage[] = [];
  for (let at = 0; at + cmsghdr.size <= buffer.length; ) {
    const { len, level, type } = cmsghdr.decode(buffer, at);
    if (len < cmsghdr.size || at + len > buffer.length) break;
    messages.push({ level, type, data: buffer.slice(at + cmsghdr.size, at + len) });
    at += alignUp(len, word.size);
  }
  return messages;
}

/** A control message that carries descriptors: the receiver gets duplicates. */
export function rightsMessage(fds: readonly number[]): ControlMessage {
  const data = new Uint8Array(fds.length * s32.size);
  for (const [i, fd] of fds.entries()) s32.write(data, i * s32.size, fd);
  return { level: SOL.SOCKET, type: SCM.RIGHTS, data };
}

/** The descriptors in a control message of type SCM.RIGHTS: ours, to be closed. */
export function rightsOf(message: ControlMessage): Fd[] {
  const fds: Fd[] = [];
  for (let at = 0; at < message.data.length; at += s32.size) fds.push(Fd.own(s32.read(message.data, at)));
  return fds;
}

/** Where what recvmsg(2) takes for descriptors alone stands, behind one another: the header, the byte that they come with. */
const RIGHTS_IOV = msghdr.size;
const RIGHTS_BYTE = RIGHTS_IOV + iovec.size;
const RIGHTS_CONTROL = RIGHTS_BYTE + word.size;

/**
 * What another process calls recvmsg(2) with for a message of one byte and `count` descriptors: bytes to stand at `address` in its
 * memory, the struct msghdr first. They hold the message when the call has been made: see rightsIn.
 */
export function encodeReceiveRights(address: number, count: number): Uint8Array {
  const control = cmsghdr.size + alignUp(count * s32.size, word.size);
  const bytes = new Uint8Array(RIGHTS_CONTROL + control);
  msghdr.encodeInto(bytes, 0, {
    iov: address + RIGHTS_IOV,
    iovlen: 1,
    control: address + RIGHTS_CONTROL,
    controllen: control,
  });
  iovec.encodeInto(bytes, RIGHTS_IOV, { base: address + RIGHTS_BYTE, len: 1 });
  return bytes;
}

/** The numbers, in the process that received them, of the descriptors in a message that encodeReceiveRights made room for. */
export function rightsIn(bytes: Uint8Array): number[] {
  const { controllen } = msghdr.decode(bytes);
  const numbers: number[] = [];
  for (const { level, type, data } of decodeControl(
    bytes.subarray(RIGHTS_CONTROL, RIGHTS_CONTROL + controllen),
  ))
    if (level === SOL.SOCKET && type === SCM.RIGHTS)
      for (let at = 0; at < data.length; at += s32.size) numbers.push(s32.read(data, at));
  return numbers;
}

export const ucred = struct({ pid: s32, uid: u32, gid: u32 });
/** struct ucred: who a message or a connection is from. Pids are ours. */
export type Credentials = ReturnType<typeof ucred.decode>;

/** A control message of type SCM.CREDENTIALS. */
export function credentialsMessage(credentials: Credentials): ControlMessage {
  return { level: SOL.SOCKET, type: SCM.CREDENTIALS, data: ucred.encode(credentials) };
}

/** What a control message of type SCM.CREDENTIALS, or SO.PEERCRED, says. */
export function credentialsOf(data: Uint8Array): Credentials {
  return ucred.decode(data);
}

export interface Outgoing {
  readonly bytes: Uint8Array;
  /** Bytes of the address it goes to, where the socket is not connected. */
  readonly to?: Uint8Array;
  readonly control?: readonly ControlMessage[];
  readonly flags?: number;
}

/** sendmsg(2), without SIGPIPE; the number of bytes taken, or the negative errno. */
export function trySend(fd: number, { bytes, to, control = [], flags = 0 }: Outgoing): number {
  const iov = iovec.encode({ base: addressOf(bytes), len: bytes.length });
  const beside = encodeControl(control);
  const header = msghdr.encode({
    name: to === undefined ? 0 : addressOf(to),
    namelen: to?.length ?? 0,
    iov: addressOf(iov),
    iovlen: 1,
    control: addressOf(beside),
    controllen: beside.length,
  });
  return rawSyscall(NR.sendmsg, fd, addressOf(header), flags | MSG.NOSIGNAL);
}

/** sendmsg(2), without SIGPIPE: the number of bytes taken. @throws KernelError */
export function send(fd: number, message: Outgoing): number {
  return checkResult(trySend(fd, message), NR.sendmsg, `socket ${fd}`);
}

export interface Incoming {
  /** A view of the caller's buffer. */
  readonly bytes: Uint8Array;
  /** Bytes of the sender's address; empty where it has none. */
  readonly from: Uint8Array;
  readonly control: readonly ControlMessage[];
  /** MSG.TRUNC, MSG.CTRUNC, MSG.EOR, MSG.OOB. */
  readonly flags: number;
}

/** Room for control messages: 253 descriptors, credentials, times, a label. */
const CONTROL_ROOM = 4096;
const controlBuffer = new Uint8Array(CONTROL_ROOM);
const controlPointer = addressOf(controlBuffer);

/**
 * recvmsg(2) into `room`, or the negative errno. Descriptors that come with it are ours (with O_CLOEXEC): rightsOf. A message
 * longer than the room is cut, and has MSG.TRUNC in its flags.
 */
export function tryReceive(fd: number, room: Uint8Array, flags = 0): Incoming | number {
  const iov = iovec.encode({ base: addressOf(room), len: room.length });
  const header = msghdr.encode({
    name: addressPointer,
    namelen: ADDRESS_SIZE,
    iov: addressOf(iov),
    iovlen: 1,
    control: controlPointer,
    controllen: CONTROL_ROOM,
  });
  const got = rawSyscall(NR.recvmsg, fd, addressOf(header), flags | MSG.CMSG_CLOEXEC);
  if (got < 0) return got;
  const after = msghdr.decode(header);
  return {
    bytes: room.subarray(0, Math.min(got, room.length)),
    from: addressBuffer.slice(0, Math.min(after.namelen, ADDRESS_SIZE)),
    control: decodeControl(controlBuffer.subarray(0, after.controllen)),
    flags: after.flags,
  };
}

/**
 * Looks (MSG_PEEK) at the pieces of a stream that fit into `most` bytes: those that were sent together come whole or not at all, because
 * behind these bytes there is no memory. The number of bytes, or the negative errno: -EFAULT where the first piece is longer.
 */
export function peekWholePieces(fd: number, most: number): number {
  const room = new Uint8Array(Math.max(most, 1));
  const iov = new Uint8Array(2 * iovec.size);
  iovec.encodeInto(iov, 0, { base: addressOf(room), len: most });
  // Nothing is ever mapped at zero.
  iovec.encodeInto(iov, iovec.size, { base: 0, len: 1 });
  const header = msghdr.encode({ iov: addressOf(iov), iovlen: 2 });
  return rawSyscall(NR.recvmsg, fd, addressOf(header), MSG.PEEK | MSG.DONTWAIT);
}

/** recvmsg(2) into `room`; see tryReceive. @throws KernelError */
export function receive(fd: number, room: Uint8Array, flags = 0): Incoming {
  const got = tryReceive(fd, room, flags);
  if (typeof got === "number") throw new KernelError("recvmsg", `socket ${fd}`, -got);
  return got;
}

// --- interfaces

/** struct ifreq: a name, then what is asked of the interface. */
const ifreq = struct({ name: bytes(16), index: s32 }, 40);
const SIOCGIFNAME = 0x8910;
const SIOCGIFINDEX = 0x8933;

/** The name of an interface of the namespace that a socket is of; undefined where there is none of that index. */
export function interfaceName(fd: number, index: number): string | undefined {
  const buffer = ifreq.encode({ index });
  if (rawSyscall(NR.ioctl, fd, SIOCGIFNAME, addressOf(buffer)) < 0) return undefined;
  return textOf(buffer, 0, buffer.indexOf(0));
}

/** The index of an interface of the namespace that a socket is of; undefined where there is none of that name. */
export function interfaceIndex(fd: number, name: string): number | undefined {
  const buffer = ifreq.encode({ name: textToBytes(name) });
  if (rawSyscall(NR.ioctl, fd, SIOCGIFINDEX, addressOf(buffer)) < 0) return undefined;
  return ifreq.decode(buffer).index;
}

// --- addresses

/** The family of an address; AF.UNSPEC of an empty one. */
export function familyOf(address: Uint8Array): number {
  return address.length < u16.size ? AF.UNSPEC : u16.read(address, 0);
}

/** An address over IP, v4 or v6. */
export interface InetAddress {
  readonly family: number;
  readonly port: number;
  /** 4 or 16 bytes, as on the wire. */
  readonly host: Uint8Array;
  /** Index of the interface that a link-local IPv6 address belongs to. */
  readonly scope: number;
  readonly flowinfo: number;
}

const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

/** struct sockaddr_in or struct sockaddr_in6. */
export function encodeInet(
  address: Omit<InetAddress, "scope" | "flowinfo"> & Partial<InetAddress>,
): Uint8Array {
  const { family, port, host, scope = 0, flowinfo = 0 } = address;
  const bytes = new Uint8Array(family === AF.INET6 ? SOCKADDR_IN6 : SOCKADDR_IN);
  const view = viewOf(bytes);
  view.setUint16(0, family, true);
  view.setUint16(2, port);
  if (family === AF.INET6) {
    view.setUint32(4, flowinfo);
    bytes.set(host.subarray(0, 16), 8);
    view.setUint32(24, scope, true);
  } else {
    bytes.set(host.subarray(0, 4), 4);
  }
  return bytes;
}

/** Reads struct sockaddr_in or sockaddr_in6; undefined for any other address. */
export function decodeInet(bytes: Uint8Array): InetAddress | undefined {
  const family = familyOf(bytes);
  const view = viewOf(bytes);
  if (family === AF.INET && bytes.length >= 8)
    return { family, port: view.getUint16(2), host: bytes.slice(4, 8), scope: 0, flowinfo: 0 };
  if (family !== AF.INET6 || bytes.length < SOCKADDR_IN6) return undefined;
  return {
    family,
    port: view.getUint16(2),
    host: bytes.slice(8, 24),
    scope: view.getUint32(24, true),
    flowinfo: view.getUint32(4),
  };
}

/**
 * struct sockaddr_un of a name as the kernel has it: empty for a socket without one, beginning with a zero byte for an
 * abstract one, a path without a zero byte at its end otherwise.
 */
export function encodeUnix(name: Uint8Array): Uint8Array {
  const path = name.length > 0 && name[0] !== 0;
  const bytes = new Uint8Array(u16.size + name.length + (path ? 1 : 0));
  u16.write(bytes, 0, AF.UNIX);
  bytes.set(name, u16.size);
  return bytes;
}

/** The name in a struct sockaddr_un: see encodeUnix. */
export function decodeUnix(bytes: Uint8Array): Uint8Array {
  const name = bytes.slice(u16.size);
  if (name.length === 0 || name[0] === 0) return name;
  const end = name.indexOf(0);
  return end < 0 ? name : name.subarray(0, end);
}

const sockaddrNl = struct({ family: u16, pad: u16, pid: u32, groups: u32 });

/** struct sockaddr_nl: port of a netlink socket, and the first 32 groups it hears. */
export function encodeNetlink(port: number, groups = 0): Uint8Array {
  return sockaddrNl.encode({ family: AF.NETLINK, pid: port, groups });
}

/** Reads struct sockaddr_nl. */
export function decodeNetlink(bytes: Uint8Array): { readonly port: number; readonly groups: number } {
  const { pid, groups } = sockaddrNl.decode(bytes);
  return { port: pid, groups };
}
