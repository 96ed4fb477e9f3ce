/**
 * The urgent byte in the receive queue of a TCP connection. Reading stops in front of it; what is behind it is looked at from a peek
 * offset (Linux 6.9). It is restored by a segment that we send ourselves, as if it came from the peer: the repair mode knows of none.
 *
 * What the peer has announced and not sent yet it announces again. The kernel tells nobody what is urgent in a send queue.
 */
import { NR } from "../../linux/nr.ts";
import { type Ends, type PacketSender, SEGMENT } from "../../linux/packets.ts";
import { POLL, poll } from "../../linux/poll.ts";
import { awaitThat } from "../../linux/sleep.ts";
import { getInt, ioctlInt, SIOC, SO, SOL, setInt, tryGetInt } from "../../linux/socket.ts";
import { MSG, receive } from "../../linux/socket-messages.ts";
import { s32 } from "../../linux/struct.ts";
import { fillQueue, peekQueue, peekSome, queueSequence, setWindow, type TcpWindow } from "../../linux/tcp.ts";
import { call } from "../../undo/calls.ts";
import type { Undo } from "../../undo/undo.ts";
import { FileDumpError, FileRestoreError } from "../errors.ts";
import { URGENT } from "./unix-queue.ts";

/** A receive queue with an urgent byte in it. */
export interface UrgentQueue {
  readonly bytes: Uint8Array;
  /** How many bytes are before it. */
  readonly at: number;
  /** A value of URGENT. */
  readonly state: number;
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(s32.size);
  s32.write(bytes, 0, value);
  return bytes;
}

/** What is in a receive queue; `at` and `state` where a byte of it is urgent. */
export type ReceiveQueue = UrgentQueue | { readonly bytes: Uint8Array; readonly at?: undefined };

/**
 * The receive queue, of `length` bytes and chosen, of a socket in repair, which nothing is taken from. `where` names the connection.
 * @throws KernelError, FileDumpError
 */
export function takeReceived(fd: number, length: number, undo: Undo, where: string): ReceiveQueue {
  if (length === 0) return { bytes: new Uint8Array(0) };
  const isUrgent = ioctlInt(fd, SIOC.ATMARK) !== 0;
  const offset = tryGetInt(fd, SOL.SOCKET, SO.PEEK_OFF);
  if (!isUrgent && (offset === undefined || offset < 0)) {
    const bytes = peekSome(fd, length);
    if (bytes.length >= length) return { bytes };
  }
  if (offset === undefined)
    throw new FileDumpError(`${where}: urgent data waits in it, which can be dumped from Linux 6.9 on`);
  const back = (name: number, value: number) =>
    call(NR.setsockopt, fd, SOL.SOCKET, name, int(value), s32.size);
  const entry = undo.lay(`${where}: how its receive queue is read`, [
    back(SO.OOBINLINE, getInt(fd, SOL.SOCKET, SO.OOBINLINE)),
    back(SO.PEEK_OFF, offset),
  ]);
  try {
    return takeFromOffset(fd, length, isUrgent);
  } finally {
    entry.undo();
  }
}

/** The same, of one where the byte that is urgent is to be read like any other; `isFirst`: the first one is. */
function takeFromOffset(fd: number, length: number, isFirst: boolean): ReceiveQueue {
  const waits = (poll(fd, POLL.PRI) & POLL.PRI) !== 0;
  setInt(fd, SOL.SOCKET, SO.OOBINLINE, 1);
  setInt(fd, SOL.SOCKET, SO.PEEK_OFF, 0);
  const before = isFirst ? new Uint8Array(0) : peekSome(fd, length);
  const at = before.length;
  if (at >= length) return { bytes: before };
  setInt(fd, SOL.SOCKET, SO.PEEK_OFF, at);
  const bytes = new Uint8Array(length);
  bytes.set(before);
  bytes.set(peekQueue(fd, length - at), at);
  return { bytes, at, state: waits ? URGENT.WAITS : URGENT.WAS_READ };
}

/** How the segment with the urgent byte is to look. */
export interface UrgentSegment {
  readonly ends: Ends;
  /** Of the urgent byte. */
  readonly sequence: number;
  readonly acknowledgement: number;
  /** What both windows will be, where that is known. */
  readonly windows: TcpWindow | undefined;
  /** The peer's, as in a header: scaled. */
  readonly window: number;
  readonly sender: PacketSender;
}

/** So many bytes of a window are open behind what waits. */
const SPARE = 1024;
/** Milliseconds within which a segment arrives that goes nowhere. */
const PATIENCE = 5000;

/** Fills the receive queue, which is empty and chosen, of a socket in repair. `what` names it. @throws KernelError, FileRestoreError */
export function restoreUrgent(
  fd: number,
  { bytes, at, state }: UrgentQueue,
  { ends, sequence, acknowledgement, windows, window, sender }: UrgentSegment,
  what: string,
): void {
  if (at >= bytes.length || (state !== URGENT.WAITS && state !== URGENT.WAS_READ))
    throw new FileRestoreError(`${what}: urgent data (${state}) at ${at} of ${bytes.length} bytes`);
  fillQueue(fd, bytes.subarray(0, at));
  // A window that is full takes no segment.
  if (windows !== undefined)
    setWindow(fd, { ...windows, rcv_wnd: bytes.length - at + SPARE, rcv_wup: sequence });
  const flags = SEGMENT.ACK | SEGMENT.URG;
  const data = bytes.subarray(at, at + 1);
  // However the machine counts (net.ipv4.tcp_stdurg), this is the byte that the segment begins with.
  sender.segment(ends, { sequence, acknowledgement, flags, window, urgent: 0, data });
  const next = (sequence + 1) >>> 0;
  if (!awaitThat(() => queueSequence(fd) === next, PATIENCE))
    throw new FileRestoreError(`${what}: the segment with the urgent byte does not arrive`);
  if (state === URGENT.WAS_READ) receive(fd, new Uint8Array(1), MSG.OOB | MSG.DONTWAIT);
  fillQueue(fd, bytes.subarray(at + 1));
}
