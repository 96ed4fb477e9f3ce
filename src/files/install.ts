/**
 * Putting descriptors into a process: it fetches each of ours by pidfd_getfd(2), which gives the lowest free number. In
 * a table that begins empty that number is known beforehand, and, taken in ascending order, mostly the wanted one.
 */

import { ERRNO, KernelError } from "../linux/errno.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { CALLER, type HostPid } from "../linux/pid.ts";
import { RLIMIT, readRlimit, rlimit } from "../linux/rlimit.ts";
import { addressOf, syscall } from "../linux/syscall.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Result } from "../tracee/table/table.ts";
import { type Opened, openInside, type Wanted } from "./open-many.ts";

/** What installing one takes at most: fetch, dup3 or fcntl, close, fcntl, and the end of the table. */
const TABLE_BYTES = 6 * ENTRY_SIZE;

/** Fewer descriptors are fetched together with whatever else there is to do. */
export const MANY = 16;

/** How many of the first descriptors, in ascending order, get their numbers from the kernel as they come. */
export function countInPlace(descriptors: readonly { readonly fd: number }[], ourPidfd: number): number {
  let free = 0;
  for (let i = 0; i < descriptors.length; i++) {
    if (free === ourPidfd) free++;
    if (descriptors[i]?.fd !== free) return i;
    free++;
  }
  return descriptors.length;
}

/**
 * Installs the descriptors, which come in ascending order and are distinct from each other and from
 * `restoree.ourPidfd`. The process has no other descriptors. The first `inPlace` ({@link countInPlace}) are installed all at
 * once, and only of those may the process open some itself; `opened` is told what came of it; `calls` keeps what was called
 * for others. Calls may be left in the table: what is returned is to be called when it has run.
 * @throws KernelError
 */
export function installDescriptors(
  restoree: Restoree,
  wanted: readonly Wanted[],
  inPlace: number,
  opened: (wanted: Wanted, result: Opened) => void,
  calls: Map<string, object>,
): () => void {
  const last = wanted[wanted.length - 1];
  if (last === undefined) return () => {};
  const { ourPidfd, pid } = restoree;
  allowDescriptors(pid, Math.max(last.number, ourPidfd, wanted.length) + 2);
  openInside(restoree, wanted.slice(0, inPlace), (each, result) => {
    const { fd, flagged } = result;
    if (typeof each.source === "object") opened(each, result);
    else if (fd < 0) throw new KernelError("pidfd_getfd", `${nameOf(each)} in process ${pid}`, -fd);
    else if (flagged < 0) throw new KernelError("fcntl", `${nameOf(each)} in process ${pid}`, -flagged);
    expectNumber(pid, fd, each.number);
  });
  return fetchApart(restoree, wanted.slice(inPlace), (wanted[inPlace - 1]?.number ?? -1) + 1, calls);
}

/** Those whose number is not the lowest free one, from the first that is not on. */
function fetchApart(
  restoree: Restoree,
  wanted: readonly Wanted[],
  lowest: number,
  calls: Map<string, object>,
): () => void {
  const { table, pid } = restoree;
  const fetched: { result: Result; expected: number }[] = [];
  table.reserve(wanted.length < MANY ? wanted.length * TABLE_BYTES : 0);
  // The children of a process mostly have the same ones: the same numbers, ours and theirs, are the same calls.
  const fetch = () => fetchEach(restoree, wanted, lowest, fetched);
  if (wanted.length < MANY) table.share(callsOf(calls, restoree.ourPidfd, lowest, wanted), fetch);
  else fetch();
  return () => {
    for (const { result, expected } of fetched) expectNumber(pid, result.value, expected);
  };
}

function fetchEach(
  restoree: Restoree,
  wanted: readonly Wanted[],
  lowest: number,
  fetched: { result: Result; expected: number }[],
): void {
  const { table, ourPidfd } = restoree;
  let free = lowest;
  for (const each of wanted) {
    const what = nameOf(each);
    const { number, asyncFlags } = each;
    if (table.free < TABLE_BYTES) table.run();
    if (free === ourPidfd) free++;
    fetched.push({ result: restoree.fetch(what, oursOf(each)), expected: free });
    const cloexec = (each.flags & FD_CLOEXEC) !== 0;
    if (free === number) {
      if (!cloexec) table.must(what, NR.fcntl, number, F.SETFD, 0);
      free++;
    } else {
      table.must(what, NR.dup3, free, number, cloexec ? O.CLOEXEC : 0);
      table.must(what, NR.close, free);
    }
    if (asyncFlags !== undefined) table.must(what, NR.fcntl, number, F.SETFL, asyncFlags);
  }
}

/** One object for what would be the same calls. */
function callsOf(
  calls: Map<string, object>,
  ourPidfd: number,
  lowest: number,
  wanted: readonly Wanted[],
): object {
  let key = `${ourPidfd} ${lowest}`;
  for (const each of wanted)
    key += ` ${each.number} ${oursOf(each)} ${each.flags & FD_CLOEXEC} ${each.asyncFlags ?? ""} ${each.id}`;
  let known = calls.get(key);
  if (known === undefined) {
    known = {};
    calls.set(key, known);
  }
  return known;
}

function oursOf({ source, number }: Wanted): number {
  if (typeof source !== "number") throw new TypeError(`descriptor ${number} is not in place`);
  return source;
}

function nameOf({ number, id }: Wanted): string {
  return `descriptor ${number}, file ${id}`;
}

/** What is not as foreseen has put all that follows in a wrong place: nothing can be made good then. */
function expectNumber(pid: HostPid, number: number, expected: number): void {
  if (number === expected) return;
  throw new KernelError(
    "the table of descriptors",
    `of process ${pid}: ${number}, not ${expected}`,
    ERRNO.EBADF,
  );
}

/** Sees to it that a process, 0 for us, may have descriptors below `number`. @throws KernelError */
export function allowDescriptors(pid: HostPid, number: number): void {
  const { cur, max } = readRlimit(pid, RLIMIT.NOFILE);
  const needed = BigInt(number);
  if (cur >= needed) return;
  const raised = rlimit.encode({ cur: needed, max: max > needed ? max : needed });
  const whose = pid === CALLER ? "criu itself" : `process ${pid}`;
  const what = `${needed} descriptors in ${whose}, where RLIMIT_NOFILE allows ${max} (to raise that takes CAP_SYS_RESOURCE)`;
  syscall(what, NR.prlimit64, pid, RLIMIT.NOFILE, addressOf(raised), 0);
}
