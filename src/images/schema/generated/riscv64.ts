// Made from riscv64.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoRiscv64 {
  clear_tid_addr: bigint;
  tls: bigint;
  gpregs: UserRiscv64RegsEntry;
  fpsimd: UserRiscv64DExtEntry;
}

export const ThreadInfoRiscv64: Codec<ThreadInfoRiscv64> = {
  name: "thread_info_riscv64",
  write(w: Writer, m: ThreadInfoRiscv64): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_riscv64.clear_tid_addr");
    w.uint64(16, m.tls, "thread_info_riscv64.tls");
    w.message(26, UserRiscv64RegsEntry, m.gpregs, "thread_info_riscv64.gpregs");
    w.message(34, UserRiscv64DExtEntry, m.fpsimd, "thread_info_riscv64.fpsimd");
  },
  read(r: Reader): ThreadInfoRiscv64 {
    let clear_tid_addr: bigint | undefined;
    let tls: bigint | undefined;
    let gpregs: UserRiscv64RegsEntry | undefined;
    let fpsimd: UserRiscv64DExtEntry | undefined;
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
          gpregs = r.message(UserRiscv64RegsEntry);
          break;
        case 34:
          fpsimd = r.message(UserRiscv64DExtEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_riscv64.clear_tid_addr");
    if (tls === undefined) return r.missing("thread_info_riscv64.tls");
    if (gpregs === undefined) return r.missing("thread_info_riscv64.gpregs");
    if (fpsimd === undefined) return r.missing("thread_info_riscv64.fpsimd");
    return { clear_tid_addr, tls, gpregs, fpsimd };
  },
};

export interface UserRiscv64RegsEntry {
  pc: bigint;
  ra: bigint;
  sp: bigint;
  gp: bigint;
  tp: bigint;
  t0: bigint;
  t1: bigint;
  t2: bigint;
  s0: bigint;
  s1: bigint;
  a0: bigint;
  a1: bigint;
  a2: bigint;
  a3: bigint;
  a4: bigint;
  a5: bigint;
  a6: bigint;
  a7: bigint;
  s2: bigint;
  s3: bigint;
  s4: bigint;
  s5: bigint;
  s6: bigint;
  s7: bigint;
  s8: bigint;
  s9: bigint;
  s10: bigint;
  s11: bigint;
  t3: bigint;
  t4: bigint;
  t5: bigint;
  t6: bigint;
}

