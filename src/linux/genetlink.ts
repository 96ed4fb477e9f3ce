/** Generic netlink (include/uapi/linux/genetlink.h): families that have no number of their own. */
import { attributesIn, attributeText, type Netlink, NLM } from "./netlink.ts";
import { struct, u8, u16 } from "./struct.ts";

/** struct genlmsghdr */
export const genlmsghdr = struct({ command: u8, version: u8, reserved: u16 });
const CONTROLLER = 0x10;
const GET_FAMILY = 3;
const ATTRIBUTE = { ID: 1, NAME: 2 } as const;

/** The numbers of all families that the kernel has now, by name: no module is loaded for the question. @throws KernelError */
export function genericFamilies(generic: Netlink): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  const body = genlmsghdr.encode({ command: GET_FAMILY, version: 1 });
  generic.ask(
    "list of families of generic netlink",
    { type: CONTROLLER, flags: NLM.DUMP, body },
    (message) => {
      const attributes = attributesIn(message.body, genlmsghdr.size);
      const id = attributes.get(ATTRIBUTE.ID);
      const name = attributes.get(ATTRIBUTE.NAME);
      if (id !== undefined && name !== undefined) found.set(attributeText(name), u16.read(id, 0));
    },
    () => found.clear(),
  );
  return found;
}
