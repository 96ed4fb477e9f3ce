/**
 * Working inside a process that must not notice: the dump's side of the tracee.
 *
 * Getting in. The process has no memory of ours and must survive our death at every instant. So before its registers
 * are touched, a *way out* is laid where a signal frame could lie, in unused stack: a chain that, entered by the
 * return from a system call, unmaps our area and takes the thread back to where it was by rt_sigreturn(2), running only
 * code of the process' own (see gadgets.ts). The first call, mmap(2) of the area, returns into that chain.
 *
 * Inside. Every thread that runs tables does so in its slot of the area. The end of a table is a breakpoint. While we
 * live it is a ptrace stop; when we are dead, the SIGTRAP reaches the handler that we set for the process, the heal
 * entry: a thread goes back through its frame, and the carrier (the thread that came in first) waits for the others,
 * puts the handling of SIGTRAP back, closes what we opened, and goes out through the chain. A thread comes in by its
 * *door*: only its registers are set from outside, so that there is no half of it; it sets its mask and counts itself in.
 *
 * Processes that share their memory (CLONE_VM) are entered one by one all the same, each with an area, away from those of the
 * others. Of those that share signal handlers too (CLONE_SIGHAND), the first takes SIGTRAP for all, counts the others
 * among those inside, and waits for them as for threads of its own.
 *
 * Getting out, while we live: the same calls, but watched, and then the registers as they were are set by ptrace rather
 * than by rt_sigreturn, because that would forget a restart block (restart_syscall(2)).
 */

