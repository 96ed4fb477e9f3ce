/**
 * Birth under ptrace: processes and threads with chosen ids, held before their first instruction of their own.
 *
 * The root of a tree is cloned from us: for a moment it has our memory, copy-on-write, and executes nothing but a
 * pause, until it is seized. All others are cloned by calls inside their parents and are held by us as their parents are.
 */

import { CLONE, CLONE_AS_THREAD, cloneArgs, setTid, spawnMasked } from "../../linux/clone.ts";
import { KernelError } from "../../linux/errno.ts";
import { O } from "../../linux/io.ts";
import { kill } from "../../linux/kill.ts";
import { MAP, PROT } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import { ourPid } from "../../linux/ourselves.ts";
import { type HostPid, hostPid, type Identity, type NsPid, sameHost, sameNumber } from "../../linux/pid.ts";
import { getRseq, PTRACE_O, setSignalMask, WAIT } from "../../linux/ptrace.ts";
import { MASK_WHILE_RUNNING, SIG } from "../../linux/signal.ts";
import { viewOf } from "../../linux/struct.ts";
import { addressOf, checkResult, memoryAt, rawSyscall, syscall } from "../../linux/syscall.ts";
import { hostMachine } from "../../machine/host.ts";
import { ENTRY_ARGS, ENTRY_RESULT, ENTRY_SIZE } from "../../machine/runner.ts";
import { awaitNewborn } from "../hold/many-tasks.ts";
import { Task } from "../hold/task.ts";
import type { Area } from "../table/area.ts";
import { LaidTable } from "../table/laid-table.ts";
import { type RestoredTask, Restoree, runnerRegisters } from "./restoree.ts";

const RSEQ_UNREGISTER = 1;
const LAST_FD = 0x7fff_ffff;
/** Those that a child inherits with being held. */
const OPTIONS = PTRACE_O.EXITKILL | PTRACE_O.SUSPEND_SECCOMP;

/**
 * A table for a child that nobody holds yet. It waits for bytes from a pipe whose other end is ours alone, and that never
 * come: the end of us is the end of the pipe, and of the child. (A parent-death signal would not come to a child that
 * asks for it too late.)
 */
function waitingTable(address: number, reading: number, writing: number): Uint8Array {
  const table = new Uint8Array(3 * ENTRY_SIZE);
  const view = viewOf(table);
  const entry = (index: number, op: number, ...args: number[]) => {
    view.setUint32(index * ENTRY_SIZE, op, true);
    args.forEach((arg, i) => {
      view.setBigInt64(index * ENTRY_SIZE + ENTRY_ARGS + i * 8, BigInt(arg), true);
    });
  };
  entry(0, NR.close, writing);
  entry(1, NR.read, reading, address + ENTRY_SIZE + ENTRY_RESULT, 1);
  entry(2, NR.exit_group, 0);
  return table;
}

/**
 * Clones the root of a tree from us with id `number`, or one of the kernel's choice, and holds it. It has our memory and the
 * area, default signal handling and all signals blocked, and, when its table has run, no descriptors but `pidfdNumber`, a pidfd
 * of ours. It dies if we do.
 * @throws KernelError (EEXIST: the id is taken; EPERM: no CAP_CHECKPOINT_RESTORE)
 */
export function spawnRoot(
  number: NsPid | undefined,
  area: Area,
  pidfdNumber: number,
  asSibling: boolean,
): Restoree {
  const ourPidfd = syscall("of ourselves", NR.pidfd_open, ourPid(), 0);
  try {
    const { child, end, closePipe } = cloneWaiting(number, area, asSibling);
    try {
      const task = Task.seize(child, child, OPTIONS);
      task.interrupt();
      task.awaitTrap();
      const identity = { host: child, number: number ?? sameNumber(child), nested: [] };
      const root = takeRoot(task, identity, area, ourPidfd, pidfdNumber);
      closePipe();
      return root;
    } catch (error) {
      end();
      throw error;
    }
  } finally {
    rawSyscall(NR.close, ourPidfd);
  }
}

/**
 * Clones a process from us that stands in for one with id `number` that has ended, so that /proc has its files for as long
 * as they are opened. It waits, and dies when it is told to or we do. @throws KernelError as spawnRoot
 */
