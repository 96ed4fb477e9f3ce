// Made from aarch64.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoAarch64 {
  clear_tid_addr: bigint;
  tls: bigint;
  gpregs: UserAarch64RegsEntry;
  fpsimd: UserAarch64FpsimdContextEntry;
  pac_keys?: PacKeys | undefined;
  /** CRIU 4.3 */
  gcs?: UserAarch64GcsEntry | undefined;
}

export const ThreadInfoAarch64: Codec<ThreadInfoAarch64> = {
  name: "thread_info_aarch64",
  write(w: Writer, m: ThreadInfoAarch64): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_aarch64.clear_tid_addr");
    w.uint64(16, m.tls, "thread_info_aarch64.tls");
    w.message(26, UserAarch64RegsEntry, m.gpregs, "thread_info_aarch64.gpregs");
    w.message(34, UserAarch64FpsimdContextEntry, m.fpsimd, "thread_info_aarch64.fpsimd");
    if (m.pac_keys !== undefined) w.message(42, PacKeys, m.pac_keys, "thread_info_aarch64.pac_keys");
    if (m.gcs !== undefined) w.message(50, UserAarch64GcsEntry, m.gcs, "thread_info_aarch64.gcs");
  },
  read(r: Reader): ThreadInfoAarch64 {
    let clear_tid_addr: bigint | undefined;
    let tls: bigint | undefined;
    let gpregs: UserAarch64RegsEntry | undefined;
    let fpsimd: UserAarch64FpsimdContextEntry | undefined;
    let pac_keys: PacKeys | undefined;
    let gcs: UserAarch64GcsEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          clear_tid_addr = r.uint64();
          break;
        case 16:
          tls = r.uint64();
          break;
        case 26:
          gpregs = r.message(UserAarch64RegsEntry);
          break;
        case 34:
          fpsimd = r.message(UserAarch64FpsimdContextEntry);
          break;
        case 42:
          pac_keys = r.message(PacKeys);
          break;
        case 50:
          gcs = r.message(UserAarch64GcsEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_aarch64.clear_tid_addr");
    if (tls === undefined) return r.missing("thread_info_aarch64.tls");
    if (gpregs === undefined) return r.missing("thread_info_aarch64.gpregs");
    if (fpsimd === undefined) return r.missing("thread_info_aarch64.fpsimd");
    return { clear_tid_addr, tls, gpregs, fpsimd, pac_keys, gcs };
  },
};

export interface UserAarch64RegsEntry {
  /** x0 to x30 */
  regs: bigint[];
  sp: bigint;
  pc: bigint;
  pstate: bigint;
}

export const UserAarch64RegsEntry: Codec<UserAarch64RegsEntry> = {
  name: "user_aarch64_regs_entry",
  write(w: Writer, m: UserAarch64RegsEntry): void {
    w.uint64s(8, m.regs, "user_aarch64_regs_entry.regs");
    w.uint64(16, m.sp, "user_aarch64_regs_entry.sp");
    w.uint64(24, m.pc, "user_aarch64_regs_entry.pc");
    w.uint64(32, m.pstate, "user_aarch64_regs_entry.pstate");
  },
  read(r: Reader): UserAarch64RegsEntry {
    const regs: bigint[] = [];
    let sp: bigint | undefined;
    let pc: bigint | undefined;
    let pstate: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          regs.push(r.uint64());
          break;
        case 10:
          r.packed(regs, r.uint64);
          break;
        case 16:
          sp = r.uint64();
          break;
        case 24:
          pc = r.uint64();
          break;
        case 32:
          pstate = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (sp === undefined) return r.missing("user_aarch64_regs_entry.sp");
    if (pc === undefined) return r.missing("user_aarch64_regs_entry.pc");
    if (pstate === undefined) return r.missing("user_aarch64_regs_entry.pstate");
    return { regs, sp, pc, pstate };
  },
};

