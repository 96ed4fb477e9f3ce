/** Packet sockets: what they are bound to, addresses that they listen to, rings, groups that share packets. */
import { FdTypes, type FileEntry } from "../../images/schema/generated/files.ts";
import type {
  FownEntry,
  PacketMclist,
  PacketRing as PacketRingEntry,
  PacketSockEntry,
} from "../../images/schema/generated/sockets.ts";
import { F } from "../../linux/fcntl.ts";
import { interfaceIndex, interfaceName } from "../../linux/interface-names.ts";
import { fcntl, O, S } from "../../linux/io.ts";
import { NETLINK } from "../../linux/netlink.ts";
import { PACKET_FLAG, type PacketSocket, packetRing, packetSockets } from "../../linux/packet-diag.ts";
import { POLL, poll } from "../../linux/poll.ts";
import type { Mapping } from "../../linux/proc.ts";
import { AF, bind, SOCK, SOL, setInt, setOption } from "../../linux/socket.ts";
import { PACKET_OPTION } from "../../linux/socket-options.ts";
import { bytes, s32, struct, u8, u16 } from "../../linux/struct.ts";
import { textToBytes } from "../../linux/text.ts";
import { log } from "../../log.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";
import { FileDumpError, FileRestoreError, restoring } from "../errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "../kind.ts";
import type { OpenFile } from "../open-file.ts";
import { withAsync } from "../status-flags.ts";
import {
  type Option,
  OptionsDump,
  restoreEarlyOptions,
  restoreOptions,
  socketFamily,
  socketType,
} from "./options.ts";
import { bytesOf, dumpRings, FEEDING_PROTOCOL, QUIET_PROTOCOL, restoreRing } from "./packet-ring.ts";

/** They are to be set before there are rings. */
const TABLE: readonly Option[] = [
  PACKET_OPTION.TX_HAS_OFF,
  PACKET_OPTION.QDISC_BYPASS,
  PACKET_OPTION.IGNORE_OUTGOING,
].map((name) => ({ level: SOL.PACKET, name, early: true }));

/** struct sockaddr_ll; the protocol is in network byte order. */
const sockaddrLl = struct({
  family: u16,
  protocol: u16,
  ifindex: s32,
  hatype: u16,
  pkttype: u8,
  halen: u8,
  address: bytes(8),
});
/** struct sockaddr_pkt, as bind(2) of the old kind takes it: without a protocol. */
const sockaddrPkt = struct({ family: u16, device: bytes(14) });
/** struct packet_mreq with room for the longest address (MAX_ADDR_LEN). */
const MAX_ADDRESS = 32;
const packetMreq = struct({ ifindex: s32, type: u16, alen: u16, address: bytes(MAX_ADDRESS) });
const MEMBER = { MULTICAST: 0, PROMISC: 1, ALLMULTI: 2, UNICAST: 3 } as const;
/** How a group of sockets shares packets: by a program of BPF, which the kernel gives nobody back. */
const FANOUT_BPF = { CLASSIC: 6, EXTENDED: 7 } as const;

function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

export const packet: FileKind = {
  type: FdTypes.PACKETSK,
  recognises: (file) => file.format === S.IFSOCK && !file.isPath && socketFamily(file.copy) === AF.PACKET,
  dumper: (context) => new PacketDump(context),
  restorer: (context) => new PacketRestore(context),
};

class PacketDump implements FileDumper {
  readonly #options: OptionsDump;
  readonly #ids = new Map<number, { readonly id: number; readonly length: number }>();
  /** By the number of their network namespace. */
  readonly #sockets = new Map<number, ReadonlyMap<number, PacketSocket>>();

  constructor(private readonly context: DumpContext) {
    this.#options = new OptionsDump(context.tasks.owners);
  }

