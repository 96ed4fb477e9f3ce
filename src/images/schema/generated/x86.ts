// Made from x86.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoX86 {
  clear_tid_addr: bigint;
  gpregs: UserX86RegsEntry;
  fpregs: UserX86FpregsEntry;
  /** set_thread_area(2) slots */
  tls: UserDescT[];
}

export const ThreadInfoX86: Codec<ThreadInfoX86> = {
  name: "thread_info_x86",
  write(w: Writer, m: ThreadInfoX86): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_x86.clear_tid_addr");
    w.message(18, UserX86RegsEntry, m.gpregs, "thread_info_x86.gpregs");
    w.message(26, UserX86FpregsEntry, m.fpregs, "thread_info_x86.fpregs");
    for (const v of m.tls) w.message(34, UserDescT, v, "thread_info_x86.tls");
  },
  read(r: Reader): ThreadInfoX86 {
    let clear_tid_addr: bigint | undefined;
    let gpregs: UserX86RegsEntry | undefined;
    let fpregs: UserX86FpregsEntry | undefined;
    const tls: UserDescT[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          clear_tid_addr = r.uint64();
          break;
        case 18:
          gpregs = r.message(UserX86RegsEntry);
          break;
        case 26:
          fpregs = r.message(UserX86FpregsEntry);
          break;
        case 34:
          tls.push(r.message(UserDescT));
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_x86.clear_tid_addr");
    if (gpregs === undefined) return r.missing("thread_info_x86.gpregs");
    if (fpregs === undefined) return r.missing("thread_info_x86.fpregs");
    return { clear_tid_addr, gpregs, fpregs, tls };
  },
};

export const UserX86RegsMode = {
  NATIVE: 1,
  COMPAT: 2,
} as const;
export type UserX86RegsMode = (typeof UserX86RegsMode)[keyof typeof UserX86RegsMode];
export function isUserX86RegsMode(value: number): value is UserX86RegsMode {
  return (value >= 1 && value <= 2);
}

/** The order is that of the kernel's user_regs_struct. */
export interface UserX86RegsEntry {
  r15: bigint;
  r14: bigint;
  r13: bigint;
  r12: bigint;
  bp: bigint;
  bx: bigint;
  r11: bigint;
  r10: bigint;
  r9: bigint;
  r8: bigint;
  ax: bigint;
  cx: bigint;
  dx: bigint;
  si: bigint;
  di: bigint;
  orig_ax: bigint;
  ip: bigint;
  cs: bigint;
  flags: bigint;
  sp: bigint;
  ss: bigint;
  fs_base: bigint;
  gs_base: bigint;
  ds: bigint;
  es: bigint;
  fs: bigint;
  gs: bigint;
  mode?: UserX86RegsMode | undefined;
}

