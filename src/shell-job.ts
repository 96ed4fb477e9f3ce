/**
 * A restored job whose parent we stay stands between us and the shell, which sees us alone. So when it stops we stop, and when the
 * shell has us go on it does, with the terminal if that was given to us. When it ends the terminal is ours again.
 */
import { ERRNO, isErrno } from "./linux/errno.ts";
import { killGroup, killThread } from "./linux/kill.ts";
import { NR } from "./linux/nr.ts";
import { ourPid } from "./linux/ourselves.ts";
import { type HostPid, hostPid } from "./linux/pid.ts";
import { readStat } from "./linux/proc.ts";
import { WAIT, wait } from "./linux/ptrace.ts";
import { SIG, signalBit } from "./linux/signal.ts";
import { u64 } from "./linux/struct.ts";
import { addressOf, rawSyscall } from "./linux/syscall.ts";
import { setTtyNumber, TIOC, ttyNumber } from "./linux/tty.ts";

const STDIN = 0;
const SIG_BLOCK = 0;
const SIG_UNBLOCK = 1;
/** Of signals that a terminal sends, or that come of using it from the background. */
const OF_TERMINALS: readonly number[] = [SIG.TSTP, SIG.TTIN, SIG.TTOU];

/** Waits for the end of a job's root, our child. */
export function awaitJob(root: HostPid): void {
  const group = groupOf(root);
  for (;;) {
    const { status } = wait(root, WAIT.UNTRACED) ?? {};
    if (status?.kind !== "stopped") break;
    if (group !== undefined) stopWith(group, status.signal);
  }
  if (group !== undefined && ttyNumber(STDIN, TIOC.GPGRP) === group) takeTerminal();
}

/** Undefined where it has ended already and somebody else has waited for it. */
function groupOf(root: HostPid): HostPid | undefined {
  try {
    return hostPid(readStat(root).pgrp);
  } catch (error) {
    if (isErrno(error, ERRNO.ESRCH, ERRNO.ENOENT)) return undefined;
    throw error;
  }
}

/** Stops us, and with us, as ^Z would have, those who wait for us; then the job goes on. */
function stopWith(group: HostPid, signal: number): void {
  const us = ourPid();
  const ours = hostPid(readStat(us).pgrp);
  const foreground = ttyNumber(STDIN, TIOC.GPGRP);
  // Where nobody could have us go on (no shell has us as a job), the kernel does not stop us.
  if (OF_TERMINALS.includes(signal)) killGroup(ours, SIG.TSTP);
  else killThread(us, us, SIG.TSTP);
  const now = ttyNumber(STDIN, TIOC.GPGRP);
  if (now === foreground && now !== ours) return;
  if (now === ours && group !== ours) setTtyNumber(STDIN, TIOC.SPGRP, group, "TIOCSPGRP");
  killGroup(group, SIG.CONT);
}

/** Makes our group the one in the foreground, from which the job's took it. */
function takeTerminal(): void {
  const mask = new Uint8Array(u64.size);
  u64.write(mask, 0, signalBit(SIG.TTOU));
  rawSyscall(NR.rt_sigprocmask, SIG_BLOCK, addressOf(mask), 0, mask.length);
  try {
    setTtyNumber(STDIN, TIOC.SPGRP, readStat(ourPid()).pgrp, "TIOCSPGRP");
  } finally {
    rawSyscall(NR.rt_sigprocmask, SIG_UNBLOCK, addressOf(mask), 0, mask.length);
  }
}
