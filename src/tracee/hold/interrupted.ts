/**
 * Calls that fail because we stop the thread, though no signal came: they are made again, with what is left of a timeout as far
 * as that can be told. That is seen to as soon as a process stands, so that it holds whatever happens next.
 */

import { CLOCK, NSEC_PER_SEC, readClock, timespec } from "../../linux/clock.ts";
import { ERESTART, ERRNO, isErrno } from "../../linux/errno.ts";
import {
  FAIL_WHEN_INTERRUPTED,
  relativeTimeout,
  type Timeout,
  WRITE_THEIR_REST,
} from "../../linux/interrupted-calls.ts";
import { readMemory, writeMemory } from "../../linux/memory.ts";
import type { HostPid } from "../../linux/pid.ts";
import { type Registers, setRegisters, userRegs } from "../../linux/ptrace.ts";
import { sleepsOf } from "../../linux/sleepers.ts";
import { readRegisters } from "./many-tasks.ts";
import { SPARED_STACK, type Task, type TimeLeft } from "./task.ts";

const NSEC_PER_MSEC = 1_000_000n;
const NSEC_PER_USEC = 1000n;
/** Nanoseconds by which a beginning may be told too early; so nothing ends before its time. */
const UNCERTAIN = 100_000n;

/** The timeout of a call in nanoseconds. A thread sees its memory by its own number even where the first thread has ended. @throws KernelError */
function lengthOf(tid: HostPid, registers: Registers, { register, unit }: Timeout): bigint {
  const value = registers[register];
  if (unit === "ms") return BigInt.asIntN(32, value) * NSEC_PER_MSEC;
  const { sec, nsec } = timespec.decode(readMemory(tid, Number(value), new Uint8Array(timespec.size)));
  return sec * NSEC_PER_SEC + nsec * (unit === "timeval" ? NSEC_PER_USEC : 1n);
}

/** What is left for stopped threads of which it is known since when they slept, and that sleep in that very call. */
function noteTimesLeft(tasks: readonly Task[], registersOf: (task: Task) => Registers | undefined): void {
  const asleep = tasks.filter(({ sleep, timeLeft }) => sleep !== undefined && timeLeft === undefined);
  if (asleep.length === 0) return;
  const sleeps = sleepsOf(asleep);
  const now = readClock(CLOCK.MONOTONIC);
  asleep.forEach((task, i) => {
    const { tid, sleep } = task;
    const registers = registersOf(task);
    if (registers === undefined || sleep === undefined) return;
    const { nr, sp, ip, since, seen, times } = sleep;
    const same = registers.orig_ax === BigInt(nr) && registers.sp === sp && registers.ip === ip;
    // It has slept once more since then: until it was to stop.
    if (!same || (sleeps[i] ?? Number.POSITIVE_INFINITY) > times + 1) return;
    const timeout = relativeTimeout(nr, registers);
    if (timeout === undefined) return;
    const end = since + UNCERTAIN + lengthOf(tid, registers, timeout);
    // By now that call may have come to its end, and the next one of the kind be at its beginning: it gets its time anew.
    if (now + 2n * UNCERTAIN >= end) return;
    task.timeLeft = { timeout, end, left: end > seen ? end - seen : 0n };
  });
}

/** What the kernel has written to the memory of stopped threads. @throws KernelError */
function noteWrittenRests(tasks: readonly Task[], registersOf: (task: Task) => Registers | undefined): void {
  const now = readClock(CLOCK.MONOTONIC);
  for (const task of tasks) {
    const registers = registersOf(task);
    const timeout = registers && relativeTimeout(Number(registers.orig_ax), registers);
    if (registers === undefined || timeout === undefined) continue;
    const left = lengthOf(task.tid, registers, timeout);
    task.timeLeft = { timeout, end: now + left, left, place: Number(registers[timeout.register]) };
  }
}

/**
 * Registers with which a call is made again with so many nanoseconds of its timeout. Where that is in memory, it is put below
 * what the thread uses of its stack: the kernel reads it before anything else can run there. @throws KernelError
 */
export function withTimeLeft(
  tid: HostPid,
  { sp }: Pick<Registers, "sp">,
  { timeout: { register, unit }, place = below(sp) }: TimeLeft,
  left: bigint,
): Partial<Registers> {
  if (unit === "ms") return { [register]: (left + NSEC_PER_MSEC - 1n) / NSEC_PER_MSEC };
  const rest = left % NSEC_PER_SEC;
  const nsec = unit === "timespec" ? rest : (rest + NSEC_PER_USEC - 1n) / NSEC_PER_USEC;
  try {
    writeMemory(tid, place, timespec.encode({ sec: left / NSEC_PER_SEC, nsec }));
  } catch (error) {
    // There is no stack below: the call begins its timeout anew.
    if (isErrno(error, ERRNO.EFAULT)) return {};
    throw error;
  }
  return { [register]: BigInt(place) };
}

function below(sp: bigint): number {
  const place = Number(sp) - SPARED_STACK;
  return place - (place % 16);
}

const AGAIN = BigInt.asUintN(64, BigInt(-ERESTART.NOHAND));
const FAILED = BigInt.asUintN(64, BigInt(-ERRNO.EINTR));

/**
 * Has the calls that stopped threads of a process failed in, because they were stopped, made again; but not where a signal's
 * handler is to run first, as the kernel itself sees to. Notes what is left of timeouts. @throws KernelError
 */
export function restartInterrupted(tasks: readonly Task[]): void {
  const found = new Map<Task, Registers>();
  const written: Task[] = [];
  readRegisters(tasks, (task, view, at) => {
    const result = view.getBigInt64(at + userRegs.offset.ax, true);
    const nr = view.getBigInt64(at + userRegs.offset.orig_ax, true);
    const failed = result === BigInt(-ERRNO.EINTR) && FAIL_WHEN_INTERRUPTED.has(Number(nr));
    if (result === BigInt(-ERESTART.NOHAND) && WRITE_THEIR_REST.has(Number(nr))) written.push(task);
    const sleeps = result === BigInt(-ERESTART.RESTARTBLOCK) && task.sleep !== undefined;
    if (failed || sleeps || written.at(-1) === task)
      found.set(task, userRegs.decode(new Uint8Array(view.buffer, view.byteOffset), at));
  });
  if (found.size === 0) return;
  noteWrittenRests(written, (task) => found.get(task));
  noteTimesLeft(tasks, (task) => found.get(task));
  for (const [task, registers] of found) {
    if (registers.ax !== FAILED) continue;
    const { tid, timeLeft } = task;
    const changes = timeLeft === undefined ? {} : withTimeLeft(tid, registers, timeLeft, timeLeft.left);
    setRegisters(tid, { ...registers, ...changes, ax: AGAIN });
  }
}

/** Just before threads are let go: what is left of the timeouts of those calls by now. @throws KernelError */
export function renewTimesLeft(tasks: readonly Task[]): void {
  const timed = tasks.filter(({ timeLeft, gone }) => timeLeft !== undefined && !gone);
  if (timed.length === 0) return;
  const now = readClock(CLOCK.MONOTONIC);
  readRegisters(timed, (task, view, at) => {
    const { tid, timeLeft } = task;
    if (timeLeft === undefined || view.getBigUint64(at + userRegs.offset.ax, true) !== AGAIN) return;
    const registers = userRegs.decode(new Uint8Array(view.buffer, view.byteOffset), at);
    const left = timeLeft.end > now ? timeLeft.end - now : 0n;
    setRegisters(tid, { ...registers, ...withTimeLeft(tid, registers, timeLeft, left) });
  });
}
