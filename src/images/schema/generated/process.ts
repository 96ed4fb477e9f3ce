// Made from process.proto by scripts/generate-images.ts. Not to be edited.

import { type NsPid, nsPid } from "../../../linux/pid.ts";
import type { Codec, Reader, Writer } from "../../wire.ts";
import { ThreadInfoAarch64 } from "./aarch64.ts";
import { ThreadInfoArm } from "./arm.ts";
import { ThreadInfoLoongarch64 } from "./loongarch64.ts";
import { MemoryPolicyEntry } from "./memory.ts";
import { ThreadInfoMips } from "./mips.ts";
import { ThreadInfoPpc64 } from "./ppc64.ts";
import { ThreadInfoRiscv64 } from "./riscv64.ts";
import { ThreadInfoS390 } from "./s390.ts";
import { ThreadInfoX86 } from "./x86.ts";

/** pstree.img, one entry for each process. */
export interface PstreeEntry {
  pid: NsPid;
  ppid: NsPid;
  pgid: NsPid;
  sid: NsPid;
  threads: NsPid[];
  nested?: NestedPids | undefined;
}

export const PstreeEntry: Codec<PstreeEntry> = {
  name: "pstree_entry",
  write(w: Writer, m: PstreeEntry): void {
    w.uint32(8, m.pid, "pstree_entry.pid");
    w.uint32(16, m.ppid, "pstree_entry.ppid");
    w.uint32(24, m.pgid, "pstree_entry.pgid");
    w.uint32(32, m.sid, "pstree_entry.sid");
    w.uint32s(40, m.threads, "pstree_entry.threads");
    if (m.nested !== undefined) w.message(8002, NestedPids, m.nested, "pstree_entry.nested");
  },
  read(r: Reader): PstreeEntry {
    let pid: NsPid | undefined;
    let ppid: NsPid | undefined;
    let pgid: NsPid | undefined;
    let sid: NsPid | undefined;
    const threads: NsPid[] = [];
    let nested: NestedPids | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          pid = nsPid(r.uint32());
          break;
        case 16:
          ppid = nsPid(r.uint32());
          break;
        case 24:
          pgid = nsPid(r.uint32());
          break;
        case 32:
          sid = nsPid(r.uint32());
          break;
        case 40:
          threads.push(nsPid(r.uint32()));
          break;
        case 42:
          r.packed(threads, () => nsPid(r.uint32()));
          break;
        case 8002:
          nested = r.message(NestedPids);
          break;
        default:
          r.skip(tag);
      }
    }
    if (pid === undefined) return r.missing("pstree_entry.pid");
    if (ppid === undefined) return r.missing("pstree_entry.ppid");
    if (pgid === undefined) return r.missing("pstree_entry.pgid");
    if (sid === undefined) return r.missing("pstree_entry.sid");
    return { pid, ppid, pgid, sid, threads, nested };
  },
};

/** Of a process in pid namespaces below that of the root: its numbers in them, its own namespace first; as many of each of its threads, of its group and of its session, 0 where they cannot be seen. */
export interface NestedPids {
  pids: NsPid[];
  threads: NsPid[];
  pgids: NsPid[];
  sids: NsPid[];
  /** as in ids-PID.img, which the dead have not */
  pid_ns_id?: number | undefined;
}

export const NestedPids: Codec<NestedPids> = {
  name: "nested_pids",
  write(w: Writer, m: NestedPids): void {
    w.uint32s(8, m.pids, "nested_pids.pids");
    w.uint32s(16, m.threads, "nested_pids.threads");
    w.uint32s(24, m.pgids, "nested_pids.pgids");
    w.uint32s(32, m.sids, "nested_pids.sids");
    if (m.pid_ns_id !== undefined) w.uint32(40, m.pid_ns_id, "nested_pids.pid_ns_id");
  },
  read(r: Reader): NestedPids {
    const pids: NsPid[] = [];
    const threads: NsPid[] = [];
    const pgids: NsPid[] = [];
    const sids: NsPid[] = [];
    let pid_ns_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          pids.push(nsPid(r.uint32()));
          break;
        case 10:
          r.packed(pids, () => nsPid(r.uint32()));
          break;
        case 16:
          threads.push(nsPid(r.uint32()));
          break;
        case 18:
          r.packed(threads, () => nsPid(r.uint32()));
          break;
        case 24:
          pgids.push(nsPid(r.uint32()));
          break;
        case 26:
          r.packed(pgids, () => nsPid(r.uint32()));
          break;
        case 32:
          sids.push(nsPid(r.uint32()));
          break;
        case 34:
          r.packed(sids, () => nsPid(r.uint32()));
          break;
        case 40:
          pid_ns_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    return { pids, threads, pgids, sids, pid_ns_id };
  },
};

/** core-TID.img. `tc` and `ids` stand in the leader's only. */
export interface CoreEntry {
  mtype: CoreEntryMarch;
  thread_info?: ThreadInfoX86 | undefined;
  ti_aarch64?: ThreadInfoAarch64 | undefined;
  /** For crit alone: this program restores none of these. */
  ti_arm?: ThreadInfoArm | undefined;
  ti_ppc64?: ThreadInfoPpc64 | undefined;
  ti_s390?: ThreadInfoS390 | undefined;
  ti_mips?: ThreadInfoMips | undefined;
  ti_loongarch64?: ThreadInfoLoongarch64 | undefined;
  ti_riscv64?: ThreadInfoRiscv64 | undefined;
  tc?: TaskCoreEntry | undefined;
  ids?: TaskKobjIdsEntry | undefined;
  thread_core?: ThreadCoreEntry | undefined;
}

export const CoreEntry: Codec<CoreEntry> = {
  name: "core_entry",
  write(w: Writer, m: CoreEntry): void {
    w.int32(8, m.mtype, "core_entry.mtype");
    if (m.thread_info !== undefined) w.message(18, ThreadInfoX86, m.thread_info, "core_entry.thread_info");
    if (m.tc !== undefined) w.message(26, TaskCoreEntry, m.tc, "core_entry.tc");
    if (m.ids !== undefined) w.message(34, TaskKobjIdsEntry, m.ids, "core_entry.ids");
    if (m.thread_core !== undefined) w.message(42, ThreadCoreEntry, m.thread_core, "core_entry.thread_core");
    if (m.ti_arm !== undefined) w.message(50, ThreadInfoArm, m.ti_arm, "core_entry.ti_arm");
    if (m.ti_aarch64 !== undefined) w.message(66, ThreadInfoAarch64, m.ti_aarch64, "core_entry.ti_aarch64");
    if (m.ti_ppc64 !== undefined) w.message(74, ThreadInfoPpc64, m.ti_ppc64, "core_entry.ti_ppc64");
    if (m.ti_s390 !== undefined) w.message(82, ThreadInfoS390, m.ti_s390, "core_entry.ti_s390");
    if (m.ti_mips !== undefined) w.message(90, ThreadInfoMips, m.ti_mips, "core_entry.ti_mips");
    if (m.ti_loongarch64 !== undefined) w.message(98, ThreadInfoLoongarch64, m.ti_loongarch64, "core_entry.ti_loongarch64");
    if (m.ti_riscv64 !== undefined) w.message(106, ThreadInfoRiscv64, m.ti_riscv64, "core_entry.ti_riscv64");
  },
  read(r: Reader): CoreEntry {
    let mtype: CoreEntryMarch | undefined;
    let thread_info: ThreadInfoX86 | undefined;
    let tc: TaskCoreEntry | undefined;
    let ids: TaskKobjIdsEntry | undefined;
    let thread_core: ThreadCoreEntry | undefined;
    let ti_arm: ThreadInfoArm | undefined;
    let ti_aarch64: ThreadInfoAarch64 | undefined;
    let ti_ppc64: ThreadInfoPpc64 | undefined;
    let ti_s390: ThreadInfoS390 | undefined;
    let ti_mips: ThreadInfoMips | undefined;
    let ti_loongarch64: ThreadInfoLoongarch64 | undefined;
    let ti_riscv64: ThreadInfoRiscv64 | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mtype = r.enumeration(isCoreEntryMarch, "core_entry.mtype");
          break;
        case 18:
          thread_info = r.message(ThreadInfoX86);
          break;
        case 26:
          tc = r.message(TaskCoreEntry);
          break;
        case 34:
          ids = r.message(TaskKobjIdsEntry);
          break;
        case 42:
          thread_core = r.message(ThreadCoreEntry);
          break;
        case 50:
          ti_arm = r.message(ThreadInfoArm);
          break;
        case 66:
          ti_aarch64 = r.message(ThreadInfoAarch64);
          break;
        case 74:
          ti_ppc64 = r.message(ThreadInfoPpc64);
          break;
        case 82:
          ti_s390 = r.message(ThreadInfoS390);
          break;
        case 90:
          ti_mips = r.message(ThreadInfoMips);
          break;
        case 98:
          ti_loongarch64 = r.message(ThreadInfoLoongarch64);
          break;
        case 106:
          ti_riscv64 = r.message(ThreadInfoRiscv64);
          break;
        default:
          r.skip(tag);
      }
    }
    if (mtype === undefined) return r.missing("core_entry.mtype");
    return { mtype, thread_info, ti_aarch64, ti_arm, ti_ppc64, ti_s390, ti_mips, ti_loongarch64, ti_riscv64, tc, ids, thread_core };
  },
};

