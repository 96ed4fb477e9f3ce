/** Capabilities (capabilities(7)). */
import { readText } from "./io.ts";
import { NR } from "./nr.ts";
import { struct, u32 } from "./struct.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

/** May set scheduling and affinity of the tasks of other users. */
export const CAP_SYS_NICE = 23;

/** May make namespaces other than those of users, and mounts. */
export const CAP_SYS_ADMIN = 21;
/** May set clocks, those of a time namespace too. */
export const CAP_SYS_TIME = 25;

/** struct __user_cap_header_struct; process 0 is the calling thread. */
const header = struct({ version: u32, pid: u32 });
/** _LINUX_CAPABILITY_VERSION_3: two sets of 32 follow each other. */
const VERSION_3 = 0x2008_0522;
/** struct __user_cap_data_struct, of 32 capabilities. */
const sets = struct({ effective: u32, permitted: u32, inheritable: u32 });

/** Whether we have a capability now, effective; not where the kernel does not tell: capget(2). */
export function hasCapability(number: number): boolean {
  const asked = header.encode({ version: VERSION_3, pid: 0 });
  const told = new Uint8Array(2 * sets.size);
  if (rawSyscall(NR.capget, addressOf(asked), addressOf(told)) < 0) return false;
  const { effective } = sets.read(told, number < 32 ? 0 : sets.size);
  return ((effective >>> (number % 32)) & 1) !== 0;
}

/** The number of the kernel's highest capability. */
export function lastCapability(): number {
  return Number(readText("/proc/sys/kernel/cap_last_cap"));
}
