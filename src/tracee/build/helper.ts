/**
 * A bare process of ours that makes calls where we cannot make them ourselves: in another namespace, say. It is held like a
 * process that is being restored, and ends with its owner, or with us.
 *
 *     using helper = Helper.start();
 *     helper.enter(`/proc/${pid}/ns/ipc`, NEW.IPC);
 *     helper.table.must(...);
 */
import { Fd } from "../../linux/fd.ts";
import { O } from "../../linux/io.ts";
import { kill } from "../../linux/kill.ts";
import { TASK_SIZE } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { ourMaps } from "../../linux/proc.ts";
import { SIG } from "../../linux/signal.ts";
import { awaitEnds } from "../hold/freeze.ts";
import { Area, BULK, spansOf } from "../table/area.ts";
import type { Result, Table } from "../table/table.ts";
import type { Restoree } from "./restoree.ts";
import { spawnRoot } from "./spawn-root.ts";

/** The number of our pidfd in it: it has no other descriptors. */
const OUR_PIDFD = 0;
/** So many others are born if one gets an id that is needed. */
const TRIES = 64;

export class Helper implements Disposable {
  private constructor(private readonly process: Restoree) {}

  /** One whose id is not among `avoid`, which others are to be born with. @throws KernelError as spawnRoot */
  static start(avoid: ReadonlySet<HostPid> = new Set()): Helper {
    const area = Area.place(spansOf(ourMaps()), 1, BULK.RESTORE);
    let process = spawnRoot({ area, pidfdNumber: OUR_PIDFD });
    for (let attempt = 0; avoid.has(process.pid) && attempt < TRIES; attempt++) {
      // The kernel gives the next one a higher id.
      new Helper(process)[Symbol.dispose]();
      process = spawnRoot({ area, pidfdNumber: OUR_PIDFD });
    }
    // The copy of our memory that it was born with.
    process.table.must("memory of a helper", NR.munmap, 0, area.address);
    process.table.must("memory of a helper", NR.munmap, area.end, TASK_SIZE - area.end);
    process.table.run();
    return new Helper(process);
  }

  /** Its descriptor of us. */
  get ourPidfd(): number {
    return this.process.ourPidfd;
  }

  get pid(): HostPid {
    return this.process.pid;
  }

  /** Calls in it. */
  get table(): Table {
    return this.process.table;
  }

  /** Adds to the table: have our descriptor `fd`; the result is its number there. Not once it is in another user namespace. */
  give(object: string, fd: number): Result {
    return this.process.fetch(object, fd);
  }

  /** Ours of one of its descriptors. @throws KernelError */
  take(number: number): Fd {
    using pidfd = Fd.ofProcess(this.pid);
    return Fd.outOf(pidfd.number, number);
  }

  /** Ours of a namespace that it is in, as /proc/PID/ns calls it; the caller's. @throws KernelError */
  namespace(kind: string): Fd {
    return Fd.open(`/proc/${this.pid}/ns/${kind}`, O.RDONLY);
  }

  /** Puts it into the namespace of a file of /proc. @throws KernelError */
  enter(path: string, flag: number): void {
    using namespace = Fd.open(path, O.RDONLY);
    const inside = this.give(path, namespace.number);
    this.table.must(path, NR.setns, inside, flag);
    this.table.must(path, NR.close, inside);
    this.table.run();
  }

  [Symbol.dispose](): void {
    kill(this.pid, SIG.KILL);
    awaitEnds([{ tid: this.pid }]);
  }
}