export const CoreEntryMarch = {
  UNKNOWN: 0,
  X86_64: 1,
  ARM: 2,
  AARCH64: 3,
  PPC64: 4,
  S390: 5,
  MIPS: 6,
  LOONGARCH64: 7,
  RISCV64: 8,
} as const;
export type CoreEntryMarch = (typeof CoreEntryMarch)[keyof typeof CoreEntryMarch];
export function isCoreEntryMarch(value: number): value is CoreEntryMarch {
  return (value >= 0 && value <= 8);
}

/** The values of SECCOMP_MODE_*. */
export const SeccompMode = {
  disabled: 0,
  strict: 1,
  filter: 2,
} as const;
export type SeccompMode = (typeof SeccompMode)[keyof typeof SeccompMode];
export function isSeccompMode(value: number): value is SeccompMode {
  return (value >= 0 && value <= 2);
}

export interface TaskCoreEntry {
  task_state: number;
  exit_code: number;
  personality: number;
  flags: number;
  blk_sigset: bigint;
  comm: string;
  timers?: TaskTimersEntry | undefined;
  rlimits?: TaskRlimitsEntry | undefined;
  /** old images; a thread has its own now */
  cg_set?: number | undefined;
  signals_s?: SignalQueueEntry | undefined;
  /** old images; a thread has its own now */
  old_seccomp_mode?: SeccompMode | undefined;
  /** old images; a thread has its own now */
  old_seccomp_filter?: number | undefined;
  loginuid?: number | undefined;
  oom_score_adj?: number | undefined;
  /** of signals 1 to 64, without SIGKILL and SIGSTOP */
  sigactions: SaEntry[];
  child_subreaper?: boolean | undefined;
  blk_sigset_extended?: bigint | undefined;
  stop_signo?: number | undefined;
  membarrier_registration_mask?: number | undefined;
  /** Of criu-ts only: the signal that the parent gets at the end of this process, where that is not SIGCHLD; 0 is none. */
  exit_signal?: number | undefined;
  /** Of criu-ts only: what its end will do to semaphores (SEM_UNDO). */
  sem_undos: SemUndoEntry[];
  /** of the session that it leads */
  autogroup_nice?: number | undefined;
  /** ARCH_REQ_XCOMP_PERM */
  xcomp_permission?: bigint | undefined;
  /** stopped children whose stop it has waited for */
  stops_waited_for: number[];
  /** those that go on, which it has not waited for (WCONTINUED) */
  continued_children: number[];
}

