/** kill(2) and tgkill(2). */
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { rawSyscall } from "./syscall.ts";

/** Sends a signal to a process. Gives the raw result: one that has ended is mostly no error. */
export function kill(pid: HostPid, signal: number): number {
  return rawSyscall(NR.kill, pid, signal);
}

/** The same to one of its threads. */
export function killThread(pid: HostPid, tid: HostPid, signal: number): number {
  return rawSyscall(NR.tgkill, pid, tid, signal);
}

/** The same to all processes of a group. */
export function killGroup(leader: HostPid, signal: number): number {
  return rawSyscall(NR.kill, -leader, signal);
}
