/** What ptrace(2) and wait4(2) do to many tasks, in native loops: a process may have thousands of threads. */

import { Blocks, lazily, wholeWords } from "./blocks.ts";
import { xsaveSize } from "./cpuid.ts";
import { ERRNO, KernelError, nameOf } from "./errno.ts";
import { iovec } from "./iovec.ts";
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import {
  decodeStatus,
  NT,
  PTRACE,
  peekRequest,
  rseqConfiguration,
  SIGINFO_SIZE,
  siginfoCode,
  userRegs,
  WAIT,
  type WaitStatus,
} from "./ptrace.ts";
import { MASK_WHILE_RUNNING } from "./signal.ts";
import { viewOf } from "./struct.ts";
import { withTicks } from "./ticks.ts";
import { type DispatchConfiguration, decodeDispatch, dispatchConfiguration } from "./user-dispatch.ts";

/** Tasks in one native call. */
export const CHUNK = 128;
export const MASK_SIZE = 8;

function refused(request: number, tid: HostPid, errno: number): KernelError {
  return new KernelError(`ptrace(${nameOf(PTRACE, request) ?? request})`, `task ${tid}`, errno);
}

const SEIZE = 0;
const INTERRUPT = 1;
const seizing = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 2, bytes: 0 }, (blocks, block) => {
      blocks.entry(blocks.entryOf(block, SEIZE), NR.ptrace, PTRACE.SEIZE, 0, 0, 0);
      blocks.entry(blocks.entryOf(block, INTERRUPT), NR.ptrace, PTRACE.INTERRUPT, 0, 0, 0);
    }),
);

/**
 * Seizes running tasks and asks each to stop; one that cannot be asked has ended, as a wait for it will tell. `done` is
 * told of each: undefined, or why it is not ours.
 */
export function seizeMany<T extends { readonly tid: HostPid }>(
  tasks: readonly T[],
  options: number,
  done: (task: T, error: KernelError | undefined) => void,
): void {
  const blocks = seizing();
  blocks.forEach(
    tasks,
    ({ tid }, block) => {
      blocks.give(block, SEIZE, 1, tid);
      blocks.give(block, SEIZE, 3, options);
      blocks.give(block, INTERRUPT, 1, tid);
    },
    (task, block) => {
      const seized = blocks.result(block, SEIZE);
      done(task, seized < 0 ? refused(PTRACE.SEIZE, task.tid, -seized) : undefined);
    },
    true,
  );
}

const WAIT_STEP = 0;
const CODE = 1;
const STATUS_AT = 0;
const INFO_AT = 8;
const waiting = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 2, bytes: INFO_AT + SIGINFO_SIZE }, (blocks, block) => {
      const own = blocks.address + blocks.bytesOf(block);
      blocks.entry(blocks.entryOf(block, WAIT_STEP), NR.wait4, 0, own + STATUS_AT, 0, 0);
      blocks.entry(blocks.entryOf(block, CODE), NR.ptrace, PTRACE.GETSIGINFO, 0, 0, own + INFO_AT);
    }),
);

/** What wait4(2) told of a task. */
export interface Report {
  readonly status: WaitStatus;
  /** si_code of the signal whose delivery it is stopped at, undefined where it is not. */
  readonly code: number | undefined;
}

type Outcome = Report | KernelError | undefined;

/**
 * wait4(2) for each of many tasks of ours; `options` as for `wait` in ptrace.ts. `done` is told of every one what came of
 * it, and is not to throw: undefined for a task that has nothing to report, which without WAIT.NOHANG is to be asked
 * again, as it was waited for until a tick (ticks.ts); an error where there is nobody to wait for (ECHILD).
 */
export function waitMany<T extends { readonly tid: HostPid }>(
  tasks: readonly T[],
  options: number,
  done: (task: T, outcome: Outcome) => void,
): void {
  if ((options & WAIT.NOHANG) !== 0) {
    lookAtMany(tasks, options, done);
    return;
  }
  const outcomes: Outcome[] = [];
  withTicks(() => lookAtMany(tasks, options, (_, outcome) => outcomes.push(outcome)));
  tasks.forEach((task, i) => {
    done(task, outcomes[i]);
  });
}

