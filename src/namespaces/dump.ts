/**
 * The namespaces of a tree that is being dumped: each has a number in the images, ours those of kinds.ts. A kind that the
 * restore could not bring back is refused as soon as a process is seen in it.
 */
import type { TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid } from "../linux/pid.ts";
import { readLinks } from "../linux/read-many.ts";
import { UnsupportedError } from "../process/errors.ts";
import type { NestedTasks } from "../process/pstree.ts";
import type { ObjectIds } from "../tracee/enter/dumpee.ts";
import { KINDS } from "./kinds.ts";
import { mnt } from "./mnt.ts";
import type { FoundNamespace, NamespaceDumpContext, NamespaceKind } from "./namespace.ts";
import type { NetNumbers } from "./net/dump.ts";
import { net } from "./net/net.ts";
import { pid as pidKind } from "./pid.ts";
import { time } from "./time.ts";

/** The kinds that unshare(2) changes for processes yet to be born alone. */
const FOR_CHILDREN = [
  { kind: pidKind, field: "pid_for_children_ns_id" },
  { kind: time, field: "time_for_children_ns_id" },
] as const;

/** Links of /proc/PID/ns: those of the kinds, then those for children. */
const LINKS = [
  ...KINDS.map(({ name }) => name),
  ...FOR_CHILDREN.map(({ kind }) => `${kind.name}_for_children`),
];

/** Those that a thread can change alone; one that is in another mount namespace has a working directory of its own. */
const OF_THREADS: readonly string[] = [
  "uts",
  "ipc",
  "net",
  "cgroup",
  "pid_for_children",
  "time_for_children",
];

/** What they say, in their order; undefined for a kind that this kernel is built without. @throws KernelError */
function namespacesOf(pid: HostPid | "self"): (string | undefined)[] {
  return readLinks(LINKS.map((name) => `/proc/${pid}/ns/${name}`));
}

const ownNamespaces = oncePerRun(() => namespacesOf("self"));

/** What the inventory says of ourselves: a process with the same numbers lives where the dump was made. */
export function ownIds(): TaskKobjIdsEntry {
  const entry: TaskKobjIdsEntry = { vm_id: 1, files_id: 1, fs_id: 1, sighand_id: 1 };
  KINDS.forEach(({ field, own }, i) => {
    if (ownNamespaces()[i] !== undefined) entry[field] = own;
  });
  return entry;
}

/** The number of a namespace, in what its file in /proc is called: `uts:[4026531838]`. */
function inodeOf(link: string): number {
  return Number(/\[(\d+)\]/.exec(link)?.[1]);
}

interface Found extends FoundNamespace {
  readonly kind: NamespaceKind;
  pid: HostPid | undefined;
}

export class NamespacesDump implements NestedTasks {
  /** By the text of the link, of which the kind is a part. */
  readonly #found = new Map<string, Found>();
  readonly #ids = new Map<HostPid, TaskKobjIdsEntry>();
  #lastId = Math.max(...KINDS.map(({ own }) => own));

  /** `root` is the first process of the tree. */
  constructor(private readonly root: HostPid) {}

  /** The numbers of a process' objects and namespaces. @throws UnsupportedError for a namespace that cannot be dumped */
  idsOf(pid: HostPid, objects: ObjectIds): TaskKobjIdsEntry {
    const entry: TaskKobjIdsEntry = {
      vm_id: objects.vm,
      files_id: objects.files,
      fs_id: objects.fs,
      sighand_id: objects.sighand,
    };
    const own = ownNamespaces();
    const theirs = namespacesOf(pid);
    KINDS.forEach((kind, i) => {
      const link = theirs[i];
      if (link === undefined) return;
      entry[kind.field] = link === own[i] ? kind.own : this.#idOf(kind, link, pid);
    });
    FOR_CHILDREN.forEach(({ kind, field }, i) => {
      const link = theirs[KINDS.indexOf(kind)];
      const forChildren = theirs[KINDS.length + i];
      if (link === undefined || forChildren === link) return;
      entry[field] = this.#idForChildren(kind, forChildren, pid);
    });
    this.#ids.set(pid, entry);
    return entry;
  }