/** Each of the 32 vector registers is two words, the low one first. */
export interface UserAarch64FpsimdContextEntry {
  vregs: bigint[];
  fpsr: number;
  fpcr: number;
}

export const UserAarch64FpsimdContextEntry: Codec<UserAarch64FpsimdContextEntry> = {
  name: "user_aarch64_fpsimd_context_entry",
  write(w: Writer, m: UserAarch64FpsimdContextEntry): void {
    w.uint64s(8, m.vregs, "user_aarch64_fpsimd_context_entry.vregs");
    w.uint32(16, m.fpsr, "user_aarch64_fpsimd_context_entry.fpsr");
    w.uint32(24, m.fpcr, "user_aarch64_fpsimd_context_entry.fpcr");
  },
  read(r: Reader): UserAarch64FpsimdContextEntry {
    const vregs: bigint[] = [];
    let fpsr: number | undefined;
    let fpcr: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          vregs.push(r.uint64());
          break;
        case 10:
          r.packed(vregs, r.uint64);
          break;
        case 16:
          fpsr = r.uint32();
          break;
        case 24:
          fpcr = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (fpsr === undefined) return r.missing("user_aarch64_fpsimd_context_entry.fpsr");
    if (fpcr === undefined) return r.missing("user_aarch64_fpsimd_context_entry.fpcr");
    return { vregs, fpsr, fpcr };
  },
};

/** Guarded control stack. */
export interface UserAarch64GcsEntry {
  gcspr_el0: bigint;
  features_enabled: bigint;
}

export const UserAarch64GcsEntry: Codec<UserAarch64GcsEntry> = {
  name: "user_aarch64_gcs_entry",
  write(w: Writer, m: UserAarch64GcsEntry): void {
    w.uint64(8, m.gcspr_el0, "user_aarch64_gcs_entry.gcspr_el0");
    w.uint64(16, m.features_enabled, "user_aarch64_gcs_entry.features_enabled");
  },
  read(r: Reader): UserAarch64GcsEntry {
    let gcspr_el0: bigint | undefined;
    let features_enabled: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          gcspr_el0 = r.uint64();
          break;
        case 16:
          features_enabled = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (gcspr_el0 === undefined) return r.missing("user_aarch64_gcs_entry.gcspr_el0");
    if (features_enabled === undefined) return r.missing("user_aarch64_gcs_entry.features_enabled");
    return { gcspr_el0, features_enabled };
  },
};

/** Pointer authentication. */
export interface PacKeys {
  pac_address_keys?: PacAddressKeys | undefined;
  pac_generic_keys?: PacGenericKeys | undefined;
}

export const PacKeys: Codec<PacKeys> = {
  name: "pac_keys",
  write(w: Writer, m: PacKeys): void {
    if (m.pac_address_keys !== undefined) w.message(50, PacAddressKeys, m.pac_address_keys, "pac_keys.pac_address_keys");
    if (m.pac_generic_keys !== undefined) w.message(58, PacGenericKeys, m.pac_generic_keys, "pac_keys.pac_generic_keys");
  },
  read(r: Reader): PacKeys {
    let pac_address_keys: PacAddressKeys | undefined;
    let pac_generic_keys: PacGenericKeys | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 50:
          pac_address_keys = r.message(PacAddressKeys);
          break;
        case 58:
          pac_generic_keys = r.message(PacGenericKeys);
          break;
        default:
          r.skip(tag);
      }
    }
    return { pac_address_keys, pac_generic_keys };
  },
};

export interface PacAddressKeys {
  apiakey_lo: bigint;
  apiakey_hi: bigint;
  apibkey_lo: bigint;
  apibkey_hi: bigint;
  apdakey_lo: bigint;
  apdakey_hi: bigint;
  apdbkey_lo: bigint;
  apdbkey_hi: bigint;
  pac_enabled_key: bigint;
}

