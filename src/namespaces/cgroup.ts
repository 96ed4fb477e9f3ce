/** Control group namespaces: begun by their first process, where the image of groups says (cgroups/). No image is their own. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const cgroup: NamespaceKind = {
  name: "cgroup",
  flag: NEW.CGROUP,
  field: "cgroup_ns_id",
  own: 8,
  nests: true,
  dump: (found, { addCgroups }) => {
    for (const { id, pid, isRoot } of found) if (pid !== undefined && !isRoot) addCgroups(id, pid);
  },
  fill: (namespace, first, { beginCgroups }) => beginCgroups(first, namespace),
};
