/**
 * Working inside a process that we put nothing into: each call of a table is made from outside, with registers that we set,
 * by an instruction of the process' own code, between two stops. It takes some microseconds a call, and is the way where an
 * area (infection.ts) cannot be had: where limits forbid another mapping, no gap is left for it, or a signal is pending that
 * would come before the breakpoint that ends a table.
 *
 * What the calls read and write, and the way out, lie in unused stack, which is put back at the end. A thread is away from
 * where it was found only while it makes the calls of one table; should we die meanwhile, the call returns into the way out.
 * All signals are blocked, SIGTRAP as well.
 */

import { stage } from "../../faults.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { isLockedOnFault } from "../../linux/lock-on-fault.ts";
import { MAP, PAGE_SIZE, PROT, readMemory, writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import { pagesToCome } from "../../linux/pagemap.ts";
import type { HostPid } from "../../linux/pid.ts";
import { type Mapping, readSmaps } from "../../linux/proc.ts";
import { getRegister, PTRACE, setRegisters, setSignalMask, userRegs } from "../../linux/ptrace.ts";
import { MASK_ALL, SIG, sigaction } from "../../linux/signal.ts";
import { word } from "../../linux/struct.ts";
import { setDispatch } from "../../linux/user-dispatch.ts";
import { type Entry, entryAt, resultAt, setWide, wordsOf } from "../../machine/entries.ts";
import { FLAG_MUST, OP } from "../../machine/runner.ts";
import { callRegisters } from "../hold/many-tasks.ts";
import { findGap, spansOf } from "../table/area.ts";
import { type Region, Table, type TableExecutor } from "../table/table.ts";
import { passingGadgets } from "./dispatched.ts";
import type { Answers, Entered, EnterRequest, ThreadRequest } from "./entered.ts";
import { type Gadgets, gadgetsOf } from "./gadgets.ts";
import { FLAGS_TF_DF, putBack } from "./inside-thread.ts";
import type { Saved } from "./saved.ts";
import { layWayOut, type Stretch, unusedStack, wayOutSize } from "./way-out.ts";

/** Bytes for what the calls of a table read and write. */
const DATA_SIZE = 0x2000;
/** So much of it most tables use. */
const DATA_USED = PAGE_SIZE;
/** Addresses that a table counts on; only what its calls read and write, at their end, is there. */
const TABLE_SIZE = 0x10000;
const NOTHING: Stretch = { address: 0, size: 0 };

export class CallByCall implements Entered {
  readonly table: Table;
  /** Unused stack: the way out, then data. */
  readonly #stack: Stretch;
  readonly #original: Uint8Array;
  readonly #region: Region;
  /** What has been written to: the way out up to here, and data from there on. */
  #wayOutTo = 0;
  #dataFrom: number;
  /** Milliseconds that each call may sleep. */
  #patience = Number.POSITIVE_INFINITY;

  private constructor(
    readonly pid: HostPid,
    private readonly carrier: ThreadRequest,
    private readonly gadgets: Gadgets,
    private readonly maps: readonly Mapping[],
    /** All that are inside the same memory, this one among them. */
    private readonly inSameMemory: CallByCall[],
    /** Bytes of the way out of the thread that needs most. */
    private readonly wayOutMost: number,
    /** Bytes of memory that the process may still take. */
    left: number,
  ) {
    const size = wayOutMost + DATA_SIZE;
    const address = this.#placeFor(size, left);
    this.#stack = { address, size };
    this.#dataFrom = address + size;
    this.#original = readMemory(pid, address, new Uint8Array(size));
    this.#region = { pid, address: address + size - TABLE_SIZE, size: TABLE_SIZE, dataSize: DATA_SIZE };
    this.table = new Table(this.#executor(carrier), this.#region);
    inSameMemory.push(this);
  }

  /**
   * Enters a process, of which nothing is changed by that alone. `inSameMemory` are those in the same memory; `left` is how many bytes of
   * memory it may still take. @throws KernelError ENOMEM where that is not enough
   */
  static enter(
    request: EnterRequest,
    inSameMemory: CallByCall[],
    left = Number.POSITIVE_INFINITY,
  ): CallByCall {
    const { carrier, maps } = request;
    const { pid } = carrier.task;
    // The extended state may be longer in threads that have used more of it.
    const wayOutMost = Math.ceil((wayOutSize(carrier.saved) + LONGER_STATE) / 64) * 64;
    const entered = new CallByCall(pid, carrier, gadgetsOf(pid, maps), maps, inSameMemory, wayOutMost, left);
    stage("dump/laid");
    stage("dump/mapped");
    return entered;
  }

  /** Has the carrier run the table that `fill` makes. */
  ask<T>(fill: (table: Table) => T): { answers: Answers; asked: T } {
    return this.#askEach([this.carrier], fill);
  }

  enterThreads<T>(
    threads: readonly ThreadRequest[],
    fill: (table: Table) => T,
  ): { answers: Answers; asked: T } {
    for (const _ of threads) stage("dump/thread");
    return this.#askEach(threads, fill);
  }

  get isFirst(): boolean {
    return this.inSameMemory[0] === this;
  }

  get saved(): Saved {
    return this.carrier.saved;
  }

  get covered(): { readonly address: number; readonly bytes: Uint8Array }[] {
    return this.inSameMemory.map((other) => ({ address: other.#stack.address, bytes: other.#original }));
  }

  runWithin(patience: number): void {
    this.#patience = patience;
    try {
      this.table.run();
    } finally {
      this.#patience = Number.POSITIVE_INFINITY;
    }
  }

  ownSigtrap(): Uint8Array {
    const space = this.table.space(sigaction.size);
    this.table.must("the handling of SIGTRAP", NR.rt_sigaction, SIG.TRAP, 0, space.address, 8);
    this.table.run();
    return space.bytes;
  }

  locksNewMappings(): { readonly onFault: boolean } | undefined {
    const address = findGap(spansOf(this.maps), PAGE_SIZE, PAGE_SIZE);
    // There are no mappings to come.
    if (address === undefined) return undefined;
    const page = { address, size: PAGE_SIZE };
    const flags = MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE;
    let shown: ReadonlySet<string> | undefined;
    this.#away(this.carrier, page, (call) => {
      const mapped = call(NR.mmap, [address, page.size, PROT.NONE, flags, -1, 0]);
      // Where the limit of locked memory forbids it, it would be locked.
      if (mapped === -ERRNO.EAGAIN) shown = new Set(["lo"]);
      if (mapped < 0) return;
      shown = readSmaps(this.pid).find(({ start }) => start === address)?.flags;
      call(NR.munmap, [address, page.size]);
    });
    if (shown?.has("lo") !== true) return undefined;
    return { onFault: isLockedOnFault(shown) || this.maps.some(({ flags }) => isLockedOnFault(flags)) };
  }

  /** Puts the stack back: the process is as it was found. @throws KernelError, TaskGoneError */
  leave(): void {
    const { address, size } = this.#stack;
    const putBack = (from: number, to: number) => {
      if (to > from) writeMemory(this.pid, from, this.#original.subarray(from - address, to - address));
    };
    putBack(address, this.#wayOutTo);
    putBack(this.#dataFrom, address + size);
  }

  /** @throws KernelError ENOMEM where each place has pages to come for which there is no memory left */
  #placeFor(size: number, left: number): number {
    const { pid, maps } = this;
    const sp = Number(this.carrier.saved.registers.sp);
    const taken = this.inSameMemory.map((other) => other.#stack);
    const address = unusedStack(pid, sp, size, maps, taken);
    if (left === Number.POSITIVE_INFINITY) return address;
    const needed = (at: number) =>
      (pagesToCome(pid, at, wayOutSize(this.carrier.saved)) +
        pagesToCome(pid, at + size - DATA_USED, DATA_USED)) *
      PAGE_SIZE;
    const below = unusedStack(pid, sp, size, [], taken);
    const found = [below, address].find((at) => needed(at) <= left);
    if (found !== undefined) return found;
    const what = `process ${pid}: its control group has ${left} bytes of memory left, ${needed(address)} more are needed`;
    throw new KernelError("entering", what, ERRNO.ENOMEM);
  }

  #executor(thread: ThreadRequest): TableExecutor {
    return {
      callEach: (entries, data) => this.#callEach(thread, entries, data),
      startTable: () => {
        throw new Error("a table without memory of its own");
      },
      awaitTable: () => {},
    };
  }

  /** The same table for many threads, one after the other, each when it is looked at. */
  #askEach<T>(threads: readonly ThreadRequest[], fill: (table: Table) => T): { answers: Answers; asked: T } {
    const [first] = threads;
    if (first === undefined) throw new RangeError("a table for nobody");
    const table = new Table(this.#executor(first), this.#region);
    const asked = fill(table);
    const { entries, data } = table.laid;
    const asLaid = { entries: entries.slice(), data: data.slice() };
    const look = (index: number) => {
      const thread = threads[index];
      if (thread === undefined) throw new RangeError("no such copy of a table");
      entries.set(asLaid.entries);
      data.set(asLaid.data);
      this.#callEach(thread, entries, data);
      table.settle();
    };
    return { answers: { look, awaitAll: () => {} }, asked };
  }

  /** Has a thread make the calls of a table, whose entries and data get the results. */
  #callEach(thread: ThreadRequest, entries: Uint8Array, data: Uint8Array): void {
    const { pid, address, size } = this.#region;
    const dataAt = address + size - data.length;
    this.#dataFrom = Math.min(this.#dataFrom, dataAt);
    if (data.length > 0) writeMemory(pid, dataAt, data);
    const words = new TableWords(pid, address, entries);
    this.#away(thread, NOTHING, (call) => {
      for (let index = 0; ; index++) {
        const { op, flags, args } = words.entry(index);
        if (op === OP.END) return;
        if (op === OP.MOVE) {
          const [from = 0, to = 0] = args;
          words.copy(from, to);
          continue;
        }
        if (op > OP.MOVE) throw new Error(`operation ${op} in a table of calls`);
        const result = call(op, args);
        words.setResult(index, result);
        if (flags === FLAG_MUST && result < 0 && result > -4096) return;
      }
    });
    if (data.length > 0) readMemory(pid, dataAt, data);
  }

  /** Has a thread make calls, and puts it back. Should we die meanwhile, `unmapped` goes as well. */
  #away({ task, saved }: ThreadRequest, unmapped: Stretch, work: (call: Call) => void): void {
    if (wayOutSize(saved) > this.wayOutMost)
      throw new KernelError("entering", `task ${task.tid}: its state is too large`, ERRNO.E2BIG);
    const { tid } = task;
    const { gadgets, meanwhile } = passingGadgets(task, saved, this.maps, this.gadgets);
    const wayOut = layWayOut(this.pid, saved, unmapped, gadgets, this.#stack.address);
    if (meanwhile !== undefined) setDispatch(tid, meanwhile);
    this.#wayOutTo = Math.max(this.#wayOutTo, wayOut.address + wayOut.original.length);
    const stack = unmapped.size === 0 ? wayOut.returning : wayOut.unmapping;
    let isAway = false;
    const call: Call = (nr, args) => {
      const made = callRegisters(saved.bytes, gadgets.callAndReturn, nr, args);
      userRegs.encodeInto(made, 0, { sp: BigInt(stack), flags: saved.registers.flags & ~FLAGS_TF_DF });
      setRegisters(tid, made);
      // Registers first: whatever happens next, the thread is on the way that leads back.
      if (!isAway) setSignalMask(tid, MASK_ALL);
      isAway = true;
      task.resume(PTRACE.SYSCALL);
      task.awaitSyscallStop();
      task.resume(PTRACE.SYSCALL);
      const broken = this.#patience < Number.POSITIVE_INFINITY && task.interruptAfter(this.#patience);
      task.awaitSyscallStop();
      const result = Number(BigInt.asIntN(64, getRegister(tid, "ax")));
      return broken && result < FIRST_RESTART && result > -4096 ? -ERRNO.EINTR : result;
    };
    try {
      work(call);
    } finally {
      if (!task.gone) {
        if (isAway) task.eventStop();
        putBack(task, saved);
        if (meanwhile !== undefined && saved.dispatch !== undefined) setDispatch(tid, saved.dispatch);
      }
    }
  }
}

/** More than any component of an extended state takes. */
const LONGER_STATE = 0x3000;
/** -ERESTARTSYS; those below ask for a restart as well. */
const FIRST_RESTART = -511;

type Call = (nr: number, args: readonly number[]) => number;

/** The entries of a table, which are ours alone, and the process' memory, for who works through them. */
class TableWords {
  readonly #words: Uint32Array;

  constructor(
    private readonly pid: HostPid,
    /** Where the table takes its entries to be. */
    private readonly address: number,
    private readonly entries: Uint8Array,
  ) {
    this.#words = wordsOf(entries);
  }

  entry(index: number): Entry {
    return entryAt(this.#words, index);
  }

  setResult(index: number, result: number): void {
    setWide(this.#words, resultAt(index), result);
  }

  /** Copies a word from one address to another. */
  copy(from: number, to: number): void {
    const bytes = this.#own(from) ?? readMemory(this.pid, from, new Uint8Array(word.size));
    const own = this.#own(to);
    if (own !== undefined) own.set(bytes);
    else writeMemory(this.pid, to, bytes);
  }

  #own(address: number): Uint8Array | undefined {
    const at = address - this.address;
    return at >= 0 && at < this.entries.length ? this.entries.subarray(at, at + word.size) : undefined;
  }
}
