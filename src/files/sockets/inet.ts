/**
 * Sockets over IP, v4 and v6: TCP (connections: connections.ts, tcp.ts), MPTCP that is not connected, UDP, UDP-Lite, ICMP, raw.
 */
import { IMAGES } from "../../images/kinds.ts";
import { FdTypes } from "../../images/schema/generated/files.ts";
import { type InetSkEntry, type SkDatagramEntry, SkShutdown } from "../../images/schema/generated/sockets.ts";
import { ERRNO } from "../../linux/errno.ts";
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { type InetSocket, inetSockets, type TcpFacts } from "../../linux/inet-diag.ts";
import { interfaceName } from "../../linux/interface-names.ts";
import { fcntl, S } from "../../linux/io.ts";
import { NETLINK } from "../../linux/netlink.ts";
import { POLL, poll } from "../../linux/poll.ts";
import { TCP_STATE } from "../../linux/sock-diag.ts";
import {
  AF,
  getInt,
  getOption,
  IPPROTO,
  lastPeerName,
  SO,
  SOCK,
  SOL,
  socketName,
  tryGetInt,
  tryGetOption,
} from "../../linux/socket.ts";
import { decodeInet, type InetAddress } from "../../linux/socket-address.ts";
import { IPV6, TCP, UDP } from "../../linux/socket-options.ts";
import { readTcpInfo } from "../../linux/tcp.ts";
import { bytesToText } from "../../linux/text.ts";
import { log } from "../../log.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";
import { FileDumpError } from "../errors.ts";
import type { DumpContext, FileDumper, FileKind } from "../kind.ts";
import type { OpenFile } from "../open-file.ts";
import { ConnectionsDump } from "./connections.ts";
import { peekDatagrams } from "./datagrams.ts";
import { addressText, hostWords } from "./inet-address.ts";
import { dumpIpOptions, dumpTcpOptions, inetOptions } from "./inet-options.ts";
import { InetRestore } from "./inet-restore.ts";
import { isMptcp, isTcp, isUdp } from "./inet-type.ts";
import { ListedTcp } from "./listed-tcp.ts";
import { MembersDump } from "./multicast.ts";
import { OptionsDump, type SocketType, socketFamily, socketType } from "./options.ts";
import { withoutError } from "./pending-error.ts";
import { MulticastRouters, rawPeer } from "./raw.ts";

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

// --- dump

class InetDump implements FileDumper {
  readonly #options: OptionsDump;
  readonly #connections: ConnectionsDump;
  readonly #members = new MembersDump();
  readonly #listed = new ListedTcp();
  readonly #routers = new MulticastRouters();
  readonly #lists = new Map<string, ReadonlyMap<number, InetSocket>>();

  constructor(private readonly context: DumpContext) {
    this.#options = new OptionsDump(context.tasks.owners);
    this.#connections = new ConnectionsDump(context.undo, context.network.lock);
  }

  dump(file: OpenFile, id: number): void {
    const fd = file.copy;
    const type = socketType(fd);
    const names = namesOf(fd, type, file);
    const where = describe(file, type, names);
    refuse(fd, type, names, where);
    const net = this.context.network.namespaces.of(fd);
    if (type.type === SOCK.RAW && this.#routers.mayBe(type, net))
      throw new FileDumpError(
        `${where}: it may be the one of a router of multicast (MRT_INIT), whose routes cannot be dumped`,
      );
    const { ino } = file.status;
    const { state, backlog } = this.#state(fd, type, names, ino, where, net);
    const connection = isTcp(type) && names.peer !== undefined;
    const listening = state === TCP_STATE.LISTEN;
    if (isTcp(type) && (connection || listening)) this.#refuseSigned(fd, ino, names, where, net);
    this.#refuseErrorQueue(fd, type, state, where);
    const { datagrams, error } = this.#waiting(fd, type, names, where, net);
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
      opts: this.#options.dump(fd, type, inetOptions(type, { connection, listening }), where, net),
      v6only: type.family === AF.INET6 ? getInt(fd, SOL.IPV6, IPV6.V6ONLY) !== 0 : undefined,
      ip_opts: dumpIpOptions(fd, type),
      ifname: names.own.scope === 0 ? undefined : interfaceName(fd, names.own.scope),
      shutdown: this.#shutdown(fd, type, ino, net),
      tcp_opts: isTcp(type) || isMptcp(type) ? dumpTcpOptions(fd) : {},
      ns_id: net.id,
      members: type.type === SOCK.STREAM ? [] : this.#members.of(fd, file.pid, type.family),
      datagrams,
      error,
    };
    this.context.add({ type: FdTypes.INETSK, id, isk: entry });
    if (connection) this.#connect(file, entry, names, where, net);
  }

