/**
 * Processes that share kernel objects without being threads: memory, descriptors, directories, signal handlers (clone(2) with
 * CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND). What is shared comes from birth alone, so whoever shares anything has to
 * be born of one that has all of it: its parent, or, by CLONE_PARENT, another child of that parent. The dump asks here
 * whether there is such a one, the restore who it is.
 */

import { CLONE } from "../linux/clone.ts";
import type { NsPid } from "../linux/pid.ts";
import type { ObjectIds } from "../tracee/enter/dumpee.ts";
import { UnsupportedError } from "./errors.ts";

/** A process that is to be born. */
export interface Unborn<P> {
  readonly pid: NsPid;
  sid: NsPid;
  readonly parent: P | undefined;
  /** undefined for the dead, who share nothing any more. */
  readonly objects: ObjectIds | undefined;
  /** The signal that its parent gets at its end, 0 for none. */
  readonly exitSignal: number;
}

/** Of whom a process is born, and with which flags of clone(2): for what they share, and CLONE_PARENT. */
export interface Origin<P> {
  readonly maker: P;
  readonly flags: number;
}

const SHARED = [
  { kind: "vm", flag: CLONE.VM, name: "its memory (CLONE_VM)" },
  { kind: "files", flag: CLONE.FILES, name: "its descriptors (CLONE_FILES)" },
  { kind: "fs", flag: CLONE.FS, name: "its directories (CLONE_FS)" },
  { kind: "sighand", flag: CLONE.SIGHAND, name: "its signal handlers (CLONE_SIGHAND)" },
] as const;

/**
 * The origin of every process but the root; `processes` have parents before children.
 * @throws UnsupportedError where nobody can bear a process with all that it shares
 */
export function originsOf<P extends Unborn<P>>(processes: readonly P[]): Map<P, Origin<P>> {
  const holders = SHARED.map(() => new Map<number, P[]>());
  const origins = new Map<P, Origin<P>>();
  for (const process of processes) {
    const { parent, objects } = process;
    let shares = 0;
    /** Those that have the last kind of object that it shares; who is to bear it is one of them. */
    let fellows: P[] = [];
    SHARED.forEach(({ kind, flag }, i) => {
      if (objects === undefined) return;
      const known = holders[i]?.get(objects[kind]);
      if (known === undefined) holders[i]?.set(objects[kind], [process]);
      else {
        shares |= flag;
        fellows = [...known];
        known.push(process);
      }
    });
    if (parent === undefined) continue;
    const maker = shares === 0 ? parent : fellows.find((fellow) => canBear(fellow, process, shares));
    if (maker === undefined) throw nobodyToBear(process, shares, fellows[0]);
    origins.set(process, { maker, flags: shares | (maker === parent ? 0 : CLONE.PARENT) });
  }
  return origins;
}

function canBear<P extends Unborn<P>>(fellow: P, process: P, shares: number): boolean {
  const { objects, parent, sid, exitSignal } = process;
  if (!sharesAll(fellow.objects, objects, shares)) return false;
  if (fellow === parent) return true;
  // With CLONE_PARENT come the session and the exit signal of who calls it.
  const intoSession = sid === process.pid || sid === fellow.sid;
  return fellow.parent === parent && intoSession && fellow.exitSignal === exitSignal;
}

/** Whether two processes share all that some flags of clone(2) stand for. */
export function sharesAll(one: ObjectIds | undefined, other: ObjectIds | undefined, flags: number): boolean {
  if (one === undefined || other === undefined) return false;
  return SHARED.every(({ kind, flag }) => (flags & flag) === 0 || one[kind] === other[kind]);
}

function nobodyToBear<P extends Unborn<P>>(
  { pid }: P,
  shares: number,
  fellow: P | undefined,
): UnsupportedError {
  const what = SHARED.filter(({ flag }) => (shares & flag) !== 0).map(({ name }) => name);
  const sharing = `shares ${what.join(", ")} with process ${fellow?.pid}`;
  return new UnsupportedError(
    `${sharing}, and neither its parent nor another child of its parent's could bear it with that again`,
    { process: pid },
  );
}

/** Of all that share an object of some kind, each time the last one; who shares it with nobody is that. */
export function lastOfSharers<P extends Unborn<P>>(processes: readonly P[], kind: keyof ObjectIds): Set<P> {
  const last = new Map<number | P, P>();
  for (const process of processes) last.set(process.objects?.[kind] ?? process, process);
  return new Set(last.values());
}
