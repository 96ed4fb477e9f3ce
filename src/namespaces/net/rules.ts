/**
 * Rules that say which table of routes counts: rule-ID.img, as `ip rule save` writes it. CRIU saves those of IPv4; those of IPv6 that
 * a new namespace has not follow them.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { RAW_IMAGES } from "../../images/kinds.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { attributesIn, type Message, type Netlink, NLM, RequestBody } from "../../linux/netlink.ts";
import { FRA, RT_TABLE, RTM, rtmsg } from "../../linux/rtnetlink.ts";
import { AF } from "../../linux/socket.ts";
import { u32 } from "../../linux/struct.ts";
import { copyOf, readStream, type StreamKind, writeStream } from "./stream.ts";

const STREAM: StreamKind = { raw: RAW_IMAGES.rule, magic: 0x71706986 };
/** The rules of IPv6 that a new namespace has: the tables that everything is looked up in, by preference. */
const NEW6: ReadonlyMap<number, number> = new Map([
  [0, RT_TABLE.LOCAL],
  [32766, RT_TABLE.MAIN],
]);
/** Attributes of a rule that is for everything. */
const OF_ALL: readonly number[] = [FRA.PRIORITY, FRA.SUPPRESS_PREFIX_LENGTH, FRA.TABLE, FRA.PROTOCOL];
/** No routes are suppressed. */
const NONE = 0xffff_ffff;

function read(route: Netlink, family: number): Message[] {
  const found: Message[] = [];
  const ask = { type: RTM.GETRULE, flags: NLM.DUMP, body: rtmsg.encode({ family }) };
  const take = (message: Message) => {
    const isRule = message.type === RTM.NEWRULE && rtmsg.decode(message.body).family === family;
    if (isRule) found.push(copyOf(message));
  };
  try {
    route.ask("list of rules", ask, take, () => found.splice(0));
  } catch (error) {
    // A kernel without rules.
    if (!isErrno(error, ERRNO.EAFNOSUPPORT) && !isErrno(error, ERRNO.EOPNOTSUPP)) throw error;
  }
  return found;
}

function numberOf(body: Uint8Array, name: number): number | undefined {
  const value = attributesIn(body, rtmsg.size).get(name);
  return value === undefined ? undefined : u32.read(value, 0);
}

function preferenceOf({ body }: Message): number {
  return numberOf(body, FRA.PRIORITY) ?? 0;
}

function isNew6(rule: Message): boolean {
  const { body } = rule;
  const { destinationLength, sourceLength, tos } = rtmsg.decode(body);
  if (destinationLength + sourceLength + tos !== 0) return false;
  if ([...attributesIn(body, rtmsg.size).keys()].some((name) => !OF_ALL.includes(name))) return false;
  const suppressed = numberOf(body, FRA.SUPPRESS_PREFIX_LENGTH) ?? NONE;
  return suppressed === NONE && NEW6.get(preferenceOf(rule)) === numberOf(body, FRA.TABLE);
}

/** Without a preference the kernel would choose one. */
function withPreference(rule: Message): Message {
  const { type, body } = rule;
  if (numberOf(body, FRA.PRIORITY) !== undefined) return rule;
  const made = new RequestBody(rtmsg.encode(rtmsg.decode(body))).u32(FRA.PRIORITY, 0);
  for (const [name, value] of attributesIn(body, rtmsg.size)) made.raw(name, value);
  return { type, body: made.bytes.slice() };
}

/** Gives the preferences of rules of IPv6 that a new namespace has, and this one has not. @throws KernelError, ImageError */
export function dumpRules(images: ImageDir, id: number, route: Netlink): number[] {
  const rules6 = read(route, AF.INET6);
  const rules = [...read(route, AF.INET), ...rules6.filter((rule) => !isNew6(rule))];
  writeStream(images, STREAM, id, rules.map(withPreference));
  const there = new Set(rules6.filter(isNew6).map(preferenceOf));
  return rules6.length === 0 ? [] : [...NEW6.keys()].filter((preference) => !there.has(preference));
}

/** @throws KernelError, ImageError */
export function restoreRules(
  images: ImageDir,
  id: number,
  route: Netlink,
  missing6: readonly number[],
): void {
  const rules = readStream(images, STREAM, id).filter(({ type }) => type === RTM.NEWRULE);
  const what = `net namespace ${id}: a rule of routes`;
  const isV4 = ({ body }: Message) => rtmsg.decode(body).family === AF.INET;
  const remove = ({ body }: Message) => route.tell(what, { type: RTM.DELRULE, flags: 0, body });
  if (rules.some(isV4)) for (const rule of read(route, AF.INET)) remove(rule);
  if (missing6.length > 0)
    for (const rule of read(route, AF.INET6)) if (missing6.includes(preferenceOf(rule))) remove(rule);
  for (const rule of rules) {
    const { body } = withPreference(rule);
    route.tell(what, { type: RTM.NEWRULE, flags: NLM.CREATE, body });
  }
}
