// Made from s390.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoS390 {
  clear_tid_addr: bigint;
  gpregs: UserS390RegsEntry;
  fpregs: UserS390FpregsEntry;
  vxrs_low?: UserS390VxrsLowEntry | undefined;
  vxrs_high?: UserS390VxrsHighEntry | undefined;
  /** guarded storage */
  gs_cb?: UserS390GsCbEntry | undefined;
  gs_bc?: UserS390GsCbEntry | undefined;
  /** runtime instrumentation */
  ri_cb?: UserS390RiEntry | undefined;
}

export const ThreadInfoS390: Codec<ThreadInfoS390> = {
  name: "thread_info_s390",
  write(w: Writer, m: ThreadInfoS390): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_s390.clear_tid_addr");
    w.message(18, UserS390RegsEntry, m.gpregs, "thread_info_s390.gpregs");
    w.message(26, UserS390FpregsEntry, m.fpregs, "thread_info_s390.fpregs");
    if (m.vxrs_low !== undefined) w.message(34, UserS390VxrsLowEntry, m.vxrs_low, "thread_info_s390.vxrs_low");
    if (m.vxrs_high !== undefined) w.message(42, UserS390VxrsHighEntry, m.vxrs_high, "thread_info_s390.vxrs_high");
    if (m.gs_cb !== undefined) w.message(50, UserS390GsCbEntry, m.gs_cb, "thread_info_s390.gs_cb");
    if (m.gs_bc !== undefined) w.message(58, UserS390GsCbEntry, m.gs_bc, "thread_info_s390.gs_bc");
    if (m.ri_cb !== undefined) w.message(66, UserS390RiEntry, m.ri_cb, "thread_info_s390.ri_cb");
  },
  read(r: Reader): ThreadInfoS390 {
    let clear_tid_addr: bigint | undefined;
    let gpregs: UserS390RegsEntry | undefined;
    let fpregs: UserS390FpregsEntry | undefined;
    let vxrs_low: UserS390VxrsLowEntry | undefined;
    let vxrs_high: UserS390VxrsHighEntry | undefined;
    let gs_cb: UserS390GsCbEntry | undefined;
    let gs_bc: UserS390GsCbEntry | undefined;
    let ri_cb: UserS390RiEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          clear_tid_addr = r.uint64();
          break;
        case 18:
          gpregs = r.message(UserS390RegsEntry);
          break;
        case 26:
          fpregs = r.message(UserS390FpregsEntry);
          break;
        case 34:
          vxrs_low = r.message(UserS390VxrsLowEntry);
          break;
        case 42:
          vxrs_high = r.message(UserS390VxrsHighEntry);
          break;
        case 50:
          gs_cb = r.message(UserS390GsCbEntry);
          break;
        case 58:
          gs_bc = r.message(UserS390GsCbEntry);
          break;
        case 66:
          ri_cb = r.message(UserS390RiEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_s390.clear_tid_addr");
    if (gpregs === undefined) return r.missing("thread_info_s390.gpregs");
    if (fpregs === undefined) return r.missing("thread_info_s390.fpregs");
    return { clear_tid_addr, gpregs, fpregs, vxrs_low, vxrs_high, gs_cb, gs_bc, ri_cb };
  },
};

export interface UserS390RegsEntry {
  psw_mask: bigint;
  psw_addr: bigint;
  gprs: bigint[];
  acrs: number[];
  orig_gpr2: bigint;
  system_call: number;
}

export const UserS390RegsEntry: Codec<UserS390RegsEntry> = {
  name: "user_s390_regs_entry",
  write(w: Writer, m: UserS390RegsEntry): void {
    w.uint64(8, m.psw_mask, "user_s390_regs_entry.psw_mask");
    w.uint64(16, m.psw_addr, "user_s390_regs_entry.psw_addr");
    w.uint64s(24, m.gprs, "user_s390_regs_entry.gprs");
    w.uint32s(32, m.acrs, "user_s390_regs_entry.acrs");
    w.uint64(40, m.orig_gpr2, "user_s390_regs_entry.orig_gpr2");
    w.uint32(48, m.system_call, "user_s390_regs_entry.system_call");
  },
  read(r: Reader): UserS390RegsEntry {
    let psw_mask: bigint | undefined;
    let psw_addr: bigint | undefined;
    const gprs: bigint[] = [];
    const acrs: number[] = [];
    let orig_gpr2: bigint | undefined;
    let system_call: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          psw_mask = r.uint64();
          break;
        case 16:
          psw_addr = r.uint64();
          break;
        case 24:
          gprs.push(r.uint64());
          break;
        case 26:
          r.packed(gprs, r.uint64);
          break;
        case 32:
          acrs.push(r.uint32());
          break;
        case 34:
          r.packed(acrs, r.uint32);
          break;
        case 40:
          orig_gpr2 = r.uint64();
          break;
        case 48:
          system_call = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (psw_mask === undefined) return r.missing("user_s390_regs_entry.psw_mask");
    if (psw_addr === undefined) return r.missing("user_s390_regs_entry.psw_addr");
    if (orig_gpr2 === undefined) return r.missing("user_s390_regs_entry.orig_gpr2");
    if (system_call === undefined) return r.missing("user_s390_regs_entry.system_call");
    return { psw_mask, psw_addr, gprs, acrs, orig_gpr2, system_call };
  },
};

