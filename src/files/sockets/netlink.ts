/** Netlink sockets: their port, the groups they hear, whom they are connected to. Messages that wait are refused. */
import { FdTypes, type FileEntry } from "../../images/schema/generated/files.ts";
import type { FownEntry, NetlinkSkEntry } from "../../images/schema/generated/sockets.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { F } from "../../linux/fcntl.ts";
import { fcntl, O, readText, S } from "../../linux/io.ts";
import { NETLINK } from "../../linux/netlink.ts";
import {
  NETLINK_CONNECTED,
  NETLINK_FLAG,
  type NetlinkSocket,
  netlinkSockets,
} from "../../linux/netlink-diag.ts";
import { listTables } from "../../linux/nftables.ts";
import { POLL, poll } from "../../linux/poll.ts";
import { TCP_STATE } from "../../linux/sock-diag.ts";
import { AF, bind, connect, SOCK, SOL, setInt } from "../../linux/socket.ts";
import { encodeNetlink } from "../../linux/socket-address.ts";
import { NETLINK_OPTION } from "../../linux/socket-options.ts";
import { log } from "../../log.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";
import { FileDumpError, FileRestoreError, restoring } from "../errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "../kind.ts";
import type { OpenFile } from "../open-file.ts";
import { withAsync } from "../status-flags.ts";
import {
  OptionsDump,
  options,
  restoreEarlyOptions,
  restoreOptions,
  socketFamily,
  socketType,
} from "./options.ts";

/** Groups that a word of a mask, or of an address, has room for. */
const WORD = 32;
const TABLE = options(SOL.NETLINK, [
  NETLINK_OPTION.PKTINFO,
  NETLINK_OPTION.BROADCAST_ERROR,
  NETLINK_OPTION.NO_ENOBUFS,
  NETLINK_OPTION.LISTEN_ALL_NSID,
  NETLINK_OPTION.CAP_ACK,
  NETLINK_OPTION.EXT_ACK,
  NETLINK_OPTION.GET_STRICT_CHK,
]);

export const netlink: FileKind = {
  type: FdTypes.NETLINKSK,
  recognises: (file) => file.format === S.IFSOCK && !file.isPath && socketFamily(file.copy) === AF.NETLINK,
  dumper: (context) => new NetlinkDump(context),
  restorer: (context) => new NetlinkRestore(context),
};

class NetlinkDump implements FileDumper {
  readonly #options: OptionsDump;
  /** By the number of their network namespace. */
  readonly #sockets = new Map<number, ReadonlyMap<number, NetlinkSocket>>();

  constructor(private readonly context: DumpContext) {
    this.#options = new OptionsDump(context.tasks.owners);
  }

  dump(file: OpenFile, id: number): void {
    const fd = file.copy;
    const { ino } = file.status;
    const type = socketType(fd);
    const where = `${file.where}: the netlink socket of protocol ${type.protocol}`;
    const waits = poll(fd, POLL.IN) & (POLL.IN | POLL.ERR);
    if ((waits & POLL.IN) !== 0) throw new FileDumpError(`${where} has messages that wait to be read`);
    // What is not told of is not bound to anything.
    const net = this.context.network.namespaces.of(fd);
    const found = this.#all(net).get(ino);
    if (((found?.flags ?? 0) & NETLINK_FLAG.CB_RUNNING) !== 0)
      throw new FileDumpError(`${where} has an answer that is not all read yet`);
    if (type.protocol === NETLINK.NETFILTER && found !== undefined)
      refuseOwner(found.port, file.pid, net, where);
    const entry: NetlinkSkEntry = {
      id,
      ino,
      protocol: type.protocol,
      state: found?.state ?? TCP_STATE.CLOSE,
      flags: file.flags,
      portid: found?.port ?? 0,
      groups: withoutZeros(found?.groups ?? []),
      dst_portid: found?.peerPort ?? 0,
      dst_group: found?.peerGroup ?? 0,
      fown: file.owner,
      opts: this.#options.dump(fd, type, TABLE, where, net),
      type: type.type === SOCK.RAW ? undefined : type.type,
      ns_id: net.id,
    };
    this.context.add({ type: FdTypes.NETLINKSK, id, nlsk: entry });
  }

