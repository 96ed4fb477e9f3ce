/** Sockets over IP brought back: made in the tree's network namespace, named, filled, connected; inet.ts tells of the dump. */
import { IMAGES } from "../../images/kinds.ts";
import type { FileEntry } from "../../images/schema/generated/files.ts";
import {
  type FownEntry,
  type InetSkEntry,
  type SkOptsEntry,
  SkShutdown,
} from "../../images/schema/generated/sockets.ts";
import { F } from "../../linux/fcntl.ts";
import { interfaceIndex } from "../../linux/interface-names.ts";
import { fcntl, O } from "../../linux/io.ts";
import { PacketSender } from "../../linux/packets.ts";
import { TCP_STATE } from "../../linux/sock-diag.ts";
import {
  AF,
  bind,
  connect,
  getInt,
  listen,
  SHUT,
  SO,
  SOCK,
  SOL,
  setInt,
  tryGetInt,
  tryShutdown,
} from "../../linux/socket.ts";
import { encodeInet, type InetAddress } from "../../linux/socket-address.ts";
import { IPV6 } from "../../linux/socket-options.ts";
import { repairOffSilently } from "../../linux/tcp.ts";
import type { TreeNets } from "../../namespaces/net/restore.ts";
import { type Connection, LOCK_MARK } from "../../namespaces/network-lock.ts";
import type { UndoEntry } from "../../undo/undo.ts";
import { FileRestoreError, restoring } from "../errors.ts";
import type { FileRestorer, RestoreContext } from "../kind.ts";
import { withAsync } from "../status-flags.ts";
import { enteringRepair, leavingRepair } from "./connections.ts";
import { resendDatagrams } from "./datagrams.ts";
import { destinationOf, sourceOf } from "./inet-address.ts";
import { inetOptions, restoreIpOptions, restoreTcpOptions } from "./inet-options.ts";
import { isMptcp, isTcp, isUdp } from "./inet-type.ts";
import { restoreMembers } from "./multicast.ts";
import { prepareQueues, restoreEarlyOptions, restoreOptions, type SocketType } from "./options.ts";
import { restoreError } from "./pending-error.ts";
import { restoreConnection } from "./tcp.ts";