function lookAtMany<T extends { readonly tid: HostPid }>(
  tasks: readonly T[],
  options: number,
  done: (task: T, outcome: Outcome) => void,
): void {
  const blocks = waiting();
  const view = viewOf(blocks.bytes);
  blocks.forEach(
    tasks,
    ({ tid }, block) => {
      blocks.give(block, WAIT_STEP, 0, tid);
      blocks.give(block, WAIT_STEP, 2, options | WAIT.ALL);
      blocks.give(block, CODE, 1, tid);
    },
    (task, block) => {
      const waited = blocks.result(block, WAIT_STEP);
      if (waited === 0 || waited === -ERRNO.EINTR) return done(task, undefined);
      if (waited < 0) return done(task, new KernelError("wait4", `task ${task.tid}`, -waited));
      const own = blocks.bytesOf(block);
      const code = blocks.result(block, CODE) < 0 ? undefined : siginfoCode(view, own + INFO_AT);
      done(task, { status: decodeStatus(view.getInt32(own + STATUS_AT, true)), code });
    },
  );
}

/** The state of a stopped task, as ptrace tells it. */
export interface RawState {
  /** A `userRegs`. */
  readonly registers: Uint8Array;
  readonly mask: bigint;
  /** The extended state in the standard XSAVE layout, not to be changed. */
  readonly xstate: Uint8Array;
  readonly rseq: ReturnType<typeof rseqConfiguration.decode> | undefined;
  /** How its system calls are dispatched, undefined where they are made as ever. */
  readonly dispatch: DispatchConfiguration | undefined;
}

const STATE = { REGISTERS: 0, XSTATE: 1, MASK: 2, RSEQ: 3, DISPATCH: 4 } as const;
const STATE_STEPS = 5;
const REGISTERS_VECTOR_AT = 0;
const XSTATE_VECTOR_AT = REGISTERS_VECTOR_AT + iovec.size;
const SAVED_MASK_AT = XSTATE_VECTOR_AT + iovec.size;
const RSEQ_AT = SAVED_MASK_AT + MASK_SIZE;
const DISPATCH_AT = RSEQ_AT + wholeWords(rseqConfiguration.size);
const REGISTERS_AT = DISPATCH_AT + dispatchConfiguration.size;
const XSTATE_AT = REGISTERS_AT + wholeWords(userRegs.size);
const reading = lazily(
  () =>
    new Blocks(
      { capacity: CHUNK, entries: STATE_STEPS, bytes: XSTATE_AT + wholeWords(xsaveSize()) },
      (blocks, block) => {
        const own = blocks.address + blocks.bytesOf(block);
        const lay = (step: number, request: number, address: number, data: number) =>
          blocks.entry(blocks.entryOf(block, step), NR.ptrace, request, 0, address, data);
        lay(STATE.REGISTERS, PTRACE.GETREGSET, NT.PRSTATUS, own + REGISTERS_VECTOR_AT);
        lay(STATE.XSTATE, PTRACE.GETREGSET, NT.X86_XSTATE, own + XSTATE_VECTOR_AT);
        lay(STATE.MASK, PTRACE.GETSIGMASK, MASK_SIZE, own + SAVED_MASK_AT);
        lay(STATE.RSEQ, PTRACE.GET_RSEQ_CONFIGURATION, rseqConfiguration.size, own + RSEQ_AT);
        const { GET_SYSCALL_USER_DISPATCH_CONFIG } = PTRACE;
        lay(STATE.DISPATCH, GET_SYSCALL_USER_DISPATCH_CONFIG, dispatchConfiguration.size, own + DISPATCH_AT);
      },
    ),
);

/**
 * Takes down the states of stopped tasks, in their order; the registers' bytes are the caller's. Neighbours whose extended
 * states are equal have one in common, as threads that wait mostly do: it is 2.7 KiB. @throws KernelError
 */
