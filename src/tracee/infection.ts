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
 * puts the handling of SIGTRAP back, closes what we opened, and goes out through the chain.
 *
 * Getting out, while we live: the same calls, but watched, and then the registers as they were are set by ptrace rather
 * than by rt_sigreturn, because that would forget a restart block (restart_syscall(2)).
 */
import { ERESTART, ERRNO, KernelError } from "../linux/errno.ts";
import { MAP, PROT, readMemory, writeMemory } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { type Mapping, readMaps } from "../linux/proc.ts";
import {
  getExtendedState,
  getRegisters,
  getSignalMask,
  PTRACE,
  type Registers,
  setRegisters,
  setSignalMask,
} from "../linux/ptrace.ts";
import { type RseqState, readRseq } from "../linux/rseq.ts";
import { buildSigframe, MASK_WHILE_RUNNING, SA, SIG, sigaction, sigframeFpstate } from "../linux/signal.ts";
import { s64, struct, viewOf } from "../linux/struct.ts";
import { checkResult } from "../linux/syscall.ts";
import { hostMachine } from "../machine/host.ts";
import { ENTRY_ARGS, ENTRY_SIZE, OP, SLOT_HEAL } from "../machine/runner.ts";
import { Area, findAreaAddress } from "./area.ts";
import { findGadgets, type Gadgets } from "./gadgets.ts";
import { Table, type TableExecutor } from "./table.ts";
import type { Task } from "./task.ts";

const timespec = struct({ sec: s64, nsec: s64 });
const MASK_ALL = 0xffff_ffff_ffff_ffffn;
const NO_SYSCALL = 0xffff_ffff_ffff_ffffn;
/** Between looks at the count of threads inside; and for the last ones, already counted out, to have left our code. */
const POLL_NSEC = 1_000_000n;
const LEAVE_NSEC = 100_000_000n;
/** Looks at the count, one each POLL_NSEC: if we died while letting threads in, it may never be reached. */
const PATIENCE = 2000n;
const RED_ZONE = 128;
/** Bytes of the instruction that an interrupted call is made again with. */
const SYSCALL_LENGTH = 2n;
/** TF would trap after the first instruction, DF would make string code run backwards. */
const FLAGS_TF_DF = 0x500n;

/** State of a thread as it was found: what it must get back. */
export interface Saved {
  /** General registers; a thread caught in a critical section of rseq(2) is at its abort handler already. */
  readonly registers: Registers;
  readonly mask: bigint;
  /** The XSAVE image in the standard format. */
  readonly xstate: Uint8Array;
  readonly rseq: RseqState["configuration"];
}

/**
 * Registers that make an interrupted system call again, for whatever bypasses the kernel's own restart: a frame, an
 * image. The kernel has left in memory what remains of timeouts that it was given room for; a sleep goes on with that
 * rest. Calls with a relative timeout and no such room (poll(2), FUTEX_WAIT, usleep(3)) begin it anew.
 */
export function restartedRegisters(registers: Registers): Registers {
  if (BigInt.asIntN(64, registers.orig_ax) < 0n) return registers;
  const again = { ...registers, ax: registers.orig_ax, ip: registers.ip - SYSCALL_LENGTH };
  switch (-Number(BigInt.asIntN(64, registers.ax))) {
    case ERESTART.SYS:
    case ERESTART.NOINTR:
    case ERESTART.NOHAND:
      return again;
    case ERESTART.RESTARTBLOCK:
      // nanosleep(request, rest) and clock_nanosleep(clock, flags, request, rest)
      if (registers.orig_ax === BigInt(NR.nanosleep) && registers.si !== 0n)
        return { ...again, di: registers.si };
      if (registers.orig_ax === BigInt(NR.clock_nanosleep) && registers.r10 !== 0n) {
        return { ...again, dx: registers.r10 };
      }
      return again;
    default:
      return registers;
  }
}

