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
import type { PlannedProcess } from "../process/pstree.ts";
import { FdTableHelper } from "../tracee/build/fd-table-helper.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { KINDS } from "./kinds.ts";
import { mnt } from "./mnt.ts";
import type { MountsRestore } from "./mounts/restore.ts";
import type {
  NamespaceField,
  NamespaceKind,
  NamespaceRestoreContext,
  PlannedNamespace,
} from "./namespace.ts";
import { BY_ITSELF, NestedNamespaces, setNamespace } from "./nested.ts";
import { net } from "./net/net.ts";
import type { NetworksRestore } from "./net/restore.ts";
import { joinedPids } from "./pid.ts";
import { keepClocks } from "./time.ts";
import { becomeRoot, keepsGroups, mayChangeGroups, treeOwners, user } from "./user.ts";

/** What a tree can be made to join (--join-ns). */
const JOINABLE: readonly string[] = ["net", "uts", "time", "ipc", "mnt", "user"];

/** A namespace that the tree is to join, by its file; for one of users, who it is there while it is built. */
interface Joined {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
}

/** What namespaces are restored with. */
export interface NamespacesRestoreParts {
  readonly images: ImageDir;
  readonly options: Options;
  readonly mounts: MountsRestore;
  readonly networks: NetworksRestore;
  readonly beginCgroups: (first: Restoree, namespace: PlannedNamespace) => void;
  readonly root: PlannedProcess;
  readonly all: readonly PlannedProcess[];
  /** Numbers of who dumped the tree: what has another number is a namespace of the tree's. */
  readonly own: TaskKobjIdsEntry | undefined;
}

export class NamespacesRestore implements NamespaceRestoreContext, Disposable {
  readonly images: ImageDir;
  readonly options: Options;
  readonly mounts: MountsRestore;
  readonly networks: NetworksRestore;
  readonly beginCgroups: (first: Restoree, namespace: PlannedNamespace) => void;
  /** Those that the root begins. */
  readonly #begun: readonly PlannedNamespace[];
  readonly #all: readonly PlannedProcess[];
  readonly #root: PlannedProcess;
  /** Those of the processes below the root. */
  readonly nested: NestedNamespaces;
  readonly #own: TaskKobjIdsEntry | undefined;
  readonly owners: Owners;
  readonly fdTableHelper: FdTableHelper | undefined;
  /** Our descriptor, lent, of the pid namespace that the tree is to join. */
  readonly pidNamespace: number | undefined;
  /** Files of others that it is to join, by the names of their kinds. */
  readonly #joined: ReadonlyMap<string, Joined>;
  /** Whether nobody in the tree may change groups. */
  readonly keepsGroups: boolean;

