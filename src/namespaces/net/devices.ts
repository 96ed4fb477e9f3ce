/** Network devices as the kernel tells of them, and the messages that make and change them. */
import type { NetDeviceEntry } from "../../images/schema/generated/namespaces.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import {
  type Attributes,
  attributesIn,
  attributeText,
  eachAttribute,
  type Netlink,
  NLM,
  RequestBody,
} from "../../linux/netlink.ts";
import {
  IFF,
  IFF_SETTABLE,
  IFLA,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO,
  ifinfomsg,
  RTEXT_FILTER_SKIP_STATS,
  RTM,
} from "../../linux/rtnetlink.ts";
import { AF } from "../../linux/socket.ts";
import { s32, u32 } from "../../linux/struct.ts";

export interface Device {
  readonly index: number;
  readonly name: string;
  /** A value of ARPHRD. */
  readonly hardware: number;
  /** As SIOCGIFFLAGS tells them. */
  readonly flags: number;
  readonly mtu: number;
  readonly address: Uint8Array | undefined;
  /** Index of the device that it stands on, or that is its other end. */
  readonly link: number | undefined;
  /** How the namespace calls the one that `link` is of; undefined where that is the same. */
  readonly linkNamespace: number | undefined;
  /** Index of the device that it is a port of. */
  readonly master: number | undefined;
  /** What the kernel calls its kind; undefined for one that is nobody's to make. */
  readonly kind: string | undefined;
  /** Attributes that it was made with, as far as the kernel tells. */
  readonly data: Uint8Array;
  /** What its master keeps of it, and what kind that is of. */
  readonly portKind: string | undefined;
  readonly portData: Uint8Array;
  readonly queueLength: number;
  readonly group: number;
  readonly alias: string | undefined;
  readonly otherNames: readonly string[];
  readonly addrGenMode: number | undefined;
}

const NOTHING = new Uint8Array(0);

function addrGenModeOf(attributes: Attributes): number | undefined {
  const families = attributes.get(IFLA.AF_SPEC);
  const inet6 = families && attributesIn(families).get(AF.INET6);
  return inet6 && attributesIn(inet6).get(IFLA_INET6_ADDR_GEN_MODE)?.[0];
}

function deviceOf(body: Uint8Array): Device {
  const { type, index, flags } = ifinfomsg.decode(body);
  const attributes = attributesIn(body, ifinfomsg.size);
  const number = (name: number): number | undefined => {
    const value = attributes.get(name);
    return value === undefined ? undefined : u32.read(value, 0);
  };
  const text = (from: Attributes, name: number): string | undefined => {
    const value = from.get(name);
    return value === undefined ? undefined : attributeText(value);
  };
  const info = attributesIn(attributes.get(IFLA.LINKINFO) ?? NOTHING);
  const namespace = attributes.get(IFLA.LINK_NETNSID);
  const names = eachAttribute(attributes.get(IFLA.PROP_LIST) ?? NOTHING);
  return {
    index,
    name: text(attributes, IFLA.IFNAME) ?? "",
    hardware: type,
    flags,
    mtu: number(IFLA.MTU) ?? 0,
    address: attributes.get(IFLA.ADDRESS)?.slice(),
    link: number(IFLA.LINK),
    linkNamespace: namespace === undefined ? undefined : s32.read(namespace, 0),
    master: number(IFLA.MASTER),
    kind: text(info, IFLA_INFO.KIND),
    data: (info.get(IFLA_INFO.DATA) ?? NOTHING).slice(),
    portKind: text(info, IFLA_INFO.SLAVE_KIND),
    portData: (info.get(IFLA_INFO.SLAVE_DATA) ?? NOTHING).slice(),
    queueLength: number(IFLA.TXQLEN) ?? 0,
    group: number(IFLA.GROUP) ?? 0,
    alias: text(attributes, IFLA.IFALIAS),
    otherNames: [...names].flatMap(([type, value]) =>
      type === IFLA.ALT_IFNAME ? [attributeText(value)] : [],
    ),
    addrGenMode: addrGenModeOf(attributes),
  };
}

/** All devices of the namespace that a socket speaks of. @throws KernelError */
export function readDevices(route: Netlink): Device[] {
  const devices: Device[] = [];
  const body = new RequestBody(ifinfomsg.encode({})).u32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS).bytes;
  route.ask(
    "list of network devices",
    { type: RTM.GETLINK, flags: NLM.DUMP, body },
    (message) => {
      if (message.type === RTM.NEWLINK) devices.push(deviceOf(message.body));
    },
    () => devices.splice(0),
  );
  return devices;
}

/** The attributes of a list that are of these types, as bytes of a list. */
export function attributesOf(bytes: Uint8Array, types: ReadonlySet<number>): Uint8Array {
  const kept = new RequestBody();
  for (const [type, value] of eachAttribute(bytes)) if (types.has(type)) kept.raw(type, value);
  return kept.bytes.slice();
}

