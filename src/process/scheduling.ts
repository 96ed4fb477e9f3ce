/** Scheduling of a thread: policy, priority, nice, timer slack (sched(7), prctl(2)). */
import type { ThreadCoreEntry } from "../images/schema/generated/process.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { s32, struct } from "../linux/struct.ts";
import { rawSyscall } from "../linux/syscall.ts";
import type { Calls } from "../tracee/table/calls.ts";
import type { Table } from "../tracee/table/table.ts";

const schedParam = struct({ priority: s32 });
const SCHED_NORMAL = 0;
const PRIO_PROCESS = 0;

type Scheduling = Pick<
  ThreadCoreEntry,
  "sched_nice" | "sched_policy" | "sched_prio" | "timerslack_ns" | "timerslack_before"
>;

/** The raw getpriority(2) gives 20 less the nice value, so that it is never negative. */
const NICE_ZERO = 20;

/** Asks the thread that runs the table; SCHED_RESET_ON_FORK is among the policy's bits. */
export function askScheduling(table: Table): () => Scheduling {
  const nice = table.must("its nice value", NR.getpriority, PRIO_PROCESS, 0);
  const parameters = table.space(schedParam.size);
  table.must("its priority", NR.sched_getparam, 0, parameters.address);
  const policy = table.must("its scheduling policy", NR.sched_getscheduler, 0);
  const slack = table.must("its timer slack", NR.prctl, PR.GET_TIMERSLACK, 0, 0, 0, 0);
  return () => {
    const out: Scheduling = {
      sched_nice: NICE_ZERO - nice.value,
      sched_policy: policy.value,
      timerslack_ns: BigInt(slack.value),
    };
    const { priority } = schedParam.decode(parameters.bytes);
    if (priority > 0) out.sched_prio = priority;
    return out;
  };
}

/**
 * Gives the root of a tree, from outside, the best nice value that any thread of the tree has, before others are born of it. To get
 * a worse one nobody needs a right; to get a better one a process in a user namespace would need CAP_SYS_NICE outside of it.
 */
export function favourRoot(pid: HostPid, tree: Iterable<Scheduling | undefined>): void {
  const ours = NICE_ZERO - rawSyscall(NR.getpriority, PRIO_PROCESS, 0);
  let best = ours;
  for (const thread of tree) best = Math.min(best, thread?.sched_nice ?? 0);
  // Where we may not do it either, the thread that cannot get its own says so.
  if (best < ours) rawSyscall(NR.setpriority, PRIO_PROCESS, pid, best);
}

/** Sets policy and nice of the thread that runs the table. Only what differs from a new thread's needs a call. */
export function giveScheduling(table: Calls, entry: Scheduling): void {
  const policy = entry.sched_policy ?? SCHED_NORMAL;
  const priority = entry.sched_prio ?? 0;
  const parameters = table.data(schedParam.encode({ priority }));
  table.must("its nice value", NR.setpriority, PRIO_PROCESS, 0, entry.sched_nice ?? 0);
  table.must("its scheduling policy", NR.sched_setscheduler, 0, policy, parameters);
  const slack = entry.timerslack_ns ?? entry.timerslack_before;
  if (slack !== undefined) table.must("its timer slack", NR.prctl, PR.SET_TIMERSLACK, Number(slack), 0, 0, 0);
}
