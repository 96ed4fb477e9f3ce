/**
 * Starting a program so that what it becomes can be put into any process later: it must have nothing where the kernel, at
 * random, puts something of its own into a new process, and nothing that only this process has.
 *
 * - Its mappings lie far below all that the kernel puts anywhere (a huge limit of the stack at execve(2) sees to it:
 *   mmap_base() in arch/x86/mm/mmap.c), also below the third of the address space from which the old layout grows upwards.
 * - Its stack is a mapping like any other.
 * - It knows of no vDSO, and makes system calls instead.
 * - It has no heap by brk(2), which is the kernel's to place: where it would begin, there is something already.
 * - What it compiles begins with a huge page: a mapping above all others, as large as it takes, pushes it there.
 */

import {
  hugePageDown,
  MAP,
  PAGE_SIZE,
  PROT,
  pageUp,
  readMemory,
  TASK_SIZE,
  writeMemory,
} from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { readMaps } from "../linux/proc.ts";
import { getRegisterBytes, NO_SYSCALL, setRegisters, userRegs } from "../linux/ptrace.ts";
import { RLIM_INFINITY, RLIMIT, rlimit } from "../linux/rlimit.ts";
import { viewOf } from "../linux/struct.ts";
import { checkResult } from "../linux/syscall.ts";
import { findSyscall } from "../tracee/enter/gadgets.ts";
import { callOnce, callRegisters } from "../tracee/hold/many-tasks.ts";
import type { Task } from "../tracee/hold/task.ts";
import { startProgram } from "./program.ts";

const TIB = 2 ** 40;
/** With this limit mappings go from 27 or 28 TiB downwards, which is random by one TiB. */
const STACK_LIMIT = TASK_SIZE + PAGE_SIZE - 28 * TIB;
/** A TiB or more below. */
const STACK_AT = 24 * TIB;
/** The usual limit of a stack, which the C library looks up. */
const STACK_SIZE = 8 * 2 ** 20;
/** Above this are the mappings whose place the kernel chooses. */
const MAPPINGS = STACK_AT + STACK_SIZE;

/** Entries of the auxiliary vector (include/uapi/linux/auxvec.h). */
const AT_NULL = 0n;
const AT_IGNORE = 1n;
const AT_SYSINFO_EHDR = 33n;

/** What prlimit(2) takes for a soft limit of so many bytes; the hard one is none. */
function stackLimit(bytes: number): Uint8Array {
  return rlimit.encode({ cur: BigInt(bytes), max: RLIM_INFINITY });
}

/**
 * Starts a program so, writing to the file `output`, and lets it go. Its mappings begin `lower` bytes, whole pages, below a
 * place for a huge page. Gives its process id. @throws KernelError
 */
export function startMovable(
  path: string,
  words: readonly string[],
  environment: readonly string[],
  output: string,
  lower: number,
): HostPid {
  const task = startProgram(path, words, environment, output, (table) => {
    table.must("its stack", NR.prlimit64, 0, RLIMIT.STACK, table.data(stackLimit(STACK_LIMIT)), 0);
  });
  const { pid } = task;
  const registers = getRegisterBytes(pid);
  const { sp } = userRegs.decode(registers);
  const instruction = findSyscall(pid);
  const call = (nr: number, ...args: number[]): number => {
    let result = 0;
    const made = callRegisters(registers, instruction, nr, args);
    callOnce(
      [task],
      () => made,
      (_, value) => (result = value),
    );
    return checkResult(result, nr, `in process ${pid}`);
  };
  const anonymous = MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE | MAP.NORESERVE;
  call(NR.mmap, STACK_AT, STACK_SIZE, PROT.READ | PROT.WRITE, anonymous, -1, 0);
  const lowest = Math.min(...readMaps(pid).flatMap(({ start }) => (start > MAPPINGS ? [start] : [])));
  const padding = hugePageDown(lowest) - lower;
  call(NR.mmap, padding, lowest - padding, PROT.NONE, anonymous, -1, 0);
  const movedSp = moveStack(task, Number(sp), call);
  const heap = call(NR.brk, 0);
  call(NR.mmap, pageUp(heap), PAGE_SIZE, PROT.NONE, anonymous, -1, 0);
  userRegs.encodeInto(registers, 0, { sp: BigInt(movedSp), orig_ax: NO_SYSCALL });
  setRegisters(pid, registers);
  task.detach();
  return pid;
}

/** Moves what execve(2) has put on the stack to the other one. Gives the stack pointer. */
function moveStack({ pid }: Task, sp: number, call: (nr: number, ...args: number[]) => number): number {
  const stack = readMaps(pid).find(({ path }) => path === "[stack]");
  if (stack === undefined) throw new Error(`process ${pid} has no stack`);
  const bytes = readMemory(pid, sp, new Uint8Array(stack.end - sp));
  const moved = STACK_AT + STACK_SIZE - bytes.length;
  const view = viewOf(bytes);
  const relocate = (at: number) => {
    const value = Number(view.getBigUint64(at, true));
    if (value >= sp && value < stack.end) view.setBigUint64(at, BigInt(value - sp + moved), true);
  };
  // The count of words, their addresses, those of the environment, each with a zero behind.
  let at = 8;
  for (let list = 0; list < 2; list++, at += 8)
    for (; view.getBigUint64(at, true) !== 0n; at += 8) relocate(at);
  for (; view.getBigUint64(at, true) !== AT_NULL; at += 16) {
    if (view.getBigUint64(at, true) === AT_SYSINFO_EHDR) view.setBigUint64(at, AT_IGNORE, true);
    else relocate(at + 8);
  }
  // The C library looks its limit up. There is room for it where nothing is yet.
  const limit = stackLimit(STACK_SIZE);
  writeMemory(pid, STACK_AT, limit);
  call(NR.prlimit64, 0, RLIMIT.STACK, STACK_AT, 0);
  writeMemory(pid, STACK_AT, new Uint8Array(limit.length));
  writeMemory(pid, moved, bytes);
  call(NR.munmap, stack.start, stack.end - stack.start);
  return moved;
}
