/** Capabilities (capabilities(7)). */
import { KernelError } from "./errno.ts";
import { readText } from "./io.ts";
import { NR } from "./nr.ts";
import { struct, u32 } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

/** May raise hard limits, and lower oom_score_adj. */
export const CAP_SYS_RESOURCE = 24;
/** May set scheduling and affinity of the tasks of other users. */
export const CAP_SYS_NICE = 23;

/** May make namespaces other than those of users, and mounts. */
export const CAP_SYS_ADMIN = 21;
/** May set clocks, those of a time namespace too. */
export const CAP_SYS_TIME = 25;
/** May choose the ids of what is born, and read what restoring needs to know: CRIU's own. */
export const CAP_CHECKPOINT_RESTORE = 40;
export const CAP_SETGID = 6;
export const CAP_SETUID = 7;
/** May take from the limits of its own capabilities. */
export const CAP_SETPCAP = 8;

/** struct __user_cap_header_struct; process 0 is the calling thread. */
const header = struct({ version: u32, pid: u32 });
/** _LINUX_CAPABILITY_VERSION_3: two sets of 32 follow each other. */
const VERSION_3 = 0x2008_0522;
/** struct __user_cap_data_struct, of 32 capabilities. */
const sets = struct({ effective: u32, permitted: u32, inheritable: u32 });
const WORDS = 2;

/** Sets of capabilities, a bit each. */
export interface CapabilitySets {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

export function capabilityBit(number: number): bigint {
  return 1n << BigInt(number);
}

/** The two arguments of capset(2) for the calling thread. */
export function capsetArguments({
  effective,
  permitted,
  inheritable,
}: CapabilitySets): [Uint8Array, Uint8Array] {
  const data = new Uint8Array(WORDS * sets.size);
  for (let i = 0; i < WORDS; i++) {
    const word = (set: bigint) => Number((set >> BigInt(32 * i)) & 0xffff_ffffn);
    sets.write(data, i * sets.size, {
      effective: word(effective),
      permitted: word(permitted),
      inheritable: word(inheritable),
    });
  }
  return [header.encode({ version: VERSION_3, pid: 0 }), data];
}

/** Those that we have: capget(2). @throws KernelError */
export function ownCapabilities(): CapabilitySets {
  const asked = header.encode({ version: VERSION_3, pid: 0 });
  const told = new Uint8Array(WORDS * sets.size);
  syscall("of ourselves", NR.capget, addressOf(asked), addressOf(told));
  const all = { effective: 0n, permitted: 0n, inheritable: 0n };
  for (let i = 0; i < WORDS; i++) {
    const some = sets.read(told, i * sets.size);
    for (const set of ["effective", "permitted", "inheritable"] as const)
      all[set] |= BigInt(some[set]) << BigInt(32 * i);
  }
  return all;
}

/** Whether we have a capability now, effective; not where the kernel does not tell. */
export function hasCapability(number: number): boolean {
  try {
    return (ownCapabilities().effective & capabilityBit(number)) !== 0n;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return false;
  }
}

/** The number of the kernel's highest capability. */
export function lastCapability(): number {
  return Number(readText("/proc/sys/kernel/cap_last_cap"));
}
