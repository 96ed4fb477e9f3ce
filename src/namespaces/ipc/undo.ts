/**
 * What the end of a process adds to System V semaphores: the sum of its operations with SEM_UNDO (semop(2)), which its threads share.
 * The kernel tells nobody of it. But it keeps the sum within bounds: an array of operations that would lead it out of them fails
 * with ERANGE. So the process tries arrays that come to nothing either way, as what stands at their end fails with EAGAIN: no value and
 * no sum is changed (perform_atomic_semop_slow()), and which error it was tells on which side of a limit the sum is.
 */
import type { SemUndoEntry } from "../../images/schema/generated/process.ts";
import { ERRNO, isErrno, KernelError } from "../../linux/errno.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { checkResult, rawSyscall } from "../../linux/syscall.ts";
import { IPC, SEM, SEM_MOST, sembuf, semidDs } from "../../linux/sysv-ipc.ts";
import { log } from "../../log.ts";
import { UnsupportedError } from "../../process/errors.ts";
import { Helper } from "../../tracee/build/helper.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { Dumpee } from "../../tracee/enter/dumpee.ts";
import type { Result, Table } from "../../tracee/table/table.ts";
import { listObjects } from "./objects.ts";
import { SEMAPHORES } from "./semaphores.ts";

const KCMP_SYSVSEM = 6;
/** Somebody outside of the tree may change a value while we try; so often we try again. */
const TRIES = 1000;
/** The least sum. */
const LEAST = -SEM_MOST - 1;
/** What an array of operations and its calls take in a table. */
const CALLS = 1024;

interface Operation {
  readonly op: number;
  readonly undo: boolean;
}

interface SemaphoreSet {
  readonly id: number;
  readonly key: number;
  readonly nsems: number;
}

/** What is given to a process of an IPC namespace: by whom its sets are told. */
export class SemaphoreUndoDump {
  readonly #sets = new Map<number, readonly SemaphoreSet[]>();
  /** A process of the tree that has no list of sums: it need not be asked of a bare one again, which takes milliseconds to make. */
  #without: HostPid | undefined;

  /** `namespace` is a number of the IPC namespace that the process lives in. @throws KernelError, UnsupportedError */
  adjustmentsOf(
    { pid, frozen, table }: Pick<Dumpee, "pid" | "frozen" | "table">,
    namespace: number,
  ): SemUndoEntry[] {
    let sets = this.#sets.get(namespace);
    if (sets === undefined) {
      sets = listObjects(table, SEMAPHORES).map(({ id, bytes }) => {
        const { key, nsems } = semidDs.decode(bytes);
        return { id, key: key >>> 0, nsems };
      });
      this.#sets.set(namespace, sets);
    }
    if (sets.length === 0 || !this.#hasAny(pid, frozen.threads)) return [];
    return sets.flatMap((set) => adjustmentsTo(set, pid, table));
  }

  #hasAny(pid: HostPid, threads: readonly { readonly tid: HostPid }[]): boolean {
    if (this.#without !== undefined) return hasAny(pid, threads, this.#without);
    // It has none, as it never had a thread, and made no such operation.
    using helper = Helper.start();
    const has = hasAny(pid, threads, helper.pid);
    if (!has) this.#without = pid;
    return has;
  }
}

/**
 * Whether a process has a list of sums, though there may be nothing on it; `without` has none.
 * @throws UnsupportedError, KernelError
 */
function hasAny(pid: HostPid, threads: readonly { readonly tid: HostPid }[], without: HostPid): boolean {
  const differs = (tid: HostPid, other: HostPid) =>
    checkResult(rawSyscall(NR.kcmp, tid, other, KCMP_SYSVSEM, 0, 0), NR.kcmp, `of task ${tid}`) !== 0;
  for (const { tid } of threads) {
    if (tid === pid || !differs(tid, pid) || !differs(tid, without)) continue;
    throw new UnsupportedError(
      `thread ${tid} undoes operations on semaphores at its own end, which cannot be dumped`,
      { process: pid },
    );
  }
  return differs(pid, without);
}

function adjustmentsTo({ id, key, nsems }: SemaphoreSet, pid: HostPid, table: Table): SemUndoEntry[] {
  const probe = new Probe(table, pid, id);
  const found: SemUndoEntry[] = [];
  try {
    if (!probe.mayChange()) return found;
    for (let number = 0; number < nsems; number++) {
      const adjustment = probe.sumOf(number);
      if (adjustment !== 0) found.push({ set: id, key, number, adjustment });
    }
  } catch (error) {
    // Somebody outside of the tree has removed it, and what was to be undone with it.
    if (!isErrno(error, ERRNO.EINVAL, ERRNO.EIDRM)) throw error;
    log.debug("ipc", `process ${pid}: semaphore set ${id} is no more`);
    return [];
  }
  return found;
}

/** Tries operations on a set. */
class Probe {
  readonly #what;
  constructor(
    private readonly table: Table,
    private readonly pid: HostPid,
    private readonly set: number,
  ) {
    this.#what = `semaphore set ${set}`;
  }