/** Takes down the state of a stopped thread. @throws KernelError */
export function saveThread(task: Task): Saved {
  const registers = getRegisters(task.tid);
  const rseq = readRseq(task.pid, task.tid, registers.ip);
  return {
    registers: rseq.abortIp === undefined ? registers : { ...registers, ip: rseq.abortIp },
    mask: getSignalMask(task.tid),
    xstate: getExtendedState(task.tid),
    rseq: rseq.configuration,
  };
}

/** A thread inside the area: runs tables on its slot's stack. */
export class InsideThread implements TableExecutor {
  /** Whether its registers have been touched. */
  inside = false;

  constructor(
    readonly task: Task,
    readonly saved: Saved,
    private readonly area: Area,
    private readonly index: number,
  ) {}

  startTable(address: number): void {
    // Registers first: whatever happens next, the thread is on the way that leads back.
    setRegisters(this.task.tid, this.registersAt(this.area.run, address));
    if (!this.inside) setSignalMask(this.task.tid, MASK_WHILE_RUNNING);
    this.inside = true;
    this.task.resume();
  }

  awaitTable(): void {
    this.task.awaitBreakpoint();
  }

  registersAt(ip: number, table: number): Registers {
    return {
      ...this.saved.registers,
      ip: BigInt(ip),
      bx: BigInt(table),
      sp: BigInt(this.area.stackTop(this.index)),
      orig_ax: NO_SYSCALL,
      flags: this.saved.registers.flags & ~FLAGS_TF_DF,
    };
  }
}

interface Chain {
  /** Stack pointer with which a return unmaps the area and goes back. */
  readonly entry: number;
  /** Stack pointer with which the return from munmap(2) goes back. */
  readonly afterUnmap: number;
  readonly address: number;
  readonly original: Uint8Array;
}

export class Infection {
  readonly #threads: InsideThread[] = [];
  readonly #carrier: InsideThread;
  /** Tables of the carrier: process-wide work. */
  readonly table: Table;
  #descriptors: number[] = [];

