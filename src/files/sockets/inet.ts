/**
 * Sockets over IP, v4 and v6: TCP (connections: connections.ts, tcp.ts), MPTCP that is not connected, UDP, UDP-Lite, ICMP, raw.
 */
import { IMAGES } from "../../images/kinds.ts";
import { FdTypes, type FileEntry } from "../../images/schema/generated/files.ts";
import {
  type FownEntry,
  type InetSkEntry,
  type SkOptsEntry,
  SkShutdown,
} from "../../images/schema/generated/sockets.ts";
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { fcntl, O, S } from "../../linux/io.ts";
import { NETLINK } from "../../linux/netlink.ts";
import { PacketSender } from "../../linux/packets.ts";
import { type InetSocket, inetSockets, TCP_STATE } from "../../linux/sock-diag.ts";
import {
  AF,
  bind,
  connect,
  decodeInet,
  encodeInet,
  getInt,
  getOption,
  type InetAddress,
  IPPROTO,
  interfaceIndex,
  interfaceName,
  lastPeerName,
  listen,
  POLL,
  poll,
  SHUT,
  SO,
  SOCK,
  SOL,
  setInt,
  socketName,
  tryGetInt,
  tryGetOption,
  tryShutdown,
} from "../../linux/socket.ts";
import { IPV6, TCP, UDP } from "../../linux/socket-options.ts";
import { readTcpInfo } from "../../linux/tcp.ts";
import { bytesToText } from "../../linux/text.ts";
import { type Connection, LOCK_MARK } from "../../namespaces/network-lock.ts";
import { FileDumpError, FileRestoreError, restoring } from "../errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "../kind.ts";
import type { OpenFile } from "../open-file.ts";
import { withAsync } from "../status-flags.ts";
import { ConnectionsDump, leavingRepair } from "./connections.ts";
import { addressText, destinationOf, hostWords, sourceOf } from "./inet-address.ts";
import {
  dumpIpOptions,
  dumpTcpOptions,
  inetOptions,
  restoreIpOptions,
  restoreTcpOptions,
} from "./inet-options.ts";
import {
  OptionsDump,
  restoreEarlyOptions,
  restoreOptions,
  type SocketType,
  socketFamily,
  socketType,
} from "./options.ts";
import { restoreConnection } from "./tcp.ts";

/** Bytes of the name of what stands between TCP and the program; of struct tcp_ao_info_opt. */
const ULP_NAME = 16;
const AO_INFO = 56;
/** What the kernel calls it by its bits. */
const SHUTDOWN = [undefined, SkShutdown.READ, SkShutdown.WRITE, SkShutdown.BOTH] as const;

export const inet: FileKind = {
  type: FdTypes.INETSK,
  recognises(file) {
    if (file.format !== S.IFSOCK || file.isPath) return false;
    const family = socketFamily(file.copy);
    return family === AF.INET || family === AF.INET6;
  },
  dumper: (context) => new InetDump(context),
  restorer: (context) => new InetRestore(context),
};

const PROTOCOLS = new Map<number, string>([
  [IPPROTO.IP, "IP"],
  [IPPROTO.TCP, "TCP"],
  [IPPROTO.UDP, "UDP"],
  [IPPROTO.UDPLITE, "UDP-Lite"],
  [IPPROTO.ICMP, "ICMP"],
  [IPPROTO.ICMPV6, "ICMPv6"],
  [IPPROTO.MPTCP, "MPTCP"],
]);

interface Names {
  readonly own: InetAddress;
  /** Whom it is connected to, or was. */
  readonly peer: InetAddress | undefined;
}

const isTcp = ({ type, protocol }: SocketType): boolean => type !== SOCK.RAW && protocol === IPPROTO.TCP;
const isMptcp = ({ type, protocol }: SocketType): boolean => type !== SOCK.RAW && protocol === IPPROTO.MPTCP;
const isUdp = ({ type, protocol }: SocketType): boolean =>
  type !== SOCK.RAW && (protocol === IPPROTO.UDP || protocol === IPPROTO.UDPLITE);

// --- dump

class InetDump implements FileDumper {
  readonly #options: OptionsDump;
  readonly #connections: ConnectionsDump;
  readonly #lists = new Map<string, ReadonlyMap<number, InetSocket>>();

  constructor(private readonly context: DumpContext) {
    this.#options = new OptionsDump(context.tasks.owners);
    this.#connections = new ConnectionsDump(context.undo, context.network.lock);
  }

