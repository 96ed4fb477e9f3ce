/**
 * What waits in a Unix socket, read without taking it out: where each message begins and ends, who sent it, the descriptors and
 * credentials beside it, and where urgent data stands.
 *
 * MSG_PEEK alone shows the beginning. SO_PEEK_OFF makes each look go on behind the one before; with SO_PASSCRED a look tells
 * who sent what it shows, and ends where somebody else's begins. Both, and SO_OOBINLINE where urgent data waits, are as they were when the
 * queue has been read; the undo list sees to it should we not come so far.
 *
 * A look must not go beyond what there is: it would take the socket's pending error with it (ECONNRESET, of a peer that closed
 * without having read all). A message without a byte is shown once: the kernel marks it, and later looks with an offset pass over it.
 */
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { closeAll, type Fd } from "../../linux/fd.ts";
import { instant } from "../../linux/instants.ts";
import { NR } from "../../linux/nr.ts";
import { POLL } from "../../linux/poll.ts";
import { SO, SOCK, SOL, setInt } from "../../linux/socket.ts";
import { decodeUnix } from "../../linux/socket-address.ts";
import {
  type ControlMessage,
  type Credentials,
  credentialsOf,
  type Incoming,
  MSG,
  peekWholePieces,
  rightsOf,
  SCM,
  tryReceive,
} from "../../linux/socket-messages.ts";
import { s32 } from "../../linux/struct.ts";
import { call, type UndoStep } from "../../undo/calls.ts";
import type { Undo } from "../../undo/undo.ts";
import { FileDumpError } from "../errors.ts";
import type { UnixFacts } from "./unix-look.ts";

/** What a piece of a stream is to urgent data. */
export const URGENT = {
  /** Its one byte is urgent and waits to be read. */
  WAITS: 1,
  /** It has no byte: the urgent one that stood here has been read, and reading still stops here. */
  WAS_READ: 2,
} as const;

/** A message, or a piece of a stream that came from one sender. */
export interface Packet {
  readonly bytes: Uint8Array;
  /** Descriptors that come with its first byte: ours, to be closed. */
  readonly rights: readonly Fd[];
  /** Who it says that it is from; undefined where it does not say. */
  readonly credentials: Credentials | undefined;
  /** The sender's name, as the kernel has it (decodeUnix); empty where it has none. */
  readonly from: Uint8Array;
  readonly urgent: (typeof URGENT)[keyof typeof URGENT] | undefined;
}

/** For messages as large as sockets take them by default; larger ones get more. */
const ROOM = 1 << 18;
/** Where a look with an offset begins that is not wanted. */
const NO_OFFSET = -1;
const NO_NAME = new Uint8Array(0);

/**
 * The queue of the socket that `fd`, which is lent, is open at: of type `type`, which does not listen. `where` names it.
 * @throws KernelError; FileDumpError where something in it cannot be made out
 */
export function readQueue(fd: number, type: number, facts: UnixFacts, undo: Undo, where: string): Packet[] {
  const { events, waiting, atMark } = facts;
  // At its end a stream can be read as well, and then there is nothing.
  if ((events & POLL.IN) === 0) return [];
  const isStream = type === SOCK.STREAM;
  if (isStream) {
    if (waiting === 0 && !atMark) return [];
  } else if ((events & POLL.ERR) !== 0) {
    if (waiting === 0 && (events & POLL.RDHUP) !== 0) return [];
    throw new FileDumpError(
      `${where}: messages wait in it behind an error that is not told yet (ECONNRESET), which nobody can read first; dump it again when it has been read`,
    );
  }
  const look = new Look(fd, facts, where);
  const entry = undo.lay(`${where}: how it is peeked at`, look.undoing());
  try {
    look.begin();
    return isStream ? readStream(look, facts) : readMessages(look, type);
  } finally {
    entry.undo();
  }
}

/** Looking into one queue. */
class Look {
  #room = new Uint8Array(0);
  /** Options that are to be on for a while, with what they are. */
  readonly #options: readonly (readonly [name: number, value: number])[];

