/** Control group namespaces: not built yet. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const cgroup: NamespaceKind = { name: "cgroup", flag: NEW.CGROUP, field: "cgroup_ns_id", own: 8 };
