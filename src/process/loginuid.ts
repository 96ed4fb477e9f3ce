/** The user that a task logged in as, whatever it became since (audit): inherited, and rarely ever changed. */
import { ERRNO, errnoName, isErrno } from "../linux/errno.ts";
import { O, open, readPiece, withFd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { log } from "../log.ts";
import type { Restoree } from "../tracee/build/restoree.ts";

/**
 * The login uid in the text of /proc/PID/loginuid: 4294967295 where there is none; undefined with a kernel that knows
 * none (CONFIG_AUDIT).
 */
export function loginuidIn(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

const ownLoginuid = oncePerRun((): number | undefined => {
  try {
    return loginuidIn(readPiece("/proc/self/loginuid"));
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT)) return undefined;
    throw error;
  }
});

/**
 * Gives a process, which has our login uid from its birth, that of its image, before its threads are born. Who may not
 * change it (CAP_AUDIT_CONTROL) is warned: nothing but the audit log knows the difference.
 */
export function restoreLoginuid(restoree: Restoree, wanted: number | undefined): void {
  if (wanted === undefined) return;
  const ours = ownLoginuid();
  if (ours === undefined || wanted === ours) return;
  const { pid, table } = restoree;
  // A process may write its own alone.
  const failure = withFd(open(`/proc/${pid}/loginuid`, O.WRONLY), (fd) => {
    const text = new TextEncoder().encode(String(wanted));
    const inside = restoree.fetch("its login uid", fd);
    const written = table.call(NR.write, inside, table.data(text), text.length);
    table.must("its login uid", NR.close, inside);
    table.run();
    return written.failed ? -written.raw : undefined;
  });
  if (failure !== undefined)
    log.warn("process/loginuid", `process ${pid}: its login uid ${wanted}: ${errnoName(failure)}`);
}