export function spawnStandIn(number: NsPid, area: Area): { end(): void } {
  return cloneWaiting(number, area, false);
}

/** A process that does nothing. */
interface Waiting {
  readonly child: HostPid;
  /** Ends it. Never throws. */
  end(): void;
  /** To be called instead when somebody else sees to its end. */
  closePipe(): void;
}

/** Clones a process from us with id `number` or any other, which does nothing and dies with us. */
function cloneWaiting(number: NsPid | undefined, area: Area, asSibling: boolean): Waiting {
  const mapped = syscall(
    "of our area",
    NR.mmap,
    area.address,
    area.size,
    PROT.READ | PROT.WRITE | PROT.EXEC,
    MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE,
    -1,
    0,
  );
  const ends = new Int32Array(2);
  try {
    syscall("for a child to wait at", NR.pipe2, addressOf(new Uint8Array(ends.buffer)), O.CLOEXEC);
  } catch (error) {
    rawSyscall(NR.munmap, area.address, area.size);
    throw error;
  }
  const [reading = -1, writing = -1] = ends;
  const closePipe = () => {
    rawSyscall(NR.close, reading);
    rawSyscall(NR.close, writing);
  };
  try {
    const memory = memoryAt(mapped, area.size);
    memory.set(hostMachine.runner.code);
    const table = area.bulkRegion(ourPid()).address;
    memory.set(waitingTable(table, reading, writing), table - area.address);
    const ids = number === undefined ? undefined : setTid(number);
    const args = cloneArgs.encode({
      flags: CLONE.CLEAR_SIGHAND + (asSibling ? CLONE.PARENT : 0),
      // With CLONE_PARENT the child reports to our parent as we do, and the kernel takes no signal of its own.
      exit_signal: asSibling ? 0 : SIG.CHLD,
      ...(ids && { set_tid: addressOf(ids), set_tid_size: 1 }),
    });
    const what = `with pid ${number ?? "of any number"}`;
    const child = hostPid(checkResult(spawnMasked(args, table), NR.clone3, what));
    const end = () => {
      kill(child, SIG.KILL);
      rawSyscall(NR.wait4, child, 0, WAIT.ALL, 0);
      closePipe();
    };
    return { child, end, closePipe };
  } catch (error) {
    closePipe();
    throw error;
  } finally {
    rawSyscall(NR.munmap, area.address, area.size);
  }
}

function takeRoot(
  task: Task,
  identity: Identity,
  area: Area,
  inheritedPidfd: number,
  pidfdNumber: number,
): Restoree {
  setSignalMask(task.tid, MASK_WHILE_RUNNING);
  const rseq = getRseq(task.tid);
  const restoree = new Restoree(task, identity, area, runnerRegisters(task.tid, area), pidfdNumber);
  const { table } = restoree;
  if (rseq !== undefined && rseq.rseq_abi_pointer !== 0n) {
    // It lies in our memory, which the process is about to lose.
    table.must(
      "our rseq area",
      NR.rseq,
      Number(rseq.rseq_abi_pointer),
      rseq.rseq_abi_size,
      RSEQ_UNREGISTER,
      rseq.signature,
    );
  }
  if (inheritedPidfd > 0) table.must("our descriptors", NR.close_range, 0, inheritedPidfd - 1, 0);
  table.must("our descriptors", NR.close_range, inheritedPidfd + 1, LAST_FD, 0);
  if (inheritedPidfd !== pidfdNumber) {
    table.must("our pidfd", NR.dup3, inheritedPidfd, pidfdNumber, 0);
    table.must("our pidfd", NR.close, inheritedPidfd);
  }
  return restoree;
}

export interface Birth {
  readonly pid: NsPid;
  /** CLONE_FILES and the like: what it shares with who bears it; CLONE_PARENT for a sibling of that one. */
  readonly flags: number;
  /** The signal that its parent gets at its end, 0 for none. With CLONE_PARENT it is that of who bears it. */
  readonly exitSignal: number;
  /** With CLONE_VM: which room of the area is its own. */
  readonly room: number;
}

/** What a task of ours is born with: held by us from its first instruction on, and without an event to wait for. */
const HELD = CLONE.PTRACE | CLONE.UNTRACED;

/** So many children are born before the first of them is looked after. */
const LOT = 16;

