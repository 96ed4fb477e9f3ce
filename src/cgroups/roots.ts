/** `--cgroup-root [controller:]/path`. */
import { CgroupError } from "./errors.ts";

export interface Roots {
  /** For hierarchies that are not named. */
  readonly all: string | undefined;
  readonly of: ReadonlyMap<string, string>;
}

/** @throws CgroupError */
export function parseRoots(entries: readonly string[]): Roots {
  const of = new Map<string, string>();
  let all: string | undefined;
  for (const entry of entries) {
    const found = /^(?:([^/]*):)?(\/.*)$/s.exec(entry);
    if (found?.[2] === undefined)
      throw new CgroupError(`--cgroup-root ${entry}: expected [CONTROLLER:]/PATH`);
    if (found[1] === undefined) all = found[2];
    else of.set(found[1], found[2]);
  }
  return { all, of };
}
