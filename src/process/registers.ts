/** General registers and extended state of a thread: core_entry.thread_info of x86-64. */

import { Repeated } from "../images/repeated.ts";
import {
  UserX86FpregsEntry as Fpregs,
  type UserX86ComponentEntry,
  type UserX86FpregsEntry,
  type UserX86RegsEntry,
  type UserX86XsaveEntry,
} from "../images/schema/generated/x86.ts";
import { keepBytes } from "../images/wire.ts";
import { XFEATURE, xsaveComponent, xsaveHead, xsaveSize } from "../linux/cpuid.ts";
import { ERESTART } from "../linux/errno.ts";
import { type Registers, userRegs } from "../linux/ptrace.ts";
import { u64, viewOf } from "../linux/struct.ts";
import { OP } from "../machine/runner.ts";
import { restartedRegisters, type Saved, SYSCALL_LENGTH } from "../tracee/enter/saved.ts";
import type { Calls } from "../tracee/table/calls.ts";
import { ImageValueError, UnsupportedError } from "./errors.ts";

const NATIVE = 1;
const NO_CALL = BigInt.asUintN(64, -1n);

/** cs of 64-bit user code; a 32-bit task has another one. */
const USER_CS_64 = 0x33n;

/** Whether a thread runs 32-bit code (CS tells, as the kernel's own user_64bit_mode() reads it). */
export function isCompat(registers: Registers): boolean {
  return registers.cs !== USER_CS_64;
}

/** The registers as the thread is to be continued with: an interrupted system call is made again. */
export function dumpRegisters(saved: Saved): UserX86RegsEntry {
  return { ...restartedRegisters(saved), mode: NATIVE };
}

/**
 * Which restart the kernel would have chosen for the call that a thread was interrupted in, as a signal's handler may end
 * it; undefined where there is none, or it is made again in any case. What has a restart block (sleeps, poll(2)) ends by any handler.
 */
export function dumpInterrupted({ ax, orig_ax }: Registers): number | undefined {
  if (BigInt.asIntN(64, orig_ax) < 0n) return undefined;
  switch (-Number(BigInt.asIntN(64, ax))) {
    case ERESTART.SYS:
      return ERESTART.SYS;
    case ERESTART.NOHAND:
    case ERESTART.RESTARTBLOCK:
      return ERESTART.NOHAND;
    default:
      return undefined;
  }
}

/**
 * As struct user_regs_struct. A thread that was interrupted in a call is still in it: the kernel makes it again, or, where a
 * signal's handler is to run first, has it fail with EINTR.
 *
 * @throws ImageValueError
 */
export function restoreRegisters(entry: UserX86RegsEntry, interrupted: number | undefined): Uint8Array {
  // Else no system call is being returned from: the kernel must not look for one to restart.
  if (interrupted === undefined) return userRegs.encode({ ...entry, orig_ax: NO_CALL });
  if (interrupted !== ERESTART.SYS && interrupted !== ERESTART.NOHAND)
    throw new ImageValueError(`a call interrupted by ${interrupted}`);
  return userRegs.encode({
    ...entry,
    orig_ax: entry.ax,
    ax: BigInt.asUintN(64, BigInt(-interrupted)),
    ip: BigInt.asUintN(64, entry.ip + SYSCALL_LENGTH),
  });
}

interface Component {
  readonly feature: number;
  readonly name:
    | "ymmh_space"
    | "bndreg_state"
    | "bndcsr_state"
    | "opmask_reg"
    | "zmm_upper"
    | "hi16_zmm"
    | "pkru";
  readonly words: 4 | 8;
  /** Number of values in the image's array. */
  readonly length: number;
}

const COMPONENTS: readonly Component[] = [
  { feature: XFEATURE.YMM, name: "ymmh_space", words: 4, length: 64 },
  { feature: XFEATURE.BNDREGS, name: "bndreg_state", words: 8, length: 8 },
  { feature: XFEATURE.BNDCSR, name: "bndcsr_state", words: 8, length: 8 },
  { feature: XFEATURE.OPMASK, name: "opmask_reg", words: 8, length: 8 },
  { feature: XFEATURE.ZMM_HI256, name: "zmm_upper", words: 8, length: 64 },
  { feature: XFEATURE.HI16_ZMM, name: "hi16_zmm", words: 8, length: 128 },
  { feature: XFEATURE.PKRU, name: "pkru", words: 4, length: 2 },
];

/** Those that images of CRIU have a place for. */
const NAMED = COMPONENTS.reduce((mask, { feature }) => mask | (1n << BigInt(feature)), 3n);
/** State components have numbers up to this one. */
const LAST_FEATURE = 62;

const states = new Repeated<UserX86FpregsEntry>((entry) => keepBytes(Fpregs, entry));

/** The image's entry of an XSAVE image in the standard format, as ptrace gives it; not to be changed. */
export function dumpExtendedState(state: Uint8Array): UserX86FpregsEntry {
  return states.of(state, () => entryOf(state));
}

