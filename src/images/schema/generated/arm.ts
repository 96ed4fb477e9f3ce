// Made from arm.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoArm {
  clear_tid_addr: bigint;
  tls: number;
  gpregs: UserArmRegsEntry;
  fpstate: UserArmVfpstateEntry;
}

export const ThreadInfoArm: Codec<ThreadInfoArm> = {
  name: "thread_info_arm",
  write(w: Writer, m: ThreadInfoArm): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_arm.clear_tid_addr");
    w.uint32(16, m.tls, "thread_info_arm.tls");
    w.message(26, UserArmRegsEntry, m.gpregs, "thread_info_arm.gpregs");
    w.message(34, UserArmVfpstateEntry, m.fpstate, "thread_info_arm.fpstate");
  },
  read(r: Reader): ThreadInfoArm {
    let clear_tid_addr: bigint | undefined;
    let tls: number | undefined;
    let gpregs: UserArmRegsEntry | undefined;
    let fpstate: UserArmVfpstateEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          clear_tid_addr = r.uint64();
          break;
        case 16:
          tls = r.uint32();
          break;
        case 26:
          gpregs = r.message(UserArmRegsEntry);
          break;
        case 34:
          fpstate = r.message(UserArmVfpstateEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_arm.clear_tid_addr");
    if (tls === undefined) return r.missing("thread_info_arm.tls");
    if (gpregs === undefined) return r.missing("thread_info_arm.gpregs");
    if (fpstate === undefined) return r.missing("thread_info_arm.fpstate");
    return { clear_tid_addr, tls, gpregs, fpstate };
  },
};

export interface UserArmRegsEntry {
  r0: number;
  r1: number;
  r2: number;
  r3: number;
  r4: number;
  r5: number;
  r6: number;
  r7: number;
  r8: number;
  r9: number;
  r10: number;
  fp: number;
  ip: number;
  sp: number;
  lr: number;
  pc: number;
  cpsr: number;
  orig_r0: number;
}

