/** User namespaces: not built yet. */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const user: NamespaceKind = { name: "user", flag: NEW.USER, field: "user_ns_id", own: 7 };
