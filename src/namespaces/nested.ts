/**
 * Processes of a tree that live in other namespaces than who bore them: the first one of a namespace, in the order of births, begins
 * it by a flag of its birth; the others join it where that one lives.
 */

import { IMAGES } from "../images/kinds.ts";
import type { TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import { NEW } from "../linux/clone.ts";
import { Fd } from "../linux/fd.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { BirthPlaces, Preparation } from "../process/births.ts";
import { ImageValueError, UnsupportedError } from "../process/errors.ts";
import type { PlannedProcess } from "../process/pstree.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { KINDS } from "./kinds.ts";
import { mnt } from "./mnt.ts";
import type { NamespaceKind, NamespaceRestoreContext, PlannedNamespace } from "./namespace.ts";
import { net } from "./net/net.ts";
import { pid as pidKind } from "./pid.ts";
import { beginForChildren, time } from "./time.ts";

/** What a process makes by itself, with unshare(2), when it is there. */
export const BY_ITSELF = NEW.TIME | NEW.CGROUP;

/** The namespaces that a process is born into: those of its maker, or, if that is a helper, of that one's. */
export function idsAtBirth({ maker, ids }: PlannedProcess): TaskKobjIdsEntry | undefined {
  if (maker === undefined) return ids;
  return maker.ids ?? idsAtBirth(maker);
}

/** The pid namespace that a process lives in, a dead one too. */
function pidsOf(process: PlannedProcess): number | undefined {
  return process.pidNamespace ?? (process.maker === undefined ? undefined : pidsOf(process.maker));
}

/** Where a namespace of the images is by now. */
interface Begun {
  readonly namespace: PlannedNamespace;
  /** Its first process, once that is there. */
  first: Restoree | undefined;
}

export class NestedNamespaces implements BirthPlaces {
  readonly #begun = new Map<string, Begun>();
  /** What processes begin, and what they join, apart from the namespaces of pids that they join. */
  readonly #begins = new Map<PlannedProcess, Begun[]>();
  readonly #joins = new Map<PlannedProcess, Begun[]>();
  readonly #preparations = new Map<PlannedProcess, Preparation>();

  /**
   * `all` are in the order of births, makers before those that they bear; the first one is the root, whose own namespaces are `roots`.
   * @throws UnsupportedError, ImageValueError for a tree that cannot be put into its namespaces
   */
  constructor(
    private readonly context: NamespaceRestoreContext,
    all: readonly PlannedProcess[],
    roots: readonly PlannedNamespace[],
  ) {
    for (const namespace of roots)
      this.#begun.set(keyOf(namespace.kind, namespace.id), { namespace, first: undefined });
    const [root, ...others] = all;
    if (root !== undefined)
      this.#begins.set(
        root,
        roots.flatMap(({ kind, id }) => this.#begun.get(keyOf(kind, id)) ?? []),
      );
    for (const process of others) this.#plan(process);
  }

  #plan(process: PlannedProcess): void {
    const before = idsAtBirth(process);
    for (const kind of KINDS) {
      const id = kind === pidKind ? pidsOf(process) : process.ids?.[kind.field];
      const at = kind === pidKind ? process.maker && pidsOf(process.maker) : before?.[kind.field];
      if (id === undefined || id === at) continue;
      // All of them are built together (net/, mounts/).
      if (kind === net || (kind === mnt && this.#hasMounts())) continue;
      if (kind.nests !== true) throw unsupported(process, kind.name);
      this.#place(process, kind, id);
    }
  }

  #hasMounts(): boolean {
    return [...this.#begun.values()].some(({ namespace }) => namespace.kind === mnt);
  }

  #place(process: PlannedProcess, kind: NamespaceKind, id: number): void {
    const key = keyOf(kind, id);
    const known = this.#begun.get(key);
    if (kind === time && process.maker?.ids?.time_for_children_ns_id === id) {
      this.#preparations.set(process, this.#forChildren(process.maker, id));
      if (known !== undefined) return;
    } else if (known !== undefined) {
      if (kind === pidKind) this.#preparations.set(process, this.#joiningPids(known));
      else push(this.#joins, process, known);
      return;
    } else if (kind === pidKind && process.nested.length !== (process.maker?.nested.length ?? 0) + 1) {
      throw new ImageValueError(
        `process ${process.pid}: begins a pid namespace, and is called nothing there`,
      );
    }
    const begun = { namespace: { kind, id, isRoot: false }, first: undefined };
    this.#begun.set(key, begun);
    push(this.#begins, process, begun);
  }

  readonly #joining = new Map<Begun, Preparation>();

  /** For those who are born into a pid namespace that is there. */
  #joiningPids(begun: Begun): Preparation {
    const known = this.#joining.get(begun);
    if (known !== undefined) return known;
    const enter = (maker: Restoree, pid: number) => setNamespace(maker, pidKind, `/proc/${pid}/ns/pid`);
    const preparation: Preparation = {
      before: (maker) => enter(maker, this.#firstOf(begun).pid),
      after: (maker) => enter(maker, maker.pid),
    };
    this.#joining.set(begun, preparation);
    return preparation;
  }

  readonly #clocks = new Map<PlannedProcess, Preparation>();

  /** For those who are born into the time namespace that their parent has begun for its children. */
  #forChildren(maker: PlannedProcess, id: number): Preparation {
    const known = this.#clocks.get(maker);
    if (known !== undefined) return known;
    let isBegun = false;
    const preparation: Preparation = {
      before: (restoree) => {
        if (!isBegun) beginForChildren(this.context.images.readOne(IMAGES.timens, id), restoree);
        isBegun = true;
      },
      after: () => {},
    };
    this.#clocks.set(maker, preparation);
    return preparation;
  }

  #firstOf({ namespace: { kind, id }, first }: Begun): Restoree {
    if (first === undefined) throw new UnsupportedError(`nobody is in ${kind.name} namespace ${id} yet`);
    return first;
  }

  flagsOf(process: PlannedProcess): number {
    let flags = 0;
    for (const { namespace } of this.#begins.get(process) ?? [])
      if ((namespace.kind.flag & BY_ITSELF) === 0) flags += namespace.kind.flag;
    return flags;
  }

  preparationOf(process: PlannedProcess): Preparation | undefined {
    return this.#preparations.get(process);
  }

  /** The root is there: its namespaces are begun. */
  rootIs(root: Restoree, planned: PlannedProcess): void {
    for (const begun of this.#begins.get(planned) ?? []) begun.first = root;
  }

  /** A process other than the root has just been born: fills what it begins, and puts it into what it joins. @throws as fill */
  enter(planned: PlannedProcess, process: Restoree): void {
    if (planned.maker === undefined) return;
    const begins = this.#begins.get(planned) ?? [];
    for (const begun of begins) begun.first = process;
    for (const kind of KINDS) {
      const begun = begins.find(({ namespace }) => namespace.kind === kind);
      const isForChildren = kind === time && this.#preparations.has(planned);
      if (begun !== undefined && !isForChildren) kind.fill?.(begun.namespace, process, this.context);
      const joined = this.#joins.get(planned)?.find(({ namespace }) => namespace.kind === kind);
      if (joined !== undefined)
        setNamespace(process, kind, `/proc/${this.#firstOf(joined).pid}/ns/${kind.name}`);
    }
  }

  /** All processes have their memory and files. @throws as NamespaceKind.settle */
  settle(): void {
    for (const { namespace, first } of this.#begun.values())
      if (first !== undefined) namespace.kind.settle?.(namespace, first, this.context);
  }

  /** A process has borne all its threads: gives it the namespaces that its children are to be born into. @throws KernelError */
  giveForChildren({ ids }: PlannedProcess, process: Restoree): void {
    const pids = ids?.pid_for_children_ns_id;
    if (pids !== undefined) {
      const begun = this.#begun.get(keyOf(pidKind, pids));
      if (begun !== undefined) setNamespace(process, pidKind, `/proc/${this.#firstOf(begun).pid}/ns/pid`);
      else {
        process.table.must("the pid namespace of its children", NR.unshare, NEW.PID);
        process.table.run();
      }
    }
    const clocks = ids?.time_for_children_ns_id;
    if (clocks !== undefined && !this.#begun.has(keyOf(time, clocks)))
      beginForChildren(this.context.images.readOne(IMAGES.timens, clocks), process);
  }
}

function keyOf({ name }: NamespaceKind, id: number): string {
  return `${name} ${id}`;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** Puts a process, or of a pid namespace its children, into the namespace of a file. @throws KernelError */
export function setNamespace(process: Restoree, { name, flag }: NamespaceKind, path: string): void {
  using namespace = Fd.open(path, O.RDONLY);
  const what = `${name} namespace ${path}`;
  const inside = process.fetch(what, namespace.number);
  process.table.must(what, NR.setns, inside, flag);
  process.table.must(what, NR.close, inside);
  process.table.run();
}

function unsupported({ pid }: PlannedProcess, name: string): UnsupportedError {
  return new UnsupportedError(`lived in a ${name} namespace of its own, which cannot be restored yet`, {
    process: pid,
  });
}
