/**
 * What mappings get when they are filled and all children are born, since it would be in the way before: protections, names and
 * advice, guards, locks, seals.
 */

import { ERRNO, errnoName } from "../linux/errno.ts";
import { PROT } from "../linux/memory.ts";
import { MADV, MCL, MLOCK_ONFAULT } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { PR, PR_SET_VMA_ANON_NAME } from "../linux/prctl.ts";
import { cString } from "../linux/syscall.ts";
import { MemoryError, rangeText } from "./errors.ts";
import type { MemoryPlan } from "./layout.ts";
import { givePolicy } from "./policies.ts";
import type { Steps } from "./steps.ts";
import { has, STATUS, type Vma } from "./vma.ts";

/** Adds the calls, in this order. @throws KernelError, MemoryError, when they are run */
export function finishMappings(steps: Steps, plan: MemoryPlan): void {
  const { layout } = plan;
  plan.vmas.forEach((vma, i) => {
    const now = plan.now[i];
    if (now === undefined || now === vma.prot) return;
    steps.must(`mapping ${rangeText(vma)}`, NR.mprotect, vma.start, vma.end - vma.start, vma.prot);
    plan.now[i] = vma.prot;
  });
  for (const vma of layout.marked) {
    givePolicy(steps, vma);
    if (vma.name !== undefined) name(steps, vma, vma.name);
    for (const advice of vma.advice)
      steps.must(`mapping ${rangeText(vma)}`, NR.madvise, vma.start, vma.end - vma.start, advice);
  }
  for (const guard of plan.guards) {
    const object = `guards ${rangeText(guard)}`;
    steps.must(object, NR.madvise, guard.start, guard.end - guard.start, MADV.GUARD_INSTALL);
  }
  for (const vma of layout.locked) lock(steps, plan, vma);
  const disabled = plan.mm.thp_disabled === true ? 1 : 0;
  const how = disabled === 0 ? 0 : (plan.mm.thp_disable_flags ?? 0);
  steps.must("huge pages disabled", NR.prctl, PR.SET_THP_DISABLE, disabled, how, 0, 0);
  const future = (plan.mm.lock_future ?? 0) & (MCL.FUTURE | MCL.ONFAULT);
  if (future !== 0) steps.must("locking of mappings to come", NR.mlockall, future);
  for (const vma of layout.sealed)
    steps.must(`mapping ${rangeText(vma)}`, NR.mseal, vma.start, vma.end - vma.start, 0);
}

/** Names anonymous memory; a kernel that knows no names leaves it without one. */
function name(steps: Steps, vma: Vma, name: string): void {
  const text = cString(name);
  steps.reserve(text.length);
  const address = steps.data(text);
  steps.checked(
    () => {},
    NR.prctl,
    PR.SET_VMA,
    PR_SET_VMA_ANON_NAME,
    vma.start,
    vma.end - vma.start,
    address,
  );
}

/** mlock2(2). What cannot be made present (no access, a guard) is locked all the same. */
function lock(steps: Steps, { pid, guards }: MemoryPlan, vma: Vma): void {
  const onFault = vma.lockOnFault ? MLOCK_ONFAULT : 0;
  const guarded = guards.some((guard) => guard.start < vma.end && guard.end > vma.start);
  const unreachable = guarded || vma.prot === PROT.NONE || !has(vma, STATUS.ANON_PRIVATE);
  steps.checked(
    (result) => {
      if (!result.failed || (unreachable && result.raw !== -ERRNO.EPERM)) return;
      throw new MemoryError(pid, `mapping ${rangeText(vma)}: mlock2: ${errnoName(-result.raw)}`, {
        errno: -result.raw,
      });
    },
    NR.mlock2,
    vma.start,
    vma.end - vma.start,
    onFault,
  );
}
