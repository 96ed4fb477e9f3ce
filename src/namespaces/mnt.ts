/** Mount namespaces: all of a tree are dumped and built together (mounts/), as mounts of one are bound from those of another. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const mnt: NamespaceKind = {
  name: "mnt",
  flag: NEW.NS,
  field: "mnt_ns_id",
  own: 6,
  dump: (_, { images, mounts }) => mounts.dump(images),
  fill: (_, first, { mounts, networks }) => mounts.build(first, (number) => networks.path(number)),
};
