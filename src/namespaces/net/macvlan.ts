/** Devices with a MAC address of their own on another device: of the same namespace, or outside, where --external macvlan[INNER]:OUTER names it. */
import { NdType } from "../../images/schema/generated/namespaces.ts";
import { interfaceIndex } from "../../linux/interface-names.ts";
import { attributesIn, RequestBody } from "../../linux/netlink.ts";
import { u16, u32 } from "../../linux/struct.ts";
import { ImageValueError, UnsupportedError } from "../../process/errors.ts";
import { makeDevice } from "./devices.ts";
import { type LinkKind, nameOfLink } from "./link-kind.ts";

/** include/uapi/linux/if_link.h */
const DATA = { MODE: 1, FLAGS: 2 } as const;
const MODE_SOURCE = 16;

export const macvlan: LinkKind = {
  type: NdType.MACVLAN,
  names: ["macvlan"],
  dump({ name, data, link, linkNamespace }) {
    const attributes = attributesIn(data);
    const mode = attributes.get(DATA.MODE);
    const flags = attributes.get(DATA.FLAGS);
    const number = mode === undefined ? 0 : u32.read(mode, 0);
    if (number === MODE_SOURCE)
      throw new UnsupportedError(
        `network device ${name}: a macvlan of mode source, which cannot be dumped yet`,
      );
    return {
      macvlan: { mode: number, ...(flags && { flags: u16.read(flags, 0) }) },
      ...(linkNamespace === undefined && { link }),
    };
  },
  make(entry, net, context) {
    const what = nameOfLink(entry);
    const { mode, flags } = entry.macvlan ?? {};
    if (mode === undefined) throw new ImageValueError(`${what}: its image does not say what macvlan it is`);
    const body = new RequestBody().u32(DATA.MODE, mode);
    if (flags !== undefined) body.u16(DATA.FLAGS, flags);
    const made = { kind: "macvlan", data: body.bytes };
    const outer = context.external("macvlan", entry.name);
    if (outer === undefined) {
      if (entry.link === undefined)
        throw new ImageValueError(
          `${what}: it stood on a device outside of the tree; --external macvlan[${entry.name}]:DEVICE gives it one`,
        );
      makeDevice(net.route, entry, { ...made, link: entry.link }, what);
      return;
    }
    const link = interfaceIndex(context.ours.descriptor, outer);
    if (link === undefined)
      throw new ImageValueError(`${what}: there is no device ${outer} for it to stand on`);
    makeDevice(context.ours, entry, { ...made, link, namespace: net.fd.number }, what);
  },
};
