/** Syscall user dispatch (prctl(2), PR_SET_SYSCALL_USER_DISPATCH): system calls of a thread that become a SIGSYS. */

import { ERRNO, KernelError } from "./errno.ts";
import { instant } from "./instants.ts";
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { PTRACE } from "./ptrace.ts";
import { struct, u64 } from "./struct.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

/** struct ptrace_sud_config (include/uapi/linux/ptrace.h, kernel 6.4). */
export const dispatchConfiguration = struct({ mode: u64, selector: u64, offset: u64, len: u64 });
export type DispatchConfiguration = ReturnType<typeof dispatchConfiguration.decode>;

/** PR_SYS_DISPATCH_*: all calls but those made in a range; those made in a range. */
const MODE = { EXCLUSIVE_ON: 1n, INCLUSIVE_ON: 2n } as const;
/**
 * The configuration that the kernel tells of, as it takes it: a range whose calls alone are dispatched it keeps, and tells, as the
 * range of all others, which it does not take (6.18).
 */
export function decodeDispatch(bytes: Uint8Array, at: number): DispatchConfiguration {
  const told = dispatchConfiguration.decode(bytes, at);
  const { mode, selector, offset, len } = told;
  const end = BigInt.asUintN(64, offset + len);
  if (mode !== MODE.EXCLUSIVE_ON || offset === 0n || end > offset) return told;
  return { mode: MODE.INCLUSIVE_ON, selector, offset: end, len: BigInt.asUintN(64, -len) };
}

/** What a selector holds while calls are made as ever. */
const ALLOW = 0;

const bytes = new Uint8Array(dispatchConfiguration.size);

/** Sets the configuration of a stopped thread. @throws KernelError, EIO on kernels that do not let a tracer do so */
export function setDispatch(tid: HostPid, configuration: DispatchConfiguration): void {
  dispatchConfiguration.encodeInto(bytes, 0, configuration);
  instant();
  const request = PTRACE.SET_SYSCALL_USER_DISPATCH_CONFIG;
  const result = rawSyscall(NR.ptrace, request, tid, bytes.length, addressOf(bytes));
  if (result < 0)
    throw new KernelError("ptrace(SET_SYSCALL_USER_DISPATCH_CONFIG)", `task ${tid}`, -result || ERRNO.EIO);
}

export const DISPATCH_OFF: DispatchConfiguration = { mode: 0n, selector: 0n, offset: 0n, len: 0n };

/**
 * Whether a call passes whose instruction ends at `ip`; `selector` is what the selector holds, undefined where there is none.
 */
export function passes(
  { mode, offset, len }: DispatchConfiguration,
  ip: number,
  selector: number | undefined,
): boolean {
  const isWithin = BigInt.asUintN(64, BigInt(ip) - offset) < len;
  if (mode !== MODE.EXCLUSIVE_ON && mode !== MODE.INCLUSIVE_ON) return true;
  return isWithin === (mode === MODE.EXCLUSIVE_ON) || selector === ALLOW;
}