export function readStates<T extends { readonly tid: HostPid }>(tasks: readonly T[]): RawState[] {
  const blocks = reading();
  const { bytes } = blocks;
  const view = viewOf(bytes);
  const xstateRoom = blocks.shape.bytes - XSTATE_AT;
  const states: RawState[] = [];
  let last = new Uint8Array();
  blocks.forEach(
    tasks,
    ({ tid }, block) => {
      for (let step = 0; step < STATE_STEPS; step++) blocks.give(block, step, 1, tid);
      const own = blocks.bytesOf(block);
      const base = blocks.address + own;
      iovec.write(blocks.bytes, own + REGISTERS_VECTOR_AT, {
        base: base + REGISTERS_AT,
        length: userRegs.size,
      });
      iovec.write(blocks.bytes, own + XSTATE_VECTOR_AT, {
        base: base + XSTATE_AT,
        length: xstateRoom,
      });
    },
    ({ tid }, block) => {
      const own = blocks.bytesOf(block);
      must(blocks, block, STATE.REGISTERS, PTRACE.GETREGSET, tid);
      must(blocks, block, STATE.XSTATE, PTRACE.GETREGSET, tid);
      must(blocks, block, STATE.MASK, PTRACE.GETSIGMASK, tid);
      // Kernels before 5.13 cannot tell.
      const tells = blocks.result(block, STATE.RSEQ) !== -ERRNO.EIO;
      if (tells) must(blocks, block, STATE.RSEQ, PTRACE.GET_RSEQ_CONFIGURATION, tid);
      // Kernels before 6.4 cannot tell.
      const dispatches =
        blocks.result(block, STATE.DISPATCH) >= 0 && view.getBigUint64(own + DISPATCH_AT, true) !== 0n;
      const { length } = iovec.read(bytes, own + XSTATE_VECTOR_AT);
      const xstate = bytes.subarray(own + XSTATE_AT, own + XSTATE_AT + length);
      if (Buffer.compare(xstate, last) !== 0) last = xstate.slice();
      states.push({
        registers: bytes.slice(own + REGISTERS_AT, own + REGISTERS_AT + userRegs.size),
        mask: view.getBigUint64(own + SAVED_MASK_AT, true),
        xstate: last,
        rseq: tells ? rseqConfiguration.read(bytes, own + RSEQ_AT) : undefined,
        dispatch: dispatches ? decodeDispatch(bytes, own + DISPATCH_AT) : undefined,
      });
    },
  );
  return states;
}

/** @throws KernelError where this step, a request for `tid`, failed */
export function must(blocks: Blocks, block: number, step: number, request: number, tid: HostPid): void {
  const result = blocks.result(block, step);
  if (result < 0) throw refused(request, tid, -result);
}

const START = { REGISTERS: 0, MASK: 1, CONT: 2 } as const;
const START_MASK_AT = iovec.size;
const START_REGISTERS_AT = START_MASK_AT + MASK_SIZE;
const starting = lazily(
  () =>
    new Blocks(
      { capacity: CHUNK, entries: 3, bytes: START_REGISTERS_AT + wholeWords(userRegs.size) },
      (blocks, block) => {
        const own = blocks.bytesOf(block);
        const base = blocks.address + own;
        const view = viewOf(blocks.bytes);
        iovec.write(blocks.bytes, own, { base: base + START_REGISTERS_AT, length: userRegs.size });
        view.setBigUint64(own + START_MASK_AT, MASK_WHILE_RUNNING, true);
        const lay = (step: number, request: number, address: number, data: number) =>
          blocks.entry(blocks.entryOf(block, step), NR.ptrace, request, 0, address, data);
        lay(START.REGISTERS, PTRACE.SETREGSET, NT.PRSTATUS, base);
        lay(START.MASK, PTRACE.SETSIGMASK, MASK_SIZE, base + START_MASK_AT);
        lay(START.CONT, PTRACE.CONT, 0, 0);
      },
    ),
);

/** How far a task came that was to be started: its registers are set, it runs. */
export interface Started {
  readonly set: boolean;
  readonly runs: boolean;
  readonly error: KernelError | undefined;
}

/**
 * Gives each of many stopped tasks its registers, a `userRegs`, then the mask of those that work for us, then lets it run:
 * registers first, so that whatever happens next it is on its way.
 */
export function startMany<T extends { readonly tid: HostPid }>(
  tasks: readonly T[],
  registersOf: (task: T) => Uint8Array,
  done: (task: T, started: Started) => void,
): void {
  const blocks = starting();
  blocks.forEach(
    tasks,
    (task, block) => {
      for (let step = 0; step <= START.CONT; step++) blocks.give(block, step, 1, task.tid);
      blocks.bytes.set(registersOf(task), blocks.bytesOf(block) + START_REGISTERS_AT);
    },
    (task, block) => {
      const results = [START.REGISTERS, START.MASK, START.CONT].map((step) => blocks.result(block, step));
      const failed = results.findIndex((result) => result < 0);
      const requests = [PTRACE.SETREGSET, PTRACE.SETSIGMASK, PTRACE.CONT];
      done(task, {
        set: (results[START.REGISTERS] ?? 0) >= 0,
        runs: (results[START.CONT] ?? 0) >= 0,
        error: failed < 0 ? undefined : refused(requests[failed] ?? 0, task.tid, -(results[failed] ?? 0)),
      });
    },
    true,
  );
}

const LATE = { PENDING: 0, ROBUST: 1, IOPRIO: 2, AFFINITY: 3 } as const;
/** IOPRIO_WHO_PROCESS: it is about one thread. */
const ONE = 1;
/** A bit for each processor; the kernel refuses a mask that is smaller than its own. */
const AFFINITY_SIZE = 1024;
const PEEK_AT = 0;
const PEEKED_AT = wholeWords(peekRequest.size);
const PEEKING = PEEKED_AT + SIGINFO_SIZE;