  /** Whether the process has a right to; without it, it cannot have done anything that is to be undone, but for one that it lost since. */
  mayChange(): boolean {
    const value = this.#value(0);
    const tried = this.#try(0, [
      { op: -1, undo: false },
      { op: -SEM_MOST, undo: false },
    ]);
    this.table.run();
    const refused = [value, tried].some(({ raw }) => raw === -ERRNO.EACCES);
    if (refused) log.debug("ipc", `process ${this.pid}: may not change ${this.#what}`);
    return !refused;
  }

  /** What the end of the process would add to a semaphore. @throws KernelError, UnsupportedError */
  sumOf(number: number): number {
    const [isNegative, isPositive] = [this.#isBelow(number, 0), !this.#isBelow(number, 1)];
    if (!isNegative && !isPositive) return 0;
    // It is at least `low`, and below `high`.
    let [low, high] = isNegative ? [LEAST, 0] : [1, SEM_MOST + 1];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#isBelow(number, middle)) high = middle;
      else low = middle;
    }
    return low;
  }

  #isBelow(number: number, limit: number): boolean {
    let before = this.#value(number);
    this.table.run();
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const value = before.checked(this.#what);
      const tried = this.#try(number, leadingBelow(value, limit));
      const after = this.#value(number);
      this.table.run();
      if (after.checked(this.#what) === value) return this.#judge(tried);
      before = after;
    }
    throw new UnsupportedError(`${this.#what} does not stand still`, { process: this.pid });
  }

  #judge({ raw }: Result): boolean {
    if (raw === -ERRNO.ERANGE) return true;
    if (raw === -ERRNO.EAGAIN) return false;
    if (raw === -ERRNO.E2BIG)
      throw new UnsupportedError(
        `what it would undo of ${this.#what} is found out with ${leadingBelow(SEM_MOST, SEM_MOST).length} operations at a time: kernel.sem allows less`,
        { process: this.pid },
      );
    throw new KernelError("semop", this.#what, -raw);
  }

  #value(number: number): Result {
    this.table.reserve(CALLS);
    return this.table.call(NR.semctl, this.set, number, SEM.GETVAL);
  }

  #try(number: number, operations: readonly Operation[]): Result {
    this.table.reserve(CALLS);
    return this.table.call(
      NR.semop,
      this.set,
      this.table.data(encoded(number, operations)),
      operations.length,
    );
  }
}

/**
 * Operations on a semaphore of a value that fail with ERANGE if its sum is below `limit`, and with EAGAIN if it is not: those with
 * SEM_UNDO take `limit` and one more than the least sum away from it, and in between others take the value back to zero.
 */
function leadingBelow(value: number, limit: number): Operation[] {
  const operations: Operation[] = [];
  let current = value;
  const toZero = () => {
    if (current > 0) operations.push({ op: -current, undo: false });
    current = 0;
  };
  for (let rest = limit - LEAST; rest > 0; rest -= current) {
    toZero();
    current = Math.min(rest, SEM_MOST);
    operations.push({ op: current, undo: true });
  }
  toZero();
  operations.push({ op: -1, undo: false });
  return operations;
}

function encoded(num: number, operations: readonly Operation[]): Uint8Array {
  const bytes = new Uint8Array(operations.length * sembuf.size);
  operations.forEach(({ op, undo }, i) => {
    sembuf.encodeInto(bytes, i * sembuf.size, { num, op, flags: IPC.NOWAIT | (undo ? SEM.UNDO : 0) });
  });
  return bytes;
}

/** In so large steps at most a sum is built, so that there is room for them above or below each value. */
const STEP = 16383;

/**
 * Has a process undo at its end what it was to. Sets that were restored with it have the values that its operations have made already;
 * those that were here all the while have lost them with its end, so that they are made again.
 * @throws UnsupportedError where others have taken that meanwhile, KernelError
 */
export function restoreUndos(
  { table, number: pid }: Restoree,
  undos: readonly SemUndoEntry[],
  areRestored: boolean,
): void {
  for (const undo of undos) {
    const what = `semaphore set ${undo.set}`;
    if (!areRestored && !isThere(table, undo)) {
      log.warn("ipc", `process ${pid}: ${what} is no more, and has nothing to be undone`);
      continue;
    }
    const value = table.must(what, NR.semctl, undo.set, undo.number, SEM.GETVAL);
    table.run();
    for (const operations of areRestored ? keeping(undo.adjustment, value.value) : [again(undo.adjustment)]) {
      const bytes = encoded(undo.number, operations);
      const result = table.call(NR.semop, undo.set, table.data(bytes), operations.length);
      table.run();
      if (result.raw === -ERRNO.EAGAIN || result.raw === -ERRNO.ERANGE) {
        throw new UnsupportedError(
          `changes semaphore ${undo.number} of ${what} by ${-undo.adjustment} until its end, which its value does not allow now`,
          { process: pid },
        );
      }
      result.checked(what);
    }
  }
}

function isThere(table: Table, { set, key }: SemUndoEntry): boolean {
  const space = table.space(semidDs.size);
  const result = table.call(NR.semctl, set, 0, IPC.STAT, space.address);
  table.run();
  return !result.failed && semidDs.decode(space.bytes).key >>> 0 === key;
}

/** Operations that bring about a sum and no other value. */
function keeping(sum: number, value: number): Operation[][] {
  const arrays: Operation[][] = [];
  for (let rest = sum; rest !== 0; ) {
    const step = Math.max(-STEP, Math.min(STEP, rest));
    const [there, back] = [
      { op: -step, undo: true },
      { op: step, undo: false },
    ];
    arrays.push(value - step < 0 || value - step > SEM_MOST ? [back, there] : [there, back]);
    rest -= step;
  }
  return arrays;
}

/** Operations that bring about a sum, as the process had made them. */
function again(sum: number): Operation[] {
  const operations: Operation[] = [];
  for (let rest = sum; rest !== 0; ) {
    const step = Math.max(-STEP, Math.min(STEP, rest));
    operations.push({ op: -step, undo: true });
    rest -= step;
  }
  return operations;
}
