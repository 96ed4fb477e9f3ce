/**
 * The two meanings of a process number. A pid namespace gives each of its tasks a number of its own, so that a task has one in its
 * own namespace and one in every namespace above, ours among them (pid_namespaces(7)).
 *
 * The compiler takes neither for the other. One is learnt from the other where the kernel tells both: by NSpid of /proc/PID/status,
 * or at a birth (process/identity.ts).
 */

import type { Owners } from "./owners.ts";

declare const host: unique symbol;
declare const ns: unique symbol;

/** The number of a task, a process group or a session in our own pid namespace: what our calls and our /proc take and tell. */
export type HostPid = number & { readonly [host]: true; readonly [ns]?: never };

/**
 * The same in a namespace of the tree's: what images say, and what the program itself says where that is its own namespace.
 * 0 is nobody, or somebody who cannot be seen from there.
 */
export type NsPid = number & { readonly [ns]: true; readonly [host]?: never };

/** A number that is not a HostPid: what a file of images may be named by. */
export type NotHostPid = number & { readonly [host]?: never };

/** A task's numbers in the pid namespaces that the images know. */
export interface TreeNumbers {
  /** In that of the tree's root: its number in the images. */
  readonly number: NsPid;
  /** In those below that, if it lives in one of them, its own namespace first. */
  readonly nested: readonly NsPid[];
}

/** A task's numbers. */
export interface Identity extends TreeNumbers {
  readonly host: HostPid;
  /** How many levels its own pid namespace is below ours: 0 where it is ours. */
  readonly level: number;
}

/** The tasks of a tree that is being dumped, by their numbers with us. */
export interface TreeTasks {
  /** Whether a process is of the tree; dead ones that nobody has waited for are. */
  has(pid: HostPid): boolean;
  /** Those that live. */
  readonly living: readonly HostPid[];
  /** The number of a task, group or session in the images; 0 where it cannot be seen from the tree's pid namespace. */
  numberOf(host: HostPid): NsPid;
  /** Has those that we bear meanwhile live in the pid namespace of the tree. @throws KernelError */
  bearInTree<T>(bear: () => T): T;
  /** What the tree calls the owners of files, by our ids. */
  readonly owners: Owners;
  /** The other way round. */
  readonly ownersHere: Owners;
}

/** What a task calls itself. */
export function ownNumber({ number, nested }: TreeNumbers): NsPid {
  return nested[0] ?? number;
}

/** A task's numbers from its own pid namespace upwards: the set_tid of clone3(2). */
export function allNumbers({ number, nested }: TreeNumbers): readonly NsPid[] {
  return [...nested, number];
}

/** What a task calls another one that lives in its namespace or below. */
export function numberSeenBy({ nested }: TreeNumbers, other: TreeNumbers): NsPid {
  return allNumbers(other).at(-1 - nested.length) ?? other.number;
}

function isHostPid(number: number): number is HostPid {
  return Number.isInteger(number);
}

function isNsPid(number: number): number is NsPid {
  return Number.isInteger(number);
}

/** A number that the kernel told us of a task, in an answer to a call or in our /proc, or that a user gave who sees what we see. */
export function hostPid(number: number): HostPid {
  if (!isHostPid(number)) throw new RangeError(`${number} is no process number`);
  return number;
}

/** The caller itself, to many calls. */
export const CALLER = hostPid(0);

/** A number out of an image, or of NSpid. */
export function nsPid(number: number): NsPid {
  if (!isNsPid(number)) throw new RangeError(`${number} is no process number`);
  return number;
}

/** In our own pid namespace a task has one number. */
export function sameNumber(host: HostPid): NsPid {
  return nsPid(host);
}

/** The same the other way round. */
export function sameHost(number: NsPid): HostPid {
  return hostPid(number);
}
