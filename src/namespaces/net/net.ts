/**
 * Network namespaces: devices, addresses, routes, rules of netfilter, sysctls (dump.ts, restore.ts). One that is external
 * (--external net[INODE]:NAME) is not saved: a restore is given another by --inherit-fd fd[N]:NAME. With --empty-ns net one is made
 * anew and left empty, for somebody else to fill.
 */
import { NEW } from "../../linux/clone.ts";
import type { NamespaceKind } from "../namespace.ts";

export const net: NamespaceKind = {
  name: "net",
  flag: NEW.NET,
  field: "net_ns_id",
  own: 2,
  nests: true,
  dump: (_, { networks, images, tasks }) => networks.dump(images, tasks.owners),
};
