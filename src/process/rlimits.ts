/** Resource limits of a process, all sixteen (prlimit(2)). */

import { Repeated } from "../images/repeated.ts";
import { TaskRlimitsEntry } from "../images/schema/generated/process.ts";
import { keepBytes } from "../images/wire.ts";
import { NR } from "../linux/nr.ts";
import { CALLER, type HostPid } from "../linux/pid.ts";
import {
  RLIM_INFINITY,
  RLIM_NLIMITS,
  RLIMIT,
  RLIMIT_NAMES,
  type Rlimit,
  readRlimit,
  rlimit,
  setRlimit,
} from "../linux/rlimit.ts";
import { array } from "../linux/struct.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Table } from "../tracee/table/table.ts";
import { ImageValueError } from "./errors.ts";
import { callLate } from "./late-signals.ts";

const rlimits = array(rlimit, RLIM_NLIMITS);

/** Asks from within: reading another user's limits from outside needs CAP_SYS_RESOURCE. */
export function askRlimits(table: Table): () => TaskRlimitsEntry {
  const space = table.space(RLIM_NLIMITS * rlimit.size);
  for (let resource = 0; resource < RLIM_NLIMITS; resource++) {
    table.must("a resource limit", NR.prlimit64, 0, resource, 0, space.at(resource * rlimit.size));
  }
  return () => limits.of(space.bytes, () => ({ rlimits: rlimits.read(space.bytes, 0) }));
}

const limits = new Repeated<TaskRlimitsEntry>((entry) => keepBytes(TaskRlimitsEntry, entry));

/** A limit in words. */
export function limitWords(value: bigint): string {
  return value === RLIM_INFINITY ? "unlimited" : String(value);
}

/** Of limit `resource`, for an error: raising it may be what fails. */
function wordsOf(resource: number, { cur, max }: Rlimit): string {
  const which = `RLIMIT_${RLIMIT_NAMES[resource] ?? resource}`;
  return `${which} ${limitWords(cur)}, at most ${limitWords(max)} (to raise what it is at most takes CAP_SYS_RESOURCE)`;
}

/** Our own limits, which processes are born with. @throws KernelError */
export function ownRlimits(): TaskRlimitsEntry {
  const limits: TaskRlimitsEntry = { rlimits: [] };
  for (let resource = 0; resource < RLIM_NLIMITS; resource++)
    limits.rlimits.push(readRlimit(CALLER, resource));
  return limits;
}

/**
 * Sets those limits of process `pid`, born with `inherited`, that differ: raising a hard limit needs CAP_SYS_RESOURCE,
 * which is not asked for in vain. @throws ImageValueError
 */
export function giveRlimits(
  table: Table,
  pid: HostPid,
  entry: TaskRlimitsEntry,
  inherited: TaskRlimitsEntry,
): void {
  if (entry.rlimits.length > RLIM_NLIMITS)
    throw new ImageValueError(
      `${entry.rlimits.length} resource limits, where the kernel has ${RLIM_NLIMITS}`,
    );
  entry.rlimits.forEach((limit, resource) => {
    // That of descriptors may have been raised for those that were put into the process.
    const now = resource === RLIMIT.NOFILE ? readRlimit(pid, resource) : inherited.rlimits[resource];
    if (now?.cur === limit.cur && now.max === limit.max) return;
    if (now !== undefined && limit.max > now.max) {
      // From outside: in a user namespace of its own it has no right to it that counts.
      const higher = { cur: now.cur, max: limit.max };
      setRlimit(pid, resource, higher, () => `${wordsOf(resource, limit)} of process ${pid}`);
    }
    if (resource === RLIMIT.SIGPENDING) return;
    table.must(wordsOf(resource, limit), NR.prlimit64, 0, resource, table.data(rlimit.encode(limit)), 0);
  });
}

/**
 * Sets the limit of pending signals, when all signals are pending, which may be more than are allowed now, and all timers are made: the
 * first thread runs no tables any more. @throws KernelError, TaskGoneError
 */
export function giveSignalLimit(
  restoree: Restoree,
  { rlimits }: TaskRlimitsEntry,
  inherited: TaskRlimitsEntry,
): void {
  const [limit, now] = [rlimits[RLIMIT.SIGPENDING], inherited.rlimits[RLIMIT.SIGPENDING]];
  if (limit === undefined || (now?.cur === limit.cur && now.max === limit.max)) return;
  const what = wordsOf(RLIMIT.SIGPENDING, limit);
  callLate(restoree, restoree.leader.task, what, NR.setrlimit, [RLIMIT.SIGPENDING], rlimit.encode(limit));
}
