/** The state of a stopped thread, taken down before anything of it is touched. */
import { ERESTART, ERRNO, isErrno } from "../linux/errno.ts";
import { readMemory } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { type Registers, userRegs } from "../linux/ptrace.ts";
import { readStates } from "../linux/ptrace-many.ts";
import { type RseqConfiguration, rseqAborts } from "../linux/rseq.ts";
import { viewOf } from "../linux/struct.ts";
import type { Task } from "./task.ts";

/** Bytes of the instruction that an interrupted call is made again with. */
const SYSCALL_LENGTH = 2n;

/** State of a thread as it was found: what it must get back. */
export interface Saved {
  /** General registers; a thread caught in a critical section of rseq(2) is at its abort handler already. */
  readonly registers: Registers;
  /** The same as a `userRegs`. */
  readonly bytes: Uint8Array;
  readonly mask: bigint;
  /** The XSAVE image in the standard format. */
  readonly xstate: Uint8Array;
  /** The registration, if there is one. */
  readonly rseq: RseqConfiguration | undefined;
}

/**
 * Registers that make an interrupted system call again, for whatever bypasses the kernel's own restart: a frame, an
 * image. The kernel has left in memory what remains of timeouts that it was given room for; a sleep goes on with that
 * rest. Calls with a relative timeout and no such room (poll(2), FUTEX_WAIT, usleep(3)) begin it anew.
 */
export function restartedRegisters(registers: Registers): Registers {
  const changes = restart(registers);
  return changes === undefined ? registers : { ...registers, ...changes };
}

/** The same as a `userRegs`. */
export function restartedBytes({ registers, bytes }: Saved): Uint8Array {
  const changes = restart(registers);
  if (changes === undefined) return bytes;
  const copy = bytes.slice();
  userRegs.encodeInto(copy, 0, changes);
  return copy;
}

/** What is other where the call is made again; undefined where there is none to be made again. */
function restart(registers: Registers): Partial<Registers> | undefined {
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
      return again;
    default:
      return undefined;
  }
}

/** The calls that the kernel restarts by restart_syscall(2). */
const WITH_RESTART_BLOCK: readonly number[] = [NR.poll, NR.nanosleep, NR.clock_nanosleep, NR.futex];
/** Of code before a system call instruction, to find where its number is loaded: mov eax, imm32. */
const CODE_BEFORE = 32;
const MOV_EAX = 0xb8;

/**
 * A call that was stopped before, by a signal or a tracer, is by now restart_syscall(2), which nobody but this thread's
 * kernel stack can make. What call it was stands in the code before the instruction. Gives the registers with the number
 * of that call, or as they are where it cannot be told.
 */
function nameRestarted(pid: number, registers: Registers): Registers {
  const waits = registers.ax === BigInt.asUintN(64, BigInt(-ERESTART.RESTARTBLOCK));
  if (!waits || registers.orig_ax !== BigInt(NR.restart_syscall)) return registers;
  const code = new Uint8Array(CODE_BEFORE);
  try {
    readMemory(pid, Number(registers.ip - SYSCALL_LENGTH) - CODE_BEFORE, code);
  } catch (error) {
    if (isErrno(error, ERRNO.EFAULT)) return registers;
    throw error;
  }
  for (let at = CODE_BEFORE - 5; at >= 0; at--) {
    const nr = viewOf(code).getUint32(at + 1, true);
    if (code[at] === MOV_EAX && WITH_RESTART_BLOCK.includes(nr)) return { ...registers, orig_ax: BigInt(nr) };
  }
  return registers;
}

/** Takes down the states of stopped threads of a process, in their order. @throws KernelError */
export function saveThreads(pid: number, tasks: readonly Task[]): Saved[] {
  const found = readStates(tasks).map((state) => ({ ...state, named: userRegs.decode(state.registers) }));
  const aborts = rseqAborts(
    pid,
    found.map(({ rseq, named }) => ({ rseq, ip: named.ip })),
  );
  return found.map(({ registers: bytes, named, mask, xstate, rseq }, i) => {
    const abort = aborts[i];
    const call = nameRestarted(pid, named);
    const registers = abort === undefined ? call : { ...call, ip: abort };
    if (registers !== named) userRegs.encodeInto(bytes, 0, registers);
    const registered = rseq !== undefined && rseq.rseq_abi_pointer !== 0n;
    return { registers, bytes, mask, xstate, rseq: registered ? rseq : undefined };
  });
}
