/**
 * TCP connections taken apart and put together: the repair mode of the kernel (net/ipv4/tcp.c; CAP_NET_ADMIN). A socket in
 * repair sends nothing for what is done to it, and ends without a word when it is closed.
 */
import { ERRNO, KernelError } from "./errno.ts";
import { getInt, getOption, ioctlInt, SIOC, SOL, setInt, setOption, tryGetOption } from "./socket.ts";
import { MSG, tryReceive, trySend } from "./socket-messages.ts";
import { TCP } from "./socket-options.ts";
import { struct, u8, u32 } from "./struct.ts";

/** Values of TCP.REPAIR_QUEUE: which queue the bytes and the sequence number are of that one gets or gives. */
export const QUEUE = { NONE: 0, RECEIVE: 1, SEND: 2 } as const;
/** Bits of tcp_info.options. */
export const TCPI_OPT = { TIMESTAMPS: 1, SACK: 2, WSCALE: 4, SYN_DATA: 32, USEC_TS: 64 } as const;
/** Options of a segment, as TCP.REPAIR_OPTIONS takes them. */
const TCPOPT = { MAXSEG: 2, WINDOW: 3, SACK_PERMITTED: 4, TIMESTAMP: 8 } as const;

/** The beginning of struct tcp_info; the two scales share a byte. */
const tcpInfo = struct({
  state: u8,
  caState: u8,
  retransmits: u8,
  probes: u8,
  backoff: u8,
  options: u8,
  scales: u8,
  flags: u8,
  rto: u32,
  ato: u32,
  sendMss: u32,
  receiveMss: u32,
  unacked: u32,
  sacked: u32,
});
const repairOption = struct({ code: u32, value: u32 });
const repairWindow = struct({ snd_wl1: u32, snd_wnd: u32, max_window: u32, rcv_wnd: u32, rcv_wup: u32 });
/** struct tcp_repair_window */
export type TcpWindow = ReturnType<typeof repairWindow.decode>;

export interface TcpInfo {
  /** A value of TCP_STATE. */
  readonly state: number;
  /** Bits of TCPI_OPT: what both sides have agreed on. */
  readonly options: number;
  readonly sendScale: number;
  readonly receiveScale: number;
  /** Of a listening one: how many connections wait to be accepted, and how many may. */
  readonly waiting: number;
  readonly backlog: number;
}

/** @throws KernelError */
export function readTcpInfo(fd: number): TcpInfo {
  const info = tcpInfo.decode(getOption(fd, SOL.TCP, TCP.INFO, tcpInfo.size));
  const { state, options, scales, unacked, sacked } = info;
  return {
    state,
    options,
    sendScale: scales & 0xf,
    receiveScale: scales >> 4,
    waiting: unacked,
    backlog: sacked,
  };
}

/** Begins repair. It makes the socket share its address with whoever asks, until the end of repair. @throws KernelError */
export function repairOn(fd: number): void {
  setInt(fd, SOL.TCP, TCP.REPAIR, 1);
}

/**
 * Ends repair: an established connection asks its peer for its window. SO_REUSEADDR is off then, whatever it was before.
 * @throws KernelError
 */
export function repairOff(fd: number): void {
  setInt(fd, SOL.TCP, TCP.REPAIR, 0);
}

/** Value of TCP_REPAIR that ends it without a word to the peer (Linux 4.19). */
const REPAIR_OFF_SILENTLY = -1;

/** Ends repair and sends nothing; otherwise as {@link repairOff}. @throws KernelError */
export function repairOffSilently(fd: number): void {
  setInt(fd, SOL.TCP, TCP.REPAIR, REPAIR_OFF_SILENTLY);
}

/** How many bytes wait in the queues. */
export interface QueueLengths {
  readonly received: number;
  /** Sent and not acknowledged, or not sent; with the FIN, if that is one of them. */
  readonly sending: number;
  /** Of these, not sent yet. */
  readonly unsent: number;
}

/** @throws KernelError */
export function queueLengths(fd: number): QueueLengths {
  return {
    received: ioctlInt(fd, SIOC.INQ),
    sending: ioctlInt(fd, SIOC.OUTQ),
    unsent: ioctlInt(fd, SIOC.OUTQNSD),
  };
}

/** Chooses the queue that is meant by the functions below. @throws KernelError */
export function chooseQueue(fd: number, queue: number): void {
  setInt(fd, SOL.TCP, TCP.REPAIR_QUEUE, queue);
}

