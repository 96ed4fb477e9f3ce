/** Resource limits: prlimit(2), include/uapi/asm-generic/resource.h. */

import { NR } from "./nr.ts";
import { CALLER, type HostPid } from "./pid.ts";
import { struct, u64 } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

export const RLIMIT = { FSIZE: 1, STACK: 3, CORE: 4, NOFILE: 7, SIGPENDING: 11, RTPRIO: 14 } as const;
/** All, in the order of their numbers. */
export const RLIMIT_NAMES = [
  ..."CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split(
    " ",
  ),
] as const;
/** How many there are. */
export const RLIM_NLIMITS = 16;
export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** struct rlimit64: the soft and the hard limit. */
export const rlimit = struct({ cur: u64, max: u64 });
export type Rlimit = ReturnType<typeof rlimit.decode>;

const present = new Uint8Array(rlimit.size);
const presentAddress = addressOf(present);

/** Sets a limit of process `pid`; `object` names it should that fail. @throws KernelError */
export function setRlimit(pid: HostPid, resource: number, limit: Rlimit, object: () => string): void {
  syscall(object, NR.prlimit64, pid, resource, addressOf(rlimit.encode(limit)), 0);
}

/** A limit of process `pid`, 0 for us. That of another user's takes CAP_SYS_RESOURCE. @throws KernelError */
export function readRlimit(pid: HostPid, resource: number): Rlimit {
  syscall(
    () =>
      `RLIMIT_${RLIMIT_NAMES[resource] ?? resource} of ${pid === CALLER ? "criu itself" : `process ${pid}`}`,
    NR.prlimit64,
    pid,
    resource,
    0,
    presentAddress,
  );
  return rlimit.decode(present);
}
