/**
 * Unix sockets, made again. All of them at once, as each needs others: made and named, then those that listen, then the connections that
 * they have accepted. When all other files are there as well, for they may wait in queues: connections that wait to be accepted, the
 * queues, who is connected to whom; and last, what is shut down, options and flags.
 */
import { restoredAnswer } from "../../images/restored.ts";
import type { FileEntry } from "../../images/schema/generated/files.ts";
import type { FownEntry } from "../../images/schema/generated/sockets.ts";

import { F } from "../../linux/fcntl.ts";
import type { Fd } from "../../linux/fd.ts";
import { fcntl, O } from "../../linux/io.ts";
import { POLL, poll } from "../../linux/poll.ts";
import {
  AF,
  accept,
  connect,
  openSocketPair,
  SO,
  SOL,
  setInt,
  shutdown,
  tryBind,
} from "../../linux/socket.ts";
import { encodeUnix } from "../../linux/socket-address.ts";
import { send } from "../../linux/socket-messages.ts";
import { log } from "../../log.ts";
import { FileRestoreError, restoring } from "../errors.ts";
import type { FileRestorer, RestoreContext } from "../kind.ts";
import { withAsync } from "../status-flags.ts";
import { prepareQueues, restoreOptions } from "./options.ts";
import { QueuesRestore, rightsIn } from "./sk-queues.ts";
import { Binder } from "./unix-bind.ts";
import { type Caller, Callers } from "./unix-callers.ts";
import { bindSender, type Datagrams, DatagramWiring, planDatagrams } from "./unix-datagrams.ts";
import { textOfName } from "./unix-name.ts";
import { Sender } from "./unix-send.ts";
import { closedSocket, type Socket, Sockets, UNIX_OPTIONS, USK } from "./unix-sockets.ts";
import { type Connection, planStreams, type Streams } from "./unix-streams.ts";

const NO_NAME = new Uint8Array(0);
const ONE_BYTE = Uint8Array.of(0);
const RECEIVES_NO_MORE = 1;
const SENDS_NO_MORE = 2;

export class UnixRestore implements FileRestorer {
  readonly #callers: Callers;
  readonly #binder: Binder;
  readonly #sockets: Sockets;
  readonly #queues: QueuesRestore;
  readonly #streams: Streams;
  readonly #datagrams: Datagrams;
  /** Those that listen for a moment, by what they are called. */
  readonly #listeners = new Map<string, Socket>();
  #isMade = false;

  constructor(private readonly context: RestoreContext) {
    this.#callers = new Callers(context);
    this.#binder = new Binder(context.undo, context.mounts, context.owners);
    this.#sockets = new Sockets(context.entries.values(), (socket) => this.#given(socket));
    this.#queues = new QueuesRestore(context.images);
    this.#streams = planStreams(this.#sockets);
    this.#datagrams = planDatagrams(this.#sockets, ({ entry }) => this.#queues.of(entry.id).length > 0);
  }

  make(entry: FileEntry): number {
    const socket = this.#sockets.of(entry);
    if (!this.#isMade) {
      this.#isMade = true;
      this.#makeAll();
    }
    return socket.take();
  }

  /** What waits in its queue is to be there when that is filled. */
  wire(entry: FileEntry): void {
    const packets = this.#queues.of(entry.id);
    const { isGiven, what } = this.#sockets.of(entry);
    if (isGiven && packets.length > 0)
      log.warn(
        "files/unix",
        `${what}: the ${packets.length} messages in its queue are not put into one that is given`,
      );
    for (const { entry: packet } of packets)
      for (const id of rightsIn(packet.scm)) this.context.descriptor(id);
  }

