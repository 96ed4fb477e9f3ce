/**
 * cpuinfo.img: what the CPU of a dump could do, so that a restore on one that can do less is refused before a process
 * dies of SIGILL. The image's layout is CRIU 4.2's: 19 words of feature bits, most of them registers of cpuid as they
 * are, a few bits set as the kernel sets them (arch/x86/kernel/cpu/common.c); older images have the first 12 words.
 */

import { ImageError } from "../images/error.ts";
import { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { type CpuinfoX86Entry, CpuinfoX86EntryVendor } from "../images/schema/generated/inventory.ts";
import { BaseError } from "../linux/base-error.ts";
import {
  brandString,
  type CpuidRegister,
  cpuid,
  cpuModel,
  hasLeaf,
  vendorId,
  XFEATURE,
} from "../linux/cpuid.ts";
import { ERRNO } from "../linux/errno.ts";
import type { Options } from "../options.ts";

/** The bits of `--cpu-cap`, as CRIU's RPC numbers them. `IMAGE` says that it was given, with anything but `none`. */
const CPU_CAP = { FPU: 1, CPU: 2, INS: 4, ALL: 7, IMAGE: 8 } as const;

/** How many words an image has, by its capability_ver. */
const WORDS_OF_VERSION: Readonly<Record<number, number>> = { 1: 12, 2: 19 };

interface Word {
  /** Where the word comes from; a word without is made up by the kernel, or of a vendor that is no more. */
  readonly leaf?: number;
  readonly subleaf?: number;
  readonly register?: CpuidRegister;
  /**
   * The kernel's names of the bits (/proc/cpuinfo), one after the other; `N:` goes on at bit N. A star marks what a
   * program may use unasked, that is without which it may be killed.
   */
  readonly features: string;
}

/** The words of an image. Of the stars, fma, lahf_lm, avx512ifma and clwb are not known to CRIU's `ins`. */
const WORDS: readonly Word[] = [
  {
    leaf: 1,
    register: "edx",
    features:
      "fpu* vme de pse tsc* msr pae mce cx8* apic 11:sep* mtrr pge mca cmov* pat pse36 pn clflush* 21:dts acpi " +
      "mmx* fxsr* sse* sse2* ss ht tm ia64 pbe",
  },
  {
    leaf: 0x80000001,
    register: "edx",
    features: "11:syscall* 19:mp nx 22:mmxext* 25:fxsr_opt pdpe1gb rdtscp* 29:lm 3dnowext* 3dnow*",
  },
  { features: "" },
  { features: "16:rep_good* 20:nopl* 25:cpuid" },
  {
    leaf: 1,
    register: "ecx",
    features:
      "pni* pclmulqdq* dtes64 monitor* ds_cpl vmx smx est tm2 ssse3* cid sdbg fma* cx16* xtpr pdcm 17:pcid dca " +
      "sse4_1* sse4_2* x2apic movbe* popcnt* tsc_deadline_timer aes* xsave* osxsave* avx* f16c* rdrand* hypervisor",
  },
  { features: "" },
  {
    leaf: 0x80000001,
    register: "ecx",
    features:
      "lahf_lm* cmp_legacy svm extapic cr8_legacy abm* sse4a* misalignsse* 3dnowprefetch* osvw ibs xop* skinit wdt " +
      "15:lwp fma4* tce 19:nodeid_msr 21:tbm* topoext perfctr_core perfctr_nb 26:bpext ptsc perfctr_llc mwaitx",
  },
  { features: "" },
  { features: "" },
  {
    leaf: 7,
    register: "ebx",
    features:
      "fsgsbase* tsc_adjust sgx bmi1* hle* avx2* 7:smep bmi2* erms* invpcid rtm* cqm 14:mpx* rdt_a avx512f* " +
      "avx512dq* rdseed* adx* smap avx512ifma* 23:clflushopt* clwb* intel_pt avx512pf* avx512er* avx512cd* " +
      "sha_ni* avx512bw* avx512vl*",
  },
  { leaf: 0xd, subleaf: 1, register: "eax", features: "xsaveopt* xsavec* xgetbv1* xsaves" },
  {
    leaf: 7,
    register: "ecx",
    features:
      "prefetchwt1 avx512vbmi* umip pku ospke waitpkg avx512_vbmi2* shstk gfni* vaes* vpclmulqdq* avx512_vnni* " +
      "avx512_bitalg* tme* avx512_vpopcntdq* 16:la57 22:rdpid* 25:cldemote 27:movdiri movdir64b",
  },
  { leaf: 0xf, subleaf: 1, register: "edx", features: "cqm_occup_llc cqm_mbm_total cqm_mbm_local" },
  {
    leaf: 0x80000008,
    register: "ebx",
    features: "clzero* irperf xsaveerptr 4:rdpru 9:wbnoinvd 12:ibpb 14:ibrs stibp",
  },
  { leaf: 6, register: "eax", features: "dtherm ida arat 4:pln 6:pts hwp hwp_notify hwp_act_window hwp_epp" },
  { leaf: 0x8000000a, register: "edx", features: "npt lbrv svm_lock nrip_save tsc_scale vmcb_clean" },
  { leaf: 0xf, register: "edx", features: "1:cqm_llc" },
  { leaf: 0x80000007, register: "ebx", features: "overflow_recov succor 3:smca" },
  {
    leaf: 7,
    register: "edx",
    features: "2:avx512_4vnniw* avx512_4fmaps* fsrm 18:pconfig 26:spec_ctrl intel_stibp 29:arch_capabilities",
  },
];

interface Feature {
  readonly name: string;
  readonly instruction: boolean;
}

const features = new Map<Word, ReadonlyMap<number, Feature>>();

/** The bits of a word that have a name, by number. */
function featuresOf(word: Word): ReadonlyMap<number, Feature> {
  let found = features.get(word);
  if (found === undefined) {
    found = parseFeatures(word.features);
    features.set(word, found);
  }
  return found;
}

function parseFeatures(text: string): Map<number, Feature> {
  const out = new Map<number, Feature>();
  let bit = 0;
  for (const [, at, name = "", star] of text.matchAll(/(?:(\d+):)?(\w+)(\*)?/g)) {
    if (at !== undefined) bit = Number(at);
    out.set(bit++, { name, instruction: star !== undefined });
  }
  return out;
}

/** Feature bits of a CPU, by their names. */
class Capabilities {
  constructor(readonly words: number[]) {}

  has(name: string): boolean {
    return this.#change(name, (word, bit) => (word & bit) !== 0);
  }

  set(name: string, on = true): void {
    this.#change(name, (word, bit, index) => {
      this.words[index] = (on ? word | bit : word & ~bit) >>> 0;
      return on;
    });
  }

  /** The names of the bits that `other` has not; only those of instructions, if wanted. */
  beyond(other: Capabilities, instructionsOnly = false): string[] {
    const out: string[] = [];
    for (const [index, word] of WORDS.entries()) {
      const more = (this.words[index] ?? 0) & ~(other.words[index] ?? 0);
      if (more === 0) continue;
      const named = featuresOf(word);
      for (let bit = 0; bit < 32; bit++) {
        if (((more >>> bit) & 1) === 0) continue;
        const feature = named.get(bit);
        if (instructionsOnly && feature?.instruction !== true) continue;
        out.push(feature?.name ?? `bit ${bit} of ${placeOf(word, index)}`);
      }
    }
    return out;
  }

  #change(name: string, use: (word: number, bit: number, index: number) => boolean): boolean {
    for (const [index, word] of WORDS.entries()) {
      for (const [bit, feature] of featuresOf(word))
        if (feature.name === name) return use(this.words[index] ?? 0, 1 << bit, index);
    }
    throw new Error(`no CPU feature ${name}`);
  }
}

