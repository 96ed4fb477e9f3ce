/**
 * Connections of TCP: what is in their queues and what both sides have agreed on (tcp-stream-INO.img), by the kernel's repair
 * mode.
 *
 *     queues   taken, not read yet | sent, not acknowledged | not sent
 *     numbers  inq_seq is behind the last byte received, outq_seq behind the last one to send; a FIN counts as a byte
 *
 * A connection is made again as an established one. What has closed it is done once more: our own FIN by shutdown(2), the
 * peer's by a segment that we send ourselves, as if it came from there.
 */
import type { Payload } from "../../images/image-file.ts";
import type { TcpStreamEntry } from "../../images/schema/generated/sockets.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { type Ends, type PacketSender, SEGMENT } from "../../linux/packets.ts";
import { POLL, poll } from "../../linux/poll.ts";
import { TCP_STATE } from "../../linux/sock-diag.ts";
import { bind, SHUT, shutdown, tryConnect } from "../../linux/socket.ts";
import { encodeInet, type InetAddress } from "../../linux/socket-address.ts";
import {
  chooseQueue,
  fillQueue,
  peekQueue,
  QUEUE,
  queueLengths,
  queueSequence,
  readMssClamp,
  readTcpInfo,
  readTimestamp,
  readWindow,
  repairOff,
  repairOn,
  setAgreedOptions,
  setQueueSequence,
  setTimestamp,
  setWindow,
  TCPI_OPT,
  type TcpWindow,
} from "../../linux/tcp.ts";
import { isMapped } from "../../namespaces/network-lock.ts";
import type { Undo } from "../../undo/undo.ts";
import { FileDumpError, FileRestoreError } from "../errors.ts";
import { prepareQueues } from "./options.ts";
import { restoreUrgent, takeReceived } from "./tcp-urgent.ts";

const { ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING } = TCP_STATE;

/** States by what has been closed, and in which order. */
const anyOf =
  (...states: number[]) =>
  (state: number): boolean =>
    states.includes(state);
const isConnection = anyOf(ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING);
/** The peer has closed it: its FIN is counted in inq_seq. */
export const isFinReceived = anyOf(CLOSE_WAIT, LAST_ACK, CLOSE, CLOSING);
/** We have closed it: our FIN is counted in outq_seq; first, or after the peer's. */
const finSentFirst = anyOf(FIN_WAIT1, FIN_WAIT2, CLOSING);
const finSentSecond = anyOf(LAST_ACK, CLOSE);
const finSent = (state: number): boolean => finSentFirst(state) || finSentSecond(state);
/** The peer has acknowledged our FIN. */
const finAcknowledged = anyOf(FIN_WAIT2, CLOSE);

/** What TCP counts with: 32 bits. */
const wrap = (number: number): number => number >>> 0;

// --- dump

export interface SavedConnection {
  readonly state: number;
  readonly entry: TcpStreamEntry;
  /** The receive queue, then the send queue. */
  readonly payload: Uint8Array;
  /** What the next call on it will be told; 0 for nothing. */
  readonly error: number;
}

/**
 * Takes what there is of a connection that is in repair. `listed` asks how long its receive queue is in truth, with a FIN that waits;
 * `where` names it. @throws KernelError, FileDumpError
 */
export function saveConnection(
  fd: number,
  listed: () => number | undefined,
  undo: Undo,
  where: string,
): SavedConnection {
  const info = readTcpInfo(fd);
  const { state } = info;
  if (!isConnection(state))
    throw new FileDumpError(`${where}: a TCP connection in state ${state} cannot be dumped`);
  let { received, sending, unsent } = queueLengths(fd);
  if (state === CLOSE) {
    // A connection that was reset may have left something to send, which nobody will.
    sending = 0;
    unsent = 0;
  } else if (finSent(state)) {
    sending = Math.max(sending - 1, 0);
    unsent = Math.max(unsent - 1, 0);
  }
  const window = readWindow(fd);
  const scaled = (info.options & TCPI_OPT.WSCALE) !== 0;
  const stamped = (info.options & TCPI_OPT.TIMESTAMPS) !== 0;
  const mssClamp = readMssClamp(fd);
  const timestamp = stamped ? readTimestamp(fd) : undefined;
  // A queue that has an urgent byte in it is told to end there.
  received = Math.max(received, (listed() ?? 0) - (isFinReceived(state) ? 1 : 0));
  const receiving = takeQueue(fd, QUEUE.RECEIVE, where, () => takeReceived(fd, received, undo, where));
  const sent = takeQueue(fd, QUEUE.SEND, where, () => ({ bytes: peekQueue(fd, sending) }));
  // With the send queue chosen the kernel would take for sent what it is about to send.
  chooseQueue(fd, QUEUE.NONE);
  const payload = new Uint8Array(received + sending);
  payload.set(receiving.bytes);
  payload.set(sent.bytes, received);
  return {
    state,
    payload,
    error: state === CLOSE && (poll(fd, 0) & POLL.ERR) !== 0 ? ERRNO.ECONNRESET : 0,
    entry: {
      inq_len: received,
      inq_seq: receiving.sequence,
      outq_len: sending,
      outq_seq: sent.sequence,
      unsq_len: unsent,
      opt_mask: info.options,
      snd_wscale: scaled ? info.sendScale : 0,
      rcv_wscale: scaled ? info.receiveScale : undefined,
      mss_clamp: mssClamp,
      timestamp,
      ...window,
      ...(receiving.at === undefined ? {} : { urgent_at: receiving.at, urgent: receiving.state }),
    },
  };
}

