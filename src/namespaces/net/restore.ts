/**
 * The network namespaces of a tree that is being restored. All of them are made and filled when the root has been born: devices may
 * lead from one to another. Nothing passes until the tree lives.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import type { NetDeviceEntry, NetnsEntry } from "../../images/schema/generated/namespaces.ts";
import { NEW } from "../../linux/clone.ts";
import { Fd } from "../../linux/fd.ts";
import { O, selfPath, stat } from "../../linux/io.ts";
import { NETLINK, Netlink, RequestBody } from "../../linux/netlink.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import type { HostPid } from "../../linux/pid.ts";
import { NETNSA, RTM, rtgenmsg } from "../../linux/rtnetlink.ts";
import { openSocket } from "../../linux/socket.ts";
import { statusOf } from "../../linux/statx.ts";
import { log } from "../../log.ts";
import { type Options, parseInheritFd } from "../../options.ts";
import { ImageValueError } from "../../process/errors.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { Undo } from "../../undo/undo.ts";
import { type LockMethod, newRunId, type Unlocking } from "../lock-methods.ts";
import { restoreAddresses } from "./addresses.ts";
import { restoreConntrack } from "./conntrack.ts";
import { setUp } from "./devices.ts";
import { NetHelper } from "./helper.ts";
import { restoreIptables } from "./iptables.ts";
import type { RestoredNet } from "./link-kind.ts";
import { LinksRestore } from "./links-restore.ts";
import { dumpUnlocking, HeldLock, ourLock } from "./lock.ts";
import { restoreNeighbours } from "./neighbours.ts";
import { restoreDeviceConf, restoreNetnsConf } from "./netns-conf.ts";
import { networkAt } from "./network.ts";
import { restoreNexthops } from "./nexthops.ts";
import { restoreNftables } from "./nftables.ts";
import { restoreRoutes } from "./routes.ts";
import { restoreRules } from "./rules.ts";

/** The index of the device that every network namespace has. */
const LOOPBACK = 1;

export type NetworksRestoreOptions = Pick<
  Options,
  "external" | "vethPair" | "inheritFd" | "emptyNs" | "joinNs" | "weakSysctls"
>;

/** The network namespaces that sockets of a tree are to be in, by the numbers of the images. */
export interface TreeNets {
  /** An image speaks of one. Before they are made. */
  mention(number: number): void;
  /** Whether a number is that of a namespace of the tree, not ours. An image of before there were numbers means the root's. */
  isOther(number: number | undefined): boolean;
  /** Whether a dump had its connections locked: no packet of them passes before the restore is at its end. */
  readonly areLocked: boolean;
  /** socket(2) there; the caller's. @throws ImageValueError, KernelError */
  socket(number: number | undefined, family: number, type: number, protocol?: number): Fd;
  /** The file that a descriptor of ours, lent, leads to, opened by one who lives there. @throws ImageValueError, KernelError */
  reopen(number: number | undefined, fd: number, flags: number, what: string): Fd;
  /**
   * Our descriptor, lent, of the one of a number, if process `pid`, or we, if not given, live in another one. @throws ImageValueError,
   * KernelError
   */
  elsewhere(pid: HostPid | undefined, number: number | undefined): number | undefined;
  /** What the images have of a device; undefined where there is none of the name. */
  linkOf(number: number | undefined, name: string): NetDeviceEntry | undefined;
  /** A path by which one of the tree's can be opened; undefined for ours. @throws ImageValueError */
  path(number: number): string | undefined;
}

/** Where there are no others. */
export const OUR_NET: TreeNets = {
  mention() {},
  isOther: () => false,
  areLocked: false,
  socket: (_, family, type, protocol) => openSocket(family, type, protocol),
  reopen: (_, fd, flags) => Fd.open(selfPath(fd), flags),
  elsewhere: () => undefined,
  linkOf: () => undefined,
  path: () => undefined,
};

