/** cpuid of the CPU that we run on (Intel SDM volume 2, AMD APM volume 3). */
import { hostMachine } from "../machine/host.ts";
import { oncePerRun } from "./once-per-run.ts";
import { array, bytes, struct, u16, u32, u64 } from "./struct.ts";
import { addressOf, nativeFunction, placeCode } from "./syscall.ts";

const result = struct({ eax: u32, ebx: u32, ecx: u32, edx: u32 });
export type CpuidResult = ReturnType<typeof result.decode>;
export type CpuidRegister = keyof CpuidResult;

let native: ReturnType<typeof nativeFunction> | undefined;

export function cpuid(leaf: number, subleaf = 0): CpuidResult {
  native ??= nativeFunction(placeCode(hostMachine.cpuidThunk));
  const out = new Uint8Array(result.size);
  native(leaf, subleaf, addressOf(out), 0, 0, 0, 0);
  return result.decode(out);
}

/** Whether this CPU has a leaf; basic leaves begin at 0, extended ones at 0x80000000. */
export function hasLeaf(leaf: number): boolean {
  const base = leaf >= 0x80000000 ? 0x80000000 : 0;
  const highest = cpuid(base).eax;
  return highest >= leaf && highest - base < 0x10000;
}

/** The twelve letters of the vendor, e.g. "GenuineIntel". */
export function vendorId(): string {
  const { ebx, ecx, edx } = cpuid(0);
  return letters([ebx, edx, ecx]);
}

/** Family, model and stepping with their extensions, as the kernel counts them (arch/x86/lib/cpu.c). */
export function cpuModel(): { family: number; model: number; stepping: number } {
  const signature = cpuid(1).eax;
  const short = (signature >>> 8) & 0xf;
  const family = short === 0xf ? short + ((signature >>> 20) & 0xff) : short;
  const extension = family >= 6 ? (signature >>> 16) & 0xf : 0;
  return { family, model: (extension << 4) | ((signature >>> 4) & 0xf), stepping: signature & 0xf };
}

/** The name of the CPU for people, up to 48 letters; empty where it has none. */
export function brandString(): string {
  if (!hasLeaf(0x80000004)) return "";
  const words = [0x80000002, 0x80000003, 0x80000004].flatMap((leaf) => {
    const { eax, ebx, ecx, edx } = cpuid(leaf);
    return [eax, ebx, ecx, edx];
  });
  // Intel's are set to the right.
  return letters(words).trimStart();
}

function letters(words: readonly number[]): string {
  const text = words
    .flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24])
    .map((code) => String.fromCharCode(code))
    .join("");
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

/** State components of XSAVE by their bit number. */
export const XFEATURE = {
  X87: 0,
  SSE: 1,
  YMM: 2,
  BNDREGS: 3,
  BNDCSR: 4,
  OPMASK: 5,
  ZMM_HI256: 6,
  HI16_ZMM: 7,
  PKRU: 9,
  XTILECFG: 17,
  XTILEDATA: 18,
} as const;

export interface XsaveComponent {
  /** In the standard format, from the beginning of the XSAVE image. */
  readonly offset: number;
  readonly size: number;
}

const knownComponents = oncePerRun(() => new Map<number, XsaveComponent | undefined>());

/** Where a state component stands in this CPU's standard XSAVE image; undefined when the CPU has none. */
export function xsaveComponent(feature: number): XsaveComponent | undefined {
  const components = knownComponents();
  if (!components.has(feature)) {
    const enabled = ((cpuid(0xd, 0).eax >>> feature) & 1) === 1;
    const { eax: size, ebx: offset } = cpuid(0xd, feature);
    components.set(feature, enabled && size > 0 ? { offset, size } : undefined);
  }
  return components.get(feature);
}

/** Size of this CPU's standard XSAVE image with all enabled features. */
export function xsaveSize(): number {
  return cpuid(0xd, 0).ebx;
}

/** The legacy region and header of an XSAVE image (Intel SDM volume 1, 13.4). */
export const xsaveHead = struct(
  {
    cwd: u16,
    swd: u16,
    twd: u16,
    fop: u16,
    rip: u64,
    rdp: u64,
    mxcsr: u32,
    mxcsr_mask: u32,
    st_space: array(u32, 32),
    xmm_space: array(u32, 64),
    reserved: bytes(96),
    xstate_bv: u64,
    xcomp_bv: u64,
  },
  576,
);

/**
 * The part of an XSAVE image in the standard format, a view of it, up to the end of the last component that is in use. The kernel
 * takes back a signal's frame only as far as a process' own state goes, which is shorter than the CPU's where components are to
 * be asked for (AMX).
 */
export function usedXstate(state: Uint8Array): Uint8Array {
  const used = xsaveHead.decode(state).xstate_bv;
  let end = xsaveHead.size;
  for (let feature = XFEATURE.YMM; feature < 63; feature++) {
    if (((used >> BigInt(feature)) & 1n) === 0n) continue;
    const component = xsaveComponent(feature);
    if (component !== undefined) end = Math.max(end, component.offset + component.size);
  }
  return state.subarray(0, Math.min(end, state.length));
}
