/**
 * Many held tasks at once: what is to be done with each of them (wait for a stop, set registers, let run, detach) is laid
 * out in one table of our own and done in a native loop (linux/batch.ts), so that a thousand threads cost a few calls.
 */
import { instant } from "../faults.ts";
import { BlockBatch } from "../linux/batch.ts";
import { KernelError } from "../linux/errno.ts";
import { NR } from "../linux/nr.ts";
import { getRegisters, getSiginfoCode, iovec, NT, PTRACE, userRegs, WAIT } from "../linux/ptrace.ts";
import { SIG } from "../linux/signal.ts";
import { viewOf } from "../linux/struct.ts";
import { addressOf } from "../linux/syscall.ts";
import { SI_KERNEL, SYSCALL_STOP, type Task, TaskGoneError } from "./task.ts";

const HIGH = 0x1_0000_0000;
/** As wait4(2) tells of a stop by a breakpoint, or by a SIGTRAP that somebody sent. */
const STOPPED_BY_TRAP = (SIG.TRAP << 8) | 0x7f;
/** Or at the entry or the exit of a system call. */
const STOPPED_AT_SYSCALL = (SYSCALL_STOP << 8) | 0x7f;
const MASK_SIZE = 8;

/** Room for each: an iovec, a set of registers, the word that wait4(2) writes. */
const SET_AT = iovec.size;
const STATUS_AT = SET_AT + userRegs.size;
const ROOM = STATUS_AT + 8;
/** For a final state: the iovecs of its registers, and the mask. */
const ROOM_FOR_STATE = 2 * iovec.size + MASK_SIZE;

/** Where a table ended: the address of its last entry, and the result if that was a call that failed. */
export interface End {
  readonly entry: number;
  readonly result: number;
}

/** What a task is let go with. Several may have the same bytes. */
export interface FinalState {
  /** As struct user_regs_struct. */
  readonly registers: Uint8Array;
  /** An XSAVE image in the standard layout. */
  readonly extended: Uint8Array;
  /** Blocked signals. */
  readonly mask: bigint;
}

/** Waits for the first stops of tasks just born. @throws TaskGoneError */
export function awaitNewborn(tasks: readonly Task[]): void {
  const batch = new BlockBatch(tasks.length, 1, 8);
  batch.entry(0, NR.wait4, 0, 0, WAIT.ALL, 0);
  batch.spread();
  tids(batch, tasks, 0, 0);
  batch.rooms(0, 1, 0);
  batch.runAll();
  tasks.forEach((task, i) => {
    // Interrupted: it is asked again.
    if (batch.result(i, 0) !== task.tid) task.awaitTrap();
  });
}

/**
 * Sets each task to run its table, all with the same other registers: those of the runner (struct user_regs_struct).
 * @throws KernelError
 */
export function startTables(tasks: readonly Task[], registers: Uint8Array, tables: readonly number[]): void {
  const view = viewOf(registers);
  const sets = tables.map((table) => {
    view.setBigUint64(userRegs.offset.bx, BigInt(table), true);
    return registers.slice();
  });
  setAndResume(tasks, sets, PTRACE.CONT);
}

function setAndResume(tasks: readonly Task[], sets: readonly Uint8Array[], request: number): void {
  const batch = new BlockBatch(tasks.length, 2, ROOM);
  setRegset(batch, 0, NT.PRSTATUS);
  batch.entry(1, NR.ptrace, request, 0, 0, 0);
  batch.spread();
  tids(batch, tasks, 0, 1);
  tids(batch, tasks, 1, 1);
  batch.rooms(0, 3, 0);
  sets.forEach((registers, i) => {
    const at = batch.offset(i);
    batch.bytes.set(registers, at + SET_AT);
    vector(batch, at, batch.address + at + SET_AT, userRegs.size);
  });
  instant();
  batch.runAll();
  check(batch, tasks, 0, "SETREGSET");
  check(batch, tasks, 1, "resuming");
}

