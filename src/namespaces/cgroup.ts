/** Control group namespaces: begun by the root of the tree, where its groups say (cgroups/). No image is their own. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const cgroup: NamespaceKind = {
  name: "cgroup",
  flag: NEW.CGROUP,
  field: "cgroup_ns_id",
  own: 8,
  dump: () => {},
  fill: (_, first, { beginCgroups }) => beginCgroups(first),
};
