/**
 * Devices that CRIU has no entry for: made again with the attributes that the kernel tells of them. Images have them as links that
 * somebody else makes, whom CRIU waits for, with fields of our own.
 */
import { NdType } from "../../images/schema/generated/namespaces.ts";
import { attributesIn, eachAttribute, RequestBody } from "../../linux/netlink.ts";
import { u32 } from "../../linux/struct.ts";
import { UnsupportedError } from "../../process/errors.ts";
import { attributesOf, type Device, makeDevice } from "./devices.ts";
import { type LinkKind, nameOfLink } from "./link-kind.ts";

/** Numbers from 1 up to `last`, without some. */
function all(last: number, ...without: number[]): ReadonlySet<number> {
  const numbers = new Set<number>();
  for (let number = 1; number <= last; number++) if (!without.includes(number)) numbers.add(number);
  return numbers;
}

/** Attributes that each kind can be made with (include/uapi/linux/if_link.h). */
const DATA: ReadonlyMap<string, ReadonlySet<number>> = new Map([
  ["dummy", all(0)],
  ["ifb", all(0)],
  ["nlmon", all(0)],
  ["vlan", all(5)],
  ["ipvlan", all(2)],
  ["vrf", all(1)],
  ["vxlan", all(34)],
]);

/**
 * IFLA_VXLAN_LINK: what it stands on; _TTL_INHERIT: told as a byte, and taken where it is there; _REMCSUM_TX and _RX, which count as
 * soon as they are there.
 */
const VXLAN = { LINK: 3, TTL_INHERIT: 28, REMCSUM: [21, 22] as readonly number[] } as const;

function dataOf(kind: string, data: Uint8Array): Uint8Array {
  const kept = attributesOf(data, DATA.get(kind) ?? new Set());
  if (kind !== "vxlan") return kept;
  const made = new RequestBody();
  for (const [type, value] of eachAttribute(kept)) {
    const counts = type === VXLAN.TTL_INHERIT || VXLAN.REMCSUM.includes(type);
    if (counts && value[0] === 0) continue;
    made.raw(type, type === VXLAN.TTL_INHERIT ? new Uint8Array(0) : value);
  }
  return made.bytes.slice();
}

/** Devices that each namespace has from its beginning on where the kernel has tunnels: for packets of no other one. */
const FALLBACK: ReadonlySet<string> = new Set([
  "tunl0",
  "gre0",
  "gretap0",
  "erspan0",
  "sit0",
  "ip_vti0",
  "ip6_vti0",
  "ip6tnl0",
  "ip6gre0",
]);

export function isFallback({ name, kind }: Device): boolean {
  return kind !== undefined && FALLBACK.has(name);
}

export const otherLink: LinkKind = {
  type: NdType.EXTLINK,
  names: [...DATA.keys()],
  dump({ name, kind = "", data, link, linkNamespace }) {
    if (linkNamespace !== undefined)
      throw new UnsupportedError(
        `network device ${name}: a ${kind} on a device of another namespace, which cannot be dumped`,
      );
    const own = kind === "vxlan" ? attributesIn(data).get(VXLAN.LINK) : undefined;
    return { kind, link_data: dataOf(kind, data), link: own === undefined ? link : u32.read(own, 0) };
  },
  make(entry, { route }) {
    const { kind = "", link_data: data, link } = entry;
    makeDevice(route, entry, { kind, data, link }, nameOfLink(entry));
  },
};
