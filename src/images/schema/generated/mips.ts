// Made from mips.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoMips {
  clear_tid_addr: bigint;
  tls: bigint;
  gpregs: UserMipsRegsEntry;
  fpregs: UserMipsFpregsEntry;
}

export const ThreadInfoMips: Codec<ThreadInfoMips> = {
  name: "thread_info_mips",
  write(w: Writer, m: ThreadInfoMips): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_mips.clear_tid_addr");
    w.uint64(16, m.tls, "thread_info_mips.tls");
    w.message(26, UserMipsRegsEntry, m.gpregs, "thread_info_mips.gpregs");
    w.message(34, UserMipsFpregsEntry, m.fpregs, "thread_info_mips.fpregs");
  },
  read(r: Reader): ThreadInfoMips {
    let clear_tid_addr: bigint | undefined;
    let tls: bigint | undefined;
    let gpregs: UserMipsRegsEntry | undefined;
    let fpregs: UserMipsFpregsEntry | undefined;
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
          gpregs = r.message(UserMipsRegsEntry);
          break;
        case 34:
          fpregs = r.message(UserMipsFpregsEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_mips.clear_tid_addr");
    if (tls === undefined) return r.missing("thread_info_mips.tls");
    if (gpregs === undefined) return r.missing("thread_info_mips.gpregs");
    if (fpregs === undefined) return r.missing("thread_info_mips.fpregs");
    return { clear_tid_addr, tls, gpregs, fpregs };
  },
};

export interface UserMipsRegsEntry {
  r0: bigint;
  r1: bigint;
  r2: bigint;
  r3: bigint;
  r4: bigint;
  r5: bigint;
  r6: bigint;
  r7: bigint;
  r8: bigint;
  r9: bigint;
  r10: bigint;
  r11: bigint;
  r12: bigint;
  r13: bigint;
  r14: bigint;
  r15: bigint;
  r16: bigint;
  r17: bigint;
  r18: bigint;
  r19: bigint;
  r20: bigint;
  r21: bigint;
  r22: bigint;
  r23: bigint;
  r24: bigint;
  r25: bigint;
  r26: bigint;
  r27: bigint;
  r28: bigint;
  r29: bigint;
  r30: bigint;
  r31: bigint;
  lo: bigint;
  hi: bigint;
  cp0_epc: bigint;
  cp0_badvaddr: bigint;
  cp0_status: bigint;
  cp0_cause: bigint;
}

