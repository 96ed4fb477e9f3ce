/**
 * A restored job whose parent we stay stands between us and the shell, which sees us alone. So when it stops we stop, and when the
 * shell has us go on it does, with the terminal if that was given to us.
 */
import { killGroup, killThread } from "./linux/kill.ts";
import { ourPid } from "./linux/ourselves.ts";
import { type HostPid, hostPid } from "./linux/pid.ts";
import { readStat } from "./linux/proc.ts";
import { SIG } from "./linux/signal.ts";
import { setTtyNumber, TIOC, ttyNumber } from "./linux/tty.ts";

const STDIN = 0;

/** Called when the job's root, our child, has stopped. */
export function stopWith(root: HostPid): void {
  const us = ourPid();
  const group = hostPid(readStat(root).pgrp);
  const foreground = ttyNumber(STDIN, TIOC.GPGRP);
  const ours = readStat(us).pgrp;
  // Where nobody could have us go on (no shell has us as a job), the kernel does not stop us.
  killThread(us, us, SIG.TSTP);
  const now = ttyNumber(STDIN, TIOC.GPGRP);
  if (now === foreground && now !== ours) return;
  if (now === ours && group !== ours) setTtyNumber(STDIN, TIOC.SPGRP, group, "TIOCSPGRP");
  killGroup(group, SIG.CONT);
}