  constructor(
    readonly fd: number,
    private readonly facts: UnixFacts,
    readonly where: string,
  ) {
    const { passCredentials, passRights, urgentInline, events } = facts;
    this.#options = [
      [SO.PASSCRED, passCredentials ?? 0],
      // Without SO_PASSRIGHTS (Linux 6.16) descriptors are not shown.
      ...(passRights === 0 ? [[SO.PASSRIGHTS, 0] as const] : []),
      ...((events & POLL.PRI) !== 0 ? [[SO.OOBINLINE, urgentInline ?? 0] as const] : []),
    ];
  }

  undoing(): UndoStep[] {
    return [[SO.PEEK_OFF, this.facts.peekOffset] as const, ...this.#options].map(([name, value]) => {
      const bytes = new Uint8Array(s32.size);
      s32.write(bytes, 0, value);
      return call(NR.setsockopt, this.fd, SOL.SOCKET, name, bytes, bytes.length);
    });
  }

  begin(): void {
    for (const [name, value] of this.#options) if (value === 0) this.set(name, 1);
    this.at(0);
  }

  set(option: number, value: number): void {
    instant();
    setInt(this.fd, SOL.SOCKET, option, value);
  }

  /** The next look begins behind so many bytes. */
  at(offset: number): void {
    this.set(SO.PEEK_OFF, offset);
  }

  /**
   * Looks at `most` bytes; undefined where there are none to come. What comes with them is ours. The bytes are valid until the
   * next look.
   */
  next(most: number): Seen | undefined {
    if (this.#room.length < most) this.#room = new Uint8Array(most);
    const got = tryReceive(this.fd, this.#room.subarray(0, most), MSG.PEEK | MSG.DONTWAIT);
    if (got === -ERRNO.EAGAIN) return undefined;
    if (typeof got === "number") throw new KernelError("recvmsg", `${this.where}: its queue`, -got);
    return new Seen(got, this.where);
  }
}

/** What one look has shown. */
class Seen {
  readonly bytes: Uint8Array;
  readonly from: Uint8Array;
  readonly rights: Fd[] = [];
  readonly credentials: Credentials | undefined;
  /** Whether it was a message at all: the end of a connection looks like an empty one, but tells of no sender. */
  readonly isMessage: boolean;
  readonly isCut: boolean;

  constructor({ bytes, from, control, flags }: Incoming, where: string) {
    this.bytes = bytes;
    this.from = decodeUnix(from);
    let credentials: ControlMessage | undefined;
    for (const message of control) {
      if (message.level !== SOL.SOCKET) continue;
      // Where SO_PASSPIDFD is on, the kernel has made a pidfd of what the credentials say.
      if (message.type === SCM.RIGHTS) this.rights.push(...rightsOf(message));
      else if (message.type === SCM.PIDFD) closeAll(rightsOf(message));
      else if (message.type === SCM.CREDENTIALS) credentials = message;
    }
    this.isMessage = credentials !== undefined;
    this.isCut = (flags & MSG.TRUNC) !== 0;
    const told = credentials && credentialsOf(credentials.data);
    this.credentials = told === undefined || told.pid === 0 ? undefined : told;
    if ((flags & MSG.CTRUNC) !== 0) {
      closeAll(this.rights);
      throw new FileDumpError(`${where}: more descriptors wait in its queue than we may have open`);
    }
  }
}

/** Messages, each by itself. */
function readMessages(look: Look, type: number): Packet[] {
  const packets: Packet[] = [];
  let room = ROOM;
  for (let at = 0; ; ) {
    const seen = look.next(room);
    if (seen === undefined || !seen.isMessage) break;
    if (seen.isCut) {
      closeAll(seen.rights);
      room *= 2;
      look.at(at);
      continue;
    }
    at += seen.bytes.length;
    const { rights, credentials } = seen;
    // The sender of a connection's messages is who it is connected to.
    const from = type === SOCK.DGRAM ? seen.from : NO_NAME;
    packets.push({ bytes: seen.bytes.slice(), rights, credentials, from, urgent: undefined });
  }
  refuseUnseen(look, packets[0]);
  return packets;
}

/**
 * Refuses an empty message at the head that somebody has peeked at before: a look without an offset shows it alone, and what
 * else of the kind there is behind it nobody can tell.
 */
function refuseUnseen(look: Look, first: Packet | undefined): void {
  look.at(NO_OFFSET);
  const seen = look.next(1);
  if (seen === undefined) return;
  closeAll(seen.rights);
  if (!seen.isMessage || seen.bytes.length > 0 || first?.bytes.length === 0) return;
  throw new FileDumpError(
    `${look.where}: an empty message waits in it that was peeked at before (MSG_PEEK), and the kernel does not show what is behind such; dump it again when it has been read`,
  );
}

/** A piece of a stream as one look shows it. */
interface Piece extends Omit<Packet, "from" | "urgent"> {
  readonly end: number;
  /** Where what its descriptors come with begins. */
  readonly rightsAt: number;
}

/** A stream, in pieces of one sender each, at most one of them with descriptors. */
function readStream(look: Look, { waiting: total, events, atMark }: UnixFacts): Packet[] {
  const urgentWaits = (events & POLL.PRI) !== 0;
  const pieces: Piece[] = [];
  for (let at = 0; at < total; ) {
    const seen = look.next(total - at);
    if (seen === undefined || seen.bytes.length === 0)
      throw new FileDumpError(`${look.where}: ${total} bytes wait in it, of which it shows ${at}`);
    const { rights, credentials } = seen;
    const bytes = seen.bytes.slice();
    const end = at + bytes.length;
    const rightsAt = rights.length === 0 ? end : startOfRights(look, at, bytes.length);
    pieces.push({ bytes, rights, credentials, end, rightsAt });
    at = end;
  }
  return packetsOf(pieces, marksIn(look, pieces, urgentWaits, atMark), urgentWaits);
}

/**
 * Where what was sent with descriptors begins in a look that ends with it. A shorter look would not tell: it has the descriptors that
 * come next as well.
 */
function startOfRights(look: Look, at: number, length: number): number {
  look.at(at);
  const before = peekWholePieces(look.fd, length - 1);
  look.at(at + length);
  if (before < 0 && before !== -ERRNO.EFAULT)
    throw new KernelError("recvmsg", `${look.where}: its queue`, -before);
  return before < 0 ? at : at + before;
}

/** Where looks end because of urgent data, of which one at most still waits. @throws FileDumpError where that cannot be told */
function marksIn(look: Look, pieces: readonly Piece[], urgentWaits: boolean, atMark: boolean): Set<number> {
  const marks = new Set<number>(atMark ? [0] : []);
  pieces.forEach(({ end, rights, credentials }, i) => {
    const next = pieces[i + 1];
    // A look ends with descriptors, whatever follows.
    if (next === undefined || rights.length > 0) return;
    if (sameSender(credentials, next.credentials) || stopsAt(look, end)) marks.add(end);
  });
  if (!urgentWaits || marks.size > 0) return marks;
  const behindRights = pieces.slice(0, -1).filter(({ rights }) => rights.length > 0);
  const [only, another] = behindRights;
  if (only === undefined || another !== undefined)
    throw new FileDumpError(
      `${look.where}: urgent data waits in it, behind messages with descriptors, and which of them cannot be told`,
    );
  return new Set([only.end]);
}

/** Whether a look ends here for another reason than that somebody else's data begins. */
function stopsAt(look: Look, end: number): boolean {
  look.set(SO.PASSCRED, 0);
  look.at(end - 1);
  const seen = look.next(2);
  look.set(SO.PASSCRED, 1);
  if (seen === undefined) return false;
  closeAll(seen.rights);
  return seen.bytes.length < 2;
}

function sameSender(one: Credentials | undefined, other: Credentials | undefined): boolean {
  return one?.pid === other?.pid && one?.uid === other?.uid && one?.gid === other?.gid;
}

/** Cuts pieces where descriptors begin, and urgent data out of them. */
function packetsOf(pieces: readonly Piece[], marks: ReadonlySet<number>, urgentWaits: boolean): Packet[] {
  const packets: Packet[] = [];
  let at = 0;
  const mark = () => {
    packets.push({ ...EMPTY, urgent: URGENT.WAS_READ });
  };
  for (const { bytes, rights, credentials, end, rightsAt } of pieces) {
    const start = at;
    const take = (to: number, urgent?: Packet["urgent"]) => {
      if (to <= at) return;
      const some = at === rightsAt ? rights : [];
      packets.push({
        bytes: bytes.subarray(at - start, to - start),
        rights: some,
        credentials,
        from: NO_NAME,
        urgent,
      });
      at = to;
    };
    if (marks.has(start)) {
      if (urgentWaits) take(start + 1, URGENT.WAITS);
      else mark();
    }
    take(rightsAt);
    take(end);
  }
  if (at === 0 && marks.has(0)) mark();
  return packets;
}

const EMPTY: Omit<Packet, "urgent"> = {
  bytes: NO_NAME,
  rights: [],
  credentials: undefined,
  from: NO_NAME,
};