export const UserMipsRegsEntry: Codec<UserMipsRegsEntry> = {
  name: "user_mips_regs_entry",
  write(w: Writer, m: UserMipsRegsEntry): void {
    w.uint64(8, m.r0, "user_mips_regs_entry.r0");
    w.uint64(16, m.r1, "user_mips_regs_entry.r1");
    w.uint64(24, m.r2, "user_mips_regs_entry.r2");
    w.uint64(32, m.r3, "user_mips_regs_entry.r3");
    w.uint64(40, m.r4, "user_mips_regs_entry.r4");
    w.uint64(48, m.r5, "user_mips_regs_entry.r5");
    w.uint64(56, m.r6, "user_mips_regs_entry.r6");
    w.uint64(64, m.r7, "user_mips_regs_entry.r7");
    w.uint64(72, m.r8, "user_mips_regs_entry.r8");
    w.uint64(80, m.r9, "user_mips_regs_entry.r9");
    w.uint64(88, m.r10, "user_mips_regs_entry.r10");
    w.uint64(96, m.r11, "user_mips_regs_entry.r11");
    w.uint64(104, m.r12, "user_mips_regs_entry.r12");
    w.uint64(112, m.r13, "user_mips_regs_entry.r13");
    w.uint64(120, m.r14, "user_mips_regs_entry.r14");
    w.uint64(128, m.r15, "user_mips_regs_entry.r15");
    w.uint64(136, m.r16, "user_mips_regs_entry.r16");
    w.uint64(144, m.r17, "user_mips_regs_entry.r17");
    w.uint64(152, m.r18, "user_mips_regs_entry.r18");
    w.uint64(160, m.r19, "user_mips_regs_entry.r19");
    w.uint64(168, m.r20, "user_mips_regs_entry.r20");
    w.uint64(176, m.r21, "user_mips_regs_entry.r21");
    w.uint64(184, m.r22, "user_mips_regs_entry.r22");
    w.uint64(192, m.r23, "user_mips_regs_entry.r23");
    w.uint64(200, m.r24, "user_mips_regs_entry.r24");
    w.uint64(208, m.r25, "user_mips_regs_entry.r25");
    w.uint64(216, m.r26, "user_mips_regs_entry.r26");
    w.uint64(224, m.r27, "user_mips_regs_entry.r27");
    w.uint64(232, m.r28, "user_mips_regs_entry.r28");
    w.uint64(240, m.r29, "user_mips_regs_entry.r29");
    w.uint64(248, m.r30, "user_mips_regs_entry.r30");
    w.uint64(256, m.r31, "user_mips_regs_entry.r31");
    w.uint64(264, m.lo, "user_mips_regs_entry.lo");
    w.uint64(272, m.hi, "user_mips_regs_entry.hi");
    w.uint64(280, m.cp0_epc, "user_mips_regs_entry.cp0_epc");
    w.uint64(288, m.cp0_badvaddr, "user_mips_regs_entry.cp0_badvaddr");
    w.uint64(296, m.cp0_status, "user_mips_regs_entry.cp0_status");
    w.uint64(304, m.cp0_cause, "user_mips_regs_entry.cp0_cause");
  },
  read(r: Reader): UserMipsRegsEntry {
    let r0: bigint | undefined;
    let r1: bigint | undefined;
    let r2: bigint | undefined;
    let r3: bigint | undefined;
    let r4: bigint | undefined;
    let r5: bigint | undefined;
    let r6: bigint | undefined;
    let r7: bigint | undefined;
    let r8: bigint | undefined;
    let r9: bigint | undefined;
    let r10: bigint | undefined;
    let r11: bigint | undefined;
    let r12: bigint | undefined;
    let r13: bigint | undefined;
    let r14: bigint | undefined;
    let r15: bigint | undefined;
    let r16: bigint | undefined;
    let r17: bigint | undefined;
    let r18: bigint | undefined;
    let r19: bigint | undefined;
    let r20: bigint | undefined;
    let r21: bigint | undefined;
    let r22: bigint | undefined;
    let r23: bigint | undefined;
    let r24: bigint | undefined;
    let r25: bigint | undefined;
    let r26: bigint | undefined;
    let r27: bigint | undefined;
    let r28: bigint | undefined;
    let r29: bigint | undefined;
    let r30: bigint | undefined;
    let r31: bigint | undefined;
    let lo: bigint | undefined;
    let hi: bigint | undefined;
    let cp0_epc: bigint | undefined;
    let cp0_badvaddr: bigint | undefined;
    let cp0_status: bigint | undefined;
    let cp0_cause: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          r0 = r.uint64();
          break;
        case 16:
          r1 = r.uint64();
          break;
        case 24:
          r2 = r.uint64();
          break;
        case 32:
          r3 = r.uint64();
          break;
        case 40:
          r4 = r.uint64();
          break;
        case 48:
          r5 = r.uint64();
          break;
        case 56:
          r6 = r.uint64();
          break;
        case 64:
          r7 = r.uint64();
          break;
        case 72:
          r8 = r.uint64();
          break;
        case 80:
          r9 = r.uint64();
          break;
        case 88:
          r10 = r.uint64();
          break;
        case 96:
          r11 = r.uint64();
          break;
        case 104:
          r12 = r.uint64();
          break;
        case 112:
          r13 = r.uint64();
          break;
        case 120:
          r14 = r.uint64();
          break;
        case 128:
          r15 = r.uint64();
          break;
        case 136:
          r16 = r.uint64();
          break;
        case 144:
          r17 = r.uint64();
          break;
        case 152:
          r18 = r.uint64();
          break;
        case 160:
          r19 = r.uint64();
          break;
        case 168:
          r20 = r.uint64();
          break;
        case 176:
          r21 = r.uint64();
          break;
        case 184:
          r22 = r.uint64();
          break;
        case 192:
          r23 = r.uint64();
          break;
        case 200:
          r24 = r.uint64();
          break;
        case 208:
          r25 = r.uint64();
          break;
        case 216:
          r26 = r.uint64();
          break;
        case 224:
          r27 = r.uint64();
          break;
        case 232:
          r28 = r.uint64();
          break;
        case 240:
          r29 = r.uint64();
          break;
        case 248:
          r30 = r.uint64();
          break;
        case 256:
          r31 = r.uint64();
          break;
        case 264:
          lo = r.uint64();
          break;
        case 272:
          hi = r.uint64();
          break;
        case 280:
          cp0_epc = r.uint64();
          break;
        case 288:
          cp0_badvaddr = r.uint64();
          break;
        case 296:
          cp0_status = r.uint64();
          break;
        case 304:
          cp0_cause = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (r0 === undefined) return r.missing("user_mips_regs_entry.r0");
    if (r1 === undefined) return r.missing("user_mips_regs_entry.r1");
    if (r2 === undefined) return r.missing("user_mips_regs_entry.r2");
    if (r3 === undefined) return r.missing("user_mips_regs_entry.r3");
    if (r4 === undefined) return r.missing("user_mips_regs_entry.r4");
    if (r5 === undefined) return r.missing("user_mips_regs_entry.r5");
    if (r6 === undefined) return r.missing("user_mips_regs_entry.r6");
    if (r7 === undefined) return r.missing("user_mips_regs_entry.r7");
    if (r8 === undefined) return r.missing("user_mips_regs_entry.r8");
    if (r9 === undefined) return r.missing("user_mips_regs_entry.r9");
    if (r10 === undefined) return r.missing("user_mips_regs_entry.r10");
    if (r11 === undefined) return r.missing("user_mips_regs_entry.r11");
    if (r12 === undefined) return r.missing("user_mips_regs_entry.r12");
    if (r13 === undefined) return r.missing("user_mips_regs_entry.r13");
    if (r14 === undefined) return r.missing("user_mips_regs_entry.r14");
    if (r15 === undefined) return r.missing("user_mips_regs_entry.r15");
    if (r16 === undefined) return r.missing("user_mips_regs_entry.r16");
    if (r17 === undefined) return r.missing("user_mips_regs_entry.r17");
    if (r18 === undefined) return r.missing("user_mips_regs_entry.r18");
    if (r19 === undefined) return r.missing("user_mips_regs_entry.r19");
    if (r20 === undefined) return r.missing("user_mips_regs_entry.r20");
    if (r21 === undefined) return r.missing("user_mips_regs_entry.r21");
    if (r22 === undefined) return r.missing("user_mips_regs_entry.r22");
    if (r23 === undefined) return r.missing("user_mips_regs_entry.r23");
    if (r24 === undefined) return r.missing("user_mips_regs_entry.r24");
    if (r25 === undefined) return r.missing("user_mips_regs_entry.r25");
    if (r26 === undefined) return r.missing("user_mips_regs_entry.r26");
    if (r27 === undefined) return r.missing("user_mips_regs_entry.r27");
    if (r28 === undefined) return r.missing("user_mips_regs_entry.r28");
    if (r29 === undefined) return r.missing("user_mips_regs_entry.r29");
    if (r30 === undefined) return r.missing("user_mips_regs_entry.r30");
    if (r31 === undefined) return r.missing("user_mips_regs_entry.r31");
    if (lo === undefined) return r.missing("user_mips_regs_entry.lo");
    if (hi === undefined) return r.missing("user_mips_regs_entry.hi");
    if (cp0_epc === undefined) return r.missing("user_mips_regs_entry.cp0_epc");
    if (cp0_badvaddr === undefined) return r.missing("user_mips_regs_entry.cp0_badvaddr");
    if (cp0_status === undefined) return r.missing("user_mips_regs_entry.cp0_status");
    if (cp0_cause === undefined) return r.missing("user_mips_regs_entry.cp0_cause");
    return { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15, r16, r17, r18, r19, r20, r21, r22, r23, r24, r25, r26, r27, r28, r29, r30, r31, lo, hi, cp0_epc, cp0_badvaddr, cp0_status, cp0_cause };
  },
};