  dump(file: OpenFile, id: number): void {
    const fd = file.copy;
    const type = socketType(fd);
    const names = namesOf(fd);
    const where = describe(file, type, names);
    refuse(fd, type, names, where);
    const { tree } = this.context.network;
    if (!tree.has(fd)) throw new FileDumpError(`${where}: is of another network namespace than the tree`);
    const { ino } = file.status;
    const { state, backlog } = this.#state(fd, type, names, ino, where);
    const connection = isTcp(type) && names.peer !== undefined;
    const listening = state === TCP_STATE.LISTEN;
    const entry: InetSkEntry = {
      id,
      ino,
      family: type.family,
      type: type.type,
      proto: type.protocol,
      state,
      src_port: names.own.port,
      dst_port: names.peer?.port ?? 0,
      flags: file.flags,
      backlog,
      src_addr: hostWords(names.own.host),
      dst_addr: hostWords(names.peer?.host ?? new Uint8Array(names.own.host.length)),
      fown: file.owner,
      opts: this.#options.dump(fd, type, inetOptions(type, { connection, listening }), where),
      v6only: type.family === AF.INET6 ? getInt(fd, SOL.IPV6, IPV6.V6ONLY) !== 0 : undefined,
      ip_opts: dumpIpOptions(fd, type),
      ifname: names.own.scope === 0 ? undefined : interfaceName(fd, names.own.scope),
      shutdown: this.#shutdown(fd, type, ino),
      tcp_opts: isTcp(type) || isMptcp(type) ? dumpTcpOptions(fd) : {},
      ns_id: this.context.network.number(),
      members: [],
    };
    this.context.add({ type: FdTypes.INETSK, id, isk: entry });
    if (connection) this.#connect(file, entry, names, where);
  }

  finish(): void {
    this.#connections.save(this.context.network.leaves);
  }

  abort(): void {
    this.#connections.release();
  }

  #state(
    fd: number,
    type: SocketType,
    { peer }: Names,
    inode: number,
    where: string,
  ): { readonly state: number; readonly backlog: number } {
    if (isMptcp(type)) {
      if (getInt(fd, SOL.SOCKET, SO.ACCEPTCONN) === 0) return { state: TCP_STATE.CLOSE, backlog: 0 };
      const found = this.#list(type).get(inode);
      if (found === undefined)
        throw new FileDumpError(`${where}: the kernel tells nothing of it (mptcp_diag)`);
      this.#refuseInFlight(found.receiveQueue, where);
      return { state: TCP_STATE.LISTEN, backlog: found.sendQueue };
    }
    if (!isTcp(type))
      return { state: peer === undefined ? TCP_STATE.CLOSE : TCP_STATE.ESTABLISHED, backlog: 0 };
    const { state, waiting, backlog } = readTcpInfo(fd);
    if (state !== TCP_STATE.LISTEN) return { state, backlog: 0 };
    this.#refuseInFlight(waiting, where);
    return { state, backlog };
  }

  #refuseInFlight(waiting: number, where: string): void {
    if (waiting === 0 || this.context.options.skipInFlight) return;
    const text = `${waiting} in-flight connection${waiting === 1 ? " waits" : "s wait"} to be accepted`;
    throw new FileDumpError(`${where}: ${text}: such can be ignored with the --skip-in-flight option`);
  }

  #shutdown(fd: number, type: SocketType, inode: number): SkShutdown | undefined {
    if (isTcp(type) || isMptcp(type))
      return (poll(fd, POLL.RDHUP) & POLL.RDHUP) === 0 ? undefined : SkShutdown.READ;
    if (!isUdp(type)) return undefined;
    const bits = this.#list(type).get(inode)?.shutdown ?? 0;
    return SHUTDOWN[bits];
  }

  #list({ family, protocol }: SocketType): ReadonlyMap<number, InetSocket> {
    const key = `${family}:${protocol}`;
    let list = this.#lists.get(key);
    if (list === undefined) {
      using netlink = this.context.network.tree.netlink(NETLINK.SOCK_DIAG);
      list = inetSockets(netlink, family, protocol);
      this.#lists.set(key, list);
    }
    return list;
  }

  /** A connection is saved together with the others, when all else is. */
  #connect(file: OpenFile, entry: InetSkEntry, { own, peer }: Names, where: string): void {
    const { tcpEstablished, tcpClose } = this.context.options;
    if (peer === undefined || tcpClose) return;
    if (!tcpEstablished && entry.state !== TCP_STATE.CLOSE)
      throw new FileDumpError(
        `${where} is connected: consider using the --tcp-established option, or --tcp-close`,
      );
    this.#connections.add({
      fd: Fd.own(fcntl(file.copy, F.DUPFD_CLOEXEC)),
      ends: { source: own.host, sourcePort: own.port, destination: peer.host, destinationPort: peer.port },
      reuse: entry.opts.reuseaddr === true,
      where,
      take: (saved) => {
        entry.state = saved.state;
        if (saved.error !== 0) entry.error = saved.error;
        using writer = this.context.images.writer(IMAGES.tcp_stream, entry.ino);
        writer.add(saved.entry, saved.payload);
      },
    });
  }
}

function namesOf(fd: number): Names {
  const name = socketName(fd);
  const own = decodeInet(name);
  if (own === undefined) throw new FileDumpError(`socket ${fd} has no name of its family`);
  const last = lastPeerName(fd, name.length);
  return { own, peer: last === undefined ? undefined : decodeInet(last) };
}