export const PacAddressKeys: Codec<PacAddressKeys> = {
  name: "pac_address_keys",
  write(w: Writer, m: PacAddressKeys): void {
    w.uint64(8, m.apiakey_lo, "pac_address_keys.apiakey_lo");
    w.uint64(16, m.apiakey_hi, "pac_address_keys.apiakey_hi");
    w.uint64(24, m.apibkey_lo, "pac_address_keys.apibkey_lo");
    w.uint64(32, m.apibkey_hi, "pac_address_keys.apibkey_hi");
    w.uint64(40, m.apdakey_lo, "pac_address_keys.apdakey_lo");
    w.uint64(48, m.apdakey_hi, "pac_address_keys.apdakey_hi");
    w.uint64(56, m.apdbkey_lo, "pac_address_keys.apdbkey_lo");
    w.uint64(64, m.apdbkey_hi, "pac_address_keys.apdbkey_hi");
    w.uint64(72, m.pac_enabled_key, "pac_address_keys.pac_enabled_key");
  },
  read(r: Reader): PacAddressKeys {
    let apiakey_lo: bigint | undefined;
    let apiakey_hi: bigint | undefined;
    let apibkey_lo: bigint | undefined;
    let apibkey_hi: bigint | undefined;
    let apdakey_lo: bigint | undefined;
    let apdakey_hi: bigint | undefined;
    let apdbkey_lo: bigint | undefined;
    let apdbkey_hi: bigint | undefined;
    let pac_enabled_key: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          apiakey_lo = r.uint64();
          break;
        case 16:
          apiakey_hi = r.uint64();
          break;
        case 24:
          apibkey_lo = r.uint64();
          break;
        case 32:
          apibkey_hi = r.uint64();
          break;
        case 40:
          apdakey_lo = r.uint64();
          break;
        case 48:
          apdakey_hi = r.uint64();
          break;
        case 56:
          apdbkey_lo = r.uint64();
          break;
        case 64:
          apdbkey_hi = r.uint64();
          break;
        case 72:
          pac_enabled_key = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (apiakey_lo === undefined) return r.missing("pac_address_keys.apiakey_lo");
    if (apiakey_hi === undefined) return r.missing("pac_address_keys.apiakey_hi");
    if (apibkey_lo === undefined) return r.missing("pac_address_keys.apibkey_lo");
    if (apibkey_hi === undefined) return r.missing("pac_address_keys.apibkey_hi");
    if (apdakey_lo === undefined) return r.missing("pac_address_keys.apdakey_lo");
    if (apdakey_hi === undefined) return r.missing("pac_address_keys.apdakey_hi");
    if (apdbkey_lo === undefined) return r.missing("pac_address_keys.apdbkey_lo");
    if (apdbkey_hi === undefined) return r.missing("pac_address_keys.apdbkey_hi");
    if (pac_enabled_key === undefined) return r.missing("pac_address_keys.pac_enabled_key");
    return { apiakey_lo, apiakey_hi, apibkey_lo, apibkey_hi, apdakey_lo, apdakey_hi, apdbkey_lo, apdbkey_hi, pac_enabled_key };
  },
};

export interface PacGenericKeys {
  apgakey_lo: bigint;
  apgakey_hi: bigint;
}

export const PacGenericKeys: Codec<PacGenericKeys> = {
  name: "pac_generic_keys",
  write(w: Writer, m: PacGenericKeys): void {
    w.uint64(8, m.apgakey_lo, "pac_generic_keys.apgakey_lo");
    w.uint64(16, m.apgakey_hi, "pac_generic_keys.apgakey_hi");
  },
  read(r: Reader): PacGenericKeys {
    let apgakey_lo: bigint | undefined;
    let apgakey_hi: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          apgakey_lo = r.uint64();
          break;
        case 16:
          apgakey_hi = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (apgakey_lo === undefined) return r.missing("pac_generic_keys.apgakey_lo");
    if (apgakey_hi === undefined) return r.missing("pac_generic_keys.apgakey_hi");
    return { apgakey_lo, apgakey_hi };
  },
};
