/** Mount namespaces: not built yet. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const mnt: NamespaceKind = { name: "mnt", flag: NEW.NS, field: "mnt_ns_id", own: 6 };