  private constructor(
    readonly pid: number,
    readonly area: Area,
    private readonly gadgets: Gadgets,
    private readonly chain: Chain,
    carrier: Task,
    saved: Saved,
  ) {
    this.#carrier = new InsideThread(carrier, saved, area, 0);
    this.table = new Table(this.#carrier, area.bulkRegion(pid));
  }

  /**
   * Enters the process of `carrier`, a task in a PTRACE_EVENT_STOP all of whose fellow threads are stopped too.
   * `slots` is the number of threads that will enter. On failure the process is as it was.
   * @throws KernelError, RangeError
   */
  static enter(carrier: Task, slots: number, maps: readonly Mapping[] = readMaps(carrier.pid)): Infection {
    const { pid } = carrier;
    const gadgets = findGadgets(pid, maps);
    if (gadgets === undefined) {
      throw new KernelError(
        "entering",
        `process ${pid}: no system call instruction in its code`,
        ERRNO.ENOEXEC,
      );
    }
    const saved = saveThread(carrier);
    const area = new Area(findAreaAddress(maps, slots), slots);
    const chain = layChain(pid, saved, area, gadgets, maps);
    const self = new Infection(pid, area, gadgets, chain, carrier, saved);
    try {
      self.#mapArea();
    } catch (error) {
      if (!carrier.gone) self.#leaveByRegisters(carrier, saved);
      writeMemory(pid, chain.address, chain.original);
      throw error;
    }
    self.#prepare();
    return self;
  }

  /** The carrier's state as found. */
  get saved(): Saved {
    return this.#carrier.saved;
  }

  /**
   * Lets the other threads in; they stand in a PTRACE_EVENT_STOP, `saved` is their state. Gives a table for each, of a
   * few KiB. A thread is inside from the first start of its table.
   */
  enterThreads(threads: readonly { task: Task; saved: Saved }[]): Table[] {
    const { area, pid } = this;
    const tables = threads.map(({ task, saved }, i) => {
      const index = this.#threads.length + 1;
      const inside = new InsideThread(task, saved, area, index);
      this.#threads.push(inside);
      const frame = buildSigframe(area.frame(index), restartedRegisters(saved.registers), saved.mask, {
        xstate: saved.xstate,
      });
      const slot = new Uint8Array(area.frame(i) - area.slot(i) + frame.length);
      slot.set(frame, area.frame(index) - area.slot(index));
      encodeTable(slot, area.healTable(index) - area.slot(index), [
        { op: OP.DECREMENT, args: [area.count] },
        { op: OP.LEAVE, args: [area.frame(index), area.sigreturn, NR.rt_sigreturn] },
      ]);
      viewOf(slot).setBigUint64(SLOT_HEAL, BigInt(area.healTable(index)), true);
      writeMemory(pid, area.slot(index), slot);
      return new Table(inside, area.threadRegion(pid, index));
    });
    this.#setCount(1 + this.#threads.length);
    this.#writeCarrierHealTable();
    return tables;
  }

  /** Descriptors opened inside on our behalf; closed on the way out, also when we are dead by then. */
  adoptDescriptors(descriptors: readonly number[]): void {
    this.#descriptors = [...this.#descriptors, ...descriptors];
    this.#writeCarrierHealTable();
  }

  /** Takes everything back: the process stands stopped exactly where it was found. */
  leave(): void {
    for (const thread of this.#threads) {
      if (thread.task.gone || !thread.inside) continue;
      thread.task.park();
      this.#leaveByRegisters(thread.task, thread.saved);
    }
    this.#threads.length = 0;
    this.#writeCarrierHealTable();
    const { task, saved } = this.#carrier;
    setRegisters(task.tid, this.#carrier.registersAt(this.area.run, this.area.healTable(0)));
    // Each call of the heal table stops at its entry and its exit; the last one is munmap(2).
    for (;;) {
      task.resume(PTRACE.SYSCALL);
      task.awaitSyscallStop();
      const isUnmap = getRegisters(task.tid).orig_ax === BigInt(NR.munmap);
      task.resume(PTRACE.SYSCALL);
      task.awaitSyscallStop();
      if (isUnmap) break;
    }
    task.park();
    this.#leaveByRegisters(task, saved);
    writeMemory(this.pid, this.chain.address, this.chain.original);
  }

  #leaveByRegisters(task: Task, saved: Saved): void {
    setSignalMask(task.tid, saved.mask);
    setRegisters(task.tid, saved.registers);
  }

  #mapArea(): void {
    const { task, saved } = this.#carrier;
    setRegisters(task.tid, {
      ...saved.registers,
      ip: BigInt(this.gadgets.callAndReturn),
      sp: BigInt(this.chain.entry),
      orig_ax: NO_SYSCALL,
      flags: saved.registers.flags & ~FLAGS_TF_DF,
      ax: BigInt(NR.mmap),
      di: BigInt(this.area.address),
      si: BigInt(this.area.size),
      dx: BigInt(PROT.READ | PROT.WRITE | PROT.EXEC),
      r10: BigInt(MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE),
      r8: NO_SYSCALL,
      r9: 0n,
    });
    setSignalMask(task.tid, MASK_ALL);
    task.resume(PTRACE.SYSCALL);
    task.awaitSyscallStop();
    task.resume(PTRACE.SYSCALL);
    task.awaitSyscallStop();
    const result = Number(BigInt.asIntN(64, getRegisters(task.tid).ax));
    try {
      checkResult(result, NR.mmap, `of our area in process ${this.pid}`);
    } catch (error) {
      task.park();
      throw error;
    }
  }

