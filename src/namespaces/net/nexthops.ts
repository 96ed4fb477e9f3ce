/**
 * Ways that routes share (ip nexthop), and groups of them. CRIU does not save them; netns-ID.img has them as messages of netlink.
 */
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { attributesIn, type Netlink, NLM, RequestBody } from "../../linux/netlink.ts";
import { NEXTHOP_GRP_TYPE_RES, NHA, nhmsg, RTM, RTNH_F_ONLINK } from "../../linux/rtnetlink.ts";
import { u16 } from "../../linux/struct.ts";
import { UnsupportedError } from "../../process/errors.ts";

/** Attributes that it can be made with: ID, GROUP, GROUP_TYPE, BLACKHOLE, OIF, GATEWAY, ENCAP_TYPE, ENCAP, FDB. */
const SETTINGS: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 11]);

/** What makes it again: scope, state and counters are the kernel's to find out. */
function making(body: Uint8Array): Uint8Array {
  const { family, protocol, flags } = nhmsg.decode(body);
  const made = new RequestBody(nhmsg.encode({ family, protocol, flags: flags & RTNH_F_ONLINK }));
  for (const [type, value] of attributesIn(body, nhmsg.size)) if (SETTINGS.has(type)) made.raw(type, value);
  return made.bytes.slice();
}

function isGroup(body: Uint8Array): boolean {
  return attributesIn(body, nhmsg.size).has(NHA.GROUP);
}

function isResilient(body: Uint8Array): boolean {
  const type = attributesIn(body, nhmsg.size).get(NHA.GROUP_TYPE);
  return type !== undefined && u16.read(type, 0) === NEXTHOP_GRP_TYPE_RES;
}

/** All of namespace `id`, groups behind what they are made of. @throws KernelError, UnsupportedError */
export function readNexthops(route: Netlink, id: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  const ask = { type: RTM.GETNEXTHOP, flags: NLM.DUMP, body: nhmsg.encode({}) };
  try {
    route.ask(
      "list of nexthops",
      ask,
      ({ type, body }) => {
        if (type === RTM.NEWNEXTHOP) found.push(making(body));
      },
      () => found.splice(0),
    );
  } catch (error) {
    // A kernel before 5.3.
    if (!isErrno(error, ERRNO.EOPNOTSUPP)) throw error;
  }
  if (found.some(isResilient))
    throw new UnsupportedError(
      `net namespace ${id}: a resilient group of nexthops, which cannot be dumped; one of type mpath can`,
    );
  return [...found.filter((body) => !isGroup(body)), ...found.filter(isGroup)];
}

/** The devices are up and have their addresses. @throws KernelError */
export function restoreNexthops(route: Netlink, id: number, nexthops: readonly Uint8Array[]): void {
  for (const body of nexthops) {
    const flags = NLM.CREATE | NLM.EXCL;
    route.tell(`net namespace ${id}: a nexthop`, { type: RTM.NEWNEXTHOP, flags, body });
  }
}