/** What the images say of the whole. */
export interface NetworksPlan {
  /** The number of the namespace that the dump was made in; what has it is in ours. */
  readonly own: number | undefined;
  /** Of the namespace of the root. */
  readonly root: number | undefined;
  /** Numbers of all others of the tree, in any order. */
  readonly others: ReadonlySet<number>;
  readonly lockMethod: LockMethod;
  readonly runId: string;
  /** Ids that processes and threads of the tree are to be born with. */
  readonly avoid: ReadonlySet<HostPid>;
}

/** One that is there. */
interface MadeNet extends RestoredNet {
  readonly entry: NetnsEntry | undefined;
  readonly isExternal: boolean;
}

export class NetworksRestore implements TreeNets, Disposable {
  readonly #helper: NetHelper;
  readonly #nets = new Map<number, MadeNet>();
  readonly #mentioned = new Set<number>();
  readonly #locks: HeldLock[] = [];
  /** Of what dumps have left in external ones. */
  readonly #unlocking: Unlocking[] = [];
  #links: LinksRestore | undefined;

  constructor(
    private readonly images: ImageDir,
    private readonly options: NetworksRestoreOptions,
    private readonly undo: Undo,
    private readonly owners: Owners,
    private readonly plan: NetworksPlan,
  ) {
    this.#helper = new NetHelper(plan.avoid);
  }

  mention(number: number): void {
    this.#mentioned.add(number);
  }

  isOther(number: number | undefined): boolean {
    const { plan, options } = this;
    const id = number ?? plan.root;
    if (id === plan.root && joined(options) !== undefined) return true;
    return id !== undefined && plan.own !== undefined && id !== plan.own;
  }

  get areLocked(): boolean {
    return this.plan.lockMethod !== "skip";
  }

  /** Whether the root of the tree is to be born into one that is new. */
  get rootIsNew(): boolean {
    if (joined(this.options) !== undefined || !this.isOther(undefined)) return false;
    return this.#keyOf(this.plan.root ?? 0) === undefined;
  }

