/**
 * Connections of streams and of sequenced packets: which sockets are the two ends of one, and how it came about.
 *
 * The ends of socketpair(2) have no names. Of a connection made by connect(2) the end that accept(2) gave has the name of the socket that
 * listened, whatever has become of that. So a connection with a name is made by connecting to a socket that listens: the one of the tree
 * that has the name, or one that we make for a moment.
 */
import { TCP_STATE } from "../../linux/sock-diag.ts";
import { FileRestoreError } from "../errors.ts";
import { pathOf } from "./unix-name.ts";
import { closedSocket, isOutside, type Socket, type Sockets } from "./unix-sockets.ts";

/** The two ends of a connection. */
export interface Connection {
  readonly one: Socket;
  readonly other: Socket;
}

/** What is to be done with sockets that have connections. */
export interface Streams {
  /** Neither end has a name. */
  readonly pairs: readonly Connection[];
  /** `one` connects, `other` is accepted; `listener` is of the tree, if it is there. */
  readonly accepted: readonly (Connection & { readonly listener: Socket | undefined })[];
  /** They have been closed, and stand in for no longer than their data takes. */
  readonly closed: readonly Socket[];
  /** Connected, but not accepted yet, in their order. */
  readonly waiting: readonly { readonly client: Socket; readonly listener: Socket }[];
  /** Whose peer is not of the tree. */
  readonly outside: readonly { readonly socket: Socket; readonly peer: Socket }[];
  /** Without a connection. */
  readonly alone: readonly Socket[];
}

/** @throws FileRestoreError for connections that cannot be */
export function planStreams(sockets: Sockets): Streams {
  const ours = sockets.ours.filter((socket) => !socket.isDatagram);
  const listening = ours.filter((socket) => socket.isListening);
  const plan = new Plan(listening);
  for (const socket of ours) {
    if (plan.has(socket)) continue;
    if (socket.entry.state !== TCP_STATE.ESTABLISHED) plan.alone.push(socket);
    else plan.connected(socket, sockets.peerOf(socket), sockets);
  }
  plan.orderWaiting();
  return plan;
}

class Plan implements Streams {
  readonly pairs: Connection[] = [];
  readonly accepted: (Connection & { readonly listener: Socket | undefined })[] = [];
  readonly closed: Socket[] = [];
  readonly waiting: { readonly client: Socket; readonly listener: Socket }[] = [];
  readonly outside: { readonly socket: Socket; readonly peer: Socket }[] = [];
  readonly alone: Socket[] = [];
  readonly #seen = new Set<Socket>();

  constructor(private readonly listening: readonly Socket[]) {}

  has(socket: Socket): boolean {
    return this.#seen.has(socket);
  }

  connected(socket: Socket, peer: Socket | undefined, sockets: Sockets): void {
    this.#seen.add(socket);
    if (peer === undefined) this.#ends(socket, this.#closedPeer(socket));
    else if (isOutside(peer)) this.outside.push({ socket, peer });
    else if (peer.isListening) this.waiting.push({ client: socket, listener: peer });
    else if (sockets.peerOf(peer) === socket && peer !== socket && peer.entry.type === socket.entry.type) {
      if (peer.isGiven) throw new FileRestoreError(`${socket.what}: its peer is a descriptor that was given`);
      this.#seen.add(peer);
      this.#ends(socket, peer);
    } else throw new FileRestoreError(`${socket.what}: its peer ${peer.entry.ino} is not connected to it`);
  }

  /** In the order in which they have come, where the images tell it. */
  orderWaiting(): void {
    const place = ({ client, listener }: { client: Socket; listener: Socket }) => {
      const at = listener.entry.waiting.indexOf(client.entry.ino);
      return at < 0 ? listener.entry.waiting.length : at;
    };
    this.waiting.sort((a, b) => place(a) - place(b));
  }

  #closedPeer(socket: Socket): Socket {
    const closed = closedSocket(socket, socket.entry.peer_name ?? new Uint8Array(0));
    this.closed.push(closed);
    return closed;
  }

  #ends(one: Socket, other: Socket): void {
    const accepted = this.#accepted(one, other);
    if (accepted === undefined) this.pairs.push({ one, other });
    else {
      const listener = this.listening.find((socket) => isNameOf(socket, accepted));
      this.accepted.push({ one: accepted === one ? other : one, other: accepted, listener });
    }
  }

  /** The end that was accepted, if any was: it has a name. Of two with names it is the one that somebody listens by, or the younger. */
  #accepted(one: Socket, other: Socket): Socket | undefined {
    const named = [one, other].filter((socket) => socket.isNamed);
    const [first, second] = named;
    if (first === undefined || second === undefined) return first;
    const heard = named.filter((socket) => this.listening.some((listener) => isNameOf(listener, socket)));
    if (heard.length === 1) return heard[0];
    return first.entry.ino > second.entry.ino ? first : second;
  }
}

/** Whether a socket may have been accepted from one that listens. */
function isNameOf(listener: Socket, socket: Socket): boolean {
  const one = listener.naming;
  const other = socket.naming;
  return (
    listener.entry.type === socket.entry.type &&
    one.at?.mount === other.at?.mount &&
    one.at?.path === other.at?.path &&
    (pathOf(one.name) !== undefined || listener.entry.ns_id === socket.entry.ns_id) &&
    one.name.length === other.name.length &&
    one.name.every((byte, i) => byte === other.name[i])
  );
}
