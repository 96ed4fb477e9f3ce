/**
 * ptrace(2) as this project uses it: seized tracees (PTRACE_SEIZE), never PTRACE_ATTACH, because only a seized tracee
 * can be stopped without a signal and forgets us without one.
 */

import { ERRNO, KernelError, nameOf } from "./errno.ts";
import { instant } from "./instants.ts";
import { iovec } from "./iovec.ts";
import { NR } from "./nr.ts";
import { type HostPid, hostPid } from "./pid.ts";
import { s32, struct, u32, u64, viewOf } from "./struct.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

/** Requests (include/uapi/linux/ptrace.h). */
export const PTRACE = {
  CONT: 7,
  DETACH: 17,
  SYSCALL: 24,
  SETOPTIONS: 0x4200,
  GETSIGINFO: 0x4202,
  GETREGSET: 0x4204,
  SETREGSET: 0x4205,
  SEIZE: 0x4206,
  INTERRUPT: 0x4207,
  LISTEN: 0x4208,
  PEEKSIGINFO: 0x4209,
  GETSIGMASK: 0x420a,
  SETSIGMASK: 0x420b,
  SECCOMP_GET_FILTER: 0x420c,
  SECCOMP_GET_METADATA: 0x420d,
  GET_RSEQ_CONFIGURATION: 0x420f,
  SET_SYSCALL_USER_DISPATCH_CONFIG: 0x4210,
  GET_SYSCALL_USER_DISPATCH_CONFIG: 0x4211,
} as const;

export const PTRACE_O = {
  TRACESYSGOOD: 1,
  TRACEEXEC: 1 << 4,
  TRACEEXIT: 1 << 6,
  EXITKILL: 1 << 20,
  SUSPEND_SECCOMP: 1 << 21,
} as const;

export const PTRACE_EVENT = { EXEC: 4, EXIT: 6, STOP: 128 } as const;

/** ELF note types that name register sets. */
export const NT = { PRSTATUS: 1, PRFPREG: 2, X86_XSTATE: 0x202 } as const;

export const WAIT = {
  NOHANG: 1,
  UNTRACED: 2,
  WNOTHREAD: 0x20000000,
  ALL: 0x40000000,
  NOWAIT: 0x1000000,
  EXITED: 4,
  CONTINUED: 8,
} as const;

/** struct user_regs_struct of x86-64 (arch/x86/include/asm/user_64.h). */
export const userRegs = struct({
  r15: u64,
  r14: u64,
  r13: u64,
  r12: u64,
  bp: u64,
  bx: u64,
  r11: u64,
  r10: u64,
  r9: u64,
  r8: u64,
  ax: u64,
  cx: u64,
  dx: u64,
  si: u64,
  di: u64,
  orig_ax: u64,
  ip: u64,
  cs: u64,
  flags: u64,
  sp: u64,
  ss: u64,
  fs_base: u64,
  gs_base: u64,
  ds: u64,
  es: u64,
  fs: u64,
  gs: u64,
});
export type Registers = ReturnType<typeof userRegs.decode>;
/** `orig_ax` of a task that is in no system call: the kernel looks for none to restart. */
export const NO_SYSCALL = 0xffff_ffff_ffff_ffffn;

/** struct ptrace_peeksiginfo_args. */
export const peekRequest = struct({ off: u64, flags: u32, nr: s32 });

/** struct ptrace_rseq_configuration (kernel 5.13). An `rseq_abi_pointer` of 0 is no registration. */
export const rseqConfiguration = struct({
  rseq_abi_pointer: u64,
  rseq_abi_size: u32,
  signature: u32,
  flags: u32,
  pad: u32,
});

/** A siginfo_t is always 128 bytes on the kernel's ABI. */
export const SIGINFO_SIZE = 128;

/** How a task reported through wait4(2): see {@link decodeStatus}. */
export type WaitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: number }
  | { readonly kind: "stopped"; readonly signal: number; readonly event: number };

/** Decodes the status word of wait4(2), ptrace events included. */
export function decodeStatus(status: number): WaitStatus {
  const low = status & 0x7f;
  if (low === 0) return { kind: "exited", code: (status >> 8) & 0xff };
  if (low === 0x7f) return { kind: "stopped", signal: (status >> 8) & 0xff, event: status >> 16 };
  return { kind: "killed", signal: low };
}

/** One ptrace request on task `tid`. @throws KernelError naming request and task */
export function ptrace(request: number, tid: HostPid, address = 0, data = 0): number {
  instant();
  const result = rawSyscall(NR.ptrace, request, tid, address, data);
  if (result < 0 && result > -4096) {
    throw new KernelError(`ptrace(${nameOf(PTRACE, request) ?? request})`, `task ${tid}`, -result);
  }
  return result;
}

const scratch = new Uint8Array(16384);
const scratchAddress = addressOf(scratch);
const scratchView = viewOf(scratch);
const vector = new Uint8Array(iovec.size);
const vectorAddress = addressOf(vector);

function transferRegset(request: number, tid: HostPid, note: number, length: number): number {
  iovec.encodeInto(vector, 0, { base: scratchAddress, length });
  ptrace(request, tid, note, vectorAddress);
  return iovec.decode(vector).length;
}

/** The general registers of a stopped task. @throws KernelError */
export function getRegisters(tid: HostPid): Registers {
  transferRegset(PTRACE.GETREGSET, tid, NT.PRSTATUS, userRegs.size);
  return userRegs.decode(scratch);
}

