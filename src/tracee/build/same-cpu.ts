/**
 * One processor for us and a process that we build. We work in turn, a table there and a step here, and to hand over on one
 * processor is a switch of tasks; to another one it takes an interrupt, and mostly a processor that has to be woken. (rr
 * does the same.) What is born of us is born with our affinity.
 */

import {
  affinityOf,
  type CpuMask,
  everyCpu,
  onlyCpu,
  presentCpu,
  setAffinity,
} from "../../linux/affinity.ts";
import { CAP_SYS_NICE, hasCapability } from "../../linux/capability.ts";
import { CALLER, type HostPid } from "../../linux/pid.ts";

export class SameCpu {
  /** What others, and we afterwards, are to have: our affinity as it was. */
  #ours: CpuMask | undefined;

  /** From here on we stay where we are; not where we could not free a process again that is another user's by then. */
  begin(): void {
    if (!hasCapability(CAP_SYS_NICE)) return;
    const cpu = presentCpu();
    const ours = affinityOf(CALLER);
    if (cpu === undefined || ours === undefined) return;
    this.#ours = unlimited(ours) ? everyCpu() : ours;
    if (!setAffinity(CALLER, onlyCpu(cpu))) this.end();
  }

  /** Lets tasks that were born since then run where we could; the stopped stay stopped. One that has ended is no error. */
  free(tids: readonly HostPid[]): void {
    if (this.#ours !== undefined) for (const tid of tids) setAffinity(tid, this.#ours);
  }

  /** We may run where we could before. Never throws. */
  end(): void {
    if (this.#ours !== undefined) setAffinity(CALLER, this.#ours);
    this.#ours = undefined;
  }
}

/**
 * Whether our affinity is nobody's wish but all that our cpuset has. The kernel remembers a wish, and does not go beyond it when
 * the cpuset grows (Linux 5.15); so then the wish is for all processors. Leaves us with that.
 */
function unlimited(ours: CpuMask): boolean {
  if (!setAffinity(CALLER, everyCpu())) return false;
  const all = affinityOf(CALLER);
  return all !== undefined && Buffer.compare(all, ours) === 0;
}
