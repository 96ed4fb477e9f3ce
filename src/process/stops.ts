/**
 * Stops of children, and that they go on: of each a parent is told by a signal, and once by its waitid(2). What it has waited for
 * already, and what not yet, is the parent's; its image has it in fields of our own.
 */
import type { TaskCoreEntry } from "../images/schema/generated/process.ts";
import { NR } from "../linux/nr.ts";
import { numberSeenBy } from "../linux/pid.ts";
import { P, WAIT } from "../linux/ptrace.ts";
import { CLD, SIG, siginfoChild } from "../linux/signal.ts";
import { continueProcess, stopProcess } from "../tracee/build/release.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import type { Table } from "../tracee/table/table.ts";
import type { Born } from "./births.ts";
import { TASK_STATE, taskOf } from "./core.ts";

type Stops = Pick<TaskCoreEntry, "stops_waited_for" | "continued_children">;

/** To look at what a wait would tell, and leave it to be told. */
const LOOK = WAIT.UNTRACED | WAIT.CONTINUED | WAIT.NOHANG | WAIT.NOWAIT | WAIT.ALL;

/** Asks a process whether a wait would tell it that a child has stopped, or goes on; which one is asked of each when there is any. */
export function askStops(table: Table): (dumpee: Omit<Dumpee, "pidfd">) => Stops {
  const first = table.space(siginfoChild.size);
  const asked = table.call(NR.waitid, P.ALL, 0, first.address, LOOK, 0);
  return ({ pid, numberOf, nestedOf, frozen, entered }) => {
    const out: Stops = { stops_waited_for: [], continued_children: [] };
    const children = frozen.children.filter(({ zombie }) => !zombie);
    const isAny = !asked.failed && siginfoChild.decode(first.bytes).pid !== 0;
    if (!isAny && children.every(({ stopSignal }) => stopSignal === 0)) return out;
    const nested = nestedOf(pid);
    const looks = children.map((child) => {
      const number = numberOf(child.pid);
      const seen = numberSeenBy({ number, nested }, { number, nested: nestedOf(child.pid) });
      entered.table.reserve(0x200);
      const info = entered.table.space(siginfoChild.size);
      entered.table.must(`child ${child.pid}`, NR.waitid, P.PID, seen, info.address, LOOK, 0);
      return { child, number, info };
    });
    entered.table.run();
    for (const { child, number, info } of looks) {
      const { pid: told, code } = siginfoChild.decode(info.bytes);
      if (child.stopSignal !== 0 && told === 0) out.stops_waited_for.push(number);
      if (told !== 0 && code === CLD.CONTINUED) out.continued_children.push(number);
    }
    return out;
  };
}

/**
 * Stops the children in the tree that are to be stopped, or to have been, before their parents get their own signals; adds to the
 * tables of the parents that they wait for what they had waited for. Gives those that are stopped now. @throws KernelError
 */
export function restoreStops(
  living: readonly Born[],
  awaitThreads: (restoree: Restoree) => void,
): ReadonlySet<Restoree> {
  const stopped = new Set<Restoree>();
  const byPlan = new Map(living.map((born) => [born.planned, born.restoree]));
  for (const { planned, restoree } of living) {
    const parent = planned.parent && byPlan.get(planned.parent);
    if (planned.parent === undefined || parent === undefined) continue;
    const task = taskOf(planned.core, planned.pid);
    const told = taskOf(planned.parent.core, planned.parent.pid);
    const isStopped = task.task_state === TASK_STATE.STOPPED;
    const goesOn = !isStopped && told.continued_children.includes(planned.pid);
    if (!isStopped && !goesOn) continue;
    awaitThreads(restoree);
    stopProcess(restoree, task.stop_signo ?? SIG.STOP);
    for (const thread of restoree.threads) thread.task.eventStop();
    if (goesOn) continueProcess(restoree);
    else stopped.add(restoree);
    if (!told.stops_waited_for.includes(planned.pid)) continue;
    const seen = numberSeenBy(parent.identity, restoree.identity);
    parent.table.reserve(0x200);
    parent.table.must("a stop", NR.waitid, P.PID, seen, 0, WAIT.UNTRACED | WAIT.NOHANG | WAIT.ALL, 0);
  }
  return stopped;
}
