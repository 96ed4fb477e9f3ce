/** What every thread has of its own: thread_core_entry and thread_info. */
import type { CoreEntry, SeccompEntry, ThreadCoreEntry } from "../images/schema/generated/process.ts";
import type { ThreadInfoX86, UserDescT } from "../images/schema/generated/x86.ts";
import { NR } from "../linux/nr.ts";
import { readStatus } from "../linux/proc.ts";
import { getRegisters, setExtendedState, setRegisters, setSignalMask } from "../linux/ptrace.ts";
import { u64, viewOf, word } from "../linux/struct.ts";
import { addressOf, cString, syscall } from "../linux/syscall.ts";
import { bytesToText } from "../linux/text.ts";
import type { Saved } from "../tracee/infection.ts";
import type { Table } from "../tracee/table.ts";
import type { Task } from "../tracee/task.ts";
import { askCredentials, giveCredentials } from "./credentials.ts";
import { ImageValueError } from "./errors.ts";
import { dumpExtendedState, dumpRegisters, restoreExtendedState, restoreRegisters } from "./registers.ts";
import { dumpRseq, giveRseq } from "./rseq.ts";
import { askScheduling, giveScheduling } from "./scheduling.ts";
import { giveSeccomp, type SeccompDump } from "./seccomp.ts";
import { askAltstack, dumpPending, giveAltstack, givePending } from "./signals.ts";

const PR = { SET_PDEATHSIG: 1, GET_PDEATHSIG: 2, SET_NAME: 15, GET_NAME: 16, GET_TID_ADDRESS: 40 } as const;

/** TASK_COMM_LEN, the NUL included. */
const COMM_SIZE = 16;

/** The GDT entries of set_thread_area(2), which 64-bit threads have but do not use. */
const UNUSED_TLS: readonly UserDescT[] = [12, 13, 14].map((entry_number) => ({
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
}));

function robustList(tid: number): Pick<ThreadCoreEntry, "futex_rla" | "futex_rla_len"> {
  const out = new Uint8Array(16);
  const address = addressOf(out);
  syscall(() => `of task ${tid}`, NR.get_robust_list, tid, address, address + 8);
  return { futex_rla: u64.read(viewOf(out), 0), futex_rla_len: word.read(viewOf(out), 8) };
}

export interface ThreadState {
  readonly thread_info: ThreadInfoX86;
  readonly thread_core: ThreadCoreEntry;
  /** The blocked signals, which the image keeps elsewhere for a process' first thread. */
  readonly mask: bigint;
}

/** Asks a stopped thread, whose table this is, for its state. */
export function askThread(table: Table, task: Task, saved: Saved, seccomp: SeccompDump): () => ThreadState {
  const { pid, tid } = task;
  const status = readStatus(pid, tid);
  const credentials = askCredentials(table, status);
  const scheduling = askScheduling(table);
  const altstack = askAltstack(table);
  const name = table.space(COMM_SIZE);
  table.must("its name", NR.prctl, PR.GET_NAME, name.address, 0, 0, 0);
  const pdeath = table.space(8);
  const clearTid = table.space(8);
  table.must("its parent-death signal", NR.prctl, PR.GET_PDEATHSIG, pdeath.address, 0, 0, 0);
  table.must("its clear_child_tid", NR.prctl, PR.GET_TID_ADDRESS, clearTid.address, 0, 0, 0);
  return () => {
    const core: ThreadCoreEntry = {
      ...robustList(tid),
      ...scheduling(),
      sas: altstack(),
      signals_p: dumpPending(tid, false),
      creds: credentials(),
      ...seccomp.dump(tid, status),
      comm: bytesToText(name.bytes.subarray(0, name.bytes.indexOf(0))),
      cg_set: 1,
    };
    const pdeathSignal = viewOf(pdeath.bytes).getUint32(0, true);
    if (pdeathSignal !== 0) core.pdeath_sig = pdeathSignal;
    const rseq = dumpRseq(saved.rseq);
    if (rseq !== undefined) core.rseq_entry = rseq;
    return {
      thread_info: {
        clear_tid_addr: u64.read(viewOf(clearTid.bytes), 0),
        gpregs: dumpRegisters(saved.registers),
        fpregs: dumpExtendedState(saved.xstate),
        tls: [...UNUSED_TLS],
      },
      thread_core: core,
      mask: saved.mask,
    };
  };
}

function partsOf(core: CoreEntry): { info: ThreadInfoX86; thread: ThreadCoreEntry } {
  const { thread_info: info, thread_core: thread } = core;
  if (info === undefined || thread === undefined)
    throw new ImageValueError("a core image without thread_info or thread_core");
  return { info, thread };
}

/** Gives the thread that runs the table everything but registers, credentials and what must come last. */
export function giveThread(table: Table, core: CoreEntry): void {
  const { info, thread } = partsOf(core);
  if (thread.sas !== undefined) giveAltstack(table, thread.sas);
  table.must("its clear_child_tid", NR.set_tid_address, Number(info.clear_tid_addr));
  if (thread.futex_rla_len !== 0) {
    table.must("its robust list", NR.set_robust_list, Number(thread.futex_rla), thread.futex_rla_len);
  }
  if (thread.rseq_entry !== undefined) giveRseq(table, thread.rseq_entry);
  const comm = thread.comm ?? core.tc?.comm;
  if (comm !== undefined) table.must("its name", NR.prctl, PR.SET_NAME, table.data(cString(comm)), 0, 0, 0);
  giveScheduling(table, thread);
}

/** Gives what takes privilege away, and what a change of credentials would clear; then the pending signals. */
export function giveThreadLast(
  table: Table,
  pid: number,
  tid: number,
  core: CoreEntry,
  seccomp: SeccompEntry | undefined,
  inheritedFilters: number,
  lastCapability: number,
): void {
  const { thread } = partsOf(core);
  giveSeccomp(table, thread, seccomp, inheritedFilters);
  if (thread.creds !== undefined) giveCredentials(table, thread.creds, lastCapability);
  table.must("its parent-death signal", NR.prctl, PR.SET_PDEATHSIG, thread.pdeath_sig ?? 0, 0, 0, 0);
  if (thread.signals_p !== undefined) givePending(table, pid, tid, thread.signals_p, false);
}

/**
 * Gives a thread its extended state, which nothing of ours touches from here on, and sees whether the kernel would take
 * its registers too. @throws KernelError
 */
export function tryThreadState({ tid }: Task, core: CoreEntry): void {
  const { info } = partsOf(core);
  setExtendedState(tid, restoreExtendedState(info.fpregs));
  const ours = getRegisters(tid);
  try {
    setRegisters(tid, restoreRegisters(info.gpregs));
  } finally {
    setRegisters(tid, ours);
  }
}

/** Sets a thread's registers and mask by ptrace: from here on it is the one that was dumped. */
export function restoreThreadState(task: Task, core: CoreEntry): void {
  const { info, thread } = partsOf(core);
  setSignalMask(task.tid, thread.blk_sigset ?? core.tc?.blk_sigset ?? 0n);
  setRegisters(task.tid, restoreRegisters(info.gpregs));
}
