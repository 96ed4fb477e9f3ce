/** Letting restored processes go: our area vanishes, every thread gets its own registers, and the tracer leaves. */

import { ERRNO, KernelError } from "../linux/errno.ts";
import { readMemory } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { readMaps } from "../linux/proc.ts";
import { getRegisters, PTRACE, setRegisters } from "../linux/ptrace.ts";
import { checkResult } from "../linux/syscall.ts";
import { hostMachine } from "../machine/host.ts";
import type { Restoree } from "./restoree.ts";

/** An address, outside our area, at which the process has a system call instruction. */
function findSyscall({ pid, area }: Restoree): number {
  const candidates = readMaps(pid)
    .filter((m) => m.exec && m.path !== "[vsyscall]" && m.start !== area.address)
    // The vDSO is small and has one.
    .sort((a, b) => Number(b.path === "[vdso]") - Number(a.path === "[vdso]"));
  for (const { start, end } of candidates) {
    const code = Buffer.alloc(end - start);
    readMemory(pid, start, code);
    const found = code.indexOf(hostMachine.gadgets.call);
    if (found >= 0) return start + found;
  }
  throw new KernelError("leaving", `process ${pid}: no system call instruction in its code`, ERRNO.ENOEXEC);
}

/** Unmaps our area from processes whose threads will run no more tables. All work at once. */
export function unmapAreas(restorees: readonly Restoree[]): void {
  for (const restoree of restorees) {
    const { task } = restoree.leader;
    setRegisters(task.tid, {
      ...getRegisters(task.tid),
      ip: BigInt(findSyscall(restoree)),
      orig_ax: 0xffff_ffff_ffff_ffffn,
      ax: BigInt(NR.munmap),
      di: BigInt(restoree.area.address),
      si: BigInt(restoree.area.size),
    });
    task.resume(PTRACE.SYSCALL);
  }
  for (const { leader } of restorees) {
    leader.task.awaitSyscallStop();
    leader.task.resume(PTRACE.SYSCALL);
  }
  for (const { leader, pid } of restorees) {
    const { task } = leader;
    task.awaitSyscallStop();
    const result = Number(BigInt.asIntN(64, getRegisters(task.tid).ax));
    checkResult(result, NR.munmap, `of our area in process ${pid}`);
    task.park();
  }
}
