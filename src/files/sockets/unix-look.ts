/** What is asked of every Unix socket, in one native call. */
import { lazily } from "../../linux/blocks.ts";
import { ChildTable } from "../../linux/child-table.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { NR } from "../../linux/nr.ts";
import { OwnTable } from "../../linux/own-table.ts";
import { NO_ID } from "../../linux/owners.ts";
import { type NsPid, nsPid } from "../../linux/pid.ts";
import { POLL, pollfd } from "../../linux/poll.ts";
import { SIOC, SO, SOL, tryGetOption } from "../../linux/socket.ts";
import { type Credentials, credentialsOf, ucred } from "../../linux/socket-messages.ts";
import { array, bytes, s32, struct, u32 } from "../../linux/struct.ts";
import { checkResult } from "../../linux/syscall.ts";
import { ENTRY_SIZE } from "../../machine/runner.ts";

export interface UnixFacts {
  /** Of POLL: IN, PRI, ERR, HUP, RDHUP. */
  readonly events: number;
  /** Bytes of a stream, or of a connection of messages, that wait; of datagrams those of the first one. */
  readonly waiting: number;
  /** Whether the next byte of a stream to be read is an urgent one, or one stood there. */
  readonly atMark: boolean;
  /** SO_PEEK_OFF: where the next look begins that takes nothing out; -1 where it begins at the head. */
  readonly peekOffset: number;
  /** Options that say what a look shows; undefined where this kernel has none of the name. */
  readonly passCredentials: number | undefined;
  readonly passRights: number | undefined;
  readonly urgentInline: number | undefined;
  /** SO_PEERCRED and SO_PEERGROUPS; undefined where nobody has connected it. */
  readonly peer: { readonly credentials: Credentials; readonly groups: readonly number[] } | undefined;
}

const INTS = [SO.PEEK_OFF, SO.PASSCRED, SO.PASSRIGHTS, SO.OOBINLINE] as const;
const ENTRY = { POLL: 0, INQ: 1, ATMARK: 2, CREDENTIALS: 3, GROUPS: 4, INTS: 5 } as const;
const COUNT = ENTRY.INTS + INTS.length;
const FEW_GROUPS = 32;
/** NGROUPS_MAX of include/uapi/linux/limits.h. */
const MOST_GROUPS = 65536;

/** What the calls read and write. */
const data = struct({
  poll: pollfd,
  waiting: s32,
  atMark: s32,
  ints: array(s32, INTS.length),
  lengths: array(u32, INTS.length),
  credentialsLength: u32,
  credentials: bytes(12),
  groupsLength: u32,
  groups: array(u32, FEW_GROUPS),
});
const EVENTS = POLL.IN | POLL.PRI | POLL.RDHUP;
const DATA_AT = (COUNT + 1) * ENTRY_SIZE;
/** The same in words, which struct pollfd begins: the descriptor, then what is asked for and what is. */
const WORD = 4;
const AT = DATA_AT / WORD;
const REVENTS = WORD;

class Look extends OwnTable {
  /** What is to stand there before each run. */
  readonly #blank: Uint32Array;

  constructor() {
    super(DATA_AT + data.size);
    const at = this.address + DATA_AT;
    const { offset } = data;
    const option = (entry: number, name: number, value: number, length: number) =>
      this.entry(entry, NR.getsockopt, 0, SOL.SOCKET, name, at + value, at + length);
    this.entry(ENTRY.POLL, NR.poll, at + offset.poll, 1, 0);
    this.entry(ENTRY.INQ, NR.ioctl, 0, SIOC.INQ, at + offset.waiting);
    this.entry(ENTRY.ATMARK, NR.ioctl, 0, SIOC.ATMARK, at + offset.atMark);
    option(ENTRY.CREDENTIALS, SO.PEERCRED, offset.credentials, offset.credentialsLength);
    option(ENTRY.GROUPS, SO.PEERGROUPS, offset.groups, offset.groupsLength);
    INTS.forEach((name, i) => {
      option(ENTRY.INTS + i, name, offset.ints + i * s32.size, offset.lengths + i * u32.size);
    });
    const blank = data.encode({
      poll: { fd: 0, events: EVENTS, revents: 0 },
      lengths: INTS.map(() => s32.size),
      credentialsLength: offset.groupsLength - offset.credentials,
      groupsLength: FEW_GROUPS * u32.size,
    });
    this.#blank = new Uint32Array(blank.buffer);
  }

  at(fd: number): UnixFacts {
    const { words } = this;
    for (let entry = ENTRY.INQ; entry < COUNT; entry++) this.setArgument(entry, 0, fd);
    words.set(this.#blank, AT);
    words[AT] = fd;
    do this.run(COUNT);
    while (this.resultOf(ENTRY.POLL) === -ERRNO.EINTR);
    this.#check(ENTRY.POLL, "poll", fd);
    this.#check(ENTRY.CREDENTIALS, "getsockopt", fd);
    const { offset } = data;
    const word = (at: number) => words[AT + at / WORD] ?? 0;
    const int = (i: number) =>
      this.resultOf(ENTRY.INTS + i) < 0 ? undefined : word(offset.ints + i * WORD) | 0;
    return {
      events: word(REVENTS) >>> 16,
      waiting: word(offset.waiting) | 0,
      atMark: word(offset.atMark) !== 0,
      peekOffset: int(0) ?? -1,
      passCredentials: int(1),
      passRights: int(2),
      urgentInline: int(3),
      peer: this.#peer(fd),
    };
  }

  #check(entry: number, call: string, fd: number): void {
    const result = this.resultOf(entry);
    if (result < 0) throw new KernelError(call, `socket ${fd}`, -result);
  }

  #peer(fd: number): UnixFacts["peer"] {
    const credentials = credentialsOf(this.bytes.subarray(DATA_AT + data.offset.credentials));
    if (credentials.pid === 0 && credentials.uid === NO_ID) return undefined;
    const result = this.resultOf(ENTRY.GROUPS);
    const at = DATA_AT + data.offset.groups;
    const length = u32.read(this.bytes, DATA_AT + data.offset.groupsLength);
    if (result >= 0) return { credentials, groups: groupsIn(this.bytes, at, length) };
    // Kernels before 4.13 do not tell.
    if (result !== -ERRNO.ERANGE) return { credentials, groups: [] };
    const value = new Uint8Array(MOST_GROUPS * u32.size);
    return { credentials, groups: groupsIn(value, 0, tryGetOption(fd, SOL.SOCKET, SO.PEERGROUPS, value)) };
  }
}

function groupsIn(value: Uint8Array, at: number, length: number): number[] {
  return Array.from({ length: Math.max(0, length) / u32.size }, (_, i) => u32.read(value, at + i * u32.size));
}

const look = lazily(() => new Look());

/** @throws KernelError */
export function lookAt(fd: number): UnixFacts {
  return look().at(fd);
}

/** The number that SO_PEERCRED tells a child of ours, in whose pid namespace somebody may have another one. @throws KernelError */
export function peerSeenByChild(fd: number): NsPid {
  using child = new ChildTable();
  const told = child.data(ucred.size);
  const length = child.data(Uint8Array.of(ucred.size, 0, 0, 0));
  const result = child.call(NR.getsockopt, fd, SOL.SOCKET, SO.PEERCRED, told.address, length.address);
  child.run();
  checkResult(result.raw, NR.getsockopt, "SO_PEERCRED");
  return nsPid(ucred.decode(told.bytes).pid);
}