/** A device by its index. @throws KernelError */
export function readDevice(route: Netlink, index: number, what: string): Device {
  let found: Device | undefined;
  route.ask(what, { type: RTM.GETLINK, flags: 0, body: ifinfomsg.encode({ index }) }, (message) => {
    found = deviceOf(message.body);
  });
  if (found === undefined) throw new KernelError("netlink", what, ERRNO.ENODEV);
  return found;
}

/** The attributes of a list that another one has otherwise: what is as it is needs not be set, and often cannot be. */
export function changedAttributes(wanted: Uint8Array, now: Uint8Array): Uint8Array {
  const kept = new RequestBody();
  const there = attributesIn(now);
  for (const [type, value] of eachAttribute(wanted)) {
    const same = there.get(type);
    const isSame = same?.length === value.length && same.every((byte, i) => byte === value[i]);
    if (!isSame) kept.raw(type, value);
  }
  return kept.bytes.slice();
}

/** What a new device is made of besides what its entry has. */
export interface NewDevice {
  readonly kind: string;
  /** Attributes of its kind. */
  readonly data?: Uint8Array | undefined;
  /** Index of the device that it stands on, in the namespace of the socket. */
  readonly link?: number | undefined;
  /** Our descriptor of the namespace that it is to be in, if that is not the one of the socket. */
  readonly namespace?: number | undefined;
}

/** Adds what every device may be told when it is made: it is down yet. */
export function addCommon(body: RequestBody, entry: NetDeviceEntry): RequestBody {
  body.text(IFLA.IFNAME, entry.name).u32(IFLA.MTU, entry.mtu);
  if (entry.address !== undefined && entry.address.length > 0) body.raw(IFLA.ADDRESS, entry.address);
  if (entry.queue_length !== undefined) body.u32(IFLA.TXQLEN, entry.queue_length);
  if (entry.group !== undefined) body.u32(IFLA.GROUP, entry.group);
  return body;
}

/** Makes a device under the index of its entry. @throws KernelError */
export function makeDevice(route: Netlink, entry: NetDeviceEntry, made: NewDevice, what: string): void {
  const body = addCommon(new RequestBody(ifinfomsg.encode({ index: entry.ifindex })), entry);
  if (made.link !== undefined) body.u32(IFLA.LINK, made.link);
  if (made.namespace !== undefined) body.u32(IFLA.NET_NS_FD, made.namespace);
  body.nest(IFLA.LINKINFO, () => {
    body.text(IFLA_INFO.KIND, made.kind);
    const { data } = made;
    if (data !== undefined && data.length > 0) body.raw(IFLA_INFO.DATA, data);
  });
  route.tell(what, { type: RTM.NEWLINK, flags: NLM.CREATE | NLM.EXCL, body: body.bytes });
}

/** Changes a device of the namespace. @throws KernelError */
export function changeDevice(
  route: Netlink,
  index: number,
  what: string,
  fill: (body: RequestBody) => void = () => {},
  flags: { readonly flags: number; readonly change: number } = { flags: 0, change: 0 },
): void {
  const body = new RequestBody(ifinfomsg.encode({ index, ...flags }));
  fill(body);
  // Some of what is asked for RTM_SETLINK passes over.
  route.tell(what, { type: RTM.NEWLINK, flags: 0, body: body.bytes });
}

/** Gives a device the flags of its entry, all but that it is up. @throws KernelError */
export function setFlags(route: Netlink, entry: NetDeviceEntry, what: string): void {
  changeDevice(route, entry.ifindex, what, undefined, {
    flags: entry.flags & IFF_SETTABLE,
    change: IFF_SETTABLE,
  });
}

/** @throws KernelError */
export function setUp(route: Netlink, index: number, isUp: boolean, what: string): void {
  changeDevice(route, index, what, undefined, { flags: isUp ? IFF.UP : 0, change: IFF.UP });
}

/** Sets how link-local IPv6 addresses of a device come about; a kernel without IPv6 knows nothing of it. @throws KernelError */
export function setAddrGenMode(route: Netlink, index: number, mode: number, what: string): void {
  changeDevice(route, index, what, (body) =>
    body.nest(IFLA.AF_SPEC, () => body.nest(AF.INET6, () => body.u8(IFLA_INET6_ADDR_GEN_MODE, mode))),
  );
}

/** Gives a device further names. @throws KernelError */
export function addNames(route: Netlink, index: number, names: readonly string[], what: string): void {
  const body = new RequestBody(ifinfomsg.encode({ index }));
  body.nest(IFLA.PROP_LIST, () => {
    for (const name of names) body.text(IFLA.ALT_IFNAME, name);
  });
  const flags = NLM.CREATE | NLM.EXCL | NLM.APPEND;
  route.tell(what, { type: RTM.NEWLINKPROP, flags, body: body.bytes });
}