function takeQueue<Q extends { readonly bytes: Uint8Array }>(
  fd: number,
  queue: number,
  where: string,
  take: () => Q,
): Q & { readonly sequence: number } {
  chooseQueue(fd, queue);
  const sequence = queueSequence(fd);
  try {
    return { ...take(), sequence };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const name = queue === QUEUE.RECEIVE ? "receive" : "send";
    throw new FileDumpError(`${where}: its ${name} queue: ${error.message}`, { cause: error });
  }
}

// --- restore

/** A connection as the images have it. */
export interface ConnectionImage {
  readonly state: number;
  readonly source: InetAddress;
  readonly destination: InetAddress;
  readonly stream: TcpStreamEntry;
  readonly payload: Payload;
  readonly error: number;
}

/**
 * Makes a fresh socket a connection as it was, and leaves it in repair. `sender` sends in the socket's namespace; `what` names
 * it. @throws KernelError, FileRestoreError
 */
export function restoreConnection(
  fd: number,
  image: ConnectionImage,
  sender: PacketSender,
  what: string,
): void {
  const { state, stream, payload } = image;
  if (!isConnection(state)) throw new FileRestoreError(`${what}: state ${state} is none of a connection`);
  const unsent = stream.unsq_len ?? 0;
  if (unsent > stream.outq_len)
    throw new FileRestoreError(`${what}: ${unsent} of ${stream.outq_len} bytes are not sent`);
  const numbers = new Numbers(state, stream);
  repairOn(fd);
  prepareQueues(fd);
  bind(fd, encodeInet(image.source));
  chooseQueue(fd, QUEUE.RECEIVE);
  setQueueSequence(fd, wrap(numbers.received - stream.inq_len));
  chooseQueue(fd, QUEUE.SEND);
  setQueueSequence(fd, state === SYN_SENT ? wrap(numbers.acknowledged - 1) : numbers.acknowledged);
  connectAgain(fd, image);
  if ((stream.opt_mask & TCPI_OPT.TIMESTAMPS) !== 0) setTimestamp(fd, stream.timestamp ?? 0);
  fillReceiveQueue(fd, image, numbers, sender, what);
  fillSendQueue(fd, payload, stream, unsent);
  restoreWindow(fd, image);
  closeAgain(fd, image, numbers, sender);
}

/** The numbers of bytes, without the FINs, which follow later. */
class Numbers {
  /** Behind the last byte received. */
  readonly received: number;
  /** Of the first byte that is not acknowledged. */
  readonly acknowledged: number;

  constructor(state: number, { inq_seq, outq_seq, outq_len }: TcpStreamEntry) {
    this.received = wrap(isFinReceived(state) ? inq_seq - 1 : inq_seq);
    this.acknowledged = wrap((finSent(state) ? outq_seq - 1 : outq_seq) - outq_len);
  }
}

function connectAgain(fd: number, { state, destination, stream }: ConnectionImage): void {
  const { opt_mask: mask } = stream;
  // A connection that is being made is begun once more, with the same number.
  if (state === SYN_SENT) repairOff(fd);
  const result = tryConnect(fd, encodeInet(destination));
  if (result < 0 && result !== -ERRNO.EINPROGRESS) throw new KernelError("connect", "in repair", -result);
  if (state === SYN_SENT) {
    repairOn(fd);
    return;
  }
  const scaled = (mask & TCPI_OPT.WSCALE) !== 0;
  setAgreedOptions(fd, {
    sack: (mask & TCPI_OPT.SACK) !== 0,
    timestamps: (mask & TCPI_OPT.TIMESTAMPS) !== 0,
    scales: scaled ? { send: stream.snd_wscale, receive: stream.rcv_wscale ?? 0 } : undefined,
    mssClamp: stream.mss_clamp,
  });
}

