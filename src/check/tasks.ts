/** What the kernel offers for tasks: births, ptrace(2), /proc. */

import { ChildTable } from "../linux/child-table.ts";
import { AT, O, readText } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { type HostPid, sameNumber } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { readStat } from "../linux/proc.ts";
import {
  getRegisters,
  getRseq,
  getSignalMask,
  PTRACE,
  PTRACE_O,
  peekSiginfo,
  ptrace,
  wait,
} from "../linux/ptrace.ts";
import { SIG, siginfoHead } from "../linux/signal.ts";
import { struct, u8, u16, u32, word } from "../linux/struct.ts";
import { addressOf } from "../linux/syscall.ts";
import { ChildProbe } from "./child-probe.ts";
import { call, compare, descriptor, MissingError, pipe, refusal } from "./probe.ts";

/** Holds a child by ptrace, with options, and asks something of it. */
function held<T>(use: (pid: HostPid) => T, options = 0, prepare?: (child: ChildTable) => void): T {
  using child = new ChildTable();
  prepare?.(child);
  const pid = child.hold();
  ptrace(PTRACE.SEIZE, pid, 0, options | PTRACE_O.EXITKILL);
  ptrace(PTRACE.INTERRUPT, pid);
  wait(pid);
  return use(pid);
}

export function hold(): void {
  held((pid) => {
    getRegisters(pid);
    getSignalMask(pid);
    peekSiginfo(pid, true);
    peekSiginfo(pid, false);
  });
}

export function suspendSeccomp(): void {
  held(() => undefined, PTRACE_O.SUSPEND_SECCOMP);
}

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
/** struct sock_fprog, struct sock_filter (include/uapi/linux/filter.h). */
const sockFprog = struct({ length: u16, filter: word });
const sockFilter = struct({ code: u16, jt: u8, jf: u8, k: u32 });
const RETURN = 6;
const SECCOMP_RET_ALLOW = 0x7fff_0000;

export function readFilters(): void {
  const count = held(
    (pid) => ptrace(PTRACE.SECCOMP_GET_FILTER, pid, 0, 0),
    0,
    (child) => {
      const program = child.data(sockFilter.encode({ code: RETURN, k: SECCOMP_RET_ALLOW }));
      const filter = child.data(sockFprog.encode({ length: 1, filter: program.address }));
      child.call(NR.prctl, PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      child.call(NR.prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter.address);
    },
  );
  if (count !== 1) throw new MissingError(`PTRACE_SECCOMP_GET_FILTER gives ${count} instructions of one`);
}

export function readRseq(): void {
  const found = held((pid) => getRseq(pid));
  if (found === undefined) throw new MissingError("ptrace PTRACE_GET_RSEQ_CONFIGURATION: EIO");
}

const PTRACE_POKEUSER = 6;
/** Offset of u_debugreg in struct user of x86-64 (arch/x86/include/asm/user_64.h). */
const DEBUG_REGISTERS = 848;
/** DR7: the first breakpoint is on, at writes, of eight bytes (Intel SDM volume 3, 18.2.4). */
const WATCH_WRITES = 1 | (1 << 16) | (2 << 18);

/** A child writes to a word that a breakpoint of the processor watches. */
export function breakpoints(): void {
  using child = new ChildTable();
  const [reading, writing] = pipe();
  using _reading = reading;
  using _writing = writing;
  const watched = child.data(8);
  child.call(NR.read, reading.number, child.data(1).address, 1);
  child.increment(watched.address);
  child.call(NR.pause);
  const pid = child.start();
  ptrace(PTRACE.SEIZE, pid, 0, PTRACE_O.EXITKILL);
  ptrace(PTRACE.INTERRUPT, pid);
  wait(pid);
  ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTERS, watched.address);
  ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTERS + 7 * 8, WATCH_WRITES);
  ptrace(PTRACE.CONT, pid);
  call("pipe", NR.write, writing.number, new Uint8Array(1), 1);
  const status = wait(pid)?.status;
  if (status?.kind !== "stopped" || status.signal !== SIG.TRAP)
    throw new MissingError("a breakpoint of the processor does not stop a task");
}