import { stage } from "../../faults.ts";
import { timespec } from "../../linux/clock.ts";
import { ERRNO, isErrno, KernelError } from "../../linux/errno.ts";
import { isLockedOnFault } from "../../linux/lock-on-fault.ts";
import { MAP, PROT, readMemory, writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { readSmaps } from "../../linux/proc.ts";
import { getRegister, PTRACE, setRegisters, setSignalMask, userRegs } from "../../linux/ptrace.ts";
import { MASK_ALL, MASK_WHILE_RUNNING, SA, SIG, sigaction } from "../../linux/signal.ts";
import { viewOf } from "../../linux/struct.ts";
import { ENTRY_SIZE, OP, SLOT_HEAL } from "../../machine/runner.ts";
import { callRegisters } from "../hold/many-tasks.ts";
import { type Task, TaskGoneError } from "../hold/task.ts";
import { Area, BULK, spansOf } from "../table/area.ts";
import { Pointer } from "../table/pointer.ts";
import { encodeTable, moveStack, type RawEntry } from "../table/raw-table.ts";
import { Table } from "../table/table.ts";
import type { Answers, Entered, EnterRequest, ThreadRequest } from "./entered.ts";
import { type Gadgets, gadgetsOf } from "./gadgets.ts";
import { FLAGS_TF_DF, InsideThread } from "./inside-thread.ts";
import { OtherThreads } from "./other-threads.ts";
import type { Saved } from "./saved.ts";
import { SharedTable } from "./shared-table.ts";
import { layWayOut, unusedStack, type WayOut, wayOutSize } from "./way-out.ts";

/**
 * Before each look at the count of threads inside: for one that stands at its door to count itself in. And for the last
 * ones, already counted out, to have left our code.
 */
const POLL_NSEC = 250_000_000n;
const LEAVE_NSEC = 100_000_000n;
/** Looks at the count, one each POLL_NSEC. It is right, so this is never used up: a thread may write memory for long. */
const PATIENCE = 2400n;

/**
 * Why a process cannot be given an area: its limits (RLIMIT_AS, RLIMIT_DATA, the number of mappings), or no gap that is large
 * enough; RLIMIT_MEMLOCK where new mappings are locked; PR_SET_MDWE.
 */
const NO_MAPPING: readonly number[] = [ERRNO.ENOMEM, ERRNO.EAGAIN, ERRNO.EACCES, ERRNO.EPERM];

/** Whether an error says that a task that stood has been killed. */
function hasVanished(error: unknown): boolean {
  return error instanceof TaskGoneError || isErrno(error, ERRNO.ESRCH);
}

export class Infection implements Entered {
  readonly #threads: InsideThread[] = [];
  readonly #carrier: InsideThread;
  /** Tables of the carrier: process-wide work, after what `askAll` asks. */
  readonly table: Table;
  #mapped = false;
  /** Others that may still be inside, and rely on our handling of SIGTRAP. */
  #sharers = 0;
  /** Whether it was killed while we were inside. */
  #died = false;

  private constructor(
    readonly pid: HostPid,
    /** The number of its memory: those that are equal are one. */
    private readonly vm: number,
    readonly area: Area,
    private readonly gadgets: Gadgets,
    private readonly wayOut: WayOut,
    carrier: Task,
    saved: Saved,
    /** All that are inside the same memory, this one among them. */
    private readonly inSameMemory: Infection[],
    /** Who takes SIGTRAP for it, where it shares signal handlers with an earlier one. */
    private readonly trapTaker: Infection | undefined,
  ) {
    inSameMemory.push(this);
    if (trapTaker !== undefined) trapTaker.#sharers++;
    this.#carrier = new InsideThread(carrier, saved, area, 0);
    this.table = new Table(this.#carrier, area.bulkRegion(pid));
  }

  /**
   * Enters processes, all at once. `entered` gets each that is to be left again, also when another one fails; `refused` is told
   * of each memory that has no space for an area, or is given none, and why: its processes are not entered.
   * @throws KernelError, RangeError
   */
  static enterAll(
    requests: readonly EnterRequest[],
    entered: Entered[],
    refused: (vm: number, error: KernelError) => void,
  ): Infection[] {
    const memories = new Map<number, Infection[]>();
    const takers = new Map<number, Infection>();
    const without = new Set<number>();
    const refuse = (vm: number, error: unknown) => {
      if (!(error instanceof KernelError) || !NO_MAPPING.includes(error.errno)) throw error;
      without.add(vm);
      refused(vm, error);
    };
    const all = requests.flatMap((request) => {
      const { vm, sighand } = request;
      const inSameMemory = memories.get(vm) ?? [];
      memories.set(vm, inSameMemory);
      try {
        const infection = Infection.#lay(request, inSameMemory, takers.get(sighand));
        if (infection.trapTaker === undefined) takers.set(sighand, infection);
        entered.push(infection);
        stage("dump/laid");
        infection.#startMapping();
        return [infection];
      } catch (error) {
        refuse(vm, error);
        return [];
      }
    });
    for (const infection of all) infection.#continueMapping();
    for (const infection of all) {
      const result = infection.#awaitMapping();
      if (result < 0)
        refuse(infection.vm, new KernelError("mmap", `of our area in process ${infection.pid}`, -result));
      stage("dump/mapped");
      if (infection.#mapped) infection.#prepare();
    }
    if (without.size === 0) return all;
    Infection.#takeBack(
      all.filter(({ vm }) => without.has(vm)),
      entered,
    );
    return all.filter(({ vm }) => !without.has(vm));
  }

  static #takeBack(infections: readonly Infection[], entered: Entered[]): void {
    let failure: unknown;
    Infection.leaveAll(infections, (_, error) => {
      failure ??= error;
    });
    if (failure !== undefined) throw failure;
    for (const infection of infections) entered.splice(entered.indexOf(infection), 1);
  }

  /** Those that can be asked at once; who relies on another's handling of SIGTRAP comes after that one. */
  static groups(infections: readonly Infection[]): Infection[][] {
    const sharers = infections.filter(({ trapTaker }) => trapTaker !== undefined);
    const rest = infections.filter(({ trapTaker }) => trapTaker === undefined);
    return [rest, ...sharers.map((sharer) => [sharer])];
  }

  /**
   * Has the carriers of processes that were entered just now, one of their `groups`, run the table that `fill` makes, all at
   * the same time. It is their first: it begins with taking SIGTRAP. @throws KernelError
   */
  static askAll<T>(
    infections: readonly Infection[],
    fill: (table: Table) => T,
  ): { answers: SharedTable; asked: T } {
    const answers = new SharedTable(
      infections.map((infection) => {
        const { pid, area } = infection;
        const region = area.bulkRegion(pid);
        return { thread: infection.#carrier, region, homes: [area.headRegion(pid), region] };
      }),
    );
    const [first] = infections;
    if (first !== undefined) first.#takeSigtrap(answers.table);
    const asked = fill(answers.table);
    answers.start();
    return { answers, asked };
  }

  /**
   * Runs what has been added to `table`, as its `run` does; but a call that sleeps for longer than so many milliseconds ends
   * with EINTR. @throws KernelError, TaskGoneError
   */
  runWithin(patience: number): void {
    this.table.start();
    this.#carrier.task.limitCall(patience);
    this.table.finish();
  }

  static #lay(
    { carrier: { task, saved }, threads, maps, vm }: EnterRequest,
    inSameMemory: Infection[],
    trapTaker: Infection | undefined,
  ): Infection {
    const { pid } = task;
    const gadgets = gadgetsOf(pid, maps);
    const taken = inSameMemory.map(({ area: { address, end } }) => ({ start: address, end }));
    const area = Area.place([...spansOf(maps), ...taken], threads.length, BULK.DUMP);
    const base = unusedStack(pid, Number(saved.registers.sp), wayOutSize(saved), maps, []);
    const wayOut = layWayOut(pid, saved, area, gadgets, base);
    return new Infection(pid, vm, area, gadgets, wayOut, task, saved, inSameMemory, trapTaker);
  }

  /** Whether it is the first one inside its memory, and so the one to save it. */
  get isFirst(): boolean {
    return this.inSameMemory[0] === this;
  }

  /** What stood in its memory where ways out lie now: bytes that a dump has to take for the process' own. */
  get covered(): { readonly address: number; readonly bytes: Uint8Array }[] {
    return this.inSameMemory.map(({ wayOut: { address, original } }) => ({ address, bytes: original }));
  }

  ownSigtrap(): Uint8Array {
    const { area } = this.trapTaker ?? this;
    return readMemory(this.pid, area.oldSigtrap, new Uint8Array(sigaction.size));
  }

  /** Our own mapping shows what it is for new ones. */
  locksNewMappings(locked: number): { readonly onFault: boolean } | undefined {
    const { address, size } = this.area;
    if (locked < size) return undefined;
    const ours = readSmaps(this.pid).find(({ start, end }) => start <= address && end > address);
    return ours?.flags.has("lo") === true ? { onFault: isLockedOnFault(ours.flags) } : undefined;
  }

  /** The carrier's state as found. */
  get saved(): Saved {
    return this.#carrier.saved;
  }

  enterThreads<T>(
    threads: readonly ThreadRequest[],
    fill: (table: Table) => T,
  ): { answers: Answers; asked: T } {
    const others = new OtherThreads(this.pid, this.area, threads);
    this.#threads.push(...others.members);
    const asked = fill(others.shared.table);
    others.lay();
    this.#writeCarrierHealTable();
    others.start();
    return { answers: others.shared, asked };
  }

  /**
   * Takes everything back, in all processes at once: each stands stopped exactly where it was found. `failed` is told of those
   * of which that cannot be said, and why: TaskGoneError, KernelError.
   */
  static leaveAll(
    infections: readonly Infection[],
    failed: (infection: Infection, error: unknown) => void,
  ): void {
    const lost = new Set<Infection>();
    /** Takes a step in each of them; gives those that are to take the next one: not those where it says false. */
    const each = (among: readonly Infection[], step: (infection: Infection) => unknown): Infection[] =>
      among.filter((infection) => {
        if (lost.has(infection)) return false;
        try {
          return step(infection) !== false;
        } catch (error) {
          lost.add(infection);
          infection.#died ||= hasVanished(error);
          failed(infection, error);
          return false;
        }
      });
    // Those who rely on another's handling of SIGTRAP first: that one does not wait for them any more.
    const outside = Infection.groups(infections)
      .reverse()
      .flatMap((group) => {
        const unmapping = each(group, (infection) => infection.#startLeaving());
        for (let rest = unmapping; rest.length > 0; )
          rest = each(rest, (infection) => infection.#throughStop());
        return each(unmapping, (infection) => infection.#carrier.task.awaitEventStop());
      });
    const cleared = new Set<Infection>();
    each(outside, (infection) => infection.#clearAwayTheDead(cleared));
    each(outside, (infection) => infection.#restoreCarrier());
  }

  /** Lets the carrier go its way out. False where it needs none. */
  #startLeaving(): boolean {
    const carrier = this.#carrier;
    this.#died ||= carrier.task.gone;
    if (this.#died) return false;
    if (!carrier.started) return this.#retreat();
    const inside = this.#threads.filter((thread) => thread.inside && !thread.task.gone);
    for (const thread of inside) thread.startLeaving();
    let count = inside.length + 1;
    for (const thread of inside) thread.leave(() => this.#setCount(--count));
    this.#threads.length = 0;
    carrier.settle();
    this.#sharers = 0;
    this.#writeCarrierHealTable();
    carrier.turnToHeal();
    carrier.task.resume(PTRACE.SYSCALL);
    return true;
  }

  /** Undoes an entering that got no further than the area. */
  #retreat(): boolean {
    this.#continueMapping();
    this.#awaitMapping();
    if (!this.#mapped) {
      this.#restoreCarrier();
      return false;
    }
    const { task } = this.#carrier;
    const { address, size } = this.area;
    setRegisters(task.tid, this.#callOutside(this.wayOut.returning, NR.munmap, address, size));
    task.resume(PTRACE.SYSCALL);
    return true;
  }

  /** Which of its calls the carrier makes on its way out: at the entry of each it stops, and at the exit. */
  #wayOut: "between" | "calling" | "unmapping" = "between";

  /** Waits for the next stop of the carrier on its way out. False at the end of munmap(2): it is to be stopped there. */
  #throughStop(): boolean {
    const { task } = this.#carrier;
    task.awaitSyscallStop();
    if (this.#wayOut === "unmapping") {
      task.startEventStop();
      return false;
    }
    if (this.#wayOut === "calling") this.#wayOut = "between";
    else this.#wayOut = getRegister(task.tid, "orig_ax") === BigInt(NR.munmap) ? "unmapping" : "calling";
    task.resume(PTRACE.SYSCALL);
    return true;
  }

  #restoreCarrier(): void {
    this.#carrier.putBack();
    writeMemory(this.pid, this.wayOut.address, this.wayOut.original);
  }

  /** Removes what those have left that died inside this memory. It is out of its own area, and not yet put back. */
  #clearAwayTheDead(cleared: Set<Infection>): void {
    for (const other of this.inSameMemory) {
      const { area, wayOut } = other;
      if (!other.#died || cleared.has(other)) continue;
      if (this.trapTaker === other) this.#makeCall(NR.rt_sigaction, SIG.TRAP, area.oldSigtrap, 0, 8);
      this.#makeCall(NR.munmap, area.address, area.size);
      writeMemory(this.pid, wayOut.address, wayOut.original);
      cleared.add(other);
    }
  }

  /** Makes a call from the process' own code, from where it goes back by itself if we die. */
  #makeCall(nr: number, ...args: number[]): void {
    const { task } = this.#carrier;
    setRegisters(task.tid, this.#callOutside(this.wayOut.returning, nr, ...args));
    for (let stop = 0; stop < 2; stop++) {
      task.resume(PTRACE.SYSCALL);
      task.awaitSyscallStop();
    }
    task.eventStop();
  }

  /** Registers that make a call from the process' own code and return into a frame of the way out. */
  #callOutside(stack: number, nr: number, ...args: number[]): Uint8Array {
    const { bytes, registers } = this.#carrier.saved;
    const made = callRegisters(bytes, this.gadgets.callAndReturn, nr, args);
    userRegs.encodeInto(made, 0, { sp: BigInt(stack), flags: registers.flags & ~FLAGS_TF_DF });
    return made;
  }

  /** Where the call that maps the area stands: not begun, at its entry, in it, done. */
  #mapping: "none" | "entering" | "calling" | "done" = "none";

  #startMapping(): void {
    const { task } = this.#carrier;
    const { address, size } = this.area;
    const prot = PROT.READ | PROT.WRITE | PROT.EXEC;
    const flags = MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE;
    setRegisters(
      task.tid,
      this.#callOutside(this.wayOut.unmapping, NR.mmap, address, size, prot, flags, -1, 0),
    );
    // Not all signals: a table may be the next thing it runs, and SIGTRAP would kill it if it were blocked.
    setSignalMask(task.tid, MASK_WHILE_RUNNING);
    this.#carrier.inside = true;
    this.#mapping = "entering";
    task.resume(PTRACE.SYSCALL);
  }

  #continueMapping(): void {
    if (this.#mapping !== "entering") return;
    const { task } = this.#carrier;
    task.awaitSyscallStop();
    this.#mapping = "calling";
    task.resume(PTRACE.SYSCALL);
  }

  /** Waits for the end of the call; gives its result, 0 where none was made. */
  #awaitMapping(): number {
    if (this.#mapping !== "calling") return 0;
    const { task } = this.#carrier;
    task.awaitSyscallStop();
    this.#mapping = "done";
    const result = Number(BigInt.asIntN(64, getRegister(task.tid, "ax")));
    if (result < 0) task.eventStop();
    this.#mapped = result > 0;
    return result;
  }

  /** Writes what a table needs to run, and to be left. */
  #prepare(): void {
    const { area, pid } = this;
    const { head } = area;
    const view = viewOf(head);
    const within = (address: number) => address - area.address;
    view.setBigUint64(within(area.count), 1n, true);
    view.setBigUint64(within(area.patience), PATIENCE, true);
    timespec.encodeInto(head, within(area.pause), { sec: 0n, nsec: POLL_NSEC });
    timespec.encodeInto(head, within(area.pause) + timespec.size, { sec: 0n, nsec: LEAVE_NSEC });
    sigaction.encodeInto(head, within(area.ourSigtrap), {
      handler: area.heal,
      flags: BigInt(SA.RESTORER | SA.NODEFER),
      restorer: area.sigreturn,
      mask: MASK_ALL,
    });
    writeMemory(pid, area.address, head);
    this.#writeCarrierHealTable();
  }

  #takeSigtrap(table: Table): void {
    const { area, trapTaker } = this;
    if (trapTaker !== undefined) table.operation(OP.INCREMENT, trapTaker.area.count);
    else
      table.must(
        "SIGTRAP",
        NR.rt_sigaction,
        SIG.TRAP,
        new Pointer(area.ourSigtrap),
        new Pointer(area.oldSigtrap),
        8,
      );
  }

  #setCount(count: number): void {
    const words = BigUint64Array.of(BigInt(count));
    writeMemory(this.pid, this.area.count, new Uint8Array(words.buffer));
  }

  #writeCarrierHealTable(): void {
    const { area, trapTaker } = this;
    const alone = this.#threads.length === 0 && this.#sharers === 0;
    const entries: RawEntry[] = [
      ...(alone
        ? []
        : [
            { op: NR.nanosleep, args: [area.pause] },
            { op: OP.REPEAT, args: [area.count, 1, area.patience] },
            { op: NR.nanosleep, args: [area.pause + timespec.size] },
          ]),
      ...moveStack(new Pointer(area.slot(0)), new Pointer(this.wayOut.back)),
      trapTaker === undefined
        ? { op: NR.rt_sigaction, args: [SIG.TRAP, area.oldSigtrap, 0, 8] }
        : { op: OP.DECREMENT, args: [trapTaker.area.count] },
      {
        op: OP.LEAVE,
        args: [this.wayOut.returning, this.gadgets.callAndReturn, NR.munmap, area.address, area.size],
      },
    ];
    const at = area.healTable(0) - area.slot(0);
    const slot = new Uint8Array(at + entries.length * ENTRY_SIZE);
    viewOf(slot).setBigUint64(SLOT_HEAL, BigInt(area.healTable(0)), true);
    encodeTable(slot, at, entries);
    writeMemory(this.pid, area.slot(0), slot);
  }
}