  /**
   * Makes all, and fills them. `root` has just been born, into the one that is its own where {@link rootIsNew}.
   * @throws ImageValueError, NetProgramError, LockError, KernelError, ImageError
   */
  build(root: Restoree): void {
    this.#create(root);
    if (this.#nets.size === 0) return;
    const saved = [...this.#nets.values()].filter(({ isExternal }) => !isExternal);
    for (const net of this.#nets.values()) this.#lock(net);
    if (!this.options.emptyNs.includes("net")) this.#fill(saved);
    // Engines set it up in a new container, but not in one that comes back: what talks to itself would not any more.
    else for (const { id, route } of saved) setUp(route, LOOPBACK, true, `lo of net namespace ${id}`);
    for (const { id, fd } of saved)
      restoreConntrack(this.images, id, () => this.#helper.netlink(fd.number, NETLINK.NETFILTER));
  }

  /** Adds to the table of a process that has just been born of one in namespace `before`: its own namespace. @throws ImageValueError */
  enter(restoree: Restoree, number: number | undefined, before: number | undefined): void {
    if (number === undefined || number === before) return;
    const fd = this.isOther(number) ? this.#net(number).fd : this.#ourNamespace;
    this.#setns(restoree, fd.number);
  }

  socket(number: number | undefined, family: number, type: number, protocol = 0): Fd {
    if (!this.isOther(number)) return openSocket(family, type, protocol);
    return this.#helper.socket(this.#net(number).fd.number, family, type, protocol);
  }

  reopen(number: number | undefined, fd: number, flags: number, what: string): Fd {
    if (!this.isOther(number)) return OUR_NET.reopen(number, fd, flags, what);
    return this.#helper.reopened(this.#net(number).fd.number, fd, flags, what);
  }

  elsewhere(pid: HostPid | undefined, number: number | undefined): number | undefined {
    if (this.#nets.size === 0) return undefined;
    const fd = this.isOther(number) ? this.#net(number).fd : this.#ourNamespace;
    return stat(`/proc/${pid ?? "self"}/ns/net`).ino === statusOf(fd.number).ino ? undefined : fd.number;
  }

  linkOf(number: number | undefined, name: string): NetDeviceEntry | undefined {
    if (!this.isOther(number)) return undefined;
    return this.#net(number).links.find((link) => link.name === name);
  }

  path(number: number): string | undefined {
    return this.isOther(number) ? selfPath(this.#net(number).fd.number) : undefined;
  }

  /** Everything is there and nothing runs yet: connects devices with ours, and lays what lets packets pass. @throws KernelError */
  finish(): void {
    this.#links?.connect();
    for (const lock of this.#locks) lock.layRelease(this.undo);
    for (const { isExternal, fd } of this.#nets.values()) {
      const { lockMethod, runId } = this.plan;
      if (!isExternal) continue;
      for (const unlocking of dumpUnlocking(lockMethod, runId, networkAt(this.#helper, fd.number))) {
        this.#unlocking.push(unlocking);
        this.undo.layAfter("network lock", unlocking.steps);
      }
    }
  }

  /** Ends the process that made our calls; what is left of locks goes. */
  [Symbol.dispose](): void {
    for (const lock of this.#locks.splice(0)) lock.release();
    for (const unlocking of this.#unlocking.splice(0)) unlocking[Symbol.dispose]();
    this.#helper[Symbol.dispose]();
    for (const { fd, route } of this.#nets.values()) {
      route[Symbol.dispose]();
      fd.close();
    }
    this.#nets.clear();
    this.#ours?.close();
    this.#ours = undefined;
  }

  #ours: Fd | undefined;

  get #ourNamespace(): Fd {
    this.#ours ??= Fd.open("/proc/self/ns/net", O.RDONLY);
    return this.#ours;
  }

  #net(number: number | undefined): MadeNet {
    const id = number ?? this.plan.root;
    const net = id === undefined ? undefined : this.#nets.get(id);
    if (net === undefined) throw new ImageValueError(`there is no net namespace ${id}`);
    return net;
  }

  #entryOf(id: number): NetnsEntry | undefined {
    return this.images.tryReadOne(IMAGES.netns, id);
  }

  #keyOf(id: number): string | undefined {
    return this.#entryOf(id)?.ext_key;
  }

  #create(root: Restoree): void {
    const { plan } = this;
    const isOwner = this.rootIsNew;
    if (plan.root !== undefined && this.isOther(plan.root)) {
      this.#add(plan.root, isOwner ? namespaceOf(root) : this.#existing(plan.root));
      if (!isOwner) {
        this.#setns(root, this.#net(plan.root).fd.number);
        root.table.run();
      }
    }
    const all = new Set([...plan.others, ...this.#mentioned]);
    for (const id of [...all].filter((each) => this.isOther(each) && each !== plan.root)) {
      const key = this.#keyOf(id);
      if (key !== undefined) this.#add(id, this.#given(id, key));
      else if (isOwner) {
        // It belongs to the user namespace of the tree.
        root.table.must("a net namespace", NR.unshare, NEW.NET);
        root.table.run();
        this.#add(id, namespaceOf(root));
      } else this.#add(id, this.#helper.create());
    }
    if (isOwner && this.#nets.size > 1) {
      this.#setns(root, this.#net(plan.root).fd.number);
      root.table.run();
    }
  }

  /** That of the root, which is there. */
  #existing(id: number): Fd {
    const path = joined(this.options);
    return path === undefined ? this.#given(id, this.#keyOf(id) ?? "") : Fd.open(path, O.RDONLY);
  }

  #given(id: number, key: string): Fd {
    const given = this.options.inheritFd.map(parseInheritFd).find((each) => each.key === key);
    if (given === undefined)
      throw new ImageValueError(
        `netns-${id}.img: an external net namespace, which --inherit-fd fd[N]:${key} is to give`,
      );
    return Fd.open(selfPath(given.fd), O.RDONLY);
  }

  #add(id: number, fd: Fd): void {
    const entry = this.#entryOf(id);
    const isJoined = id === this.plan.root && joined(this.options) !== undefined;
    const isExternal = isJoined || entry?.ext_key !== undefined;
    const isEmpty = isExternal || this.options.emptyNs.includes("net");
    const links: readonly NetDeviceEntry[] = isEmpty ? [] : this.images.readAll(IMAGES.netdev, id);
    this.#nets.set(id, { id, fd, route: this.#helper.netlink(fd.number), links, entry, isExternal });
  }

  #setns(restoree: Restoree, fd: number): void {
    const inside = restoree.fetch("its net namespace", fd);
    restoree.table.must("its net namespace", NR.setns, inside, NEW.NET);
    restoree.table.must("its net namespace", NR.close, inside);
  }

  #lock({ fd }: MadeNet): void {
    if (this.plan.lockMethod === "skip") return;
    // Under a name of its own: that of the dump may be there.
    const lock = ourLock(newRunId(), networkAt(this.#helper, fd.number));
    this.#locks.push(new HeldLock(lock, this.undo, false));
  }

  #fill(nets: readonly MadeNet[]): void {
    const { images, options, owners, undo } = this;
    const helper = this.#helper;
    for (const { entry, fd, route } of nets) {
      if (entry === undefined) continue;
      restoreNetnsConf(helper.in(fd.number), entry, owners, options.weakSysctls);
      this.#numberOthers(entry, route);
    }
    using ours = Netlink.open(NETLINK.ROUTE);
    const context = {
      helper,
      ours,
      ourNamespace: this.#ourNamespace,
      undo,
      owners,
      external: this.#external,
    };
    const links = new LinksRestore(nets, context, options.weakSysctls);
    links.make();
    for (const net of nets) {
      const { id, fd, route, entry } = net;
      if (entry !== undefined) restoreDeviceConf(helper.in(fd.number), entry);
      links.setUp(net);
      restoreAddresses(images, id, route);
      links.settle(net);
      restoreNexthops(route, id, entry?.nexthops ?? []);
      restoreRoutes(images, id, route);
      restoreRules(images, id, route, entry?.missing_rules6 ?? []);
      restoreNeighbours(route, id, entry?.neighbours ?? []);
      restoreIptables(images, id, fd.number);
      restoreNftables(images, id, fd.number);
    }
    this.#links = links;
    log.debug("net", `${nets.length} net namespaces are filled`);
  }

  /** Has a namespace call others as it did. */
  #numberOthers({ nsids }: NetnsEntry, route: Netlink): void {
    for (const { target_ns_id, netnsid_value } of nsids) {
      const target = this.#nets.get(target_ns_id);
      if (target === undefined) continue;
      const body = new RequestBody(rtgenmsg.encode({}))
        .u32(NETNSA.FD, target.fd.number)
        .u32(NETNSA.NSID, netnsid_value).bytes;
      route.tell(`number of net namespace ${target_ns_id}`, { type: RTM.NEWNSID, flags: 0, body });
    }
  }

  readonly #external = (type: "veth" | "macvlan" | "netdev", name: string): string | undefined => {
    const start = `${type}[${name}]:`;
    const given = this.options.external.find((entry) => entry.startsWith(start));
    if (given !== undefined) return given.slice(start.length);
    if (type !== "veth") return undefined;
    const pair = this.options.vethPair.find((entry) => entry.startsWith(`${name}=`));
    return pair?.slice(name.length + 1);
  };
}

/** The file of the namespace that the tree is to join (--join-ns net:FILE or net:PID). */
function joined({ joinNs }: Pick<Options, "joinNs">): string | undefined {
  const where = joinNs.findLast((entry) => entry.startsWith("net:"))?.slice("net:".length);
  return where !== undefined && /^\d+$/.test(where) ? `/proc/${where}/ns/net` : where;
}

/** Our descriptor of the net namespace of a process. @throws KernelError */
function namespaceOf({ pid }: Restoree): Fd {
  return Fd.open(`/proc/${pid}/ns/net`, O.RDONLY);
}