  dump(file: OpenFile, id: number): void {
    const fd = file.copy;
    const type = socketType(fd);
    const where = `${file.where}: the packet socket`;
    const net = this.context.network.namespaces.of(fd);
    const found = this.#all(net).get(file.status.ino);
    if (found === undefined)
      throw new FileDumpError(`${where}: the kernel tells nothing of it (packet_diag)`);
    const { flags, fanout } = found;
    const sharing = ((fanout ?? 0) >>> 16) & 0xff;
    if (fanout !== undefined && (sharing === FANOUT_BPF.CLASSIC || sharing === FANOUT_BPF.EXTENDED))
      throw new FileDumpError(`${where}: its group shares packets by a program, which nobody can read`);
    if (found.receiveRing === undefined && (poll(fd, POLL.IN) & POLL.IN) !== 0)
      log.warn("files/packet", `${where}: packets that wait to be read are lost`);
    const { receiveRing, sendRing } = found;
    const ring = dumpRings(fd, found.version, receiveRing, sendRing, where);
    this.#ids.set(file.status.ino, { id, length: bytesOf(receiveRing) + bytesOf(sendRing) });
    const is = (flag: number) => (flags & flag) !== 0;
    const entry: PacketSockEntry = {
      id,
      type: found.type,
      protocol: swapped(found.protocol),
      flags: file.flags,
      ifindex: found.index,
      fown: file.owner,
      opts: this.#options.dump(fd, type, TABLE, where, net),
      version: found.version,
      reserve: found.reserve,
      aux_data: is(PACKET_FLAG.AUXDATA),
      orig_dev: is(PACKET_FLAG.ORIGDEV),
      vnet_hdr: is(PACKET_FLAG.VNET_HDR),
      loss: is(PACKET_FLAG.LOSS),
      timestamp: found.timestamp,
      copy_thresh: found.copyThreshold,
      mclist: found.members.flatMap((member) => {
        const { index, count, type: kind, length, address } = member;
        const named = kind === MEMBER.MULTICAST || kind === MEMBER.UNICAST;
        const each = { index, type: kind, addr: named ? address.slice(0, length) : new Uint8Array(0) };
        // Joined so many times, to be left as often.
        return Array.from({ length: count }, () => each);
      }),
      fanout,
      rx_ring: receiveRing,
      tx_ring: sendRing,
      ns_id: net.id,
      rx_next: ring.next,
      rx_frames: ring.frames,
    };
    this.context.add({ type: FdTypes.PACKETSK, id, psk: entry });
  }

  mapped({ inode, path, offset, start, end }: Mapping, where: string): number | undefined {
    const found = this.#ids.get(inode);
    if (found !== undefined && (offset !== 0 || end - start !== found.length))
      throw new FileDumpError(`${where}: a part of a mapping of ${path}, which cannot be mapped but whole`);
    return found?.id;
  }

  #all(net: SocketNet): ReadonlyMap<number, PacketSocket> {
    let sockets = this.#sockets.get(net.id);
    if (sockets === undefined) {
      using diag = net.netlink(NETLINK.SOCK_DIAG);
      sockets = packetSockets(diag);
      this.#sockets.set(net.id, sockets);
    }
    return sockets;
  }
}