function placeOf(word: Word, index: number): string {
  if (word.leaf === undefined || word.register === undefined) return `word ${index}`;
  return `cpuid 0x${word.leaf.toString(16)}:${word.subleaf ?? 0} ${word.register}`;
}

const INTEL = "GenuineIntel";
const AMD: readonly string[] = ["AuthenticAMD", "HygonGenuine"];

/** The feature bits of this CPU. */
function hostCapabilities(family: number): Capabilities {
  const found = new Capabilities(
    WORDS.map(({ leaf, subleaf = 0, register }) =>
      leaf === undefined || register === undefined || !hasLeaf(leaf) ? 0 : cpuid(leaf, subleaf)[register],
    ),
  );
  // The counters of a sub-leaf mean something only where the cache can be watched at all.
  if (!found.has("cqm_llc"))
    for (const name of ["cqm_occup_llc", "cqm_mbm_total", "cqm_mbm_local"]) found.set(name, false);
  found.set("cpuid");
  found.set("nopl");
  if (!hasLeaf(0xd)) found.set("xsave", false);
  if (vendorId() === INTEL) {
    if (family === 6) found.set("rep_good");
    if (family === 15) found.set("erms", false);
  } else {
    // AMD has 3DNow! where Intel has pbe.
    found.set("pbe", false);
    const signature = cpuid(1).eax;
    const lateK8 = (signature >= 0xf48 && signature < 0xf50) || signature >= 0xf58;
    if (family >= 0x10 || (family === 0xf && lateK8)) found.set("rep_good");
  }
  return found;
}