export class InetRestore implements FileRestorer {
  /** By the number of the network namespace. */
  readonly #senders = new Map<number | undefined, PacketSender>();
  /** How many sockets have a port. */
  #users: Map<string, number> | undefined;
  /** Has connections end in repair, without a word: also those that have left it for a while. */
  readonly #unfinished: UndoEntry[] = [];

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const sk = inetOf(entry);
    return restoring(whatOf(entry), () =>
      this.context.nets.socket(sk.ns_id, sk.family, sk.type, sk.proto).release(),
    );
  }

  wire(entry: FileEntry, fd: number): void {
    const sk = inetOf(entry);
    const what = whatOf(entry);
    restoring(what, () => this.#wire(sk, fd, what));
  }

  #wire(sk: InetSkEntry, fd: number, what: string): void {
    const type = { family: sk.family, type: sk.type, protocol: sk.proto };
    const connection = isConnection(sk);
    const listening = sk.state === TCP_STATE.LISTEN;
    const table = inetOptions(type, { connection, listening });
    if (sk.v6only !== undefined && sk.family === AF.INET6) restoreV6Only(fd, sk.v6only);
    shareAddress(fd, this.#isShared(sk) ? SHARED : sk.opts);
    restoreEarlyOptions(fd, sk.opts, table, what);
    // Which addresses it may have is a matter of these as well.
    restoreIpOptions(fd, type, sk.ip_opts);
    if (connection) this.#connect(sk, fd, what);
    else this.#name(sk, type, fd, what);
    if (sk.members.length > 0) restoreMembers(fd, sk.family, sk.members, what);
    fcntl(fd, F.SETFL, sk.flags & ~O.ASYNC);
    if (isTcp(type) || isMptcp(type)) restoreTcpOptions(fd, sk.tcp_opts);
    restoreOptions(fd, sk.opts, table, what, this.context.owners);
    // It ends what was to be ended, though it says so where nothing is connected.
    if (sk.shutdown !== undefined && sk.shutdown !== SkShutdown.NONE) tryShutdown(fd, sk.shutdown - 1);
    if (sk.error !== undefined && sk.error !== 0 && isUdp(type)) this.#tellError(sk, sk.error, fd, what);
  }

  #tellError(sk: InetSkEntry, error: number, fd: number, what: string): void {
    const pair = { own: sourceOf(sk, what, scopeOf(fd, sk, what)), peer: destinationOf(sk, what) };
    restoreError(fd, pair, error, this.#sender(sk.ns_id), what);
  }

  /** Binds, lets listen, fills with what waited, connects. */
  #name(sk: InetSkEntry, type: SocketType, fd: number, what: string): void {
    const own = sourceOf(sk, what, scopeOf(fd, sk, what));
    const peer = destinationOf(sk, what);
    const isSet = ({ host, port }: InetAddress) => port !== 0 || host.some((byte) => byte !== 0);
    const listens = sk.state === TCP_STATE.LISTEN;
    if (listens && !isTcp(type) && !isMptcp(type))
      throw new FileRestoreError(`${what}: no socket of its kind listens`);
    if (isSet(own)) bindAnyway(fd, type, own);
    if (listens) listen(fd, sk.backlog);
    if (sk.datagrams.length > 0 && isUdp(type)) {
      prepareQueues(fd);
      resendDatagrams(sk.datagrams, own, type.protocol, this.#sender(sk.ns_id), what);
    }
    // A raw one has no ports, but may have a peer.
    if (type.type === SOCK.RAW ? isSet(peer) : peer.port !== 0) connect(fd, encodeInet(peer));
  }

  #connect(sk: InetSkEntry, fd: number, what: string): void {
    const { tcpClose, tcpEstablished } = this.context.options;
    if (tcpClose) {
      tryShutdown(fd, SHUT.RDWR);
      return;
    }
    if (!tcpEstablished && sk.state !== TCP_STATE.CLOSE)
      throw new FileRestoreError(
        `${what}: a connected TCP socket: consider using the --tcp-established option`,
      );
    using reader = this.context.images.reader(IMAGES.tcp_stream, sk.ino);
    const record = reader.next();
    if (record === undefined) throw new FileRestoreError(`${what}: its image of the connection is empty`);
    const image = {
      state: sk.state,
      source: sourceOf(sk, what, scopeOf(fd, sk, what)),
      destination: destinationOf(sk, what),
      stream: record.entry,
      payload: record.payload,
      error: sk.error ?? 0,
    };
    this.#unfinished.push(this.context.undo.lay(`${what}: repair`, enteringRepair(fd)));
    restoreConnection(fd, image, this.#sender(sk.ns_id), what);
  }

  #sender(net: number | undefined): PacketSender {
    let sender = this.#senders.get(net);
    if (sender === undefined) {
      sender = new PacketSender(LOCK_MARK, (family, type, protocol) =>
        this.context.nets.socket(net, family, type, protocol),
      );
      this.#senders.set(net, sender);
    }
    return sender;
  }

  thaw(entry: FileEntry, fd: number): void {
    const sk = inetOf(entry);
    const what = whatOf(entry);
    if (isConnection(sk) && !this.context.options.tcpClose)
      restoring(what, () => this.#leaveRepair(fd, sk.opts.reuseaddr === true, what));
    else if (this.#isShared(sk)) restoring(what, () => shareAddress(fd, sk.opts));
  }

  /**
   * The connection is to work as soon as the tree lives, also where we are killed at that moment: so it leaves repair before that,
   * behind the lock, and its peer hears of it when the lock is gone. Should the restore fail it ends in repair all the same.
   * Without a lock nothing but repair keeps it from saying what is not so yet.
   */
  #leaveRepair(fd: number, reuse: boolean, what: string): void {
    const { nets, undo } = this.context;
    if (nets.areLocked) {
      repairOffSilently(fd);
      setInt(fd, SOL.SOCKET, SO.REUSEADDR, Number(reuse));
    }
    undo.layAfter(what, leavingRepair(fd, reuse));
  }

  abort(): void {
    for (const entry of this.#unfinished.splice(0)) entry.undo();
  }

  /** Whether several have its port, who need not all have been told that they share it when they got it. */
  #isShared(sk: InetSkEntry): boolean {
    if (this.#users === undefined) {
      this.#users = new Map();
      for (const { isk } of this.context.entries.values()) {
        if (isk === undefined || isk.src_port === 0) continue;
        const key = portKey(isk);
        this.#users.set(key, (this.#users.get(key) ?? 0) + 1);
      }
    }
    return (this.#users.get(portKey(sk)) ?? 0) > 1;
  }

  owner(entry: FileEntry): FownEntry {
    return inetOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(inetOf(entry).flags);
  }

  release(): void {
    for (const sender of this.#senders.values()) sender[Symbol.dispose]();
  }
}

function inetOf(entry: FileEntry): InetSkEntry {
  if (entry.isk === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no socket over IP`);
  return entry.isk;
}

function whatOf(entry: FileEntry): string {
  const sk = inetOf(entry);
  return `files.img: file ${entry.id}: a socket of protocol ${sk.proto}, port ${sk.src_port}`;
}

/** The connections among entries of files.img, which a dump has locked. @throws FileRestoreError */
export function lockedConnections(entries: Iterable<FileEntry>, nets: TreeNets): Connection[] {
  const connections: Connection[] = [];
  for (const entry of entries) {
    const { isk } = entry;
    if (isk === undefined || !isConnection(isk) || nets.isOther(isk.ns_id)) continue;
    const own = sourceOf(isk, whatOf(entry));
    const peer = destinationOf(isk, whatOf(entry));
    connections.push({
      source: own.host,
      sourcePort: own.port,
      destination: peer.host,
      destinationPort: peer.port,
    });
  }
  return connections;
}

/** Connected over TCP, or once connected. */
function isConnection({ type, proto, dst_port }: InetSkEntry): boolean {
  return isTcp({ family: 0, type, protocol: proto }) && dst_port !== 0;
}

function portKey({ type, proto, src_port, ns_id }: InetSkEntry): string {
  return `${ns_id}:${type}:${proto}:${src_port}`;
}

/** The kernel takes it only from a socket without a port, which a raw one never is. */
function restoreV6Only(fd: number, only: boolean): void {
  if (getInt(fd, SOL.IPV6, IPV6.V6ONLY) !== Number(only)) setInt(fd, SOL.IPV6, IPV6.V6ONLY, Number(only));
}

type Sharing = Pick<SkOptsEntry, "reuseaddr" | "so_reuseport">;
const SHARED: Sharing = { reuseaddr: true, so_reuseport: true };

function shareAddress(fd: number, { reuseaddr, so_reuseport }: Sharing): void {
  setInt(fd, SOL.SOCKET, SO.REUSEADDR, Number(reuseaddr ?? false));
  setInt(fd, SOL.SOCKET, SO.REUSEPORT, Number(so_reuseport ?? false));
}

/** Index of the interface that a link-local address belongs to; 0 for none. */
function scopeOf(fd: number, { ifname }: InetSkEntry, what: string): number {
  if (ifname === undefined) return 0;
  const index = interfaceIndex(fd, ifname);
  if (index === undefined) throw new FileRestoreError(`${what}: there is no interface ${ifname}`);
  return index;
}

/** An IPv6 address that is new to its interface is not to be had yet, but by who does not ask. */
function bindAnyway(fd: number, type: SocketType, own: InetAddress): void {
  const before = type.family === AF.INET6 ? tryGetInt(fd, SOL.IPV6, IPV6.FREEBIND) : undefined;
  if (before === 0) setInt(fd, SOL.IPV6, IPV6.FREEBIND, 1);
  // What an ICMP socket has for a port is the number that it is answered to.
  bind(fd, encodeInet(own));
  if (before === 0) setInt(fd, SOL.IPV6, IPV6.FREEBIND, 0);
}
