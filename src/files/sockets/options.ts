/**
 * The options of sockets. Those that CRIU's images have a field for are saved there; all others, of whatever level, in one list
 * of our own, where they differ from those of a socket just made.
 */

import type { SkOptionEntry, SkOptsEntry } from "../../images/schema/generated/sockets.ts";
import { ERRNO, errnoName, isErrno, KernelError } from "../../linux/errno.ts";
import { F } from "../../linux/fcntl.ts";
import type { Fd } from "../../linux/fd.ts";
import { fcntl, fstat, O } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { OptionLook, type OptionOf } from "../../linux/option-look.ts";
import type { Owners } from "../../linux/owners.ts";
import {
  AF,
  getInt,
  getOption,
  SO,
  SOL,
  setInt,
  setOption,
  tryGetInt,
  tryGetOption,
  trySetInt,
} from "../../linux/socket.ts";
import { s32, s64, struct, u8, u16, u32, word } from "../../linux/struct.ts";
import { addressOf, syscall } from "../../linux/syscall.ts";
import { bytesToText, textToBytes } from "../../linux/text.ts";
import { ourNet, type SocketNet } from "../../namespaces/net/dump.ts";
import { FileDumpError, FileRestoreError, restoring } from "../errors.ts";

const OURS: SocketNet = ourNet(0);

/** An option without a field in CRIU's images. */
export interface Option {
  readonly level: number;
  readonly name: number;
  /** Bytes of its value, at most; an int where it is not said. */
  readonly size?: number;
  /** To be set before the socket gets a name: it decides which names it may have. */
  readonly early?: boolean;
}

/** Options of `level`: ints. */
export function options(level: number, names: readonly number[]): Option[] {
  return names.map((name) => ({ level, name }));
}

const UNDERSTOOD_BY_ALL: readonly Option[] = [
  ...options(SOL.SOCKET, [
    SO.DEBUG,
    SO.TIMESTAMP,
    SO.TIMESTAMPNS,
    SO.TIMESTAMP_NEW,
    SO.TIMESTAMPNS_NEW,
    SO.RXQ_OVFL,
    SO.WIFI_STATUS,
    SO.NOFCS,
    SO.SELECT_ERR_QUEUE,
    SO.BUSY_POLL,
    SO.ZEROCOPY,
    SO.PREFER_BUSY_POLL,
    SO.BUSY_POLL_BUDGET,
    SO.RESERVE_MEM,
    SO.TXREHASH,
    SO.RCVMARK,
    SO.RCVPRIORITY,
    SO.PASSPIDFD,
    SO.PASSRIGHTS,
  ]),
  { level: SOL.SOCKET, name: SO.TIMESTAMPING, size: 8 },
  { level: SOL.SOCKET, name: SO.TIMESTAMPING_NEW, size: 8 },
  { level: SOL.SOCKET, name: SO.MAX_PACING_RATE, size: 8 },
  { level: SOL.SOCKET, name: SO.TXTIME, size: 8 },
];
/** Set when all else is: it keeps the filter from being changed. */
const LAST: Option = { level: SOL.SOCKET, name: SO.LOCK_FILTER };

/** Those with a field in CRIU's images that are ints. */
const COMMON: readonly number[] = [
  SO.SNDBUF,
  SO.RCVBUF,
  SO.BUF_LOCK,
  SO.PRIORITY,
  SO.RCVLOWAT,
  SO.MARK,
  SO.REUSEADDR,
  SO.REUSEPORT,
  SO.PASSCRED,
  SO.PASSSEC,
  SO.DONTROUTE,
  SO.NO_CHECK,
  SO.BROADCAST,
  SO.KEEPALIVE,
  SO.OOBINLINE,
];

const timeval = struct({ sec: s64, usec: s64 });
const linger = struct({ onoff: s32, linger: s32 });
const sockFilter = struct({ code: u16, jt: u8, jf: u8, k: u32 });
const sockFprog = struct({ len: u16, filter: word });
/** Of the inode of a socket, and what they are at its birth. */
const PERMISSIONS = 0o7777;
const FOR_ALL = 0o777;
/** Bytes of the name of an interface. */
const IFNAMSIZ = 16;
/** Instructions of a classic filter. */
const BPF_MAXINSNS = 4096;
/** What setsockopt(2) doubles still fits in an int. */
const MOST = 0x3fff_ffff;

