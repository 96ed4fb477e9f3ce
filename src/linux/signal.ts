/** Signals: numbers, masks, siginfo and the frame that rt_sigreturn(2) takes a task back through. */

import { xsaveHead } from "./cpuid.ts";
import { userRegs } from "./ptrace.ts";
import { array, bytes, s32, struct, u16, u32, u64, word } from "./struct.ts";

export const SIG = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  SEGV: 11,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  SYS: 31,
  IO: 29,
} as const;

/** Signals are numbered 1 to 64. */
export const MAX_SIGNAL = 64;

/** The bit of a signal in a mask. */
export function signalBit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

/** Those of the faults of a thread: the kernel hands them out before all others. */
export const SYNCHRONOUS = [SIG.ILL, SIG.TRAP, SIG.BUS, SIG.FPE, SIG.SEGV, SIG.SYS].reduce(
  (mask, signal) => mask | signalBit(signal),
  0n,
);

/** Every signal, also those that cannot be blocked. */
export const MASK_ALL = 0xffff_ffff_ffff_ffffn;

/** Every signal but SIGTRAP, which the runner reports through: the mask of a task while it works for us. */
export const MASK_WHILE_RUNNING = ~signalBit(SIG.TRAP) & 0xffff_ffff_ffff_ffffn;

export const SA = { RESTORER: 0x04000000, RESTART: 0x10000000, NODEFER: 0x40000000 } as const;
export const SIG_BLOCK = 0;
export const SIG_SETMASK = 2;

/** struct kernel_sigaction as rt_sigaction(2) takes it on x86-64. */
export const sigaction = struct({ handler: word, flags: u64, restorer: word, mask: u64 });

/** struct sigevent: sigev_value, signo, notify, then a union whose first member is the thread id. */
export const sigevent = struct({ value: u64, signo: s32, notify: s32, tid: s32, pad: u32 }, 64);
/** sigev_notify: the signal is for one thread. */
export const SIGEV_THREAD_ID = 4;

/** The head of siginfo_t, common to all kinds. */
export const siginfoHead = struct({ signo: s32, errno: s32, code: s32, pad: s32 });

/** A siginfo_t of a child, as waitid(2) gives it. */
export const siginfoChild = struct(
  { signo: s32, errno: s32, code: s32, pad: s32, pid: s32, uid: u32, status: s32 },
  128,
);
/** Codes of that. */
export const CLD = { STOPPED: 5, CONTINUED: 6 } as const;

/** stack_t as sigaltstack(2) takes it. */
export const stackT = struct({ sp: word, flags: s32, pad: u32, size: word });

/** struct sigcontext_64 (arch/x86/include/uapi/asm/sigcontext.h). */
const sigcontext = struct({
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  r14: u64,
  r15: u64,
  di: u64,
  si: u64,
  bp: u64,
  bx: u64,
  dx: u64,
  ax: u64,
  cx: u64,
  sp: u64,
  ip: u64,
  flags: u64,
  cs: u16,
  gs: u16,
  fs: u16,
  ss: u16,
  err: u64,
  trapno: u64,
  oldmask: u64,
  cr2: u64,
  fpstate: word,
  reserved: array(u64, 8),
});

/** Registers that a frame has as ptrace(2) has them, and those of which it has 16 bits. */
const WHOLE = [
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
  "di",
  "si",
  "bp",
  "bx",
  "dx",
  "ax",
  "cx",
  "sp",
  "ip",
  "flags",
] as const;
const HALF = ["cs", "gs", "fs", "ss"] as const;
let places: { readonly from: number; readonly to: number; readonly words: number }[] | undefined;

/** Where each register is in a `userRegs` and in a frame, in words of 16 bits. */
function registerPlaces(): { readonly from: number; readonly to: number; readonly words: number }[] {
  const context = ucontext.offset.mcontext;
  const place = (name: (typeof WHOLE | typeof HALF)[number], words: number) => ({
    from: userRegs.offset[name] / 2,
    to: (context + sigcontext.offset[name]) / 2,
    words,
  });
  places ??= [...WHOLE.map((name) => place(name, 4)), ...HALF.map((name) => place(name, 1))];
  return places;
}

/** struct ucontext: what rt_sigreturn(2) finds at the stack pointer. */
const ucontext = struct({ flags: u64, link: word, stack: stackT, mcontext: sigcontext, sigmask: u64 });

