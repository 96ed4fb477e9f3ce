// Made from ppc64.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ThreadInfoPpc64 {
  clear_tid_addr: bigint;
  gpregs: UserPpc64RegsEntry;
  fpstate?: UserPpc64FpstateEntry | undefined;
  vrstate?: UserPpc64VrstateEntry | undefined;
  vsxstate?: UserPpc64VsxstateEntry | undefined;
  tmstate?: UserPpc64TmRegsEntry | undefined;
}

export const ThreadInfoPpc64: Codec<ThreadInfoPpc64> = {
  name: "thread_info_ppc64",
  write(w: Writer, m: ThreadInfoPpc64): void {
    w.uint64(8, m.clear_tid_addr, "thread_info_ppc64.clear_tid_addr");
    w.message(18, UserPpc64RegsEntry, m.gpregs, "thread_info_ppc64.gpregs");
    if (m.fpstate !== undefined) w.message(26, UserPpc64FpstateEntry, m.fpstate, "thread_info_ppc64.fpstate");
    if (m.vrstate !== undefined) w.message(34, UserPpc64VrstateEntry, m.vrstate, "thread_info_ppc64.vrstate");
    if (m.vsxstate !== undefined) w.message(42, UserPpc64VsxstateEntry, m.vsxstate, "thread_info_ppc64.vsxstate");
    if (m.tmstate !== undefined) w.message(50, UserPpc64TmRegsEntry, m.tmstate, "thread_info_ppc64.tmstate");
  },
  read(r: Reader): ThreadInfoPpc64 {
    let clear_tid_addr: bigint | undefined;
    let gpregs: UserPpc64RegsEntry | undefined;
    let fpstate: UserPpc64FpstateEntry | undefined;
    let vrstate: UserPpc64VrstateEntry | undefined;
    let vsxstate: UserPpc64VsxstateEntry | undefined;
    let tmstate: UserPpc64TmRegsEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          clear_tid_addr = r.uint64();
          break;
        case 18:
          gpregs = r.message(UserPpc64RegsEntry);
          break;
        case 26:
          fpstate = r.message(UserPpc64FpstateEntry);
          break;
        case 34:
          vrstate = r.message(UserPpc64VrstateEntry);
          break;
        case 42:
          vsxstate = r.message(UserPpc64VsxstateEntry);
          break;
        case 50:
          tmstate = r.message(UserPpc64TmRegsEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (clear_tid_addr === undefined) return r.missing("thread_info_ppc64.clear_tid_addr");
    if (gpregs === undefined) return r.missing("thread_info_ppc64.gpregs");
    return { clear_tid_addr, gpregs, fpstate, vrstate, vsxstate, tmstate };
  },
};

export interface UserPpc64RegsEntry {
  gpr: bigint[];
  nip: bigint;
  msr: bigint;
  orig_gpr3: bigint;
  ctr: bigint;
  link: bigint;
  xer: bigint;
  ccr: bigint;
  trap: bigint;
  /** Of transactional memory. */
  texasr?: bigint | undefined;
  tfhar?: bigint | undefined;
  tfiar?: bigint | undefined;
}

export const UserPpc64RegsEntry: Codec<UserPpc64RegsEntry> = {
  name: "user_ppc64_regs_entry",
  write(w: Writer, m: UserPpc64RegsEntry): void {
    w.uint64s(8, m.gpr, "user_ppc64_regs_entry.gpr");
    w.uint64(16, m.nip, "user_ppc64_regs_entry.nip");
    w.uint64(24, m.msr, "user_ppc64_regs_entry.msr");
    w.uint64(32, m.orig_gpr3, "user_ppc64_regs_entry.orig_gpr3");
    w.uint64(40, m.ctr, "user_ppc64_regs_entry.ctr");
    w.uint64(48, m.link, "user_ppc64_regs_entry.link");
    w.uint64(56, m.xer, "user_ppc64_regs_entry.xer");
    w.uint64(64, m.ccr, "user_ppc64_regs_entry.ccr");
    w.uint64(72, m.trap, "user_ppc64_regs_entry.trap");
    if (m.texasr !== undefined) w.uint64(80, m.texasr, "user_ppc64_regs_entry.texasr");
    if (m.tfhar !== undefined) w.uint64(88, m.tfhar, "user_ppc64_regs_entry.tfhar");
    if (m.tfiar !== undefined) w.uint64(96, m.tfiar, "user_ppc64_regs_entry.tfiar");
  },
  read(r: Reader): UserPpc64RegsEntry {
    const gpr: bigint[] = [];
    let nip: bigint | undefined;
    let msr: bigint | undefined;
    let orig_gpr3: bigint | undefined;
    let ctr: bigint | undefined;
    let link: bigint | undefined;
    let xer: bigint | undefined;
    let ccr: bigint | undefined;
    let trap: bigint | undefined;
    let texasr: bigint | undefined;
    let tfhar: bigint | undefined;
    let tfiar: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          gpr.push(r.uint64());
          break;
        case 10:
          r.packed(gpr, r.uint64);
          break;
        case 16:
          nip = r.uint64();
          break;
        case 24:
          msr = r.uint64();
          break;
        case 32:
          orig_gpr3 = r.uint64();
          break;
        case 40:
          ctr = r.uint64();
          break;
        case 48:
          link = r.uint64();
          break;
        case 56:
          xer = r.uint64();
          break;
        case 64:
          ccr = r.uint64();
          break;
        case 72:
          trap = r.uint64();
          break;
        case 80:
          texasr = r.uint64();
          break;
        case 88:
          tfhar = r.uint64();
          break;
        case 96:
          tfiar = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (nip === undefined) return r.missing("user_ppc64_regs_entry.nip");
    if (msr === undefined) return r.missing("user_ppc64_regs_entry.msr");
    if (orig_gpr3 === undefined) return r.missing("user_ppc64_regs_entry.orig_gpr3");
    if (ctr === undefined) return r.missing("user_ppc64_regs_entry.ctr");
    if (link === undefined) return r.missing("user_ppc64_regs_entry.link");
    if (xer === undefined) return r.missing("user_ppc64_regs_entry.xer");
    if (ccr === undefined) return r.missing("user_ppc64_regs_entry.ccr");
    if (trap === undefined) return r.missing("user_ppc64_regs_entry.trap");
    return { gpr, nip, msr, orig_gpr3, ctr, link, xer, ccr, trap, texasr, tfhar, tfiar };
  },
};

export interface UserPpc64FpstateEntry {
  fpregs: bigint[];
}

export const UserPpc64FpstateEntry: Codec<UserPpc64FpstateEntry> = {
  name: "user_ppc64_fpstate_entry",
  write(w: Writer, m: UserPpc64FpstateEntry): void {
    w.uint64s(8, m.fpregs, "user_ppc64_fpstate_entry.fpregs");
  },
  read(r: Reader): UserPpc64FpstateEntry {
    const fpregs: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          fpregs.push(r.uint64());
          break;
        case 10:
          r.packed(fpregs, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    return { fpregs };
  },
};

export interface UserPpc64VrstateEntry {
  /** VR0 to VR31, then VSCR */
  vrregs: bigint[];
  vrsave: number;
}

export const UserPpc64VrstateEntry: Codec<UserPpc64VrstateEntry> = {
  name: "user_ppc64_vrstate_entry",
  write(w: Writer, m: UserPpc64VrstateEntry): void {
    w.uint64s(8, m.vrregs, "user_ppc64_vrstate_entry.vrregs");
    w.uint32(16, m.vrsave, "user_ppc64_vrstate_entry.vrsave");
  },
  read(r: Reader): UserPpc64VrstateEntry {
    const vrregs: bigint[] = [];
    let vrsave: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          vrregs.push(r.uint64());
          break;
        case 10:
          r.packed(vrregs, r.uint64);
          break;
        case 16:
          vrsave = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (vrsave === undefined) return r.missing("user_ppc64_vrstate_entry.vrsave");
    return { vrregs, vrsave };
  },
};

export interface UserPpc64VsxstateEntry {
  /** low words of VSR0 to VSR31; the rest is in the other two */
  vsxregs: bigint[];
}

export const UserPpc64VsxstateEntry: Codec<UserPpc64VsxstateEntry> = {
  name: "user_ppc64_vsxstate_entry",
  write(w: Writer, m: UserPpc64VsxstateEntry): void {
    w.uint64s(8, m.vsxregs, "user_ppc64_vsxstate_entry.vsxregs");
  },
  read(r: Reader): UserPpc64VsxstateEntry {
    const vsxregs: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          vsxregs.push(r.uint64());
          break;
        case 10:
          r.packed(vsxregs, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    return { vsxregs };
  },
};

/** What a transaction goes back to when it fails. */
export interface UserPpc64TmRegsEntry {
  gpregs: UserPpc64RegsEntry;
  fpstate?: UserPpc64FpstateEntry | undefined;
  vrstate?: UserPpc64VrstateEntry | undefined;
  vsxstate?: UserPpc64VsxstateEntry | undefined;
}

export const UserPpc64TmRegsEntry: Codec<UserPpc64TmRegsEntry> = {
  name: "user_ppc64_tm_regs_entry",
  write(w: Writer, m: UserPpc64TmRegsEntry): void {
    w.message(10, UserPpc64RegsEntry, m.gpregs, "user_ppc64_tm_regs_entry.gpregs");
    if (m.fpstate !== undefined) w.message(18, UserPpc64FpstateEntry, m.fpstate, "user_ppc64_tm_regs_entry.fpstate");
    if (m.vrstate !== undefined) w.message(26, UserPpc64VrstateEntry, m.vrstate, "user_ppc64_tm_regs_entry.vrstate");
    if (m.vsxstate !== undefined) w.message(34, UserPpc64VsxstateEntry, m.vsxstate, "user_ppc64_tm_regs_entry.vsxstate");
  },
  read(r: Reader): UserPpc64TmRegsEntry {
    let gpregs: UserPpc64RegsEntry | undefined;
    let fpstate: UserPpc64FpstateEntry | undefined;
    let vrstate: UserPpc64VrstateEntry | undefined;
    let vsxstate: UserPpc64VsxstateEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          gpregs = r.message(UserPpc64RegsEntry);
          break;
        case 18:
          fpstate = r.message(UserPpc64FpstateEntry);
          break;
        case 26:
          vrstate = r.message(UserPpc64VrstateEntry);
          break;
        case 34:
          vsxstate = r.message(UserPpc64VsxstateEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (gpregs === undefined) return r.missing("user_ppc64_tm_regs_entry.gpregs");
    return { gpregs, fpstate, vrstate, vsxstate };
  },
};
