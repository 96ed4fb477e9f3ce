/**
 * Birth of the root of a tree, under ptrace, with the wanted id: it is cloned from us. For a moment it has our memory, copy-on-write,
 * and executes nothing but a pause, until it is seized.
 */

import { CLONE, cloneArgs, NEW, setTid, spawnMasked } from "../../linux/clone.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { O } from "../../linux/io.ts";
import { kill } from "../../linux/kill.ts";
import { MAP, PROT } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import { ourPid } from "../../linux/ourselves.ts";
import { TableLayout } from "../../linux/own-table.ts";
import { type HostPid, hostPid, type Identity, type NsPid, sameNumber } from "../../linux/pid.ts";
import { bearBeside, withChildrenIn } from "../../linux/pid-namespace.ts";
import { readNumbers } from "../../linux/proc.ts";
import { getRseq, PTRACE_O, setSignalMask, WAIT } from "../../linux/ptrace.ts";
import { MASK_WHILE_RUNNING, SIG } from "../../linux/signal.ts";
import { addressOf, memoryAt, rawSyscall, syscall } from "../../linux/syscall.ts";
import { hostMachine } from "../../machine/host.ts";
import { ENTRY_RESULT, ENTRY_SIZE } from "../../machine/runner.ts";
import { suspendSeccomp, Task } from "../hold/task.ts";
import type { Area } from "../table/area.ts";
import { Restoree, runnerRegisters } from "./restoree.ts";

const RSEQ_UNREGISTER = 1;
const LAST_FD = 0x7fff_ffff;
/** Those that a child inherits with being held. */
const options = () => PTRACE_O.EXITKILL | suspendSeccomp();

/**
 * A table for a child that nobody holds yet. It waits for bytes from a pipe whose other end is ours alone, and that never
 * come: the end of us is the end of the pipe, and of the child. (A parent-death signal would not come to a child that
 * asks for it too late.)
 */
function waitingTable(address: number, reading: number, writing: number): Uint8Array {
  const table = new TableLayout(3 * ENTRY_SIZE, address);
  table.entry(0, NR.close, writing);
  table.entry(1, NR.read, reading, address + ENTRY_SIZE + ENTRY_RESULT, 1);
  table.entry(2, NR.exit_group, 0);
  return table.bytes;
}

/** How the root of a tree is born. */
export interface RootBirth {
  /** Its id; one of the kernel's choice if not given. */
  readonly number?: NsPid | undefined;
  readonly area: Area;
  /** The number in it of what it fetches descriptors by. */
  readonly pidfdNumber: number;
  /** That pidfd, lent: of a process that shares our descriptors; of ourselves, if not given. */
  readonly pidfd?: number | undefined;
  /** Whether it is to be a child of our parent. */
  readonly asSibling?: boolean;
  /** Flags of namespaces that are to be its own: with one of pids, `number` is its id there. */
  readonly namespaces?: number;
  /** A descriptor of ours of the pid namespace that it is to be born into, lent. */
  readonly pidNamespace?: number | undefined;
}

/**
 * Clones the root of a tree from us, and holds it. It has our memory and the area, default signal handling and all signals
 * blocked, and, when its table has run, no descriptors but the one by which it fetches ours. It dies if we do.
 * @throws KernelError (EEXIST: the id is taken; EPERM: no CAP_CHECKPOINT_RESTORE)
 */
export function spawnRoot({
  number,
  area,
  pidfdNumber,
  pidfd,
  asSibling = false,
  namespaces = 0,
  pidNamespace,
}: RootBirth): Restoree {
  const keptPidfd = pidfd ?? syscall("of ourselves", NR.pidfd_open, ourPid(), 0);
  try {
    const clone = () => cloneWaiting(number, area, asSibling, namespaces);
    const { child, end, closePipe } =
      pidNamespace === undefined ? clone() : withChildrenIn(pidNamespace, clone);
    try {
      const task = Task.seize(child, child, options());
      task.interrupt();
      task.awaitTrap();
      const level = pidNamespace === undefined ? ((namespaces & NEW.PID) === 0 ? 0 : 1) : levelOf(child);
      const identity = { host: child, number: number ?? sameNumber(child), nested: [], level };
      const root = takeRoot(task, identity, area, keptPidfd, pidfdNumber);
      closePipe();
      return root;
    } catch (error) {
      end();
      throw error;
    }
  } finally {
    if (pidfd === undefined) rawSyscall(NR.close, keptPidfd);
  }
}

/**
 * Clones a process from us that stands in for one with id `number` that has ended, so that /proc has its files for as long
 * as they are opened, in the pid namespace of the root. It waits, and dies when it is told to or we do. @throws KernelError as spawnRoot
 */
export function spawnStandIn(number: NsPid, area: Area, root: Restoree): { end(): void } {
  return withNumbersOf(root, () => cloneWaiting(number, area, false));
}

/** Does something while our children are born with numbers of the images, of which `root` is the root. @throws KernelError, whatever `act` throws */
export function withNumbersOf<T>(root: Restoree, act: () => T): T {
  return root.identity.level === 0 ? act() : bearBeside(root.pid, act);
}

/** How many levels the pid namespace of a process is below ours. */
function levelOf(pid: HostPid): number {
  return (readNumbers([{ pid, tid: pid }])[0]?.length ?? 1) - 1;
}

/** A process that does nothing. */
interface Waiting {
  readonly child: HostPid;
  /** Ends it. Never throws. */
  end(): void;
  /** To be called instead when somebody else sees to its end. */
  closePipe(): void;
}

/** That a number is taken mostly means that what was dumped still runs. */
export function notBorn(what: string, errno: number): KernelError {
  return new KernelError("clone3", errno === ERRNO.EEXIST ? `${what}, which is in use` : what, errno);
}

/** Clones a process from us with id `number` or any other, which does nothing and dies with us. */
function cloneWaiting(number: NsPid | undefined, area: Area, asSibling: boolean, namespaces = 0): Waiting {
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
      flags: CLONE.CLEAR_SIGHAND + (asSibling ? CLONE.PARENT : 0) + namespaces,
      // With CLONE_PARENT the child reports to our parent as we do, and the kernel takes no signal of its own.
      exit_signal: asSibling ? 0 : SIG.CHLD,
      ...(ids && { set_tid: addressOf(ids), set_tid_size: 1 }),
    });
    const what = `with pid ${number ?? "of any number"}`;
    const result = spawnMasked(args, table);
    if (result < 0) throw notBorn(what, -result);
    const child = hostPid(result);
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