export interface UserMipsFpregsEntry {
  r0: bigint;
  r1: bigint;
  r2: bigint;
  r3: bigint;
  r4: bigint;
  r5: bigint;
  r6: bigint;
  r7: bigint;
  r8: bigint;
  r9: bigint;
  r10: bigint;
  r11: bigint;
  r12: bigint;
  r13: bigint;
  r14: bigint;
  r15: bigint;
  r16: bigint;
  r17: bigint;
  r18: bigint;
  r19: bigint;
  r20: bigint;
  r21: bigint;
  r22: bigint;
  r23: bigint;
  r24: bigint;
  r25: bigint;
  r26: bigint;
  r27: bigint;
  r28: bigint;
  r29: bigint;
  r30: bigint;
  r31: bigint;
  lo: bigint;
  hi: bigint;
  fpu_fcr31: number;
  fpu_id: number;
}

export const UserMipsFpregsEntry: Codec<UserMipsFpregsEntry> = {
  name: "user_mips_fpregs_entry",
  write(w: Writer, m: UserMipsFpregsEntry): void {
    w.uint64(8, m.r0, "user_mips_fpregs_entry.r0");
    w.uint64(16, m.r1, "user_mips_fpregs_entry.r1");
    w.uint64(24, m.r2, "user_mips_fpregs_entry.r2");
    w.uint64(32, m.r3, "user_mips_fpregs_entry.r3");
    w.uint64(40, m.r4, "user_mips_fpregs_entry.r4");
    w.uint64(48, m.r5, "user_mips_fpregs_entry.r5");
    w.uint64(56, m.r6, "user_mips_fpregs_entry.r6");
    w.uint64(64, m.r7, "user_mips_fpregs_entry.r7");
    w.uint64(72, m.r8, "user_mips_fpregs_entry.r8");
    w.uint64(80, m.r9, "user_mips_fpregs_entry.r9");
    w.uint64(88, m.r10, "user_mips_fpregs_entry.r10");
    w.uint64(96, m.r11, "user_mips_fpregs_entry.r11");
    w.uint64(104, m.r12, "user_mips_fpregs_entry.r12");
    w.uint64(112, m.r13, "user_mips_fpregs_entry.r13");
    w.uint64(120, m.r14, "user_mips_fpregs_entry.r14");
    w.uint64(128, m.r15, "user_mips_fpregs_entry.r15");
    w.uint64(136, m.r16, "user_mips_fpregs_entry.r16");
    w.uint64(144, m.r17, "user_mips_fpregs_entry.r17");
    w.uint64(152, m.r18, "user_mips_fpregs_entry.r18");
    w.uint64(160, m.r19, "user_mips_fpregs_entry.r19");
    w.uint64(168, m.r20, "user_mips_fpregs_entry.r20");
    w.uint64(176, m.r21, "user_mips_fpregs_entry.r21");
    w.uint64(184, m.r22, "user_mips_fpregs_entry.r22");
    w.uint64(192, m.r23, "user_mips_fpregs_entry.r23");
    w.uint64(200, m.r24, "user_mips_fpregs_entry.r24");
    w.uint64(208, m.r25, "user_mips_fpregs_entry.r25");
    w.uint64(216, m.r26, "user_mips_fpregs_entry.r26");
    w.uint64(224, m.r27, "user_mips_fpregs_entry.r27");
    w.uint64(232, m.r28, "user_mips_fpregs_entry.r28");
    w.uint64(240, m.r29, "user_mips_fpregs_entry.r29");
    w.uint64(248, m.r30, "user_mips_fpregs_entry.r30");
    w.uint64(256, m.r31, "user_mips_fpregs_entry.r31");
    w.uint64(264, m.lo, "user_mips_fpregs_entry.lo");
    w.uint64(272, m.hi, "user_mips_fpregs_entry.hi");
    w.uint32(280, m.fpu_fcr31, "user_mips_fpregs_entry.fpu_fcr31");
    w.uint32(288, m.fpu_id, "user_mips_fpregs_entry.fpu_id");
  },
  read(r: Reader): UserMipsFpregsEntry {
    let r0: bigint | undefined;
    let r1: bigint | undefined;
    let r2: bigint | undefined;
    let r3: bigint | undefined;
    let r4: bigint | undefined;
    let r5: bigint | undefined;
    let r6: bigint | undefined;
    let r7: bigint | undefined;
    let r8: bigint | undefined;
    let r9: bigint | undefined;
    let r10: bigint | undefined;
    let r11: bigint | undefined;
    let r12: bigint | undefined;
    let r13: bigint | undefined;
    let r14: bigint | undefined;
    let r15: bigint | undefined;
    let r16: bigint | undefined;
    let r17: bigint | undefined;
    let r18: bigint | undefined;
    let r19: bigint | undefined;
    let r20: bigint | undefined;
    let r21: bigint | undefined;
    let r22: bigint | undefined;
    let r23: bigint | undefined;
    let r24: bigint | undefined;
    let r25: bigint | undefined;
    let r26: bigint | undefined;
    let r27: bigint | undefined;
    let r28: bigint | undefined;
    let r29: bigint | undefined;
    let r30: bigint | undefined;
    let r31: bigint | undefined;
    let lo: bigint | undefined;
    let hi: bigint | undefined;
    let fpu_fcr31: number | undefined;
    let fpu_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          r0 = r.uint64();
          break;
        case 16:
          r1 = r.uint64();
          break;
        case 24:
          r2 = r.uint64();
          break;
        case 32:
          r3 = r.uint64();
          break;
        case 40:
          r4 = r.uint64();
          break;
        case 48:
          r5 = r.uint64();
          break;
        case 56:
          r6 = r.uint64();
          break;
        case 64:
          r7 = r.uint64();
          break;
        case 72:
          r8 = r.uint64();
          break;
        case 80:
          r9 = r.uint64();
          break;
        case 88:
          r10 = r.uint64();
          break;
        case 96:
          r11 = r.uint64();
          break;
        case 104:
          r12 = r.uint64();
          break;
        case 112:
          r13 = r.uint64();
          break;
        case 120:
          r14 = r.uint64();
          break;
        case 128:
          r15 = r.uint64();
          break;
        case 136:
          r16 = r.uint64();
          break;
        case 144:
          r17 = r.uint64();
          break;
        case 152:
          r18 = r.uint64();
          break;
        case 160:
          r19 = r.uint64();
          break;
        case 168:
          r20 = r.uint64();
          break;
        case 176:
          r21 = r.uint64();
          break;
        case 184:
          r22 = r.uint64();
          break;
        case 192:
          r23 = r.uint64();
          break;
        case 200:
          r24 = r.uint64();
          break;
        case 208:
          r25 = r.uint64();
          break;
        case 216:
          r26 = r.uint64();
          break;
        case 224:
          r27 = r.uint64();
          break;
        case 232:
          r28 = r.uint64();
          break;
        case 240:
          r29 = r.uint64();
          break;
        case 248:
          r30 = r.uint64();
          break;
        case 256:
          r31 = r.uint64();
          break;
        case 264:
          lo = r.uint64();
          break;
        case 272:
          hi = r.uint64();
          break;
        case 280:
          fpu_fcr31 = r.uint32();
          break;
        case 288:
          fpu_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (r0 === undefined) return r.missing("user_mips_fpregs_entry.r0");
    if (r1 === undefined) return r.missing("user_mips_fpregs_entry.r1");
    if (r2 === undefined) return r.missing("user_mips_fpregs_entry.r2");
    if (r3 === undefined) return r.missing("user_mips_fpregs_entry.r3");
    if (r4 === undefined) return r.missing("user_mips_fpregs_entry.r4");
    if (r5 === undefined) return r.missing("user_mips_fpregs_entry.r5");
    if (r6 === undefined) return r.missing("user_mips_fpregs_entry.r6");
    if (r7 === undefined) return r.missing("user_mips_fpregs_entry.r7");
    if (r8 === undefined) return r.missing("user_mips_fpregs_entry.r8");
    if (r9 === undefined) return r.missing("user_mips_fpregs_entry.r9");
    if (r10 === undefined) return r.missing("user_mips_fpregs_entry.r10");
    if (r11 === undefined) return r.missing("user_mips_fpregs_entry.r11");
    if (r12 === undefined) return r.missing("user_mips_fpregs_entry.r12");
    if (r13 === undefined) return r.missing("user_mips_fpregs_entry.r13");
    if (r14 === undefined) return r.missing("user_mips_fpregs_entry.r14");
    if (r15 === undefined) return r.missing("user_mips_fpregs_entry.r15");
    if (r16 === undefined) return r.missing("user_mips_fpregs_entry.r16");
    if (r17 === undefined) return r.missing("user_mips_fpregs_entry.r17");
    if (r18 === undefined) return r.missing("user_mips_fpregs_entry.r18");
    if (r19 === undefined) return r.missing("user_mips_fpregs_entry.r19");
    if (r20 === undefined) return r.missing("user_mips_fpregs_entry.r20");
    if (r21 === undefined) return r.missing("user_mips_fpregs_entry.r21");
    if (r22 === undefined) return r.missing("user_mips_fpregs_entry.r22");
    if (r23 === undefined) return r.missing("user_mips_fpregs_entry.r23");
    if (r24 === undefined) return r.missing("user_mips_fpregs_entry.r24");
    if (r25 === undefined) return r.missing("user_mips_fpregs_entry.r25");
    if (r26 === undefined) return r.missing("user_mips_fpregs_entry.r26");
    if (r27 === undefined) return r.missing("user_mips_fpregs_entry.r27");
    if (r28 === undefined) return r.missing("user_mips_fpregs_entry.r28");
    if (r29 === undefined) return r.missing("user_mips_fpregs_entry.r29");
    if (r30 === undefined) return r.missing("user_mips_fpregs_entry.r30");
    if (r31 === undefined) return r.missing("user_mips_fpregs_entry.r31");
    if (lo === undefined) return r.missing("user_mips_fpregs_entry.lo");
    if (hi === undefined) return r.missing("user_mips_fpregs_entry.hi");
    if (fpu_fcr31 === undefined) return r.missing("user_mips_fpregs_entry.fpu_fcr31");
    if (fpu_id === undefined) return r.missing("user_mips_fpregs_entry.fpu_id");
    return { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15, r16, r17, r18, r19, r20, r21, r22, r23, r24, r25, r26, r27, r28, r29, r30, r31, lo, hi, fpu_fcr31, fpu_id };
  },
};