class PacketRestore implements FileRestorer {
  readonly #unbound: { readonly sk: PacketSockEntry; readonly fd: number; readonly what: string }[] = [];

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { type, protocol, ns_id } = packetOf(entry);
    return restoring(whatOf(entry), () =>
      // The old kind is bound by the name of a device alone.
      this.context.nets.socket(ns_id, AF.PACKET, type, type === SOCK.PACKET ? protocol : 0).release(),
    );
  }

  wire(entry: FileEntry, fd: number): void {
    const sk = packetOf(entry);
    const what = whatOf(entry);
    restoreEarlyOptions(fd, sk.opts, TABLE, what);
    if (sk.type !== SOCK.PACKET)
      restoring(what, () => {
        configure(fd, sk);
        for (const member of sk.mclist) join(fd, member, what);
        ring(fd, PACKET_OPTION.RX_RING, sk.rx_ring);
        ring(fd, PACKET_OPTION.TX_RING, sk.tx_ring);
        this.#refill(fd, sk, what);
      });
    this.#unbound.push({ sk, fd, what });
  }

  /** None hears what the rings of others are brought to where they were with. */
  wired(): void {
    for (const { sk, fd, what } of this.#unbound.splice(0)) {
      restoring(what, () => {
        if (sk.type === SOCK.PACKET) bindByName(fd, sk, what);
        else {
          const { protocol, ifindex } = sk;
          bind(fd, sockaddrLl.encode({ family: AF.PACKET, protocol, ifindex }));
          if (sk.fanout !== undefined && sk.fanout !== NO_FANOUT)
            setInt(fd, SOL.PACKET, PACKET_OPTION.FANOUT, sk.fanout);
        }
        fcntl(fd, F.SETFL, sk.flags & ~O.ASYNC);
      });
      restoreOptions(fd, sk.opts, TABLE, what, this.context.owners);
    }
  }

  #refill(fd: number, sk: PacketSockEntry, what: string): void {
    const { rx_ring, tx_ring, ns_id } = sk;
    if (rx_ring === undefined) return;
    const ifindex = interfaceIndex(fd, "lo") ?? 0;
    const onLoopback = (protocol: number) => sockaddrLl.encode({ family: AF.PACKET, protocol, ifindex });
    restoreRing(
      fd,
      rx_ring,
      bytesOf(rx_ring) + bytesOf(tx_ring),
      { next: sk.rx_next, frames: sk.rx_frames },
      {
        address: onLoopback(FEEDING_PROTOCOL),
        quiet: onLoopback(QUIET_PROTOCOL),
        open: () => this.context.nets.socket(ns_id, AF.PACKET, SOCK.DGRAM, 0),
      },
      what,
    );
  }

  openForMapping({ id }: FileEntry): number {
    return fcntl(this.context.descriptor(id), F.DUPFD_CLOEXEC);
  }

  owner(entry: FileEntry): FownEntry {
    return packetOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(packetOf(entry).flags);
  }
}

/** What CRIU has where there is no group. */
const NO_FANOUT = 0xffff_ffff;

function configure(fd: number, sk: PacketSockEntry): void {
  const set = (name: number, value: number | boolean) => setInt(fd, SOL.PACKET, name, Number(value));
  set(PACKET_OPTION.VERSION, sk.version);
  set(PACKET_OPTION.RESERVE, sk.reserve);
  set(PACKET_OPTION.TIMESTAMP, sk.timestamp);
  set(PACKET_OPTION.COPY_THRESH, sk.copy_thresh);
  if (sk.aux_data) set(PACKET_OPTION.AUXDATA, true);
  if (sk.orig_dev) set(PACKET_OPTION.ORIGDEV, true);
  if (sk.vnet_hdr) set(PACKET_OPTION.VNET_HDR, true);
  if (sk.loss) set(PACKET_OPTION.LOSS, true);
}

/** The old kind is bound to the name of an interface. */
function bindByName(fd: number, { ifindex }: PacketSockEntry, what: string): void {
  if (ifindex === 0) return;
  const name = interfaceName(fd, ifindex);
  if (name === undefined) throw new FileRestoreError(`${what}: there is no interface ${ifindex}`);
  bind(fd, sockaddrPkt.encode({ family: AF.PACKET, device: textToBytes(name) }));
}

function join(fd: number, { index, type, addr }: PacketMclist, what: string): void {
  if (addr.length > MAX_ADDRESS) throw new FileRestoreError(`${what}: an address of ${addr.length} bytes`);
  const mreq = packetMreq.encode({ ifindex: index, type, alen: addr.length, address: addr });
  setOption(fd, SOL.PACKET, PACKET_OPTION.ADD_MEMBERSHIP, mreq);
}

function ring(fd: number, option: number, entry: PacketRingEntry | undefined): void {
  if (entry !== undefined) setOption(fd, SOL.PACKET, option, packetRing.encode(entry));
}

function packetOf(entry: FileEntry): PacketSockEntry {
  if (entry.psk === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no packet socket`);
  return entry.psk;
}

function whatOf(entry: FileEntry): string {
  return `files.img: file ${entry.id}: a packet socket`;
}
