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
 * others. One that shares signal handlers too is a *guest*: the handling of SIGTRAP is taken once, by its keeper, which counts
 * the guest among those inside and waits for it as for a thread of its own.
 *
 * Getting out, while we live: the same calls, but watched, and then the registers as they were are set by ptrace rather
 * than by rt_sigreturn, because that would forget a restart block (restart_syscall(2)).
 */

import { stage } from "../../faults.ts";
import { ERRNO, isErrno, KernelError } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { O, read } from "../../linux/io.ts";
import { isZero, MAP, PROT, readMemory, writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import type { Mapping } from "../../linux/proc.ts";
import {
  getRegister,
  PTRACE,
  peekSiginfo,
  setRegisters,
  setSignalMask,
  userRegs,
} from "../../linux/ptrace.ts";
import { withPending } from "../../linux/ptrace-many.ts";
import {
  buildSigframe,
  MASK_WHILE_RUNNING,
  SA,
  SIG,
  sigaction,
  sigframeFpstate,
  siginfoHead,
} from "../../linux/signal.ts";
import { s64, struct, viewOf } from "../../linux/struct.ts";
import { checkResult } from "../../linux/syscall.ts";
import { ENTRY_SIZE, OP, SLOT_HEAL } from "../../machine/runner.ts";
import { callRegisters } from "../hold/many-tasks.ts";
import { type Task, TaskGoneError } from "../hold/task.ts";
import { Area, BULK } from "../table/area.ts";
import { encodeTable, moveStack, type RawEntry } from "../table/raw-table.ts";
import { Table } from "../table/table.ts";
import { findGadgets, type Gadgets } from "./gadgets.ts";
import { FLAGS_TF_DF, InsideThread, RED_ZONE } from "./inside-thread.ts";
import { OtherThreads } from "./other-threads.ts";
import { restartedBytes, type Saved } from "./saved.ts";
import { SharedTable } from "./shared-table.ts";

const timespec = struct({ sec: s64, nsec: s64 });
const MASK_ALL = 0xffff_ffff_ffff_ffffn;
/**
 * Before each look at the count of threads inside: for one that stands at its door to count itself in. And for the last
 * ones, already counted out, to have left our code.
 */
const POLL_NSEC = 250_000_000n;
const LEAVE_NSEC = 100_000_000n;
/** Looks at the count, one each POLL_NSEC. It is right, so this is never used up: a thread may write memory for long. */
const PATIENCE = 2400n;

/** A blocked SIGTRAP that waits would come as soon as we let a breakpoint through, and be lost. @throws KernelError */
function refusePendingTrap({ pid, tid }: Task, shared: boolean): void {
  for (const info of peekSiginfo(tid, shared)) {
    if (siginfoHead.decode(info).signo === SIG.TRAP)
      throw new KernelError("entering", `process ${pid}: SIGTRAP is pending for task ${tid}`, ERRNO.EBUSY);
  }
}

/** Whether an error says that a task that stood has been killed. */
function hasVanished(error: unknown): boolean {
  return error instanceof TaskGoneError || isErrno(error, ERRNO.ESRCH);
}

/** A process to be entered. */
export interface EnterRequest {
  readonly carrier: Task;
  readonly saved: Saved;
  readonly slots: number;
  readonly maps: readonly Mapping[];
  /** Numbers of its memory and of its signal handlers: those that are equal are one. */
  readonly vm: number;
  readonly sighand: number;
}

interface Chain {
  /** Stack pointer with which a return unmaps the area and goes back. */
  readonly entry: number;
  /** Stack pointer with which the return from munmap(2) goes back. */
  readonly afterUnmap: number;
  /** The frame that goes back. */
  readonly back: number;
  readonly address: number;
  readonly original: Uint8Array;
}

export class Infection {
  readonly #threads: InsideThread[] = [];
  readonly #carrier: InsideThread;
  /** Tables of the carrier: process-wide work, after what `askAll` asks. */
  readonly table: Table;
  #mapped = false;
  /** Guests that may still be inside. */
  #guests = 0;
  /** Whether it was killed while we were inside. */
  #died = false;

  private constructor(
    readonly pid: HostPid,
    readonly area: Area,
    private readonly gadgets: Gadgets,
    private readonly chain: Chain,
    carrier: Task,
    saved: Saved,
    /** All that are inside the same memory, this one among them. */
    private readonly mates: Infection[],
    /** Whose guest it is. */
    private readonly keeper: Infection | undefined,
  ) {
    mates.push(this);
    if (keeper !== undefined) keeper.#guests++;
    this.#carrier = new InsideThread(carrier, saved, area, 0);
    this.table = new Table(this.#carrier, area.bulkRegion(pid));
  }

  /**
   * Enters processes, all at once. Each is given by its `carrier`, a task in a PTRACE_EVENT_STOP all of whose fellow
   * threads are stopped too, its state and its mappings; `slots` is the number of threads that will enter. `entered` is
   * told of each process that is to be left again, also when another one fails.
   * @throws KernelError, RangeError
   */
  static enterAll(requests: readonly EnterRequest[], entered: (infection: Infection) => void): Infection[] {
    const memories = new Map<number, Infection[]>();
    const keepers = new Map<number, Infection>();
    const all = requests.map((request) => {
      const { vm, sighand } = request;
      const mates = memories.get(vm) ?? [];
      const infection = Infection.#lay(request, mates, keepers.get(sighand));
      memories.set(vm, mates);
      if (infection.keeper === undefined) keepers.set(sighand, infection);
      entered(infection);
      stage("dump/laid");
      infection.#startMapping();
      return infection;
    });
    for (const infection of all) infection.#continueMapping();
    for (const infection of all) {
      infection.#finishMapping();
      stage("dump/mapped");
      infection.#prepare();
    }
    return all;
  }

  /** Those that can be asked at once, a guest after its keeper. */
  static groups(infections: readonly Infection[]): Infection[][] {
    const guests = infections.filter(({ keeper }) => keeper !== undefined);
    const rest = infections.filter(({ keeper }) => keeper === undefined);
    return [rest, ...guests.map((guest) => [guest])];
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
    { carrier, saved, slots, maps }: EnterRequest,
    mates: Infection[],
    keeper: Infection | undefined,
  ): Infection {
    const { pid } = carrier;
    const gadgets = findGadgets(pid, maps);
    if (gadgets === undefined) {
      throw new KernelError(
        "entering",
        `process ${pid}: no system call instruction in its code`,
        ERRNO.ENOEXEC,
      );
    }
    for (const shared of [false, true]) refusePendingTrap(carrier, shared);
    const taken = mates.map(({ area: { address, end } }) => ({ start: address, end }));
    const area = Area.place([...maps, ...taken], slots, BULK.DUMP);
    const chain = layChain(pid, saved, area, gadgets, maps);
    return new Infection(pid, area, gadgets, chain, carrier, saved, mates, keeper);
  }

  /** Whether it is the first one inside its memory, and so the one to save it. */
  get isFirst(): boolean {
    return this.mates[0] === this;
  }

  /** What stood in its memory where ways out lie now: bytes that a dump has to take for the process' own. */
  get covered(): { readonly address: number; readonly bytes: Uint8Array }[] {
    return this.mates.map(({ chain: { address, original } }) => ({ address, bytes: original }));
  }

  /** Where, inside, the program's own handling of SIGTRAP stands meanwhile, as rt_sigaction(2) gave it. */
  get oldSigtrap(): number {
    return (this.keeper ?? this).area.oldSigtrap;
  }

  /** The carrier's state as found. */
  get saved(): Saved {
    return this.#carrier.saved;
  }

  /**
   * Lets the other threads in, all at once, and has each run the table that `fill` makes, whose value comes back; they
   * stand in a PTRACE_EVENT_STOP. @throws KernelError
   */
  enterThreads<T>(
    threads: readonly { task: Task; saved: Saved }[],
    fill: (table: Table) => T,
  ): { answers: SharedTable; asked: T } {
    for (const task of withPending(threads.map((thread) => thread.task))) refusePendingTrap(task, false);
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
    // Guests first: their keepers do not wait for them any more.
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
    this.#guests = 0;
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
    setRegisters(task.tid, this.#callOutside(this.chain.afterUnmap, NR.munmap, address, size));
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
    writeMemory(this.pid, this.chain.address, this.chain.original);
  }

  /** Removes what those have left that died inside this memory. It is out of its own area, and not yet put back. */
  #clearAwayTheDead(cleared: Set<Infection>): void {
    for (const mate of this.mates) {
      const { area, chain } = mate;
      if (!mate.#died || cleared.has(mate)) continue;
      if (this.keeper === mate) this.#makeCall(NR.rt_sigaction, SIG.TRAP, area.oldSigtrap, 0, 8);
      this.#makeCall(NR.munmap, area.address, area.size);
      writeMemory(this.pid, chain.address, chain.original);
      cleared.add(mate);
    }
  }

  /** Makes a call from the process' own code, from where it goes back by itself if we die. */
  #makeCall(nr: number, ...args: number[]): void {
    const { task } = this.#carrier;
    setRegisters(task.tid, this.#callOutside(this.chain.afterUnmap, nr, ...args));
    for (let stop = 0; stop < 2; stop++) {
      task.resume(PTRACE.SYSCALL);
      task.awaitSyscallStop();
    }
    task.eventStop();
  }

  /** Registers that make a call from the process' own code and return into a frame of the chain. */
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
    setRegisters(task.tid, this.#callOutside(this.chain.entry, NR.mmap, address, size, prot, flags, -1, 0));
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

  #finishMapping(): void {
    checkResult(this.#awaitMapping(), NR.mmap, `of our area in process ${this.pid}`);
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
    const { area, keeper } = this;
    if (keeper !== undefined) table.operation(OP.INCREMENT, keeper.area.count);
    else table.must("SIGTRAP", NR.rt_sigaction, SIG.TRAP, area.ourSigtrap, area.oldSigtrap, 8);
  }

  #setCount(count: number): void {
    const words = BigUint64Array.of(BigInt(count));
    writeMemory(this.pid, this.area.count, new Uint8Array(words.buffer));
  }

  #writeCarrierHealTable(): void {
    const { area, keeper } = this;
    const alone = this.#threads.length === 0 && this.#guests === 0;
    const entries: RawEntry[] = [
      ...(alone
        ? []
        : [
            { op: NR.nanosleep, args: [area.pause] },
            { op: OP.REPEAT, args: [area.count, 1, area.patience] },
            { op: NR.nanosleep, args: [area.pause + timespec.size] },
          ]),
      ...moveStack(area.slot(0), this.chain.back),
      keeper === undefined
        ? { op: NR.rt_sigaction, args: [SIG.TRAP, area.oldSigtrap, 0, 8] }
        : { op: OP.DECREMENT, args: [keeper.area.count] },
      {
        op: OP.LEAVE,
        args: [this.chain.afterUnmap, this.gadgets.callAndReturn, NR.munmap, area.address, area.size],
      },
    ];
    const at = area.healTable(0) - area.slot(0);
    const slot = new Uint8Array(at + entries.length * ENTRY_SIZE);
    viewOf(slot).setBigUint64(SLOT_HEAL, BigInt(area.healTable(0)), true);
    encodeTable(slot, at, entries);
    writeMemory(this.pid, area.slot(0), slot);
  }
}

/** Lays the way out into unused stack: [return to sigreturn, frame: munmap] [return to sigreturn, frame: as it was]. */
function layChain(pid: HostPid, saved: Saved, area: Area, gadgets: Gadgets, maps: readonly Mapping[]): Chain {
  const { xstate } = saved;
  const room = 0x400 + 0x400 + xstate.length + 0x200;
  const base = chainBase(pid, Number(saved.registers.sp), room, maps);
  const unmapFrameAt = base + 64;
  const backFrameAt = base + 64 + 0x400;
  const back = buildSigframe(backFrameAt, restartedBytes(saved), saved.mask, { xstate });
  const call = saved.bytes.slice();
  userRegs.encodeInto(call, 0, {
    ip: BigInt(gadgets.callAndReturn),
    sp: BigInt(backFrameAt - 8),
    ax: BigInt(NR.munmap),
    di: BigInt(area.address),
    si: BigInt(area.size),
    flags: saved.registers.flags & ~FLAGS_TF_DF,
  });
  const unmap = buildSigframe(unmapFrameAt, call, saved.mask, { fpstate: sigframeFpstate(backFrameAt) });
  const image = new Uint8Array(backFrameAt + back.length - base);
  const view = viewOf(image);
  view.setBigUint64(unmapFrameAt - 8 - base, BigInt(gadgets.sigreturn), true);
  view.setBigUint64(backFrameAt - 8 - base, BigInt(gadgets.sigreturn), true);
  image.set(unmap, unmapFrameAt - base);
  image.set(back, backFrameAt - base);
  const original = readMemory(pid, base, new Uint8Array(image.length));
  writeMemory(pid, base, image);
  return {
    entry: unmapFrameAt - 8,
    afterUnmap: backFrameAt - 8,
    back: backFrameAt,
    address: base,
    original,
  };
}

/** How far above the lowest page of the stack the chain may lie: handlers may have to run below it. */
const CHAIN_OFFSETS = [0x10000, 0x4000, 0];

/**
 * A place near the low end of the main stack that nobody has used yet, as far from any live frame as there is; or, where
 * that is not to be had, where a signal would put its frame. That nobody has used it is seen from its zeros: a thread
 * that runs on another stack just now has live frames on this one too.
 */
function chainBase(pid: HostPid, sp: number, room: number, maps: readonly Mapping[]): number {
  let stack: Mapping | undefined;
  for (const map of maps) if (map.path === "[stack]" && map.write && map.read) stack = map;
  if (stack !== undefined) {
    const top = sp >= stack.start && sp < stack.end ? sp - room : stack.end;
    const bytes = new Uint8Array(room);
    for (const offset of CHAIN_OFFSETS) {
      const base = stack.start + offset;
      if (base + room <= top && isZero(readMemory(pid, base, bytes))) return base;
    }
  }
  const below = sp - RED_ZONE - room;
  const base = below - (below % 64);
  if (stack !== undefined && sp >= stack.start && sp < stack.end && base < stack.start) growStack(pid, base);
  return base;
}

/** Has a stack grow down to an address, as a signal would: by an access that is not process_vm_readv(2)'s, which does not. */
function growStack(pid: HostPid, address: number): void {
  using memory = Fd.open(`/proc/${pid}/mem`, O.RDONLY);
  read(memory.number, new Uint8Array(1), address);
}