  #all(net: SocketNet): ReadonlyMap<number, NetlinkSocket> {
    let sockets = this.#sockets.get(net.id);
    if (sockets === undefined) {
      using diag = net.netlink(NETLINK.SOCK_DIAG);
      sockets = netlinkSockets(diag);
      this.#sockets.set(net.id, sockets);
    }
    return sockets;
  }
}

/** Files of /proc/PID/net/netfilter with who gets packets, a line each, the port in the second column. */
const RECEIVERS = [
  ["nfnetlink_queue", "packets are queued for it (NFQUEUE)"],
  ["nfnetlink_log", "packets are logged to it (NFLOG)"],
] as const;

/** What ends with a socket, and nobody makes again. `pid` lives where it is of. @throws FileDumpError, KernelError */
function refuseOwner(port: number, pid: number, net: SocketNet, where: string): void {
  const no = (what: string): never => {
    throw new FileDumpError(`${where}: ${what}, which cannot be dumped`);
  };
  for (const [file, what] of RECEIVERS) {
    const lines = readLines(`/proc/${pid}/net/netfilter/${file}`);
    if (lines.some((line) => Number(line.trim().split(/\s+/)[1]) === port)) no(what);
  }
  using netfilter = net.netlink(NETLINK.NETFILTER);
  const table = listTables(netfilter).find(({ owner }) => owner === port);
  if (table !== undefined) no(`table ${table.name} of nf_tables belongs to it`);
}

function readLines(path: string): string[] {
  try {
    return readText(path).split("\n");
  } catch (error) {
    // A kernel without it.
    if (isErrno(error, ERRNO.ENOENT)) return [];
    throw error;
  }
}

function withoutZeros(words: readonly number[]): number[] {
  let length = words.length;
  while (words[length - 1] === 0) length--;
  return words.slice(0, length);
}

class NetlinkRestore implements FileRestorer {
  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { type = SOCK.RAW, protocol, ns_id } = netlinkOf(entry);
    return restoring(whatOf(entry), () =>
      this.context.nets.socket(ns_id, AF.NETLINK, type, protocol).release(),
    );
  }

  wire(entry: FileEntry, fd: number): void {
    const sk = netlinkOf(entry);
    const what = whatOf(entry);
    restoreEarlyOptions(fd, sk.opts, TABLE, what);
    restoring(what, () => {
      if (sk.portid !== 0) bindPort(fd, sk.portid, what);
      sk.groups.forEach((word, i) => {
        for (let bit = 0; bit < WORD; bit++)
          if (((word >>> bit) & 1) !== 0)
            setInt(fd, SOL.NETLINK, NETLINK_OPTION.ADD_MEMBERSHIP, i * WORD + bit + 1);
      });
      if (sk.state === NETLINK_CONNECTED) {
        if (sk.dst_group > WORD) throw new FileRestoreError(`${what}: connected to group ${sk.dst_group}`);
        connect(fd, encodeNetlink(sk.dst_portid, sk.dst_group === 0 ? 0 : (1 << (sk.dst_group - 1)) >>> 0));
      }
      fcntl(fd, F.SETFL, sk.flags & ~O.ASYNC);
    });
    restoreOptions(fd, sk.opts, TABLE, what, this.context.owners);
  }

  owner(entry: FileEntry): FownEntry {
    return netlinkOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(netlinkOf(entry).flags);
  }
}

/** Few care for the number of their port, and it may have been given to another one meanwhile. */
function bindPort(fd: number, port: number, what: string): void {
  try {
    bind(fd, encodeNetlink(port));
  } catch (error) {
    if (!isErrno(error, ERRNO.EADDRINUSE)) throw error;
    bind(fd, encodeNetlink(0));
    log.warn("files/netlink", `${what}: port ${port} is in use, it has another one`);
  }
}

function netlinkOf(entry: FileEntry): NetlinkSkEntry {
  if (entry.nlsk === undefined)
    throw new FileRestoreError(`files.img: file ${entry.id} is no netlink socket`);
  return entry.nlsk;
}

function whatOf(entry: FileEntry): string {
  return `files.img: file ${entry.id}: a netlink socket of protocol ${netlinkOf(entry).protocol}`;
}
