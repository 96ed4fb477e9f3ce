/** Resource limits of a process, all sixteen (prlimit(2)). */
import type { TaskRlimitsEntry } from "../images/schema/generated/process.ts";
import { NR } from "../linux/nr.ts";
import { array, struct, u64, viewOf } from "../linux/struct.ts";
import type { Table } from "../tracee/table.ts";

const rlimit = struct({ cur: u64, max: u64 });
const RLIM_NLIMITS = 16;
const rlimits = array(rlimit, RLIM_NLIMITS);

/** Asks from within: reading another user's limits from outside needs CAP_SYS_RESOURCE. */
export function askRlimits(table: Table): () => TaskRlimitsEntry {
  const space = table.space(RLIM_NLIMITS * rlimit.size);
  for (let resource = 0; resource < RLIM_NLIMITS; resource++) {
    table.must("a resource limit", NR.prlimit64, 0, resource, 0, space.address + resource * rlimit.size);
  }
  return () => ({ rlimits: rlimits.read(viewOf(space.bytes), 0) });
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