/** Waits for a stop of each task and asks for its registers. */
function awaitRegisters(tasks: readonly Task[]): BlockBatch {
  const batch = new BlockBatch(tasks.length, 2, ROOM);
  batch.entry(0, NR.wait4, 0, 0, WAIT.ALL, 0);
  batch.entry(1, NR.ptrace, PTRACE.GETREGSET, 0, NT.PRSTATUS, 0);
  batch.spread();
  tids(batch, tasks, 0, 0);
  tids(batch, tasks, 1, 1);
  batch.rooms(0, 1, STATUS_AT);
  batch.rooms(1, 3, 0);
  for (let i = 0; i < tasks.length; i++)
    vector(batch, batch.offset(i), batch.address + batch.offset(i) + SET_AT, userRegs.size);
  batch.runAll();
  return batch;
}

/** Waits for the ends of the tables that tasks run. @throws TaskGoneError, KernelError */
export function awaitTables(tasks: readonly Task[], ends: readonly number[]): End[] {
  const batch = awaitRegisters(tasks);
  const { words } = batch;
  return tasks.map((task, i): End => {
    const at = batch.offset(i);
    const entry = addressIn(words, at + SET_AT + userRegs.offset.bx);
    if (batch.result(i, 0) === task.tid) {
      const status = words[(at + STATUS_AT) / 4] ?? 0;
      // Whoever stands at the last entry has nothing left to do, be it a breakpoint that stopped it or not.
      if (status === STOPPED_BY_TRAP && entry === ends[i]) return { entry, result: 0 };
      if ((status & 0x7f) !== 0x7f) throw new TaskGoneError(task.pid, task.tid, "ended");
      if (status !== STOPPED_BY_TRAP || getSiginfoCode(task.tid) !== SI_KERNEL) {
        task.resume();
        task.awaitBreakpoint();
      }
    } else task.awaitBreakpoint();
    const { bx, ax } = getRegisters(task.tid);
    return { entry: Number(bx), result: Number(BigInt.asIntN(64, ax)) };
  });
}

/**
 * Lets each task make the one call that its registers (struct user_regs_struct) are set up for, with an instruction that
 * they point at. Leaves it behind the call, and gives the results. @throws TaskGoneError, KernelError
 */
export function callOnce(tasks: readonly Task[], calls: readonly Uint8Array[]): number[] {
  if (tasks.length === 0) return [];
  setAndResume(tasks, calls, PTRACE.SYSCALL);
  const entry = new BlockBatch(tasks.length, 2, 8);
  entry.entry(0, NR.wait4, 0, 0, WAIT.ALL, 0);
  entry.entry(1, NR.ptrace, PTRACE.SYSCALL, 0, 0, 0);
  entry.spread();
  tids(entry, tasks, 0, 0);
  tids(entry, tasks, 1, 1);
  entry.rooms(0, 1, 0);
  entry.runAll();
  const exit = awaitRegisters(tasks);
  return tasks.map((task, i) => {
    const entered =
      entry.result(i, 0) === task.tid && entry.words[entry.offset(i) / 4] === STOPPED_AT_SYSCALL;
    const stopped = exit.result(i, 0) === task.tid;
    const left = stopped && exit.words[(exit.offset(i) + STATUS_AT) / 4] === STOPPED_AT_SYSCALL;
    if (entered && left) return signedIn(exit.words, exit.offset(i) + SET_AT + userRegs.offset.ax);
    // Somebody sent it a signal meanwhile, or us: not all of the stops seen were those waited for.
    for (let seen = Number(entered) + Number(left), at = stopped; seen < 2; seen++, at = true) {
      if (at) task.resume(PTRACE.SYSCALL);
      task.awaitSyscallStop();
    }
    return Number(BigInt.asIntN(64, getRegisters(task.tid).ax));
  });
}

/**
 * Gives tasks their extended state, which nothing of ours touches from here on, and sees whether the kernel would take
 * their registers too. They have those of `registers` then. @throws KernelError
 */
