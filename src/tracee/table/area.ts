/**
 * The private area that we keep inside a process while we work in it:
 *
 *     code, header | slot 0 | slot 1 ... | bulk | bulk of further parts ...
 *
 * A slot belongs to one thread: its heal pointer, its heal table and its door, its signal frame and a small table, all on one
 * page, since each page costs when it is written to and again when it is used; an extended state that its frame and those of
 * others point to, where theirs is the same; and its stack, which only a signal needs. Slots are aligned to their size, so that
 * the heal entry finds its slot from the stack pointer alone. The bulk region is for the tables of the thread that does the
 * process-wide work. Processes that are built in one and the same memory have a part each: bulk of their own.
 */

import { alignDown } from "../../linux/align.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { PAGE_SIZE, TASK_SIZE } from "../../linux/memory.ts";
import type { HostPid } from "../../linux/pid.ts";
import type { Mapping } from "../../linux/proc.ts";
import { sigframeSize } from "../../linux/signal.ts";
import { hostMachine } from "../../machine/host.ts";
import { SLOT_SIZE } from "../../machine/runner.ts";
import type { Region } from "./table.ts";

/** Of the bulk region: for reading a process little will do, for building one tables are long. */
export const BULK = { DUMP: 0x10000, RESTORE: 0x40000 } as const;
/** Behind the code, on the same page. */
const HEADER_AT = 0x800;
const HEADER_SIZE = 0x100;
const HEAL_ADDRESS_AT = 0x8;
const MASK_AT = 0x10;
const HEAL_TABLE_AT = 0x40;
const DOOR_AT = 0x200;
const FRAME_AT = 0x300;
const TABLE_ALIGN = 64;
const XSTATE_AT = PAGE_SIZE;
/** The kernel's MMAP_MIN_ADDR is 64 KiB; stack_guard_gap below a stack is 1 MiB. */
const LOWEST = 0x10_0000;
const MARGIN = 0x20_0000;

/** What lies in an address space. */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** It is a stack, below which the kernel wants a gap. */
  readonly growsDown?: boolean;
}

/** The mappings of a process as spans. */
export function spansOf(mappings: readonly Mapping[]): Span[] {
  return mappings.map(({ start, end, flags, path }) => {
    return { start, end, growsDown: flags.has("gd") || path === "[stack]" };
  });
}

/**
 * Finds a place of so many bytes that touches none of the spans, nor the gaps below stacks; its address is a multiple of `align`.
 * The highest one that is far from everything, or else the highest in the largest gap. Undefined where there is none.
 */
export function findGap(spans: Iterable<Span>, size: number, align: number): number | undefined {
  // By their ends: what comes later lies below that, where it begins above another one as well.
  const sorted = [...spans].filter(({ end }) => end <= TASK_SIZE).sort((a, b) => b.end - a.end);
  let ceiling = TASK_SIZE;
  let margin = 0;
  let largest = { size: 0, top: 0 };
  for (const { start, end, growsDown } of [...sorted, { start: 0, end: LOWEST, growsDown: false }]) {
    const gap = ceiling - end;
    if (gap >= size + 2 * MARGIN) return alignDown(ceiling - MARGIN - size, align);
    if (gap - margin > largest.size) largest = { size: gap - margin, top: ceiling - margin };
    if (start < ceiling) {
      ceiling = start;
      margin = growsDown === true ? MARGIN : 0;
    }
  }
  const address = alignDown(largest.top - size, align);
  return largest.size > 0 && address >= largest.top - largest.size ? address : undefined;
}

function sizeOf(slots: number, bulk: number, parts: number): number {
  return SLOT_SIZE + slots * SLOT_SIZE + bulk * parts;
}

export class Area {
  readonly size: number;
  private constructor(
    readonly address: number,
    readonly slots: number,
    private readonly bulk: number,
    private readonly parts: number,
    private readonly at = 0,
  ) {
    this.size = sizeOf(slots, bulk, parts);
  }

