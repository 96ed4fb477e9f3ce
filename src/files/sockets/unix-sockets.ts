/** The Unix sockets of a restore, as the images have them and as they come into being. */

import type { FileEntry } from "../../images/schema/generated/files.ts";
import type { UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { Fd } from "../../linux/fd.ts";
import { selfPath } from "../../linux/io.ts";
import { TCP_STATE } from "../../linux/sock-diag.ts";
import { SO, SOCK, SOL, socketName } from "../../linux/socket.ts";
import { encodeUnix } from "../../linux/socket-address.ts";
import { textToBytes } from "../../linux/text.ts";
import { FileRestoreError } from "../errors.ts";
import { type Option, options } from "./options.ts";
import { type Bound, hiddenNaming, type Naming, namingOf } from "./unix-bind.ts";
import type { Caller, Target } from "./unix-callers.ts";
import { addressOfName, pathOf } from "./unix-name.ts";

/** Options that Unix sockets have beside those of all. */
export const UNIX_OPTIONS: readonly Option[] = options(SOL.SOCKET, [SO.PEEK_OFF, SO.INQ]);

/** Bits of `uflags`: the socket is not of the tree; its peer was the service that dumped it; a plugin has dumped it. */
export const USK = { EXTERN: 1, SERVICE: 2, CALLBACK: 4 } as const;

/** One that is closed when all is wired stands for a peer that had been closed. */
export class Socket {
  /** Ours; whoever takes it keeps it open until the restore has ended. */
  #fd: Fd | undefined;
  #number: number | undefined;
  /** The file that it is bound to, if to one. */
  bound: Bound | undefined;
  /** Its descriptor is the user's, or a plugin's: it is what it is. */
  isGiven = false;

  constructor(
    readonly entry: UnixSkEntry,
    readonly naming: Naming = namingOf(entry),
  ) {}

  get isMade(): boolean {
    return this.#number !== undefined;
  }

  set fd(fd: Fd) {
    this.#fd = fd;
    this.#number = fd.number;
  }

  /** Our descriptor, lent. */
  get number(): number {
    if (this.#number === undefined) throw new Error(`socket ${this.entry.ino} is not made yet`);
    return this.#number;
  }

  /** Gives the descriptor away. */
  take(): number {
    if (this.#fd === undefined) throw new FileRestoreError(`${this.what}: it is not there`);
    return this.#fd.release();
  }

  /** Closes what nobody has taken. Never throws. */
  close(): void {
    this.#fd?.close();
    this.bound?.file.close();
  }

  get what(): string {
    return `files.img: file ${this.entry.id}: Unix socket ${this.entry.ino}`;
  }

  get isNamed(): boolean {
    return this.naming.name.length > 0;
  }

  get isListening(): boolean {
    return this.entry.state === TCP_STATE.LISTEN;
  }

  get isDatagram(): boolean {
    return this.entry.type === SOCK.DGRAM;
  }

  get isStream(): boolean {
    return this.entry.type === SOCK.STREAM;
  }

  /** Whom a connection to it is made to. */
  get target(): Target {
    const { bound } = this;
    return bound === undefined
      ? { address: this.#ownAddress, directory: undefined }
      : { address: encodeUnix(textToBytes(bound.path)), directory: bound.directory };
  }

  /** The same, for us. */
  get address(): Uint8Array {
    const { bound } = this;
    return bound === undefined ? this.#ownAddress : encodeUnix(textToBytes(selfPath(bound.file.number)));
  }

  /** What the kernel calls it: one that was closed may not have got its name, which is somebody else's now. */
  get #ownAddress(): Uint8Array {
    return this.isMade ? socketName(this.number) : addressOfName(this.naming.name);
  }

  /** Whom its peer credentials tell of. */
  get caller(): Caller | undefined {
    const { peer_cred: credentials, peer_groups: groups } = this.entry;
    return credentials && { credentials, groups };
  }
}

/** One that stands in for the peer of a socket that had been closed, and had this name. */
export function closedSocket({ entry }: Socket, name: Uint8Array): Socket {
  return new Socket({ ...entry, id: 0, ino: 0, peer_name: undefined, error: undefined }, hiddenNaming(name));
}

export class Sockets {
  readonly #byId = new Map<number, Socket>();
  readonly #byInode = new Map<number, Socket>();

  /** @throws FileRestoreError for what cannot be a Unix socket */
  constructor(entries: Iterable<FileEntry>, given: (socket: Socket) => number | undefined) {
    for (const { id, usk } of entries) {
      if (usk === undefined) continue;
      const socket = new Socket(usk);
      checkEntry(id, socket);
      if (this.#byInode.has(usk.ino)) throw new FileRestoreError(`${socket.what}: its inode is there twice`);
      this.#byId.set(id, socket);
      this.#byInode.set(usk.ino, socket);
      const fd = isOutside(socket) ? undefined : given(socket);
      if (fd === undefined) continue;
      socket.isGiven = true;
      socket.fd = Fd.own(fd);
    }
  }

  /** @throws FileRestoreError */
  of({ id }: FileEntry): Socket {
    const socket = this.#byId.get(id);
    if (socket === undefined) throw new FileRestoreError(`files.img: file ${id} is no Unix socket`);
    return socket;
  }

  /** Whom a socket is connected to; undefined where to nobody. @throws FileRestoreError where that one is not there */
  peerOf(socket: Socket): Socket | undefined {
    const { peer } = socket.entry;
    if (peer === 0) return undefined;
    const found = this.#byInode.get(peer);
    if (found === undefined) throw new FileRestoreError(`${socket.what}: its peer ${peer} is not there`);
    return found;
  }

  byInode(inode: number): Socket | undefined {
    return this.#byInode.get(inode);
  }

  /** Those of the tree that are ours to make. */
  get ours(): Socket[] {
    return [...this.#byId.values()].filter((socket) => !isOutside(socket) && !socket.isGiven);
  }

  /** Those that are given, and not to be made. */
  get given(): Socket[] {
    return [...this.#byId.values()].filter((socket) => socket.isGiven);
  }
}

/** Whether it is none of the tree, and named because one of the tree is connected to it. */
export function isOutside({ entry }: Socket): boolean {
  return (entry.uflags & USK.EXTERN) !== 0;
}

function checkEntry(id: number, { entry, what }: Socket): void {
  const { type, state, name } = entry;
  if (entry.id !== id) throw new FileRestoreError(`${what}: it says that it is file ${entry.id}`);
  if (!TYPES.has(type)) throw new FileRestoreError(`${what}: there is no type ${type}`);
  if (!STATES.has(state)) throw new FileRestoreError(`${what}: it cannot be in state ${state}`);
  if (name.length > LONGEST_NAME) throw new FileRestoreError(`${what}: its name is too long`);
  if (entry.deleted === true && pathOf(name) === undefined)
    throw new FileRestoreError(`${what}: the file of its name is gone, but it has none`);
}

const TYPES: ReadonlySet<number> = new Set([SOCK.STREAM, SOCK.DGRAM, SOCK.SEQPACKET]);
const STATES: ReadonlySet<number> = new Set([TCP_STATE.ESTABLISHED, TCP_STATE.CLOSE, TCP_STATE.LISTEN]);
/** Bytes of sun_path, and the zero byte that the kernel puts behind the longest. */
const LONGEST_NAME = 109;
