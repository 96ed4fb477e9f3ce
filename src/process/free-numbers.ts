/** The numbers of a tree must be nobody else's when it is born again. */
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { kill } from "../linux/kill.ts";
import { ourPid } from "../linux/ourselves.ts";
import { type HostPid, type NsPid, sameHost } from "../linux/pid.ts";
import { readStat, stateOf } from "../linux/proc.ts";
import { awaitThat } from "../linux/sleep.ts";

/** Milliseconds that somebody's parent may take to wait for it: an init may be slow. */
const PATIENCE = 5000;

/** A task, or one of its threads; a number that only a group or a session has left is found out by its birth. */
function isTaken(number: HostPid): boolean {
  return kill(number, 0) !== -ERRNO.ESRCH;
}

const isZombie = (number: HostPid) => stateOf(number, number) === "Z";

function nameOf(number: HostPid): string {
  return `${number} (${readStat(number).comm})`;
}

/** Who has a number, in words. */
function ownerOf(number: HostPid): string {
  if (number === ourPid()) return "by criu itself: another try has another number";
  try {
    const { comm, ppid } = readStat(number);
    if (isZombie(number)) return `by ${comm}, which has ended, but ${nameOf(ppid)} has not waited for it`;
    return ppid === 0 ? `by ${comm}` : `by ${comm}, a child of ${nameOf(ppid)}`;
  } catch (error) {
    // One of the two has ended meanwhile.
    if (isErrno(error, ERRNO.ENOENT, ERRNO.ESRCH)) return "or was a moment ago";
    throw error;
  }
}

/**
 * Waits until nobody has any of these numbers, in our own pid namespace, as long as only the dead have: those whom a dump has ended
 * keep theirs until their parents have waited for them. @throws KernelError (EEXIST), which says who has one
 */
export function awaitNumbers(numbers: readonly NsPid[]): void {
  let taken = numbers.map(sameHost).filter(isTaken);
  if (taken.length === 0) return;
  awaitThat(() => {
    taken = taken.filter(isTaken);
    return !taken.every(isZombie) || taken.length === 0;
  }, PATIENCE);
  const [first] = taken;
  if (first !== undefined)
    throw new KernelError("clone3", `with pid ${first}, which is in use ${ownerOf(first)}`, ERRNO.EEXIST);
}
