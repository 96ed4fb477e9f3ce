/** The state of a stopped thread, taken down before anything of it is touched. */

import { ERESTART, ERRNO, isErrno } from "../../linux/errno.ts";
import { readMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { type Registers, userRegs } from "../../linux/ptrace.ts";
import { readStates } from "../../linux/ptrace-many.ts";
import { type RseqConfiguration, rseqAborts } from "../../linux/rseq.ts";
import { viewOf, word } from "../../linux/struct.ts";
import type { DispatchConfiguration } from "../../linux/user-dispatch.ts";
import { hostMachine } from "../../machine/host.ts";
import { withTimeLeft } from "../hold/interrupted.ts";
import type { Task } from "../hold/task.ts";

/** Bytes of the instruction that an interrupted call is made again with. */
export const SYSCALL_LENGTH = 2n;

/** State of a thread as it was found: what it must get back. */
export interface Saved {
  /** General registers; a thread caught in a critical section of rseq(2) is at its abort handler already. */
  readonly registers: Registers;
  /** The same as a `userRegs`. */
  readonly bytes: Uint8Array;
  /** What is other where an interrupted call is made again by itself, without the kernel; undefined where there is none. */
  readonly restart: Partial<Registers> | undefined;
  readonly mask: bigint;
  /** The XSAVE image in the standard format. */
  readonly xstate: Uint8Array;
  /** The registration, if there is one. */
  readonly rseq: RseqConfiguration | undefined;
  /** How its system calls are dispatched (PR_SET_SYSCALL_USER_DISPATCH), undefined where they are made as ever. */
  readonly dispatch: DispatchConfiguration | undefined;
}

/** Registers that make an interrupted system call again, for whatever bypasses the kernel's own restart: a frame, an image. */
export function restartedRegisters({ registers, restart }: Saved): Registers {
  return restart === undefined ? registers : { ...registers, ...restart };
}

/** The same as a `userRegs`. */
export function restartedBytes({ bytes, restart }: Saved): Uint8Array {
  if (restart === undefined) return bytes;
  const copy = bytes.slice();
  userRegs.encodeInto(copy, 0, restart);
  return copy;
}

/**
 * What is other where the call is made again; undefined where there is none to be made again. The kernel has left in memory
 * what remains of timeouts that it was given room for; a sleep goes on with that rest. Of the others what is left is known to
 * interrupted.ts, or else they begin their timeout anew.
 */
function restartOf(registers: Registers, { pid, timeLeft }: Task): Partial<Registers> | undefined {
  if (BigInt.asIntN(64, registers.orig_ax) < 0n) return undefined;
  const again = { ax: registers.orig_ax, ip: registers.ip - SYSCALL_LENGTH };
  switch (-Number(BigInt.asIntN(64, registers.ax))) {
    case ERESTART.SYS:
    case ERESTART.NOINTR:
    case ERESTART.NOHAND:
      return again;
    case ERESTART.RESTARTBLOCK:
      // nanosleep(request, rest) and clock_nanosleep(clock, flags, request, rest)
      if (registers.orig_ax === BigInt(NR.nanosleep) && registers.si !== 0n)
        return { ...again, di: registers.si };
      if (registers.orig_ax === BigInt(NR.clock_nanosleep) && registers.r10 !== 0n) {
        return { ...again, dx: registers.r10 };
      }
      if (timeLeft === undefined) return again;
      return { ...again, ...withTimeLeft(pid, registers, timeLeft, timeLeft.left) };
    default:
      return undefined;
  }
}

/** The calls that the kernel restarts by restart_syscall(2). */
const WITH_RESTART_BLOCK: readonly number[] = [NR.poll, NR.nanosleep, NR.clock_nanosleep, NR.futex];
/** Of code before a system call instruction, or a call of syscall(3), to find where the number is loaded. */
const CODE_BEFORE = 32;
/** mov eax, imm32 and mov edi, imm32 */
const MOV_EAX = 0xb8;
const MOV_EDI = 0xbf;
/** mov rax, rdi: syscall(3) has its number as the first argument, and is called like any function. */
const MOV_RAX_RDI = Uint8Array.of(0x48, 0x89, 0xf8);
const INTERRUPTED = BigInt.asUintN(64, BigInt(-ERESTART.RESTARTBLOCK));
const RESTART = BigInt(NR.restart_syscall);

/**
 * A call that was stopped before, by a signal or a tracer, is by now restart_syscall(2), which nobody but this thread's
 * kernel stack can make. What call it was stands in the code before the instruction, or before the call of syscall(3).
 * Gives the registers with the number of that call, or as they are where it cannot be told.
 */
function nameRestarted(pid: HostPid, registers: Registers): Registers {
  const found = aboutToRestart(pid, registers)
    ? { ...registers, ax: INTERRUPTED, orig_ax: RESTART, ip: registers.ip + SYSCALL_LENGTH }
    : registers;
  if (found.ax !== INTERRUPTED || found.orig_ax !== RESTART) return registers;
  const code = readCode(pid, Number(found.ip - SYSCALL_LENGTH) - CODE_BEFORE, CODE_BEFORE);
  const nr = loadedNumber(code, MOV_EAX) ?? (isWrapper(code) ? numberOfWrapper(pid, found) : undefined);
  return nr === undefined ? found : { ...found, orig_ax: BigInt(nr) };
}

/**
 * Whether a thread was stopped again on its way back to user mode, when the kernel had set it up to make restart_syscall(2)
 * and before it has. That is the same as to be interrupted in the call, two bytes further on.
 */
function aboutToRestart(pid: HostPid, { ax, ip }: Registers): boolean {
  if (ax !== RESTART) return false;
  const { call } = hostMachine.gadgets;
  return Buffer.compare(readCode(pid, Number(ip), call.length), call) === 0;
}

function isWrapper(code: Uint8Array): boolean {
  return Buffer.from(code).includes(MOV_RAX_RDI);
}

/** syscall(3) leaves the stack alone: its return address is the first thing there. */
function numberOfWrapper(pid: HostPid, { sp }: Registers): number | undefined {
  const address = readCode(pid, Number(sp), 8);
  if (address.length === 0) return undefined;
  return loadedNumber(readCode(pid, word.read(address, 0) - CODE_BEFORE, CODE_BEFORE), MOV_EDI);
}

/** The number of a call with a restart block that an instruction loads, the last one in `code`. */
function loadedNumber(code: Uint8Array, instruction: number): number | undefined {
  for (let at = code.length - 5; at >= 0; at--) {
    const nr = viewOf(code).getUint32(at + 1, true);
    if (code[at] === instruction && WITH_RESTART_BLOCK.includes(nr)) return nr;
  }
  return undefined;
}

/** What stands at an address; nothing where nothing is mapped. @throws KernelError for any other refusal */
function readCode(pid: HostPid, address: number, length: number): Uint8Array {
  try {
    return readMemory(pid, address, new Uint8Array(length));
  } catch (error) {
    if (isErrno(error, ERRNO.EFAULT)) return new Uint8Array();
    throw error;
  }
}

/** Takes down the states of stopped threads of a process, in their order. @throws KernelError */
export function saveThreads(pid: HostPid, tasks: readonly Task[]): Saved[] {
  const found = readStates(tasks).map((state) => ({ ...state, named: userRegs.decode(state.registers) }));
  const aborts = rseqAborts(
    pid,
    found.map(({ rseq, named }) => ({ rseq, ip: named.ip })),
  );
  return found.map(({ registers: bytes, named, mask, xstate, rseq, dispatch }, i) => {
    const abort = aborts[i];
    const call = nameRestarted(pid, named);
    const registers = abort === undefined ? call : { ...call, ip: abort };
    if (registers !== named) userRegs.encodeInto(bytes, 0, registers);
    const task = tasks[i];
    const restart = task === undefined ? undefined : restartOf(registers, task);
    const registered = rseq !== undefined && rseq.rseq_abi_pointer !== 0n;
    return { registers, bytes, restart, mask, xstate, rseq: registered ? rseq : undefined, dispatch };
  });
}