  finish(): void {
    this.#listed.renew();
    this.#connections.save(this.context.network.leaves);
    this.#listed[Symbol.dispose]();
  }

  abort(): void {
    this.#connections.release();
    this.#listed[Symbol.dispose]();
  }

  #find(fd: number, inode: number, { own, peer }: Names, net: SocketNet): TcpFacts | undefined {
    const device = tryGetInt(fd, SOL.SOCKET, SO.BINDTOIFINDEX) ?? 0;
    return this.#listed.find({ fd, inode, own, peer, device, net });
  }

  #refuseSigned(fd: number, inode: number, names: Names, where: string, net: SocketNet): void {
    if (this.#find(fd, inode, names, net)?.md5 === true)
      throw new FileDumpError(`${where}: its segments are signed (TCP_MD5SIG), which cannot be dumped`);
  }

  #state(
    fd: number,
    type: SocketType,
    { peer }: Names,
    inode: number,
    where: string,
    net: SocketNet,
  ): { readonly state: number; readonly backlog: number } {
    if (isMptcp(type)) {
      if (getInt(fd, SOL.SOCKET, SO.ACCEPTCONN) === 0) return { state: TCP_STATE.CLOSE, backlog: 0 };
      const found = this.#list(type, net).get(inode);
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

  #shutdown(fd: number, type: SocketType, inode: number, net: SocketNet): SkShutdown | undefined {
    if (isTcp(type) || isMptcp(type))
      return (poll(fd, POLL.RDHUP) & POLL.RDHUP) === 0 ? undefined : SkShutdown.READ;
    if (!isUdp(type)) return undefined;
    const bits = this.#list(type, net).get(inode)?.shutdown ?? 0;
    return SHUTDOWN[bits];
  }

  #list({ family, protocol }: SocketType, net: SocketNet): ReadonlyMap<number, InetSocket> {
    const key = `${net.id}:${family}:${protocol}`;
    let list = this.#lists.get(key);
    if (list === undefined) {
      using netlink = net.netlink(NETLINK.SOCK_DIAG);
      list = inetSockets(netlink, family, protocol);
      this.#lists.set(key, list);
    }
    return list;
  }

  /** One that is closed tells its error next; any other has something in its queue: times of sending, ends of zero copies. */
  #refuseErrorQueue(fd: number, type: SocketType, state: number, where: string): void {
    if (!isTcp(type) || state === TCP_STATE.CLOSE || (poll(fd, 0) & POLL.ERR) === 0) return;
    throw new FileDumpError(`${where}: messages wait in its queue of errors, which cannot be dumped`);
  }

  /** What waits in a socket that is no stream: datagrams, an error. */
  #waiting(
    fd: number,
    type: SocketType,
    names: Names,
    where: string,
    net: SocketNet,
  ): { readonly datagrams: SkDatagramEntry[]; readonly error: number | undefined } {
    if (type.type === SOCK.STREAM) return { datagrams: [], error: undefined };
    const { undo } = this.context;
    const waits = poll(fd, POLL.IN);
    const take = () => ((waits & POLL.IN) === 0 ? [] : this.#datagrams(fd, type, names.own, where));
    if ((waits & POLL.ERR) === 0) return { datagrams: take(), error: undefined };
    if (!isUdp(type))
      throw new FileDumpError(
        `${where}: an error waits to be told, which cannot be dumped; it can be when it has been read`,
      );
    // To receive would be told of the error, and have it gone.
    const { error, result } = withoutError(fd, names, net, undo, where, take);
    return { datagrams: result, error };
  }

  #datagrams(fd: number, type: SocketType, own: InetAddress, where: string): SkDatagramEntry[] {
    if (isUdp(type) && own.port !== 0) return peekDatagrams(fd, this.context.undo, where);
    // Whoever has such a socket hears what passes, as far as there is room.
    log.warn("files/inet", `${where}: packets that wait to be read are lost`);
    return [];
  }

  /** A connection is saved together with the others, when all else is. */
  #connect(file: OpenFile, entry: InetSkEntry, { own, peer }: Names, where: string, net: SocketNet): void {
    const { tcpEstablished, tcpClose } = this.context.options;
    if (peer === undefined || tcpClose) return;
    if (!tcpEstablished && entry.state !== TCP_STATE.CLOSE)
      throw new FileDumpError(
        `${where} is connected: consider using the --tcp-established option, or --tcp-close`,
      );
    const fd = Fd.own(fcntl(file.copy, F.DUPFD_CLOEXEC));
    this.#connections.add({
      fd,
      ends: { source: own.host, sourcePort: own.port, destination: peer.host, destinationPort: peer.port },
      reuse: entry.opts.reuseaddr === true,
      isLocked: !net.isOurs,
      where,
      waiting: () => this.#find(fd.number, entry.ino, { own, peer }, net)?.receiveQueue,
      take: (saved) => {
        entry.state = saved.state;
        if (saved.error !== 0) entry.error = saved.error;
        using writer = this.context.images.writer(IMAGES.tcp_stream, entry.ino);
        writer.add(saved.entry, saved.payload);
      },
    });
  }
}

