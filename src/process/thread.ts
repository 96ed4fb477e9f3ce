/** What every thread has of its own: thread_core_entry and thread_info. */

import { Repeated } from "../images/repeated.ts";
import type { CoreEntry, SeccompEntry, ThreadCoreEntry } from "../images/schema/generated/process.ts";
import { type ThreadInfoX86, UserDescT } from "../images/schema/generated/x86.ts";
import { keepBytes } from "../images/wire.ts";
import { NR } from "../linux/nr.ts";
import type { Owners } from "../linux/owners.ts";
import type { NsPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import type { TaskStatus } from "../linux/proc.ts";
import type { Outside } from "../linux/ptrace-many.ts";
import { u64, viewOf } from "../linux/struct.ts";
import { cString } from "../linux/syscall.ts";
import { bytesToText } from "../linux/text.ts";
import type { Saved } from "../tracee/enter/saved.ts";
import type { FinalState } from "../tracee/hold/many-tasks.ts";
import type { Task } from "../tracee/hold/task.ts";
import type { Calls } from "../tracee/table/calls.ts";
import type { Table } from "../tracee/table/table.ts";
import { askCredentials, giveCredentials } from "./credentials.ts";
import { dumpDispatch, restoreDispatch } from "./dispatch.ts";
import { ImageValueError } from "./errors.ts";
import { askRefusedOfThread } from "./refused.ts";
import {
  dumpExtendedState,
  dumpInterrupted,
  dumpRegisters,
  giveTiles,
  restoreExtendedState,
  restoreRegisters,
} from "./registers.ts";
import { dumpRseq, giveRseq } from "./rseq.ts";
import { askScheduling, giveScheduling } from "./scheduling.ts";
import { giveSeccomp, type SeccompDump } from "./seccomp.ts";
import { askAltstack, dumpPending, giveAltstack, givePending } from "./signals.ts";
import { askThreadFlags, giveThreadFlags } from "./thread-flags.ts";

/** TASK_COMM_LEN, the NUL included. */
const COMM_SIZE = 16;

/** The GDT entries of set_thread_area(2), which 64-bit threads have but do not use. */
const unusedTls = new Repeated<UserDescT[]>((entries) => {
  for (const entry of entries) keepBytes(UserDescT, entry);
});
const TLS_ENTRIES = [12, 13, 14];

function unusedTlsEntry(entry_number: number): UserDescT {
  return {
    entry_number,
    base_addr: 0,
    limit: 0,
    seg_32bit: false,
    contents_h: false,
    contents_l: false,
    read_exec_only: true,
    limit_in_pages: false,
    seg_not_present: true,
    usable: false,
  };
}

export interface ThreadState {
  readonly thread_info: ThreadInfoX86;
  readonly thread_core: ThreadCoreEntry;
  /** The blocked signals, which the image keeps elsewhere for a process' first thread. */
  readonly mask: bigint;
}

/** What of a thread is known without its help. */
export interface Known {
  readonly task: Task;
  readonly saved: Saved;
  /** /proc/PID/task/TID/status. */
  readonly status: TaskStatus;
  /** What its process calls owners, by our ids. */
  readonly owners: Owners;
  readonly outside: Outside;
}

/** Asks the thread that runs this table for its state. A table may be run by many threads, and answers for each. */
export function askThread(table: Table, seccomp: SeccompDump): (known: Known) => ThreadState {
  const credentials = askCredentials(table);
  const scheduling = askScheduling(table);
  const flags = askThreadFlags(table);
  const refuse = askRefusedOfThread(table);
  const altstack = askAltstack(table);
  const name = table.space(COMM_SIZE);
  table.must("its name", NR.prctl, PR.GET_NAME, name.address, 0, 0, 0);
  const pdeath = table.space(8);
  const clearTid = table.space(8);
  table.must("its parent-death signal", NR.prctl, PR.GET_PDEATHSIG, pdeath.address, 0, 0, 0);
  table.must("its clear_child_tid", NR.prctl, PR.GET_TID_ADDRESS, clearTid.address, 0, 0, 0);
  return ({ task: { pid, tid }, saved, status, owners, outside }) => {
    refuse(pid, tid);
    const core: ThreadCoreEntry = {
      futex_rla: outside.robustHead,
      futex_rla_len: outside.robustLength,
      ...scheduling(outside),
      ...flags(),
      sas: altstack(),
      signals_p: dumpPending(tid, false, outside.pending, status.get("SigPnd")),
      creds: credentials(status, owners),
      ...seccomp.dump(tid, status),
      comm: bytesToText(name.bytes.subarray(0, name.bytes.indexOf(0))),
      cg_set: 1,
    };
    const pdeathSignal = viewOf(pdeath.bytes).getUint32(0, true);
    if (pdeathSignal !== 0) core.pdeath_sig = pdeathSignal;
    const interrupted = dumpInterrupted(saved.registers);
    if (interrupted !== undefined) core.interrupted = interrupted;
    const rseq = dumpRseq(saved.rseq);
    if (rseq !== undefined) core.rseq_entry = rseq;
    const dispatch = dumpDispatch(saved);
    if (dispatch !== undefined) core.syscall_dispatch = dispatch;
    return {
      thread_info: {
        clear_tid_addr: u64.read(clearTid.bytes, 0),
        gpregs: dumpRegisters(saved),
        fpregs: dumpExtendedState(saved.xstate),
        tls: unusedTls.of("unused", () => TLS_ENTRIES.map(unusedTlsEntry)),
      },
      thread_core: core,
      mask: saved.mask,
    };
  };
}

/** The two parts of a core image that every thread has. @throws ImageValueError */
export function partsOf(core: CoreEntry): { info: ThreadInfoX86; thread: ThreadCoreEntry } {
  const { thread_info: info, thread_core: thread } = core;
  if (info === undefined || thread === undefined)
    throw new ImageValueError("a core image without thread_info or thread_core");
  return { info, thread };
}

/** What the calls of a thread take in a table at most, but for its pending signals and filters, in bytes. */
export const THREAD_CALLS_SIZE = 0x1000;

/** Gives the thread that makes the calls everything but registers, credentials and what must come last. */
export function giveThread(calls: Calls, core: CoreEntry): void {
  const { info, thread } = partsOf(core);
  calls.must("its clear_child_tid", NR.set_tid_address, Number(info.clear_tid_addr));
  givePlaces(calls, thread);
  const comm = thread.comm ?? core.tc?.comm;
  if (comm !== undefined) giveName(calls, comm);
  giveTiles(calls, info.fpregs);
  giveScheduling(calls, thread);
  giveThreadFlags(calls, thread);
}

/** Tells the kernel of the thread that makes the calls what it has in its memory. */
export function givePlaces(
  calls: Calls,
  { sas, futex_rla, futex_rla_len, rseq_entry }: ThreadCoreEntry,
): void {
  if (sas !== undefined) giveAltstack(calls, sas);
  if (futex_rla_len !== 0)
    calls.must("its robust list", NR.set_robust_list, Number(futex_rla), futex_rla_len);
  if (rseq_entry !== undefined) giveRseq(calls, rseq_entry);
}

export function giveName(calls: Calls, comm: string): void {
  calls.must("its name", NR.prctl, PR.SET_NAME, calls.data(cString(comm)), 0, 0, 0);
}

/** A thread that is given what it has, and by what. */
export interface ThreadGiven {
  /** What it, and its process, call themselves. */
  readonly pid: NsPid;
  readonly tid: NsPid;
  readonly core: CoreEntry;
  readonly seccomp: SeccompEntry | undefined;
  /** How many filters of seccomp(2) it was born with. */
  readonly inheritedFilters: number;
  /** The highest capability of this kernel. */
  readonly lastCapability: number;
  /** It has its groups from its birth, as its user namespace lets nobody change them. */
  readonly keepsGroups: boolean;
}

/** Gives what takes privilege away, and what a change of credentials would clear; then the pending signals. */
export function giveThreadLast(
  calls: Calls,
  { pid, tid, core, seccomp, inheritedFilters, lastCapability, keepsGroups }: ThreadGiven,
): void {
  const { thread } = partsOf(core);
  const { creds } = thread;
  giveSeccomp(calls, thread, seccomp, inheritedFilters);
  if (creds !== undefined)
    calls.share(creds, () => giveCredentials(calls, creds, lastCapability, keepsGroups));
  calls.must("its parent-death signal", NR.prctl, PR.SET_PDEATHSIG, thread.pdeath_sig ?? 0, 0, 0, 0);
  if (thread.signals_p !== undefined) givePending(calls, pid, tid, thread.signals_p, false);
}

/** Registers, extended state and mask: with these a thread is the one that was dumped. @throws UnsupportedError */
export function finalState(core: CoreEntry): FinalState {
  const { info, thread } = partsOf(core);
  return {
    registers: restoreRegisters(info.gpregs, thread.interrupted),
    extended: restoreExtendedState(info.fpregs),
    mask: thread.blk_sigset ?? core.tc?.blk_sigset ?? 0n,
    dispatch: restoreDispatch(thread.syscall_dispatch),
  };
}
