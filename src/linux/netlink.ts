/**
 * Netlink: requests to the kernel over a socket, their answers, and the attributes that both are made of.
 *
 *     using route = Netlink.open(NETLINK.ROUTE);
 *     route.ask("links", RTM_GETLINK, NLM.DUMP, header, (message) => ...);
 *
 * A socket speaks with the part of the kernel that belongs to the network namespace it was made in, wherever it is used.
 */
import { alignUp } from "./align.ts";
import { ERRNO, KernelError } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { AF, openSocket, SO, SOCK, SOL, trySetInt } from "./socket.ts";
import { decodeNetlink } from "./socket-address.ts";
import { send, tryReceive } from "./socket-messages.ts";
import { s32, struct, u16, u32, viewOf } from "./struct.ts";
import { cString } from "./syscall.ts";
import { textOf } from "./text.ts";

/** Families of netlink (include/uapi/linux/netlink.h). */
export const NETLINK = {
  ROUTE: 0,
  SOCK_DIAG: 4,
  XFRM: 6,
  NETFILTER: 12,
  KOBJECT_UEVENT: 15,
  GENERIC: 16,
} as const;

/** Flags of a request. */
export const NLM = {
  REQUEST: 1,
  MULTI: 2,
  ACK: 4,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

const TYPE = { ERROR: 2, DONE: 3, FIRST: 0x10 } as const;
/** The kernel's own address on a netlink socket. */
const KERNEL = 0;

/** struct nlmsghdr */
const nlmsghdr = struct({ len: u32, type: u16, flags: u16, seq: u32, pid: u32 });
/** struct nlattr; the two top bits of the type are flags. */
const nlattr = struct({ len: u16, type: u16 });
const ATTRIBUTE_TYPE = 0x3fff;
const NESTED = 0x8000;
/** NLMSG_ALIGNTO and NLA_ALIGNTO. */
const ALIGN = 4;

// --- reading

/** Attributes by their type: views of the message. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

/** The attributes in `bytes` from `start`, which is aligned. Of several of one type the last one counts. */
export function attributesIn(bytes: Uint8Array, start = 0): Attributes {
  const found = new Map<number, Uint8Array>();
  for (const [type, value] of eachAttribute(bytes, start)) found.set(type, value);
  return found;
}

/** All attributes, in order: lists repeat a type. */
export function* eachAttribute(bytes: Uint8Array, start = 0): Generator<[number, Uint8Array]> {
  for (let at = start; at + nlattr.size <= bytes.length; ) {
    const { len, type } = nlattr.decode(bytes, at);
    if (len < nlattr.size || at + len > bytes.length) return;
    yield [type & ATTRIBUTE_TYPE, bytes.subarray(at + nlattr.size, at + len)];
    at += alignUp(len, ALIGN);
  }
}

/** Whether there is an attribute of a type in `bytes` from `start`, which is aligned. */
export function hasAttribute(bytes: Uint8Array, start: number, wanted: number): boolean {
  for (const [type] of eachAttribute(bytes, start)) if (type === wanted) return true;
  return false;
}

/** A text attribute, which may end with a zero byte. */
export function attributeText(value: Uint8Array): string {
  const end = value.indexOf(0);
  return textOf(value, 0, end < 0 ? value.length : end);
}

// --- writing

/** Makes the body of a request: a fixed head, then attributes. */
export class RequestBody {
  #bytes = new Uint8Array(256);
  #length = 0;

  constructor(head: Uint8Array = new Uint8Array(0)) {
    this.#append(head);
  }

  /** The body so far: a view. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #append(bytes: Uint8Array): void {
    const end = alignUp(this.#length + bytes.length, ALIGN);
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }

  raw(type: number, value: Uint8Array): this {
    this.#append(nlattr.encode({ len: nlattr.size + value.length, type }));
    this.#append(value);
    return this;
  }

  u8(type: number, value: number): this {
    return this.raw(type, Uint8Array.of(value));
  }

  u16(type: number, value: number): this {
    const bytes = new Uint8Array(u16.size);
    u16.write(bytes, 0, value);
    return this.raw(type, bytes);
  }

  u32(type: number, value: number): this {
    const bytes = new Uint8Array(u32.size);
    u32.write(bytes, 0, value);
    return this.raw(type, bytes);
  }

  /** In network byte order, as netfilter has its numbers. */
  be32(type: number, value: number): this {
    const bytes = new Uint8Array(u32.size);
    viewOf(bytes).setUint32(0, value);
    return this.raw(type, bytes);
  }

  text(type: number, value: string): this {
    return this.raw(type, cString(value));
  }

  /** An attribute that holds those that `inside` adds. */
  nest(type: number, inside: () => void): this {
    const at = this.#length;
    this.#append(new Uint8Array(nlattr.size));
    inside();
    nlattr.encodeInto(this.#bytes, at, { len: this.#length - at, type: type | NESTED });
    return this;
  }
}

/** One message of a batch. */
export interface Request {
  readonly type: number;
  /** NLM.REQUEST is added. */
  readonly flags: number;
  readonly body: Uint8Array;
  /** Names the request in an error. */
  readonly what: string;
}

/** What the kernel sent: its type and what follows the header, a view that the next receipt overwrites. */
export interface Message {
  readonly type: number;
  readonly body: Uint8Array;
}

/** A dump's messages are at most 32 KiB (NLMSG_GOODSIZE and max_recvmsg_len); an error holds the request it is about. */
const BUFFER_SIZE = 1 << 16;
/** How often a dump that changed while it went on is begun anew. */
const ATTEMPTS = 10;
const SOL_NETLINK_EXT_ACK = 11;
const SOL_NETLINK_CAP_ACK = 10;
/** Flags of an error: the request is not repeated in it; attributes follow. */
const CAPPED = 0x100;
const ACK_TLVS = 0x200;
const ATTR_MESSAGE = 1;

export class Netlink implements Disposable {
  readonly #fd: Fd;
  #sequence = 1;
  #buffer: Uint8Array | undefined;

  /** Speaks over a netlink socket, which may have been made in another namespace; becomes its owner. */
  constructor(fd: Fd) {
    this.#fd = fd;
    // Errors say what is wrong, and do not bring the request back. Both are no more than a help.
    trySetInt(fd.number, SOL.NETLINK, SOL_NETLINK_EXT_ACK, 1);
    trySetInt(fd.number, SOL.NETLINK, SOL_NETLINK_CAP_ACK, 1);
  }

  /** A socket in our own network namespace. @throws KernelError */
  static open(family: number): Netlink {
    return new Netlink(openSocket(AF.NETLINK, SOCK.RAW, family));
  }

  /** The descriptor of the socket, lent. */
  get descriptor(): number {
    return this.#fd.number;
  }

  /** One more descriptor of the socket, the caller's. @throws KernelError */
  dup(): Fd {
    return this.#fd.dup();
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }

  /**
   * One request that has an answer: `take` gets each message of it. A dump that was changed while it went on is begun anew,
   * for which `again` is called. @throws KernelError, named by `what`
   */
  ask(
    what: string,
    request: Omit<Request, "what">,
    take: (message: Message) => void,
    again: () => void = () => {},
  ): void {
    for (let attempt = 1; ; attempt++) {
      const sequence = this.#send([{ ...request, what }]);
      if (this.#answer(what, sequence, take) || attempt === ATTEMPTS) return;
      again();
    }
  }

  /** One request that is only acknowledged. @throws KernelError, named by `what` */
  tell(what: string, request: Omit<Request, "what">): void {
    this.ask(what, { ...request, flags: request.flags | NLM.ACK }, () => {});
  }

  /**
   * Requests that are sent in one piece, as nfnetlink takes a transaction: done when each that asks for it (NLM.ACK) is
   * acknowledged. @throws KernelError naming the first that failed
   */
  batch(requests: readonly Request[]): void {
    const first = this.#send(requests);
    const last = first + requests.length - 1;
    let awaited = requests.filter(({ flags }) => (flags & NLM.ACK) !== 0).length;
    let failed: KernelError | undefined;
    // Each that failed is told of, whether it asked or not; the first one is the cause.
    while (awaited > 0) {
      for (const { header, body } of this.#receive()) {
        if (header.type !== TYPE.ERROR || header.seq < first || header.seq > last) continue;
        const request = requests[header.seq - first];
        if (request !== undefined && (request.flags & NLM.ACK) !== 0) awaited--;
        failed ??= failure(request?.what ?? "", header.flags, body);
      }
      if (failed !== undefined) throw failed;
    }
  }

  #send(requests: readonly Request[]): number {
    const first = this.#sequence;
    this.#sequence += requests.length;
    const bytes = encodeRequests(requests, first);
    if (bytes.length > BUFFER_SIZE) trySetInt(this.#fd.number, SOL.SOCKET, SO.SNDBUFFORCE, 2 * bytes.length);
    send(this.#fd.number, { bytes, to: KERNEL_ADDRESS });
    return first;
  }

  /** False where the dump has to be begun anew. */
  #answer(what: string, sequence: number, take: (message: Message) => void): boolean {
    let consistent = true;
    for (;;) {
      for (const { header, body } of this.#receive()) {
        if (header.seq !== sequence) continue;
        if ((header.flags & NLM.DUMP_INTR) !== 0) consistent = false;
        if (header.type === TYPE.DONE) {
          const error = body.length < s32.size ? 0 : s32.read(body, 0);
          if (error < 0) throw new KernelError("netlink", what, -error);
          return consistent;
        }
        if (header.type === TYPE.ERROR) {
          const error = failure(what, header.flags, body);
          if (error !== undefined) throw error;
          return consistent;
        }
        if (header.type >= TYPE.FIRST) take({ type: header.type, body });
        if ((header.flags & NLM.MULTI) === 0) return consistent;
      }
    }
  }

  *#receive(): Generator<{ header: ReturnType<typeof nlmsghdr.decode>; body: Uint8Array }> {
    this.#buffer ??= new Uint8Array(BUFFER_SIZE);
    const got = tryReceive(this.#fd.number, this.#buffer);
    if (typeof got === "number") {
      if (got === -ERRNO.EINTR) return;
      throw new KernelError("recvmsg", "of netlink", -got);
    }
    // Nobody else may answer for the kernel.
    if (got.from.length === 0 || decodeNetlink(got.from).port !== KERNEL) return;
    const { bytes } = got;
    for (let at = 0; at + nlmsghdr.size <= bytes.length; ) {
      const header = nlmsghdr.decode(bytes, at);
      if (header.len < nlmsghdr.size || at + header.len > bytes.length) return;
      yield { header, body: bytes.subarray(at + nlmsghdr.size, at + header.len) };
      at += alignUp(header.len, ALIGN);
    }
  }
}

/** Requests in one piece, numbered from `first`. */
export function encodeRequests(requests: readonly Request[], first = 0): Uint8Array {
  return encode(requests, (i) => first + i);
}

function encode(requests: readonly Request[], seqOf: (i: number) => number): Uint8Array {
  const total = requests.reduce((sum, { body }) => sum + nlmsghdr.size + alignUp(body.length, ALIGN), 0);
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const [i, { type, flags, body }] of requests.entries()) {
    const len = nlmsghdr.size + body.length;
    nlmsghdr.encodeInto(bytes, at, { len, type, flags: flags | NLM.REQUEST, seq: seqOf(i) });
    bytes.set(body, at + nlmsghdr.size);
    at += alignUp(len, ALIGN);
  }
  return bytes;
}

/** The number of every message in images: CRIU sends them as they are, and waits for an answer to that one for ever. */
const SEQ_IN_IMAGES = 24680;

/** Messages one behind the other, as the answer to a dump is. */
export function encodeMessages(messages: readonly Message[]): Uint8Array {
  const requests = messages.map(({ type, body }) => ({ type, flags: NLM.MULTI, body, what: "" }));
  return encode(requests, () => SEQ_IN_IMAGES);
}

/** The messages that stand one behind the other from `start`: views. Undefined where the last one is not whole. */
export function messagesIn(bytes: Uint8Array, start = 0): Message[] | undefined {
  const messages: Message[] = [];
  for (let at = start; at < bytes.length; ) {
    if (at + nlmsghdr.size > bytes.length) return undefined;
    const { len, type } = nlmsghdr.decode(bytes, at);
    if (len < nlmsghdr.size || at + len > bytes.length) return undefined;
    messages.push({ type, body: bytes.subarray(at + nlmsghdr.size, at + len) });
    at += alignUp(len, ALIGN);
  }
  return messages;
}

const KERNEL_ADDRESS = Uint8Array.of(AF.NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** The refusal in an NLMSG_ERROR; undefined where it is an acknowledgement. */
function failure(what: string, flags: number, body: Uint8Array): KernelError | undefined {
  const error = s32.read(body, 0);
  if (error === 0) return undefined;
  let reason = "";
  if ((flags & ACK_TLVS) !== 0) {
    const request = nlmsghdr.decode(body, s32.size);
    const start = s32.size + ((flags & CAPPED) !== 0 ? nlmsghdr.size : alignUp(request.len, ALIGN));
    const text = attributesIn(body, start).get(ATTR_MESSAGE);
    if (text !== undefined) reason = ` (${attributeText(text)})`;
  }
  return new KernelError("netlink", `${what}${reason}`, -error);
}