/** struct _fpx_sw_bytes, in the 48 bytes at 464 of an XSAVE image on a signal frame. */
const fpxSoftware = struct({
  magic1: u32,
  extended_size: u32,
  xfeatures: u64,
  xstate_size: u32,
  padding: bytes(28),
});
const FPX_SOFTWARE_AT = 464;
const FP_XSTATE_MAGIC1 = 0x46505853;
const FP_XSTATE_MAGIC2 = 0x46505845;
const NO_PADDING = new Uint8Array(28);
/** Behind flags and link of struct ucontext. */
const STACK_AT = 16;
/** UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS: an XSAVE image follows, and ss is to be taken as given. */
const UC_FLAGS = 7n;
/** No valid ss_flags: the kernel then leaves the alternate stack as it is (restore_altstack ignores the refusal). */
const SS_FLAGS_INVALID = 0x1234;

/** Where a frame is made: behind `at`, a multiple of 2, in a buffer of zeros; and the address that it will stand at, a multiple of 64. */
export interface SigframePlace {
  readonly buffer: Uint8Array;
  readonly at: number;
  readonly address: number;
}

/**
 * Makes a signal frame for a task with registers given as a `userRegs`, entered by rt_sigreturn(2) with the stack
 * pointer at its address. Without `xstate`, the address of the XSAVE image of another frame may be shared through
 * `fpstate`. It takes {@link sigframeSize} bytes.
 */
export function putSigframe(
  { buffer, at, address }: SigframePlace,
  registers: Uint8Array,
  mask: bigint,
  fp: { xstate: Uint8Array } | { fpstate: number },
): void {
  const context = at + ucontext.offset.mcontext;
  u64.write(buffer, at + ucontext.offset.flags, UC_FLAGS);
  stackT.encodeInto(buffer, at + STACK_AT, { flags: SS_FLAGS_INVALID });
  u64.write(buffer, at + ucontext.offset.sigmask, mask);
  const fpstate = "xstate" in fp ? sigframeFpstate(address) : fp.fpstate;
  word.write(buffer, context + sigcontext.offset.fpstate, fpstate);
  const source = new Uint16Array(registers.buffer, registers.byteOffset, registers.length / 2);
  const target = new Uint16Array(buffer.buffer, buffer.byteOffset + at, ucontext.size / 2);
  for (const { from, to, words } of registerPlaces()) {
    for (let i = 0; i < words; i++) target[to + i] = source[from + i] ?? 0;
  }
  if ("xstate" in fp) putXstate(buffer, sigframeFpstate(at), fp.xstate);
}

/**
 * Puts an XSAVE image behind `at` as a frame has it, for frames that share it through `fpstate`; it takes
 * {@link sigframeXstateSize} bytes. PTRACE_GETREGSET leaves the enabled features where a frame has its software bytes; an image
 * has none there.
 */
export function putXstate(buffer: Uint8Array, at: number, xstate: Uint8Array): void {
  buffer.set(xstate, at);
  const enabled = u64.read(buffer, at + FPX_SOFTWARE_AT);
  const xfeatures = enabled === 0n ? u64.read(buffer, at + xsaveHead.offset.xstate_bv) : enabled;
  fpxSoftware.encodeInto(buffer, at + FPX_SOFTWARE_AT, {
    magic1: FP_XSTATE_MAGIC1,
    extended_size: xstate.length + 4,
    xfeatures,
    xstate_size: xstate.length,
    padding: NO_PADDING,
  });
  u32.write(buffer, at + xstate.length, FP_XSTATE_MAGIC2);
}

/** A frame of its own; as {@link putSigframe}. */
export function buildSigframe(
  address: number,
  registers: Uint8Array,
  mask: bigint,
  fp: { xstate: Uint8Array } | { fpstate: number },
): Uint8Array {
  const buffer = new Uint8Array(sigframeSize("xstate" in fp ? fp.xstate.length : undefined));
  putSigframe({ buffer, at: 0, address }, registers, mask, fp);
  return buffer;
}

/** Where a frame built at `address` has its stack_t: three words that sigaltstack(2) is given. */
export function sigframeStack(address: number): number {
  return address + STACK_AT;
}

/** Where a frame built at `address` has its mask, 8 bytes. */
export function sigframeMask(address: number): number {
  return address + ucontext.offset.sigmask;
}

/** The room that a frame takes with an XSAVE image of so many bytes; or without, if its image is another's. */
export function sigframeSize(xstate?: number): number {
  return xstate === undefined ? ucontext.size : sigframeFpstate(0) + sigframeXstateSize(xstate);
}

/** The room that the image takes by itself. */
export function sigframeXstateSize(xstate: number): number {
  return xstate + 4;
}

/** Where the XSAVE image of a frame built at `address` stands. */
export function sigframeFpstate(address: number): number {
  return address + Math.ceil(ucontext.size / 64) * 64;
}
