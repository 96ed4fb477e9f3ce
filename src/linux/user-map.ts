/** What user and group ids are called in a user namespace and outside of it: /proc/PID/{uid,gid}_map (user_namespaces(7)). */
import { readText } from "./io.ts";
import { NO_ID, type Owners } from "./owners.ts";
import type { HostPid } from "./pid.ts";

/** A range of ids, as a line of the map: from `first` on inside, from `lower_first` on outside. */
export interface IdExtent {
  readonly first: number;
  readonly lower_first: number;
  readonly count: number;
}

/** The lines of a map, in their order. */
export function parseIdMap(text: string): IdExtent[] {
  const extents: IdExtent[] = [];
  for (const line of text.split("\n")) {
    const [first, lower_first, count] = line.trim().split(/\s+/).map(Number);
    if (first !== undefined && lower_first !== undefined && count !== undefined)
      extents.push({ first, lower_first, count });
  }
  return extents;
}

export function formatIdMap(extents: readonly IdExtent[]): string {
  return extents.map(({ first, lower_first, count }) => `${first} ${lower_first} ${count}\n`).join("");
}

function inner(extents: readonly IdExtent[], id: number): number {
  for (const { first, lower_first, count } of extents)
    if (id >= lower_first && id < lower_first + count) return first + (id - lower_first);
  return NO_ID;
}

function outer(extents: readonly IdExtent[], id: number): number {
  for (const { first, lower_first, count } of extents)
    if (id >= first && id < first + count) return lower_first + (id - first);
  return NO_ID;
}

/** The maps of a user namespace. */
export class UserMap {
  constructor(
    readonly uids: readonly IdExtent[],
    readonly gids: readonly IdExtent[],
  ) {}

  /** That of the namespace of a process, with our ids for its outside. It is not ours. @throws KernelError */
  static of(pid: HostPid): UserMap {
    const read = (name: string) => parseIdMap(readText(`/proc/${pid}/${name}`));
    return new UserMap(read("uid_map"), read("gid_map"));
  }

  /** What our ids are called inside. */
  readonly inside: Owners = {
    uid: (id) => inner(this.uids, id),
    gid: (id) => inner(this.gids, id),
  };

  /** What ids of the inside are called by us. */
  readonly outside: Owners = {
    uid: (id) => outer(this.uids, id),
    gid: (id) => outer(this.gids, id),
  };
}