export const TaskCoreEntry: Codec<TaskCoreEntry> = {
  name: "task_core_entry",
  write(w: Writer, m: TaskCoreEntry): void {
    w.uint32(8, m.task_state, "task_core_entry.task_state");
    w.uint32(16, m.exit_code, "task_core_entry.exit_code");
    w.uint32(24, m.personality, "task_core_entry.personality");
    w.uint32(32, m.flags, "task_core_entry.flags");
    w.uint64(40, m.blk_sigset, "task_core_entry.blk_sigset");
    w.string(50, m.comm, "task_core_entry.comm");
    if (m.timers !== undefined) w.message(58, TaskTimersEntry, m.timers, "task_core_entry.timers");
    if (m.rlimits !== undefined) w.message(66, TaskRlimitsEntry, m.rlimits, "task_core_entry.rlimits");
    if (m.cg_set !== undefined) w.uint32(72, m.cg_set, "task_core_entry.cg_set");
    if (m.signals_s !== undefined) w.message(82, SignalQueueEntry, m.signals_s, "task_core_entry.signals_s");
    if (m.old_seccomp_mode !== undefined) w.int32(88, m.old_seccomp_mode, "task_core_entry.old_seccomp_mode");
    if (m.old_seccomp_filter !== undefined) w.uint32(96, m.old_seccomp_filter, "task_core_entry.old_seccomp_filter");
    if (m.loginuid !== undefined) w.uint32(104, m.loginuid, "task_core_entry.loginuid");
    if (m.oom_score_adj !== undefined) w.int32(112, m.oom_score_adj, "task_core_entry.oom_score_adj");
    for (const v of m.sigactions) w.message(122, SaEntry, v, "task_core_entry.sigactions");
    if (m.child_subreaper !== undefined) w.bool(144, m.child_subreaper, "task_core_entry.child_subreaper");
    if (m.blk_sigset_extended !== undefined) w.uint64(160, m.blk_sigset_extended, "task_core_entry.blk_sigset_extended");
    if (m.stop_signo !== undefined) w.uint32(168, m.stop_signo, "task_core_entry.stop_signo");
    if (m.membarrier_registration_mask !== undefined) w.uint32(176, m.membarrier_registration_mask, "task_core_entry.membarrier_registration_mask");
    if (m.exit_signal !== undefined) w.uint32(8016, m.exit_signal, "task_core_entry.exit_signal");
    for (const v of m.sem_undos) w.message(8026, SemUndoEntry, v, "task_core_entry.sem_undos");
    if (m.autogroup_nice !== undefined) w.sint32(8032, m.autogroup_nice, "task_core_entry.autogroup_nice");
    if (m.xcomp_permission !== undefined) w.uint64(8040, m.xcomp_permission, "task_core_entry.xcomp_permission");
    w.uint32s(8048, m.stops_waited_for, "task_core_entry.stops_waited_for");
    w.uint32s(8056, m.continued_children, "task_core_entry.continued_children");
  },
  read(r: Reader): TaskCoreEntry {
    let task_state: number | undefined;
    let exit_code: number | undefined;
    let personality: number | undefined;
    let flags: number | undefined;
    let blk_sigset: bigint | undefined;
    let comm: string | undefined;
    let timers: TaskTimersEntry | undefined;
    let rlimits: TaskRlimitsEntry | undefined;
    let cg_set: number | undefined;
    let signals_s: SignalQueueEntry | undefined;
    let old_seccomp_mode: SeccompMode | undefined;
    let old_seccomp_filter: number | undefined;
    let loginuid: number | undefined;
    let oom_score_adj: number | undefined;
    const sigactions: SaEntry[] = [];
    let child_subreaper: boolean | undefined;
    let blk_sigset_extended: bigint | undefined;
    let stop_signo: number | undefined;
    let membarrier_registration_mask: number | undefined;
    let exit_signal: number | undefined;
    const sem_undos: SemUndoEntry[] = [];
    let autogroup_nice: number | undefined;
    let xcomp_permission: bigint | undefined;
    const stops_waited_for: number[] = [];
    const continued_children: number[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          task_state = r.uint32();
          break;
        case 16:
          exit_code = r.uint32();
          break;
        case 24:
          personality = r.uint32();
          break;
        case 32:
          flags = r.uint32();
          break;
        case 40:
          blk_sigset = r.uint64();
          break;
        case 50:
          comm = r.string();
          break;
        case 58:
          timers = r.message(TaskTimersEntry);
          break;
        case 66:
          rlimits = r.message(TaskRlimitsEntry);
          break;
        case 72:
          cg_set = r.uint32();
          break;
        case 82:
          signals_s = r.message(SignalQueueEntry);
          break;
        case 88:
          old_seccomp_mode = r.enumeration(isSeccompMode, "task_core_entry.old_seccomp_mode");
          break;
        case 96:
          old_seccomp_filter = r.uint32();
          break;
        case 104:
          loginuid = r.uint32();
          break;
        case 112:
          oom_score_adj = r.int32();
          break;
        case 122:
          sigactions.push(r.message(SaEntry));
          break;
        case 144:
          child_subreaper = r.bool();
          break;
        case 160:
          blk_sigset_extended = r.uint64();
          break;
        case 168:
          stop_signo = r.uint32();
          break;
        case 176:
          membarrier_registration_mask = r.uint32();
          break;
        case 8016:
          exit_signal = r.uint32();
          break;
        case 8026:
          sem_undos.push(r.message(SemUndoEntry));
          break;
        case 8032:
          autogroup_nice = r.sint32();
          break;
        case 8040:
          xcomp_permission = r.uint64();
          break;
        case 8048:
          stops_waited_for.push(r.uint32());
          break;
        case 8050:
          r.packed(stops_waited_for, r.uint32);
          break;
        case 8056:
          continued_children.push(r.uint32());
          break;
        case 8058:
          r.packed(continued_children, r.uint32);
          break;
        default:
          r.skip(tag);
      }
    }
    if (task_state === undefined) return r.missing("task_core_entry.task_state");
    if (exit_code === undefined) return r.missing("task_core_entry.exit_code");
    if (personality === undefined) return r.missing("task_core_entry.personality");
    if (flags === undefined) return r.missing("task_core_entry.flags");
    if (blk_sigset === undefined) return r.missing("task_core_entry.blk_sigset");
    if (comm === undefined) return r.missing("task_core_entry.comm");
    return { task_state, exit_code, personality, flags, blk_sigset, comm, timers, rlimits, cg_set, signals_s, old_seccomp_mode, old_seccomp_filter, loginuid, oom_score_adj, sigactions, child_subreaper, blk_sigset_extended, stop_signo, membarrier_registration_mask, exit_signal, sem_undos, autogroup_nice, xcomp_permission, stops_waited_for, continued_children };
  },
};

/** Of criu-ts only: what is added to a System V semaphore at the end of a process. */
export interface SemUndoEntry {
  set: number;
  /** of the set */
  key: number;
  number: number;
  adjustment: number;
}

export const SemUndoEntry: Codec<SemUndoEntry> = {
  name: "sem_undo_entry",
  write(w: Writer, m: SemUndoEntry): void {
    w.uint32(8, m.set, "sem_undo_entry.set");
    w.uint32(16, m.key, "sem_undo_entry.key");
    w.uint32(24, m.number, "sem_undo_entry.number");
    w.sint32(32, m.adjustment, "sem_undo_entry.adjustment");
  },
  read(r: Reader): SemUndoEntry {
    let set: number | undefined;
    let key: number | undefined;
    let number: number | undefined;
    let adjustment: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          set = r.uint32();
          break;
        case 16:
          key = r.uint32();
          break;
        case 24:
          number = r.uint32();
          break;
        case 32:
          adjustment = r.sint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (set === undefined) return r.missing("sem_undo_entry.set");
    if (key === undefined) return r.missing("sem_undo_entry.key");
    if (number === undefined) return r.missing("sem_undo_entry.number");
    if (adjustment === undefined) return r.missing("sem_undo_entry.adjustment");
    return { set, key, number, adjustment };
  },
};

export interface ThreadCoreEntry {
  /** robust list */
  futex_rla: bigint;
  futex_rla_len: number;
  sched_nice?: number | undefined;
  sched_policy?: number | undefined;
  sched_prio?: number | undefined;
  blk_sigset?: bigint | undefined;
  sas?: ThreadSasEntry | undefined;
  pdeath_sig?: number | undefined;
  signals_p?: SignalQueueEntry | undefined;
  creds?: CredsEntry | undefined;
  seccomp_mode?: SeccompMode | undefined;
  /** index in seccomp.img */
  seccomp_filter?: number | undefined;
  comm?: string | undefined;
  blk_sigset_extended?: bigint | undefined;
  rseq_entry?: RseqEntry | undefined;
  /** id in cgroup.img */
  cg_set?: number | undefined;
  /** CRIU 4.3 */
  timerslack_ns?: bigint | undefined;
  /** Of criu-ts only; 1000 is the timer slack in older images of ours. */
  timerslack_before?: bigint | undefined;
  syscall_dispatch?: SyscallDispatchEntry | undefined;
  /** how the kernel was to restart the call at ip (ERESTARTSYS, ERESTARTNOHAND) */
  interrupted?: number | undefined;
  ioprio?: number | undefined;
  /** PR_MCE_KILL */
  mce_kill?: number | undefined;
  /** PR_SET_TSC */
  no_tsc?: boolean | undefined;
  /** ARCH_SET_CPUID */
  no_cpuid?: boolean | undefined;
  memory_policy?: MemoryPolicyEntry | undefined;
  /** of sched_setaffinity(2), a bit for each processor */
  affinity?: Uint8Array | undefined;
  sched_deadline?: SchedDeadlineEntry | undefined;
  sched_util_min?: number | undefined;
  sched_util_max?: number | undefined;
  sched_slice_ns?: bigint | undefined;
  speculation: SpeculationEntry[];
  /** PR_SET_IO_FLUSHER */
  io_flusher?: boolean | undefined;
}

