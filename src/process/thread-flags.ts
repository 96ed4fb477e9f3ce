/**
 * What a thread may be told by prctl(2) and arch_prctl(2) of machine checks, of the instructions rdtsc and cpuid, of speculation; and
 * where its memory comes from. A thread is born with what we have ourselves, so that what differs from that is given.
 */

import type { SpeculationEntry, ThreadCoreEntry } from "../images/schema/generated/process.ts";
import { MPOL_DEFAULT, NODES_BITS, NODES_SIZE, policyHere, trimNodes } from "../linux/mempolicy.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { ARCH, PR, PR_MCE_KILL, PR_TSC } from "../linux/prctl.ts";
import { viewOf } from "../linux/struct.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import type { Calls } from "../tracee/table/calls.ts";
import type { Table } from "../tracee/table/table.ts";

type ThreadFlags = Pick<
  ThreadCoreEntry,
  "mce_kill" | "no_tsc" | "no_cpuid" | "memory_policy" | "speculation" | "io_flusher"
>;

/** Asks the thread that runs the table. */
export function askThreadFlags(table: Table): () => ThreadFlags {
  const mce = table.call(NR.prctl, PR.MCE_KILL_GET, 0, 0, 0, 0);
  const tsc = table.space(8);
  table.call(NR.prctl, PR.GET_TSC, tsc.address, 0, 0, 0);
  const cpuid = table.call(NR.arch_prctl, ARCH.GET_CPUID, 0);
  const policy = table.space(8 + NODES_SIZE);
  const numa = table.call(NR.get_mempolicy, policy.address, policy.at(8), NODES_BITS, 0, 0);
  // Who has lost CAP_SYS_RESOURCE since then is not told.
  const flusher = table.call(NR.prctl, PR.GET_IO_FLUSHER, 0, 0, 0, 0);
  const speculation = Object.values(SPEC).map((which) => ({
    which,
    result: table.call(NR.prctl, PR.GET_SPECULATION_CTRL, which, 0, 0, 0),
  }));
  return () => {
    const told = speculation.map(({ which, result }) => ({ which, raw: result.raw }));
    const out: ThreadFlags = { speculation: speculationOf(told) };
    if (!mce.failed && mce.raw !== PR_MCE_KILL.DEFAULT) out.mce_kill = mce.raw;
    if (viewOf(tsc.bytes).getUint32(0, true) === PR_TSC.SIGSEGV) out.no_tsc = true;
    if (cpuid.raw === 0) out.no_cpuid = true;
    const mode = viewOf(policy.bytes).getUint32(0, true);
    if (!numa.failed && mode !== MPOL_DEFAULT)
      out.memory_policy = { mode, nodes: trimNodes(policy.bytes.subarray(8)) };
    if (flusher.raw === 1) out.io_flusher = true;
    return out;
  };
}

/** PR_SPEC_*: what speculates; of what a thread is told of it, that it may have its own way. */
const SPEC = { STORE_BYPASS: 0, INDIRECT_BRANCH: 1, L1D_FLUSH: 2 } as const;
const SPEC_PRCTL = 1;

function speculationOf(
  told: readonly { readonly which: number; readonly raw: number }[],
): SpeculationEntry[] {
  return told.flatMap(({ which, raw }) => {
    const isUsual = raw === ownSpeculation().find((each) => each.which === which)?.raw;
    return raw < 0 || (raw & SPEC_PRCTL) === 0 || isUsual ? [] : [{ which, control: raw & ~SPEC_PRCTL }];
  });
}

/** Of a thread that has asked for nothing: ours. */
const ownSpeculation = oncePerRun(() =>
  Object.values(SPEC).map((which) => ({
    which,
    raw: rawSyscall(NR.prctl, PR.GET_SPECULATION_CTRL, which, 0, 0, 0),
  })),
);

/** What we have, and so what is born of us. */
const own = oncePerRun(() => {
  const tsc = new Uint8Array(8);
  rawSyscall(NR.prctl, PR.GET_TSC, addressOf(tsc), 0, 0, 0);
  const mode = new Uint8Array(8);
  rawSyscall(NR.get_mempolicy, addressOf(mode), 0, 0, 0, 0);
  return {
    mce: rawSyscall(NR.prctl, PR.MCE_KILL_GET, 0, 0, 0, 0),
    tsc: tsc[0],
    cpuid: rawSyscall(NR.arch_prctl, ARCH.GET_CPUID, 0),
    policy: mode[0] ?? MPOL_DEFAULT,
  };
});

/** Gives the thread that makes the calls what it may have before it is done with its memory. */
export function giveThreadFlags(calls: Calls, entry: ThreadFlags): void {
  const { mce_kill = PR_MCE_KILL.DEFAULT, no_tsc = false, no_cpuid = false, memory_policy } = entry;
  const { mce, tsc, cpuid, policy } = own();
  if (mce_kill !== mce) calls.must("PR_MCE_KILL", NR.prctl, PR.MCE_KILL, ...mceArguments(mce_kill), 0, 0);
  const wantedTsc = no_tsc ? PR_TSC.SIGSEGV : PR_TSC.ENABLE;
  if (wantedTsc !== tsc) calls.must("PR_SET_TSC", NR.prctl, PR.SET_TSC, wantedTsc, 0, 0, 0);
  if (no_cpuid !== (cpuid === 0))
    calls.must("ARCH_SET_CPUID", NR.arch_prctl, ARCH.SET_CPUID, no_cpuid ? 0 : 1);
  if (memory_policy !== undefined || policy !== MPOL_DEFAULT) givePolicy(calls, memory_policy);
  for (const { which, control } of entry.speculation)
    calls.must("PR_SET_SPECULATION_CTRL", NR.prctl, PR.SET_SPECULATION_CTRL, which, control, 0, 0);
  if (entry.io_flusher === true)
    calls.must("PR_SET_IO_FLUSHER (it needs CAP_SYS_RESOURCE)", NR.prctl, PR.SET_IO_FLUSHER, 1, 0, 0, 0);
}

function mceArguments(kill: number): readonly number[] {
  return kill === PR_MCE_KILL.DEFAULT ? [PR_MCE_KILL.CLEAR, 0] : [PR_MCE_KILL.SET, kill];
}

function givePolicy(calls: Calls, entry: ThreadFlags["memory_policy"]): void {
  const here = policyHere(entry?.mode ?? MPOL_DEFAULT, entry?.nodes ?? new Uint8Array(), () =>
    log.warn("process", "a memory policy names nodes that this machine does not have"),
  );
  if (here === undefined) return;
  const { mode, nodes, bits } = here;
  calls.must("its memory policy", NR.set_mempolicy, mode, nodes === undefined ? 0 : calls.data(nodes), bits);
}
