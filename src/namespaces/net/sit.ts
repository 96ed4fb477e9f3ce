/** Tunnels of IPv6 in IPv4. */
import { NdType, type SitEntry } from "../../images/schema/generated/namespaces.ts";
import { attributesIn, RequestBody } from "../../linux/netlink.ts";
import { array, u16, u32 } from "../../linux/struct.ts";
import { ImageValueError } from "../../process/errors.ts";
import { makeDevice } from "./devices.ts";
import { type LinkKind, nameOfLink } from "./link-kind.ts";

/** IFLA_IPTUN_* of include/uapi/linux/if_tunnel.h. */
const LOCAL = 2;
const REMOTE = 3;
const PMTUDISC = 10;
const RD = { PREFIX: 11, RELAY_PREFIX: 12, PREFIX_LENGTH: 13, RELAY_PREFIX_LENGTH: 14 } as const;

type NumberField =
  | "link"
  | "ttl"
  | "tos"
  | "flags"
  | "proto"
  | "encap_type"
  | "encap_flags"
  | "encap_sport"
  | "encap_dport";

/** Attributes that an image has as they are, with their sizes in bytes. */
const NUMBERS: readonly (readonly [field: NumberField, type: number, size: 1 | 2 | 4])[] = [
  ["link", 1, 4],
  ["ttl", 4, 1],
  ["tos", 5, 1],
  ["flags", 8, 2],
  ["proto", 9, 1],
  ["encap_type", 15, 2],
  ["encap_flags", 16, 2],
  ["encap_sport", 17, 2],
  ["encap_dport", 18, 2],
];
const IPV6_WORDS = 4;
const ipv6Words = array(u32, IPV6_WORDS);

function numberIn(value: Uint8Array, size: 1 | 2 | 4): number {
  if (size === 1) return value[0] ?? 0;
  return size === 2 ? u16.read(value, 0) : u32.read(value, 0);
}

function entryOf(data: Uint8Array): SitEntry {
  const attributes = attributesIn(data);
  const entry: SitEntry = { local: [], remote: [], rd_prefix: [], relay_prefix: [] };
  for (const [field, type, size] of NUMBERS) {
    const value = attributes.get(type);
    if (value !== undefined) entry[field] = numberIn(value, size);
  }
  const host = (type: number): number[] => {
    const value = attributes.get(type);
    const word = value === undefined ? 0 : u32.read(value, 0);
    return word === 0 ? [] : [word];
  };
  entry.local = host(LOCAL);
  entry.remote = host(REMOTE);
  if ((attributes.get(PMTUDISC)?.[0] ?? 0) !== 0) entry.pmtudisc = true;
  const short = (type: number): number => {
    const value = attributes.get(type);
    return value === undefined ? 0 : u16.read(value, 0);
  };
  const prefix = attributes.get(RD.PREFIX);
  if (short(RD.PREFIX_LENGTH) === 0 || prefix === undefined) return entry;
  entry.rd_prefixlen = short(RD.PREFIX_LENGTH);
  entry.rd_prefix = ipv6Words.read(prefix, 0);
  if (short(RD.RELAY_PREFIX_LENGTH) === 0) return entry;
  entry.relay_prefixlen = short(RD.RELAY_PREFIX_LENGTH);
  entry.relay_prefix = host(RD.RELAY_PREFIX);
  return entry;
}

function dataOf(entry: SitEntry, what: string): Uint8Array {
  const body = new RequestBody();
  for (const [field, type, size] of NUMBERS) {
    const value = entry[field];
    if (value === undefined) continue;
    if (size === 1) body.u8(type, value);
    else if (size === 2) body.u16(type, value);
    else body.u32(type, value);
  }
  const one = (type: number, words: readonly number[], name: string): void => {
    const [word, ...others] = words;
    if (word === undefined) return;
    if (others.length > 0) throw new ImageValueError(`${what}: its ${name} address has too many words`);
    body.u32(type, word);
  };
  one(LOCAL, entry.local, "local");
  one(REMOTE, entry.remote, "remote");
  if (entry.pmtudisc === true) body.u8(PMTUDISC, 1);
  if (entry.rd_prefixlen === undefined) return body.bytes;
  if (entry.rd_prefix.length !== IPV6_WORDS)
    throw new ImageValueError(`${what}: its prefix (6rd) is no IPv6 address`);
  const prefix = new Uint8Array(ipv6Words.size);
  ipv6Words.write(prefix, 0, entry.rd_prefix);
  body.u16(RD.PREFIX_LENGTH, entry.rd_prefixlen).raw(RD.PREFIX, prefix);
  if (entry.relay_prefixlen === undefined) return body.bytes;
  body.u16(RD.RELAY_PREFIX_LENGTH, entry.relay_prefixlen);
  one(RD.RELAY_PREFIX, entry.relay_prefix, "relay prefix's");
  return body.bytes;
}

export const sit: LinkKind = {
  type: NdType.SIT,
  names: ["sit"],
  dump: ({ data }) => ({ sit: entryOf(data) }),
  make(entry, { route }) {
    const what = nameOfLink(entry);
    if (entry.sit === undefined)
      throw new ImageValueError(`${what}: its image does not say what tunnel it is`);
    makeDevice(route, entry, { kind: "sit", data: dataOf(entry.sit, what) }, what);
  },
};
