/**
 * Ways out: what is laid into unused stack before a process' registers are touched, where a signal frame could lie, so that
 * it goes back by itself from whatever call we have it make, should we die. Entered by the return from a system call, a way
 * out runs nothing but code of the process' own (gadgets.ts).
 */

import { usedXstate } from "../../linux/cpuid.ts";
import { Fd } from "../../linux/fd.ts";
import { O, read } from "../../linux/io.ts";
import { isZero, readMemory, writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import type { Mapping } from "../../linux/proc.ts";
import { userRegs } from "../../linux/ptrace.ts";
import { buildSigframe, sigframeFpstate } from "../../linux/signal.ts";
import { viewOf } from "../../linux/struct.ts";
import { SPARED_STACK } from "../hold/task.ts";
import type { Gadgets } from "./gadgets.ts";
import { FLAGS_TF_DF } from "./inside-thread.ts";
import { restartedBytes, type Saved } from "./saved.ts";

/** A stretch of a process' memory. */
export interface Stretch {
  readonly address: number;
  readonly size: number;
}

export interface WayOut {
  /** Stack pointer with which a return unmaps a stretch and goes back. */
  readonly unmapping: number;
  /** Stack pointer with which a return, that from munmap(2) among others, goes back. */
  readonly returning: number;
  /** The frame that goes back. */
  readonly back: number;
  readonly address: number;
  /** What stood there before. */
  readonly original: Uint8Array;
}

const FRAME_SIZE = 0x400;

/** Bytes that a way out takes for a thread with this state. */
export function wayOutSize({ xstate }: Saved): number {
  return 2 * FRAME_SIZE + usedXstate(xstate).length + 0x200;
}

/**
 * Lays the way out of a thread at `base`, a multiple of 64: [return to sigreturn, frame: munmap] [return to sigreturn, frame:
 * as it was]. @throws KernelError
 */
export function layWayOut(
  pid: HostPid,
  saved: Saved,
  unmapped: Stretch,
  gadgets: Gadgets,
  base: number,
): WayOut {
  const xstate = usedXstate(saved.xstate);
  const unmapFrameAt = base + 64;
  const backFrameAt = base + 64 + FRAME_SIZE;
  const back = buildSigframe(backFrameAt, restartedBytes(saved), saved.mask, { xstate });
  const call = saved.bytes.slice();
  userRegs.encodeInto(call, 0, {
    ip: BigInt(gadgets.callAndReturn),
    sp: BigInt(backFrameAt - 8),
    ax: BigInt(NR.munmap),
    di: BigInt(unmapped.address),
    si: BigInt(unmapped.size),
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
    unmapping: unmapFrameAt - 8,
    returning: backFrameAt - 8,
    back: backFrameAt,
    address: base,
    original,
  };
}

/** How far above the lowest page of the stack such a place may lie: handlers may have to run below it. */
const OFFSETS = [0x10000, 0x4000, 0];

/**
 * A place of `size` bytes near the low end of the main stack that nobody has used yet, as far from any live frame as there is;
 * or, where that is not to be had, where a signal would put its frame. That nobody has used it is seen from its zeros: a
 * thread that runs on another stack just now has live frames on this one too. None of `taken` is touched.
 */
export function unusedStack(
  pid: HostPid,
  sp: number,
  size: number,
  maps: readonly Mapping[],
  taken: readonly Stretch[],
): number {
  const isFree = (base: number) =>
    taken.every((other) => base + size <= other.address || base >= other.address + other.size);
  let stack: Mapping | undefined;
  for (const map of maps) if (map.path === "[stack]" && map.write && map.read) stack = map;
  if (stack !== undefined) {
    const top = sp >= stack.start && sp < stack.end ? sp - size : stack.end;
    const bytes = new Uint8Array(size);
    for (const offset of OFFSETS) {
      const base = stack.start + offset;
      if (base + size <= top && isFree(base) && isZero(readMemory(pid, base, bytes))) return base;
    }
  }
  const below = sp - SPARED_STACK - size;
  const base = below - (below % 64);
  if (stack !== undefined && sp >= stack.start && sp < stack.end && base < stack.start) growStack(pid, base);
  return base;
}

/** Has a stack grow down to an address, as a signal would: by an access that is not process_vm_readv(2)'s, which does not. */
function growStack(pid: HostPid, address: number): void {
  using memory = Fd.open(`/proc/${pid}/mem`, O.RDONLY);
  read(memory.number, new Uint8Array(1), address);
}
