/**
 * The network namespaces of a tree that is being dumped: which one a socket is in, and calls there; all that is in them is saved at
 * the end. Looking at them changes nothing but that they get to know the numbers of each other.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import type { NetnsId } from "../../images/schema/generated/namespaces.ts";
import { KernelError } from "../../linux/errno.ts";
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { fcntl, O } from "../../linux/io.ts";
import { attributesIn, NETLINK, type Netlink, RequestBody } from "../../linux/netlink.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import type { HostPid } from "../../linux/pid.ts";
import { NETNSA, RTM, rtgenmsg } from "../../linux/rtnetlink.ts";
import { SO, SOL, tryGetOption } from "../../linux/socket.ts";
import { statusOf } from "../../linux/statx.ts";
import { s32, u64 } from "../../linux/struct.ts";
import { rawSyscall } from "../../linux/syscall.ts";
import type { Options } from "../../options.ts";
import { Plugins } from "../../plugins/plugins.ts";
import type { Undo } from "../../undo/undo.ts";
import type { LockMethod } from "../lock-methods.ts";
import { lockTable } from "../nftables-lock.ts";
import { dumpAddresses } from "./addresses.ts";
import { dumpConntrack } from "./conntrack.ts";
import { readDevices } from "./devices.ts";
import { NetHelper } from "./helper.ts";
import { dumpIptables } from "./iptables.ts";
import type { DumpedNet, TunState } from "./link-kind.ts";
import { dumpLinks } from "./links-dump.ts";
import { dumpLock, HeldLock } from "./lock.ts";
import { readNeighbours } from "./neighbours.ts";
import { dumpNetnsConf, emptyNetns } from "./netns-conf.ts";
import { type Network, networkAt, OUR_NETWORK } from "./network.ts";
import { readNexthops } from "./nexthops.ts";
import { dumpNftables } from "./nftables.ts";
import { dumpRoutes } from "./routes.ts";
import { dumpRules } from "./rules.ts";
import { readSysctls } from "./sysctls.ts";
import { refuseUnsaved } from "./unsaved.ts";

/** ioctl(2) on a socket, or a tun device: a descriptor of its network namespace (include/uapi/linux/sockios.h). */
const SIOCGSKNS = 0x894c;

/** A network namespace that sockets are in. */
export interface SocketNet extends Network {
  /** Its number in the images. */
  readonly id: number;
}

/** A number that a socket has of its namespace (Linux 5.14); undefined where it tells none. */
function cookieOf(fd: number): bigint | undefined {
  const value = new Uint8Array(u64.size);
  return tryGetOption(fd, SOL.SOCKET, SO.NETNS_COOKIE, value) < 0 ? undefined : u64.read(value, 0);
}

/** Which network namespaces sockets of a tree are in. */
export interface SocketNets {
  /** That of a socket, or of a tun device, by our descriptor of it. @throws KernelError */
  of(fd: number): SocketNet;
  /** All in which sockets may be: ours, and those of the tree. */
  all(): SocketNet[];
  /** The number of the one that a descriptor of ours is one of. @throws KernelError */
  numberOf(namespace: number): number;
  /** What only who has a tun device open is told of it. */
  noteTun(net: SocketNet, name: string, state: TunState): void;
}

/** Where there are no others. */
export function onlyOurNet(id: number): SocketNets {
  const net = ourNet(id);
  return { of: () => net, all: () => [net], numberOf: () => id, noteTun() {} };
}

/** Our own, by the number that images have for it. */
export function ourNet(id: number): SocketNet {
  return { ...OUR_NETWORK, id };
}

/** A namespace that processes of the tree live in, or only descriptors lead to. */
export interface FoundNet {
  /** Its number in the images. */
  readonly id: number;
  /** Of its file in /proc/PID/ns. */
  readonly inode: number;
  /** The first process that was found in it; undefined where none lives in it. */
  readonly pid: HostPid | undefined;
}

/** Who numbers namespaces. */
export interface NetNumbers {
  /** That of who dumps. */
  readonly own: number;
  readonly ownInode: number;
  /** Those that are not ours. */
  found(): readonly FoundNet[];
  /** Numbers one that no process lives in. */
  add(inode: number): FoundNet;
}