export const UserX86RegsEntry: Codec<UserX86RegsEntry> = {
  name: "user_x86_regs_entry",
  write(w: Writer, m: UserX86RegsEntry): void {
    w.uint64(8, m.r15, "user_x86_regs_entry.r15");
    w.uint64(16, m.r14, "user_x86_regs_entry.r14");
    w.uint64(24, m.r13, "user_x86_regs_entry.r13");
    w.uint64(32, m.r12, "user_x86_regs_entry.r12");
    w.uint64(40, m.bp, "user_x86_regs_entry.bp");
    w.uint64(48, m.bx, "user_x86_regs_entry.bx");
    w.uint64(56, m.r11, "user_x86_regs_entry.r11");
    w.uint64(64, m.r10, "user_x86_regs_entry.r10");
    w.uint64(72, m.r9, "user_x86_regs_entry.r9");
    w.uint64(80, m.r8, "user_x86_regs_entry.r8");
    w.uint64(88, m.ax, "user_x86_regs_entry.ax");
    w.uint64(96, m.cx, "user_x86_regs_entry.cx");
    w.uint64(104, m.dx, "user_x86_regs_entry.dx");
    w.uint64(112, m.si, "user_x86_regs_entry.si");
    w.uint64(120, m.di, "user_x86_regs_entry.di");
    w.uint64(128, m.orig_ax, "user_x86_regs_entry.orig_ax");
    w.uint64(136, m.ip, "user_x86_regs_entry.ip");
    w.uint64(144, m.cs, "user_x86_regs_entry.cs");
    w.uint64(152, m.flags, "user_x86_regs_entry.flags");
    w.uint64(160, m.sp, "user_x86_regs_entry.sp");
    w.uint64(168, m.ss, "user_x86_regs_entry.ss");
    w.uint64(176, m.fs_base, "user_x86_regs_entry.fs_base");
    w.uint64(184, m.gs_base, "user_x86_regs_entry.gs_base");
    w.uint64(192, m.ds, "user_x86_regs_entry.ds");
    w.uint64(200, m.es, "user_x86_regs_entry.es");
    w.uint64(208, m.fs, "user_x86_regs_entry.fs");
    w.uint64(216, m.gs, "user_x86_regs_entry.gs");
    if (m.mode !== undefined) w.int32(224, m.mode, "user_x86_regs_entry.mode");
  },
  read(r: Reader): UserX86RegsEntry {
    let r15: bigint | undefined;
    let r14: bigint | undefined;
    let r13: bigint | undefined;
    let r12: bigint | undefined;
    let bp: bigint | undefined;
    let bx: bigint | undefined;
    let r11: bigint | undefined;
    let r10: bigint | undefined;
    let r9: bigint | undefined;
    let r8: bigint | undefined;
    let ax: bigint | undefined;
    let cx: bigint | undefined;
    let dx: bigint | undefined;
    let si: bigint | undefined;
    let di: bigint | undefined;
    let orig_ax: bigint | undefined;
    let ip: bigint | undefined;
    let cs: bigint | undefined;
    let flags: bigint | undefined;
    let sp: bigint | undefined;
    let ss: bigint | undefined;
    let fs_base: bigint | undefined;
    let gs_base: bigint | undefined;
    let ds: bigint | undefined;
    let es: bigint | undefined;
    let fs: bigint | undefined;
    let gs: bigint | undefined;
    let mode: UserX86RegsMode | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          r15 = r.uint64();
          break;
        case 16:
          r14 = r.uint64();
          break;
        case 24:
          r13 = r.uint64();
          break;
        case 32:
          r12 = r.uint64();
          break;
        case 40:
          bp = r.uint64();
          break;
        case 48:
          bx = r.uint64();
          break;
        case 56:
          r11 = r.uint64();
          break;
        case 64:
          r10 = r.uint64();
          break;
        case 72:
          r9 = r.uint64();
          break;
        case 80:
          r8 = r.uint64();
          break;
        case 88:
          ax = r.uint64();
          break;
        case 96:
          cx = r.uint64();
          break;
        case 104:
          dx = r.uint64();
          break;
        case 112:
          si = r.uint64();
          break;
        case 120:
          di = r.uint64();
          break;
        case 128:
          orig_ax = r.uint64();
          break;
        case 136:
          ip = r.uint64();
          break;
        case 144:
          cs = r.uint64();
          break;
        case 152:
          flags = r.uint64();
          break;
        case 160:
          sp = r.uint64();
          break;
        case 168:
          ss = r.uint64();
          break;
        case 176:
          fs_base = r.uint64();
          break;
        case 184:
          gs_base = r.uint64();
          break;
        case 192:
          ds = r.uint64();
          break;
        case 200:
          es = r.uint64();
          break;
        case 208:
          fs = r.uint64();
          break;
        case 216:
          gs = r.uint64();
          break;
        case 224:
          mode = r.enumeration(isUserX86RegsMode, "user_x86_regs_entry.mode");
          break;
        default:
          r.skip(tag);
      }
    }
    if (r15 === undefined) return r.missing("user_x86_regs_entry.r15");
    if (r14 === undefined) return r.missing("user_x86_regs_entry.r14");
    if (r13 === undefined) return r.missing("user_x86_regs_entry.r13");
    if (r12 === undefined) return r.missing("user_x86_regs_entry.r12");
    if (bp === undefined) return r.missing("user_x86_regs_entry.bp");
    if (bx === undefined) return r.missing("user_x86_regs_entry.bx");
    if (r11 === undefined) return r.missing("user_x86_regs_entry.r11");
    if (r10 === undefined) return r.missing("user_x86_regs_entry.r10");
    if (r9 === undefined) return r.missing("user_x86_regs_entry.r9");
    if (r8 === undefined) return r.missing("user_x86_regs_entry.r8");
    if (ax === undefined) return r.missing("user_x86_regs_entry.ax");
    if (cx === undefined) return r.missing("user_x86_regs_entry.cx");
    if (dx === undefined) return r.missing("user_x86_regs_entry.dx");
    if (si === undefined) return r.missing("user_x86_regs_entry.si");
    if (di === undefined) return r.missing("user_x86_regs_entry.di");
    if (orig_ax === undefined) return r.missing("user_x86_regs_entry.orig_ax");
    if (ip === undefined) return r.missing("user_x86_regs_entry.ip");
    if (cs === undefined) return r.missing("user_x86_regs_entry.cs");
    if (flags === undefined) return r.missing("user_x86_regs_entry.flags");
    if (sp === undefined) return r.missing("user_x86_regs_entry.sp");
    if (ss === undefined) return r.missing("user_x86_regs_entry.ss");
    if (fs_base === undefined) return r.missing("user_x86_regs_entry.fs_base");
    if (gs_base === undefined) return r.missing("user_x86_regs_entry.gs_base");
    if (ds === undefined) return r.missing("user_x86_regs_entry.ds");
    if (es === undefined) return r.missing("user_x86_regs_entry.es");
    if (fs === undefined) return r.missing("user_x86_regs_entry.fs");
    if (gs === undefined) return r.missing("user_x86_regs_entry.gs");
    return { r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss, fs_base, gs_base, ds, es, fs, gs, mode };
  },
};

