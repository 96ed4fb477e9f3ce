/** IPC namespaces: not built yet. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const ipc: NamespaceKind = { name: "ipc", flag: NEW.IPC, field: "ipc_ns_id", own: 3 };
