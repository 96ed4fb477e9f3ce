/** Network namespaces: not built yet. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const net: NamespaceKind = { name: "net", flag: NEW.NET, field: "net_ns_id", own: 2 };
