/** cpuid of the CPU that we run on (Intel SDM volume 2, AMD APM volume 3). */
import { hostMachine } from "../machine/host.ts";
import { array, bytes, struct, u16, u32, u64 } from "./struct.ts";
import { addressOf, nativeFunction, placeCode } from "./syscall.ts";

const result = struct({ eax: u32, ebx: u32, ecx: u32, edx: u32 });
export type CpuidResult = ReturnType<typeof result.decode>;

let native: ReturnType<typeof nativeFunction> | undefined;

export function cpuid(leaf: number, subleaf = 0): CpuidResult {
  native ??= nativeFunction(placeCode(hostMachine.cpuidThunk));
  const out = new Uint8Array(result.size);
  native(leaf, subleaf, addressOf(out), 0, 0, 0, 0);
  return result.decode(out);
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
} as const;

export interface XsaveComponent {
  /** In the standard format, from the beginning of the XSAVE image. */
  readonly offset: number;
  readonly size: number;
}

const components = new Map<number, XsaveComponent | undefined>();

/** Where a state component stands in this CPU's standard XSAVE image; undefined when the CPU has none. */
export function xsaveComponent(feature: number): XsaveComponent | undefined {
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