export const ThreadCoreEntry: Codec<ThreadCoreEntry> = {
  name: "thread_core_entry",
  write(w: Writer, m: ThreadCoreEntry): void {
    w.uint64(8, m.futex_rla, "thread_core_entry.futex_rla");
    w.uint32(16, m.futex_rla_len, "thread_core_entry.futex_rla_len");
    if (m.sched_nice !== undefined) w.sint32(24, m.sched_nice, "thread_core_entry.sched_nice");
    if (m.sched_policy !== undefined) w.uint32(32, m.sched_policy, "thread_core_entry.sched_policy");
    if (m.sched_prio !== undefined) w.uint32(40, m.sched_prio, "thread_core_entry.sched_prio");
    if (m.blk_sigset !== undefined) w.uint64(48, m.blk_sigset, "thread_core_entry.blk_sigset");
    if (m.sas !== undefined) w.message(58, ThreadSasEntry, m.sas, "thread_core_entry.sas");
    if (m.pdeath_sig !== undefined) w.uint32(64, m.pdeath_sig, "thread_core_entry.pdeath_sig");
    if (m.signals_p !== undefined) w.message(74, SignalQueueEntry, m.signals_p, "thread_core_entry.signals_p");
    if (m.creds !== undefined) w.message(82, CredsEntry, m.creds, "thread_core_entry.creds");
    if (m.seccomp_mode !== undefined) w.int32(88, m.seccomp_mode, "thread_core_entry.seccomp_mode");
    if (m.seccomp_filter !== undefined) w.uint32(96, m.seccomp_filter, "thread_core_entry.seccomp_filter");
    if (m.comm !== undefined) w.string(106, m.comm, "thread_core_entry.comm");
    if (m.blk_sigset_extended !== undefined) w.uint64(112, m.blk_sigset_extended, "thread_core_entry.blk_sigset_extended");
    if (m.rseq_entry !== undefined) w.message(122, RseqEntry, m.rseq_entry, "thread_core_entry.rseq_entry");
    if (m.cg_set !== undefined) w.uint32(128, m.cg_set, "thread_core_entry.cg_set");
    if (m.timerslack_ns !== undefined) w.uint64(136, m.timerslack_ns, "thread_core_entry.timerslack_ns");
    if (m.timerslack_before !== undefined) w.uint64(8000, m.timerslack_before, "thread_core_entry.timerslack_before");
    if (m.syscall_dispatch !== undefined) w.message(8010, SyscallDispatchEntry, m.syscall_dispatch, "thread_core_entry.syscall_dispatch");
    if (m.interrupted !== undefined) w.uint32(8016, m.interrupted, "thread_core_entry.interrupted");
    if (m.ioprio !== undefined) w.uint32(8024, m.ioprio, "thread_core_entry.ioprio");
    if (m.mce_kill !== undefined) w.uint32(8032, m.mce_kill, "thread_core_entry.mce_kill");
    if (m.no_tsc !== undefined) w.bool(8040, m.no_tsc, "thread_core_entry.no_tsc");
    if (m.no_cpuid !== undefined) w.bool(8048, m.no_cpuid, "thread_core_entry.no_cpuid");
    if (m.memory_policy !== undefined) w.message(8058, MemoryPolicyEntry, m.memory_policy, "thread_core_entry.memory_policy");
    if (m.affinity !== undefined) w.bytes(8066, m.affinity, "thread_core_entry.affinity");
    if (m.sched_deadline !== undefined) w.message(8074, SchedDeadlineEntry, m.sched_deadline, "thread_core_entry.sched_deadline");
    if (m.sched_util_min !== undefined) w.uint32(8080, m.sched_util_min, "thread_core_entry.sched_util_min");
    if (m.sched_util_max !== undefined) w.uint32(8088, m.sched_util_max, "thread_core_entry.sched_util_max");
    if (m.sched_slice_ns !== undefined) w.uint64(8096, m.sched_slice_ns, "thread_core_entry.sched_slice_ns");
    for (const v of m.speculation) w.message(8106, SpeculationEntry, v, "thread_core_entry.speculation");
    if (m.io_flusher !== undefined) w.bool(8112, m.io_flusher, "thread_core_entry.io_flusher");
  },
  read(r: Reader): ThreadCoreEntry {
    let futex_rla: bigint | undefined;
    let futex_rla_len: number | undefined;
    let sched_nice: number | undefined;
    let sched_policy: number | undefined;
    let sched_prio: number | undefined;
    let blk_sigset: bigint | undefined;
    let sas: ThreadSasEntry | undefined;
    let pdeath_sig: number | undefined;
    let signals_p: SignalQueueEntry | undefined;
    let creds: CredsEntry | undefined;
    let seccomp_mode: SeccompMode | undefined;
    let seccomp_filter: number | undefined;
    let comm: string | undefined;
    let blk_sigset_extended: bigint | undefined;
    let rseq_entry: RseqEntry | undefined;
    let cg_set: number | undefined;
    let timerslack_ns: bigint | undefined;
    let timerslack_before: bigint | undefined;
    let syscall_dispatch: SyscallDispatchEntry | undefined;
    let interrupted: number | undefined;
    let ioprio: number | undefined;
    let mce_kill: number | undefined;
    let no_tsc: boolean | undefined;
    let no_cpuid: boolean | undefined;
    let memory_policy: MemoryPolicyEntry | undefined;
    let affinity: Uint8Array | undefined;
    let sched_deadline: SchedDeadlineEntry | undefined;
    let sched_util_min: number | undefined;
    let sched_util_max: number | undefined;
    let sched_slice_ns: bigint | undefined;
    const speculation: SpeculationEntry[] = [];
    let io_flusher: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          futex_rla = r.uint64();
          break;
        case 16:
          futex_rla_len = r.uint32();
          break;
        case 24:
          sched_nice = r.sint32();
          break;
        case 32:
          sched_policy = r.uint32();
          break;
        case 40:
          sched_prio = r.uint32();
          break;
        case 48:
          blk_sigset = r.uint64();
          break;
        case 58:
          sas = r.message(ThreadSasEntry);
          break;
        case 64:
          pdeath_sig = r.uint32();
          break;
        case 74:
          signals_p = r.message(SignalQueueEntry);
          break;
        case 82:
          creds = r.message(CredsEntry);
          break;
        case 88:
          seccomp_mode = r.enumeration(isSeccompMode, "thread_core_entry.seccomp_mode");
          break;
        case 96:
          seccomp_filter = r.uint32();
          break;
        case 106:
          comm = r.string();
          break;
        case 112:
          blk_sigset_extended = r.uint64();
          break;
        case 122:
          rseq_entry = r.message(RseqEntry);
          break;
        case 128:
          cg_set = r.uint32();
          break;
        case 136:
          timerslack_ns = r.uint64();
          break;
        case 8000:
          timerslack_before = r.uint64();
          break;
        case 8010:
          syscall_dispatch = r.message(SyscallDispatchEntry);
          break;
        case 8016:
          interrupted = r.uint32();
          break;
        case 8024:
          ioprio = r.uint32();
          break;
        case 8032:
          mce_kill = r.uint32();
          break;
        case 8040:
          no_tsc = r.bool();
          break;
        case 8048:
          no_cpuid = r.bool();
          break;
        case 8058:
          memory_policy = r.message(MemoryPolicyEntry);
          break;
        case 8066:
          affinity = r.bytes();
          break;
        case 8074:
          sched_deadline = r.message(SchedDeadlineEntry);
          break;
        case 8080:
          sched_util_min = r.uint32();
          break;
        case 8088:
          sched_util_max = r.uint32();
          break;
        case 8096:
          sched_slice_ns = r.uint64();
          break;
        case 8106:
          speculation.push(r.message(SpeculationEntry));
          break;
        case 8112:
          io_flusher = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    if (futex_rla === undefined) return r.missing("thread_core_entry.futex_rla");
    if (futex_rla_len === undefined) return r.missing("thread_core_entry.futex_rla_len");
    return { futex_rla, futex_rla_len, sched_nice, sched_policy, sched_prio, blk_sigset, sas, pdeath_sig, signals_p, creds, seccomp_mode, seccomp_filter, comm, blk_sigset_extended, rseq_entry, cg_set, timerslack_ns, timerslack_before, syscall_dispatch, interrupted, ioprio, mce_kill, no_tsc, no_cpuid, memory_policy, affinity, sched_deadline, sched_util_min, sched_util_max, sched_slice_ns, speculation, io_flusher };
  },
};

