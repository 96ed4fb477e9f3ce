/**
 * Two places in a process' own code that we go through on the way in and out: "a system call, then return" and "call
 * rt_sigreturn". Every libc has both. They stand outside our area, so that the area can be unmapped from there even
 * when nobody holds the process any more.
 */

import { ERRNO, KernelError } from "../../linux/errno.ts";
import { readMemory } from "../../linux/memory.ts";
import { oncePerRun } from "../../linux/once-per-run.ts";
import type { HostPid } from "../../linux/pid.ts";
import { type Mapping, readMaps } from "../../linux/proc.ts";
import { hostMachine } from "../../machine/host.ts";

export interface Gadgets {
  readonly callAndReturn: number;
  readonly sigreturn: number;
}

const CHUNK = 1 << 16;
/** Enough for a pattern that stands across two chunks. */
const OVERLAP = 16;
/** Offsets found in a mapped file, by device, inode and file offset: the next process has the same libc. */
const knownPlaces = oncePerRun(
  () => new Map<string, { call: number | undefined; sigreturn: number | undefined }>(),
);
const buffer = Buffer.alloc(CHUNK);

function scan(pid: HostPid, mapping: Mapping): { call: number | undefined; sigreturn: number | undefined } {
  let call: number | undefined;
  let sigreturn: number | undefined;
  for (let at = mapping.start; at < mapping.end; at += CHUNK - OVERLAP) {
    const chunk = buffer.subarray(0, Math.min(CHUNK, mapping.end - at));
    try {
      readMemory(pid, at, chunk);
    } catch (error) {
      if (error instanceof KernelError) break;
      throw error;
    }
    if (call === undefined) {
      const found = chunk.indexOf(hostMachine.gadgets.callAndReturn);
      if (found >= 0) call = at + found - mapping.start;
    }
    for (const pattern of hostMachine.gadgets.sigreturn) {
      if (sigreturn !== undefined) break;
      const found = chunk.indexOf(pattern);
      if (found >= 0) sigreturn = at + found - mapping.start;
    }
    if (call !== undefined && sigreturn !== undefined) break;
  }
  return { call, sigreturn };
}

/** Finds both places in the executable mappings of a process. Undefined where it has no such code (a bare program). */
export function findGadgets(pid: HostPid, mappings: readonly Mapping[]): Gadgets | undefined {
  let call: number | undefined;
  let sigreturn: number | undefined;
  // A C library's text comes first: it has both. The vDSO and [vsyscall] are no files.
  const candidates = mappings
    .filter((m) => m.exec && m.read && m.path !== "[vsyscall]")
    .sort((a, b) => Number(/libc|musl/.test(b.path)) - Number(/libc|musl/.test(a.path)));
  const known = knownPlaces();
  for (const mapping of candidates) {
    const key = `${mapping.major}:${mapping.minor}:${mapping.inode}:${mapping.offset}:${mapping.path}`;
    const found = known.get(key) ?? scan(pid, mapping);
    if (mapping.inode !== 0) known.set(key, found);
    if (found.call !== undefined) call ??= mapping.start + found.call;
    if (found.sigreturn !== undefined) sigreturn ??= mapping.start + found.sigreturn;
    if (call !== undefined && sigreturn !== undefined) return { callAndReturn: call, sigreturn };
  }
  return undefined;
}

/** The same of a process that is to be entered. @throws KernelError ENOEXEC */
export function gadgetsOf(pid: HostPid, mappings: readonly Mapping[]): Gadgets {
  const found = findGadgets(pid, mappings);
  if (found !== undefined) return found;
  throw new KernelError("entering", `process ${pid}: no system call instruction in its code`, ERRNO.ENOEXEC);
}

/** Address of a system call instruction of a process, outside of what is mapped at `except`. @throws KernelError */
export function findSyscall(pid: HostPid, except = 0): number {
  const candidates = readMaps(pid)
    .filter((m) => m.exec && m.path !== "[vsyscall]" && m.start !== except)
    // The vDSO is small and has one.
    .sort((a, b) => Number(b.path === "[vdso]") - Number(a.path === "[vdso]"));
  for (const { start, end } of candidates) {
    const code = Buffer.alloc(end - start);
    readMemory(pid, start, code);
    const found = code.indexOf(hostMachine.gadgets.call);
    if (found >= 0) return start + found;
  }
  throw new KernelError("leaving", `process ${pid}: no system call instruction in its code`, ERRNO.ENOEXEC);
}
