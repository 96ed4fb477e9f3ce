/**
 * What a process or a thread may have that no image carries, and that the kernel tells of: refused by name, before anything is ended.
 * (What a mapping may have is refused in memory/describe.ts, open files in files/unsupported.ts.)
 */
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import type { TaskStatus } from "../linux/proc.ts";
import { u64 } from "../linux/struct.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import type { Table } from "../tracee/table/table.ts";
import { UnsupportedError } from "./errors.ts";

/** keyctl(2): the keyrings of a thread and of a process; reading tells how long the list of their keys is. */
const KEYCTL_READ = 11;
const KEY_SPEC = { THREAD: -1, PROCESS: -2 } as const;
/** modify_ldt(2): to read the table. */
const LDT_READ = 0;
/** Of PR_SCHED_CORE: to get the cookie of one thread. */
const SCHED_CORE_GET = 0;
const ONE_THREAD = 0;
/** What /proc/PID/status says where all bits of an address count. */
const NO_MASK = "0xffffffffffffffff";

/** Asks for what all threads of a process have in common. @throws UnsupportedError what it gives does */
export function askRefusedOfTask(table: Table): (pid: HostPid, status: TaskStatus) => void {
  const ldt = table.call(NR.modify_ldt, LDT_READ, table.space(u64.size).address, u64.size);
  const keys = table.call(NR.keyctl, KEYCTL_READ, KEY_SPEC.PROCESS, 0, 0, 0);
  return (pid, status) => {
    const refuse = (what: string): never => {
      throw new UnsupportedError(`${what}, which cannot be dumped`, { process: pid });
    };
    if (!ldt.failed && ldt.raw > 0) refuse("it has a local descriptor table (modify_ldt(2))");
    if (!keys.failed && keys.raw > 0) refuse("there are keys in its process keyring (keyctl(2))");
    if ((status.get("untag_mask") ?? NO_MASK) !== NO_MASK)
      refuse("bits of its addresses are ignored (ARCH_ENABLE_TAGGED_ADDR)");
  };
}

/** Asks for what the thread that runs the table has. @throws UnsupportedError what it gives does */
export function askRefusedOfThread(table: Table): (pid: HostPid, tid: HostPid) => void {
  const keys = table.call(NR.keyctl, KEYCTL_READ, KEY_SPEC.THREAD, 0, 0, 0);
  const cookie = table.space(u64.size);
  table.call(NR.prctl, PR.SCHED_CORE, SCHED_CORE_GET, 0, ONE_THREAD, cookie.address);
  return (pid, tid) => {
    const refuse = (what: string): never => {
      throw new UnsupportedError(`${what}, which cannot be dumped`, { process: pid });
    };
    if (!keys.failed && keys.raw > 0) refuse(`there are keys in the keyring of task ${tid} (keyctl(2))`);
    const value = u64.read(cookie.bytes, 0);
    if (value !== 0n && value !== ownCookie())
      refuse(`task ${tid} shares cores with its own alone (PR_SCHED_CORE)`);
  };
}

/** Ours, which all that is born of us has. */
const ownCookie = oncePerRun(() => {
  const cookie = new Uint8Array(u64.size);
  rawSyscall(NR.prctl, PR.SCHED_CORE, SCHED_CORE_GET, 0, ONE_THREAD, addressOf(cookie));
  return u64.read(cookie, 0);
});
