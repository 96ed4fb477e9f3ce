/** Letting restored processes go: the last calls are made without our area, which vanishes with the last of them. */

import { kill } from "../../linux/kill.ts";
import { writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import { getSignalMask, PTRACE, PTRACE_EVENT, setSignalMask } from "../../linux/ptrace.ts";
import { SIG, sigaction, signalBit } from "../../linux/signal.ts";
import { checkResult } from "../../linux/syscall.ts";
import { findSyscall } from "../enter/gadgets.ts";
import { callOnce, callRegisters } from "../hold/many-tasks.ts";
import type { Restoree } from "./restoree.ts";

/** Makes one call in each process' first thread with an instruction of its own. All work at once. */
function callOutside(
  restorees: readonly Restoree[],
  object: string,
  nr: number,
  args: (restoree: Restoree) => readonly number[],
): void {
  const byTask = new Map(restorees.map((restoree) => [restoree.leader.task, restoree]));
  const registersOf = (restoree: Restoree) =>
    callRegisters(restoree.leader.registers, restoree.exit, nr, args(restoree));
  callOnce(
    [...byTask.keys()],
    (task) => {
      const restoree = byTask.get(task);
      if (restoree === undefined) throw new Error(`nobody asked task ${task.tid}`);
      return registersOf(restoree);
    },
    ({ pid }, result) => checkResult(result, nr, `${object} in process ${pid}`),
  );
}

/**
 * Finds what {@link leaveAreas} needs; after this nothing can fail for a reason of the image. `known` gives the address of
 * a system call instruction of a process, where that is known.
 */
export function prepareToLeave(
  restorees: readonly Restoree[],
  known: (restoree: Restoree) => number | undefined,
): void {
  for (const restoree of restorees)
    restoree.exit = known(restoree) ?? findSyscall(restoree.pid, restoree.area.address);
}

/**
 * Unmaps our area from processes whose threads will run no more tables, or maps in its place what `mappingInstead` tells of a
 * process: address, length, protection and flags. `ignoresTrap` are those that ignore SIGTRAP:
 * the kernel takes that back at each breakpoint, and they have met their last one now.
 */
export function leaveAreas(
  restorees: readonly Restoree[],
  mappingInstead: (restoree: Restoree) => readonly number[] | undefined,
  ignoresTrap: readonly Restoree[],
): void {
  const SIG_IGN = 1;
  const ignore = sigaction.encode({ handler: SIG_IGN });
  for (const { pid, area } of ignoresTrap) writeMemory(pid, area.ourSigtrap, ignore);
  callOutside(ignoresTrap, "SIGTRAP", NR.rt_sigaction, ({ area }) => [SIG.TRAP, area.ourSigtrap, 0, 8]);
  const last = new Map(restorees.map((restoree) => [restoree, mappingInstead(restoree)]));
  const others = restorees.filter((restoree) => last.get(restoree) !== undefined);
  const most = others.length === 0 ? restorees : restorees.filter((restoree) => !others.includes(restoree));
  callOutside(most, "of our area", NR.munmap, ({ area }) => [area.address, area.size]);
  callOutside(others, "in place of our area", NR.mmap, (restoree) => [...(last.get(restoree) ?? []), -1, 0]);
}

/** Has a process in a group-stop go on, of which its parent is told: it stands still, held by us. */
export function continueProcess({ leader, pid }: Restoree): void {
  kill(pid, SIG.CONT);
  leader.task.eventStop();
}

/**
 * Puts a process, whose first thread is stopped, into the group-stop of `signal`. Where the kernel does not stop for that signal (the group is orphaned), SIGSTOP does.
 */
export function stopProcess({ leader, pid }: Restoree, signal: number): void {
  const { task } = leader;
  task.eventStop();
  const mask = getSignalMask(task.tid);
  for (const each of signal === SIG.STOP ? [SIG.STOP] : [signal, SIG.STOP]) {
    // No other signal's handler may run on the way.
    setSignalMask(task.tid, ~signalBit(each));
    kill(pid, each);
    // The trap asked for comes before any instruction of the process, whether it stops or not.
    for (let delivered = false; ; ) {
      task.resume(PTRACE.CONT, delivered ? each : 0);
      const stop = task.awaitAnyStop();
      if (stop.event === PTRACE_EVENT.STOP && stop.signal === each) {
        setSignalMask(task.tid, mask);
        return;
      }
      if (stop.event === PTRACE_EVENT.STOP && delivered) break;
      delivered = stop.event === 0 && stop.signal === each;
      if (delivered) task.interrupt();
    }
  }
}