/** Which family, type and protocol a socket has. */
export interface SocketType {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
}

/** A value of AF. @throws KernelError */
export function socketFamily(fd: number): number {
  return getInt(fd, SOL.SOCKET, SO.DOMAIN);
}

/** @throws KernelError */
export function socketType(fd: number): SocketType {
  return {
    family: socketFamily(fd),
    type: getInt(fd, SOL.SOCKET, SO.TYPE),
    protocol: getInt(fd, SOL.SOCKET, SO.PROTOCOL),
  };
}

// --- dump

/** Saves options; knows what a fresh socket of each type has. One for each dump. */
export class OptionsDump {
  constructor(private readonly owners: Owners) {}

  readonly #fresh = new Map<string, readonly (Uint8Array | undefined)[]>();
  /** By type: most sockets are as the one before. */
  readonly #looks = new Map<string, { readonly look: OptionLook; entry: SkOptsEntry | undefined }>();

  /**
   * The options of a socket: those of every one, and those of `table`. `where` names it, `net` is the network that it is in.
   * @throws KernelError, FileDumpError where it has what nobody can bring back
   */
  dump(fd: number, type: SocketType, table: readonly Option[], where: string, net = OURS): SkOptsEntry {
    const key = keyOf(type, table, net);
    const known = this.#looks.get(key) ?? { look: new OptionLook(allOptions(table)), entry: undefined };
    this.#looks.set(key, known);
    const status = fstat(fd);
    if (known.look.isAsBefore(fd) && known.entry !== undefined) {
      const { so_uid = 0, so_gid = 0, so_mode = FOR_ALL } = known.entry;
      const isSame = so_uid === this.owners.uid(status.uid) && so_gid === this.owners.gid(status.gid);
      if (isSame && so_mode === (status.mode & PERMISSIONS)) return known.entry;
    }
    const entry = this.#dump(fd, type, table, status, where, net);
    known.entry = entry.so_filter.length === 0 ? entry : undefined;
    return entry;
  }

  #dump(
    fd: number,
    type: SocketType,
    table: readonly Option[],
    status: { readonly uid: number; readonly gid: number; readonly mode: number },
    where: string,
    net: SocketNet,
  ): SkOptsEntry {
    const uid = this.owners.uid(status.uid);
    const gid = this.owners.gid(status.gid);
    const mode = status.mode & PERMISSIONS;
    return {
      ...commonOptions(fd, type.family),
      so_bound_dev: boundDevice(fd),
      so_filter: classicFilter(fd, where),
      so_uid: uid === 0 ? undefined : uid,
      so_gid: gid === 0 ? undefined : gid,
      so_mode: mode === FOR_ALL ? undefined : mode,
      others: this.#others(fd, type, table, net),
    };
  }

  #others(fd: number, type: SocketType, table: readonly Option[], net: SocketNet): SkOptionEntry[] {
    const all = [...UNDERSTOOD_BY_ALL, ...table, LAST];
    const usual = this.#usual(type, all, net);
    const others: SkOptionEntry[] = [];
    for (const [i, { level, name, size = s32.size }] of all.entries()) {
      const value = optionValue(fd, level, name, size);
      if (value !== undefined && !sameBytes(value, usual[i])) others.push({ level, name, value });
    }
    return others;
  }

  /** What a socket has that was just made. Undefined where we may not make one: then all is saved. */
  #usual(type: SocketType, all: readonly Option[], net: SocketNet): readonly (Uint8Array | undefined)[] {
    const key = keyOf(type, all, net);
    let found = this.#fresh.get(key);
    if (found === undefined) {
      using fresh = tryOpen(type, net);
      found =
        fresh === undefined
          ? []
          : all.map(({ level, name, size = s32.size }) => optionValue(fresh.number, level, name, size));
      this.#fresh.set(key, found);
    }
    return found;
  }
}

