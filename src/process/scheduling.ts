/** Scheduling of a thread: policy, priority, nice, slice, deadline, timer slack (sched(7), prctl(2)); I/O priority, processors. */
import type { ThreadCoreEntry } from "../images/schema/generated/process.ts";
import { affinityOf, type CpuMask, everyCpu, setAffinity } from "../linux/affinity.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { CALLER, type HostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import type { Outside } from "../linux/ptrace-many.ts";
import {
  hasSlice,
  NICE_ZERO,
  PRIO_PROCESS,
  SCHED,
  SCHED_FLAG,
  SCHED_RESET_ON_FORK,
  schedAttr,
  usualSlice,
} from "../linux/sched.ts";
import { s32, struct } from "../linux/struct.ts";
import { rawSyscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import type { Calls } from "../tracee/table/calls.ts";
import type { Table } from "../tracee/table/table.ts";

const schedParam = struct({ priority: s32 });
/** Of ioprio_get(2). */
const IOPRIO_WHO_PROCESS = 1;
/** The largest utilization, which is what all have to whom nothing was given. */
const UTIL_MAX = 1024;

type Scheduling = Pick<
  ThreadCoreEntry,
  | "sched_nice"
  | "sched_policy"
  | "sched_prio"
  | "sched_deadline"
  | "sched_util_min"
  | "sched_util_max"
  | "sched_slice_ns"
  | "timerslack_ns"
  | "timerslack_before"
  | "ioprio"
  | "affinity"
>;

/** Asks the thread that runs the table; SCHED_RESET_ON_FORK is among the policy's bits. */
export function askScheduling(table: Table): (outside: Pick<Outside, "ioprio" | "affinity">) => Scheduling {
  const nice = table.must("its nice value", NR.getpriority, PRIO_PROCESS, 0);
  const attributes = table.space(schedAttr.size);
  table.must("its scheduling", NR.sched_getattr, 0, attributes.address, schedAttr.size, 0);
  const slack = table.must("its timer slack", NR.prctl, PR.GET_TIMERSLACK, 0, 0, 0, 0);
  const isLimited = limits();
  return ({ ioprio, affinity }) => {
    const { policy, flags, priority, runtime, deadline, period, util_min, util_max } = schedAttr.decode(
      attributes.bytes,
    );
    const resets = (flags & SCHED_FLAG.RESET_ON_FORK) !== 0n;
    const out: Scheduling = {
      sched_nice: NICE_ZERO - nice.value,
      sched_policy: policy + (resets ? SCHED_RESET_ON_FORK : 0),
      timerslack_ns: BigInt(slack.value),
    };
    if (priority > 0) out.sched_prio = priority;
    if (policy === SCHED.DEADLINE)
      out.sched_deadline = { flags, runtime_ns: runtime, deadline_ns: deadline, period_ns: period };
    if (util_min > 0) out.sched_util_min = util_min;
    if (util_max > 0 && util_max < UTIL_MAX) out.sched_util_max = util_max;
    if (hasSlice(policy) && runtime !== usualSlice()) out.sched_slice_ns = runtime;
    if (ioprio !== 0) out.ioprio = ioprio;
    if (affinity !== undefined && isLimited(affinity)) out.affinity = affinity;
    return out;
  };
}

/** All processors that a task may be on where we are. */
const possible = oncePerRun(() => {
  const ours = affinityOf(CALLER);
  if (ours === undefined || !setAffinity(CALLER, everyCpu())) return new Uint8Array();
  const all = affinityOf(CALLER);
  setAffinity(CALLER, ours);
  return all ?? ours;
});

/** Tells whether masks leave out processors; threads mostly have one in common, which is looked at once. */
function limits(): (mask: CpuMask) => boolean {
  const known = new WeakMap<CpuMask, boolean>();
  return (mask) => {
    const found = known.get(mask) ?? possible().some((byte, i) => (byte & ~(mask[i] ?? 0)) !== 0);
    known.set(mask, found);
    return found;
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

const ownIoprio = oncePerRun(() => Math.max(0, rawSyscall(NR.ioprio_get, IOPRIO_WHO_PROCESS, 0)));

/** Gives the thread that runs the table all but its processors. Only what differs from a new thread's needs a call. */
export function giveScheduling(table: Calls, entry: Scheduling): void {
  const policy = entry.sched_policy ?? SCHED.OTHER;
  table.must("its nice value", NR.setpriority, PRIO_PROCESS, 0, entry.sched_nice ?? 0);
  if (entry.sched_deadline === undefined) {
    const parameters = table.data(schedParam.encode({ priority: entry.sched_prio ?? 0 }));
    table.must("its scheduling policy", NR.sched_setscheduler, 0, policy, parameters);
  }
  const slack = entry.timerslack_ns ?? entry.timerslack_before;
  if (slack !== undefined) table.must("its timer slack", NR.prctl, PR.SET_TIMERSLACK, Number(slack), 0, 0, 0);
  if ((entry.ioprio ?? 0) !== ownIoprio())
    table.must("its I/O priority", NR.ioprio_set, IOPRIO_WHO_PROCESS, 0, entry.ioprio ?? 0);
  giveAttributes(table, entry, policy & ~SCHED_RESET_ON_FORK);
}

const NO_ATTRIBUTES = {
  size: schedAttr.size,
  policy: 0,
  flags: 0n,
  nice: 0,
  priority: 0,
  runtime: 0n,
  deadline: 0n,
  period: 0n,
  util_min: 0,
  util_max: 0,
};

function giveAttributes(table: Calls, entry: Scheduling, policy: number): void {
  const { sched_deadline, sched_slice_ns, sched_util_min, sched_util_max } = entry;
  const set = (object: string, attributes: Partial<typeof NO_ATTRIBUTES>) => {
    const bytes = schedAttr.encode({ ...NO_ATTRIBUTES, ...attributes });
    table.must(object, NR.sched_setattr, 0, table.data(bytes), 0);
  };
  if (sched_slice_ns !== undefined) {
    const resets = ((entry.sched_policy ?? 0) & SCHED_RESET_ON_FORK) !== 0;
    const flags = resets ? SCHED_FLAG.RESET_ON_FORK : 0n;
    set("its time slice", { policy, flags, nice: entry.sched_nice ?? 0, runtime: sched_slice_ns });
  }
  if (sched_util_min !== undefined || sched_util_max !== undefined) {
    const keep = SCHED_FLAG.KEEP_POLICY | SCHED_FLAG.KEEP_PARAMS;
    set("its utilization", {
      flags: keep | SCHED_FLAG.UTIL_CLAMP_MIN | SCHED_FLAG.UTIL_CLAMP_MAX,
      util_min: sched_util_min ?? 0,
      util_max: sched_util_max ?? UTIL_MAX,
    });
  }
  if (sched_deadline === undefined) return;
  const { flags, runtime_ns: runtime, deadline_ns: deadline, period_ns: period } = sched_deadline;
  // The kernel admits a thread only where it may run on all processors, and we have kept it on ours.
  const all = everyCpu();
  table.call(NR.sched_setaffinity, 0, all.length, table.data(all));
  set("its deadline (the kernel admits no more)", { policy, flags, runtime, deadline, period });
}

/** Sets, from outside, the processors that a thread may run on, where the image limits them. */
export function giveProcessors(tid: HostPid, { affinity }: Pick<Scheduling, "affinity">): void {
  if (affinity === undefined) return;
  const mask = everyCpu().fill(0);
  mask.set(affinity.subarray(0, mask.length));
  if (!setAffinity(tid, mask)) log.warn("process", `task ${tid}: this machine has none of its processors`);
}