  /** Refuses threads that have left what their process lives in: images have one of each kind for a process. @throws UnsupportedError */
  refuseApart(pid: HostPid, tids: readonly HostPid[]): void {
    const others = tids.filter((tid) => tid !== pid);
    if (others.length === 0) return;
    const links = readLinks(
      [pid, ...others].flatMap((tid) => OF_THREADS.map((name) => `/proc/${pid}/task/${tid}/ns/${name}`)),
    );
    const at = links.findIndex((link, i) => link !== links[i % OF_THREADS.length]);
    if (at < 0) return;
    const tid = others[Math.floor(at / OF_THREADS.length) - 1];
    const name = OF_THREADS[at % OF_THREADS.length];
    throw new UnsupportedError(
      `thread ${tid} is in another namespace than it (${name}: ${links[at]}), which cannot be dumped`,
      { process: pid },
    );
  }

  /** Those of a kind that are not ours. */
  of(kind: NamespaceKind): FoundNamespace[] {
    return [...this.#found.values()].filter((each) => each.kind === kind);
  }

  /** Whether a process, whose numbers were asked for, lives in another namespace of a kind than we. */
  isOther(kind: NamespaceKind, pid: HostPid): boolean {
    return this.#ids.get(pid)?.[kind.field] !== kind.own;
  }

  /** The number of a namespace by what its file in /proc is called, `uts:[4026531838]`; undefined for one of no process of the tree. */
  find(link: string): number | undefined {
    const at = ownNamespaces().indexOf(link);
    return at >= 0 ? KINDS[at]?.own : this.#found.get(link)?.id;
  }

  /** The numbers of network namespaces, which sockets may be in that no process lives in. */
  readonly nets: NetNumbers = {
    own: net.own,
    ownInode: inodeOf(ownNamespaces()[KINDS.indexOf(net)] ?? ""),
    found: () => this.of(net),
    add: (inode) => {
      const nobody = { pid: undefined, ancestor: undefined, isRoot: false };
      const found = { kind: net, id: ++this.#lastId, inode, ...nobody };
      this.#found.set(`net:[${inode}]`, found);
      return found;
    },
  };

  /** Saves all of them. @throws as NamespaceKind.dump */
  dump(context: NamespaceDumpContext): void {
    for (const kind of KINDS) {
      const found = this.of(kind);
      if (found.length > 0) kind.dump?.(found, context);
      const own = ownNamespaces()[KINDS.indexOf(kind)];
      if (own !== undefined && !found.some(({ isRoot }) => isRoot)) kind.dumpOwn?.(inodeOf(own), context);
    }
  }

  /** Whether there are tasks in pid namespaces below that of the root. */
  get hasNestedPids(): boolean {
    return this.of(pidKind).some(({ isRoot }) => !isRoot);
  }

  pidNamespaceOf(pid: HostPid): number | undefined {
    const [link] = readLinks([`/proc/${pid}/ns/pid`]);
    return link === undefined ? undefined : this.find(link);
  }

  /** All have been asked for: refuses those that nobody could make again. @throws UnsupportedError */
  check(): void {
    for (const { kind, pid, ancestor, inode } of this.#found.values()) {
      if (kind !== pidKind || pid !== undefined || Number.isNaN(inode)) continue;
      throw new UnsupportedError(
        `pid:[${inode}], the namespace of its children, has no process of the tree`,
        { process: ancestor },
      );
    }
  }

  /** Whether others may live in another one than the root. */
  #mayDiffer(kind: NamespaceKind): boolean {
    return kind.nests === true || (kind === mnt && this.of(mnt).some(({ isRoot }) => isRoot));
  }

  #idOf(kind: NamespaceKind, link: string, pid: HostPid): number {
    const known = this.#found.get(link);
    if (known !== undefined) {
      known.pid ??= pid;
      return known.id;
    }
    const isRoot = pid === this.root;
    if (kind.dump === undefined || !(isRoot || this.#mayDiffer(kind))) {
      throw new UnsupportedError(`lives in a ${kind.name} namespace of its own, which cannot be dumped yet`, {
        process: pid,
      });
    }
    const found = { kind, id: ++this.#lastId, inode: inodeOf(link), pid, ancestor: undefined, isRoot };
    this.#found.set(link, found);
    return found.id;
  }

  /** That which the children of a process are born into. The kernel does not tell of one of pids in which nobody was born yet. */
  #idForChildren(kind: NamespaceKind, link: string | undefined, pid: HostPid): number {
    if (link !== undefined && link === ownNamespaces()[KINDS.indexOf(kind)]) return kind.own;
    const key = link ?? `${kind.name} for children of ${pid}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known.id;
    const id = ++this.#lastId;
    this.#found.set(key, { kind, id, inode: inodeOf(key), pid: undefined, ancestor: pid, isRoot: false });
    return id;
  }
}
