/** Signal handling of a process and its threads: handlers, alternate stacks, masks, pending signals. */

import { Repeated } from "../images/repeated.ts";
import { SaEntry, type SignalQueueEntry, type ThreadSasEntry } from "../images/schema/generated/process.ts";
import { keepBytes } from "../images/wire.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid, NsPid } from "../linux/pid.ts";
import { peekSiginfo, SIGINFO_SIZE } from "../linux/ptrace.ts";
import { MAX_SIGNAL, SIG, sigaction, siginfoHead, signalBit, stackT } from "../linux/signal.ts";
import { struct, u64 } from "../linux/struct.ts";
import type { Calls } from "../tracee/table/calls.ts";
import type { Table } from "../tracee/table/table.ts";
import { ImageValueError } from "./errors.ts";
import { isLate } from "./late-signals.ts";

const SIGSET_SIZE = 8;
const sigset = struct({ signals: u64 });

/** The signals whose handling can be set, in the order in which the image has them. */
const SETTABLE: number[] = [];
for (let signal = 1; signal <= MAX_SIGNAL; signal++) {
  if (signal !== SIG.KILL && signal !== SIG.STOP) SETTABLE.push(signal);
}

/** Asks for the handling of every signal but SIGTRAP, which has ours for the time; `ownSigtrap` is to be the process' own. */
export function askSigactions(table: Table): (ownSigtrap: Uint8Array) => SaEntry[] {
  const space = table.space(SETTABLE.length * sigaction.size);
  SETTABLE.forEach((signal, i) => {
    if (signal === SIG.TRAP) return;
    table.must(
      "the handling of a signal",
      NR.rt_sigaction,
      signal,
      0,
      space.at(i * sigaction.size),
      SIGSET_SIZE,
    );
  });
  return (ownSigtrap) => {
    const { bytes } = space;
    bytes.set(ownSigtrap, TRAP_INDEX * sigaction.size);
    return sigactionsOf(bytes);
  };
}

const TRAP_INDEX = SETTABLE.indexOf(SIG.TRAP);
const handlings = new Repeated<SaEntry[]>((entries) => {
  for (const entry of entries) keepBytes(SaEntry, entry);
});

/** The image's entries of all handlers. */
function sigactionsOf(bytes: Uint8Array): SaEntry[] {
  return handlings.of(bytes, () =>
    SETTABLE.map((_, i) => {
      const { handler, flags, restorer, mask } = sigaction.decode(bytes, i * sigaction.size);
      return {
        sigaction: BigInt(handler),
        flags,
        restorer: BigInt(restorer),
        mask,
        compat_sigaction: false,
      };
    }),
  );
}

/** Sets the handling of every signal as the image has it. */
export function giveSigactions(table: Calls, pid: NsPid, entries: readonly (SaEntry | undefined)[]): void {
  SETTABLE.forEach((signal, i) => {
    const entry = entries[i];
    // Images of kernels with fewer signals have fewer entries; a restored process begins with the default handling.
    if (entry === undefined) return;
    if (entry.compat_sigaction === true)
      throw new ImageValueError(`core-${pid}.img: signal ${signal} has a 32-bit handler`);
    const action = sigaction.encode({
      handler: Number(entry.sigaction),
      flags: entry.flags,
      restorer: Number(entry.restorer),
      mask: entry.mask,
    });
    table.must(`handler of signal ${signal}`, NR.rt_sigaction, signal, table.data(action), 0, SIGSET_SIZE);
  });
}

/** Asks for the alternate stack of the thread that runs the table. */
export function askAltstack(table: Table): () => ThreadSasEntry {
  const space = table.space(stackT.size);
  table.must("its alternate stack", NR.sigaltstack, 0, space.address);
  return () => {
    const { sp, flags, size } = stackT.decode(space.bytes);
    return { ss_sp: BigInt(sp), ss_size: BigInt(size), ss_flags: flags >>> 0 };
  };
}

export function giveAltstack(table: Calls, entry: ThreadSasEntry): void {
  const SS_ONSTACK = 1;
  const stack = stackT.encode({
    sp: Number(entry.ss_sp),
    // Whether the thread is on it just now is for the kernel to see from the stack pointer.
    flags: (entry.ss_flags & ~SS_ONSTACK) | 0,
    size: Number(entry.ss_size),
  });
  table.must("its alternate stack", NR.sigaltstack, table.data(stack), 0);
}

/** A mask of pending signals in /proc/PID/status where there are none. */
const NONE = "0000000000000000";

/**
 * The pending signals of a stopped thread, or those of its process; `isAny` says whether some are queued, `mask`, of /proc/PID/status, which
 * are pending. Of one that came when no more could be queued (RLIMIT_SIGPENDING) the kernel knows nothing else.
 */
export function dumpPending(
  tid: HostPid,
  shared: boolean,
  isAny: boolean,
  mask: string | undefined,
): SignalQueueEntry {
  const signals = isAny ? peekSiginfo(tid, shared).map((siginfo) => ({ siginfo })) : [];
  if (mask === undefined || mask === NONE) return { signals };
  const queued = new Set(signals.map(({ siginfo }) => siginfoHead.decode(siginfo).signo));
  const pending = BigInt(`0x${mask}`);
  for (const signo of SETTABLE) {
    if ((pending & signalBit(signo)) === 0n || queued.has(signo)) continue;
    const siginfo = new Uint8Array(SIGINFO_SIZE);
    siginfoHead.encodeInto(siginfo, 0, { signo });
    signals.push({ siginfo });
  }
  return { signals };
}

/** Queues pending signals, but for the late ones (late-signals.ts), from within, where the thread has these numbers: only the process itself may forge what the kernel would have sent. */
export function givePending(
  table: Calls,
  pid: NsPid,
  tid: NsPid,
  queue: SignalQueueEntry,
  shared: boolean,
): void {
  for (const { siginfo } of queue.signals) {
    if (siginfo.length !== SIGINFO_SIZE)
      throw new ImageValueError(`a pending signal of ${siginfo.length} bytes`);
    if (isLate(siginfo, shared)) continue;
    const { signo } = siginfoHead.decode(siginfo);
    table.reserve(1024);
    const info = table.data(siginfo);
    if (shared) table.must(`pending signal ${signo}`, NR.rt_sigqueueinfo, pid, signo, info);
    else table.must(`pending signal ${signo}`, NR.rt_tgsigqueueinfo, pid, tid, signo, info);
  }
}

/**
 * Takes away the signals of children that ended, or stopped, while the tree was built: SIGCHLD, which is queued once at the most,
 * and those of `ended`; and the SIGCONT of a process that was stopped and goes on.
 */
export function giveDrain(table: Table, ended: readonly number[]): void {
  const now = table.data(new Uint8Array(16));
  for (const signal of [SIG.CHLD, SIG.CONT, ...ended]) {
    const one = sigset.encode({ signals: signalBit(signal) });
    table.call(NR.rt_sigtimedwait, table.data(one), 0, now, SIGSET_SIZE);
  }
}
