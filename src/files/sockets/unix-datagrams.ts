/**
 * Datagram sockets: who is connected to whom, and what waits.
 *
 * One without a name can be reached by nobody but the other one of its socketpair(2), so who is connected to such a one is made with it as
 * a pair. All others are made alone and find each other by their names. While a socket is connected to nobody, everybody may send to it,
 * but the kernel lets only some ten messages wait (net.unix.max_dgram_qlen) that are not of its peer's; once it is connected, its peer
 * alone may. So queues are filled before sockets are connected, but for what comes after the last message of anybody else.
 */
import type { Fd } from "../../linux/fd.ts";
import { TCP_STATE } from "../../linux/sock-diag.ts";
import { AF, connect, SOCK } from "../../linux/socket.ts";
import { u16 } from "../../linux/struct.ts";
import { log } from "../../log.ts";
import type { TreeNets } from "../../namespaces/net/restore.ts";
import { FileRestoreError, restoring } from "../errors.ts";
import { prepareQueues } from "./options.ts";
import type { StoredPacket } from "./sk-queues.ts";
import { type Binder, type Bound, hiddenNaming } from "./unix-bind.ts";
import { addressOfName, pathOf, textOfName } from "./unix-name.ts";
import type { Sender } from "./unix-send.ts";
import { closedSocket, isOutside, type Socket, type Sockets } from "./unix-sockets.ts";

/** Two that are made by socketpair(2). */
export interface SocketPair {
  readonly one: Socket;
  readonly other: Socket;
}

export interface Datagrams {
  readonly pairs: readonly SocketPair[];
  /** Peers that have been closed: they stand in until their peers are connected to them. */
  readonly closed: readonly Socket[];
  readonly alone: readonly Socket[];
  /** Whom each is connected to in the end. */
  readonly peers: ReadonlyMap<Socket, Socket>;
}

/** `hasQueue`: whether something waits in a socket. @throws FileRestoreError for sockets that nobody can reach */
export function planDatagrams(sockets: Sockets, hasQueue: (socket: Socket) => boolean): Datagrams {
  const plan = new Plan(hasQueue);
  const ours = sockets.ours.filter((socket) => socket.isDatagram);
  const reached = new Set(ours.map((socket) => sockets.peerOf(socket)));
  for (const socket of ours) {
    const peer = sockets.peerOf(socket) ?? plan.closedPeer(socket, reached.has(socket));
    if (peer !== undefined) plan.peers.set(socket, peer);
  }
  const connected = [...plan.peers].filter(([socket, peer]) => peer !== socket);
  // First those that can be reached in no other way.
  for (const [socket, peer] of connected) if (plan.needsPair(socket, peer)) plan.pair(socket, peer);
  // Others that were a pair: the kernel has noted who made it, which connect(2) does not do.
  for (const [socket, peer] of connected) {
    const noted = socket.caller !== undefined && peer.caller !== undefined;
    if (noted && plan.peers.get(peer) === socket && !plan.has(socket) && !plan.has(peer))
      plan.pair(socket, peer);
  }
  plan.alone.push(...[...ours, ...plan.closed].filter((socket) => !plan.has(socket)));
  return plan;
}

class Plan implements Datagrams {
  readonly pairs: SocketPair[] = [];
  readonly closed: Socket[] = [];
  readonly alone: Socket[] = [];
  readonly peers = new Map<Socket, Socket>();
  readonly #paired = new Set<Socket>();

  constructor(private readonly hasQueue: (socket: Socket) => boolean) {}

  has(socket: Socket): boolean {
    return this.#paired.has(socket);
  }

  /** Whether the two cannot be connected but as a pair. */
  needsPair(socket: Socket, peer: Socket): boolean {
    if (isOutside(peer) || (this.has(socket) && this.peers.get(peer) === socket)) return false;
    return !peer.isNamed || (!socket.isNamed && this.closed.includes(peer));
  }

  pair(one: Socket, other: Socket): void {
    for (const socket of [one, other])
      if (this.has(socket) || socket.isGiven)
        throw new FileRestoreError(`${socket.what}: two are connected to it, and it has no name`);
    this.#paired.add(one);
    this.#paired.add(other);
    this.pairs.push({ one, other });
  }

  /** Whom a socket is connected to that is closed; undefined where it is connected to nobody. */
  closedPeer(socket: Socket, isReached: boolean): Socket | undefined {
    const { entry } = socket;
    // CRIU's images do not tell, but one without a name has been connected, and sent to, by its pair alone. (One that CRIU has restored
    // has its messages and is connected to nobody.)
    const wasConnected = entry.state === TCP_STATE.ESTABLISHED || this.hasQueue(socket);
    const isLeft = wasConnected && !socket.isNamed && !isReached;
    const name = entry.peer_name ?? (isLeft ? new Uint8Array(0) : undefined);
    if (name === undefined) return undefined;
    const closed = closedSocket(socket, name);
    this.closed.push(closed);
    return closed;
  }
}

/** Fills queues, and connects. */
export class DatagramWiring implements Disposable {
  /** Those that have sent, and are closed, by their names. */
  readonly #senders = new Map<string, Fd>();
  readonly #connected = new Set<Socket>();
  readonly #filled = new Set<Socket>();

