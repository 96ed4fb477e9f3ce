/**
 * Pending signals that the kernel hands out before the breakpoint which ends a table, or in its place, even where they are
 * blocked: those of faults, and SIGTRAP. They are queued when a thread runs no tables any more.
 */

import type { CoreEntry, SignalQueueEntry } from "../images/schema/generated/process.ts";
import { writeMemory } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { type Identity, ownNumber } from "../linux/pid.ts";
import { setSignalMask } from "../linux/ptrace.ts";
import { MASK_ALL, SIG, siginfoHead } from "../linux/signal.ts";
import { checkResult } from "../linux/syscall.ts";
import { hostMachine } from "../machine/host.ts";
import type { RestoredTask, Restoree } from "../tracee/build/restoree.ts";
import { isForced } from "../tracee/hold/forced-signals.ts";
import { callOnce, callRegisters } from "../tracee/hold/many-tasks.ts";
import type { Task } from "../tracee/hold/task.ts";

/** Whether a pending signal, a siginfo_t, is such a one; `shared` says that it is pending for the process. */
export function isLate(siginfo: Uint8Array, shared: boolean): boolean {
  return siginfoHead.decode(siginfo).signo === SIG.TRAP || (!shared && isForced(siginfo));
}

function lateOf(queue: SignalQueueEntry | undefined, shared: boolean): Uint8Array[] {
  return (queue?.signals ?? []).map(({ siginfo }) => siginfo).filter((siginfo) => isLate(siginfo, shared));
}

/**
 * Queues those of threads of a process that have made all their other calls; `coreOf` gives the image of a thread. All signals
 * are blocked in them from here on. @throws KernelError, TaskGoneError
 */
export function giveLateSignals(
  restoree: Restoree,
  threads: readonly RestoredTask[],
  coreOf: (identity: Identity) => CoreEntry,
): void {
  for (const { task, identity } of threads) {
    const { thread_core, tc } = coreOf(identity);
    const pid = ownNumber(restoree.identity);
    const queue = (nr: number, args: readonly number[], siginfo: Uint8Array) => {
      const { signo } = siginfoHead.decode(siginfo);
      callLate(restoree, task, `pending signal ${signo}`, nr, [...args, signo], siginfo);
    };
    for (const siginfo of lateOf(thread_core?.signals_p, false))
      queue(NR.rt_tgsigqueueinfo, [pid, ownNumber(identity)], siginfo);
    if (task.tid !== restoree.pid) continue;
    for (const siginfo of lateOf(tc?.signals_s, true)) queue(NR.rt_sigqueueinfo, [pid], siginfo);
  }
}

/** Makes a call in a thread that runs no tables any more; its last argument is the address of `data`. @throws KernelError, TaskGoneError */
export function callLate(
  { pid, area, leader }: Restoree,
  task: Task,
  object: string,
  nr: number,
  args: readonly number[],
  data: Uint8Array,
): void {
  const { address } = area.bulkRegion(pid);
  writeMemory(pid, address, data);
  setSignalMask(task.tid, MASK_ALL);
  const { runner, gadgets } = hostMachine;
  const instruction = area.address + Buffer.from(runner.code).indexOf(gadgets.call);
  const registers = callRegisters(leader.registers, instruction, nr, [...args, address]);
  callOnce(
    [task],
    () => registers,
    (_, result) => checkResult(result, nr, `${object} of task ${task.tid}`),
  );
}