export function tryStates(
  tasks: readonly Task[],
  states: readonly FinalState[],
  registers: Uint8Array,
): void {
  const batch = new BlockBatch(tasks.length, 3, 3 * iovec.size);
  setRegset(batch, 0, NT.X86_XSTATE);
  setRegset(batch, 1, NT.PRSTATUS);
  setRegset(batch, 2, NT.PRSTATUS);
  batch.spread();
  for (let call = 0; call < 3; call++) {
    tids(batch, tasks, call, 1);
    batch.rooms(call, 3, call * iovec.size);
  }
  states.forEach((state, i) => {
    [state.extended, state.registers, registers].forEach((bytes, k) => {
      vector(batch, batch.offset(i) + k * iovec.size, addressOf(bytes), bytes.length);
    });
  });
  instant();
  batch.runAll();
  check(batch, tasks, 0, "SETREGSET of extended state");
  check(batch, tasks, 1, "SETREGSET");
}

/** Gives tasks that run nothing of ours any more their own state. @throws KernelError */
export function giveStates(tasks: readonly Task[], states: readonly FinalState[]): void {
  const batch = new BlockBatch(tasks.length, 3, ROOM_FOR_STATE);
  setRegset(batch, 0, NT.X86_XSTATE);
  setRegset(batch, 1, NT.PRSTATUS);
  batch.entry(2, NR.ptrace, PTRACE.SETSIGMASK, 0, MASK_SIZE, 0);
  batch.spread();
  for (let call = 0; call < 3; call++) tids(batch, tasks, call, 1);
  batch.rooms(0, 3, 0);
  batch.rooms(1, 3, iovec.size);
  batch.rooms(2, 3, 2 * iovec.size);
  states.forEach(({ registers, extended, mask }, i) => {
    const at = batch.offset(i);
    vector(batch, at, addressOf(extended), extended.length);
    vector(batch, at + iovec.size, addressOf(registers), registers.length);
    batch.words[(at + 2 * iovec.size) / 4] = Number(mask & 0xffff_ffffn);
    batch.words[(at + 2 * iovec.size) / 4 + 1] = Number(mask >> 32n);
  });
  instant();
  batch.runAll();
  check(batch, tasks, 0, "SETREGSET of extended state");
  check(batch, tasks, 1, "SETREGSET");
  check(batch, tasks, 2, "SETSIGMASK");
}

/** Lets go of all tasks. One that is gone already is no error. */
export function detachAll(tasks: readonly Task[]): void {
  const batch = new BlockBatch(tasks.length, 1, 0);
  batch.entry(0, NR.ptrace, PTRACE.DETACH, 0, 0, 0);
  batch.spread();
  tids(batch, tasks, 0, 1);
  instant();
  batch.runAll();
}

function setRegset(batch: BlockBatch, call: number, note: number): void {
  batch.entry(call, NR.ptrace, PTRACE.SETREGSET, 0, note, 0);
}

function tids(batch: BlockBatch, tasks: readonly Task[], call: number, argument: number): void {
  for (let i = 0; i < tasks.length; i++) batch.argument(i, call, argument, tasks[i]?.tid ?? 0);
}

function vector({ words }: BlockBatch, at: number, base: number, length: number): void {
  const word = at / 4;
  words[word] = base;
  words[word + 1] = base / HIGH;
  words[word + 2] = length;
}

function addressIn(words: Uint32Array, at: number): number {
  return (words[at / 4] ?? 0) + (words[at / 4 + 1] ?? 0) * HIGH;
}

function signedIn(words: Uint32Array, at: number): number {
  return (words[at / 4] ?? 0) + ((words[at / 4 + 1] ?? 0) | 0) * HIGH;
}

/** @throws KernelError for the first task of which this request failed */
function check(batch: BlockBatch, tasks: readonly Task[], call: number, request: string): void {
  for (let i = 0; i < tasks.length; i++) {
    const result = batch.result(i, call);
    if (result < 0) throw new KernelError(`ptrace(${request})`, `task ${tasks[i]?.tid}`, -result);
  }
}
