/** Addresses of devices: ifaddr-ID.img, as `ip addr save` writes it. */
import type { ImageDir } from "../../images/image-dir.ts";
import { RAW_IMAGES } from "../../images/kinds.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { attributesIn, type Message, type Netlink, NLM, RequestBody } from "../../linux/netlink.ts";
import { IFA, IFA_F, ifaddrmsg, RTM } from "../../linux/rtnetlink.ts";
import { AF } from "../../linux/socket.ts";
import { u32 } from "../../linux/struct.ts";
import { copyOf, readStream, type StreamKind, writeStream } from "./stream.ts";

const STREAM: StreamKind = { raw: RAW_IMAGES.ifaddr, magic: 0x47361222 };

function read(route: Netlink): Message[] {
  const found: Message[] = [];
  const ask = { type: RTM.GETADDR, flags: NLM.DUMP, body: ifaddrmsg.encode({}) };
  const take = (message: Message) => {
    if (message.type === RTM.NEWADDR) found.push(copyOf(message));
  };
  route.ask("list of addresses", ask, take, () => found.splice(0));
  return found;
}

/** @throws KernelError, ImageError */
export function dumpAddresses(images: ImageDir, id: number, route: Netlink): void {
  writeStream(images, STREAM, id, read(route));
}

function flagsOf(body: Uint8Array): number {
  const flags = attributesIn(body, ifaddrmsg.size).get(IFA.FLAGS);
  return flags === undefined ? ifaddrmsg.decode(body).flags : u32.read(flags, 0);
}

/** The same message with other flags. */
function withFlags(body: Uint8Array, flags: number): Uint8Array {
  const head = ifaddrmsg.encode({ ...ifaddrmsg.decode(body), flags: flags & 0xff });
  const made = new RequestBody(head);
  for (const [type, value] of attributesIn(body, ifaddrmsg.size))
    if (type !== IFA.FLAGS) made.raw(type, value);
  return made.u32(IFA.FLAGS, flags).bytes.slice();
}

/** @throws KernelError, ImageError */
export function restoreAddresses(images: ImageDir, id: number, route: Netlink): void {
  for (const { type, body } of readStream(images, STREAM, id)) {
    if (type !== RTM.NEWADDR) continue;
    const { family, index } = ifaddrmsg.decode(body);
    const what = `net namespace ${id}: an address of device ${index}`;
    const add = (flags: number, content: Uint8Array) =>
      route.tell(what, { type: RTM.NEWADDR, flags: flags | NLM.CREATE, body: content });
    try {
      const flags = flagsOf(body);
      if (family !== AF.INET6 || (flags & (IFA_F.TENTATIVE | IFA_F.NODAD)) !== 0) add(0, body);
      else {
        // It was found to be nobody else's before, and works at once.
        add(0, withFlags(body, flags | IFA_F.NODAD));
        add(NLM.REPLACE, body);
      }
    } catch (error) {
      // The kernel gives some by itself.
      if (!isErrno(error, ERRNO.EEXIST)) throw error;
    }
  }
}
