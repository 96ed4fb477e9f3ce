/** The threads of the processes of a restore: born into their process, and given what they have. */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { CoreEntry, SeccompEntry } from "../images/schema/generated/process.ts";
import { lastCapability } from "../linux/capability.ts";
import { type Identity, type NsPid, ownNumber } from "../linux/pid.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { spawnThreads, type UnbornThreads } from "../tracee/build/spawn.ts";
import { ThreadTables } from "../tracee/build/thread-tables.ts";
import { giveStates } from "../tracee/hold/many-tasks.ts";
import type { Calls } from "../tracee/table/calls.ts";
import { checkArchitecture, taskOf } from "./core.ts";
import { ImageValueError } from "./errors.ts";
import { giveLateSignals } from "./late-signals.ts";
import type { PlannedProcess } from "./pstree.ts";
import { commonFilters, giveFilters } from "./seccomp.ts";
import { finalState, giveThread, giveThreadLast, THREAD_CALLS_SIZE } from "./thread.ts";

export class ThreadsRestore {
  readonly #cores = new Map<NsPid, CoreEntry>();
  readonly #seccomp: SeccompEntry | undefined;
  /** How many filters of seccomp(2) the threads of a process were born with. */
  readonly #commonFilters = new Map<Restoree, number>();
  /** Other threads that may still be on their way. */
  readonly #unborn = new Map<Restoree, UnbornThreads>();
  readonly #lastCapability = lastCapability();

  /** Reads the images of all threads. `keepsGroups`: nobody in the tree may change groups. @throws ImageError, ImageValueError */
  constructor(
    images: ImageDir,
    processes: readonly PlannedProcess[],
    private readonly keepsGroups: boolean,
  ) {
    for (const { threads, core, pid, kind } of processes) {
      if (core === undefined || kind !== "task") continue;
      taskOf(core, pid);
      this.#cores.set(pid, core);
      for (const tid of threads) {
        if (tid === pid) continue;
        const own = images.readOne(IMAGES.core, tid);
        checkArchitecture(own, tid);
        this.#cores.set(tid, own);
      }
    }
    this.#seccomp = images.tryReadOne(IMAGES.seccomp);
  }

  /** The image of a thread. @throws ImageValueError where there is none */
  core(tid: NsPid): CoreEntry {
    const core = this.#cores.get(tid);
    if (core === undefined) throw new ImageValueError(`core-${tid}.img: missing`);
    return core;
  }

  cores(): Iterable<CoreEntry> {
    return this.#cores.values();
  }

  /** Has the other threads of a process born, with the filters that all of its threads share. @throws KernelError */
  bear(planned: PlannedProcess, restoree: Restoree): void {
    const tids = planned.threads.filter((tid) => tid !== planned.pid);
    if (tids.length === 0) return;
    this.#giveCommonFilters(restoree, planned.threads);
    const unborn = spawnThreads(
      restoree,
      tids.map((number) => ({ number, nested: planned.nestedThreads.get(number) ?? [] })),
    );
    restoree.threads.push(...unborn.tasks);
    this.#unborn.set(restoree, unborn);
  }

  /** Waits until all are there. @throws KernelError */
  awaitBirths(): void {
    for (const unborn of this.#unborn.values()) unborn.born();
  }

  awaitBirthsOf(restoree: Restoree): void {
    this.#unborn.get(restoree)?.born();
  }

  #giveCommonFilters(restoree: Restoree, tids: readonly NsPid[]): void {
    const { table } = restoree;
    const states = tids.map((tid) => this.core(tid).thread_core ?? {});
    const count = commonFilters(states, this.#seccomp);
    if (count === 0) return;
    giveFilters(table, states[0] ?? {}, this.#seccomp, 0, count);
    table.run();
    this.#commonFilters.set(restoree, count);
  }

  /** Gives the other threads of a process all that they have. They run nothing of ours after that. @throws KernelError */
  giveOthers(restoree: Restoree): void {
    const unborn = this.#unborn.get(restoree);
    if (unborn === undefined) return;
    const { pid, area, leader, threads } = restoree;
    // While they are being born their calls are laid out.
    const tables = new ThreadTables(area.bulkRegion(pid), leader.registers, () => unborn.born());
    for (const { task, identity } of threads) {
      tables.begin(task, THREAD_CALLS_SIZE);
      giveThread(tables, this.core(identity.number));
      this.giveLast(tables, restoree, identity);
    }
    tables.run();
    giveLateSignals(restoree, threads, ({ number }) => this.core(number));
    giveStates(
      threads.map(({ task }) => task),
      threads.map(({ identity }) => finalState(this.core(identity.number))),
    );
  }

  /** Adds what a thread of the process gets last: see giveThreadLast. */
  giveLast(calls: Calls, restoree: Restoree, thread: Identity): void {
    giveThreadLast(calls, {
      pid: ownNumber(restoree.identity),
      tid: ownNumber(thread),
      core: this.core(thread.number),
      seccomp: this.#seccomp,
      inheritedFilters: this.#commonFilters.get(restoree) ?? 0,
      lastCapability: this.#lastCapability,
      keepsGroups: this.keepsGroups,
    });
  }
}
