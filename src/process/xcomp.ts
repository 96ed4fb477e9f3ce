/** The permission of a process to use components of an extended state that are not for everybody (ARCH_REQ_XCOMP_PERM: AMX). */

import { XFEATURE } from "../linux/cpuid.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { ARCH } from "../linux/prctl.ts";
import { u64 } from "../linux/struct.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import type { Calls } from "../tracee/table/calls.ts";
import type { Table } from "../tracee/table/table.ts";

/** Components that are to be asked for, which the kernel knows. */
const TO_BE_ASKED_FOR = [XFEATURE.XTILEDATA];

/** What we may use, and so what is born of us; undefined on a kernel that has no such components. */
const own = oncePerRun(() => {
  const mask = new Uint8Array(8);
  return rawSyscall(NR.arch_prctl, ARCH.GET_XCOMP_PERM, addressOf(mask)) < 0 ? undefined : u64.read(mask, 0);
});

/** Asks a process for it; undefined where it may use no more than others. */
export function askXcompPermission(table: Table): () => bigint | undefined {
  const mask = table.space(8);
  const result = table.call(NR.arch_prctl, ARCH.GET_XCOMP_PERM, mask.address);
  return () => {
    const permitted = result.failed ? 0n : u64.read(mask.bytes, 0);
    const asked = TO_BE_ASKED_FOR.some((feature) => ((permitted >> BigInt(feature)) & 1n) === 1n);
    return asked ? permitted : undefined;
  };
}

/** Asks the kernel for it, before the state of any thread needs it. */
export function giveXcompPermission(calls: Calls, permission = 0n): void {
  for (const feature of TO_BE_ASKED_FOR) {
    const bit = 1n << BigInt(feature);
    if ((permission & bit) !== 0n && ((own() ?? 0n) & bit) === 0n)
      calls.must(`permission for state component ${feature}`, NR.arch_prctl, ARCH.REQ_XCOMP_PERM, feature);
  }
}