/** Which feature a state component of XSAVE belongs to. */
const OWNER_OF_XFEATURE: readonly (readonly [xfeature: number, feature: string])[] = [
  [XFEATURE.X87, "fpu"],
  [XFEATURE.SSE, "sse"],
  [XFEATURE.YMM, "avx"],
  [XFEATURE.BNDREGS, "mpx"],
  [XFEATURE.BNDCSR, "mpx"],
  [XFEATURE.OPMASK, "avx512f"],
  [XFEATURE.ZMM_HI256, "avx512f"],
  [XFEATURE.HI16_ZMM, "avx512f"],
  [XFEATURE.PKRU, "pku"],
];

/**
 * Components that CRIU 4.2 leaves out of the mask that it writes, though it saves them; with them in ours, it would
 * refuse our images on the CPU they were made on.
 */
const UNTOLD_XFEATURES = (1n << BigInt(XFEATURE.SSE)) | (1n << BigInt(XFEATURE.BNDREGS));

interface Xsave {
  /** The user state components that the kernel has enabled. */
  readonly features: bigint;
  /** Bytes of the standard image with the enabled components, and with all that the CPU has. */
  readonly size: number;
  readonly maxSize: number;
}

function hostXsave(capabilities: Capabilities): Xsave {
  if (!capabilities.has("xsave")) return { features: 0n, size: 0, maxSize: 0 };
  const { eax, ebx, ecx } = cpuid(0xd, 0);
  let features = 0n;
  for (const [xfeature, owner] of OWNER_OF_XFEATURE) {
    if (((eax >>> xfeature) & 1) === 1 && capabilities.has(owner)) features |= 1n << BigInt(xfeature);
  }
  return { features, size: ebx, maxSize: ecx };
}

/** `criu cpuinfo dump`: writes the image into a directory that may hold a dump already. @throws as dumpCpuinfo */
export function cpuinfoDump(options: Options): number {
  dumpCpuinfo(ImageDir.open(options.imagesDir));
  return 0;
}

/**
 * `criu cpuinfo check`: compares an image, which has to be there, with this CPU; everything where no `--cpu-cap` is left.
 * @throws as checkCpuinfo
 */
export function cpuinfoCheck(options: Options): number {
  const chosen = options.cpuCap & CPU_CAP.ALL;
  checkCpuinfo(ImageDir.open(options.imagesDir), (chosen === 0 ? CPU_CAP.ALL : chosen) | CPU_CAP.IMAGE);
  return 0;
}

/** Writes cpuinfo.img. @throws ImageError when it cannot be written, Error on a CPU of neither Intel's kind nor AMD's */
export function dumpCpuinfo(images: ImageDir): void {
  const vendor = vendorId();
  if (vendor !== INTEL && !AMD.includes(vendor)) {
    throw new Error(`cpuinfo.img knows CPUs of Intel and AMD only; this one's vendor is ${vendor}`);
  }
  const { family, model, stepping } = cpuModel();
  const capabilities = hostCapabilities(family);
  const xsave = hostXsave(capabilities);
  const brand = brandString();
  const entry: CpuinfoX86Entry = {
    vendor_id: vendor === INTEL ? CpuinfoX86EntryVendor.INTEL : CpuinfoX86EntryVendor.AMD,
    cpu_family: family,
    model,
    stepping,
    capability_ver: 2,
    capability: capabilities.words,
    ...(brand === "" ? {} : { model_id: brand }),
    xfeatures_mask: xsave.features & ~UNTOLD_XFEATURES,
    xsave_size: xsave.size,
    xsave_size_max: xsave.maxSize,
  };
  images.writeAll(IMAGES.cpuinfo, [{ x86_entry: [entry], ppc64_entry: [], s390_entry: [] }]);
}

