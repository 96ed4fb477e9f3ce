/**
 * The namespaces of a tree that is being restored: which process begins which, by a flag of its birth; what is in them is filled
 * in from inside as soon as their first process is there.
 */
import type { ImageDir } from "../images/image-dir.ts";
import type { TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import { NEW } from "../linux/clone.ts";
import type { Owners } from "../linux/owners.ts";
import type { NsPid } from "../linux/pid.ts";
import type { Options } from "../options.ts";
import { UnsupportedError } from "../process/errors.ts";
import { Keeper } from "../tracee/build/keeper.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { KINDS } from "./kinds.ts";
import { mnt } from "./mnt.ts";
import type { MountsRestore } from "./mounts/restore.ts";
import type { NamespaceKind, NamespaceRestoreContext, PlannedNamespace } from "./namespace.ts";
import { keepClocks } from "./time.ts";
import { keepsGroups, treeOwners, user } from "./user.ts";

/** A process of the images. */
interface Member {
  readonly pid: NsPid;
  /** undefined for the dead. */
  readonly ids: TaskKobjIdsEntry | undefined;
}

/** What a process makes by itself, with unshare(2), when it is there. */
const BY_ITSELF = NEW.TIME | NEW.CGROUP;

export class NamespacesRestore implements NamespaceRestoreContext, Disposable {
  /** Those that the root begins. */
  readonly #begun: readonly PlannedNamespace[];
  readonly #all: readonly Member[];
  readonly owners: Owners;
  readonly keeper: Keeper | undefined;
  /** Whether nobody in the tree may change groups. */
  readonly keepsGroups: boolean;

  /**
   * `own` are the numbers of who dumped the tree: what has another number is a namespace of the tree's.
   * @throws UnsupportedError for a tree that cannot be put into its namespaces
   */
  constructor(
    readonly images: ImageDir,
    readonly options: Options,
    readonly mounts: MountsRestore,
    readonly beginCgroups: (root: Restoree) => void,
    root: Member,
    all: readonly Member[],
    own: TaskKobjIdsEntry | undefined,
  ) {
    this.#all = all;
    const isOwn = (ids: TaskKobjIdsEntry, { field }: PlannedNamespace["kind"]) =>
      ids[field] === undefined || own?.[field] === undefined || ids[field] === own[field];
    this.#begun = KINDS.flatMap((kind) => {
      const id = root.ids?.[kind.field];
      return root.ids === undefined || id === undefined || isOwn(root.ids, kind)
        ? []
        : [{ kind, id, isRoot: true }];
    });
    for (const { kind } of this.#begun) if (kind.dump === undefined) throw unsupported(root, kind.name);
    for (const process of all) {
      const { ids } = process;
      if (ids === undefined) continue;
      const other = KINDS.find(
        (kind) => ids[kind.field] !== root.ids?.[kind.field] && !this.#mayDiffer(kind),
      );
      if (other !== undefined) throw unsupported(process, other.name);
    }
    const users = this.idOf(user);
    this.owners = treeOwners(images, root.ids, own);
    this.keepsGroups = users !== undefined && keepsGroups(images, users);
    this.keeper = users === undefined ? undefined : new Keeper();
  }

  /** Ends what was of use on the way. Never throws. */
  [Symbol.dispose](): void {
    this.keeper?.[Symbol.dispose]();
  }

  /** Whether others may live in another one than the root. */
  #mayDiffer(kind: NamespaceKind): boolean {
    return kind === mnt && this.#begun.some((each) => each.kind === mnt);
  }

  numbers(kind: NamespaceKind): number[] {
    const numbers = new Set<number>();
    for (const { ids } of this.#all) {
      const number = ids?.[kind.field];
      if (number !== undefined) numbers.add(number);
    }
    return [...numbers];
  }

  /** Flags of clone3(2) that the root is to be born with. */
  get rootFlags(): number {
    return this.#begun.reduce((flags, { kind }) => flags + (kind.flag === BY_ITSELF ? 0 : kind.flag), 0);
  }

  /** Whether the root has namespaces of its own. */
  get any(): boolean {
    return this.#begun.length > 0;
  }

  /** The root has just been born with its flags: fills its namespaces. @throws as NamespaceKind.fill */
  fillRoot(root: Restoree): void {
    for (const kind of KINDS) {
      const begun = this.#begun.find((each) => each.kind === kind);
      if (begun !== undefined) kind.fill?.(begun, root, this);
      else if (kind.flag === NEW.TIME) keepClocks(this.images, root);
    }
  }

  /** All processes have their memory and files. @throws as NamespaceKind.settle */
  settle(root: Restoree): void {
    for (const namespace of this.#begun) namespace.kind.settle?.(namespace, root, this);
  }

  /** The number of the namespace of a kind that the tree has of its own; undefined where it lives in ours. */
  idOf(kind: NamespaceKind): number | undefined {
    return this.#begun.find((each) => each.kind === kind)?.id;
  }
}

function unsupported({ pid }: Member, name: string): UnsupportedError {
  return new UnsupportedError(
    `process ${pid}: lived in a ${name} namespace of its own, which cannot be restored yet`,
  );
}