function fillReceiveQueue(
  fd: number,
  image: ConnectionImage,
  numbers: Numbers,
  sender: PacketSender,
  what: string,
): void {
  const { stream, payload } = image;
  const { inq_len: length, urgent_at: at, urgent: state } = stream;
  if (length === 0) return;
  const bytes = payload.bytes(0, length);
  chooseQueue(fd, QUEUE.RECEIVE);
  if (at === undefined || state === undefined) {
    fillQueue(fd, bytes);
    return;
  }
  const sequence = wrap(numbers.received - length + at);
  const segment = { ends: endsOf(image), sequence, acknowledgement: numbers.acknowledged, sender };
  restoreUrgent(
    fd,
    { bytes, at, state },
    { ...segment, windows: windowOf(stream), window: peerWindow(stream) },
    what,
  );
}

function fillSendQueue(fd: number, payload: Payload, stream: TcpStreamEntry, unsent: number): void {
  const sent = stream.outq_len - unsent;
  if (sent > 0) {
    chooseQueue(fd, QUEUE.SEND);
    fillQueue(fd, payload.bytes(stream.inq_len, sent));
  }
  chooseQueue(fd, QUEUE.NONE);
  if (unsent === 0) return;
  // What the peer has never seen is sent as ever.
  repairOff(fd);
  fillQueue(fd, payload.bytes(stream.inq_len + sent, unsent));
  repairOn(fd);
}

/** The peer's window, as a header has it. */
function peerWindow({ snd_wnd = 0, snd_wscale }: TcpStreamEntry): number {
  return snd_wnd >>> snd_wscale;
}

/** What TCP_REPAIR_WINDOW takes; undefined where the images say nothing of it. */
function windowOf(stream: TcpStreamEntry): TcpWindow | undefined {
  const { snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup } = stream;
  if (
    snd_wl1 === undefined ||
    snd_wnd === undefined ||
    max_window === undefined ||
    rcv_wnd === undefined ||
    rcv_wup === undefined
  )
    return undefined;
  return { snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup };
}

function restoreWindow(fd: number, { state, stream }: ConnectionImage): void {
  const window = windowOf(stream);
  if (window === undefined) return;
  // The peer's FIN is still to come, and takes a byte of the window.
  const fin = isFinReceived(state) ? 1 : 0;
  const { rcv_wnd, rcv_wup } = window;
  setWindow(fd, { ...window, rcv_wnd: wrap(rcv_wnd + fin), rcv_wup: wrap(rcv_wup - fin) });
}

/** Does once more what had closed the connection. */
function closeAgain(fd: number, image: ConnectionImage, numbers: Numbers, sender: PacketSender): void {
  const { state, stream, error } = image;
  const ends = endsOf(image);
  const window = peerWindow(stream);
  const send = (sequence: number, acknowledgement: number, flags: number): void =>
    sender.segment(ends, { sequence: wrap(sequence), acknowledgement: wrap(acknowledgement), flags, window });
  const { received, acknowledged } = numbers;
  if (state === CLOSE && error !== 0) {
    send(received, acknowledged, SEGMENT.RST | SEGMENT.ACK);
    return;
  }
  if (finSentFirst(state)) finish(fd, finAcknowledged(state));
  if (isFinReceived(state)) send(received, acknowledged, SEGMENT.FIN | SEGMENT.ACK);
  if (finSentSecond(state)) finish(fd, finAcknowledged(state));
  if (finAcknowledged(state)) {
    const sent = acknowledged + stream.outq_len + 1;
    send(received + (isFinReceived(state) ? 1 : 0), sent, SEGMENT.ACK);
  }
}

/** Our FIN: in the queue as one that was sent, where the peer has acknowledged it, or to be sent. */
function finish(fd: number, acknowledged: boolean): void {
  if (acknowledged) chooseQueue(fd, QUEUE.SEND);
  shutdown(fd, SHUT.WR);
  if (acknowledged) chooseQueue(fd, QUEUE.NONE);
}

/** As the peer's packets have them. */
function endsOf({ source, destination }: ConnectionImage): Ends {
  const v4 = isMapped(destination.host);
  return {
    from: v4 ? destination.host.subarray(-4) : destination.host,
    fromPort: destination.port,
    to: v4 ? source.host.subarray(-4) : source.host,
    toPort: source.port,
  };
}
