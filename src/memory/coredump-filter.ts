/** /proc/PID/coredump_filter: which mappings of a process go into a core file (core(5)). */

import { isAbsent, O, open, readPiece, withFd, writeAll } from "../linux/io.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid } from "../linux/pid.ts";

/** What processes have unless somebody, or the kernel's command line, says otherwise: MMF_DUMP_FILTER_DEFAULT. */
export const USUAL_COREDUMP_FILTER = 0x33;

/** What we have, and so what is born of us; undefined on a kernel that writes no core files. */
const own = oncePerRun(() => {
  const path = "/proc/self/coredump_filter";
  return isAbsent(path) ? undefined : Number.parseInt(readPiece(path), 16);
});

/** Sets that of a process, from outside. @throws KernelError */
export function giveCoredumpFilter(pid: HostPid, filter = USUAL_COREDUMP_FILTER): void {
  if (own() === undefined || filter === own()) return;
  withFd(open(`/proc/${pid}/coredump_filter`, O.WRONLY), (fd) => {
    writeAll(fd, new TextEncoder().encode(`0x${filter.toString(16)}`));
  });
}
