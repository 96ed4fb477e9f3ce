/**
 * Whether a restore, here and now, would have the right to give a process what it has: higher limits than ours, a better nice value,
 * a policy of real time, capabilities. Looked at by a dump before anything is ended, mostly by trying with ourselves.
 */
import type { TaskCoreEntry, ThreadCoreEntry } from "../images/schema/generated/process.ts";
import { CAP_SYS_NICE, CAP_SYS_RESOURCE, hasCapability, ownCapabilities } from "../linux/capability.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { O, open, readPiece, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { CALLER, type HostPid } from "../linux/pid.ts";
import { RLIMIT, RLIMIT_NAMES, type Rlimit, readRlimit, rlimit } from "../linux/rlimit.ts";
import { NICE_ZERO, PRIO_PROCESS, SCHED, SCHED_RESET_ON_FORK } from "../linux/sched.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { setOf } from "./credentials.ts";
import { UnsupportedError } from "./errors.ts";
import { limitWords } from "./rlimits.ts";

export class Rights {
  /** What was tried before, by what it was tried for. */
  readonly #tried = new Map<string, boolean>();

  /** `leaves`: the tree runs on, and it is enough to warn. `isOurUser`: the user namespace of a process is ours. */
  constructor(
    private readonly leaves: boolean,
    private readonly isOurUser: (pid: HostPid) => boolean,
  ) {}

  /** Looks at what all threads of a process have in common. @throws UnsupportedError */
  checkTask(
    pid: HostPid,
    { rlimits, oom_score_adj: score }: Pick<TaskCoreEntry, "rlimits" | "oom_score_adj">,
  ): void {
    rlimits?.rlimits.forEach((limit, resource) => {
      if (this.#may(`limit ${resource} ${limit.max}`, () => mayLimit(resource, limit.max))) return;
      const name = `RLIMIT_${RLIMIT_NAMES[resource] ?? resource}`;
      const ours = limitWords(readRlimit(CALLER, resource).max);
      this.#refuse(
        pid,
        `its hard limit ${name} is ${limitWords(limit.max)}, and criu's is ${ours}, which a restore here may not raise: CAP_SYS_RESOURCE would help, or a higher limit of criu's own`,
      );
    });
    if (score !== undefined && !this.#may(`score ${score}`, () => mayScore(score)))
      this.#refuse(
        pid,
        `its oom_score_adj is ${score}, to which a restore here may not set it: CAP_SYS_RESOURCE would help`,
      );
  }

  /** Looks at what a thread has. @throws UnsupportedError */
  checkThread(pid: HostPid, tid: HostPid, thread: ThreadCoreEntry): void {
    const { sched_nice: nice = 0, sched_policy = 0, creds } = thread;
    const policy = sched_policy & ~SCHED_RESET_ON_FORK;
    if (!this.#may(`nice ${nice}`, () => mayNice(nice)))
      this.#refuse(
        pid,
        `task ${tid} has the nice value ${nice}, which a restore here may not give: CAP_SYS_NICE would help`,
      );
    if (
      REAL_TIME.has(policy) &&
      !this.#may(`policy ${policy} ${thread.sched_prio}`, () => mayRun(policy, thread.sched_prio ?? 0))
    )
      this.#refuse(
        pid,
        `task ${tid} has a real-time policy, which a restore here may not give: CAP_SYS_NICE would help`,
      );
    if (thread.io_flusher === true && !hasCapability(CAP_SYS_RESOURCE))
      this.#refuse(pid, `task ${tid} has PR_SET_IO_FLUSHER, which takes CAP_SYS_RESOURCE to give`);
    if (creds === undefined) return;
    const { permitted } = ourCapabilities();
    const more = setOf(creds.cap_prm) & ~permitted;
    if (more === 0n || !this.isOurUser(pid)) return;
    this.#refuse(
      pid,
      `task ${tid} has capabilities that criu has not, 0x${more.toString(16)}, which a restore here could not give`,
    );
  }

  #may(what: string, attempt: () => boolean): boolean {
    const known = this.#tried.get(what);
    if (known !== undefined) return known;
    const may = attempt();
    this.#tried.set(what, may);
    return may;
  }

  #refuse(pid: HostPid, why: string): void {
    if (!this.leaves) throw new UnsupportedError(why, { process: pid });
    log.warn("process/rights", `process ${pid}: ${why}`);
  }
}

const REAL_TIME: ReadonlySet<number> = new Set([SCHED.FIFO, SCHED.RR, SCHED.DEADLINE]);
const ourCapabilities = oncePerRun(ownCapabilities);

/** Tries a hard limit with ourselves; it is lowered again. @throws KernelError */
function mayLimit(resource: number, max: bigint): boolean {
  const ours = readRlimit(CALLER, resource);
  if (max <= ours.max) return true;
  const set = (limit: Rlimit) =>
    rawSyscall(NR.prlimit64, CALLER, resource, addressOf(rlimit.encode(limit)), 0) === 0;
  return set({ ...ours, max }) && set(ours);
}

/** Tries a score with ourselves, who get back our own. @throws KernelError */
function mayScore(score: number): boolean {
  const path = "/proc/self/oom_score_adj";
  const ours = Number(readPiece(path));
  if (score >= ours) return true;
  try {
    for (const each of [score, ours])
      withFd(open(path, O.WRONLY), (fd) => writeAll(fd, new TextEncoder().encode(String(each))));
    return true;
  } catch (error) {
    if (isErrno(error, ERRNO.EACCES, ERRNO.EPERM)) return false;
    throw error;
  }
}

/** Tries a nice value with ourselves; a worse one may be had always. */
function mayNice(nice: number): boolean {
  const ours = NICE_ZERO - rawSyscall(NR.getpriority, PRIO_PROCESS, 0);
  if (nice >= ours) return true;
  const set = (value: number) => rawSyscall(NR.setpriority, PRIO_PROCESS, 0, value) === 0;
  return set(nice) && set(ours);
}

function mayRun(policy: number, priority: number): boolean {
  if (hasCapability(CAP_SYS_NICE)) return true;
  return policy !== SCHED.DEADLINE && BigInt(priority) <= readRlimit(CALLER, RLIMIT.RTPRIO).cur;
}
