/**
 * What an entry of the undo list does: a few calls of the kernel, made one after the other whatever comes of each, unless a
 * condition between them is not met. They are made by us or, when we are dead, by the warden: they use nothing but our memory
 * and our descriptors, and making them twice must do no harm.
 *
 *     const open = call(NR.openat, AT.FDCWD, cString(path), O.WRONLY);
 *     [open, call(NR.write, open, cString("0"), 1), call(NR.close, open)]
 *
 * A call that gets the result of one that has failed gets a negative errno for a descriptor, and fails (EBADF).
 */
import { ERRNO } from "../linux/errno.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { SIG } from "../linux/signal.ts";
import { type FileIdentity, identityOf } from "../linux/statx.ts";
import { cString } from "../linux/syscall.ts";

/** A number, bytes (the call gets the address of a copy that stays put), or the result of an earlier call of the same entry. */
export type UndoArgument = number | Uint8Array | UndoCall;

/** A system call. */
export class UndoCall {
  constructor(
    readonly nr: number,
    readonly args: readonly UndoArgument[],
    /** Errors that mean that nothing had to be undone. */
    readonly allowed: readonly number[] = [],
  ) {}

  /** The same, with errors that mean that there was nothing to undo. */
  allowing(...errnos: number[]): UndoCall {
    return new UndoCall(this.nr, this.args, errnos);
  }
}

/** A condition: what follows is done only if the name still leads to this file. */
export class StillThere {
  constructor(
    readonly directory: number,
    readonly name: Uint8Array,
    readonly file: FileIdentity,
  ) {}
}

export type UndoStep = UndoCall | StillThere;

export function call(nr: number, ...args: UndoArgument[]): UndoCall {
  return new UndoCall(nr, args);
}

/** Ends processes. */
export function killing(pids: readonly HostPid[]): UndoStep[] {
  return pids.map((pid) => call(NR.kill, pid, SIG.KILL).allowing(ERRNO.ESRCH));
}

/**
 * Takes a name away for as long as it leads to the file that `fd` is open at: whoever has put another file there keeps it.
 * `directory` is a descriptor of ours that stays open as long as the entry, or AT.FDCWD with an absolute path.
 * @throws KernelError where `fd` cannot be looked at
 */
export function unlinking(directory: number, name: string, fd: number, flags = 0): UndoStep[] {
  const bytes = cString(name);
  return [new StillThere(directory, bytes, identityOf(fd)), call(NR.unlinkat, directory, bytes, flags)];
}