/** The images were made on a CPU that this one cannot stand in for. `message` is one line that names what differs. */
export class CpuMismatchError extends BaseError {
  /** What CRIU tells its clients. */
  override readonly errno = ERRNO.EOPNOTSUPP;
  override readonly name = "CpuMismatchError";
  readonly kind = "machine";
}

/**
 * Compares cpuinfo.img with this CPU; `caps` are the bits of `--cpu-cap`. FPU: the registers that XSAVE saves must be
 * here, in an XSAVE image of the same size (the C library lays out stack frames by it). INS: all instructions must be
 * here. CPU: every feature bit must be the same. Without any of these nothing is looked at; the image may be missing
 * unless IMAGE is set.
 * @throws CpuMismatchError, ImageError when the image is missing or damaged
 */
export function checkCpuinfo(images: ImageDir, caps: number): void {
  if ((caps & (CPU_CAP.FPU | CPU_CAP.INS | CPU_CAP.CPU)) === 0) return;
  if ((caps & CPU_CAP.IMAGE) === 0 && !images.has(IMAGES.cpuinfo)) return;
  const wanted = readEntry(images);
  const here = hostCapabilities(cpuModel().family);
  // What an older image does not say is taken as it is here.
  const there = new Capabilities(here.words.map((word, index) => wanted.capability[index] ?? word));

  const differences: string[] = [];
  if ((caps & CPU_CAP.FPU) !== 0) differences.push(...fpuDifferences(wanted, there, here));
  if ((caps & CPU_CAP.INS) !== 0) {
    const missing = there.beyond(here, true);
    if (missing.length > 0) differences.push(`instructions missing here: ${missing.join(" ")}`);
  }
  if ((caps & CPU_CAP.CPU) !== 0) {
    const missing = there.beyond(here);
    const added = here.beyond(there);
    if (missing.length > 0) differences.push(`features missing here: ${missing.join(", ")}`);
    if (added.length > 0) differences.push(`features only here: ${added.join(", ")}`);
  }
  if (differences.length > 0) {
    const which = wanted.model_id === undefined ? "" : ` (${wanted.model_id.trim()})`;
    throw new CpuMismatchError(
      `this CPU cannot stand in for the one of the images${which}: ${differences.join("; ")}`,
    );
  }
}

function readEntry(images: ImageDir): CpuinfoX86Entry {
  const entries = images.readOne(IMAGES.cpuinfo).x86_entry;
  const place = { file: "cpuinfo.img", entry: 0 };
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1)
    throw new ImageError(`${entries.length} x86 CPUs where one is expected`, place);
  if (entry.vendor_id === CpuinfoX86EntryVendor.UNKNOWN)
    throw new ImageError("a CPU of unknown vendor", place);
  const expected = WORDS_OF_VERSION[entry.capability_ver];
  if (expected === undefined)
    throw new ImageError(`capability_ver ${entry.capability_ver} is not known`, place);
  if (entry.capability.length !== expected)
    throw new ImageError(`${entry.capability.length} words where ${expected} are expected`, place);
  return entry;
}

function fpuDifferences(wanted: CpuinfoX86Entry, there: Capabilities, here: Capabilities): string[] {
  const out: string[] = [];
  const missing = ["fpu", "fxsr", "osxsave", "xsaves"].filter((name) => there.has(name) && !here.has(name));
  if (missing.length > 0) out.push(`FPU features missing here: ${missing.join(" ")}`);

  const xsave = hostXsave(here);
  const components = (wanted.xfeatures_mask ?? 0n) & ~xsave.features;
  if (components !== 0n) out.push(`XSAVE components missing here: ${componentNames(components)}`);
  const size = wanted.xsave_size ?? xsave.size;
  if (size !== xsave.size) out.push(`XSAVE image of ${size} bytes, here ${xsave.size}`);
  const maxSize = wanted.xsave_size_max ?? xsave.maxSize;
  if (maxSize !== xsave.maxSize) out.push(`largest XSAVE image of ${maxSize} bytes, here ${xsave.maxSize}`);
  return out;
}

function componentNames(mask: bigint): string {
  const names = new Map<number, string>(Object.entries(XFEATURE).map(([name, bit]) => [bit, name]));
  const out: string[] = [];
  for (let bit = 0; bit < 64; bit++)
    if (((mask >> BigInt(bit)) & 1n) === 1n) out.push(names.get(bit) ?? `number ${bit}`);
  return out.join(" ");
}
