/**
 * Unix sockets: of streams, of datagrams, of sequenced packets. An entry of files.img says what a socket is called and whom it is
 * connected to, by inode numbers; sk-queues.img what waits in it.
 *
 * What it is connected to is found out when all sockets are known: one that is not of the tree is named in the images only if
 * the user says so (--external unix[INODE], --ext-unix-sk).
 */
import { FdTypes } from "../../images/schema/generated/files.ts";
import { isSkShutdown, type SkUcredEntry, type UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { ERRNO } from "../../linux/errno.ts";
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { fcntl, S } from "../../linux/io.ts";
import { NETLINK } from "../../linux/netlink.ts";
import { hostPid, type NsPid } from "../../linux/pid.ts";
import { POLL } from "../../linux/poll.ts";
import { TCP_STATE } from "../../linux/sock-diag.ts";
import { AF, getInt, peerName, SO, SOCK, SOL } from "../../linux/socket.ts";
import { decodeUnix } from "../../linux/socket-address.ts";
import { type Credentials, SCM } from "../../linux/socket-messages.ts";
import { type UnixSocket, unixSockets } from "../../linux/unix-diag.ts";
import { log } from "../../log.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";
import { FileDumpError } from "../errors.ts";
import type { DumpContext, FileDumper, FileKind } from "../kind.ts";
import { NO_OWNER, type OpenFile } from "../open-file.ts";
import { OptionsDump } from "./options.ts";
import { QueuesDump } from "./sk-queues.ts";
import { lookAt, peerSeenByChild, type UnixFacts } from "./unix-look.ts";
import { fileOfName, textOfName } from "./unix-name.ts";
import { readQueue } from "./unix-queue.ts";
import { UnixRestore } from "./unix-restore.ts";
import { UNIX_OPTIONS, USK } from "./unix-sockets.ts";

export const unix: FileKind = {
  type: FdTypes.UNIXSK,
  recognises: (file) =>
    file.format === S.IFSOCK && !file.isPath && getInt(file.copy, SOL.SOCKET, SO.DOMAIN) === AF.UNIX,
  dumper: (context) => new UnixDump(context),
  restorer: (context) => new UnixRestore(context),
};

const TYPES: ReadonlyMap<number, string> = new Map([
  [SOCK.STREAM, "stream"],
  [SOCK.DGRAM, "datagram"],
  [SOCK.SEQPACKET, "sequenced packet"],
]);
const PLUGIN_HOOK = "dumpUnixSocket";
const BOTH_WAYS = 3;

/** A socket that has been looked at. */
interface Looked {
  /** Ours, kept for plugins to look at; undefined where none wants to. */
  readonly fd: Fd | undefined;
  readonly entry: UnixSkEntry;
  readonly where: string;
  /** As the kernel listed it. */
  readonly listed: UnixSocket;
}

class UnixDump implements FileDumper {
  readonly #options: OptionsDump;
  readonly #queues: QueuesDump;
  readonly #sockets = new Map<number, Looked>();
  /** Those outside of the tree that the images name, by inode. */
  readonly #outside = new Set<number>();
  /** By the number of their network namespace. */
  readonly #listed = new Map<number, ReadonlyMap<number, UnixSocket>>();

  constructor(private readonly context: DumpContext) {
    this.#options = new OptionsDump(context.tasks.owners);
    this.#queues = new QueuesDump(context.images);
  }

  dump(file: OpenFile, id: number): void {
    const { ino } = file.status;
    const fd = file.copy;
    const { listed, net } = this.#find(ino, fd);
    if (listed === undefined || net === undefined)
      throw new FileDumpError(`${file.where}: the kernel tells nothing of a Unix socket (${file.link})`);
    const where = `${file.where}: a Unix ${TYPES.get(listed.type) ?? ""} socket (${file.link})`;
    const facts = lookAt(fd);
    const entry: UnixSkEntry = {
      id,
      ino,
      type: listed.type,
      state: listed.state,
      flags: file.flags,
      uflags: 0,
      backlog: listed.sendQueue,
      peer: listed.peer ?? 0,
      fown: file.owner,
      opts: this.#options.dump(
        fd,
        { family: AF.UNIX, type: listed.type, protocol: 0 },
        UNIX_OPTIONS,
        where,
        net,
      ),
      name: listed.name ?? new Uint8Array(0),
      ...fileOfName(file, listed, this.context.mounts, where),
      ns_id: net.id,
      ...this.#peerCredentials(facts, fd, where),
      waiting: [...listed.waiting],
    };
    if (listed.shutdown !== 0 && isSkShutdown(listed.shutdown)) entry.shutdown = listed.shutdown;
    if (listed.peer === 0) entry.peer_name = decodeUnix(peerName(fd) ?? new Uint8Array(0));
    this.#pendingError(facts, entry, where);
    const kept = this.context.plugins.has(PLUGIN_HOOK) ? Fd.own(fcntl(fd, F.DUPFD_CLOEXEC)) : undefined;
    // Known before its queue is read: it may be in there.
    this.#sockets.set(ino, { entry, where, listed, fd: kept });
    if (listed.peer !== undefined && listed.peer === this.context.options.clientSocket) toService(entry);
    else if (listed.state !== TCP_STATE.LISTEN) this.#dumpQueue(fd, facts, entry, where);
  }

  /** Everybody is known: finds out to whom each is connected. */
  finish(): void {
    const accepting = this.#accepting();
    for (const socket of this.#sockets.values()) {
      this.#connection(socket, accepting);
      socket.fd?.close();
    }
    for (const { entry } of this.#peersFirst())
      this.context.add({ type: FdTypes.UNIXSK, id: entry.id, usk: entry });
    this.#queues.finish();
  }

  /** In the order of an image: CRIU finds the peer of all that are connected to it only where that stands before the second of them. */
  #peersFirst(): ReadonlySet<Looked> {
    const ordered = new Set<Looked>();
    for (const socket of this.#sockets.values()) {
      const peer = this.#sockets.get(socket.entry.peer);
      if (peer !== undefined && peer.entry.peer === 0) ordered.add(peer);
      ordered.add(socket);
    }
    return ordered;
  }

  /** A socket, as it is listed in its network namespace. */
  #find(inode: number, fd: number): { readonly listed?: UnixSocket; readonly net?: SocketNet } {
    const { namespaces } = this.context.network;
    for (const net of namespaces.all()) {
      const listed = this.#listIn(net).get(inode);
      if (listed !== undefined) return { listed, net };
    }
    const net = namespaces.of(fd);
    const listed = this.#listIn(net).get(inode);
    return listed === undefined ? {} : { listed, net };
  }

  #listIn(net: SocketNet): ReadonlyMap<number, UnixSocket> {
    let listed = this.#listed.get(net.id);
    if (listed === undefined) {
      using netlink = net.netlink(NETLINK.SOCK_DIAG);
      listed = unixSockets(netlink);
      this.#listed.set(net.id, listed);
    }
    return listed;
  }

  /** One of any network namespace, by its inode, as it was listed. */
  #listedAt(inode: number): UnixSocket | undefined {
    for (const listed of this.#listed.values()) {
      const found = listed.get(inode);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #peerCredentials(
    { peer }: UnixFacts,
    fd: number,
    where: string,
  ): Pick<UnixSkEntry, "peer_cred" | "peer_groups"> {
    if (peer === undefined) return { peer_groups: [] };
    const { owners } = this.context.tasks;
    const peer_groups = peer.groups.map((group) => owners.gid(group));
    const peer_cred = this.#credentials(peer.credentials, where, () => peerSeenByChild(fd));
    return { peer_cred, peer_groups };
  }

  /** `seenByChild` asks for them in a child of ours. */
  #credentials(
    { pid, uid, gid }: Credentials,
    where: string,
    seenByChild: (() => NsPid) | undefined,
  ): SkUcredEntry {
    const { tasks } = this.context;
    const { owners } = tasks;
    let number = tasks.numberOf(hostPid(pid));
    // Of one that has ended nothing is told in /proc.
    if (number === 0 && seenByChild !== undefined) number = tasks.bearInTree(seenByChild);
    if (number === 0) {
      log.warn(
        "files/unix",
        `${where}: process ${pid}, of whom it tells, is not in the tree's pid namespace, or has ended: its number is 0 in the images`,
      );
    }
    return { pid: number, uid: owners.uid(uid), gid: owners.gid(gid) };
  }

  #pendingError({ events }: UnixFacts, entry: UnixSkEntry, where: string): void {
    if ((events & POLL.ERR) === 0) return;
    // There is no other: unix_release_sock and unix_dgram_disconnected of net/unix/af_unix.c.
    entry.error = ERRNO.ECONNRESET;
    if (entry.type === SOCK.DGRAM || entry.shutdown !== BOTH_WAYS)
      throw new FileDumpError(
        `${where}: it has not told yet that its peer is connected elsewhere now (ECONNRESET), which cannot be dumped`,
      );
  }

  #dumpQueue(fd: number, facts: UnixFacts, { id, type }: UnixSkEntry, where: string): void {
    const packets = readQueue(fd, type, facts, this.context.undo, where);
    packets.forEach(({ bytes, rights, credentials, from, urgent }, i) => {
      const at = `${where}: message ${i + 1} in its queue`;
      const ids = rights.map(
        (right, nth) => this.context.describe(right.release(), `${at}: descriptor ${nth + 1}`).id,
      );
      const ucred = credentials && this.#credentials(credentials, at, undefined);
      const scm = ids.length === 0 ? [] : [{ type: SCM.RIGHTS, rights: ids }];
      this.#queues.add({ id_for: id, scm, ucred, from: from.length === 0 ? undefined : from, urgent }, bytes);
    });
  }

  /** Who accepts a connection that waits, by the inode of who has made it. */
  #accepting(): Map<number, UnixSocket> {
    const accepting = new Map<number, UnixSocket>();
    for (const listed of this.#listed.values())
      for (const socket of listed.values())
        for (const client of socket.waiting) if (client !== 0) accepting.set(client, socket);
    return accepting;
  }

  #connection(socket: Looked, accepting: ReadonlyMap<number, UnixSocket>): void {
    const { entry, where, listed } = socket;
    const { type, state, peer } = listed;
    if ((entry.uflags & USK.SERVICE) !== 0) return;
    if (state === TCP_STATE.LISTEN) this.#refuseWaiting(listed, where);
    else if (peer !== undefined && peer !== 0) {
      if (!this.#sockets.has(peer)) this.#external(peer, socket);
    } else if (state === TCP_STATE.ESTABLISHED && type !== SOCK.DGRAM) {
      const listener = accepting.get(entry.ino);
      if (listener !== undefined) this.#inFlight(entry, listener, where);
      else if (listed.shutdown !== BOTH_WAYS)
        throw new FileDumpError(`${where}: it is connected to nobody, which cannot be dumped`);
    }
  }

  /** A connection that nobody has accepted yet: as CRIU has it, the listening socket is the peer. */
  #inFlight(entry: UnixSkEntry, listener: UnixSocket, where: string): void {
    if (!this.#sockets.has(listener.inode)) {
      throw new FileDumpError(
        `${where}: its connection waits to be accepted by socket ${listener.inode}${named(listener)} outside of the tree; dump that process as well, or when it has accepted`,
      );
    }
    if (entry.backlog !== 0) {
      throw new FileDumpError(
        `${where}: it has sent data on a connection that is not accepted yet, which nobody can read; dump it when it is accepted`,
      );
    }
    entry.peer = listener.inode;
    entry.peer_name = undefined;
  }

  #refuseWaiting({ waiting }: UnixSocket, where: string): void {
    for (const client of waiting) {
      if (this.#sockets.has(client)) continue;
      if (client === 0) {
        throw new FileDumpError(
          `${where}: a client that is closed again waits to be accepted, and what it has sent nobody can read; dump it when it is accepted`,
        );
      }
      if (this.#isExternal(client)) continue;
      throw new FileDumpError(
        `${where}: socket ${client}, outside of the tree, waits to be accepted; dump its process as well, or when it is accepted; --external unix[${client}] gives the connection up`,
      );
    }
  }

  #isExternal(inode: number): boolean {
    const { external, extUnixSk } = this.context.options;
    return external.includes(`unix[${inode}]`) || (extUnixSk?.includes(String(inode)) ?? false);
  }

  #refuseExternal(peer: number, there: UnixSocket | undefined, { ino }: UnixSkEntry, where: string): void {
    const isNamedDatagram = there?.type === SOCK.DGRAM && there.name !== undefined;
    if (isNamedDatagram && this.context.options.extUnixSk !== undefined) return;
    if (this.#isExternal(ino)) return;
    const help = isNamedDatagram
      ? "--ext-unix-sk connects it again by that name"
      : `--external unix[${ino}] accepts that`;
    throw new FileDumpError(
      `${where}: it is connected to socket ${peer}${there === undefined ? "" : named(there)}, which is not of the tree; dump that process as well; ${help}`,
    );
  }

  /** The peer is none of the tree: it is named in the images if it may be. */
  #external(peer: number, { entry, where, fd }: Looked): void {
    const there = this.#listedAt(peer);
    if (fd !== undefined && this.context.plugins.ask(PLUGIN_HOOK, fd.number, entry.ino) !== undefined)
      entry.uflags |= USK.CALLBACK;
    else this.#refuseExternal(peer, there, entry, where);
    if (this.#outside.has(peer)) return;
    this.#outside.add(peer);
    const id = this.context.newId();
    const usk: UnixSkEntry = {
      id,
      ino: peer,
      // Whatever it is, CRIU has it so.
      type: SOCK.DGRAM,
      state: TCP_STATE.LISTEN,
      flags: 0,
      uflags: USK.EXTERN,
      backlog: 0,
      peer: 0,
      fown: NO_OWNER,
      opts: {
        so_sndbuf: 0,
        so_rcvbuf: 0,
        so_snd_tmo_sec: 0n,
        so_snd_tmo_usec: 0n,
        so_rcv_tmo_sec: 0n,
        so_rcv_tmo_usec: 0n,
        so_filter: [],
        others: [],
      },
      name: there?.name ?? new Uint8Array(0),
      peer_groups: [],
      waiting: [],
    };
    this.context.add({ type: FdTypes.UNIXSK, id, usk });
  }
}

/** Whoever asked for the dump, by RPC, is of the tree: it is answered in the restore. */
function toService(entry: UnixSkEntry): void {
  entry.state = TCP_STATE.CLOSE;
  entry.peer = 0;
  entry.peer_name = undefined;
  entry.uflags |= USK.SERVICE;
}

/** For messages. */
function named({ name }: UnixSocket): string {
  return name === undefined ? "" : ` (${textOfName(name)})`;
}
