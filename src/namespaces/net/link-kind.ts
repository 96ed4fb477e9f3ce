/** What a kind of network device is, and what its dump and its restore are given. A kind stands in a file of its own; link-kinds.ts names them. */
import type { NdType, NetDeviceEntry } from "../../images/schema/generated/namespaces.ts";
import type { Fd } from "../../linux/fd.ts";
import type { Netlink } from "../../linux/netlink.ts";
import type { Owners } from "../../linux/owners.ts";
import type { Undo } from "../../undo/undo.ts";
import type { Device } from "./devices.ts";
import type { NetHelper } from "./helper.ts";

/** What an image has of a device besides what every device has. */
export type KindFields = Partial<
  Pick<NetDeviceEntry, "tun" | "macvlan" | "sit" | "kind" | "link_data" | "link">
>;

/** A namespace that is being dumped. */
export interface DumpedNet {
  /** Its number in the images. */
  readonly id: number;
  /** Our descriptor of it, lent. */
  readonly fd: number;
}

/** What the kernel tells only of a tun device that is open. */
export interface TunState {
  readonly vnetHeader: number;
  readonly sendBuffer: number;
  /** Those of TUN_FLAG that netlink does not tell. */
  readonly flags: number;
}

export interface LinkDumpContext {
  readonly helper: NetHelper;
  /** What the tree calls owners, by our ids. */
  readonly owners: Owners;
  /** Of a tun device that a process of the tree has open. */
  tunOf(net: DumpedNet, name: string): TunState | undefined;
}

/** A namespace that is being restored. */
export interface RestoredNet {
  /** Its number in the images. */
  readonly id: number;
  readonly fd: Fd;
  /** Speaks of it. */
  readonly route: Netlink;
  readonly links: readonly NetDeviceEntry[];
}

/** A device in its namespace. */
export interface Link {
  readonly net: RestoredNet;
  readonly entry: NetDeviceEntry;
}

export interface LinkRestoreContext {
  readonly helper: NetHelper;
  /** Speaks of our own namespace. */
  readonly ours: Netlink;
  /** Our own namespace. */
  readonly ourNamespace: Fd;
  readonly undo: Undo;
  /** What we call the owners that images name. */
  readonly owners: Owners;
  /** What --external says of a device, `TYPE[NAME]:VALUE`. */
  external(type: "veth" | "macvlan" | "netdev", name: string): string | undefined;
  /** The namespace of a number; undefined for ours, and for one that is none of the tree's. */
  net(id: number): RestoredNet | undefined;
  /** A device was made along with another one. */
  made(net: RestoredNet, link: NetDeviceEntry): void;
  /** One end of a pair is ours: when all is done it is set up, as a port of a bridge. */
  outside(name: string, bridge: string): void;
}

export interface LinkKind {
  readonly type: NdType;
  /** What the kernel calls it. */
  readonly names: readonly string[];
  /** @throws UnsupportedError, KernelError */
  dump(device: Device, net: DumpedNet, context: LinkDumpContext): KindFields;
  /** Makes it, with what every device has. @throws KernelError, ImageValueError */
  make(entry: NetDeviceEntry, net: RestoredNet, context: LinkRestoreContext): void;
}

/** Names a device in messages. */
export function nameOfLink({ name, ifindex }: NetDeviceEntry): string {
  return `network device ${name} (${ifindex})`;
}