/** Of criu-ts only: SCHED_DEADLINE (sched_setattr(2)). */
export interface SchedDeadlineEntry {
  flags: bigint;
  runtime_ns: bigint;
  deadline_ns: bigint;
  period_ns: bigint;
}

export const SchedDeadlineEntry: Codec<SchedDeadlineEntry> = {
  name: "sched_deadline_entry",
  write(w: Writer, m: SchedDeadlineEntry): void {
    w.uint64(8, m.flags, "sched_deadline_entry.flags");
    w.uint64(16, m.runtime_ns, "sched_deadline_entry.runtime_ns");
    w.uint64(24, m.deadline_ns, "sched_deadline_entry.deadline_ns");
    w.uint64(32, m.period_ns, "sched_deadline_entry.period_ns");
  },
  read(r: Reader): SchedDeadlineEntry {
    let flags: bigint | undefined;
    let runtime_ns: bigint | undefined;
    let deadline_ns: bigint | undefined;
    let period_ns: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          flags = r.uint64();
          break;
        case 16:
          runtime_ns = r.uint64();
          break;
        case 24:
          deadline_ns = r.uint64();
          break;
        case 32:
          period_ns = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (flags === undefined) return r.missing("sched_deadline_entry.flags");
    if (runtime_ns === undefined) return r.missing("sched_deadline_entry.runtime_ns");
    if (deadline_ns === undefined) return r.missing("sched_deadline_entry.deadline_ns");
    if (period_ns === undefined) return r.missing("sched_deadline_entry.period_ns");
    return { flags, runtime_ns, deadline_ns, period_ns };
  },
};

/** Of criu-ts only: PR_SET_SPECULATION_CTRL. */
export interface SpeculationEntry {
  which: number;
  control: number;
}

export const SpeculationEntry: Codec<SpeculationEntry> = {
  name: "speculation_entry",
  write(w: Writer, m: SpeculationEntry): void {
    w.uint32(8, m.which, "speculation_entry.which");
    w.uint32(16, m.control, "speculation_entry.control");
  },
  read(r: Reader): SpeculationEntry {
    let which: number | undefined;
    let control: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          which = r.uint32();
          break;
        case 16:
          control = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (which === undefined) return r.missing("speculation_entry.which");
    if (control === undefined) return r.missing("speculation_entry.control");
    return { which, control };
  },
};

/** Of criu-ts only: PR_SET_SYSCALL_USER_DISPATCH. */
export interface SyscallDispatchEntry {
  mode: number;
  selector: bigint;
  offset: bigint;
  len: bigint;
}

export const SyscallDispatchEntry: Codec<SyscallDispatchEntry> = {
  name: "syscall_dispatch_entry",
  write(w: Writer, m: SyscallDispatchEntry): void {
    w.uint32(8, m.mode, "syscall_dispatch_entry.mode");
    w.uint64(16, m.selector, "syscall_dispatch_entry.selector");
    w.uint64(24, m.offset, "syscall_dispatch_entry.offset");
    w.uint64(32, m.len, "syscall_dispatch_entry.len");
  },
  read(r: Reader): SyscallDispatchEntry {
    let mode: number | undefined;
    let selector: bigint | undefined;
    let offset: bigint | undefined;
    let len: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mode = r.uint32();
          break;
        case 16:
          selector = r.uint64();
          break;
        case 24:
          offset = r.uint64();
          break;
        case 32:
          len = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mode === undefined) return r.missing("syscall_dispatch_entry.mode");
    if (selector === undefined) return r.missing("syscall_dispatch_entry.selector");
    if (offset === undefined) return r.missing("syscall_dispatch_entry.offset");
    if (len === undefined) return r.missing("syscall_dispatch_entry.len");
    return { mode, selector, offset, len };
  },
};

/** ids-PID.img, and inside core: equal numbers mean one shared kernel object. */
export interface TaskKobjIdsEntry {
  vm_id: number;
  files_id: number;
  fs_id: number;
  sighand_id: number;
  pid_ns_id?: number | undefined;
  net_ns_id?: number | undefined;
  ipc_ns_id?: number | undefined;
  uts_ns_id?: number | undefined;
  mnt_ns_id?: number | undefined;
  user_ns_id?: number | undefined;
  cgroup_ns_id?: number | undefined;
  time_ns_id?: number | undefined;
  /** Those that its children are to be born into, where they are others (unshare(2)). */
  pid_for_children_ns_id?: number | undefined;
  time_for_children_ns_id?: number | undefined;
}

export const TaskKobjIdsEntry: Codec<TaskKobjIdsEntry> = {
  name: "task_kobj_ids_entry",
  write(w: Writer, m: TaskKobjIdsEntry): void {
    w.uint32(8, m.vm_id, "task_kobj_ids_entry.vm_id");
    w.uint32(16, m.files_id, "task_kobj_ids_entry.files_id");
    w.uint32(24, m.fs_id, "task_kobj_ids_entry.fs_id");
    w.uint32(32, m.sighand_id, "task_kobj_ids_entry.sighand_id");
    if (m.pid_ns_id !== undefined) w.uint32(40, m.pid_ns_id, "task_kobj_ids_entry.pid_ns_id");
    if (m.net_ns_id !== undefined) w.uint32(48, m.net_ns_id, "task_kobj_ids_entry.net_ns_id");
    if (m.ipc_ns_id !== undefined) w.uint32(56, m.ipc_ns_id, "task_kobj_ids_entry.ipc_ns_id");
    if (m.uts_ns_id !== undefined) w.uint32(64, m.uts_ns_id, "task_kobj_ids_entry.uts_ns_id");
    if (m.mnt_ns_id !== undefined) w.uint32(72, m.mnt_ns_id, "task_kobj_ids_entry.mnt_ns_id");
    if (m.user_ns_id !== undefined) w.uint32(80, m.user_ns_id, "task_kobj_ids_entry.user_ns_id");
    if (m.cgroup_ns_id !== undefined) w.uint32(88, m.cgroup_ns_id, "task_kobj_ids_entry.cgroup_ns_id");
    if (m.time_ns_id !== undefined) w.uint32(96, m.time_ns_id, "task_kobj_ids_entry.time_ns_id");
    if (m.pid_for_children_ns_id !== undefined) w.uint32(8000, m.pid_for_children_ns_id, "task_kobj_ids_entry.pid_for_children_ns_id");
    if (m.time_for_children_ns_id !== undefined) w.uint32(8008, m.time_for_children_ns_id, "task_kobj_ids_entry.time_for_children_ns_id");
  },
  read(r: Reader): TaskKobjIdsEntry {
    let vm_id: number | undefined;
    let files_id: number | undefined;
    let fs_id: number | undefined;
    let sighand_id: number | undefined;
    let pid_ns_id: number | undefined;
    let net_ns_id: number | undefined;
    let ipc_ns_id: number | undefined;
    let uts_ns_id: number | undefined;
    let mnt_ns_id: number | undefined;
    let user_ns_id: number | undefined;
    let cgroup_ns_id: number | undefined;
    let time_ns_id: number | undefined;
    let pid_for_children_ns_id: number | undefined;
    let time_for_children_ns_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          vm_id = r.uint32();
          break;
        case 16:
          files_id = r.uint32();
          break;
        case 24:
          fs_id = r.uint32();
          break;
        case 32:
          sighand_id = r.uint32();
          break;
        case 40:
          pid_ns_id = r.uint32();
          break;
        case 48:
          net_ns_id = r.uint32();
          break;
        case 56:
          ipc_ns_id = r.uint32();
          break;
        case 64:
          uts_ns_id = r.uint32();
          break;
        case 72:
          mnt_ns_id = r.uint32();
          break;
        case 80:
          user_ns_id = r.uint32();
          break;
        case 88:
          cgroup_ns_id = r.uint32();
          break;
        case 96:
          time_ns_id = r.uint32();
          break;
        case 8000:
          pid_for_children_ns_id = r.uint32();
          break;
        case 8008:
          time_for_children_ns_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (vm_id === undefined) return r.missing("task_kobj_ids_entry.vm_id");
    if (files_id === undefined) return r.missing("task_kobj_ids_entry.files_id");
    if (fs_id === undefined) return r.missing("task_kobj_ids_entry.fs_id");
    if (sighand_id === undefined) return r.missing("task_kobj_ids_entry.sighand_id");
    return { vm_id, files_id, fs_id, sighand_id, pid_ns_id, net_ns_id, ipc_ns_id, uts_ns_id, mnt_ns_id, user_ns_id, cgroup_ns_id, time_ns_id, pid_for_children_ns_id, time_for_children_ns_id };
  },
};

