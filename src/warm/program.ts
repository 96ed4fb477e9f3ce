/** Programs in processes of ours: born bare, held, and given a program by execve(2). */

import { ERRNO, KernelError } from "../linux/errno.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { AT, O } from "../linux/io.ts";
import { kill, killGroup } from "../linux/kill.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import type { HostPid } from "../linux/pid.ts";
import { readMaps } from "../linux/proc.ts";
import { PTRACE, PTRACE_EVENT, PTRACE_O, ptrace, setSignalMask } from "../linux/ptrace.ts";
import { SIG } from "../linux/signal.ts";
import { cString } from "../linux/syscall.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { spawnRoot } from "../tracee/build/spawn-root.ts";
import type { Task } from "../tracee/hold/task.ts";
import { Area, BULK, spansOf } from "../tracee/table/area.ts";
import type { Table } from "../tracee/table/table.ts";

/** Behind standard input, output and error. */
const OUR_PIDFD = 3;
/** Programs need this long, in milliseconds, to have become what they are. */
const SETTLE = 100;

/**
 * Starts a program as the leader of a session of its own, that writes to the file `output` and has no other
 * descriptors. It is held by us and stands at the exit of its execve(2). What `prepare` adds is done before that.
 * @throws KernelError
 */
export function startProgram(
  path: string,
  words: readonly string[],
  environment: readonly string[],
  output: string,
  prepare: (table: Table) => void = () => {},
): Task {
  const area = Area.place(spansOf(readMaps(ourPid())), 1, BULK.RESTORE);
  // The kernel's choice is an id that nobody had of late: a process or thread that was dumped is to get its own again.
  const root = spawnRoot({ area, pidfdNumber: OUR_PIDFD });
  const { table, pid } = root;
  const { task } = root.leader;
  for (const name of ["/dev/null", output, output])
    table.must(name, NR.openat, AT.FDCWD, table.data(cString(name)), O.RDWR | O.APPEND);
  table.must("our pidfd", NR.fcntl, OUR_PIDFD, F.SETFD, FD_CLOEXEC);
  table.must("a session", NR.setsid);
  prepare(table);
  table.run();
  ptrace(PTRACE.SETOPTIONS, pid, 0, PTRACE_O.TRACESYSGOOD | PTRACE_O.TRACEEXEC | PTRACE_O.EXITKILL);
  execute(root, path, words, environment);
  setSignalMask(pid, 0n);
  task.resume(PTRACE.SYSCALL);
  task.awaitSyscallStop();
  return task;
}

function execute(
  { table, leader: { task } }: Restoree,
  path: string,
  words: readonly string[],
  environment: readonly string[],
): void {
  const list = (texts: readonly string[]) => {
    const addresses = texts.map((text) => BigInt(table.data(cString(text)).address));
    return table.data(new Uint8Array(BigUint64Array.of(...addresses, 0n).buffer));
  };
  table.must(path, NR.execve, table.data(cString(path)), list(words), list(environment));
  table.start();
  const stop = task.awaitAnyStop();
  if (stop.event === PTRACE_EVENT.EXEC) return;
  // The table has come to its end: the call has failed, and says why.
  kill(task.pid, SIG.KILL);
  throw new KernelError("execve", path, ERRNO.ENOEXEC);
}

/** Starts a program that goes on for ever, has `use` make use of its process, and ends all of its session. @throws KernelError */
export async function withProgram<T>(path: string, use: (pid: HostPid) => T | Promise<T>): Promise<T> {
  const task = startProgram(path, [path, "1000"], [], "/dev/null");
  task.detach();
  Bun.sleepSync(SETTLE);
  try {
    return await use(task.pid);
  } finally {
    killGroup(task.pid, SIG.KILL);
  }
}
