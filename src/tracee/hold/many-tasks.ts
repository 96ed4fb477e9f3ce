/** Many held tasks at once, in native loops: a thousand threads make their calls, and get their states, in a few calls. */

import { Blocks, lazily } from "../../linux/blocks.ts";
import { KernelError } from "../../linux/errno.ts";
import { iovec } from "../../linux/iovec.ts";
import { NR } from "../../linux/nr.ts";
import { NO_SYSCALL, NT, PTRACE, setRegisters, userRegs } from "../../linux/ptrace.ts";
import { CHUNK, MASK_SIZE, must, startMany, waitMany } from "../../linux/ptrace-many.ts";
import { MASK_ALL } from "../../linux/signal.ts";
import { viewOf } from "../../linux/struct.ts";
import { addressOf } from "../../linux/syscall.ts";
import { DISPATCH_OFF, type DispatchConfiguration, setDispatch } from "../../linux/user-dispatch.ts";
import { SYSCALL_STOP, Task } from "./task.ts";

/** What a task is let go with. Several may have the same bytes. */
export interface FinalState {
  /** As struct user_regs_struct. */
  readonly registers: Uint8Array;
  /** An XSAVE image in the standard layout. */
  readonly extended: Uint8Array;
  /** Blocked signals. */
  readonly mask: bigint;
  /** How its system calls are dispatched, undefined where they are made as ever. */
  readonly dispatch?: DispatchConfiguration | undefined;
}

/** Waits for the first stops of tasks just born. @throws TaskGoneError, KernelError */
export function awaitNewborn(tasks: readonly Task[]): void {
  waitMany(tasks, 0, (task, outcome) => {
    if (outcome instanceof KernelError) throw outcome;
    if (outcome === undefined) task.awaitTrap();
  });
}

/**
 * Sets each task to run its table, all with the same other registers: those of the runner (struct user_regs_struct).
 * @throws KernelError
 */
export function startTables(
  tasks: readonly Task[],
  registers: Uint8Array,
  tableOf: (task: Task) => number,
): void {
  const view = viewOf(registers);
  startMany(
    tasks,
    (task) => {
      view.setBigUint64(userRegs.offset.bx, BigInt(tableOf(task)), true);
      return registers;
    },
    (_, { error }) => {
      if (error !== undefined) throw error;
    },
  );
}

/**
 * Waits for the ends of the tables that tasks run; `ended` is told where each ended: the address of its last entry, and
 * the result of that if it is a call. @throws TaskGoneError, KernelError
 */
export function awaitTables(
  tasks: readonly Task[],
  ended: (task: Task, entry: number, result: number) => void,
): void {
  Task.awaitBreakpoints(tasks, () => {});
  readRegisters(tasks, (task, view, at) => {
    const entry = Number(view.getBigUint64(at + userRegs.offset.bx, true));
    ended(task, entry, Number(view.getBigInt64(at + userRegs.offset.ax, true)));
  });
}

const READ_AT = iovec.size;
const reading = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 1, bytes: READ_AT + userRegs.size }, (blocks, block) => {
      const own = blocks.bytesOf(block);
      blocks.entry(block, NR.ptrace, PTRACE.GETREGSET, 0, NT.PRSTATUS, blocks.address + own);
      point(blocks.bytes, own, blocks.address + own + READ_AT, userRegs.size);
    }),
);

/** Reads the registers of stopped tasks; `take` finds those of each, a `userRegs`, at a byte of the view. @throws KernelError */
export function readRegisters(
  tasks: readonly Task[],
  take: (task: Task, view: DataView, at: number) => void,
): void {
  const blocks = reading();
  const view = viewOf(blocks.bytes);
  blocks.forEach(
    tasks,
    ({ tid }, block) => blocks.give(block, 0, 1, tid),
    (task, block) => {
      must(blocks, block, 0, PTRACE.GETREGSET, task.tid);
      take(task, view, blocks.bytesOf(block) + READ_AT);
    },
  );
}

const SET = { EXTENDED: 0, REGISTERS: 1, AGAIN: 2, MASK: 3 } as const;
const REGISTERS_AT = iovec.size;
const AGAIN_AT = 2 * iovec.size;
const MASK_AT = 3 * iovec.size;
const setting = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 4, bytes: MASK_AT + MASK_SIZE }, (blocks, block) => {
      const own = blocks.address + blocks.bytesOf(block);
      const lay = (step: number, request: number, address: number, data: number) =>
        blocks.entry(blocks.entryOf(block, step), NR.ptrace, request, 0, address, data);
      lay(SET.EXTENDED, PTRACE.SETREGSET, NT.X86_XSTATE, own);
      lay(SET.REGISTERS, PTRACE.SETREGSET, NT.PRSTATUS, own + REGISTERS_AT);
      lay(SET.AGAIN, PTRACE.SETREGSET, NT.PRSTATUS, own + AGAIN_AT);
      lay(SET.MASK, PTRACE.SETSIGMASK, MASK_SIZE, own + MASK_AT);
    }),
);

