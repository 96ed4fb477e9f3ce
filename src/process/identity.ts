/**
 * Which number a task has in the images: that in the pid namespace of the tree's root. Here, and where a task is born
 * (tracee/build/spawn.ts), one of its numbers is learnt from the other.
 */

import { type Owners, SAME_OWNERS } from "../linux/owners.ts";
import { type HostPid, hostPid, type NsPid, nsPid, sameNumber, type TreeTasks } from "../linux/pid.ts";
import { bearBeside } from "../linux/pid-namespace.ts";
import { type NumbersName, numbersIn, readStatus, readStatuses, type TaskStatus } from "../linux/proc.ts";
import { readLinks } from "../linux/read-many.ts";
import { UserMap } from "../linux/user-map.ts";
import type { FrozenTree } from "../tracee/hold/freeze.ts";

/** What our ids are called by a process, and its ids by us. @throws KernelError */
function ownersOf(pid: HostPid): Pick<UserMap, "inside" | "outside"> {
  const [ours, theirs] = readLinks(["/proc/self/ns/user", `/proc/${pid}/ns/user`]);
  return ours === theirs ? { inside: SAME_OWNERS, outside: SAME_OWNERS } : UserMap.of(pid);
}

/** The tasks, groups and sessions of a frozen tree by their numbers in the images. */
export class TaskNumbers implements TreeTasks {
  /** By our number, in the order of the kernel: ours first. Undefined where the root lives in our pid namespace. */
  #known: ReadonlyMap<HostPid, readonly number[]> | undefined;
  /** Of processes: those of their groups and sessions. */
  readonly #groups = new Map<
    HostPid,
    { readonly group: readonly number[]; readonly session: readonly number[] }
  >();
  /** How far below ours the namespace of the root is; undefined before it was asked. */
  #depth: number | undefined;

  #owners: Pick<UserMap, "inside" | "outside"> | undefined;
  #processes: ReadonlySet<HostPid> | undefined;

  constructor(private readonly tree: FrozenTree) {}

  /** In a user namespace of the tree's own they have other names. */
  get owners(): Owners {
    return this.#rootOwners().inside;
  }

  get ownersHere(): Owners {
    return this.#rootOwners().outside;
  }

  #rootOwners(): Pick<UserMap, "inside" | "outside"> {
    this.#owners ??= ownersOf(this.tree.root.pid);
    return this.#owners;
  }

  get rootPid(): HostPid {
    return this.tree.root.pid;
  }

  get living(): readonly HostPid[] {
    return this.tree.processes.filter(({ zombie }) => !zombie).map(({ pid }) => pid);
  }

  has(pid: HostPid): boolean {
    this.#processes ??= new Set(this.tree.processes.map((process) => process.pid));
    return this.#processes.has(pid);
  }

  /**
   * The number of a task, group or session in the images; 0 for one that cannot be seen from the tree's namespace.
   * @throws KernelError
   */
  numberOf(host: HostPid): NsPid {
    const depth = this.depth;
    if (depth === 0) return sameNumber(host);
    return nsPid(this.#numbers().get(host)?.[depth] ?? 0);
  }

  /** The numbers that a task has in pid namespaces below that of the root, its own first. @throws KernelError */
  nestedOf(host: HostPid): readonly NsPid[] {
    return this.#below(this.#numbers().get(host));
  }

  /** The same of the group and of the session of a process; 0 where it cannot see them. @throws KernelError */
  nestedGroupsOf(host: HostPid): { readonly group: readonly NsPid[]; readonly session: readonly NsPid[] } {
    this.#numbers();
    const { group, session } = this.#groups.get(host) ?? {};
    return { group: this.#below(group), session: this.#below(session) };
  }

  #below(numbers: readonly number[] = []): readonly NsPid[] {
    return numbers
      .slice(this.depth + 1)
      .reverse()
      .map(nsPid);
  }

  bearInTree<T>(bear: () => T): T {
    return this.depth === 0 ? bear() : bearBeside(this.rootPid, bear);
  }

  /** Levels of pid namespaces between ours and that of the root: 0 where it is ours. @throws KernelError */
  get depth(): number {
    this.#depth ??= numbersIn(readStatus(this.tree.root.pid), "NSpid").length - 1;
    return this.#depth;
  }

  #numbers(): ReadonlyMap<HostPid, readonly number[]> {
    if (this.#known !== undefined) return this.#known;
    const known = new Map<HostPid, readonly number[]>();
    // Whoever is told of may see more namespaces than that which it has numbers in.
    const take = (status: TaskStatus, name: NumbersName) => {
      const numbers = numbersIn(status, name);
      const end = numbers.indexOf(0);
      const own = end < 0 ? numbers : numbers.slice(0, end);
      const host = hostPid(own[0] ?? 0);
      if (own.length > (known.get(host)?.length ?? 0)) known.set(host, own);
    };
    for (const { pid, threads, zombie } of this.tree.processes) {
      const tids = zombie ? [pid] : threads.map(({ tid }) => tid);
      const statuses = readStatuses(pid, tids);
      for (const status of statuses) take(status, "NSpid");
      const [first] = statuses;
      if (first === undefined) continue;
      take(first, "NSpgid");
      take(first, "NSsid");
      this.#groups.set(pid, { group: numbersIn(first, "NSpgid"), session: numbersIn(first, "NSsid") });
    }
    this.#known = known;
    return known;
  }
}