function keyOf({ family, type, protocol }: SocketType, table: readonly Option[], net: SocketNet): string {
  return `${net.id}:${family}:${type}:${protocol}:${table.length}`;
}

/** Everything that is asked for. */
function allOptions(table: readonly Option[]): OptionOf[] {
  const ofAll: Option[] = [
    ...options(SOL.SOCKET, COMMON),
    { level: SOL.SOCKET, name: SO.SNDTIMEO, size: timeval.size },
    { level: SOL.SOCKET, name: SO.RCVTIMEO, size: timeval.size },
    { level: SOL.SOCKET, name: SO.LINGER, size: linger.size },
    { level: SOL.SOCKET, name: SO.BINDTODEVICE, size: IFNAMSIZ },
    // Enough to tell of a filter: it is never like another one.
    { level: SOL.SOCKET, name: SO.ATTACH_FILTER, size: 0 },
  ];
  return [...ofAll, ...UNDERSTOOD_BY_ALL, ...table, LAST].map(({ level, name, size = s32.size }) => ({
    level,
    name,
    size,
  }));
}

function tryOpen({ family, type, protocol }: SocketType, net: SocketNet): Fd | undefined {
  try {
    return net.socket(family, type, protocol);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** An option's bytes; undefined where this kernel or this kind of socket has none of the name. */
function optionValue(fd: number, level: number, name: number, size: number): Uint8Array | undefined {
  const value = new Uint8Array(size);
  const length = tryGetOption(fd, level, name, value);
  return length < 0 ? undefined : value.subarray(0, Math.min(length, size));
}

function sameBytes(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && one.length === other.length && one.every((byte, i) => byte === other[i]);
}

function commonOptions(fd: number, family: number): Omit<SkOptsEntry, "so_filter" | "others"> {
  const get = (name: number): number => getInt(fd, SOL.SOCKET, name);
  const is = (name: number): boolean => get(name) !== 0;
  const time = (name: number) => timeval.decode(getOption(fd, SOL.SOCKET, name, timeval.size));
  const send = time(SO.SNDTIMEO);
  const receive = time(SO.RCVTIMEO);
  const lingering = linger.decode(getOption(fd, SOL.SOCKET, SO.LINGER, linger.size));
  const mark = get(SO.MARK);
  const passes = family === AF.UNIX || family === AF.NETLINK;
  return {
    so_sndbuf: get(SO.SNDBUF),
    so_rcvbuf: get(SO.RCVBUF),
    so_buf_lock: tryGetInt(fd, SOL.SOCKET, SO.BUF_LOCK),
    so_priority: get(SO.PRIORITY),
    so_rcvlowat: get(SO.RCVLOWAT),
    so_mark: mark === 0 ? undefined : mark,
    so_snd_tmo_sec: send.sec,
    so_snd_tmo_usec: send.usec,
    so_rcv_tmo_sec: receive.sec,
    so_rcv_tmo_usec: receive.usec,
    reuseaddr: is(SO.REUSEADDR),
    so_reuseport: tryGetInt(fd, SOL.SOCKET, SO.REUSEPORT) === 1,
    so_passcred: passes ? is(SO.PASSCRED) : undefined,
    so_passsec: passes ? is(SO.PASSSEC) : undefined,
    so_dontroute: is(SO.DONTROUTE),
    so_no_check: is(SO.NO_CHECK),
    so_broadcast: is(SO.BROADCAST),
    so_keepalive: is(SO.KEEPALIVE),
    so_oobinline: is(SO.OOBINLINE) ? 1 : 0,
    so_linger: lingering.onoff === 0 ? undefined : lingering.linger,
  };
}

function boundDevice(fd: number): string | undefined {
  const name = getOption(fd, SOL.SOCKET, SO.BINDTODEVICE, IFNAMSIZ);
  const end = name.indexOf(0);
  const text = bytesToText(end < 0 ? name : name.subarray(0, end));
  return text === "" ? undefined : text;
}

/** A filter of classic BPF, an instruction a word as CRIU has it. @throws FileDumpError for one of eBPF */
function classicFilter(fd: number, where: string): bigint[] {
  // The length of this option is in instructions, not bytes.
  const count = tryGetOption(fd, SOL.SOCKET, SO.ATTACH_FILTER, new Uint8Array(0));
  if (count === -ERRNO.EACCES)
    throw new FileDumpError(`${where}: an eBPF program filters it, which the kernel gives nobody back`);
  if (count < 0) throw new KernelError("getsockopt", "SO_GET_FILTER", -count);
  if (count === 0) return [];
  const program = new Uint8Array(count * sockFilter.size);
  const got = tryGetOption(fd, SOL.SOCKET, SO.ATTACH_FILTER, program);
  if (got < 0) throw new KernelError("getsockopt", "SO_GET_FILTER", -got);
  const words: bigint[] = [];
  for (let i = 0; i < count; i++) {
    const { code, jt, jf, k } = sockFilter.decode(program, i * sockFilter.size);
    words.push((BigInt(code) << 48n) | (BigInt(jt) << 40n) | (BigInt(jf) << 32n) | BigInt(k));
  }
  return words;
}

// --- restore

/**
 * Lets a socket take in as much as it ever had, without waiting: while its queues are filled. `restoreOptions` gives it the
 * sizes it had, the kind its flags. @throws KernelError
 */
export function prepareQueues(fd: number): void {
  setBuffers(fd, MOST, MOST);
  fcntl(fd, F.SETFL, fcntl(fd, F.GETFL) | O.NONBLOCK);
}

function setBuffers(fd: number, send: number, receive: number): void {
  force(fd, SO.SNDBUFFORCE, SO.SNDBUF, send);
  force(fd, SO.RCVBUFFORCE, SO.RCVBUF, receive);
}

/** Without CAP_NET_ADMIN a buffer gets as large as the machine lets everybody's. */
function force(fd: number, forced: number, asked: number, size: number): void {
  try {
    setInt(fd, SOL.SOCKET, forced, size);
  } catch (error) {
    if (!isErrno(error, ERRNO.EPERM)) throw error;
    setInt(fd, SOL.SOCKET, asked, size);
  }
}

/**
 * Sets the options that decide which names a socket may have, its device among them; `restoreOptions` sets the others.
 * @throws FileRestoreError
 */
export function restoreEarlyOptions(
  fd: number,
  entry: SkOptsEntry,
  table: readonly Option[],
  what: string,
): void {
  const { so_bound_dev: device } = entry;
  if (device !== undefined)
    restoring(`${what}: bound to device ${device}`, () =>
      setOption(fd, SOL.SOCKET, SO.BINDTODEVICE, textToBytes(device)),
    );
  restoreOthers(fd, entry, table, what, true);
}

/**
 * Gives a socket its other options, when its queues are filled; but SO_REUSEADDR and SO_REUSEPORT, which are a matter of names.
 * @throws FileRestoreError
 */
export function restoreOptions(
  fd: number,
  entry: SkOptsEntry,
  table: readonly Option[],
  what: string,
  owners: Owners,
): void {
  restoring(`${what}: its options`, () => {
    // What is set is doubled, as what it is read from has been.
    setBuffers(fd, entry.so_sndbuf >>> 1, entry.so_rcvbuf >>> 1);
    const set = (name: number, value: number | undefined): void => {
      if (value !== undefined) setInt(fd, SOL.SOCKET, name, value);
    };
    const setIf = (name: number, value: boolean | number | undefined): void => {
      if (value === true || (typeof value === "number" && value !== 0)) setInt(fd, SOL.SOCKET, name, 1);
    };
    // It may enlarge the buffer, as long as that is not locked.
    set(SO.RCVLOWAT, entry.so_rcvlowat);
    if (entry.so_buf_lock !== undefined) unlockBuffers(fd, entry.so_buf_lock);
    set(SO.MARK, entry.so_mark);
    setIf(SO.PASSCRED, entry.so_passcred);
    setIf(SO.PASSSEC, entry.so_passsec);
    setIf(SO.DONTROUTE, entry.so_dontroute);
    setIf(SO.NO_CHECK, entry.so_no_check);
    setIf(SO.BROADCAST, entry.so_broadcast);
    setIf(SO.KEEPALIVE, entry.so_keepalive);
    setIf(SO.OOBINLINE, entry.so_oobinline);
    if (entry.so_linger !== undefined)
      setOption(fd, SOL.SOCKET, SO.LINGER, linger.encode({ onoff: 1, linger: entry.so_linger }));
    setTime(fd, SO.SNDTIMEO, entry.so_snd_tmo_sec, entry.so_snd_tmo_usec);
    setTime(fd, SO.RCVTIMEO, entry.so_rcv_tmo_sec, entry.so_rcv_tmo_usec);
    const uid = owners.uid(entry.so_uid ?? 0);
    const gid = owners.gid(entry.so_gid ?? 0);
    // It is ours as it is.
    if (uid !== 0 || gid !== 0) syscall("its owner", NR.fchown, fd, uid, gid);
    if (entry.so_mode !== undefined) syscall("its mode", NR.fchmod, fd, entry.so_mode & PERMISSIONS);
  });
  restoreFilter(fd, entry.so_filter, what);
  restoreOthers(fd, entry, table, what, false);
  const { so_priority: priority } = entry;
  // To set the type of service sets it as well.
  if (priority !== undefined)
    restoring(`${what}: its priority`, () => setInt(fd, SOL.SOCKET, SO.PRIORITY, priority));
}

/** MPTCP tells of the lock, and does not let it be set. */
function unlockBuffers(fd: number, lock: number): void {
  const result = trySetInt(fd, SOL.SOCKET, SO.BUF_LOCK, lock);
  if (result < 0 && result !== -ERRNO.EOPNOTSUPP) throw new KernelError("setsockopt", "SO_BUF_LOCK", -result);
}

/** A timeout that is as it is from the beginning is not set. */
function setTime(fd: number, name: number, sec: bigint, usec: bigint): void {
  if (sec !== 0n || usec !== 0n) setOption(fd, SOL.SOCKET, name, timeval.encode({ sec, usec }));
}

function restoreFilter(fd: number, words: readonly bigint[], what: string): void {
  if (words.length === 0) return;
  if (words.length > BPF_MAXINSNS)
    throw new FileRestoreError(
      `${what}: its filter has ${words.length} instructions, ${BPF_MAXINSNS} is most`,
    );
  const program = new Uint8Array(words.length * sockFilter.size);
  for (const [i, value] of words.entries()) {
    sockFilter.encodeInto(program, i * sockFilter.size, {
      code: Number(value >> 48n),
      jt: Number((value >> 40n) & 0xffn),
      jf: Number((value >> 32n) & 0xffn),
      k: Number(value & 0xffff_ffffn),
    });
  }
  const fprog = sockFprog.encode({ len: words.length, filter: addressOf(program) });
  restoring(`${what}: its filter`, () => setOption(fd, SOL.SOCKET, SO.ATTACH_FILTER, fprog));
}

function restoreOthers(
  fd: number,
  entry: SkOptsEntry,
  table: readonly Option[],
  what: string,
  early: boolean,
): void {
  for (const { level, name, value } of entry.others) {
    const known = findOption(table, level, name);
    if (known === undefined || value.length > (known.size ?? s32.size))
      throw new FileRestoreError(`${what}: option ${name} of level ${level} is none that is saved`);
    if ((known.early ?? false) !== early) continue;
    try {
      setOption(fd, level, name, value);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw new FileRestoreError(
        `${what}: option ${name} of level ${level}: setsockopt: ${errnoName(error.errno)}`,
        { object: what, cause: error },
      );
    }
  }
}

function findOption(table: readonly Option[], level: number, name: number): Option | undefined {
  const same = (option: Option) => option.level === level && option.name === name;
  return table.find(same) ?? UNDERSTOOD_BY_ALL.find(same) ?? (same(LAST) ? LAST : undefined);
}
