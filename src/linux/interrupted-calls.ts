/**
 * System calls that somebody interrupts, by number (signal(7), "Interruption of system calls"): which of them fail with EINTR
 * when a tracer stops the thread, though no signal came; and which have a timeout that begins when they do.
 */

import { NR } from "./nr.ts";
import type { Registers } from "./ptrace.ts";

/**
 * Calls that fail with a plain EINTR, which is not for the kernel to make again, and that have done nothing then. Those of
 * sockets do where SO_RCVTIMEO or SO_SNDTIMEO is set; select(2), pselect(2) and ppoll(2) where the rest of their timeout cannot be
 * written back.
 */
export const FAIL_WHEN_INTERRUPTED: ReadonlySet<number> = new Set([
  NR.rt_sigtimedwait,
  NR.semop,
  NR.semtimedop,
  NR.epoll_wait,
  NR.epoll_pwait,
  NR.epoll_pwait2,
  NR.io_getevents,
  NR.io_pgetevents,
  NR.io_uring_enter,
  NR.select,
  NR.pselect6,
  NR.ppoll,
  NR.msgrcv,
  NR.msgsnd,
  NR.accept,
  NR.accept4,
  NR.connect,
  NR.recvfrom,
  NR.recvmsg,
  NR.recvmmsg,
  NR.sendto,
  NR.sendmsg,
  NR.sendmmsg,
  NR.read,
  NR.readv,
  NR.write,
  NR.writev,
  NR.sendfile,
  NR.splice,
  NR.tee,
  NR.vmsplice,
  NR.fallocate,
  NR.getrandom,
]);

/** Calls that leave the rest of their timeout where they had it from, and are made again by the kernel where they could. */
export const WRITE_THEIR_REST: ReadonlySet<number> = new Set([NR.select, NR.pselect6, NR.ppoll]);

/** Registers that hold arguments. */
export type Arguments = Pick<Registers, "di" | "si" | "dx" | "r10" | "r8">;

/** Where a call has its timeout: milliseconds in a register, or the address of a structure. */
export interface Timeout {
  readonly register: keyof Arguments;
  readonly unit: "ms" | "timespec" | "timeval";
}

const FUTEX_WAIT = 0;
/** Without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME. */
const FUTEX_COMMAND = 0x7fn;
const TIMER_ABSTIME = 1n;
/** Clocks of CPU time: CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID; those of others are negative. */
const CPU_CLOCKS = [2, 3];

function inMilliseconds(register: keyof Arguments, args: Arguments): Timeout | undefined {
  return BigInt.asIntN(32, args[register]) > 0n ? { register, unit: "ms" } : undefined;
}

function at(
  register: keyof Arguments,
  args: Arguments,
  unit: Timeout["unit"] = "timespec",
): Timeout | undefined {
  return args[register] === 0n ? undefined : { register, unit };
}

/**
 * The timeout of a call, counted from when it was made, where the kernel does not write what is left of it to the process' memory
 * when it is interrupted. Undefined where it has none.
 */
export function relativeTimeout(nr: number, args: Arguments): Timeout | undefined {
  switch (nr) {
    case NR.poll:
      return inMilliseconds("dx", args);
    case NR.epoll_wait:
    case NR.epoll_pwait:
      return inMilliseconds("r10", args);
    case NR.epoll_pwait2:
    case NR.semtimedop:
      return at("r10", args);
    case NR.io_getevents:
    case NR.io_pgetevents:
    case NR.pselect6:
      return at("r8", args);
    case NR.select:
      return at("r8", args, "timeval");
    case NR.ppoll:
    case NR.rt_sigtimedwait:
      return at("dx", args);
    case NR.futex:
      return Number(args.si & FUTEX_COMMAND) === FUTEX_WAIT ? at("r10", args) : undefined;
    case NR.nanosleep:
      return args.si === 0n ? at("di", args) : undefined;
    case NR.clock_nanosleep: {
      const clock = Number(BigInt.asIntN(32, args.di));
      const relative = (args.si & TIMER_ABSTIME) === 0n && clock >= 0 && !CPU_CLOCKS.includes(clock);
      return relative && args.r10 === 0n ? at("dx", args) : undefined;
    }
    default:
      return undefined;
  }
}
