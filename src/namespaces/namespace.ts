/** What a kind of namespace is, and what its dump and its restore are given. A kind stands in a file of its own; kinds.ts names them. */

import type { ImageDir } from "../images/image-dir.ts";
import type { TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import type { Owners } from "../linux/owners.ts";
import type { HostPid, TreeTasks } from "../linux/pid.ts";
import type { Options } from "../options.ts";
import type { SharedCounts } from "../stats.ts";
import type { FdTableHelper } from "../tracee/build/fd-table-helper.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Table } from "../tracee/table/table.ts";
import type { MountsDump } from "./mounts/dump.ts";
import type { MountsRestore } from "./mounts/restore.ts";
import type { NetworksDump } from "./net/dump.ts";
import type { NetworksRestore } from "./net/restore.ts";

/** As /proc/PID/ns calls them. */
export type NamespaceName = "pid" | "net" | "ipc" | "uts" | "time" | "mnt" | "user" | "cgroup";

/** Its field in ids-PID.img and in the inventory. */
export type NamespaceField = `${NamespaceName}_ns_id` & keyof TaskKobjIdsEntry;

/** A namespace of the tree that is not ours, as a dump finds it. */
export interface FoundNamespace {
  /** Its number in the images, in the names of files too. */
  readonly id: number;
  /** Of its file in /proc/PID/ns. */
  readonly inode: number;
  /** The first process that was found in it; undefined where that is only one whose children are to live there. */
  readonly pid: HostPid | undefined;
  /** That one. */
  readonly ancestor: HostPid | undefined;
  /** Whether the root of the tree lives in it. */
  readonly isRoot: boolean;
}

export interface NamespaceDumpContext {
  readonly images: ImageDir;
  readonly options: Options;
  /** Calls inside a process, which is frozen and entered. */
  tableOf(pid: HostPid): Table;
  readonly mounts: MountsDump;
  readonly networks: NetworksDump;
  /** The tasks of the tree, and what it calls them and owners. */
  readonly tasks: TreeTasks;
  /** Told of a cgroup namespace below the root, by its number and a process in it. @throws KernelError, UnsupportedError */
  addCgroups(id: number, pid: HostPid): void;
  /** Told of pages of shared memory that were looked at and stored. */
  countShared(counts: SharedCounts): void;
}

/** A namespace of the images that is not that of who restores them. */
export interface PlannedNamespace {
  readonly kind: NamespaceKind;
  /** Its number in the images. */
  readonly id: number;
  /** Whether the root of the tree lived in it. */
  readonly isRoot: boolean;
}

export interface NamespaceRestoreContext {
  readonly images: ImageDir;
  readonly options: Options;
  readonly mounts: MountsRestore;
  readonly networks: NetworksRestore;
  /** Has the first process of a cgroup namespace begin it. */
  beginCgroups(first: Restoree, namespace: PlannedNamespace): void;
  /** Of whom processes of the tree's user namespace fetch our descriptors; undefined where it has none of its own. */
  readonly fdTableHelper: FdTableHelper | undefined;
  /** What we call the owners that images name. */
  readonly owners: Owners;
  /** The numbers of all namespaces of a kind that are the tree's. */
  numbers(kind: NamespaceKind): number[];
}

export interface NamespaceKind {
  readonly name: NamespaceName;
  /** Of clone3(2), unshare(2) and setns(2). */
  readonly flag: number;
  readonly field: NamespaceField;
  /** Whether processes below the root may live in others. */
  readonly nests?: true;
  /** The number that images have for that of who dumps. */
  readonly own: number;
  /**
   * Saves all namespaces of the kind. Every process has been dumped, and none has been left. A kind without it is refused.
   * @throws KernelError, ImageError, UnsupportedError
   */
  dump?(found: readonly FoundNamespace[], context: NamespaceDumpContext): void;
  /** Saves what is to be known of that of who dumps, whose file in /proc has the number `inode`: the tree lives in it. @throws ImageError */
  dumpOwn?(inode: number, context: NamespaceDumpContext): void;
  /**
   * Fills a namespace, from inside: `first` has just been born, in it, and bears nobody before. It may have other new namespaces,
   * which are filled in the order of KINDS. @throws KernelError, ImageError, ImageValueError
   */
  fill?(namespace: PlannedNamespace, first: Restoree, context: NamespaceRestoreContext): void;
  /** All processes have their memory and files, and still run tables: what is left to do, by the same process. @throws KernelError */
  settle?(namespace: PlannedNamespace, first: Restoree, context: NamespaceRestoreContext): void;
}
