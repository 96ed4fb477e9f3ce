/**
 * Ticks: a signal of ours that ends a call that sleeps with EINTR, again and again, so that whoever waits in the kernel for
 * another process can look from time to time whether what it waits for may still happen. Nothing else gets to see it: the
 * ticks are on around one wait only.
 */

import { hostMachine } from "../machine/host.ts";
import { itimerspec } from "./clock.ts";
import { ERRNO, KernelError } from "./errno.ts";
import { NR } from "./nr.ts";
import { oncePerRun } from "./once-per-run.ts";
import type { HostPid } from "./pid.ts";
import { decodeStatus, WAIT, type WaitStatus } from "./ptrace.ts";
import { SA, SIGEV_THREAD_ID, sigaction, sigevent } from "./signal.ts";
import { viewOf } from "./struct.ts";
import { addressOf, placeCode, rawSyscall, syscall } from "./syscall.ts";

/** SIGRTMAX: neither the runtime nor any libc has a use for it. */
const TICK = 64;
const SIGSET_SIZE = 8;
const CLOCK_MONOTONIC = 1;
const TICK_NSEC = 100_000_000n;

const on = itimerspec.encode({ isec: 0n, insec: TICK_NSEC, vsec: 0n, vnsec: TICK_NSEC });
const off = itimerspec.encode({ isec: 0n, insec: 0n, vsec: 0n, vnsec: 0n });
let handler: number | undefined;

/** A timer whose signal is for this thread, which does nothing at it. */
const timer = oncePerRun(() => {
  const { code, restorer } = hostMachine.idleHandler;
  handler ??= placeCode(code);
  const action = sigaction.encode({
    handler,
    flags: BigInt(SA.RESTORER),
    restorer: handler + restorer,
    mask: 0n,
  });
  syscall("the handler of our ticks", NR.rt_sigaction, TICK, addressOf(action), 0, SIGSET_SIZE);
  const event = sigevent.encode({
    value: 0n,
    signo: TICK,
    notify: SIGEV_THREAD_ID,
    tid: rawSyscall(NR.gettid),
    pad: 0,
  });
  const id = new Int32Array(2);
  const idAddress = addressOf(new Uint8Array(id.buffer));
  syscall("our ticks", NR.timer_create, CLOCK_MONOTONIC, addressOf(event), idAddress);
  return id[0] ?? 0;
});

/** Calls `wait`, in which every call that sleeps ends with EINTR after a tenth of a second at the latest. @throws KernelError */
export function withTicks<T>(wait: () => T): T {
  rawSyscall(NR.timer_settime, timer(), 0, addressOf(on), 0);
  try {
    return wait();
  } finally {
    rawSyscall(NR.timer_settime, timer(), 0, addressOf(off), 0);
  }
}

const status = new Uint8Array(8);
const statusView = viewOf(status);
const statusAddress = addressOf(status);

/**
 * wait4(2) for a task of ours, traced or not. Undefined when nothing was reported until a tick: then it is to be seen to
 * whether anything still can be. @throws KernelError, ECHILD when there is nobody to wait for
 */
export function waitUntilTick(tid: HostPid): WaitStatus | undefined {
  const result = withTicks(() => rawSyscall(NR.wait4, tid, statusAddress, WAIT.ALL, 0));
  if (result === -ERRNO.EINTR) return undefined;
  if (result < 0) throw new KernelError("wait4", `task ${tid}`, -result);
  return decodeStatus(statusView.getInt32(0, true));
}
