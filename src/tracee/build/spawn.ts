/**
 * Birth under ptrace of all but the root: processes and threads with chosen ids are cloned by calls inside their parents, and are
 * held by us as their parents are, before their first instruction of their own.
 */

import { CLONE, CLONE_AS_THREAD, cloneArgs } from "../../linux/clone.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { NR } from "../../linux/nr.ts";
import {
  allNumbers,
  type HostPid,
  type Identity,
  type NsPid,
  nsPid,
  numberSeenBy,
  sameHost,
  type TreeNumbers,
} from "../../linux/pid.ts";
import { readChildrenOf, readNumbers, readParent, readThreads } from "../../linux/proc.ts";
import { ENTRY_SIZE } from "../../machine/runner.ts";
import { awaitNewborn } from "../hold/many-tasks.ts";
import { Task } from "../hold/task.ts";
import { LaidTable } from "../table/laid-table.ts";
import { type RestoredTask, Restoree } from "./restoree.ts";
import { notBorn } from "./spawn-root.ts";

export interface Birth extends TreeNumbers {
  /**
   * CLONE_FILES and the like: what it shares with who bears it; CLONE_PARENT for a sibling of that one; namespaces that it begins.
   */
  readonly flags: number;
  /** The signal that its parent gets at its end, 0 for none. With CLONE_PARENT it is that of who bears it. */
  readonly exitSignal: number;
  /** With CLONE_VM: which part of the area is its own. */
  readonly part: number;
}

/** What a task of ours is born with: held by us from its first instruction on, and without an event to wait for. */
const HELD = CLONE.PTRACE | CLONE.UNTRACED;

/** So many children are born before the first of them is looked after. */
const BATCH = 16;

/**
 * Clones children, or siblings, of a held process, in order. Each has its memory, shared or as it is now, copy-on-write, our
 * area in it. `born` gets them batch by batch, and works while the next batch is being born.
 * @throws KernelError where one cannot be born; those before it are there then
 */
export function spawnChildren(
  maker: Restoree,
  births: readonly Birth[],
  born: (children: Restoree[]) => void,
): void {
  const { area, leader, ourPidfd } = maker;
  const parts = new Map(births.map(({ number, part }) => [number, part]));
  for (const identities of bear(maker, births, BATCH)) {
    if (identities.length === 0) continue;
    const tasks = identities.map((identity) => ({
      identity,
      task: Task.newborn(identity.host, identity.host),
    }));
    awaitNewborn(tasks.map(({ task }) => task));
    born(
      tasks.map(({ task, identity }) => {
        const part = area.part(parts.get(identity.number) ?? 0);
        return new Restoree(task, identity, part, leader.registers, ourPidfd);
      }),
    );
  }
}

/** Threads that are being born. */
export interface UnbornThreads {
  /** Not to be touched before `born` has been called. */
  readonly tasks: readonly RestoredTask[];
  /** Waits for their births, once; the process' table is not to be used before. @throws KernelError as spawnChildren */
  born(): void;
}

/** Sets a held process to create its other threads. @throws KernelError */
export function spawnThreads(restoree: Restoree, threads: readonly TreeNumbers[]): UnbornThreads {
  const births = threads.map((each) => ({ ...each, flags: CLONE_AS_THREAD, exitSignal: 0 }));
  const batches = bear(restoree, births, threads.length);
  const taskOf = (identity: Identity) => ({ identity, task: Task.newborn(restoree.pid, identity.host) });
  const await_ = (tasks: readonly RestoredTask[]) => awaitNewborn(tasks.map(({ task }) => task));
  batches.next();
  if (restoree.identity.level === 0) {
    const tasks = threads.map((each) => taskOf(inOurNamespace(each)));
    let isAwaited = false;
    const born = () => {
      if (isAwaited) return;
      isAwaited = true;
      for (const _ of batches);
      await_(tasks);
    };
    return { tasks, born };
  }
  // Only when they are there it is known by which numbers we are to call them.
  const tasks = [...batches].flat().map(taskOf);
  await_(tasks);
  return { tasks, born: () => {} };
}

/** Who is born into our own pid namespace has no other number. */
function inOurNamespace({ number }: TreeNumbers): Identity {
  return { host: sameHost(number), number, nested: [], level: 0 };
}

/** What one birth takes in a table: the call, its arguments, the ids. */
const IDS_AT = cloneArgs.size;

