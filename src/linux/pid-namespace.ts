/** Bearing processes into other pid namespaces (pid_namespaces(7)). */
import { NEW } from "./clone.ts";
import { Fd } from "./fd.ts";
import { O } from "./io.ts";
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { syscall } from "./syscall.ts";

/**
 * Has those that we bear meanwhile live in the pid namespace of a descriptor: for which namespace a thread's children are is a matter of
 * its own. @throws KernelError (EINVAL: it is not below ours)
 */
export function withChildrenIn<T>(namespace: number, bear: () => T): T {
  using own = Fd.open("/proc/self/ns/pid", O.RDONLY);
  const join = (fd: number) => syscall("of pids, for our children", NR.setns, fd, NEW.PID);
  join(namespace);
  try {
    return bear();
  } finally {
    join(own.number);
  }
}

/** The same in that of a process. @throws KernelError */
export function bearBeside<T>(pid: HostPid, bear: () => T): T {
  using namespace = Fd.open(`/proc/${pid}/ns/pid`, O.RDONLY);
  return withChildrenIn(namespace.number, bear);
}