export interface NetworksDumpOptions extends Pick<Options, "external" | "emptyNs" | "networkLock"> {
  readonly networkLock: LockMethod;
}

export class NetworksDump implements SocketNets, Disposable {
  readonly #helper = new NetHelper();
  readonly #fds = new Map<number, Fd>();
  readonly #tuns = new Map<string, TunState>();
  readonly #byInode = new Map<number, SocketNet>();
  readonly #byCookie = new Map<bigint, SocketNet>();
  readonly #locks: HeldLock[] = [];

  constructor(
    private readonly numbers: NetNumbers,
    private readonly options: NetworksDumpOptions,
    private readonly runId: string,
    private readonly plugins: Plugins = Plugins.none(),
  ) {}

  of(fd: number): SocketNet {
    // Most are of one that is known by now.
    const cookie = cookieOf(fd);
    const known = cookie === undefined ? undefined : this.#byCookie.get(cookie);
    if (known !== undefined) return known;
    const net = this.#ask(fd);
    if (cookie !== undefined) this.#byCookie.set(cookie, net);
    return net;
  }

  #ask(fd: number): SocketNet {
    const namespace = rawSyscall(NR.ioctl, fd, SIOCGSKNS);
    if (namespace < 0) throw new KernelError("ioctl", "SIOCGSKNS", -namespace);
    using opened = Fd.own(namespace);
    const { ino } = statusOf(opened.number);
    return this.#byInode.get(ino) ?? this.#look(ino, opened.number);
  }

  numberOf(namespace: number): number {
    const { ino } = statusOf(namespace);
    return (this.#byInode.get(ino) ?? this.#look(ino, namespace)).id;
  }

  all(): SocketNet[] {
    const { own, ownInode } = this.numbers;
    const ours = this.#byInode.get(ownInode) ?? this.#remember(ownInode, ourNet(own));
    const others = this.numbers
      .found()
      .map((found) => this.#byInode.get(found.inode) ?? this.#remember(found.inode, this.#socketNet(found)));
    return [ours, ...others];
  }

  noteTun(net: SocketNet, name: string, state: TunState): void {
    this.#tuns.set(`${net.id} ${name}`, state);
  }

  /** Keeps all packets from all of them, but for ours: as long as the tree is saved, and until a restore. @throws LockError, KernelError */
  lock(undo: Undo, leaves: boolean): void {
    for (const found of this.numbers.found()) {
      const network = networkAt(this.#helper, this.#descriptor(found));
      const isExternal = this.#externalKey(found) !== undefined;
      const lock = dumpLock(this.options.networkLock, this.runId, network, isExternal, !leaves);
      this.#locks.push(new HeldLock(lock, undo, !leaves));
    }
  }

  /** The tree runs on: packets may pass again. Never throws. */
  unlock(): void {
    for (const lock of this.#locks.splice(0)) lock.release();
  }

  /** Saves all. Every process has been dumped. @throws UnsupportedError, NetProgramError, KernelError, ImageError */
  dump(images: ImageDir, owners: Owners): void {
    for (const found of this.numbers.found()) {
      const key = this.#externalKey(found);
      if (key !== undefined) images.writeAll(IMAGES.netns, [{ ...emptyNetns(), ext_key: key }], found.id);
      else this.#dumpOne(found, images, owners);
    }
  }

  /** Ends the process that made our calls. */
  [Symbol.dispose](): void {
    for (const lock of this.#locks.splice(0)) lock[Symbol.dispose]();
    this.#helper[Symbol.dispose]();
    for (const fd of this.#fds.values()) fd.close();
    this.#fds.clear();
  }

  #remember(inode: number, net: SocketNet): SocketNet {
    this.#byInode.set(inode, net);
    return net;
  }

  /** `namespace` is a descriptor of ours of it, lent. */
  #look(inode: number, namespace: number): SocketNet {
    const { own, ownInode } = this.numbers;
    if (inode === ownInode) return this.#remember(inode, ourNet(own));
    let found = this.numbers.found().find((each) => each.inode === inode);
    if (found === undefined) {
      found = this.numbers.add(inode);
      this.#fds.set(found.id, Fd.own(fcntl(namespace, F.DUPFD_CLOEXEC)));
    }
    return this.#remember(inode, this.#socketNet(found));
  }

  #socketNet(found: FoundNet): SocketNet {
    return { ...networkAt(this.#helper, this.#descriptor(found)), id: found.id };
  }

  /** Our descriptor of a namespace, lent. @throws KernelError */
  #descriptor({ id, pid }: FoundNet): number {
    let fd = this.#fds.get(id);
    if (fd === undefined) {
      fd = Fd.open(`/proc/${pid}/ns/net`, O.RDONLY);
      this.#fds.set(id, fd);
    }
    return fd.number;
  }

  /** What `--external net[INODE]:NAME` calls a namespace; undefined where it is saved. */
  #externalKey({ inode }: FoundNet): string | undefined {
    const start = `net[${inode}]:`;
    return this.options.external.find((entry) => entry.startsWith(start))?.slice(start.length);
  }

  #dumpOne(found: FoundNet, images: ImageDir, owners: Owners): void {
    const { id } = found;
    const net: DumpedNet = { id, fd: this.#descriptor(found) };
    using netfilter = this.#helper.netlink(net.fd, NETLINK.NETFILTER);
    dumpConntrack(images, id, netfilter);
    if (this.options.emptyNs.includes("net")) {
      images.writeAll(IMAGES.netns, [emptyNetns()], id);
      return;
    }
    using route = this.#helper.netlink(net.fd);
    const devices = readDevices(route);
    const open = (protocol: number) => this.#helper.netlink(net.fd, protocol);
    refuseUnsaved({ id, route, netfilter, open }, devices);
    // Listing devices has numbered the namespaces of their other ends.
    const nsids = this.#namespaceIds(route);
    dumpLinks(devices, net, {
      images,
      helper: this.#helper,
      owners,
      isExternal: ({ index, hardware, kind = "" }) =>
        this.plugins.ask("dumpExternalLink", index, hardware, kind) !== undefined,
      namespaceOf: (_, number) => nsids.find(({ netnsid_value }) => netnsid_value === number)?.target_ns_id,
      tunOf: (_, name) => this.#tuns.get(`${id} ${name}`),
    });
    dumpAddresses(images, id, route);
    dumpRoutes(images, id, route);
    const missing_rules6 = dumpRules(images, id, route);
    const table = this.#helper.in(net.fd);
    dumpIptables(images, id, net.fd, table);
    dumpNftables(images, id, net.fd, netfilter, lockTable(this.runId));
    const names = devices.map(({ name }) => name);
    const readers = {
      here: () => this.#helper.in(net.fd),
      anew: (files: readonly string[]) => this.#readAnew(files),
    };
    const entry = dumpNetnsConf(readers, names, owners);
    const neighbours = readNeighbours(route, devices);
    images.writeAll(
      IMAGES.netns,
      [{ ...entry, nsids, missing_rules6, neighbours, nexthops: readNexthops(route, id) }],
      id,
    );
  }

  /** What sysctls say where nobody has changed them. */
  #readAnew(names: readonly string[]): (string | undefined)[] {
    using fresh = this.#helper.create();
    return readSysctls(this.#helper.in(fresh.number), names);
  }

  /** What a namespace calls the others of the tree. @throws KernelError */
  #namespaceIds(route: Netlink): NetnsId[] {
    const ids: NetnsId[] = [];
    for (const other of this.numbers.found()) {
      const body = new RequestBody(rtgenmsg.encode({})).u32(NETNSA.FD, this.#descriptor(other)).bytes;
      route.ask("number of a net namespace", { type: RTM.GETNSID, flags: 0, body }, (message) => {
        const value = attributesIn(message.body, rtgenmsg.size).get(NETNSA.NSID);
        const netnsid_value = value === undefined ? -1 : s32.read(value, 0);
        if (netnsid_value >= 0) ids.push({ target_ns_id: other.id, netnsid_value });
      });
    }
    return ids;
  }
}
