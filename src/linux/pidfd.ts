/** What a pidfd tells of a process that is gone, and descriptors of processes that have ended. */
import { ChildTable } from "./child-table.ts";
import { Fd } from "./fd.ts";
import { O } from "./io.ts";
import { NR } from "./nr.ts";
import { RLIMIT, rlimit } from "./rlimit.ts";
import { SIG_SETMASK } from "./signal.ts";
import { s32, struct, u32, u64 } from "./struct.ts";
import { addressOf, rawSyscall, syscall } from "./syscall.ts";

/** Flags of pidfd_open(2) (include/uapi/linux/pidfd.h). */
export const PIDFD = { THREAD: O.EXCL, NONBLOCK: O.NONBLOCK } as const;

/** struct pidfd_info in its first size (PIDFD_GET_INFO, kernel 6.13), and the request for the code of the exit (6.15). */
const pidfdInfo = struct({
  mask: u64,
  cgroupid: u64,
  pid: u32,
  tgid: u32,
  ppid: u32,
  ruid: u32,
  rgid: u32,
  euid: u32,
  egid: u32,
  suid: u32,
  sgid: u32,
  fsuid: u32,
  fsgid: u32,
  exit_code: s32,
});
const PIDFD_GET_INFO = 0xc040_ff0b;
const PIDFD_INFO_EXIT = 8n;

/** How a process that is gone ended, as wait(2) has it; undefined where the kernel does not tell. */
export function exitCodeOf(pidfd: number): number | undefined {
  const bytes = new Uint8Array(pidfdInfo.size);
  new DataView(bytes.buffer).setBigUint64(0, PIDFD_INFO_EXIT, true);
  if (rawSyscall(NR.ioctl, pidfd, PIDFD_GET_INFO, addressOf(bytes)) < 0) return undefined;
  const { mask, exit_code } = pidfdInfo.decode(bytes);
  return (mask & PIDFD_INFO_EXIT) === 0n ? undefined : exit_code;
}

/**
 * Descriptors, with flags of pidfd_open(2), of one process that has ended as `status` says (a status of wait(2)), and that
 * nobody can wait for any more. They are the caller's. @throws KernelError
 */
export function endedProcess(status: number, flags: readonly number[]): number[] {
  const ends = new Int32Array(2);
  syscall("", NR.pipe2, addressOf(new Uint8Array(ends.buffer)), O.CLOEXEC);
  using reading = Fd.own(ends[0] ?? -1);
  using writing = Fd.own(ends[1] ?? -1);
  using child = new ChildTable();
  // It waits for the end of the pipe.
  child.call(NR.close, writing.number);
  child.call(NR.read, reading.number, child.data(8).address, 1);
  const signal = status & 0x7f;
  if (signal !== 0) {
    child.call(NR.prlimit64, 0, RLIMIT.CORE, new Uint8Array(rlimit.size), 0);
    child.call(NR.kill, child.call(NR.getpid), signal);
    child.call(NR.rt_sigprocmask, SIG_SETMASK, new Uint8Array(8), 0, 8);
  }
  child.call(NR.exit_group, (status >> 8) & 0xff);
  const pid = child.start();
  const fds: Fd[] = [];
  try {
    for (const each of flags)
      fds.push(Fd.own(syscall(`of process ${pid}`, NR.pidfd_open, pid, each & ~PIDFD.THREAD)));
    writing.close();
    child.end();
    return fds.map((fd) => fd.release());
  } finally {
    for (const fd of fds) fd.close();
  }
}
