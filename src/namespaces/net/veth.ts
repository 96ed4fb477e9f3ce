/**
 * Pairs of devices, in one namespace or two of the tree, or with one end outside: that one gets the name that
 * --external veth[INNER]:OUTER@BRIDGE has, or one of the kernel's choice. One that was made beforehand, --external netdev[INNER]:NAME,
 * is moved to where it is wanted.
 */
import { NdType, type NetDeviceEntry } from "../../images/schema/generated/namespaces.ts";
import { interfaceIndex } from "../../linux/interface-names.ts";
import { encodeRequests, RequestBody } from "../../linux/netlink.ts";
import { NR } from "../../linux/nr.ts";
import { IFLA, ifinfomsg, RTM, VETH_INFO_PEER } from "../../linux/rtnetlink.ts";
import { awaitThat } from "../../linux/sleep.ts";
import { log } from "../../log.ts";
import { ImageValueError } from "../../process/errors.ts";
import { call } from "../../undo/calls.ts";
import { addCommon, changeDevice, makeDevice } from "./devices.ts";
import {
  type Link,
  type LinkKind,
  type LinkRestoreContext,
  nameOfLink,
  type RestoredNet,
} from "./link-kind.ts";

export const veth: LinkKind = {
  type: NdType.VETH,
  names: ["veth"],
  // Where its other end is, every entry says.
  dump: () => ({}),
  make(entry, net, context) {
    const moved = context.external("netdev", entry.name);
    const other = otherEnd(entry, context);
    if (moved !== undefined) move(entry, moved, net, context);
    else if (other === undefined) makeToOutside(entry, net, context);
    else makeBoth(entry, net, other, context);
  },
};

/** Its other end, where that is to be made as well. */
export function otherEnd(
  { name, peer_nsid, peer_ifindex }: NetDeviceEntry,
  context: Pick<LinkRestoreContext, "external" | "net">,
): Link | undefined {
  if (context.external("veth", name) !== undefined || context.external("netdev", name) !== undefined)
    return undefined;
  const net = peer_nsid === undefined ? undefined : context.net(peer_nsid);
  const entry = net?.links.find(({ ifindex, type }) => ifindex === peer_ifindex && type === NdType.VETH);
  return net && entry && { net, entry };
}

/** What the new device's other end is made with. */
function withPeer(peer: RequestBody): Uint8Array {
  return new RequestBody().raw(VETH_INFO_PEER, peer.bytes).bytes;
}

function makeBoth(
  entry: NetDeviceEntry,
  net: RestoredNet,
  { net: other, entry: peer }: Link,
  context: LinkRestoreContext,
): void {
  const body = addCommon(new RequestBody(ifinfomsg.encode({ index: peer.ifindex })), peer);
  body.u32(IFLA.NET_NS_FD, other.fd.number);
  const what = `${nameOfLink(entry)} with ${nameOfLink(peer)}`;
  makeDevice(net.route, entry, { kind: "veth", data: withPeer(body) }, what);
  context.made(other, peer);
}

function makeToOutside(entry: NetDeviceEntry, net: RestoredNet, context: LinkRestoreContext): void {
  const value = context.external("veth", entry.name) ?? "";
  const at = value.indexOf("@");
  const name = at < 0 ? value : value.slice(0, at);
  const peer = new RequestBody(ifinfomsg.encode({}));
  if (name !== "") peer.text(IFLA.IFNAME, name);
  peer.u32(IFLA.NET_NS_FD, context.ourNamespace.number);
  if (name === "")
    log.warn(
      "net",
      `${nameOfLink(entry)}: its other end was outside of the tree, and has a name of the kernel's choice now; --external veth[${entry.name}]:NAME@BRIDGE gives it one`,
    );
  if (name !== "") awaitEndOf(name, context);
  const what = `${nameOfLink(entry)}${name === "" ? "" : ` with ${name} outside`}`;
  makeDevice(net.route, entry, { kind: "veth", data: withPeer(peer) }, what);
  if (at >= 0) context.outside(name, value.slice(at + 1));
}

/** The kernel takes its time to do away with the namespace of a tree that has just been dumped, and with the other ends of its devices. */
function awaitEndOf(name: string, { ours }: LinkRestoreContext): void {
  awaitThat(() => interfaceIndex(ours.descriptor, name) === undefined, PATIENCE);
}

/** Milliseconds. */
const PATIENCE = 1000;

function move(entry: NetDeviceEntry, name: string, net: RestoredNet, context: LinkRestoreContext): void {
  const what = `${nameOfLink(entry)}, which was ${name} outside`;
  const index = interfaceIndex(context.ours.descriptor, name);
  if (index === undefined) throw new ImageValueError(`${what}: there is no device of that name`);
  const back = new RequestBody(ifinfomsg.encode({ index: entry.ifindex }))
    .text(IFLA.IFNAME, name)
    .u32(IFLA.NET_NS_FD, context.undo.keep(context.ourNamespace.dup()));
  const message = encodeRequests([{ type: RTM.NEWLINK, flags: 0, body: back.bytes, what }]);
  const socket = context.undo.keep(net.route.dup());
  const undo = context.undo.lay(what, [call(NR.sendto, socket, message, message.length, 0, 0, 0)]);
  try {
    changeDevice(context.ours, index, what, (body) => {
      addCommon(body, entry).u32(IFLA.NET_NS_FD, net.fd.number).u32(IFLA.NEW_IFINDEX, entry.ifindex);
    });
  } catch (error) {
    undo.drop();
    throw error;
  }
}
