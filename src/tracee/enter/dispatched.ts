/**
 * Making calls in a thread whose system calls are dispatched (PR_SET_SYSCALL_USER_DISPATCH): by instructions that pass. Where a
 * selector is open, or the range of calls that always pass has them, nothing needs to be changed. Where all calls are closed
 * just now, the range is for the time that of our two instructions. (Should we die just then, it stays: calls from these two
 * places in a library pass from then on, which the program makes with an open selector anyway.)
 */

import { ERRNO, KernelError } from "../../linux/errno.ts";
import { readMemory } from "../../linux/memory.ts";
import type { HostPid } from "../../linux/pid.ts";
import type { Mapping } from "../../linux/proc.ts";
import { type DispatchConfiguration, passes } from "../../linux/user-dispatch.ts";
import type { Task } from "../hold/task.ts";
import { findGadgets, type Gadgets } from "./gadgets.ts";
import type { Saved } from "./saved.ts";

/** Where the instructions of a gadget end: that of the return from a signal is one of two forms. */
const CALL_ENDS = 2;
const SIGRETURN_ENDS = [7, 9];

/** The ends of the instructions that calls are made with. */
function endsOf({ callAndReturn, sigreturn }: Gadgets): number[] {
  return [callAndReturn + CALL_ENDS, ...SIGRETURN_ENDS.map((length) => sigreturn + length)];
}

function selectorOf(pid: HostPid, { selector }: DispatchConfiguration): number | undefined {
  return selector === 0n ? undefined : readMemory(pid, Number(selector), new Uint8Array(1))[0];
}

/** The parts of mappings that lie in a range. */
function within(mappings: readonly Mapping[], { offset, len }: DispatchConfiguration): Mapping[] {
  const from = Number(offset);
  const to = Number(offset + len);
  return mappings.flatMap((mapping) => {
    const start = Math.max(mapping.start, from);
    const end = Math.min(mapping.end, to);
    return start < end ? [{ ...mapping, start, end, offset: mapping.offset + start - mapping.start }] : [];
  });
}

/**
 * Instructions that a stopped thread can make calls with, `usual` where nothing is in the way, and the configuration that it needs
 * `meanwhile`, where it needs another one. @throws KernelError EBUSY
 */
export function passingGadgets(
  { pid, tid }: Task,
  { dispatch }: Saved,
  mappings: readonly Mapping[],
  usual: Gadgets,
): { readonly gadgets: Gadgets; readonly meanwhile?: DispatchConfiguration } {
  if (dispatch === undefined) return { gadgets: usual };
  const selector = selectorOf(pid, dispatch);
  const pass = (gadgets: Gadgets) => endsOf(gadgets).every((end) => passes(dispatch, end, selector));
  if (pass(usual)) return { gadgets: usual };
  const others = findGadgets(pid, within(mappings, dispatch));
  if (others !== undefined && pass(others)) return { gadgets: others };
  if (dispatch.len === 0n) {
    const ends = endsOf(usual);
    const offset = Math.min(...ends);
    const len = Math.max(...ends) - offset + 1;
    return { gadgets: usual, meanwhile: { ...dispatch, offset: BigInt(offset), len: BigInt(len) } };
  }
  const what = `process ${pid}: all system calls of task ${tid} are closed just now (PR_SET_SYSCALL_USER_DISPATCH)`;
  throw new KernelError("entering", what, ERRNO.EBUSY);
}