/**
 * Clones children, or siblings, of a held process, in order. Each has its memory, shared or as it is now, copy-on-write, our
 * area in it. `born` gets them lot by lot, and works while the next lot is being born.
 * @throws KernelError where one cannot be born; those before it are there then
 */
export function spawnChildren(
  maker: Restoree,
  births: readonly Birth[],
  born: (children: Restoree[]) => void,
): void {
  const { area, leader, ourPidfd } = maker;
  const rooms = new Map(births.map(({ pid, room }) => [pid, room]));
  for (const identities of bear(maker, births, LOT)) {
    if (identities.length === 0) continue;
    const tasks = identities.map((identity) => ({
      identity,
      task: Task.newborn(identity.host, identity.host),
    }));
    awaitNewborn(tasks.map(({ task }) => task));
    born(
      tasks.map(({ task, identity }) => {
        const room = area.room(rooms.get(identity.number) ?? 0);
        return new Restoree(task, identity, room, leader.registers, ourPidfd);
      }),
    );
  }
}

/** Threads that are being born. */
export interface UnbornThreads {
  /** Not to be touched before `born` has been called. */
  readonly tasks: readonly RestoredTask[];
  /** Waits for their births; the process' table is not to be used before. @throws KernelError as spawnChildren */
  born(): void;
}

/** Sets a held process to create its other threads. @throws KernelError */
export function spawnThreads(restoree: Restoree, tids: readonly NsPid[]): UnbornThreads {
  const tasks = tids.map((tid) => {
    const identity = identityOf(tid);
    return { identity, task: Task.newborn(restoree.pid, identity.host) };
  });
  const births = tids.map((pid) => ({ pid, flags: CLONE_AS_THREAD, exitSignal: 0 }));
  const lots = bear(restoree, births, tids.length);
  lots.next();
  return {
    tasks,
    born: () => {
      for (const _ of lots);
      awaitNewborn(tasks.map(({ task }) => task));
    },
  };
}

/** Who is born with a number in our own pid namespace has no other. */
function identityOf(number: NsPid): Identity {
  return { host: sameHost(number), number, nested: [] };
}

/** What one birth takes in a table: the call, its arguments, the id. */
const IDS_AT = cloneArgs.size;
const BIRTH = ENTRY_SIZE + IDS_AT + 8;

/** Bears lot by lot. While one is being born it gives those of the one before, at first nobody. @throws KernelError */
function* bear(
  restoree: Restoree,
  births: readonly Pick<Birth, "pid" | "flags" | "exitSignal">[],
  lot: number,
): Generator<readonly Identity[]> {
  const { address, size } = restoree.area.bulkRegion(restoree.pid);
  const most = Math.min(births.length, lot, Math.floor((size - ENTRY_SIZE) / BIRTH));
  const data = (most + 1) * ENTRY_SIZE;
  const region = { pid: restoree.pid, address, size: data + most * (BIRTH - ENTRY_SIZE) };
  const table = new LaidTable(restoree.leader, region);
  let before: Identity[] = [];
  restoree.table.run();
  for (let from = 0; from < births.length; from += most) {
    const some = births.slice(from, from + most);
    some.forEach(({ pid, flags, exitSignal }, i) => {
      const at = data + i * (BIRTH - ENTRY_SIZE);
      const ids = at + IDS_AT;
      const given = {
        flags: flags + HELD,
        exit_signal: (flags & CLONE.PARENT) === 0 ? exitSignal : 0,
        set_tid: address + ids,
        set_tid_size: 1,
      };
      cloneArgs.encodeInto(table.bytes, at, given);
      table.words[ids / 4] = pid;
      table.entry(i, NR.clone3, address + at, cloneArgs.size);
      table.must(i);
    });
    table.start(some.length, region.size);
    try {
      yield before;
    } finally {
      table.finish(some.length * ENTRY_SIZE);
    }
    some.forEach(({ pid, flags }, i) => {
      const result = table.resultOf(i);
      const what = (flags & CLONE.THREAD) !== 0 ? "thread" : "with pid";
      if (result !== pid)
        throw new KernelError("clone3", `${what} ${pid} in process ${restoree.pid}`, -result);
    });
    before = some.map(({ pid }) => identityOf(pid));
  }
  yield before;
}