export interface UserS390FpregsEntry {
  fpc: number;
  fprs: bigint[];
}

export const UserS390FpregsEntry: Codec<UserS390FpregsEntry> = {
  name: "user_s390_fpregs_entry",
  write(w: Writer, m: UserS390FpregsEntry): void {
    w.uint32(8, m.fpc, "user_s390_fpregs_entry.fpc");
    w.uint64s(16, m.fprs, "user_s390_fpregs_entry.fprs");
  },
  read(r: Reader): UserS390FpregsEntry {
    let fpc: number | undefined;
    const fprs: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          fpc = r.uint32();
          break;
        case 16:
          fprs.push(r.uint64());
          break;
        case 18:
          r.packed(fprs, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    if (fpc === undefined) return r.missing("user_s390_fpregs_entry.fpc");
    return { fpc, fprs };
  },
};

/** Low words of the vector registers 0 to 15, whose high words are the floating-point registers. */
export interface UserS390VxrsLowEntry {
  regs: bigint[];
}

export const UserS390VxrsLowEntry: Codec<UserS390VxrsLowEntry> = {
  name: "user_s390_vxrs_low_entry",
  write(w: Writer, m: UserS390VxrsLowEntry): void {
    w.uint64s(8, m.regs, "user_s390_vxrs_low_entry.regs");
  },
  read(r: Reader): UserS390VxrsLowEntry {
    const regs: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          regs.push(r.uint64());
          break;
        case 10:
          r.packed(regs, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    return { regs };
  },
};

/** The vector registers 16 to 31, two words each, the high one first. */
export interface UserS390VxrsHighEntry {
  regs: bigint[];
}

export const UserS390VxrsHighEntry: Codec<UserS390VxrsHighEntry> = {
  name: "user_s390_vxrs_high_entry",
  write(w: Writer, m: UserS390VxrsHighEntry): void {
    w.uint64s(8, m.regs, "user_s390_vxrs_high_entry.regs");
  },
  read(r: Reader): UserS390VxrsHighEntry {
    const regs: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          regs.push(r.uint64());
          break;
        case 10:
          r.packed(regs, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    return { regs };
  },
};

export interface UserS390GsCbEntry {
  regs: bigint[];
}

export const UserS390GsCbEntry: Codec<UserS390GsCbEntry> = {
  name: "user_s390_gs_cb_entry",
  write(w: Writer, m: UserS390GsCbEntry): void {
    w.uint64s(8, m.regs, "user_s390_gs_cb_entry.regs");
  },
  read(r: Reader): UserS390GsCbEntry {
    const regs: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          regs.push(r.uint64());
          break;
        case 10:
          r.packed(regs, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    return { regs };
  },
};

export interface UserS390RiEntry {
  ri_on: number;
  regs: bigint[];
}

export const UserS390RiEntry: Codec<UserS390RiEntry> = {
  name: "user_s390_ri_entry",
  write(w: Writer, m: UserS390RiEntry): void {
    w.uint32(8, m.ri_on, "user_s390_ri_entry.ri_on");
    w.uint64s(16, m.regs, "user_s390_ri_entry.regs");
  },
  read(r: Reader): UserS390RiEntry {
    let ri_on: number | undefined;
    const regs: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          ri_on = r.uint32();
          break;
        case 16:
          regs.push(r.uint64());
          break;
        case 18:
          r.packed(regs, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    if (ri_on === undefined) return r.missing("user_s390_ri_entry.ri_on");
    return { ri_on, regs };
  },
};
