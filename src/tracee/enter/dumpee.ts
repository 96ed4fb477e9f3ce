/** A process being dumped: frozen, with us inside. What the folders above read from. */

import type { Owners } from "../../linux/owners.ts";
import type { HostPid, NsPid } from "../../linux/pid.ts";
import type { Mapping, ProcessFiles } from "../../linux/proc.ts";
import type { FrozenProcess } from "../hold/freeze.ts";
import type { Table } from "../table/table.ts";
import type { Entered } from "./entered.ts";

/** Numbers that tell which kernel objects processes share; equal numbers mean the same object (kcmp(2)). */
export interface ObjectIds {
  readonly vm: number;
  readonly files: number;
  readonly fs: number;
  readonly sighand: number;
}

export interface Dumpee {
  readonly pid: HostPid;
  /** The number in the images of a task, group or session; 0 for one that cannot be seen from the tree's pid namespace. */
  readonly numberOf: (host: HostPid) => NsPid;
  /** Those that it has in pid namespaces below that of the root, its own first. */
  readonly nestedOf: (host: HostPid) => readonly NsPid[];
  /** What its owners are called by the process itself, by our ids. */
  readonly owners: Owners;
  readonly frozen: FrozenProcess;
  readonly ids: ObjectIds;
  /** What /proc tells of it with us inside. */
  readonly proc: ProcessFiles;
  /** Its mappings with VmFlags, as they were before we came in: our area is not among them. */
  readonly mappings: readonly Mapping[];
  /** A pidfd of it, for pidfd_getfd(2). */
  readonly pidfd: number;
  readonly entered: Entered;
  /** Calls inside it, by the carrier thread. Shorthand for `entered.table`. */
  readonly table: Table;
}