/** The number behind the last byte of the queue that was chosen, the FIN counted as one. @throws KernelError */
export function queueSequence(fd: number): number {
  return getInt(fd, SOL.TCP, TCP.QUEUE_SEQ) >>> 0;
}

/** Sets where the queue that was chosen begins; only before connect(2). @throws KernelError */
export function setQueueSequence(fd: number, sequence: number): void {
  setInt(fd, SOL.TCP, TCP.QUEUE_SEQ, sequence);
}

/**
 * Copies `length` bytes of the queue that was chosen and takes none out.
 * @throws KernelError, EIO where there are more or fewer
 */
export function peekQueue(fd: number, length: number): Uint8Array {
  const bytes = peekSome(fd, length);
  if (bytes.length !== length) {
    const what = `queue of socket ${fd}: ${bytes.length} bytes, not ${length}`;
    throw new KernelError("recvmsg", what, ERRNO.EIO);
  }
  return bytes;
}

/**
 * The same of a receive queue of `length` bytes, up to where urgent data stands, or from there on. One more where there are more.
 * @throws KernelError
 */
export function peekSome(fd: number, length: number): Uint8Array {
  if (length === 0) return new Uint8Array(0);
  // One more is asked for, so that it is known that there is no more.
  const got = tryReceive(fd, new Uint8Array(length + 1), MSG.PEEK | MSG.DONTWAIT);
  if (typeof got === "number") throw new KernelError("recvmsg", `queue of socket ${fd}`, -got);
  return got.bytes;
}

/** A receive queue takes pieces that the kernel can allocate in one. */
const SMALLEST = 1024;

/**
 * Puts bytes into the queue that was chosen, or, without repair, sends them. Pieces are made smaller where there is no room for
 * large ones. @throws KernelError
 */
export function fillQueue(fd: number, bytes: Uint8Array): void {
  let most = bytes.length;
  for (let done = 0; done < bytes.length; ) {
    const put = trySend(fd, { bytes: bytes.subarray(done, done + most) });
    if (put > 0) done += put;
    else if (most > SMALLEST) most >>>= 1;
    else
      throw new KernelError("sendmsg", `to a queue of socket ${fd}: ${done} of ${bytes.length} bytes`, -put);
  }
}

/** The largest segment that the peer takes; in repair alone. @throws KernelError */
export function readMssClamp(fd: number): number {
  return getInt(fd, SOL.TCP, TCP.MAXSEG);
}

/** The clock that segments are stamped with. @throws KernelError */
export function readTimestamp(fd: number): number {
  return getInt(fd, SOL.TCP, TCP.TIMESTAMP) >>> 0;
}

/** @throws KernelError */
export function setTimestamp(fd: number, value: number): void {
  setInt(fd, SOL.TCP, TCP.TIMESTAMP, value);
}

/** Windows in both directions; undefined before Linux 4.8. @throws KernelError */
export function readWindow(fd: number): TcpWindow | undefined {
  const value = new Uint8Array(repairWindow.size);
  const length = tryGetOption(fd, SOL.TCP, TCP.REPAIR_WINDOW, value);
  if (length === -ERRNO.ENOPROTOOPT) return undefined;
  if (length < 0) throw new KernelError("getsockopt", "TCP_REPAIR_WINDOW", -length);
  return repairWindow.decode(value);
}

/** @throws KernelError */
export function setWindow(fd: number, window: TcpWindow): void {
  setOption(fd, SOL.TCP, TCP.REPAIR_WINDOW, repairWindow.encode(window));
}

/** What both sides have agreed on when the connection was made. */
export interface AgreedOptions {
  readonly sack: boolean;
  readonly timestamps: boolean;
  /** Of the windows that the peer tells, and of ours. */
  readonly scales: { readonly send: number; readonly receive: number } | undefined;
  readonly mssClamp: number;
}

/** @throws KernelError */
export function setAgreedOptions(fd: number, { sack, timestamps, scales, mssClamp }: AgreedOptions): void {
  const list: [number, number][] = [];
  if (sack) list.push([TCPOPT.SACK_PERMITTED, 0]);
  if (scales !== undefined) list.push([TCPOPT.WINDOW, scales.send + scales.receive * 0x1_0000]);
  if (timestamps) list.push([TCPOPT.TIMESTAMP, 0]);
  list.push([TCPOPT.MAXSEG, mssClamp]);
  const bytes = new Uint8Array(list.length * repairOption.size);
  for (const [i, [code, value]] of list.entries())
    repairOption.encodeInto(bytes, i * repairOption.size, { code, value });
  setOption(fd, SOL.TCP, TCP.REPAIR_OPTIONS, bytes);
}
