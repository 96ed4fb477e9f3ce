/**
 * Connections that netfilter tracks, and those that it expects: netns-ct-ID.img and netns-exp-ID.img, messages as the kernel sends
 * them. (CRIU writes the former into both.)
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { RAW_IMAGES } from "../../images/kinds.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { attributesIn, type Message, type Netlink, NLM } from "../../linux/netlink.ts";
import { nfgenmsg } from "../../linux/nftables.ts";
import { copyOf, readStream, type StreamKind, writeStream } from "./stream.ts";

/** Subsystems of nfnetlink, in the upper byte of a message's type, and their message that asks (nfnetlink_conntrack.h). */
const CONNTRACK = 1;
const EXPECT = 2;
const GET = 1;
const CTA_PROTOINFO = 4;
const PROTOINFO_TCP = 1;
/** Both directions' struct nf_ct_tcp_flags {flags, mask}. */
const TCP_FLAGS = [4, 5] as const;
/** IP_CT_TCP_FLAG_BE_LIBERAL */
const LIBERAL = 0x08;

const STREAMS: readonly { readonly stream: StreamKind; readonly subsystem: number; readonly what: string }[] =
  [
    {
      stream: { raw: RAW_IMAGES.netns_ct, magic: undefined },
      subsystem: CONNTRACK,
      what: "tracked connection",
    },
    {
      stream: { raw: RAW_IMAGES.netns_exp, magic: undefined },
      subsystem: EXPECT,
      what: "expected connection",
    },
  ];

function read(netfilter: Netlink, subsystem: number, what: string): Message[] {
  const found: Message[] = [];
  const ask = { type: (subsystem << 8) | GET, flags: NLM.DUMP, body: nfgenmsg.encode({}) };
  try {
    netfilter.ask(
      `list of ${what}s`,
      ask,
      (message) => void found.push(copyOf(message)),
      () => found.splice(0),
    );
  } catch (error) {
    // A kernel that tracks none.
    if (!isErrno(error, ERRNO.EINVAL) && !isErrno(error, ERRNO.EOPNOTSUPP)) throw error;
  }
  return found;
}

/** @throws KernelError, ImageError */
export function dumpConntrack(images: ImageDir, id: number, netfilter: Netlink): void {
  for (const { stream, subsystem, what } of STREAMS)
    writeStream(images, stream, id, read(netfilter, subsystem, what));
}

/**
 * Has segments pass that are not where the kernel expects them: it has not seen what passed before. Changes the bytes of the message.
 */
function beLiberal(body: Uint8Array): Uint8Array {
  const own = body.slice();
  const protocol = attributesIn(own, nfgenmsg.size).get(CTA_PROTOINFO);
  const tcp = protocol && attributesIn(protocol).get(PROTOINFO_TCP);
  if (tcp === undefined) return own;
  const attributes = attributesIn(tcp);
  for (const type of TCP_FLAGS) {
    const flags = attributes.get(type);
    if (flags === undefined) continue;
    flags[0] = (flags[0] ?? 0) | LIBERAL;
    flags[1] = (flags[1] ?? 0) | LIBERAL;
  }
  return own;
}

/** @throws KernelError, ImageError */
export function restoreConntrack(images: ImageDir, id: number, open: () => Netlink): void {
  for (const { stream, what } of STREAMS) {
    const messages = readStream(images, stream, id);
    if (messages.length === 0) continue;
    using netfilter = open();
    for (const { type, body } of messages)
      netfilter.tell(`net namespace ${id}: a ${what}`, { type, flags: NLM.CREATE, body: beLiberal(body) });
  }
}