  #prepare(): void {
    const { area, pid } = this;
    writeMemory(pid, area.address, hostMachine.runner.code);
    this.#setCount(1);
    const ours = sigaction.encode({
      handler: area.heal,
      flags: BigInt(SA.RESTORER | SA.NODEFER),
      restorer: area.sigreturn,
      mask: MASK_ALL,
    });
    writeMemory(pid, area.ourSigtrap, ours);
    const pause = new Uint8Array(2 * timespec.size);
    timespec.encodeInto(pause, 0, { sec: 0n, nsec: POLL_NSEC });
    timespec.encodeInto(pause, timespec.size, { sec: 0n, nsec: LEAVE_NSEC });
    writeMemory(pid, area.pause, pause);
    writeMemory(pid, area.patience, new Uint8Array(BigUint64Array.of(PATIENCE).buffer));
    this.#writeCarrierHealTable();
    this.table.must("SIGTRAP", NR.rt_sigaction, SIG.TRAP, area.ourSigtrap, area.oldSigtrap, 8);
    this.table.run();
  }

  #setCount(count: number): void {
    const words = BigUint64Array.of(BigInt(count));
    writeMemory(this.pid, this.area.count, new Uint8Array(words.buffer));
  }

  #writeCarrierHealTable(): void {
    const { area } = this;
    const alone = this.#threads.length === 0;
    const entries: HealEntry[] = [
      ...(alone
        ? []
        : [
            { op: NR.nanosleep, args: [area.pause] },
            { op: OP.REPEAT, args: [area.count, 1, area.patience] },
            { op: NR.nanosleep, args: [area.pause + timespec.size] },
          ]),
      ...this.#descriptors.map((fd) => ({ op: NR.close, args: [fd] })),
      { op: NR.rt_sigaction, args: [SIG.TRAP, area.oldSigtrap, 0, 8] },
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

interface HealEntry {
  readonly op: number;
  readonly args: readonly number[];
}

function encodeTable(buffer: Uint8Array, at: number, entries: readonly HealEntry[]): void {
  const view = viewOf(buffer);
  entries.forEach(({ op, args }, i) => {
    view.setUint32(at + i * ENTRY_SIZE, op, true);
    args.forEach((arg, k) => {
      view.setBigInt64(at + i * ENTRY_SIZE + ENTRY_ARGS + k * 8, BigInt(arg), true);
    });
  });
}

/** Lays the way out into unused stack: [return to sigreturn, frame: munmap] [return to sigreturn, frame: as it was]. */
function layChain(pid: number, saved: Saved, area: Area, gadgets: Gadgets, maps: readonly Mapping[]): Chain {
  const { xstate } = saved;
  const room = 0x400 + 0x400 + xstate.length + 0x200;
  const base = chainBase(Number(saved.registers.sp), room, maps);
  const unmapFrameAt = base + 64;
  const backFrameAt = base + 64 + 0x400;
  const back = buildSigframe(backFrameAt, restartedRegisters(saved.registers), saved.mask, { xstate });
  const unmap = buildSigframe(
    unmapFrameAt,
    {
      ...saved.registers,
      ip: BigInt(gadgets.callAndReturn),
      sp: BigInt(backFrameAt - 8),
      ax: BigInt(NR.munmap),
      di: BigInt(area.address),
      si: BigInt(area.size),
      flags: saved.registers.flags & ~FLAGS_TF_DF,
    },
    saved.mask,
    { fpstate: sigframeFpstate(backFrameAt) },
  );
  const image = new Uint8Array(backFrameAt + back.length - base);
  const view = viewOf(image);
  view.setBigUint64(unmapFrameAt - 8 - base, BigInt(gadgets.sigreturn), true);
  view.setBigUint64(backFrameAt - 8 - base, BigInt(gadgets.sigreturn), true);
  image.set(unmap, unmapFrameAt - base);
  image.set(back, backFrameAt - base);
  const original = readMemory(pid, base, new Uint8Array(image.length));
  writeMemory(pid, base, image);
  return { entry: unmapFrameAt - 8, afterUnmap: backFrameAt - 8, address: base, original };
}

/**
 * The low end of the main stack, as far from any live frame as there is; or, where that is not to be had, where a
 * signal would put its frame.
 */
function chainBase(sp: number, room: number, maps: readonly Mapping[]): number {
  const stack = maps.find((m) => m.path === "[stack]" && m.write && m.read);
  if (stack !== undefined && stack.end - stack.start >= 4 * room) {
    const inStack = sp >= stack.start && sp < stack.end;
    if (!inStack || sp - stack.start > 2 * room) return stack.start;
  }
  const below = sp - RED_ZONE - room;
  return below - (below % 64);
}