/** Bears a child of an id that was just another child's, and so is free. */
export function chosenPid(): void {
  using first = new ChildTable();
  const { pid } = first.run();
  using second = new ChildTable();
  const born = second.run(sameNumber(pid)).pid;
  if (born !== pid) throw new MissingError(`clone3 with id ${pid} gave ${born}`);
}

export function pidfds(): void {
  using self = descriptor("of ourselves", NR.pidfd_open, ourPid(), 0);
  using copy = descriptor("a descriptor of ours", NR.pidfd_getfd, self.number, self.number, 0);
  const different = compare(0, self.number, copy.number);
  if (different !== 0) throw refusal("kcmp of a descriptor and its copy", different);
}

export function tidAddress(): void {
  call("PR_GET_TID_ADDRESS", NR.prctl, PR.GET_TID_ADDRESS, new Uint8Array(8), 0, 0, 0);
}

export function statFields(): void {
  readStat(ourPid());
  const fields =
    readText("/proc/self/stat")
      .replace(/^.*\) /s, "")
      .trim()
      .split(" ").length + 2;
  if (fields < 52) throw new MissingError(`/proc/PID/stat has ${fields} fields of 52`);
}

export function innerPids(): void {
  if (!/^NSpid:/m.test(readText("/proc/self/status")))
    throw new MissingError("/proc/PID/status has no NSpid");
}

export function timersFile(): void {
  readText("/proc/self/timers");
}

/** Arguments of PR_TIMER_CREATE_RESTORE_IDS. */
const RESTORE_IDS_ON = 1;

export function chosenTimerIds(): void {
  using child = new ChildProbe();
  child.must("prctl PR_TIMER_CREATE_RESTORE_IDS", NR.prctl, PR.TIMER_CREATE_RESTORE_IDS, RESTORE_IDS_ON);
  const id = child.data(Uint8Array.of(77, 0, 0, 0));
  child.must("timer_create with id 77", NR.timer_create, 1, 0, id.address);
  child.ask();
  if (id.bytes[0] !== 77) throw new MissingError(`timer_create with id 77 gave ${id.bytes[0]}`);
}

/** In a child: the login uid is taken away, and stays so. */
export function loginUid(): void {
  using child = new ChildProbe();
  const file = child.must("/proc/self/loginuid", NR.openat, AT.FDCWD, "/proc/self/loginuid", O.WRONLY, 0);
  const none = new TextEncoder().encode("4294967295");
  child.must("write to /proc/self/loginuid", NR.write, file, none, none.length);
  child.ask();
}

/** A signal that says that somebody else sent it than did: what waits in a queue comes back as it was. */
const SIGUSR1 = 10;

export function forgedSignals(): void {
  using child = new ChildProbe();
  const info = new Uint8Array(128);
  siginfoHead.encodeInto(info, 0, { signo: SIGUSR1, code: 1 });
  const pid = child.must("getpid", NR.getpid);
  child.must("rt_sigqueueinfo with a code of the kernel's", NR.rt_sigqueueinfo, pid, SIGUSR1, info);
  child.ask();
}

/** KCMP_EPOLL_TFD and its argument (include/uapi/linux/kcmp.h). */
const KCMP_EPOLL_TFD = 7;
const epollSlot = struct({ efd: u32, tfd: u32, toff: u32 });
const EPOLL_CTL_ADD = 1;

export function compareKinds(): void {
  for (const [type, name] of [
    [0, "FILE"],
    [1, "VM"],
    [2, "FILES"],
    [3, "FS"],
    [4, "SIGHAND"],
  ] as const) {
    const result = compare(type, 0, 0);
    if (result !== 0 && type !== 0) throw refusal(`kcmp KCMP_${name}`, result);
  }
}

export function compareEpoll(): void {
  const [reading, writing] = pipe();
  using _reading = reading;
  using _writing = writing;
  using epoll = descriptor("epoll", NR.epoll_create1, O.CLOEXEC);
  call("epoll", NR.epoll_ctl, epoll.number, EPOLL_CTL_ADD, reading.number, new Uint8Array(16));
  const slot = epollSlot.encode({ efd: epoll.number, tfd: reading.number, toff: 0 });
  const result = compare(KCMP_EPOLL_TFD, reading.number, addressOf(slot));
  if (result !== 0) throw refusal("kcmp KCMP_EPOLL_TFD", result);
}
