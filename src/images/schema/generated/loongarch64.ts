// Made from loongarch64.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoLoongarch64 {
  clear_tid_addr: bigint;
  tls: bigint;
  gpregs: UserLoongarch64GpregsEntry;
  fpregs: UserLoongarch64FpregsEntry;
}

export const ThreadInfoLoongarch64: Codec<ThreadInfoLoongarch64> = {
  name: "thread_info_loongarch64",
  write(w: Writer, m: ThreadInfoLoongarch64): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_loongarch64.clear_tid_addr");
    w.uint64(16, m.tls, "thread_info_loongarch64.tls");
    w.message(26, UserLoongarch64GpregsEntry, m.gpregs, "thread_info_loongarch64.gpregs");
    w.message(34, UserLoongarch64FpregsEntry, m.fpregs, "thread_info_loongarch64.fpregs");
  },
  read(r: Reader): ThreadInfoLoongarch64 {
    let clear_tid_addr: bigint | undefined;
    let tls: bigint | undefined;
    let gpregs: UserLoongarch64GpregsEntry | undefined;
    let fpregs: UserLoongarch64FpregsEntry | undefined;
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
          gpregs = r.message(UserLoongarch64GpregsEntry);
          break;
        case 34:
          fpregs = r.message(UserLoongarch64FpregsEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_loongarch64.clear_tid_addr");
    if (tls === undefined) return r.missing("thread_info_loongarch64.tls");
    if (gpregs === undefined) return r.missing("thread_info_loongarch64.gpregs");
    if (fpregs === undefined) return r.missing("thread_info_loongarch64.fpregs");
    return { clear_tid_addr, tls, gpregs, fpregs };
  },
};

export interface UserLoongarch64GpregsEntry {
  regs: bigint[];
  pc: bigint;
}

export const UserLoongarch64GpregsEntry: Codec<UserLoongarch64GpregsEntry> = {
  name: "user_loongarch64_gpregs_entry",
  write(w: Writer, m: UserLoongarch64GpregsEntry): void {
    w.uint64s(8, m.regs, "user_loongarch64_gpregs_entry.regs");
    w.uint64(16, m.pc, "user_loongarch64_gpregs_entry.pc");
  },
  read(r: Reader): UserLoongarch64GpregsEntry {
    const regs: bigint[] = [];
    let pc: bigint | undefined;
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
          pc = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (pc === undefined) return r.missing("user_loongarch64_gpregs_entry.pc");
    return { regs, pc };
  },
};

export interface UserLoongarch64FpregsEntry {
  regs: bigint[];
  fcc: bigint;
  fcsr: number;
}

export const UserLoongarch64FpregsEntry: Codec<UserLoongarch64FpregsEntry> = {
  name: "user_loongarch64_fpregs_entry",
  write(w: Writer, m: UserLoongarch64FpregsEntry): void {
    w.uint64s(8, m.regs, "user_loongarch64_fpregs_entry.regs");
    w.uint64(16, m.fcc, "user_loongarch64_fpregs_entry.fcc");
    w.uint32(24, m.fcsr, "user_loongarch64_fpregs_entry.fcsr");
  },
  read(r: Reader): UserLoongarch64FpregsEntry {
    const regs: bigint[] = [];
    let fcc: bigint | undefined;
    let fcsr: number | undefined;
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
          fcc = r.uint64();
          break;
        case 24:
          fcsr = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (fcc === undefined) return r.missing("user_loongarch64_fpregs_entry.fcc");
    if (fcsr === undefined) return r.missing("user_loongarch64_fpregs_entry.fcsr");
    return { regs, fcc, fcsr };
  },
};
