/** Syscall user dispatch of a thread (PR_SET_SYSCALL_USER_DISPATCH), which its tracer reads and sets. */

import type { SyscallDispatchEntry } from "../images/schema/generated/process.ts";
import type { DispatchConfiguration } from "../linux/user-dispatch.ts";
import type { Saved } from "../tracee/enter/saved.ts";

/** The image's entry; undefined where calls are made as ever. */
export function dumpDispatch({ dispatch }: Saved): SyscallDispatchEntry | undefined {
  return dispatch === undefined ? undefined : { ...dispatch, mode: Number(dispatch.mode) };
}

export function restoreDispatch(entry: SyscallDispatchEntry | undefined): DispatchConfiguration | undefined {
  return entry === undefined ? undefined : { ...entry, mode: BigInt(entry.mode) };
}
