/**
 * Routes: route-ID.img and route6-ID.img, as `ip route save` and `ip -6 route save` write them. CRIU saves those of the main table;
 * we save those of the others as well, but for what the kernel makes by itself of addresses.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { RAW_IMAGES } from "../../images/kinds.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { attributesIn, type Message, type Netlink, NLM, RequestBody } from "../../linux/netlink.ts";
import {
  RT_TABLE,
  RTA,
  RTM,
  RTM_F_CLONED,
  RTNH_STATE,
  RTPROT,
  rtaCacheinfo,
  rtmsg,
  rtnexthop,
} from "../../linux/rtnetlink.ts";
import { AF } from "../../linux/socket.ts";
import { u32 } from "../../linux/struct.ts";
import { copyOf, readStream, type StreamKind, writeStream } from "./stream.ts";

/** Of a second: times to live. */
const HUNDREDTHS = 100;
const MAGIC = 0x45311224;
const V4: StreamKind = { raw: RAW_IMAGES.route, magic: MAGIC };
const V6: StreamKind = { raw: RAW_IMAGES.route6, magic: MAGIC };

function tableOf(body: Uint8Array): number {
  const table = attributesIn(body, rtmsg.size).get(RTA.TABLE);
  return table === undefined ? rtmsg.decode(body).table : u32.read(table, 0);
}

function isSaved(body: Uint8Array): boolean {
  const { flags, protocol } = rtmsg.decode(body);
  if ((flags & RTM_F_CLONED) !== 0) return false;
  return tableOf(body) === RT_TABLE.MAIN || protocol !== RTPROT.KERNEL;
}

function read(route: Netlink, family: number): Message[] {
  const found: Message[] = [];
  const ask = { type: RTM.GETROUTE, flags: NLM.DUMP, body: rtmsg.encode({ family }) };
  const take = (message: Message) => {
    if (message.type === RTM.NEWROUTE) found.push(copyOf(message));
  };
  route.ask("list of routes", ask, take, () => found.splice(0));
  return found;
}

/** The ways of a route without what tells of their state. */
function waysOf(value: Uint8Array): Uint8Array {
  const ways = value.slice();
  for (let at = 0; at + rtnexthop.size <= ways.length; ) {
    const { length, flags } = rtnexthop.decode(ways, at);
    if (length < rtnexthop.size) break;
    rtnexthop.encodeInto(ways, at, { flags: flags & ~RTNH_STATE });
    at += (length + 3) & ~3;
  }
  return ways;
}

/** What a route that stands on a way of others' is told to have of it, and cannot be given. */
const OF_THE_WAY: ReadonlySet<number> = new Set([
  RTA.OIF,
  RTA.GATEWAY,
  RTA.MULTIPATH,
  RTA.VIA,
  RTA.ENCAP_TYPE,
  RTA.ENCAP,
]);

/** What makes the route again: the kernel does not take back what tells of its state. */
function making({ type, body }: Message): Message {
  const head = rtmsg.decode(body);
  const attributes = attributesIn(body, rtmsg.size);
  const isShared = attributes.has(RTA.NH_ID);
  const made = new RequestBody(rtmsg.encode({ ...head, flags: isShared ? 0 : head.flags & ~RTNH_STATE }));
  for (const [name, value] of attributes) {
    if (isShared && OF_THE_WAY.has(name)) continue;
    if (name !== RTA.CACHEINFO) made.raw(name, name === RTA.MULTIPATH ? waysOf(value) : value);
    else if (rtaCacheinfo.decode(value).expires > 0)
      made.u32(RTA.EXPIRES, Math.ceil(rtaCacheinfo.decode(value).expires / HUNDREDTHS));
  }
  return { type, body: made.bytes.slice() };
}

/** @throws KernelError, ImageError */
export function dumpRoutes(images: ImageDir, id: number, route: Netlink): void {
  for (const [stream, family] of [
    [V4, AF.INET],
    [V6, AF.INET6],
  ] as const) {
    // A kernel without IPv6 tells of the others instead.
    const routes = read(route, family).filter(
      ({ body }) => rtmsg.decode(body).family === family && isSaved(body),
    );
    writeStream(images, stream, id, routes.map(making));
  }
}

/** What a route stands on comes first: those to hosts of a link, then those by way of them. */
function byScope(one: Message, other: Message): number {
  return rtmsg.decode(other.body).scope - rtmsg.decode(one.body).scope;
}

/** Many may be on the way of each other. */
const ROUNDS = 3;

/** The devices are up and have their addresses. @throws KernelError, ImageError */
export function restoreRoutes(images: ImageDir, id: number, route: Netlink): void {
  for (const stream of [V4, V6]) {
    let waiting = readStream(images, stream, id).filter(({ type }) => type === RTM.NEWROUTE);
    waiting = waiting.map(making).sort(byScope);
    for (let round = 1; waiting.length > 0; round++) {
      const isLast = round === ROUNDS;
      waiting = waiting.filter(({ body }) => !add(route, body, id, isLast));
    }
  }
}

/** False where it may be possible later. */
function add(route: Netlink, body: Uint8Array, id: number, isLast: boolean): boolean {
  try {
    // Of several to one destination the first one counts; ways of IPv6 would become one route.
    const isV4 = rtmsg.decode(body).family === AF.INET;
    const flags = NLM.CREATE | (isV4 ? NLM.APPEND : 0);
    route.tell(`net namespace ${id}: a route`, { type: RTM.NEWROUTE, flags, body });
  } catch (error) {
    if (isErrno(error, ERRNO.EEXIST)) return true;
    if (
      isLast ||
      !(
        isErrno(error, ERRNO.ENETUNREACH) ||
        isErrno(error, ERRNO.EHOSTUNREACH) ||
        isErrno(error, ERRNO.EINVAL)
      )
    )
      throw error;
    return false;
  }
  return true;
}