/** Sets all that a state says; the registers, once they are set, to those of `after`. @throws KernelError */
function setStates(
  tasks: readonly Task[],
  states: readonly FinalState[],
  after: (state: FinalState) => FinalState,
): void {
  const blocks = setting();
  const view = viewOf(blocks.bytes);
  let index = 0;
  blocks.forEach(
    tasks,
    ({ tid }, block) => {
      const state = states[index++];
      if (state === undefined) throw new RangeError(`task ${tid} has no state`);
      const { extended, registers } = state;
      const last = after(state);
      const own = blocks.bytesOf(block);
      for (let step = 0; step <= SET.MASK; step++) blocks.give(block, step, 1, tid);
      point(blocks.bytes, own, addressOf(extended), extended.length);
      point(blocks.bytes, own + REGISTERS_AT, addressOf(registers), registers.length);
      point(blocks.bytes, own + AGAIN_AT, addressOf(last.registers), last.registers.length);
      view.setBigUint64(own + MASK_AT, last.mask, true);
    },
    ({ tid }, block) => {
      for (let step = 0; step < SET.MASK; step++) must(blocks, block, step, PTRACE.SETREGSET, tid);
      must(blocks, block, SET.MASK, PTRACE.SETSIGMASK, tid);
    },
    true,
  );
}

/** Gives tasks that run nothing of ours any more their own state. @throws KernelError */
export function giveStates(tasks: readonly Task[], states: readonly FinalState[]): void {
  setStates(tasks, states, (state) => state);
  eachDispatch(tasks, states, ({ tid }, dispatch) => setDispatch(tid, dispatch));
}

function eachDispatch(
  tasks: readonly Task[],
  states: readonly FinalState[],
  use: (task: Task, dispatch: DispatchConfiguration) => void,
): void {
  tasks.forEach((task, i) => {
    const dispatch = states[i]?.dispatch;
    if (dispatch !== undefined) use(task, dispatch);
  });
}

/**
 * Gives tasks their extended state, which nothing of ours touches from here on, and sees whether the kernel would take
 * their registers too. They have those of `registers` then, and all signals are blocked: they meet no breakpoint any more. @throws KernelError
 */
export function tryStates(
  tasks: readonly Task[],
  states: readonly FinalState[],
  registers: Uint8Array,
): void {
  setStates(tasks, states, ({ extended }) => ({ extended, registers, mask: MASK_ALL }));
  eachDispatch(tasks, states, ({ tid }, dispatch) => {
    setDispatch(tid, dispatch);
    setDispatch(tid, DISPATCH_OFF);
  });
}

/** `registers` (struct user_regs_struct), but about to make a call with the instruction at an address; a copy. */
export function callRegisters(
  registers: Uint8Array,
  instruction: number,
  nr: number,
  args: readonly number[],
): Uint8Array {
  const made = registers.slice();
  const [di = 0, si = 0, dx = 0, r10 = 0, r8 = 0, r9 = 0] = args;
  const word = (value: number) => BigInt.asUintN(64, BigInt(value));
  userRegs.encodeInto(made, 0, {
    ip: BigInt(instruction),
    orig_ax: NO_SYSCALL,
    ax: BigInt(nr),
    di: word(di),
    si: word(si),
    dx: word(dx),
    r10: word(r10),
    r8: word(r8),
    r9: word(r9),
  });
  return made;
}

/**
 * Lets each task make the one call that its registers (struct user_regs_struct) are set up for, with an instruction that
 * they point at. Leaves it behind the call, and tells of the result. @throws TaskGoneError, KernelError
 */
export function callOnce(
  tasks: readonly Task[],
  registersOf: (task: Task) => Uint8Array,
  done: (task: Task, result: number) => void,
): void {
  for (const task of tasks) setRegisters(task.tid, registersOf(task));
  // To the entry of the call, and to its exit.
  for (let stop = 0; stop < 2; stop++) {
    requestOfAll(tasks, PTRACE.SYSCALL, (task, result) => {
      if (result < 0) throw new KernelError("ptrace(SYSCALL)", `task ${task.tid}`, -result);
    });
    waitMany(tasks, 0, (task, outcome) => {
      if (outcome instanceof KernelError) throw outcome;
      const status = outcome?.status;
      if (status?.kind === "stopped" && status.event === 0 && status.signal === SYSCALL_STOP) return;
      // Somebody sent it a signal meanwhile, or us.
      if (outcome !== undefined) task.resume(PTRACE.SYSCALL);
      task.awaitSyscallStop();
    });
  }
  readRegisters(tasks, (task, view, at) => {
    done(task, Number(view.getBigInt64(at + userRegs.offset.ax, true)));
  });
}

/** From here on tasks do not die with us: if we do, they run on from their registers. One that is gone already is no error. */
export function outliveUs(tasks: readonly Task[]): void {
  requestOfAll(tasks, PTRACE.SETOPTIONS, () => {});
}

/** Lets go of all tasks; they run on from their registers. One that is gone already is no error. */
export function detachAll(tasks: readonly Task[]): void {
  requestOfAll(tasks, PTRACE.DETACH, () => {});
}

const requesting = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 1, bytes: 0 }, (blocks, block) =>
      blocks.entry(block, NR.ptrace, 0, 0, 0, 0),
    ),
);

function requestOfAll(
  tasks: readonly Task[],
  request: number,
  done: (task: Task, result: number) => void,
): void {
  const blocks = requesting();
  blocks.forEach(
    tasks,
    ({ tid }, block) => {
      blocks.give(block, 0, 0, request);
      blocks.give(block, 0, 1, tid);
    },
    (task, block) => done(task, blocks.result(block, 0)),
    true,
  );
}

/** Writes a vector, at `at`, to `length` bytes at an address of ours. */
function point(bytes: Uint8Array, at: number, base: number, length: number): void {
  iovec.write(bytes, at, { base, length });
}