/** fs-PID.img: the ids are those of directories in files.img. */
export interface FsEntry {
  cwd_id: number;
  root_id: number;
  umask?: number | undefined;
}

export const FsEntry: Codec<FsEntry> = {
  name: "fs_entry",
  write(w: Writer, m: FsEntry): void {
    w.uint32(8, m.cwd_id, "fs_entry.cwd_id");
    w.uint32(16, m.root_id, "fs_entry.root_id");
    if (m.umask !== undefined) w.uint32(24, m.umask, "fs_entry.umask");
  },
  read(r: Reader): FsEntry {
    let cwd_id: number | undefined;
    let root_id: number | undefined;
    let umask: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          cwd_id = r.uint32();
          break;
        case 16:
          root_id = r.uint32();
          break;
        case 24:
          umask = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (cwd_id === undefined) return r.missing("fs_entry.cwd_id");
    if (root_id === undefined) return r.missing("fs_entry.root_id");
    return { cwd_id, root_id, umask };
  },
};

export interface CredsEntry {
  uid: number;
  gid: number;
  euid: number;
  egid: number;
  suid: number;
  sgid: number;
  fsuid: number;
  fsgid: number;
  /** Capability sets, 32-bit words, the low one first. */
  cap_inh: number[];
  cap_prm: number[];
  cap_eff: number[];
  cap_bnd: number[];
  secbits: number;
  groups: number[];
  lsm_profile?: string | undefined;
  lsm_sockcreate?: string | undefined;
  apparmor_data?: Uint8Array | undefined;
  no_new_privs?: number | undefined;
  cap_amb: number[];
}

export const CredsEntry: Codec<CredsEntry> = {
  name: "creds_entry",
  write(w: Writer, m: CredsEntry): void {
    w.uint32(8, m.uid, "creds_entry.uid");
    w.uint32(16, m.gid, "creds_entry.gid");
    w.uint32(24, m.euid, "creds_entry.euid");
    w.uint32(32, m.egid, "creds_entry.egid");
    w.uint32(40, m.suid, "creds_entry.suid");
    w.uint32(48, m.sgid, "creds_entry.sgid");
    w.uint32(56, m.fsuid, "creds_entry.fsuid");
    w.uint32(64, m.fsgid, "creds_entry.fsgid");
    w.uint32s(72, m.cap_inh, "creds_entry.cap_inh");
    w.uint32s(80, m.cap_prm, "creds_entry.cap_prm");
    w.uint32s(88, m.cap_eff, "creds_entry.cap_eff");
    w.uint32s(96, m.cap_bnd, "creds_entry.cap_bnd");
    w.uint32(104, m.secbits, "creds_entry.secbits");
    w.uint32s(112, m.groups, "creds_entry.groups");
    if (m.lsm_profile !== undefined) w.string(122, m.lsm_profile, "creds_entry.lsm_profile");
    if (m.lsm_sockcreate !== undefined) w.string(130, m.lsm_sockcreate, "creds_entry.lsm_sockcreate");
    if (m.apparmor_data !== undefined) w.bytes(138, m.apparmor_data, "creds_entry.apparmor_data");
    if (m.no_new_privs !== undefined) w.uint32(144, m.no_new_privs, "creds_entry.no_new_privs");
    w.uint32s(152, m.cap_amb, "creds_entry.cap_amb");
  },
  read(r: Reader): CredsEntry {
    let uid: number | undefined;
    let gid: number | undefined;
    let euid: number | undefined;
    let egid: number | undefined;
    let suid: number | undefined;
    let sgid: number | undefined;
    let fsuid: number | undefined;
    let fsgid: number | undefined;
    const cap_inh: number[] = [];
    const cap_prm: number[] = [];
    const cap_eff: number[] = [];
    const cap_bnd: number[] = [];
    let secbits: number | undefined;
    const groups: number[] = [];
    let lsm_profile: string | undefined;
    let lsm_sockcreate: string | undefined;
    let apparmor_data: Uint8Array | undefined;
    let no_new_privs: number | undefined;
    const cap_amb: number[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          uid = r.uint32();
          break;
        case 16:
          gid = r.uint32();
          break;
        case 24:
          euid = r.uint32();
          break;
        case 32:
          egid = r.uint32();
          break;
        case 40:
          suid = r.uint32();
          break;
        case 48:
          sgid = r.uint32();
          break;
        case 56:
          fsuid = r.uint32();
          break;
        case 64:
          fsgid = r.uint32();
          break;
        case 72:
          cap_inh.push(r.uint32());
          break;
        case 74:
          r.packed(cap_inh, r.uint32);
          break;
        case 80:
          cap_prm.push(r.uint32());
          break;
        case 82:
          r.packed(cap_prm, r.uint32);
          break;
        case 88:
          cap_eff.push(r.uint32());
          break;
        case 90:
          r.packed(cap_eff, r.uint32);
          break;
        case 96:
          cap_bnd.push(r.uint32());
          break;
        case 98:
          r.packed(cap_bnd, r.uint32);
          break;
        case 104:
          secbits = r.uint32();
          break;
        case 112:
          groups.push(r.uint32());
          break;
        case 114:
          r.packed(groups, r.uint32);
          break;
        case 122:
          lsm_profile = r.string();
          break;
        case 130:
          lsm_sockcreate = r.string();
          break;
        case 138:
          apparmor_data = r.bytes();
          break;
        case 144:
          no_new_privs = r.uint32();
          break;
        case 152:
          cap_amb.push(r.uint32());
          break;
        case 154:
          r.packed(cap_amb, r.uint32);
          break;
        default:
          r.skip(tag);
      }
    }
    if (uid === undefined) return r.missing("creds_entry.uid");
    if (gid === undefined) return r.missing("creds_entry.gid");
    if (euid === undefined) return r.missing("creds_entry.euid");
    if (egid === undefined) return r.missing("creds_entry.egid");
    if (suid === undefined) return r.missing("creds_entry.suid");
    if (sgid === undefined) return r.missing("creds_entry.sgid");
    if (fsuid === undefined) return r.missing("creds_entry.fsuid");
    if (fsgid === undefined) return r.missing("creds_entry.fsgid");
    if (secbits === undefined) return r.missing("creds_entry.secbits");
    return { uid, gid, euid, egid, suid, sgid, fsuid, fsgid, cap_inh, cap_prm, cap_eff, cap_bnd, secbits, groups, lsm_profile, lsm_sockcreate, apparmor_data, no_new_privs, cap_amb };
  },
};

