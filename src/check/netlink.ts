/** Messages of netlink(7), as far as the kernel is asked by them what it can do. */
import { NR } from "../linux/nr.ts";
import { s32, struct, u8, u16, u32, viewOf } from "../linux/struct.ts";
import { type Argument, attempt, Descriptor, refusal } from "./probe.ts";

export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, NETFILTER: 12 } as const;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const NLM_F = { REQUEST: 1, ACK: 4, DUMP: 0x300, EXCL: 0x200, CREATE: 0x400 } as const;
const NLA_F_NESTED = 0x8000;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const MSG_DONTWAIT = 0x40;

/** struct nlmsghdr, struct nlattr (include/uapi/linux/netlink.h). */
export const header = struct({ length: u32, type: u16, flags: u16, sequence: u32, port: u32 });
const attributeHeader = struct({ length: u16, type: u16 });
/** struct ifinfomsg (include/uapi/linux/rtnetlink.h). */
export const ifinfomsg = struct({ family: u8, pad: u8, type: u16, index: s32, flags: u32, change: u32 });
/** struct nfgenmsg; res_id is big-endian (include/uapi/linux/netfilter/nfnetlink.h). */
export const nfgenmsg = struct({ family: u8, version: u8, res_id: u16 });

const aligned = (length: number) => (length + 3) & ~3;

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + aligned(part.length), 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += aligned(part.length);
  }
  return all;
}

export function attribute(type: number, payload: Uint8Array | string): Uint8Array {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(`${payload}\0`) : payload;
  const all = new Uint8Array(attributeHeader.size + bytes.length);
  attributeHeader.encodeInto(all, 0, { length: all.length, type });
  all.set(bytes, attributeHeader.size);
  return all;
}

export function nested(type: number, ...parts: Uint8Array[]): Uint8Array {
  return attribute(type | NLA_F_NESTED, joined(parts));
}

/** A whole message: its header, a structure, attributes. */
export function message(type: number, flags: number, ...parts: Uint8Array[]): Uint8Array {
  const body = joined(parts);
  const all = new Uint8Array(header.size + body.length);
  header.encodeInto(all, 0, { length: all.length, type, flags: flags | NLM_F.REQUEST, sequence: 1 });
  all.set(body, header.size);
  return all;
}

export interface Answer {
  readonly type: number;
  readonly body: Uint8Array;
}

/** The messages in what was received. */
export function answersIn(bytes: Uint8Array): Answer[] {
  const out: Answer[] = [];
  for (let at = 0; at + header.size <= bytes.length; ) {
    const { length, type } = header.decode(bytes, at);
    if (length < header.size) break;
    out.push({ type, body: bytes.slice(at + header.size, at + length) });
    at += aligned(length);
  }
  return out;
}

/** The errno of the first refusal among the answers, negative; 0 where there is none. */
export function refusalIn(answers: readonly Answer[]): number {
  for (const { type, body } of answers) {
    if (type !== NLMSG_ERROR || body.length < 4) continue;
    const errno = viewOf(body).getInt32(0, true);
    if (errno !== 0) return errno;
  }
  return 0;
}

/** The attributes behind a structure of `skip` bytes, by type. */
export function attributesIn(body: Uint8Array, skip: number): Map<number, Uint8Array> {
  const out = new Map<number, Uint8Array>();
  for (let at = aligned(skip); at + attributeHeader.size <= body.length; ) {
    const { length, type } = attributeHeader.decode(body, at);
    if (length < attributeHeader.size) break;
    out.set(type & 0x3fff, body.subarray(at + attributeHeader.size, at + length));
    at += aligned(length);
  }
  return out;
}

/** Sends a request on a socket of its own and gives what comes back: to the end of a dump, or at once. @throws KernelError */
export function ask(protocol: number, request: Uint8Array): Answer[] {
  using socket = Descriptor.by("netlink", NR.socket, AF_NETLINK, SOCK_RAW, protocol);
  const sent = attempt(NR.sendto, socket.number, request, request.length);
  if (sent < 0) throw refusal("sendto to netlink", sent);
  const out: Answer[] = [];
  const buffer = new Uint8Array(0x8000);
  const args: Argument[] = [socket.number, buffer, buffer.length, MSG_DONTWAIT];
  for (;;) {
    const got = attempt(NR.recvfrom, ...args);
    if (got <= 0) return out;
    const answers = answersIn(buffer.subarray(0, got));
    out.push(...answers);
    if (answers.some(({ type }) => type === NLMSG_DONE)) return out;
  }
}