export const UserArmRegsEntry: Codec<UserArmRegsEntry> = {
  name: "user_arm_regs_entry",
  write(w: Writer, m: UserArmRegsEntry): void {
    w.uint32(8, m.r0, "user_arm_regs_entry.r0");
    w.uint32(16, m.r1, "user_arm_regs_entry.r1");
    w.uint32(24, m.r2, "user_arm_regs_entry.r2");
    w.uint32(32, m.r3, "user_arm_regs_entry.r3");
    w.uint32(40, m.r4, "user_arm_regs_entry.r4");
    w.uint32(48, m.r5, "user_arm_regs_entry.r5");
    w.uint32(56, m.r6, "user_arm_regs_entry.r6");
    w.uint32(64, m.r7, "user_arm_regs_entry.r7");
    w.uint32(72, m.r8, "user_arm_regs_entry.r8");
    w.uint32(80, m.r9, "user_arm_regs_entry.r9");
    w.uint32(88, m.r10, "user_arm_regs_entry.r10");
    w.uint32(96, m.fp, "user_arm_regs_entry.fp");
    w.uint32(104, m.ip, "user_arm_regs_entry.ip");
    w.uint32(112, m.sp, "user_arm_regs_entry.sp");
    w.uint32(120, m.lr, "user_arm_regs_entry.lr");
    w.uint32(128, m.pc, "user_arm_regs_entry.pc");
    w.uint32(136, m.cpsr, "user_arm_regs_entry.cpsr");
    w.uint32(144, m.orig_r0, "user_arm_regs_entry.orig_r0");
  },
  read(r: Reader): UserArmRegsEntry {
    let r0: number | undefined;
    let r1: number | undefined;
    let r2: number | undefined;
    let r3: number | undefined;
    let r4: number | undefined;
    let r5: number | undefined;
    let r6: number | undefined;
    let r7: number | undefined;
    let r8: number | undefined;
    let r9: number | undefined;
    let r10: number | undefined;
    let fp: number | undefined;
    let ip: number | undefined;
    let sp: number | undefined;
    let lr: number | undefined;
    let pc: number | undefined;
    let cpsr: number | undefined;
    let orig_r0: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          r0 = r.uint32();
          break;
        case 16:
          r1 = r.uint32();
          break;
        case 24:
          r2 = r.uint32();
          break;
        case 32:
          r3 = r.uint32();
          break;
        case 40:
          r4 = r.uint32();
          break;
        case 48:
          r5 = r.uint32();
          break;
        case 56:
          r6 = r.uint32();
          break;
        case 64:
          r7 = r.uint32();
          break;
        case 72:
          r8 = r.uint32();
          break;
        case 80:
          r9 = r.uint32();
          break;
        case 88:
          r10 = r.uint32();
          break;
        case 96:
          fp = r.uint32();
          break;
        case 104:
          ip = r.uint32();
          break;
        case 112:
          sp = r.uint32();
          break;
        case 120:
          lr = r.uint32();
          break;
        case 128:
          pc = r.uint32();
          break;
        case 136:
          cpsr = r.uint32();
          break;
        case 144:
          orig_r0 = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (r0 === undefined) return r.missing("user_arm_regs_entry.r0");
    if (r1 === undefined) return r.missing("user_arm_regs_entry.r1");
    if (r2 === undefined) return r.missing("user_arm_regs_entry.r2");
    if (r3 === undefined) return r.missing("user_arm_regs_entry.r3");
    if (r4 === undefined) return r.missing("user_arm_regs_entry.r4");
    if (r5 === undefined) return r.missing("user_arm_regs_entry.r5");
    if (r6 === undefined) return r.missing("user_arm_regs_entry.r6");
    if (r7 === undefined) return r.missing("user_arm_regs_entry.r7");
    if (r8 === undefined) return r.missing("user_arm_regs_entry.r8");
    if (r9 === undefined) return r.missing("user_arm_regs_entry.r9");
    if (r10 === undefined) return r.missing("user_arm_regs_entry.r10");
    if (fp === undefined) return r.missing("user_arm_regs_entry.fp");
    if (ip === undefined) return r.missing("user_arm_regs_entry.ip");
    if (sp === undefined) return r.missing("user_arm_regs_entry.sp");
    if (lr === undefined) return r.missing("user_arm_regs_entry.lr");
    if (pc === undefined) return r.missing("user_arm_regs_entry.pc");
    if (cpsr === undefined) return r.missing("user_arm_regs_entry.cpsr");
    if (orig_r0 === undefined) return r.missing("user_arm_regs_entry.orig_r0");
    return { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, fp, ip, sp, lr, pc, cpsr, orig_r0 };
  },
};

export interface UserArmVfpstateEntry {
  vfp_regs: bigint[];
  fpscr: number;
  fpexc: number;
  fpinst: number;
  fpinst2: number;
}

export const UserArmVfpstateEntry: Codec<UserArmVfpstateEntry> = {
  name: "user_arm_vfpstate_entry",
  write(w: Writer, m: UserArmVfpstateEntry): void {
    w.uint64s(8, m.vfp_regs, "user_arm_vfpstate_entry.vfp_regs");
    w.uint32(16, m.fpscr, "user_arm_vfpstate_entry.fpscr");
    w.uint32(24, m.fpexc, "user_arm_vfpstate_entry.fpexc");
    w.uint32(32, m.fpinst, "user_arm_vfpstate_entry.fpinst");
    w.uint32(40, m.fpinst2, "user_arm_vfpstate_entry.fpinst2");
  },
  read(r: Reader): UserArmVfpstateEntry {
    const vfp_regs: bigint[] = [];
    let fpscr: number | undefined;
    let fpexc: number | undefined;
    let fpinst: number | undefined;
    let fpinst2: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          vfp_regs.push(r.uint64());
          break;
        case 10:
          r.packed(vfp_regs, r.uint64);
          break;
        case 16:
          fpscr = r.uint32();
          break;
        case 24:
          fpexc = r.uint32();
          break;
        case 32:
          fpinst = r.uint32();
          break;
        case 40:
          fpinst2 = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (fpscr === undefined) return r.missing("user_arm_vfpstate_entry.fpscr");
    if (fpexc === undefined) return r.missing("user_arm_vfpstate_entry.fpexc");
    if (fpinst === undefined) return r.missing("user_arm_vfpstate_entry.fpinst");
    if (fpinst2 === undefined) return r.missing("user_arm_vfpstate_entry.fpinst2");
    return { vfp_regs, fpscr, fpexc, fpinst, fpinst2 };
  },
};
