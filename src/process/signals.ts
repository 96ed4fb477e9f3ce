/** Signal handling of a process and its threads: handlers, alternate stacks, masks, pending signals. */
import type { SaEntry, SignalQueueEntry, ThreadSasEntry } from "../images/schema/generated/process.ts";
import { readMemory } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { peekSiginfo, SIGINFO_SIZE } from "../linux/ptrace.ts";
import { MAX_SIGNAL, SIG, sigaction, siginfoHead, signalBit, stackT } from "../linux/signal.ts";
import { struct, u64 } from "../linux/struct.ts";
import type { Table } from "../tracee/table.ts";
import { ImageValueError } from "./errors.ts";

const SIGSET_SIZE = 8;
const sigset = struct({ signals: u64 });

/** The signals whose handling can be set, in the order in which the image has them. */
const SETTABLE: number[] = [];
for (let signal = 1; signal <= MAX_SIGNAL; signal++) {
  if (signal !== SIG.KILL && signal !== SIG.STOP) SETTABLE.push(signal);
}

/** Asks for the handling of every signal; `ownSigtrap` is where that of SIGTRAP stands while ours is in its place. */
export function askSigactions(table: Table, pid: number, ownSigtrap: number): () => SaEntry[] {
  const space = table.space(SETTABLE.length * sigaction.size);
  SETTABLE.forEach((signal, i) => {
    if (signal === SIG.TRAP) return;
    table.must(
      "the handling of a signal",
      NR.rt_sigaction,
      signal,
      0,
      space.address + i * sigaction.size,
      SIGSET_SIZE,
    );
  });
  return () => {
    const { bytes } = space;
    const trap = new Uint8Array(bytes.buffer, bytes.byteOffset + TRAP_INDEX * sigaction.size, sigaction.size);
    readMemory(pid, ownSigtrap, trap);
    return sigactionsOf(bytes);
  };
}

const TRAP_INDEX = SETTABLE.indexOf(SIG.TRAP);
let lastBytes: Uint8Array = new Uint8Array();
let lastEntries: SaEntry[] = [];

/** The image's entries of all handlers. Processes of a tree mostly have the same ones, which are made once. */
function sigactionsOf(bytes: Uint8Array): SaEntry[] {
  if (Buffer.compare(bytes, lastBytes) !== 0) {
    lastBytes = bytes;
    lastEntries = SETTABLE.map((_, i) => {
      const { handler, flags, restorer, mask } = sigaction.decode(bytes, i * sigaction.size);
      return {
        sigaction: BigInt(handler),
        flags,
        restorer: BigInt(restorer),
        mask,
        compat_sigaction: false,
      };
    });
  }
  return lastEntries;
}

/** Sets the handling of every signal as the image has it. */
export function giveSigactions(table: Table, pid: number, entries: readonly SaEntry[]): void {
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

export function giveAltstack(table: Table, entry: ThreadSasEntry): void {
  const SS_ONSTACK = 1;
  const stack = stackT.encode({
    sp: Number(entry.ss_sp),
    // Whether the thread is on it just now is for the kernel to see from the stack pointer.
    flags: (entry.ss_flags & ~SS_ONSTACK) | 0,
    size: Number(entry.ss_size),
  });
  table.must("its alternate stack", NR.sigaltstack, table.data(stack), 0);
}

/** The pending signals of a stopped thread, or those of its process. */
export function dumpPending(tid: number, shared: boolean): SignalQueueEntry {
  return { signals: peekSiginfo(tid, shared).map((siginfo) => ({ siginfo })) };
}

/** Queues pending signals from within: only the process itself may forge what the kernel would have sent. */
export function givePending(
  table: Table,
  pid: number,
  tid: number,
  queue: SignalQueueEntry,
  shared: boolean,
): void {
  for (const { siginfo } of queue.signals) {
    if (siginfo.length !== SIGINFO_SIZE)
      throw new ImageValueError(`a pending signal of ${siginfo.length} bytes`);
    const { signo } = siginfoHead.decode(siginfo);
    if (table.free < 1024) table.run();
    const info = table.data(siginfo);
    if (shared) table.must(`pending signal ${signo}`, NR.rt_sigqueueinfo, pid, signo, info);
    else table.must(`pending signal ${signo}`, NR.rt_tgsigqueueinfo, pid, tid, signo, info);
  }
}

/** Takes away the SIGCHLD of children that ended while the tree was built. It is queued once at the most. */
export function giveDrain(table: Table): void {
  const children = sigset.encode({ signals: signalBit(SIG.CHLD) });
  const now = new Uint8Array(16);
  table.call(NR.rt_sigtimedwait, table.data(children), 0, table.data(now), SIGSET_SIZE);
}