export const UserRiscv64RegsEntry: Codec<UserRiscv64RegsEntry> = {
  name: "user_riscv64_regs_entry",
  write(w: Writer, m: UserRiscv64RegsEntry): void {
    w.uint64(8, m.pc, "user_riscv64_regs_entry.pc");
    w.uint64(16, m.ra, "user_riscv64_regs_entry.ra");
    w.uint64(24, m.sp, "user_riscv64_regs_entry.sp");
    w.uint64(32, m.gp, "user_riscv64_regs_entry.gp");
    w.uint64(40, m.tp, "user_riscv64_regs_entry.tp");
    w.uint64(48, m.t0, "user_riscv64_regs_entry.t0");
    w.uint64(56, m.t1, "user_riscv64_regs_entry.t1");
    w.uint64(64, m.t2, "user_riscv64_regs_entry.t2");
    w.uint64(72, m.s0, "user_riscv64_regs_entry.s0");
    w.uint64(80, m.s1, "user_riscv64_regs_entry.s1");
    w.uint64(88, m.a0, "user_riscv64_regs_entry.a0");
    w.uint64(96, m.a1, "user_riscv64_regs_entry.a1");
    w.uint64(104, m.a2, "user_riscv64_regs_entry.a2");
    w.uint64(112, m.a3, "user_riscv64_regs_entry.a3");
    w.uint64(120, m.a4, "user_riscv64_regs_entry.a4");
    w.uint64(128, m.a5, "user_riscv64_regs_entry.a5");
    w.uint64(136, m.a6, "user_riscv64_regs_entry.a6");
    w.uint64(144, m.a7, "user_riscv64_regs_entry.a7");
    w.uint64(152, m.s2, "user_riscv64_regs_entry.s2");
    w.uint64(160, m.s3, "user_riscv64_regs_entry.s3");
    w.uint64(168, m.s4, "user_riscv64_regs_entry.s4");
    w.uint64(176, m.s5, "user_riscv64_regs_entry.s5");
    w.uint64(184, m.s6, "user_riscv64_regs_entry.s6");
    w.uint64(192, m.s7, "user_riscv64_regs_entry.s7");
    w.uint64(200, m.s8, "user_riscv64_regs_entry.s8");
    w.uint64(208, m.s9, "user_riscv64_regs_entry.s9");
    w.uint64(216, m.s10, "user_riscv64_regs_entry.s10");
    w.uint64(224, m.s11, "user_riscv64_regs_entry.s11");
    w.uint64(232, m.t3, "user_riscv64_regs_entry.t3");
    w.uint64(240, m.t4, "user_riscv64_regs_entry.t4");
    w.uint64(248, m.t5, "user_riscv64_regs_entry.t5");
    w.uint64(256, m.t6, "user_riscv64_regs_entry.t6");
  },
  read(r: Reader): UserRiscv64RegsEntry {
    let pc: bigint | undefined;
    let ra: bigint | undefined;
    let sp: bigint | undefined;
    let gp: bigint | undefined;
    let tp: bigint | undefined;
    let t0: bigint | undefined;
    let t1: bigint | undefined;
    let t2: bigint | undefined;
    let s0: bigint | undefined;
    let s1: bigint | undefined;
    let a0: bigint | undefined;
    let a1: bigint | undefined;
    let a2: bigint | undefined;
    let a3: bigint | undefined;
    let a4: bigint | undefined;
    let a5: bigint | undefined;
    let a6: bigint | undefined;
    let a7: bigint | undefined;
    let s2: bigint | undefined;
    let s3: bigint | undefined;
    let s4: bigint | undefined;
    let s5: bigint | undefined;
    let s6: bigint | undefined;
    let s7: bigint | undefined;
    let s8: bigint | undefined;
    let s9: bigint | undefined;
    let s10: bigint | undefined;
    let s11: bigint | undefined;
    let t3: bigint | undefined;
    let t4: bigint | undefined;
    let t5: bigint | undefined;
    let t6: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          pc = r.uint64();
          break;
        case 16:
          ra = r.uint64();
          break;
        case 24:
          sp = r.uint64();
          break;
        case 32:
          gp = r.uint64();
          break;
        case 40:
          tp = r.uint64();
          break;
        case 48:
          t0 = r.uint64();
          break;
        case 56:
          t1 = r.uint64();
          break;
        case 64:
          t2 = r.uint64();
          break;
        case 72:
          s0 = r.uint64();
          break;
        case 80:
          s1 = r.uint64();
          break;
        case 88:
          a0 = r.uint64();
          break;
        case 96:
          a1 = r.uint64();
          break;
        case 104:
          a2 = r.uint64();
          break;
        case 112:
          a3 = r.uint64();
          break;
        case 120:
          a4 = r.uint64();
          break;
        case 128:
          a5 = r.uint64();
          break;
        case 136:
          a6 = r.uint64();
          break;
        case 144:
          a7 = r.uint64();
          break;
        case 152:
          s2 = r.uint64();
          break;
        case 160:
          s3 = r.uint64();
          break;
        case 168:
          s4 = r.uint64();
          break;
        case 176:
          s5 = r.uint64();
          break;
        case 184:
          s6 = r.uint64();
          break;
        case 192:
          s7 = r.uint64();
          break;
        case 200:
          s8 = r.uint64();
          break;
        case 208:
          s9 = r.uint64();
          break;
        case 216:
          s10 = r.uint64();
          break;
        case 224:
          s11 = r.uint64();
          break;
        case 232:
          t3 = r.uint64();
          break;
        case 240:
          t4 = r.uint64();
          break;
        case 248:
          t5 = r.uint64();
          break;
        case 256:
          t6 = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (pc === undefined) return r.missing("user_riscv64_regs_entry.pc");
    if (ra === undefined) return r.missing("user_riscv64_regs_entry.ra");
    if (sp === undefined) return r.missing("user_riscv64_regs_entry.sp");
    if (gp === undefined) return r.missing("user_riscv64_regs_entry.gp");
    if (tp === undefined) return r.missing("user_riscv64_regs_entry.tp");
    if (t0 === undefined) return r.missing("user_riscv64_regs_entry.t0");
    if (t1 === undefined) return r.missing("user_riscv64_regs_entry.t1");
    if (t2 === undefined) return r.missing("user_riscv64_regs_entry.t2");
    if (s0 === undefined) return r.missing("user_riscv64_regs_entry.s0");
    if (s1 === undefined) return r.missing("user_riscv64_regs_entry.s1");
    if (a0 === undefined) return r.missing("user_riscv64_regs_entry.a0");
    if (a1 === undefined) return r.missing("user_riscv64_regs_entry.a1");
    if (a2 === undefined) return r.missing("user_riscv64_regs_entry.a2");
    if (a3 === undefined) return r.missing("user_riscv64_regs_entry.a3");
    if (a4 === undefined) return r.missing("user_riscv64_regs_entry.a4");
    if (a5 === undefined) return r.missing("user_riscv64_regs_entry.a5");
    if (a6 === undefined) return r.missing("user_riscv64_regs_entry.a6");
    if (a7 === undefined) return r.missing("user_riscv64_regs_entry.a7");
    if (s2 === undefined) return r.missing("user_riscv64_regs_entry.s2");
    if (s3 === undefined) return r.missing("user_riscv64_regs_entry.s3");
    if (s4 === undefined) return r.missing("user_riscv64_regs_entry.s4");
    if (s5 === undefined) return r.missing("user_riscv64_regs_entry.s5");
    if (s6 === undefined) return r.missing("user_riscv64_regs_entry.s6");
    if (s7 === undefined) return r.missing("user_riscv64_regs_entry.s7");
    if (s8 === undefined) return r.missing("user_riscv64_regs_entry.s8");
    if (s9 === undefined) return r.missing("user_riscv64_regs_entry.s9");
    if (s10 === undefined) return r.missing("user_riscv64_regs_entry.s10");
    if (s11 === undefined) return r.missing("user_riscv64_regs_entry.s11");
    if (t3 === undefined) return r.missing("user_riscv64_regs_entry.t3");
    if (t4 === undefined) return r.missing("user_riscv64_regs_entry.t4");
    if (t5 === undefined) return r.missing("user_riscv64_regs_entry.t5");
    if (t6 === undefined) return r.missing("user_riscv64_regs_entry.t6");
    return { pc, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, t3, t4, t5, t6 };
  },
};

/** The double-precision registers f0 to f31. */
export interface UserRiscv64DExtEntry {
  f: bigint[];
  fcsr: number;
}

export const UserRiscv64DExtEntry: Codec<UserRiscv64DExtEntry> = {
  name: "user_riscv64_d_ext_entry",
  write(w: Writer, m: UserRiscv64DExtEntry): void {
    w.uint64s(8, m.f, "user_riscv64_d_ext_entry.f");
    w.uint32(16, m.fcsr, "user_riscv64_d_ext_entry.fcsr");
  },
  read(r: Reader): UserRiscv64DExtEntry {
    const f: bigint[] = [];
    let fcsr: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          f.push(r.uint64());
          break;
        case 10:
          r.packed(f, r.uint64);
          break;
        case 16:
          fcsr = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (fcsr === undefined) return r.missing("user_riscv64_d_ext_entry.fcsr");
    return { f, fcsr };
  },
};
