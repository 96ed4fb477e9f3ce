/** The devices of a network namespace: netdev-ID.img. */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import { NdType, type NetDeviceEntry } from "../../images/schema/generated/namespaces.ts";
import { ARPHRD, IFF } from "../../linux/rtnetlink.ts";
import { log } from "../../log.ts";
import { UnsupportedError } from "../../process/errors.ts";
import { PORT_SETTINGS } from "./bridge.ts";
import { attributesOf, type Device } from "./devices.ts";
import type { DumpedNet, KindFields, LinkDumpContext } from "./link-kind.ts";
import { LINK_KINDS } from "./link-kinds.ts";
import { isFallback } from "./other-links.ts";
import { type ConfTable, readConf } from "./sysctls.ts";

/** What a dump of devices needs besides. */
export interface LinksDumpContext extends LinkDumpContext {
  readonly images: ImageDir;
  /** Whether somebody else saves what device it is, and brings it back. */
  isExternal(device: Device): boolean;
  /** The number, in the images, of the namespace that `net` calls so; undefined for one that is not the tree's. */
  namespaceOf(net: DumpedNet, netnsid: number): number | undefined;
}

/** Ports of bridges are saved with their settings, those of other masters cannot be. */
const BRIDGE = "bridge";

function refuse(device: Device, { id }: DumpedNet): never {
  const { name, index, hardware, kind } = device;
  const what = kind === undefined ? `of hardware type ${hardware}` : `of kind ${kind}`;
  throw new UnsupportedError(
    `net namespace ${id}: network device ${name} (${index}) ${what}, which cannot be dumped; a plugin can save it, or it can be removed before`,
  );
}

function fieldsOf(
  device: Device,
  net: DumpedNet,
  context: LinksDumpContext,
): KindFields & { readonly type: NdType } {
  if (device.hardware === ARPHRD.LOOPBACK) return { type: NdType.LOOPBACK };
  const kind = LINK_KINDS.find(({ names }) => device.kind !== undefined && names.includes(device.kind));
  if (kind !== undefined) return { type: kind.type, ...kind.dump(device, net, context) };
  if (context.isExternal(device)) return { type: NdType.EXTLINK };
  refuse(device, net);
}

function entryOf(device: Device, net: DumpedNet, context: LinksDumpContext): NetDeviceEntry {
  const { name, link = device.index, linkNamespace, master, portKind } = device;
  if (master !== undefined && portKind !== undefined && portKind !== BRIDGE)
    throw new UnsupportedError(
      `net namespace ${net.id}: network device ${name} is a port of a ${portKind}, which cannot be dumped`,
    );
  const peer = linkNamespace === undefined ? net.id : context.namespaceOf(net, linkNamespace);
  if (peer === undefined)
    log.debug("net", `network device ${name}: its other end is in a namespace that is not of the tree`);
  const fields = fieldsOf(device, net, context);
  return {
    ifindex: device.index,
    mtu: device.mtu,
    flags: device.flags,
    name,
    ...fields,
    address: fields.type === NdType.LOOPBACK ? undefined : device.address,
    conf: [],
    conf4: [],
    conf6: [],
    peer_ifindex: link,
    peer_nsid: peer,
    master,
    port_data: master === undefined ? undefined : attributesOf(device.portData, PORT_SETTINGS),
    queue_length: device.queueLength,
    group: device.group === 0 ? undefined : device.group,
    alias: device.alias,
    other_names: [...device.otherNames],
    addr_gen_mode: device.addrGenMode,
  };
}

/** @throws UnsupportedError, KernelError, ImageError */
export function dumpLinks(devices: readonly Device[], net: DumpedNet, context: LinksDumpContext): void {
  // Those that are there by themselves are there by themselves again.
  const saved = devices.filter((device) => !isFallback(device) || (device.flags & IFF.UP) !== 0);
  const entries = saved.map((device) => entryOf(device, net, context));
  const tables = entries.flatMap(({ name }): ConfTable[] => [
    { version: "ipv4", of: name },
    { version: "ipv6", of: name },
  ]);
  const values = readConf(context.helper.in(net.fd), tables);
  entries.forEach((entry, i) => {
    entry.conf4 = values[2 * i] ?? [];
    entry.conf6 = values[2 * i + 1] ?? [];
  });
  context.images.writeAll(IMAGES.netdev, entries, net.id);
}
