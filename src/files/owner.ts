/** Owners of open file descriptions: who gets a signal when there is something to read (fcntl(2), F_SETOWN_EX). */

import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { F, setOwner } from "../linux/fcntl.ts";
import { fcntl } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { struct, u32 } from "../linux/struct.ts";
import { addressOf, rawSyscall, syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";

const ids = struct({ real: u32, effective: u32, saved: u32 });
const buffer = new Uint8Array(ids.size + 4);
const address = addressOf(buffer);

/** Sets the signal. @throws KernelError */
export function restoreSignal(fd: number, owner: FownEntry): void {
  if (owner.signum !== 0) fcntl(fd, F.SETSIG, owner.signum);
}

/**
 * Sets the owner, who must exist by now, with the rights that the signal is sent with. `host` is our number of it, undefined where it is no more.
 * @throws KernelError
 */
export function restoreOwner(fd: number, owner: FownEntry, host: HostPid | undefined, what: string): void {
  syscall("", NR.getresuid, address, address + ids.offset.effective, address + ids.offset.saved);
  const ours = ids.decode(buffer);
  const differ = owner.uid !== ours.real || owner.euid !== ours.effective;
  // The kernel keeps user ids per thread; only this one is to change, and not for long.
  if (!differ) set(fd, owner, host, what);
  else {
    const dumpable = rawSyscall(NR.prctl, PR.GET_DUMPABLE);
    syscall(`to user ${owner.uid}`, NR.setresuid, owner.uid, owner.euid, ours.saved);
    try {
      set(fd, owner, host, what);
    } finally {
      syscall("back", NR.setresuid, ours.real, ours.effective, ours.saved);
      // A change of user makes us undumpable, and that the restored processes may not fetch from.
      rawSyscall(NR.prctl, PR.SET_DUMPABLE, dumpable);
    }
  }
}

function set(fd: number, owner: FownEntry, host: HostPid | undefined, what: string): void {
  try {
    if (host !== undefined) {
      setOwner(fd, owner.pid_type, host);
      return;
    }
  } catch (error) {
    if (!isErrno(error, ERRNO.ESRCH)) throw error;
  }
  log.warn("files/owner", `${what}: its owner ${owner.pid} is no more, and it has none now`);
}
