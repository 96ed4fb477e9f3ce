/** Resource limits of a process, all sixteen (prlimit(2)). */
import type { TaskRlimitsEntry } from "../images/schema/generated/process.ts";
import { NR } from "../linux/nr.ts";
import { struct, u64 } from "../linux/struct.ts";
import type { Table } from "../tracee/table.ts";

const rlimit = struct({ cur: u64, max: u64 });
const RLIM_NLIMITS = 16;

/** Asks from within: reading another user's limits from outside needs CAP_SYS_RESOURCE. */
export function askRlimits(table: Table): () => TaskRlimitsEntry {
  const spaces = Array.from({ length: RLIM_NLIMITS }, (_, resource) => {
    const space = table.space(rlimit.size);
    table.must(`limit ${resource}`, NR.prlimit64, 0, resource, 0, space.address);
    return space;
  });
  return () => ({ rlimits: spaces.map((space) => rlimit.decode(space.bytes)) });
}

/** Sets those limits that differ: raising a hard limit needs CAP_SYS_RESOURCE, which is not asked for in vain. */
export function giveRlimits(table: Table, entry: TaskRlimitsEntry): void {
  const ask = askRlimits(table);
  table.run();
  const present = ask().rlimits;
  entry.rlimits.forEach((limit, resource) => {
    const now = present[resource];
    if (now !== undefined && now.cur === limit.cur && now.max === limit.max) return;
    table.must(`limit ${resource}`, NR.prlimit64, 0, resource, table.data(rlimit.encode(limit)), 0);
  });
}