  constructor(
    private readonly plan: Datagrams,
    private readonly ours: readonly Socket[],
    private readonly sender: Sender,
    private readonly binder: Binder,
    private readonly packetsOf: (socket: Socket) => readonly StoredPacket[],
    private readonly nets: TreeNets,
  ) {}

  /** All sockets are made and have their names. @throws FileRestoreError */
  run(): void {
    const { pairs, peers, closed } = this.plan;
    for (const socket of [...this.ours, ...closed]) prepareQueues(socket.number);
    const ends = pairs.flatMap(({ one, other }) => [[one, other] as const, [other, one] as const]);
    for (const [socket, other] of ends) if (peers.get(socket) === other) this.#fillPaired(socket, other);
    // Those of a pair that have left each other since.
    for (const [socket, other] of ends) if (peers.get(socket) !== other) this.#leave(socket);
    for (const socket of this.ours) this.#fill(socket);
    for (const [socket, peer] of peers) this.#connect(socket, peer);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#senders.values()) fd.close();
  }

  /** Connected to the other one of its pair, nobody else can have sent to it. */
  #fillPaired(socket: Socket, other: Socket): void {
    this.#filled.add(socket);
    this.#connected.add(socket);
    for (const packet of this.packetsOf(socket))
      this.#send(socket, () => this.sender.datagram(packet, other.number, undefined));
  }

  #leave(socket: Socket): void {
    const peer = this.plan.peers.get(socket);
    if (peer === undefined) restoring(socket.what, () => connect(socket.number, NOBODY));
    else this.#connect(socket, peer);
  }

  #fill(socket: Socket): void {
    if (this.#filled.has(socket)) return;
    this.#filled.add(socket);
    const packets = this.packetsOf(socket);
    const peer = this.plan.peers.get(socket);
    const senders = packets.map((packet) => this.#senderOf(packet, socket, peer));
    const rest = senders.findLastIndex((sender) => sender !== peer?.number) + 1;
    packets.forEach((packet, i) => {
      if (i === rest && peer !== undefined) this.#connect(socket, peer);
      // One without a name has been sent to by the other one of its pair, which is connected to it.
      const to = socket.isNamed ? socket.address : undefined;
      this.#send(socket, () => this.sender.datagram(packet, senders[i] ?? -1, to));
    });
  }

  #send(socket: Socket, send: () => boolean): void {
    if (restoring(`${socket.what}: its queue`, send)) return;
    const count = this.packetsOf(socket).length;
    throw new FileRestoreError(
      `${socket.what}: its queue does not take all ${count} messages that were in it: net.unix.max_dgram_qlen should be as much`,
    );
  }

  /** Who has sent a message: a socket of the tree of that name, or one that is made for that. */
  #senderOf({ entry: { from } }: StoredPacket, socket: Socket, peer: Socket | undefined): number {
    if (from === undefined || from.length === 0) {
      // CRIU's images do not tell; its restore sends by whoever is connected.
      const connected = this.ours.filter((each) => this.plan.peers.get(each) === socket);
      const sender =
        connected.find((each) => !each.isNamed) ??
        (from === undefined ? (connected.find((each) => each === peer) ?? connected[0]) : undefined);
      return sender?.number ?? this.#senderNamed(new Uint8Array(0), socket.entry.ns_id);
    }
    const key = Buffer.from(addressOfName(from));
    const sender = [...this.ours, ...this.plan.closed].find(
      (each) => each.isNamed && isNear(each, socket) && key.equals(addressOfName(each.naming.name)),
    );
    return sender?.number ?? this.#senderNamed(from, socket.entry.ns_id);
  }

  #senderNamed(name: Uint8Array, net: number | undefined): number {
    const key = `${net} ${Buffer.from(name).toString("latin1")}`;
    let fd = this.#senders.get(key);
    if (fd === undefined) {
      fd = this.nets.socket(net, AF.UNIX, SOCK.DGRAM);
      this.#senders.set(key, fd);
      prepareQueues(fd.number);
      if (name.length > 0) bindSender(this.binder, fd.number, name)?.file.close();
    }
    return fd.number;
  }

  /** Once a socket is connected, nobody but its peer can be connected to it: those that are come first. */
  #connect(socket: Socket, peer: Socket): void {
    if (this.#connected.has(socket)) return;
    this.#connected.add(socket);
    for (const [other, itsPeer] of this.plan.peers) {
      if (itsPeer !== socket || other === peer) continue;
      this.#fill(other);
      this.#connect(other, socket);
    }
    restoring(`${socket.what}: connecting to ${textOfName(peer.naming.name)}`, () =>
      connect(socket.number, peer.address),
    );
  }
}

/** Whether a name of one is that of the other: names without a file belong to a network. */
function isNear(one: Socket, other: Socket): boolean {
  return pathOf(one.naming.name) !== undefined || one.entry.ns_id === other.entry.ns_id;
}

/** AF_UNSPEC: to nobody. */
const NOBODY = new Uint8Array(u16.size);

/** Gives a socket that is to be closed its name, where that is free; its file is the caller's. */
export function bindSender(binder: Binder, fd: number, name: Uint8Array): Bound | undefined {
  try {
    return binder.bind(fd, hiddenNaming(name));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    log.warn(
      "files/unix",
      `a Unix socket that was closed cannot have its name ${textOfName(name)} again: ${text}`,
    );
    return undefined;
  }
}
