/** PID namespaces: what there is of them are the numbers of tasks (process/identity.ts, tracee/build/spawn.ts). */
import { NEW } from "../linux/clone.ts";
import type { NamespaceKind } from "./namespace.ts";

export const pid: NamespaceKind = {
  name: "pid",
  flag: NEW.PID,
  field: "pid_ns_id",
  own: 1,
  dump: () => {},
};
