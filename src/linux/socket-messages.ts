/** Messages of sockets, with what stands beside their bytes: sendmsg(2), recvmsg(2). */

import { alignUp } from "./align.ts";
import { KernelError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { iovec } from "./iovec.ts";
import { NR } from "./nr.ts";
import { ADDRESS_SIZE, SOL } from "./socket.ts";
import { s32, struct, u32, word } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

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

/** What stands beside the bytes of a message (struct cmsghdr and what follows it). */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

const cmsghdr = struct({ len: word, level: s32, type: s32 });
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
  iovec.encodeInto(bytes, RIGHTS_IOV, { base: address + RIGHTS_BYTE, length: 1 });
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
  const iov = iovec.encode({ base: addressOf(bytes), length: bytes.length });
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
const CONTROL_SIZE = 4096;
const controlBuffer = new Uint8Array(CONTROL_SIZE);
const controlPointer = addressOf(controlBuffer);
const addressBuffer = new Uint8Array(ADDRESS_SIZE);
const addressPointer = addressOf(addressBuffer);

/**
 * recvmsg(2) into `buffer`, or the negative errno. Descriptors that come with it are ours (with O_CLOEXEC): rightsOf. A message
 * longer than that is cut, and has MSG.TRUNC in its flags.
 */
export function tryReceive(fd: number, buffer: Uint8Array, flags = 0): Incoming | number {
  const iov = iovec.encode({ base: addressOf(buffer), length: buffer.length });
  const header = msghdr.encode({
    name: addressPointer,
    namelen: ADDRESS_SIZE,
    iov: addressOf(iov),
    iovlen: 1,
    control: controlPointer,
    controllen: CONTROL_SIZE,
  });
  const got = rawSyscall(NR.recvmsg, fd, addressOf(header), flags | MSG.CMSG_CLOEXEC);
  if (got < 0) return got;
  const after = msghdr.decode(header);
  return {
    bytes: buffer.subarray(0, Math.min(got, buffer.length)),
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
  const buffer = new Uint8Array(Math.max(most, 1));
  const iov = new Uint8Array(2 * iovec.size);
  iovec.encodeInto(iov, 0, { base: addressOf(buffer), length: most });
  // Nothing is ever mapped at zero.
  iovec.encodeInto(iov, iovec.size, { base: 0, length: 1 });
  const header = msghdr.encode({ iov: addressOf(iov), iovlen: 2 });
  return rawSyscall(NR.recvmsg, fd, addressOf(header), MSG.PEEK | MSG.DONTWAIT);
}

/** recvmsg(2) into `buffer`; see tryReceive. @throws KernelError */
export function receive(fd: number, buffer: Uint8Array, flags = 0): Incoming {
  const got = tryReceive(fd, buffer, flags);
  if (typeof got === "number") throw new KernelError("recvmsg", `socket ${fd}`, -got);
  return got;
}
