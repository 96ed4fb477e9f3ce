/** Which kernel objects the processes of a tree share: numbers by kcmp(2), as the image ids-PID has them. */

import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { checkResult, rawSyscall } from "../linux/syscall.ts";
import type { ObjectIds } from "../tracee/enter/dumpee.ts";
import { UnsupportedError } from "./errors.ts";

const KCMP = { vm: 1, files: 2, fs: 3, sighand: 4 } as const;
type Kind = keyof typeof KCMP;

/** 0 where equal, 1 and 2 for an order that the kernel keeps among objects (kcmp(2)). */
function kcmp(pid1: HostPid, pid2: HostPid, type: number): number {
  return checkResult(
    rawSyscall(NR.kcmp, pid1, pid2, type, 0, 0),
    NR.kcmp,
    `of processes ${pid1} and ${pid2}`,
  );
}

/** What a thread can have apart from the others of its process (unshare(2)). */
const APART = [
  { type: KCMP.files, what: "table of descriptors" },
  { type: KCMP.fs, what: "working directory" },
] as const;

/** Images have one of each for a process. @throws UnsupportedError for a thread with one of its own, KernelError */
export function refuseApart(pid: HostPid, tids: readonly HostPid[]): void {
  for (const { type, what } of APART) {
    const apart = tids.find((tid) => tid !== pid && kcmp(pid, tid, type) !== 0);
    if (apart === undefined) continue;
    throw new UnsupportedError(`thread ${apart} has a ${what} of its own, which cannot be dumped`, {
      process: pid,
    });
  }
}

/** An ordered list of the distinct objects seen, each with one process that has it; found by halving. */
class Objects {
  readonly #known: { pid: HostPid; id: number }[] = [];
  constructor(private readonly type: number) {}

  idOf(pid: HostPid, fresh: () => number): number {
    let low = 0;
    let high = this.#known.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const known = this.#known[middle];
      if (known === undefined) break;
      const order = kcmp(pid, known.pid, this.type);
      if (order === 0) return known.id;
      if (order === 1) high = middle;
      else low = middle + 1;
    }
    const id = fresh();
    this.#known.splice(low, 0, { pid, id });
    return id;
  }
}

/** Gives equal numbers to equal objects. Numbers begin after that of the caller's own objects in the inventory. */
export class SharedObjects {
  readonly #objects: Readonly<Record<Kind, Objects>> = {
    vm: new Objects(KCMP.vm),
    files: new Objects(KCMP.files),
    fs: new Objects(KCMP.fs),
    sighand: new Objects(KCMP.sighand),
  };
  readonly #next: Record<Kind, number> = { vm: 2, files: 2, fs: 2, sighand: 2 };

  idsOf(pid: HostPid): ObjectIds {
    const id = (kind: Kind) => this.#objects[kind].idOf(pid, () => this.#next[kind]++);
    return { vm: id("vm"), files: id("files"), fs: id("fs"), sighand: id("sighand") };
  }
}