  /**
   * An area for `slots` threads, of so many parts, where it touches none of the given spans, nor the gaps below stacks. It is
   * that of the first part.
   * @throws KernelError ENOMEM when the address space has no such gap
   */
  static place(spans: Iterable<Span>, slots: number, bulk: number, parts = 1): Area {
    return Area.somewhere((size) => findGap(spans, size, SLOT_SIZE), slots, bulk, parts);
  }

  /** The same where `find` tells: an address for so many bytes, a multiple of SLOT_SIZE. @throws KernelError ENOMEM for none */
  static somewhere(find: (size: number) => number | undefined, slots: number, bulk: number, parts = 1): Area {
    const size = sizeOf(slots, bulk, parts);
    const address = find(size);
    if (address !== undefined) return new Area(address, slots, bulk, parts);
    throw new KernelError("mmap", `an area of ${size} bytes: the mappings leave no such gap`, ERRNO.ENOMEM);
  }

  /** Bytes that an area takes. */
  static sizeFor(slots: number, bulk: number, parts = 1): number {
    return sizeOf(slots, bulk, parts);
  }

  /** The same area for who has its part `at`, from 0 on. */
  part(at: number): Area {
    return at === this.at ? this : new Area(this.address, this.slots, this.bulk, this.parts, at);
  }

  get end(): number {
    return this.address + this.size;
  }
  get run(): number {
    return this.address + hostMachine.runner.run;
  }
  get heal(): number {
    return this.address + hostMachine.runner.heal;
  }
  get sigreturn(): number {
    return this.address + hostMachine.runner.sigreturn;
  }
  /** Code and header together, from the address of the area: what is to be written first. */
  get head(): Uint8Array {
    const head = new Uint8Array(HEADER_AT + HEADER_SIZE);
    head.set(hostMachine.runner.code);
    return head;
  }
  /** The number of threads that are inside. */
  get count(): number {
    return this.address + HEADER_AT;
  }
  /** The program's own handling of SIGTRAP, as rt_sigaction(2) gave it when ours took its place. */
  get oldSigtrap(): number {
    return this.address + HEADER_AT + 0x40;
  }
  /** The handling of SIGTRAP while we are inside. */
  get ourSigtrap(): number {
    return this.address + HEADER_AT + 0x80;
  }
  /** How often the carrier looks at the count at the most; see the heal table. */
  get patience(): number {
    return this.address + HEADER_AT + 0x20;
  }
  /** Two struct timespec: between looks at the count, and for the last threads to be out. */
  get pause(): number {
    return this.address + HEADER_AT + 0xc0;
  }
  slot(index: number): number {
    return this.address + SLOT_SIZE * (1 + index);
  }
  /** A word that holds the address of the heal table. */
  healAddress(index: number): number {
    return this.slot(index) + HEAL_ADDRESS_AT;
  }
  /** The signal mask of a thread inside. */
  mask(index: number): number {
    return this.slot(index) + MASK_AT;
  }
  /** The table by which a thread comes in. */
  door(index: number): number {
    return this.slot(index) + DOOR_AT;
  }
  healTable(index: number): number {
    return this.slot(index) + HEAL_TABLE_AT;
  }
  /** A struct ucontext, whose extended state is somewhere else. */
  frame(index: number): number {
    return this.slot(index) + FRAME_AT;
  }
  /** An XSAVE image, as a signal frame has it. */
  xstate(index: number): number {
    return this.slot(index) + XSTATE_AT;
  }
  stackTop(index: number): number {
    return this.slot(index) + SLOT_SIZE - 0x100;
  }
  /** Behind the frame, up to the end of the page. */
  threadRegion(pid: HostPid, index: number): Region {
    const at = FRAME_AT + Math.ceil(sigframeSize() / TABLE_ALIGN) * TABLE_ALIGN;
    return { pid, address: this.slot(index) + at, size: PAGE_SIZE - at };
  }
  /** Code, header and the carrier's slot. */
  headRegion(pid: HostPid): Region {
    return { pid, address: this.address, size: 2 * SLOT_SIZE };
  }
  bulkRegion(pid: HostPid): Region {
    return { pid, address: this.slot(this.slots) + this.at * this.bulk, size: this.bulk };
  }
}
