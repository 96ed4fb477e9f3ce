/**
 * Signals that the kernel has forced on a thread for what it has just done: a fault, a breakpoint. One that is pending when
 * the thread is stopped would come in the midst of our work, before the breakpoint that ends a table, even where it is
 * blocked by then. So such a thread takes its signal first, as it would have done an instant later: it is found before the
 * first instruction of its handler.
 */

import type { HostPid } from "../../linux/pid.ts";
import { readStatus } from "../../linux/proc.ts";
import { peekSiginfo } from "../../linux/ptrace.ts";
import { withPending } from "../../linux/ptrace-many.ts";
import { SYNCHRONOUS, siginfoHead, signalBit } from "../../linux/signal.ts";
import type { Task } from "./task.ts";

/** One in the handler of which another one is forced on it, and so on. */
const MOST = 8;

/** Whether a siginfo_t is that of a signal which the kernel hands out before others: it is of a fault, and no process sent it. */
export function isForced(info: Uint8Array): boolean {
  const { signo, code } = siginfoHead.decode(info);
  return code > 0 && (signalBit(signo) & SYNCHRONOUS) !== 0n;
}

/** The blocked signals of a thread as they are now, those of sigsuspend(2) while it is there. @throws KernelError */
function blockedNow({ pid, tid }: { readonly pid: HostPid; readonly tid: HostPid }): bigint {
  return BigInt(`0x${readStatus(pid, tid).get("SigBlk") ?? "0"}`);
}

function isNext(task: Task): boolean {
  const forced = peekSiginfo(task.tid, false).filter(isForced);
  if (forced.length === 0) return false;
  const blocked = blockedNow(task);
  return forced.some((info) => (signalBit(siginfoHead.decode(info).signo) & blocked) === 0n);
}

/** Has stopped threads take the signals that are forced on them. @throws KernelError, TaskGoneError of one that they kill */
export function takeForcedSignals(tasks: readonly Task[]): void {
  for (const task of withPending(tasks)) {
    for (let taken = 0; taken < MOST && isNext(task); taken++) task.takeSignal();
  }
}