export interface ThreadSasEntry {
  ss_sp: bigint;
  ss_size: bigint;
  ss_flags: number;
}

export const ThreadSasEntry: Codec<ThreadSasEntry> = {
  name: "thread_sas_entry",
  write(w: Writer, m: ThreadSasEntry): void {
    w.uint64(8, m.ss_sp, "thread_sas_entry.ss_sp");
    w.uint64(16, m.ss_size, "thread_sas_entry.ss_size");
    w.uint32(24, m.ss_flags, "thread_sas_entry.ss_flags");
  },
  read(r: Reader): ThreadSasEntry {
    let ss_sp: bigint | undefined;
    let ss_size: bigint | undefined;
    let ss_flags: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          ss_sp = r.uint64();
          break;
        case 16:
          ss_size = r.uint64();
          break;
        case 24:
          ss_flags = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (ss_sp === undefined) return r.missing("thread_sas_entry.ss_sp");
    if (ss_size === undefined) return r.missing("thread_sas_entry.ss_size");
    if (ss_flags === undefined) return r.missing("thread_sas_entry.ss_flags");
    return { ss_sp, ss_size, ss_flags };
  },
};

export interface SaEntry {
  sigaction: bigint;
  flags: bigint;
  restorer: bigint;
  mask: bigint;
  compat_sigaction?: boolean | undefined;
  mask_extended?: bigint | undefined;
}

export const SaEntry: Codec<SaEntry> = {
  name: "sa_entry",
  write(w: Writer, m: SaEntry): void {
    w.uint64(8, m.sigaction, "sa_entry.sigaction");
    w.uint64(16, m.flags, "sa_entry.flags");
    w.uint64(24, m.restorer, "sa_entry.restorer");
    w.uint64(32, m.mask, "sa_entry.mask");
    if (m.compat_sigaction !== undefined) w.bool(40, m.compat_sigaction, "sa_entry.compat_sigaction");
    if (m.mask_extended !== undefined) w.uint64(48, m.mask_extended, "sa_entry.mask_extended");
  },
  read(r: Reader): SaEntry {
    let sigaction: bigint | undefined;
    let flags: bigint | undefined;
    let restorer: bigint | undefined;
    let mask: bigint | undefined;
    let compat_sigaction: boolean | undefined;
    let mask_extended: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          sigaction = r.uint64();
          break;
        case 16:
          flags = r.uint64();
          break;
        case 24:
          restorer = r.uint64();
          break;
        case 32:
          mask = r.uint64();
          break;
        case 40:
          compat_sigaction = r.bool();
          break;
        case 48:
          mask_extended = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (sigaction === undefined) return r.missing("sa_entry.sigaction");
    if (flags === undefined) return r.missing("sa_entry.flags");
    if (restorer === undefined) return r.missing("sa_entry.restorer");
    if (mask === undefined) return r.missing("sa_entry.mask");
    return { sigaction, flags, restorer, mask, compat_sigaction, mask_extended };
  },
};

/** `siginfo` is the kernel's siginfo_t, 128 bytes, as it came from PTRACE_PEEKSIGINFO. */
export interface SiginfoEntry {
  siginfo: Uint8Array;
}

export const SiginfoEntry: Codec<SiginfoEntry> = {
  name: "siginfo_entry",
  write(w: Writer, m: SiginfoEntry): void {
    w.bytes(10, m.siginfo, "siginfo_entry.siginfo");
  },
  read(r: Reader): SiginfoEntry {
    let siginfo: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          siginfo = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (siginfo === undefined) return r.missing("siginfo_entry.siginfo");
    return { siginfo };
  },
};

export interface SignalQueueEntry {
  signals: SiginfoEntry[];
}

