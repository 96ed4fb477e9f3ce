/**
 * Neighbours that somebody has noted for good, or that this machine answers for, also of bridges and tunnels (fdb): what the kernel
 * finds out by itself it finds out again. CRIU does not save them; netns-ID.img has them as messages of netlink.
 */
import { attributesIn, type Message, type Netlink, NLM, RequestBody } from "../../linux/netlink.ts";
import { NDA, NTF, NUD, ndmsg, RTM } from "../../linux/rtnetlink.ts";
import { AF } from "../../linux/socket.ts";
import type { Device } from "./devices.ts";

/** What says when it was used, or of whom it is a port. */
const LEFT_OUT: ReadonlySet<number> = new Set([NDA.CACHEINFO, NDA.PROBES, NDA.MASTER]);
const VXLAN = "vxlan";

function read(route: Netlink, family: number, flags: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  const ask = { type: RTM.GETNEIGH, flags: NLM.DUMP, body: ndmsg.encode({ family, flags }) };
  const take = ({ type, body }: Message) => {
    if (type === RTM.NEWNEIGH) found.push(body.slice());
  };
  route.ask("list of neighbours", ask, take, () => found.splice(0));
  return found;
}

/** What makes it again, with these flags. */
function making(body: Uint8Array, flags: number): Uint8Array {
  const made = new RequestBody(ndmsg.encode({ ...ndmsg.decode(body), flags }));
  for (const [type, value] of attributesIn(body, ndmsg.size)) if (!LEFT_OUT.has(type)) made.raw(type, value);
  return made.bytes.slice();
}

/** Entries of bridges, and of tunnels that send by hardware address, that were not learnt. */
function readForwarding(route: Netlink, devices: readonly Device[]): Uint8Array[] {
  const found: Uint8Array[] = [];
  const kinds = new Map(devices.map(({ index, kind }) => [index, kind]));
  for (const body of read(route, AF.BRIDGE, 0)) {
    const { index, state, flags } = ndmsg.decode(body);
    const attributes = attributesIn(body, ndmsg.size);
    // Those of the ports themselves are permanent there.
    if (attributes.has(NDA.MASTER)) {
      if ((state & NUD.NOARP) !== 0) found.push(making(body, NTF.MASTER));
    } else if (kinds.get(index) === VXLAN && attributes.has(NDA.DST)) {
      if ((state & (NUD.NOARP | NUD.PERMANENT)) !== 0) found.push(making(body, flags | NTF.SELF));
    }
  }
  return found;
}

/** @throws KernelError */
export function readNeighbours(route: Netlink, devices: readonly Device[]): Uint8Array[] {
  const noted = read(route, AF.UNSPEC, 0).filter(
    (body) => (ndmsg.decode(body).state & NUD.PERMANENT) !== 0 && ndmsg.decode(body).family !== AF.BRIDGE,
  );
  const answeredFor = read(route, AF.UNSPEC, NTF.PROXY);
  const hasForwarding = devices.some(({ kind }) => kind === VXLAN || kind === "bridge");
  return [
    ...noted.map((body) => making(body, ndmsg.decode(body).flags)),
    ...answeredFor.map((body) => making(body, NTF.PROXY)),
    ...(hasForwarding ? readForwarding(route, devices) : []),
  ];
}

/** @throws KernelError */
export function restoreNeighbours(route: Netlink, id: number, neighbours: readonly Uint8Array[]): void {
  for (const body of neighbours) {
    const flags = NLM.CREATE | NLM.REPLACE;
    route.tell(`net namespace ${id}: a neighbour`, { type: RTM.NEWNEIGH, flags, body });
  }
}
