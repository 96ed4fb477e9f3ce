/** As whom we make files (setfsuid(2)): on a file system of a user namespace only somebody can who has a name there. */
import { NR } from "./nr.ts";
import { NO_ID, type Owners } from "./owners.ts";
import { PR } from "./prctl.ts";
import { rawSyscall, syscall } from "./syscall.ts";

/** SECBIT_NO_SETUID_FIXUP: a change of ids leaves capabilities as they are. */
const NO_SETUID_FIXUP = 1 << 2;

/**
 * Does something while files that we make belong to the root of those owners; we keep all that we may. Our thread alone is
 * changed, and it is as before in the end. @throws KernelError, whatever `act` throws
 */
export function asRootOf<T>(owners: Owners, act: () => T): T {
  const [uid, gid] = [owners.uid(0), owners.gid(0)];
  if ((uid === 0 && gid === 0) || uid === NO_ID || gid === NO_ID) return act();
  const bits = syscall("of ourselves", NR.prctl, PR.GET_SECUREBITS);
  syscall("to keep capabilities", NR.prctl, PR.SET_SECUREBITS, bits | NO_SETUID_FIXUP);
  const before = { gid: rawSyscall(NR.setfsgid, gid), uid: rawSyscall(NR.setfsuid, uid) };
  try {
    return act();
  } finally {
    rawSyscall(NR.setfsuid, before.uid);
    rawSyscall(NR.setfsgid, before.gid);
    rawSyscall(NR.prctl, PR.SET_SECUREBITS, bits);
  }
}