function describe(file: OpenFile, { family, type, protocol }: SocketType, { own, peer }: Names): string {
  const name = PROTOCOLS.get(protocol) ?? `protocol ${protocol}`;
  const version = family === AF.INET ? "IPv4" : "IPv6";
  const kind = type === SOCK.RAW ? `the raw ${version} socket of ${name}` : `the ${name} socket`;
  const ends = peer === undefined ? addressText(own) : `${addressText(own)} to ${addressText(peer)}`;
  return `${file.where}: ${kind} ${ends}`;
}

/** @throws FileDumpError for what a restore could not bring back */
function refuse(fd: number, type: SocketType, { peer }: Names, where: string): void {
  const no = (reason: string): never => {
    throw new FileDumpError(`${where}: ${reason}`);
  };
  if (type.type !== SOCK.RAW && !PROTOCOLS.has(type.protocol)) no("this protocol cannot be dumped");
  if (isMptcp(type) && peer !== undefined)
    no("connections of MPTCP cannot be dumped (the kernel has no repair for them)");
  if (isUdp(type) && getInt(fd, SOL.UDP, UDP.CORK) !== 0)
    no("a corked socket: what it has not sent yet nobody can read");
  if (!isTcp(type)) return;
  const layer = getOption(fd, SOL.TCP, TCP.ULP, ULP_NAME);
  if (layer.length > 0)
    no(
      `the kernel's ${bytesToText(layer.subarray(0, layer.indexOf(0)))} layer on top of TCP cannot be dumped`,
    );
  if (tryGetOption(fd, SOL.TCP, TCP.AO_INFO, new Uint8Array(AO_INFO)) >= 0)
    no("keys of TCP-AO cannot be dumped");
}

// --- restore

class InetRestore implements FileRestorer {
  readonly #sender: PacketSender;
  /** How many sockets have a port. */
  #users: Map<string, number> | undefined;

  constructor(private readonly context: RestoreContext) {
    const { network } = context;
    this.#sender = new PacketSender(LOCK_MARK, (family, type, protocol) =>
      network.socket(family, type, protocol),
    );
  }

  make(entry: FileEntry): number {
    const sk = inetOf(entry);
    return restoring(whatOf(entry), () =>
      this.context.network.socket(sk.family, sk.type, sk.proto).release(),
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
    else name(sk, type, fd, what);
    fcntl(fd, F.SETFL, sk.flags & ~O.ASYNC);
    if (isTcp(type) || isMptcp(type)) restoreTcpOptions(fd, sk.tcp_opts);
    restoreOptions(fd, sk.opts, table, what, this.context.owners);
    // It ends what was to be ended, though it says so where nothing is connected.
    if (sk.shutdown !== undefined && sk.shutdown !== SkShutdown.NONE) tryShutdown(fd, sk.shutdown - 1);
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
    restoreConnection(fd, image, this.#sender, what);
  }

  thaw(entry: FileEntry, fd: number): void {
    const sk = inetOf(entry);
    const { options, undo } = this.context;
    // A connection works again when the tree lives, and no sooner: before that it ends without a word, as if nothing had been.
    if (isConnection(sk) && !options.tcpClose)
      undo.layAfter(whatOf(entry), leavingRepair(fd, sk.opts.reuseaddr === true));
    else if (this.#isShared(sk)) restoring(whatOf(entry), () => shareAddress(fd, sk.opts));
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
    this.#sender[Symbol.dispose]();
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
export function lockedConnections(entries: Iterable<FileEntry>): Connection[] {
  const connections: Connection[] = [];
  for (const entry of entries) {
    const { isk } = entry;
    if (isk === undefined || !isConnection(isk)) continue;
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

function portKey({ type, proto, src_port }: InetSkEntry): string {
  return `${type}:${proto}:${src_port}`;
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

/** Binds, lets listen, connects. */
function name(sk: InetSkEntry, type: SocketType, fd: number, what: string): void {
  const own = sourceOf(sk, what, scopeOf(fd, sk, what));
  const bound = sk.src_port !== 0 || own.host.some((byte) => byte !== 0);
  if (sk.state === TCP_STATE.LISTEN && !isTcp(type) && !isMptcp(type))
    throw new FileRestoreError(`${what}: no socket of its kind listens`);
  if (bound) bindAnyway(fd, type, own);
  if (sk.state === TCP_STATE.LISTEN) listen(fd, sk.backlog);
  if (sk.dst_port !== 0) connect(fd, encodeInet(destinationOf(sk, what)));
}

/** An IPv6 address that is new to its interface is not to be had yet, but by who does not ask. */
function bindAnyway(fd: number, type: SocketType, own: InetAddress): void {
  const before = type.family === AF.INET6 ? tryGetInt(fd, SOL.IPV6, IPV6.FREEBIND) : undefined;
  if (before === 0) setInt(fd, SOL.IPV6, IPV6.FREEBIND, 1);
  // What an ICMP socket has for a port is the number that it is answered to.
  bind(fd, encodeInet(own));
  if (before === 0) setInt(fd, SOL.IPV6, IPV6.FREEBIND, 0);
}