/** One of them, as an unsigned number of 64 bits. @throws KernelError */
export function getRegister(tid: HostPid, name: keyof Registers): bigint {
  transferRegset(PTRACE.GETREGSET, tid, NT.PRSTATUS, userRegs.size);
  return scratchView.getBigUint64(userRegs.offset[name], true);
}

/** Sets the general registers of a stopped task, given by name or as a `userRegs`. @throws KernelError */
export function setRegisters(tid: HostPid, registers: Registers | Uint8Array): void {
  if (registers instanceof Uint8Array) scratch.set(registers);
  else userRegs.encodeInto(scratch, 0, registers);
  transferRegset(PTRACE.SETREGSET, tid, NT.PRSTATUS, userRegs.size);
}

/** The same as the kernel has them, a copy. @throws KernelError */
export function getRegisterBytes(tid: HostPid): Uint8Array {
  transferRegset(PTRACE.GETREGSET, tid, NT.PRSTATUS, userRegs.size);
  return scratch.slice(0, userRegs.size);
}

/** The mask of blocked signals. @throws KernelError */
export function getSignalMask(tid: HostPid): bigint {
  ptrace(PTRACE.GETSIGMASK, tid, 8, scratchAddress);
  return scratchView.getBigUint64(0, true);
}

export function setSignalMask(tid: HostPid, mask: bigint): void {
  scratchView.setBigUint64(0, BigInt.asUintN(64, mask), true);
  ptrace(PTRACE.SETSIGMASK, tid, 8, scratchAddress);
}

/** PTRACE_PEEKSIGINFO_SHARED: the process' queue rather than the thread's. */
const PEEK_SHARED = 1;

/** Pending signals, oldest first, as raw siginfo_t; they stay pending. @throws KernelError */
export function peekSiginfo(tid: HostPid, shared: boolean): Uint8Array[] {
  const out: Uint8Array[] = [];
  const request = new Uint8Array(peekRequest.size);
  const batch = 32;
  for (;;) {
    peekRequest.encodeInto(request, 0, {
      off: BigInt(out.length),
      flags: shared ? PEEK_SHARED : 0,
      nr: batch,
    });
    const got = ptrace(PTRACE.PEEKSIGINFO, tid, addressOf(request), scratchAddress);
    for (let i = 0; i < got; i++) out.push(scratch.slice(i * SIGINFO_SIZE, (i + 1) * SIGINFO_SIZE));
    if (got < batch) return out;
  }
}

/** si_code of a siginfo_t at byte `at`. */
export function siginfoCode(view: DataView, at: number): number {
  return view.getInt32(at + 8, true);
}

/** si_code of the signal whose delivery the task is stopped at. @throws KernelError (EINVAL in a group-stop) */
export function getSiginfoCode(tid: HostPid): number {
  ptrace(PTRACE.GETSIGINFO, tid, 0, scratchAddress);
  return siginfoCode(scratchView, 0);
}

/** The rseq registration of a stopped thread, undefined on kernels that cannot tell (before 5.13). */
export function getRseq(tid: HostPid): ReturnType<typeof rseqConfiguration.decode> | undefined {
  try {
    ptrace(PTRACE.GET_RSEQ_CONFIGURATION, tid, rseqConfiguration.size, scratchAddress);
  } catch (error) {
    if (error instanceof KernelError && error.errno === ERRNO.EIO) return undefined;
    throw error;
  }
  return rseqConfiguration.decode(scratch);
}

const statusWord = new Uint8Array(8);
const statusView = viewOf(statusWord);
const statusAddress = addressOf(statusWord);

/**
 * wait4(2) for tasks of ours, traced or not (__WALL is added). Undefined when WAIT.NOHANG found nothing to report.
 * @throws KernelError, ECHILD when there is nobody to wait for
 */
export function wait(tid: HostPid, options = 0): { tid: HostPid; status: WaitStatus } | undefined {
  for (;;) {
    const result = rawSyscall(NR.wait4, tid, statusAddress, options | WAIT.ALL, 0);
    if (result === 0) return undefined;
    if (result > 0) return { tid: hostPid(result), status: decodeStatus(statusView.getInt32(0, true)) };
    if (result !== -ERRNO.EINTR) throw new KernelError("wait4", `task ${tid}`, -result);
  }
}

/** Waits for the end of a child, and gives its status as wait4(2) does, undecoded. @throws KernelError (ECHILD) */
export function waitStatus(pid: number): number {
  for (;;) {
    const result = rawSyscall(NR.wait4, pid, statusAddress, 0, 0);
    if (result > 0) return statusView.getInt32(0, true);
    if (result !== -ERRNO.EINTR) throw new KernelError("wait4", `process ${pid}`, -result);
  }
}

/** What waitid(2) waits for. */
export const P = { ALL: 0, PID: 1 } as const;
const report = new Uint8Array(SIGINFO_SIZE);
const reportAddress = addressOf(report);

/** Whether a task of ours has something to report that {@link wait} would give at once. @throws KernelError */
export function hasReport(tid: HostPid): boolean {
  const options = WAIT.NOHANG | WAIT.UNTRACED | WAIT.EXITED | WAIT.NOWAIT | WAIT.ALL;
  // Nothing is written where there is nothing to report but a zero as the signal's number.
  const result = rawSyscall(NR.waitid, P.PID, tid, reportAddress, options, 0);
  if (result < 0) throw new KernelError("waitid", `task ${tid}`, -result);
  return viewOf(report).getInt32(0, true) !== 0;
}