/** Lays, as the first step of a block, a look at the first signal that is pending for a thread alone. */
function layPeek(blocks: Blocks, block: number): void {
  const own = blocks.bytesOf(block);
  const base = blocks.address + own;
  peekRequest.write(blocks.bytes, own + PEEK_AT, { off: 0n, flags: 0, nr: 1 });
  const entry = blocks.entryOf(block, LATE.PENDING);
  blocks.entry(entry, NR.ptrace, PTRACE.PEEKSIGINFO, 0, base + PEEK_AT, base + PEEKED_AT);
}

const peeking = lazily(() => new Blocks({ capacity: CHUNK, entries: 1, bytes: PEEKING }, layPeek));

/** Those of stopped tasks for which signals are pending that are theirs alone. @throws KernelError */
export function withPending<T extends { readonly tid: HostPid }>(tasks: readonly T[]): T[] {
  const blocks = peeking();
  const found: T[] = [];
  blocks.forEach(
    tasks,
    ({ tid }, block) => blocks.give(block, LATE.PENDING, 1, tid),
    (task, block) => {
      must(blocks, block, LATE.PENDING, PTRACE.PEEKSIGINFO, task.tid);
      if (blocks.result(block, LATE.PENDING) > 0) found.push(task);
    },
  );
  return found;
}

const ROBUST_AT = PEEKING;
const AFFINITY_AT = ROBUST_AT + 2 * 8;
const asking = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 4, bytes: AFFINITY_AT + AFFINITY_SIZE }, (blocks, block) => {
      layPeek(blocks, block);
      const own = blocks.address + blocks.bytesOf(block);
      const at = own + ROBUST_AT;
      blocks.entry(blocks.entryOf(block, LATE.ROBUST), NR.get_robust_list, 0, at, at + 8);
      blocks.entry(blocks.entryOf(block, LATE.IOPRIO), NR.ioprio_get, ONE, 0);
      const mask = own + AFFINITY_AT;
      blocks.entry(blocks.entryOf(block, LATE.AFFINITY), NR.sched_getaffinity, 0, AFFINITY_SIZE, mask);
    }),
);

export interface Outside {
  /** Whether signals are pending for this thread alone: `peekSiginfo` tells which. */
  readonly pending: boolean;
  /** get_robust_list(2): head and length. */
  readonly robustHead: bigint;
  readonly robustLength: number;
  /** ioprio_get(2): 0 where none was set. */
  readonly ioprio: number;
  /** Processors that it may run on, as sched_getaffinity(2) gives them, not to be kept; undefined where that is not told. */
  readonly affinity: Uint8Array | undefined;
}

/** What is asked of stopped tasks from outside, without registers. @throws KernelError */
export function askOutside<T extends { readonly tid: HostPid }>(tasks: readonly T[]): Outside[] {
  const blocks = asking();
  const view = viewOf(blocks.bytes);
  const out: Outside[] = [];
  // Masks are mostly the same: one object then.
  let last = new Uint8Array();
  const maskOf = (at: number, length: number): Uint8Array | undefined => {
    if (length <= 0) return undefined;
    const mask = blocks.bytes.subarray(at, at + length);
    if (Buffer.compare(mask, last) !== 0) last = mask.slice();
    return last;
  };
  blocks.forEach(
    tasks,
    ({ tid }, block) => {
      blocks.give(block, LATE.PENDING, 1, tid);
      blocks.give(block, LATE.ROBUST, 0, tid);
      blocks.give(block, LATE.IOPRIO, 1, tid);
      blocks.give(block, LATE.AFFINITY, 0, tid);
    },
    ({ tid }, block) => {
      must(blocks, block, LATE.PENDING, PTRACE.PEEKSIGINFO, tid);
      const robust = blocks.result(block, LATE.ROBUST);
      if (robust < 0) throw new KernelError("get_robust_list", `of task ${tid}`, -robust);
      const own = blocks.bytesOf(block);
      out.push({
        pending: blocks.result(block, LATE.PENDING) > 0,
        robustHead: view.getBigUint64(own + ROBUST_AT, true),
        robustLength: view.getUint32(own + ROBUST_AT + 8, true),
        ioprio: Math.max(0, blocks.result(block, LATE.IOPRIO)),
        affinity: maskOf(own + AFFINITY_AT, blocks.result(block, LATE.AFFINITY)),
      });
    },
  );
  return out;
}