  /** @throws UnsupportedError for a tree that cannot be put into its namespaces */
  constructor({ images, options, mounts, networks, beginCgroups, root, all, own }: NamespacesRestoreParts) {
    this.images = images;
    this.options = options;
    this.mounts = mounts;
    this.networks = networks;
    this.beginCgroups = beginCgroups;
    this.#all = all;
    this.#root = root;
    this.#own = own;
    const isOwn = (ids: TaskKobjIdsEntry, { field }: PlannedNamespace["kind"]) =>
      ids[field] === undefined || own?.[field] === undefined || ids[field] === own[field];
    this.#begun = KINDS.flatMap((kind) => {
      const id = root.ids?.[kind.field];
      return root.ids === undefined || id === undefined || isOwn(root.ids, kind)
        ? []
        : [{ kind, id, isRoot: true }];
    });
    for (const { kind } of this.#begun) if (kind.dump === undefined) throw unsupported(root, kind.name);
    // Who gives a root counts on nothing outside of it to be touched.
    if (options.root !== undefined && !this.#begun.some(({ kind }) => kind === mnt))
      throw new UnsupportedError(
        "--root is given, and the images have no mount namespace that it would be the root of",
      );
    this.nested = new NestedNamespaces(this, all, this.#begun);
    this.#joined = joinedBy(options.joinNs);
    const joinedUser = this.#joined.get(user.name);
    if (joinedUser !== undefined && this.idOf(user) !== undefined)
      throw new UnsupportedError(
        `--join-ns ${user.name}: the images have a user namespace, whose ids are not those of another one; only a tree that lived in that of who dumped it joins another one`,
      );
    if (this.#joined.has(mnt.name) && this.idOf(mnt) !== undefined)
      throw new UnsupportedError(
        `--join-ns ${mnt.name}: the images have a mount namespace, which is built anew; only a tree that lived in that of who dumped it joins another one`,
      );
    const pids = root.ids?.pid_ns_id;
    this.pidNamespace = pids === undefined ? undefined : joinedPids(images, options, pids);
    const users = this.idOf(user);
    this.owners = treeOwners(images, root.ids, own);
    this.keepsGroups = users !== undefined && keepsGroups(images, users);
    const mounted = this.idOf(mnt);
    if (mounted !== undefined)
      mounts.plan([mounted, ...this.numbers(mnt).filter((each) => each !== mounted)], networks);
    this.fdTableHelper = users === undefined && joinedUser === undefined ? undefined : new FdTableHelper();
  }

  /** Ends what was of use on the way. Never throws. */
  [Symbol.dispose](): void {
    this.fdTableHelper?.[Symbol.dispose]();
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
    let flags = 0;
    for (const { kind } of this.#begun) {
      const isMade = kind === net ? this.networks.rootIsNew : !this.#joined.has(kind.name);
      if ((kind.flag & BY_ITSELF) === 0 && isMade) flags += kind.flag;
    }
    return this.pidNamespace === undefined ? flags : flags & ~NEW.PID;
  }

  /** Whether the root has namespaces of its own. */
  get any(): boolean {
    return this.#begun.length > 0;
  }

  /** The root has just been born with its flags: fills its namespaces. @throws as NamespaceKind.fill */
  fillRoot(root: Restoree): void {
    this.nested.rootIs(root, this.#root);
    for (const kind of KINDS) {
      const begun = this.#begun.find((each) => each.kind === kind);
      const joined = this.#joined.get(kind.name);
      if (kind === net) this.networks.build(root);
      else if (joined !== undefined) this.#join(root, kind, joined);
      else if (begun !== undefined) kind.fill?.(begun, root, this);
      else if (kind.flag === NEW.TIME) keepClocks(this.images, root);
    }
    // In another one of users nothing else could be joined any more.
    const users = this.#joined.get(user.name);
    if (users === undefined) return;
    setNamespace(root, user, users.path);
    becomeRoot(root, users.uid, users.gid, mayChangeGroups(root.pid));
    this.fdTableHelper?.enter(root.pid);
  }

  #join(root: Restoree, kind: NamespaceKind, { path }: Joined): void {
    if (kind === user) return;
    setNamespace(root, kind, path);
    if (kind === mnt) this.mounts.join(root);
  }

  /** Where images have the numbers of a kind. */
  fieldOf(kind: string): NamespaceField | undefined {
    return KINDS.find(({ name }) => name === kind)?.field;
  }

  /** Whether a number of the images is that of who dumped them. */
  isOurs(field: NamespaceField, number: number): boolean {
    return this.#own?.[field] === number;
  }

  /** The number of the IPC namespace that a process has its segments of; undefined where that is ours. */
  ipcOf(pid: NsPid): number | undefined {
    const number = this.#all.find((each) => each.pid === pid)?.ids?.ipc_ns_id;
    return number === this.#own?.ipc_ns_id ? undefined : number;
  }

  /** Whether the objects in the IPC namespace of a process are made of the images. */
  fillsIpcOf(pid: NsPid): boolean {
    return this.ipcOf(pid) !== undefined && !this.#joined.has("ipc");
  }

  /** The number of the namespace of a kind that the tree has of its own; undefined where it lives in ours. */
  idOf(kind: NamespaceKind): number | undefined {
    return this.#begun.find((each) => each.kind === kind)?.id;
  }
}

/**
 * The files of namespaces that the tree is to join, by their kinds: entries `KIND:FILE` or `KIND:PID`; of users `user:FILE,UID,GID` as well.
 * @throws UnsupportedError
 */
function joinedBy(entries: readonly string[]): Map<string, Joined> {
  const joined = new Map<string, Joined>();
  for (const entry of entries) {
    const colon = entry.indexOf(":");
    const kind = entry.slice(0, colon);
    const [where = "", uid, gid, ...more] = entry.slice(colon + 1).split(",");
    if (!JOINABLE.includes(kind))
      throw new UnsupportedError(`--join-ns ${entry}: a namespace of the kind ${kind} cannot be joined`);
    const ids = [uid, gid].filter((id) => id !== undefined);
    if (more.length > 0 || (kind !== user.name && ids.length > 0) || ids.some((id) => !/^\d*$/.test(id)))
      throw new UnsupportedError(
        `--join-ns ${entry}: only user:FILE[,UID[,GID]] has more than a file, and these are numbers`,
      );
    const path = /^\d+$/.test(where) ? `/proc/${where}/ns/${kind}` : where;
    joined.set(kind, { path, uid: Number(uid ?? 0), gid: Number(gid ?? 0) });
  }
  return joined;
}

function unsupported({ pid }: PlannedProcess, name: string): UnsupportedError {
  return new UnsupportedError(`lived in a ${name} namespace of its own, which cannot be restored yet`, {
    process: pid,
  });
}
