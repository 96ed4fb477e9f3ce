/** Bridges: their settings, and those of their ports. */
import { NdType } from "../../images/schema/generated/namespaces.ts";
import { IFLA, IFLA_INFO } from "../../linux/rtnetlink.ts";
import { attributesOf, changeDevice, changedAttributes, makeDevice, readDevice } from "./devices.ts";
import { type LinkKind, nameOfLink } from "./link-kind.ts";

/**
 * Attributes that a bridge can be made with (IFLA_BR_* of include/uapi/linux/if_link.h); the others tell of its state. The group
 * address is left out: setting one means that the user chose it.
 */
const SETTINGS: ReadonlySet<number> = new Set([
  1, 2, 3, 4, 5, 6, 7, 8, 9, 22, 23, 24, 25, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 41, 42, 43,
  44, 45, 46, 49,
]);

/** The same of a port (IFLA_BRPORT_*). */
export const PORT_SETTINGS: ReadonlySet<number> = new Set([
  2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 25, 27, 28, 29, 30, 31, 32, 33, 37, 39, 40, 42, 43,
]);

export const bridge: LinkKind = {
  type: NdType.BRIDGE,
  names: ["bridge"],
  dump: ({ data }) => ({ link_data: attributesOf(data, SETTINGS) }),
  make(entry, { route }) {
    const what = nameOfLink(entry);
    makeDevice(route, entry, { kind: "bridge" }, what);
    const wanted = entry.link_data ?? new Uint8Array(0);
    const data = changedAttributes(wanted, readDevice(route, entry.ifindex, what).data);
    if (data.length === 0) return;
    changeDevice(route, entry.ifindex, what, (body) =>
      body.nest(IFLA.LINKINFO, () => body.text(IFLA_INFO.KIND, "bridge").raw(IFLA_INFO.DATA, data)),
    );
  },
};