function entryOf(state: Uint8Array): UserX86FpregsEntry {
  const head = xsaveHead.decode(state);
  const view = viewOf(state);
  const xsave: UserX86XsaveEntry = {
    xstate_bv: head.xstate_bv & NAMED,
    ymmh_space: [],
    bndreg_state: [],
    bndcsr_state: [],
    opmask_reg: [],
    zmm_upper: [],
    hi16_zmm: [],
    pkru: [],
    others: othersOf(state, head.xstate_bv & ~NAMED),
  };
  for (const { feature, name, words, length } of COMPONENTS) {
    const at = xsaveComponent(feature);
    if (at === undefined || at.offset + words * length > state.length) continue;
    if (words === 4) {
      const values = xsave[name] as number[];
      for (let i = 0; i < length; i++) values.push(view.getUint32(at.offset + i * 4, true));
    } else {
      const values = xsave[name] as bigint[];
      for (let i = 0; i < length; i++) values.push(view.getBigUint64(at.offset + i * 8, true));
    }
  }
  return {
    cwd: head.cwd,
    swd: head.swd,
    twd: head.twd,
    fop: head.fop,
    rip: head.rip,
    rdp: head.rdp,
    mxcsr: head.mxcsr,
    mxcsr_mask: head.mxcsr_mask,
    st_space: head.st_space,
    xmm_space: head.xmm_space,
    padding: [],
    xsave,
  };
}

/** The components of which the bits are set. */
function othersOf(state: Uint8Array, features: bigint): UserX86ComponentEntry[] {
  const others: UserX86ComponentEntry[] = [];
  for (let feature = 0; feature <= LAST_FEATURE; feature++) {
    const at = ((features >> BigInt(feature)) & 1n) === 1n ? xsaveComponent(feature) : undefined;
    if (at !== undefined) others.push({ feature, content: state.slice(at.offset, at.offset + at.size) });
  }
  return others;
}

/** Threads that wait mostly have the same state as others, which is one object then (images/wire.ts). */
const made = new WeakMap<UserX86FpregsEntry, Uint8Array>();

/** An XSAVE image of this CPU's layout for PTRACE_SETREGSET. @throws UnsupportedError for state the CPU lacks */
export function restoreExtendedState(entry: UserX86FpregsEntry): Uint8Array {
  let state = made.get(entry);
  if (state === undefined) {
    state = extendedState(entry);
    made.set(entry, state);
  }
  return state;
}

function extendedState(entry: UserX86FpregsEntry): Uint8Array {
  const state = new Uint8Array(xsaveSize());
  const { xsave } = entry;
  const legacy = (1n << BigInt(XFEATURE.X87)) | (1n << BigInt(XFEATURE.SSE));
  xsaveHead.encodeInto(state, 0, {
    cwd: entry.cwd,
    swd: entry.swd,
    twd: entry.twd,
    fop: entry.fop,
    rip: entry.rip,
    rdp: entry.rdp,
    mxcsr: entry.mxcsr,
    st_space: entry.st_space,
    xmm_space: entry.xmm_space,
    // Old images have the legacy region only; and it is always given in full, whatever the CPU had in its init state.
    xstate_bv: (xsave?.xstate_bv ?? 0n) | legacy,
  });
  if (xsave === undefined) return state;
  const view = viewOf(state);
  for (const { feature, name, words } of COMPONENTS) {
    const values = xsave[name];
    const present = ((xsave.xstate_bv >> BigInt(feature)) & 1n) === 1n;
    const at = xsaveComponent(feature);
    if (at === undefined) {
      if (present) throw new UnsupportedError(`the CPU has no ${name}, which the image carries`);
      continue;
    }
    values.slice(0, at.size / words).forEach((value, i) => {
      if (words === 4) view.setUint32(at.offset + i * 4, Number(value), true);
      else view.setBigUint64(at.offset + i * 8, BigInt(value), true);
    });
  }
  let bits = (xsave.xstate_bv & NAMED) | legacy;
  for (const { feature, content } of xsave.others) {
    const at = xsaveComponent(feature);
    if (at === undefined || at.size !== content.length)
      throw new UnsupportedError(`the CPU has no such state component ${feature} as the image carries`);
    state.set(content, at.offset);
    bits |= 1n << BigInt(feature);
  }
  u64.write(state, xsaveHead.offset.xstate_bv, bits);
  return state;
}

/** struct of the instruction ldtilecfg: palette 1, of one tile of one row and four bytes. */
function smallestTiles(): Uint8Array {
  const configuration = new Uint8Array(64);
  configuration[0] = 1;
  viewOf(configuration).setUint16(16, 4, true);
  configuration[48] = 1;
  return configuration;
}

/**
 * Has the thread that makes the calls use a tile once where its state has some, for which the kernel makes room then. The process
 * has the permission. A state with tiles cannot be set before.
 */
export function giveTiles(calls: Calls, { xsave }: UserX86FpregsEntry): void {
  if (xsave?.others.some(({ feature }) => feature === XFEATURE.XTILEDATA) === true)
    calls.operation(OP.TILES, calls.data(smallestTiles()));
}
