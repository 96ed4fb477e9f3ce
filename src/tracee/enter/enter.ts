/** Entering processes that are to be dumped, asking and leaving them, all at once: by an area in them, or else call by call. */

import { callsOneByOne } from "../../faults.ts";
import type { KernelError } from "../../linux/errno.ts";
import { PAGE_SIZE } from "../../linux/memory.ts";
import { memoryLeft } from "../../linux/memory-cgroup.ts";
import { peekSiginfo } from "../../linux/ptrace.ts";
import { withPending } from "../../linux/ptrace-many.ts";
import { SIG, siginfoHead } from "../../linux/signal.ts";
import { log } from "../../log.ts";
import { isForced } from "../hold/forced-signals.ts";
import type { Task } from "../hold/task.ts";
import type { Table } from "../table/table.ts";
import { CallByCall } from "./call-by-call.ts";
import type { Answers, Entered, EnterRequest } from "./entered.ts";
import { Infection } from "./infection.ts";

/** Pages that an area takes of a process, with those of page tables; and those of each of its threads. */
const AREA_PAGES = 64;
const THREAD_PAGES = 3;

/**
 * Enters processes, all at once. Each is given by its `carrier`, a task in a PTRACE_EVENT_STOP all of whose fellow threads are
 * stopped too, its state and its mappings. `entered` gets each process that is to be left again, also when another one fails.
 * Those that share memory are entered in the same way. @throws KernelError, RangeError
 */
export function enterAll(requests: readonly EnterRequest[], entered: Entered[]): Entered[] {
  /** Why processes with these memories are entered call by call. */
  const without = new Map<number, string>();
  if (callsOneByOne()) for (const { vm } of requests) without.set(vm, "as asked");
  for (const { vm, threads } of requests) {
    const signal = signalInTheWay(threads.map(({ task }) => task));
    if (signal !== undefined) without.set(vm, `signal ${signal} is pending`);
    if (threads.some(({ saved }) => saved.dispatch !== undefined))
      without.set(vm, "system calls are dispatched (PR_SET_SYSCALL_USER_DISPATCH)");
  }
  const left = new Map<number, number>();
  for (const { vm, carrier, threads } of requests) {
    const bytes = memoryLeft(carrier.task.pid);
    if (bytes >= (AREA_PAGES + threads.length * THREAD_PAGES) * PAGE_SIZE) continue;
    left.set(vm, bytes);
    without.set(vm, `its control group has ${bytes} bytes of memory left`);
  }
  const byArea = requests.filter(({ vm }) => !without.has(vm));
  Infection.enterAll(byArea, entered, (vm, error: KernelError) => without.set(vm, error.message));
  const byMemory = new Map<number, CallByCall[]>();
  for (const request of requests) {
    const { vm, carrier } = request;
    const why = without.get(vm);
    if (why === undefined) continue;
    log.info("enter", `process ${carrier.task.pid}: calls are made from outside, one by one: ${why}`);
    const others = byMemory.get(vm) ?? [];
    byMemory.set(vm, others);
    entered.push(CallByCall.enter(request, others, left.get(vm)));
  }
  return requests.flatMap(({ carrier }) => entered.filter(({ pid }) => pid === carrier.task.pid));
}

/**
 * A signal that is pending for one of the threads and would be handed out before the breakpoint that ends a table, or in its
 * place. @throws KernelError
 */
function signalInTheWay(threads: readonly Task[]): number | undefined {
  const [first] = threads;
  const own = withPending(threads).flatMap(({ tid }) => peekSiginfo(tid, false));
  const shared = first === undefined ? [] : peekSiginfo(first.tid, true);
  const signo = (info: Uint8Array) => siginfoHead.decode(info).signo;
  const found = own.find(isForced) ?? [...own, ...shared].find((info) => signo(info) === SIG.TRAP);
  return found === undefined ? undefined : signo(found);
}

/** Those that can be asked at once. */
export function askingGroups(entered: readonly Entered[]): Entered[][] {
  const byArea = entered.filter((each) => each instanceof Infection);
  const others = entered.filter((each) => !(each instanceof Infection));
  return [...Infection.groups(byArea), ...others.map((each) => [each])].filter(({ length }) => length > 0);
}

/**
 * Has the carriers of processes that were entered just now, one of the `askingGroups`, run the table that `fill` makes, all at
 * the same time. It is to be the first that they run. @throws KernelError
 */
export function askAll<T>(
  group: readonly Entered[],
  fill: (table: Table) => T,
): { answers: Answers; asked: T } {
  const [first] = group;
  if (first instanceof CallByCall) return first.ask(fill);
  return Infection.askAll(
    group.filter((each) => each instanceof Infection),
    fill,
  );
}

/**
 * Takes everything back, in all processes at once: each stands stopped exactly where it was found. `failed` is told of those
 * of which that cannot be said, and why: TaskGoneError, KernelError.
 */
export function leaveAll(
  entered: readonly Entered[],
  failed: (entered: Entered, error: unknown) => void,
): void {
  Infection.leaveAll(
    entered.filter((each) => each instanceof Infection),
    failed,
  );
  for (const each of entered) {
    if (!(each instanceof CallByCall)) continue;
    try {
      each.leave();
    } catch (error) {
      failed(each, error);
    }
  }
}