export const SignalQueueEntry: Codec<SignalQueueEntry> = {
  name: "signal_queue_entry",
  write(w: Writer, m: SignalQueueEntry): void {
    for (const v of m.signals) w.message(10, SiginfoEntry, v, "signal_queue_entry.signals");
  },
  read(r: Reader): SignalQueueEntry {
    const signals: SiginfoEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          signals.push(r.message(SiginfoEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    return { signals };
  },
};

export interface RseqEntry {
  rseq_abi_pointer: bigint;
  rseq_abi_size: number;
  signature: number;
  rseq_cs_pointer?: bigint | undefined;
}

export const RseqEntry: Codec<RseqEntry> = {
  name: "rseq_entry",
  write(w: Writer, m: RseqEntry): void {
    w.uint64(8, m.rseq_abi_pointer, "rseq_entry.rseq_abi_pointer");
    w.uint32(16, m.rseq_abi_size, "rseq_entry.rseq_abi_size");
    w.uint32(24, m.signature, "rseq_entry.signature");
    if (m.rseq_cs_pointer !== undefined) w.uint64(32, m.rseq_cs_pointer, "rseq_entry.rseq_cs_pointer");
  },
  read(r: Reader): RseqEntry {
    let rseq_abi_pointer: bigint | undefined;
    let rseq_abi_size: number | undefined;
    let signature: number | undefined;
    let rseq_cs_pointer: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          rseq_abi_pointer = r.uint64();
          break;
        case 16:
          rseq_abi_size = r.uint32();
          break;
        case 24:
          signature = r.uint32();
          break;
        case 32:
          rseq_cs_pointer = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (rseq_abi_pointer === undefined) return r.missing("rseq_entry.rseq_abi_pointer");
    if (rseq_abi_size === undefined) return r.missing("rseq_entry.rseq_abi_size");
    if (signature === undefined) return r.missing("rseq_entry.signature");
    return { rseq_abi_pointer, rseq_abi_size, signature, rseq_cs_pointer };
  },
};

export interface TaskRlimitsEntry {
  rlimits: RlimitEntry[];
}

export const TaskRlimitsEntry: Codec<TaskRlimitsEntry> = {
  name: "task_rlimits_entry",
  write(w: Writer, m: TaskRlimitsEntry): void {
    for (const v of m.rlimits) w.message(10, RlimitEntry, v, "task_rlimits_entry.rlimits");
  },
  read(r: Reader): TaskRlimitsEntry {
    const rlimits: RlimitEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          rlimits.push(r.message(RlimitEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    return { rlimits };
  },
};

export interface RlimitEntry {
  cur: bigint;
  max: bigint;
}

export const RlimitEntry: Codec<RlimitEntry> = {
  name: "rlimit_entry",
  write(w: Writer, m: RlimitEntry): void {
    w.uint64(8, m.cur, "rlimit_entry.cur");
    w.uint64(16, m.max, "rlimit_entry.max");
  },
  read(r: Reader): RlimitEntry {
    let cur: bigint | undefined;
    let max: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          cur = r.uint64();
          break;
        case 16:
          max = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (cur === undefined) return r.missing("rlimit_entry.cur");
    if (max === undefined) return r.missing("rlimit_entry.max");
    return { cur, max };
  },
};

export interface TaskTimersEntry {
  real: ItimerEntry;
  virt: ItimerEntry;
  prof: ItimerEntry;
  posix: PosixTimerEntry[];
}

export const TaskTimersEntry: Codec<TaskTimersEntry> = {
  name: "task_timers_entry",
  write(w: Writer, m: TaskTimersEntry): void {
    w.message(10, ItimerEntry, m.real, "task_timers_entry.real");
    w.message(18, ItimerEntry, m.virt, "task_timers_entry.virt");
    w.message(26, ItimerEntry, m.prof, "task_timers_entry.prof");
    for (const v of m.posix) w.message(34, PosixTimerEntry, v, "task_timers_entry.posix");
  },
  read(r: Reader): TaskTimersEntry {
    let real: ItimerEntry | undefined;
    let virt: ItimerEntry | undefined;
    let prof: ItimerEntry | undefined;
    const posix: PosixTimerEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          real = r.message(ItimerEntry);
          break;
        case 18:
          virt = r.message(ItimerEntry);
          break;
        case 26:
          prof = r.message(ItimerEntry);
          break;
        case 34:
          posix.push(r.message(PosixTimerEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (real === undefined) return r.missing("task_timers_entry.real");
    if (virt === undefined) return r.missing("task_timers_entry.virt");
    if (prof === undefined) return r.missing("task_timers_entry.prof");
    return { real, virt, prof, posix };
  },
};

/** i* is the interval, v* the time left. */
export interface ItimerEntry {
  isec: bigint;
  iusec: bigint;
  vsec: bigint;
  vusec: bigint;
}

export const ItimerEntry: Codec<ItimerEntry> = {
  name: "itimer_entry",
  write(w: Writer, m: ItimerEntry): void {
    w.uint64(8, m.isec, "itimer_entry.isec");
    w.uint64(16, m.iusec, "itimer_entry.iusec");
    w.uint64(24, m.vsec, "itimer_entry.vsec");
    w.uint64(32, m.vusec, "itimer_entry.vusec");
  },
  read(r: Reader): ItimerEntry {
    let isec: bigint | undefined;
    let iusec: bigint | undefined;
    let vsec: bigint | undefined;
    let vusec: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          isec = r.uint64();
          break;
        case 16:
          iusec = r.uint64();
          break;
        case 24:
          vsec = r.uint64();
          break;
        case 32:
          vusec = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (isec === undefined) return r.missing("itimer_entry.isec");
    if (iusec === undefined) return r.missing("itimer_entry.iusec");
    if (vsec === undefined) return r.missing("itimer_entry.vsec");
    if (vusec === undefined) return r.missing("itimer_entry.vusec");
    return { isec, iusec, vsec, vusec };
  },
};

export interface PosixTimerEntry {
  it_id: number;
  clock_id: number;
  si_signo: number;
  it_sigev_notify: number;
  sival_ptr: bigint;
  overrun: number;
  isec: bigint;
  insec: bigint;
  vsec: bigint;
  vnsec: bigint;
  notify_thread_id?: NsPid | undefined;
}

export const PosixTimerEntry: Codec<PosixTimerEntry> = {
  name: "posix_timer_entry",
  write(w: Writer, m: PosixTimerEntry): void {
    w.uint32(8, m.it_id, "posix_timer_entry.it_id");
    w.uint32(16, m.clock_id, "posix_timer_entry.clock_id");
    w.uint32(24, m.si_signo, "posix_timer_entry.si_signo");
    w.uint32(32, m.it_sigev_notify, "posix_timer_entry.it_sigev_notify");
    w.uint64(40, m.sival_ptr, "posix_timer_entry.sival_ptr");
    w.uint32(48, m.overrun, "posix_timer_entry.overrun");
    w.uint64(56, m.isec, "posix_timer_entry.isec");
    w.uint64(64, m.insec, "posix_timer_entry.insec");
    w.uint64(72, m.vsec, "posix_timer_entry.vsec");
    w.uint64(80, m.vnsec, "posix_timer_entry.vnsec");
    if (m.notify_thread_id !== undefined) w.int32(88, m.notify_thread_id, "posix_timer_entry.notify_thread_id");
  },
  read(r: Reader): PosixTimerEntry {
    let it_id: number | undefined;
    let clock_id: number | undefined;
    let si_signo: number | undefined;
    let it_sigev_notify: number | undefined;
    let sival_ptr: bigint | undefined;
    let overrun: number | undefined;
    let isec: bigint | undefined;
    let insec: bigint | undefined;
    let vsec: bigint | undefined;
    let vnsec: bigint | undefined;
    let notify_thread_id: NsPid | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          it_id = r.uint32();
          break;
        case 16:
          clock_id = r.uint32();
          break;
        case 24:
          si_signo = r.uint32();
          break;
        case 32:
          it_sigev_notify = r.uint32();
          break;
        case 40:
          sival_ptr = r.uint64();
          break;
        case 48:
          overrun = r.uint32();
          break;
        case 56:
          isec = r.uint64();
          break;
        case 64:
          insec = r.uint64();
          break;
        case 72:
          vsec = r.uint64();
          break;
        case 80:
          vnsec = r.uint64();
          break;
        case 88:
          notify_thread_id = nsPid(r.int32());
          break;
        default:
          r.skip(tag);
      }
    }
    if (it_id === undefined) return r.missing("posix_timer_entry.it_id");
    if (clock_id === undefined) return r.missing("posix_timer_entry.clock_id");
    if (si_signo === undefined) return r.missing("posix_timer_entry.si_signo");
    if (it_sigev_notify === undefined) return r.missing("posix_timer_entry.it_sigev_notify");
    if (sival_ptr === undefined) return r.missing("posix_timer_entry.sival_ptr");
    if (overrun === undefined) return r.missing("posix_timer_entry.overrun");
    if (isec === undefined) return r.missing("posix_timer_entry.isec");
    if (insec === undefined) return r.missing("posix_timer_entry.insec");
    if (vsec === undefined) return r.missing("posix_timer_entry.vsec");
    if (vnsec === undefined) return r.missing("posix_timer_entry.vnsec");
    return { it_id, clock_id, si_signo, it_sigev_notify, sival_ptr, overrun, isec, insec, vsec, vnsec, notify_thread_id };
  },
};

/** seccomp.img: filters of all tasks; a filter's `prev` is the index of the one it stands on. */
export interface SeccompEntry {
  seccomp_filters: SeccompFilter[];
}

export const SeccompEntry: Codec<SeccompEntry> = {
  name: "seccomp_entry",
  write(w: Writer, m: SeccompEntry): void {
    for (const v of m.seccomp_filters) w.message(10, SeccompFilter, v, "seccomp_entry.seccomp_filters");
  },
  read(r: Reader): SeccompEntry {
    const seccomp_filters: SeccompFilter[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          seccomp_filters.push(r.message(SeccompFilter));
          break;
        default:
          r.skip(tag);
      }
    }
    return { seccomp_filters };
  },
};

export interface SeccompFilter {
  /** struct sock_filter[] */
  filter: Uint8Array;
  prev?: number | undefined;
  flags?: number | undefined;
}

export const SeccompFilter: Codec<SeccompFilter> = {
  name: "seccomp_filter",
  write(w: Writer, m: SeccompFilter): void {
    w.bytes(10, m.filter, "seccomp_filter.filter");
    if (m.prev !== undefined) w.uint32(16, m.prev, "seccomp_filter.prev");
    if (m.flags !== undefined) w.uint32(24, m.flags, "seccomp_filter.flags");
  },
  read(r: Reader): SeccompFilter {
    let filter: Uint8Array | undefined;
    let prev: number | undefined;
    let flags: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          filter = r.bytes();
          break;
        case 16:
          prev = r.uint32();
          break;
        case 24:
          flags = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (filter === undefined) return r.missing("seccomp_filter.filter");
    return { filter, prev, flags };
  },
};
