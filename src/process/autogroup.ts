/** The nice value of a session's group of the scheduler (sched(7), "The autogroup feature"): /proc/PID/autogroup. */

import { isAbsent, O, open, readPiece, withFd, writeAll } from "../linux/io.ts";
import type { HostPid } from "../linux/pid.ts";
import type { TaskStat } from "../linux/proc.ts";

/** That of the session that a process leads; 0 where it leads none, or the kernel has no such groups. @throws KernelError */
export function autogroupNice({ session }: TaskStat, pid: HostPid): number {
  const path = `/proc/${pid}/autogroup`;
  if (session !== pid || isAbsent(path)) return 0;
  const [, nice = "0"] = / nice (-?\d+)/.exec(readPiece(path)) ?? [];
  return Number(nice);
}

/** Gives it to the session that a process leads. @throws KernelError */
export function giveAutogroupNice(pid: HostPid, nice: number): void {
  withFd(open(`/proc/${pid}/autogroup`, O.WRONLY), (fd) => {
    writeAll(fd, new TextEncoder().encode(String(nice)));
  });
}