function namesOf(fd: number, type: SocketType, file: OpenFile): Names {
  const name = socketName(fd);
  const own = decodeInet(name);
  if (own === undefined) throw new FileDumpError(`socket ${fd} has no name of its family`);
  const last = lastPeerName(fd, name.length);
  if (last !== undefined) return { own, peer: decodeInet(last) };
  // A raw socket that is connected to no port is not told to be connected.
  return { own, peer: type.type === SOCK.RAW ? rawPeer(file.pid, type.family, file.status.ino) : undefined };
}

function describe(file: OpenFile, { family, type, protocol }: SocketType, { own, peer }: Names): string {
  const name = PROTOCOLS.get(protocol) ?? `protocol ${protocol}`;
  const version = family === AF.INET ? "IPv4" : "IPv6";
  const kind = type === SOCK.RAW ? `the raw ${version} socket of ${name}` : `the ${name} socket`;
  const ends = peer === undefined ? addressText(own) : `${addressText(own)} to ${addressText(peer)}`;
  return `${file.where}: ${kind} ${ends}`;
}

/** struct in6_flowlabel_req: its size, and where it says with whom the label is shared, which is 0 for one that is not lent. */
const FLOW_LABEL = { SIZE: 32, SHARE: 21 } as const;

function hasLentLabel(fd: number): boolean {
  const asked = new Uint8Array(FLOW_LABEL.SIZE);
  return tryGetOption(fd, SOL.IPV6, IPV6.FLOWLABEL_MGR, asked) >= 0 && asked[FLOW_LABEL.SHARE] !== 0;
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
  if (type.family === AF.INET6 && hasLentLabel(fd))
    no("its flow label is lent by the kernel (IPV6_FLOWLABEL_MGR), which cannot be dumped");
  if (!isTcp(type)) return;
  // To ask for nothing of it takes nothing.
  if (tryGetOption(fd, SOL.TCP, TCP.SAVED_SYN, new Uint8Array(0)) === -ERRNO.EINVAL)
    no(
      "the segment that has opened it is kept for it (TCP_SAVE_SYN), which cannot be dumped until it is read",
    );
  const layer = getOption(fd, SOL.TCP, TCP.ULP, ULP_NAME);
  if (layer.length > 0)
    no(
      `the kernel's ${bytesToText(layer.subarray(0, layer.indexOf(0)))} layer on top of TCP cannot be dumped`,
    );
  if (tryGetOption(fd, SOL.TCP, TCP.AO_INFO, new Uint8Array(AO_INFO)) >= 0)
    no("keys of TCP-AO cannot be dumped");
}
