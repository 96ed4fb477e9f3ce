/** Resource limits of a process, all sixteen (prlimit(2)). */
import type { RlimitEntry, TaskRlimitsEntry } from "../images/schema/generated/process.ts";
import { NR } from "../linux/nr.ts";
import { array, struct, u64 } from "../linux/struct.ts";
import { addressOf, syscall } from "../linux/syscall.ts";
import type { Table } from "../tracee/table.ts";

const rlimit = struct({ cur: u64, max: u64 });
const RLIM_NLIMITS = 16;
const RLIMIT_NOFILE = 7;
const rlimits = array(rlimit, RLIM_NLIMITS);

/** Asks from within: reading another user's limits from outside needs CAP_SYS_RESOURCE. */
export function askRlimits(table: Table): () => TaskRlimitsEntry {
  const space = table.space(RLIM_NLIMITS * rlimit.size);
  for (let resource = 0; resource < RLIM_NLIMITS; resource++) {
    table.must("a resource limit", NR.prlimit64, 0, resource, 0, space.address + resource * rlimit.size);
  }
  return () => ({ rlimits: rlimits.read(space.bytes, 0) });
}

/** Our own limits, which processes are born with. @throws KernelError */
export function ownRlimits(): TaskRlimitsEntry {
  const limits: TaskRlimitsEntry = { rlimits: [] };
  for (let resource = 0; resource < RLIM_NLIMITS; resource++) limits.rlimits.push(readRlimit(0, resource));
  return limits;
}

const present = new Uint8Array(rlimit.size);

function readRlimit(pid: number, resource: number): RlimitEntry {
  syscall(() => `limit ${resource} of process ${pid}`, NR.prlimit64, pid, resource, 0, addressOf(present));
  return rlimit.decode(present);
}

/**
 * Sets those limits of process `pid`, born with `inherited`, that differ: raising a hard limit needs CAP_SYS_RESOURCE,
 * which is not asked for in vain.
 */
export function giveRlimits(
  table: Table,
  pid: number,
  entry: TaskRlimitsEntry,
  inherited: TaskRlimitsEntry,
): void {
  entry.rlimits.forEach((limit, resource) => {
    // That of descriptors may have been raised for those that were put into the process.
    const now = resource === RLIMIT_NOFILE ? readRlimit(pid, resource) : inherited.rlimits[resource];
    if (now?.cur === limit.cur && now.max === limit.max) return;
    table.must(`limit ${resource}`, NR.prlimit64, 0, resource, table.data(rlimit.encode(limit)), 0);
  });
}