/**
 * Bears batch by batch. While one batch is being born it gives those of the one before, at first nobody. @throws KernelError
 */
function* bear(
  maker: Restoree,
  births: readonly Omit<Birth, "part">[],
  batch: number,
): Generator<readonly Identity[]> {
  const { address, size } = maker.area.bulkRegion(maker.pid);
  const idsSize = Math.ceil(Math.max(...births.map((birth) => allNumbers(birth).length)) / 2) * 8;
  const perBirth = IDS_AT + idsSize;
  const most = Math.min(births.length, batch, Math.floor((size - ENTRY_SIZE) / (ENTRY_SIZE + perBirth)));
  const data = (most + 1) * ENTRY_SIZE;
  const region = { pid: maker.pid, address, size: data + most * perBirth };
  const table = new LaidTable(maker.leader, region);
  let before: readonly Identity[] = [];
  maker.table.run();
  for (let from = 0; from < births.length; from += most) {
    const some = births.slice(from, from + most);
    some.forEach((birth, i) => {
      const at = data + i * perBirth;
      const ids = allNumbers(birth);
      const given = {
        flags: birth.flags + HELD,
        exit_signal: (birth.flags & CLONE.PARENT) === 0 ? birth.exitSignal : 0,
        set_tid: address + at + IDS_AT,
        set_tid_size: ids.length,
      };
      cloneArgs.encodeInto(table.bytes, at, given);
      table.words.set(ids, (at + IDS_AT) / 4);
      table.entry(i, NR.clone3, address + at, cloneArgs.size);
      table.must(i);
    });
    table.start(some.length, region.size);
    try {
      yield before;
    } finally {
      table.finish(some.length * ENTRY_SIZE);
    }
    some.forEach((birth, i) => {
      const wanted = numberSeenBy(maker.identity, birth);
      const result = table.resultOf(i);
      const what = (birth.flags & CLONE.THREAD) !== 0 ? "thread" : "with pid";
      if (result !== wanted) throw notBorn(`${what} ${birth.number} in process ${maker.number}`, -result);
    });
    before = identitiesOf(maker, some);
  }
  yield before;
}

/** Those that a process has just borne, as the last of its children or threads. @throws KernelError */
function identitiesOf(maker: Restoree, births: readonly Omit<Birth, "part">[]): Identity[] {
  const levelOf = (nested: readonly NsPid[]) =>
    maker.identity.level + nested.length - maker.identity.nested.length;
  const hosts = new Map<NsPid, HostPid>();
  if (maker.identity.level === 0) for (const { number } of births) hosts.set(number, sameHost(number));
  else for (const [number, host] of newest(maker, births)) hosts.set(number, host);
  return births.map(({ number, nested }) => {
    const host = hosts.get(numberSeenBy(maker.identity, { number, nested }));
    if (host === undefined) throw new KernelError("clone3", `the process with pid ${number}`, ERRNO.ESRCH);
    return { host, number, nested, level: levelOf(nested) };
  });
}

/**
 * The tasks that came last to a process as its threads, to it as children, or to its parent; by the numbers that it has for them.
 * The kernel lists tasks in the order of their births. @throws KernelError
 */
function newest(maker: Restoree, births: readonly Omit<Birth, "part">[]): Map<NsPid, HostPid> {
  const { pid, identity } = maker;
  const listed = new Set<HostPid>();
  const list = (tasks: readonly HostPid[], count: number) => {
    for (const task of tasks.slice(tasks.length - count)) listed.add(task);
  };
  const count = (is: (flags: number) => boolean) => births.filter(({ flags }) => is(flags)).length;
  const threads = count((flags) => (flags & CLONE.THREAD) !== 0);
  const siblings = count((flags) => (flags & CLONE.PARENT) !== 0);
  if (threads > 0) list(readThreads(pid), threads);
  else {
    list(readChildrenOf(pid), births.length - siblings);
    if (siblings > 0) list(readChildrenOf(readParent(pid)), siblings);
  }
  const found = new Map<NsPid, HostPid>();
  const tasks = [...listed];
  readNumbers(
    threads > 0 ? tasks.map((tid) => ({ pid, tid })) : tasks.map((tid) => ({ pid: tid, tid })),
  ).forEach((numbers, i) => {
    const [host] = tasks.slice(i);
    const number = numbers[identity.level];
    if (host !== undefined && number !== undefined) found.set(nsPid(number), host);
  });
  return found;
}