  wired(): void {
    for (const { client, listener } of this.#streams.waiting) this.#await(client, listener);
    for (const { socket, peer } of this.#streams.outside) this.#connectOutside(socket, peer);
    using sender = new Sender(this.context);
    for (const connection of [...this.#streams.pairs, ...this.#streams.accepted])
      this.#fill(connection, sender);
    this.#wireDatagrams(sender);
    for (const closed of [...this.#streams.closed, ...this.#datagrams.closed]) closed.close();
    for (const socket of this.#sockets.ours) this.#finish(socket);
    for (const socket of this.#sockets.given) if (isOfPlugin(socket)) this.#finish(socket);
  }

  owner(entry: FileEntry): FownEntry | undefined {
    return entry.usk?.fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return entry.usk && withAsync(entry.usk.flags);
  }

  release(): void {
    this.#queues[Symbol.dispose]();
    this.#binder[Symbol.dispose]();
    for (const sockets of [
      this.#sockets.ours,
      this.#streams.closed,
      this.#datagrams.closed,
      this.#listeners.values(),
    ])
      for (const socket of sockets) socket.close();
  }

  // --- making

  /** Our descriptor of a socket that is the user's, or a plugin's. @throws FileRestoreError, PluginError */
  #given(socket: Socket): number | undefined {
    const { ino } = socket.entry;
    const { inherited, plugins } = this.context;
    const fd = inherited.take(`socket:[${ino}]`) ?? inherited.take(`socket[${ino}]`);
    if (fd !== undefined || !isOfPlugin(socket)) return fd;
    const made = plugins.ask("restoreUnixSocket", ino);
    if (made === undefined)
      throw new FileRestoreError(`${socket.what}: it was saved by a plugin, and none restores it`);
    return made;
  }

  #makeAll(): void {
    const { pairs, accepted, waiting, outside, alone } = this.#streams;
    this.#makePairs([...pairs, ...this.#datagrams.pairs]);
    const single = [
      ...alone,
      ...accepted.map(({ one }) => one),
      ...waiting.map(({ client }) => client),
      ...outside.map(({ socket }) => socket),
      ...this.#datagrams.alone,
    ];
    for (const socket of single)
      socket.fd = restoring(socket.what, () =>
        this.#isOfService(socket)
          ? serviceSocket(socket)
          : this.context.nets.socket(socket.entry.ns_id, AF.UNIX, socket.entry.type),
      );
    const named = [...single, ...this.#datagrams.pairs.flatMap(({ one, other }) => [one, other])];
    for (const socket of named) if (socket.isNamed) this.#name(socket);
    for (const socket of alone) if (socket.isListening) this.#listen(socket, socket.caller);
    for (const { one, other, listener } of accepted) this.#accept(one, other, listener);
  }

  #isOfService({ entry }: Socket): boolean {
    return (entry.uflags & USK.SERVICE) !== 0;
  }

  /** Pairs of one type that one process has made are made together. */
  #makePairs(pairs: readonly Connection[]): void {
    const groups = new Map<string, Connection[]>();
    for (const pair of pairs) {
      const key = `${pair.one.entry.ns_id} ${pair.one.entry.type} ${JSON.stringify(pair.one.caller ?? pair.one.entry.id)}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [pair]);
      else group.push(pair);
    }
    for (const group of groups.values()) {
      const [first] = group;
      if (first === undefined) continue;
      const { entry, caller, what } = first.one;
      const holder = this.context.holderOf(entry.id);
      const made = restoring(what, () => this.#callers.pairs(entry, group.length, caller, holder));
      group.forEach(({ one, other }, i) => {
        const [oneFd, otherFd] = made[i] ?? [];
        if (oneFd !== undefined) one.fd = oneFd;
        if (otherFd !== undefined) other.fd = otherFd;
      });
    }
  }

  #name(socket: Socket): void {
    if (socket.entry.id === 0) {
      this.#nameClosed(socket);
      return;
    }
    restoring(`${socket.what}: its name ${textOfName(socket.naming.name)}`, () => {
      socket.bound = this.#binder.bind(socket.number, socket.naming, this.context.holderOf(socket.entry.id));
    });
  }

  #nameClosed(closed: Socket): void {
    closed.bound = bindSender(this.#binder, closed.number, closed.naming.name);
    // Where it could not have the name, any does.
    if (closed.bound === undefined) tryBind(closed.number, encodeUnix(NO_NAME));
  }

  #listen(socket: Socket, who: Caller | undefined): void {
    const { entry, what } = socket;
    restoring(`${what}: to listen`, () =>
      this.#callers.listen(socket.number, entry.backlog, who, this.context.holderOf(entry.id)),
    );
  }

  /** Connects to whom listens, who is to be noted as the client's peer. */
  #connect(client: Socket, listener: Socket, who: Caller | undefined): void {
    // The kernel notes who listened last.
    const isOther = client.caller !== undefined && !sameCaller(client.caller, listener.caller);
    if (isOther) this.#listen(listener, client.caller);
    const holder = this.context.holderOf(client.entry.id);
    restoring(`${client.what}: connecting to ${textOfName(listener.naming.name)}`, () =>
      this.#callers.connect(client.number, listener.target, who, holder),
    );
    if (isOther) this.#listen(listener, listener.caller);
  }

  #accept(client: Socket, accepted: Socket, heard: Socket | undefined): void {
    const listener = heard ?? this.#listenerFor(client, accepted);
    // What a client had shut down before it was connected, the other end does not know of.
    const early = (client.entry.shutdown ?? 0) & ~crossed(accepted.entry.shutdown ?? 0);
    shutDown(client, early);
    this.#connect(client, listener, accepted.caller);
    if (poll(listener.number, POLL.IN) === 0)
      throw new FileRestoreError(`${client.what}: its connection goes to somebody else`);
    accepted.fd = restoring(accepted.what, () => accept(listener.number));
  }

  /** One that listens for a moment, by the name that a connection has; nobody sees it. */
  #listenerFor(client: Socket, { entry, naming }: Socket): Socket {
    const key = `${entry.ns_id} ${entry.type} ${naming.name.join()}`;
    const known = this.#listeners.get(key);
    if (known !== undefined) return known;
    const listener = closedSocket(client, naming.name);
    listener.fd = this.context.nets.socket(entry.ns_id, AF.UNIX, entry.type);
    this.#listeners.set(key, listener);
    this.#nameClosed(listener);
    this.#listen(listener, client.caller);
    return listener;
  }

  // --- wiring

  #await(client: Socket, listener: Socket): void {
    fcntl(client.number, F.SETFL, O.NONBLOCK);
    this.#connect(client, listener, undefined);
  }

  #connectOutside(socket: Socket, peer: Socket): void {
    const name = textOfName(peer.naming.name);
    if (this.context.options.extUnixSk === undefined || !peer.isNamed) {
      const help = peer.isNamed ? "--ext-unix-sk connects it to that name again, or " : "";
      throw new FileRestoreError(
        `${socket.what}: it was connected to socket ${peer.entry.ino}${peer.isNamed ? ` (${name})` : ""} outside of the tree; ${help}give its connection with --inherit-fd fd[N]:socket:[${socket.entry.ino}]`,
      );
    }
    fcntl(socket.number, F.SETFL, O.NONBLOCK);
    restoring(`${socket.what}: connecting to ${name}`, () => connect(socket.number, peer.address));
  }

  #fill({ one, other }: Connection, sender: Sender): void {
    this.#fillOne(one, other, sender);
    this.#fillOne(other, one, sender);
    for (const { entry, number, what } of [one, other]) {
      // A peer that is closed with something unread makes it an error.
      if ((entry.error ?? 0) !== 0) restoring(what, () => send(number, { bytes: ONE_BYTE }));
    }
  }

  #fillOne(socket: Socket, peer: Socket, sender: Sender): void {
    const packets = socket.entry.id === 0 ? [] : this.#queues.of(socket.entry.id);
    if (packets.length === 0) return;
    restoring(`${socket.what}: its queue`, () => {
      prepareQueues(peer.number);
      for (const packet of packets) sender.toPeer(packet, peer.number, socket.number, socket.isStream);
    });
  }

  #wireDatagrams(sender: Sender): void {
    const ours = this.#sockets.ours.filter((socket) => socket.isDatagram);
    const packetsOf = ({ entry }: Socket) => this.#queues.of(entry.id);
    using wiring = new DatagramWiring(
      this.#datagrams,
      ours,
      sender,
      this.#binder,
      packetsOf,
      this.context.nets,
    );
    wiring.run();
  }

  /** What is to be as it was, and would have been in the way. */
  #finish(socket: Socket): void {
    const { entry, number, what } = socket;
    shutDown(socket, entry.shutdown ?? 0);
    restoreOptions(number, entry.opts, UNIX_OPTIONS, what, this.context.owners);
    restoring(what, () => {
      // Without a meaning here, but anybody may set and ask for them.
      if (entry.opts.reuseaddr === true) setInt(number, SOL.SOCKET, SO.REUSEADDR, 1);
      if (entry.opts.so_reuseport === true) setInt(number, SOL.SOCKET, SO.REUSEPORT, 1);
      fcntl(number, F.SETFL, entry.flags & ~O.ASYNC);
    });
  }
}

/** Bits of what the other end does no more, of those of one. */
function crossed(bits: number): number {
  return ((bits & RECEIVES_NO_MORE) << 1) | ((bits & SENDS_NO_MORE) >> 1);
}

/** shutdown(2) of what bits say. */
function shutDown(socket: Socket, bits: number): void {
  // SHUT_RD, SHUT_WR, SHUT_RDWR are one less.
  const how = (bits & (RECEIVES_NO_MORE | SENDS_NO_MORE)) - 1;
  if (how >= 0) restoring(socket.what, () => shutdown(socket.number, how));
}

function sameCaller(one: Caller, other: Caller | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function isOfPlugin({ entry }: Socket): boolean {
  return (entry.uflags & USK.CALLBACK) !== 0;
}

/** The connection to the service that has made the dump: it says that the restore has come. */
function serviceSocket({ entry }: Socket): Fd {
  const [ours, services] = openSocketPair(AF.UNIX, entry.type);
  using _ = services;
  send(services.number, { bytes: restoredAnswer() });
  return ours;
}