/** The FXSAVE area; what is beyond it stands in `xsave`. */
export interface UserX86FpregsEntry {
  cwd: number;
  swd: number;
  twd: number;
  fop: number;
  rip: bigint;
  rdp: bigint;
  mxcsr: number;
  mxcsr_mask: number;
  st_space: number[];
  xmm_space: number[];
  /** old images only */
  padding: number[];
  xsave?: UserX86XsaveEntry | undefined;
}

export const UserX86FpregsEntry: Codec<UserX86FpregsEntry> = {
  name: "user_x86_fpregs_entry",
  write(w: Writer, m: UserX86FpregsEntry): void {
    w.uint32(8, m.cwd, "user_x86_fpregs_entry.cwd");
    w.uint32(16, m.swd, "user_x86_fpregs_entry.swd");
    w.uint32(24, m.twd, "user_x86_fpregs_entry.twd");
    w.uint32(32, m.fop, "user_x86_fpregs_entry.fop");
    w.uint64(40, m.rip, "user_x86_fpregs_entry.rip");
    w.uint64(48, m.rdp, "user_x86_fpregs_entry.rdp");
    w.uint32(56, m.mxcsr, "user_x86_fpregs_entry.mxcsr");
    w.uint32(64, m.mxcsr_mask, "user_x86_fpregs_entry.mxcsr_mask");
    w.uint32s(72, m.st_space, "user_x86_fpregs_entry.st_space");
    w.uint32s(80, m.xmm_space, "user_x86_fpregs_entry.xmm_space");
    w.uint32s(88, m.padding, "user_x86_fpregs_entry.padding");
    if (m.xsave !== undefined) w.message(106, UserX86XsaveEntry, m.xsave, "user_x86_fpregs_entry.xsave");
  },
  read(r: Reader): UserX86FpregsEntry {
    let cwd: number | undefined;
    let swd: number | undefined;
    let twd: number | undefined;
    let fop: number | undefined;
    let rip: bigint | undefined;
    let rdp: bigint | undefined;
    let mxcsr: number | undefined;
    let mxcsr_mask: number | undefined;
    const st_space: number[] = [];
    const xmm_space: number[] = [];
    const padding: number[] = [];
    let xsave: UserX86XsaveEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          cwd = r.uint32();
          break;
        case 16:
          swd = r.uint32();
          break;
        case 24:
          twd = r.uint32();
          break;
        case 32:
          fop = r.uint32();
          break;
        case 40:
          rip = r.uint64();
          break;
        case 48:
          rdp = r.uint64();
          break;
        case 56:
          mxcsr = r.uint32();
          break;
        case 64:
          mxcsr_mask = r.uint32();
          break;
        case 72:
          st_space.push(r.uint32());
          break;
        case 74:
          r.packed(st_space, r.uint32);
          break;
        case 80:
          xmm_space.push(r.uint32());
          break;
        case 82:
          r.packed(xmm_space, r.uint32);
          break;
        case 88:
          padding.push(r.uint32());
          break;
        case 90:
          r.packed(padding, r.uint32);
          break;
        case 106:
          xsave = r.message(UserX86XsaveEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (cwd === undefined) return r.missing("user_x86_fpregs_entry.cwd");
    if (swd === undefined) return r.missing("user_x86_fpregs_entry.swd");
    if (twd === undefined) return r.missing("user_x86_fpregs_entry.twd");
    if (fop === undefined) return r.missing("user_x86_fpregs_entry.fop");
    if (rip === undefined) return r.missing("user_x86_fpregs_entry.rip");
    if (rdp === undefined) return r.missing("user_x86_fpregs_entry.rdp");
    if (mxcsr === undefined) return r.missing("user_x86_fpregs_entry.mxcsr");
    if (mxcsr_mask === undefined) return r.missing("user_x86_fpregs_entry.mxcsr_mask");
    return { cwd, swd, twd, fop, rip, rdp, mxcsr, mxcsr_mask, st_space, xmm_space, padding, xsave };
  },
};

/** XSAVE components, by the bit of XCR0 each belongs to. */
export interface UserX86XsaveEntry {
  xstate_bv: bigint;
  /** bit 2 */
  ymmh_space: number[];
  /** bit 3 */
  bndreg_state: bigint[];
  /** bit 4 */
  bndcsr_state: bigint[];
  /** bit 5 */
  opmask_reg: bigint[];
  /** bit 6 */
  zmm_upper: bigint[];
  /** bit 7 */
  hi16_zmm: bigint[];
  /** bit 9 */
  pkru: number[];
  /** bits 11 and 12 */
  cet?: UserX86CetEntry | undefined;
  /** Of criu-ts only: components that CRIU's images have no place for; their bits are not in xstate_bv. */
  others: UserX86ComponentEntry[];
}

export const UserX86XsaveEntry: Codec<UserX86XsaveEntry> = {
  name: "user_x86_xsave_entry",
  write(w: Writer, m: UserX86XsaveEntry): void {
    w.uint64(8, m.xstate_bv, "user_x86_xsave_entry.xstate_bv");
    w.uint32s(16, m.ymmh_space, "user_x86_xsave_entry.ymmh_space");
    w.uint64s(24, m.bndreg_state, "user_x86_xsave_entry.bndreg_state");
    w.uint64s(32, m.bndcsr_state, "user_x86_xsave_entry.bndcsr_state");
    w.uint64s(40, m.opmask_reg, "user_x86_xsave_entry.opmask_reg");
    w.uint64s(48, m.zmm_upper, "user_x86_xsave_entry.zmm_upper");
    w.uint64s(56, m.hi16_zmm, "user_x86_xsave_entry.hi16_zmm");
    w.uint32s(64, m.pkru, "user_x86_xsave_entry.pkru");
    if (m.cet !== undefined) w.message(74, UserX86CetEntry, m.cet, "user_x86_xsave_entry.cet");
    for (const v of m.others) w.message(8002, UserX86ComponentEntry, v, "user_x86_xsave_entry.others");
  },
  read(r: Reader): UserX86XsaveEntry {
    let xstate_bv: bigint | undefined;
    const ymmh_space: number[] = [];
    const bndreg_state: bigint[] = [];
    const bndcsr_state: bigint[] = [];
    const opmask_reg: bigint[] = [];
    const zmm_upper: bigint[] = [];
    const hi16_zmm: bigint[] = [];
    const pkru: number[] = [];
    let cet: UserX86CetEntry | undefined;
    const others: UserX86ComponentEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          xstate_bv = r.uint64();
          break;
        case 16:
          ymmh_space.push(r.uint32());
          break;
        case 18:
          r.packed(ymmh_space, r.uint32);
          break;
        case 24:
          bndreg_state.push(r.uint64());
          break;
        case 26:
          r.packed(bndreg_state, r.uint64);
          break;
        case 32:
          bndcsr_state.push(r.uint64());
          break;
        case 34:
          r.packed(bndcsr_state, r.uint64);
          break;
        case 40:
          opmask_reg.push(r.uint64());
          break;
        case 42:
          r.packed(opmask_reg, r.uint64);
          break;
        case 48:
          zmm_upper.push(r.uint64());
          break;
        case 50:
          r.packed(zmm_upper, r.uint64);
          break;
        case 56:
          hi16_zmm.push(r.uint64());
          break;
        case 58:
          r.packed(hi16_zmm, r.uint64);
          break;
        case 64:
          pkru.push(r.uint32());
          break;
        case 66:
          r.packed(pkru, r.uint32);
          break;
        case 74:
          cet = r.message(UserX86CetEntry);
          break;
        case 8002:
          others.push(r.message(UserX86ComponentEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (xstate_bv === undefined) return r.missing("user_x86_xsave_entry.xstate_bv");
    return { xstate_bv, ymmh_space, bndreg_state, bndcsr_state, opmask_reg, zmm_upper, hi16_zmm, pkru, cet, others };
  },
};

/** A component of an extended state as it stands in the standard format. */
export interface UserX86ComponentEntry {
  feature: number;
  content: Uint8Array;
}

export const UserX86ComponentEntry: Codec<UserX86ComponentEntry> = {
  name: "user_x86_component_entry",
  write(w: Writer, m: UserX86ComponentEntry): void {
    w.uint32(8, m.feature, "user_x86_component_entry.feature");
    w.bytes(18, m.content, "user_x86_component_entry.content");
  },
  read(r: Reader): UserX86ComponentEntry {
    let feature: number | undefined;
    let content: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          feature = r.uint32();
          break;
        case 18:
          content = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (feature === undefined) return r.missing("user_x86_component_entry.feature");
    if (content === undefined) return r.missing("user_x86_component_entry.content");
    return { feature, content };
  },
};

/** The two words of the user part of control-flow enforcement: its switch and its shadow stack pointer. */
export interface UserX86CetEntry {
  cet: bigint;
  ssp: bigint;
}

export const UserX86CetEntry: Codec<UserX86CetEntry> = {
  name: "user_x86_cet_entry",
  write(w: Writer, m: UserX86CetEntry): void {
    w.uint64(8, m.cet, "user_x86_cet_entry.cet");
    w.uint64(16, m.ssp, "user_x86_cet_entry.ssp");
  },
  read(r: Reader): UserX86CetEntry {
    let cet: bigint | undefined;
    let ssp: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          cet = r.uint64();
          break;
        case 16:
          ssp = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (cet === undefined) return r.missing("user_x86_cet_entry.cet");
    if (ssp === undefined) return r.missing("user_x86_cet_entry.ssp");
    return { cet, ssp };
  },
};

/** One segment descriptor as struct user_desc has it, bit fields taken apart. */
export interface UserDescT {
  entry_number: number;
  base_addr: number;
  limit: number;
  seg_32bit: boolean;
  contents_h: boolean;
  contents_l: boolean;
  read_exec_only: boolean;
  limit_in_pages: boolean;
  seg_not_present: boolean;
  usable: boolean;
}

export const UserDescT: Codec<UserDescT> = {
  name: "user_desc_t",
  write(w: Writer, m: UserDescT): void {
    w.uint32(8, m.entry_number, "user_desc_t.entry_number");
    w.uint32(16, m.base_addr, "user_desc_t.base_addr");
    w.uint32(24, m.limit, "user_desc_t.limit");
    w.bool(32, m.seg_32bit, "user_desc_t.seg_32bit");
    w.bool(40, m.contents_h, "user_desc_t.contents_h");
    w.bool(48, m.contents_l, "user_desc_t.contents_l");
    w.bool(56, m.read_exec_only, "user_desc_t.read_exec_only");
    w.bool(64, m.limit_in_pages, "user_desc_t.limit_in_pages");
    w.bool(72, m.seg_not_present, "user_desc_t.seg_not_present");
    w.bool(80, m.usable, "user_desc_t.usable");
  },
  read(r: Reader): UserDescT {
    let entry_number: number | undefined;
    let base_addr: number | undefined;
    let limit_: number | undefined;
    let seg_32bit: boolean | undefined;
    let contents_h: boolean | undefined;
    let contents_l: boolean | undefined;
    let read_exec_only: boolean | undefined;
    let limit_in_pages: boolean | undefined;
    let seg_not_present: boolean | undefined;
    let usable: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          entry_number = r.uint32();
          break;
        case 16:
          base_addr = r.uint32();
          break;
        case 24:
          limit_ = r.uint32();
          break;
        case 32:
          seg_32bit = r.bool();
          break;
        case 40:
          contents_h = r.bool();
          break;
        case 48:
          contents_l = r.bool();
          break;
        case 56:
          read_exec_only = r.bool();
          break;
        case 64:
          limit_in_pages = r.bool();
          break;
        case 72:
          seg_not_present = r.bool();
          break;
        case 80:
          usable = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    if (entry_number === undefined) return r.missing("user_desc_t.entry_number");
    if (base_addr === undefined) return r.missing("user_desc_t.base_addr");
    if (limit_ === undefined) return r.missing("user_desc_t.limit");
    if (seg_32bit === undefined) return r.missing("user_desc_t.seg_32bit");
    if (contents_h === undefined) return r.missing("user_desc_t.contents_h");
    if (contents_l === undefined) return r.missing("user_desc_t.contents_l");
    if (read_exec_only === undefined) return r.missing("user_desc_t.read_exec_only");
    if (limit_in_pages === undefined) return r.missing("user_desc_t.limit_in_pages");
    if (seg_not_present === undefined) return r.missing("user_desc_t.seg_not_present");
    if (usable === undefined) return r.missing("user_desc_t.usable");
    return { entry_number, base_addr, limit: limit_, seg_32bit, contents_h, contents_l, read_exec_only, limit_in_pages, seg_not_present, usable };
  },
};
