/** The steps of a restore, from a planned tree to processes that only need to be let go: object by object, all side by side. */
import type { Actions } from "./actions.ts";
import type { CgroupsRestore } from "./cgroups/restore.ts";
import { stage } from "./faults.ts";
import type { ShellJob } from "./files/kind.ts";
import { FilesRestore } from "./files/restore.ts";
import type { ImageDir } from "./images/image-dir.ts";
import { IMAGES } from "./images/kinds.ts";
import type { InventoryEntry } from "./images/schema/generated/inventory.ts";
import { NEW } from "./linux/clone.ts";
import { kill } from "./linux/kill.ts";
import { NR } from "./linux/nr.ts";
import { type HostPid, type NsPid, sameHost } from "./linux/pid.ts";
import { ourMaps, readChildrenOf, readThreads } from "./linux/proc.ts";
import { SIG } from "./linux/signal.ts";
import { SLOT_SIZE } from "./machine/runner.ts";
import { MemoryRestore } from "./memory/restore.ts";
import { restoreUndos } from "./namespaces/ipc/undo.ts";
import { type Unlocking, unlocking } from "./namespaces/lock-methods.ts";
import type { MountsRestore } from "./namespaces/mounts/restore.ts";
import { idsAtBirth } from "./namespaces/nested.ts";
import { OUR_NETWORK } from "./namespaces/net/network.ts";
import type { NetworksRestore } from "./namespaces/net/restore.ts";
import type { NamespacesRestore } from "./namespaces/restore.ts";
import type { Options } from "./options.ts";
import type { Plugins } from "./plugins/plugins.ts";
import { Births } from "./process/births.ts";
import {
  giveTask,
  giveTaskLast,
  ignoresTrap,
  ownAttributes,
  restoreProc,
  TASK_STATE,
  taskOf,
} from "./process/core.ts";
import { ImageValueError } from "./process/errors.ts";
import { awaitNumbers } from "./process/free-numbers.ts";
import { giveLateSignals } from "./process/late-signals.ts";
import { restoreLoginuid } from "./process/loginuid.ts";
import { hasOwnMemory, type PlannedProcess, type PstreePlan } from "./process/pstree.ts";
import { giveSignalLimit } from "./process/rlimits.ts";
import { favourRoot, giveProcessors } from "./process/scheduling.ts";
import { lastOfSharers } from "./process/sharing.ts";
import { restoreStops } from "./process/stops.ts";
import { finalState, giveThread } from "./process/thread.ts";
import { ThreadsRestore } from "./process/threads-restore.ts";
import { giveXcompPermission } from "./process/xcomp.ts";
import { type RestoreStats, Stopwatch } from "./stats.ts";
import { leaveAreas, prepareToLeave, stopProcess } from "./tracee/build/release.ts";
import type { Restoree } from "./tracee/build/restoree.ts";
import type { SameCpu } from "./tracee/build/same-cpu.ts";
import { spawnRoot, spawnStandIn, withNumbersOf } from "./tracee/build/spawn-root.ts";
import { awaitEnds } from "./tracee/hold/freeze.ts";
import { detachAll, type FinalState, giveStates, outliveUs, tryStates } from "./tracee/hold/many-tasks.ts";
import { Area, BULK, findGap, spansOf } from "./tracee/table/area.ts";
import type { Undo } from "./undo/undo.ts";

/** The set of control groups that a process is in; undefined for the dead. */
export function cgroupSetOf({ core }: PlannedProcess): number | undefined {
  return core?.thread_core?.cg_set ?? core?.tc?.cg_set;
}

/** The one that it is born into. */
function inheritedSet({ maker }: PlannedProcess): number | undefined {
  for (let bearer = maker; bearer !== undefined; bearer = bearer.maker) {
    const set = bearer.kind === "task" ? cgroupSetOf(bearer) : undefined;
    if (set !== undefined) return set;
  }
  return undefined;
}

/** Of a process that may be gone. */
function childrenOf(pid: HostPid): HostPid[] {
  try {
    return readChildrenOf(pid);
  } catch {
    return [];
  }
}

function threadsOf(pid: HostPid): HostPid[] {
  try {
    return readThreads(pid);
  } catch {
    return [];
  }
}

/** What a tree is restored with: all of it is the caller's, who lets go of it afterwards. */
export interface RestorationContext {
  readonly options: Options;
  readonly images: ImageDir;
  readonly plan: PstreePlan;
  readonly namespaces: NamespacesRestore;
  readonly mounts: MountsRestore;
  readonly networks: NetworksRestore;
  readonly cgroups: CgroupsRestore;
  readonly stats: RestoreStats;
  readonly sameCpu: SameCpu;
  readonly undo: Undo;
  readonly plugins: Plugins;
  readonly actions: Actions;
}

/** The steps of a restore, in their order. */
export class Restoration {
  readonly #files: FilesRestore;
  readonly #memory: MemoryRestore;
  readonly #births: Births;
  readonly #threads: ThreadsRestore;
  /** Of processes that have ended, but whose files in /proc are open. */
  readonly #standIns: { end(): void }[] = [];
  /** What the first threads of the living are let go with, once they are known to be good. */
  readonly #states: FinalState[] = [];
  /** Those that are stopped already. */
  #stopped: ReadonlySet<Restoree> = new Set();
  #root: Restoree | undefined;
  #unlocking: Unlocking | undefined;

  constructor(private readonly context: RestorationContext) {
    const { options, images, plan, namespaces, mounts, networks, cgroups, stats, undo, plugins, actions } =
      context;
    const tasks = plan.all.filter((process) => process.kind === "task");
    const pids = tasks.map(({ pid }) => pid);
    images.loadAhead(IMAGES.fs, pids);
    const tables = tasks.flatMap(({ ids }) => (ids?.files_id === undefined ? [] : [ids.files_id]));
    const orphanPtsMaster = actions.takesMasters
      ? (master: number) => void actions.handOverMaster(master)
      : undefined;
    this.#files = new FilesRestore({
      images,
      options: { ...options, orphanPtsMaster },
      undo,
      mounts,
      tables: new Set(tables),
      tree: {
        hostOf: (number) => this.#births.hostOf(number) ?? this.#hostOfOther(number),
        withNumbers: (act) => (this.#root === undefined ? act() : withNumbersOf(this.#root, act)),
        processOf: (number) => this.#births.living.find(({ planned }) => planned.pid === number)?.restoree,
        owners: namespaces.owners,
        livesIn: (kind, number) => this.#livesIn(kind, number),
        nets: networks,
      },
      plugins,
    });
    this.#memory = new MemoryRestore(
      images,
      this.#files,
      undo,
      tasks.filter(hasOwnMemory).map(({ pid }) => pid),
      (pid) => namespaces.ipcOf(pid),
      stats,
    );
    this.#births = new Births(
      plan,
      namespaces.nested,
      ({ planned, restoree }, memory) => {
        namespaces.nested.enter(planned, restoree);
        if (planned.kind === "task") {
          cgroups.place(restoree.pid, cgroupSetOf(planned), inheritedSet(planned));
          networks.enter(restoree, planned.ids?.net_ns_id, idsAtBirth(planned)?.net_ns_id);
          mounts.enter(restoree, planned.ids?.mnt_ns_id, idsAtBirth(planned)?.mnt_ns_id);
          if (hasOwnMemory(planned)) this.#memory.premap(restoree, memory?.restoree);
          else if (memory !== undefined) this.#memory.shareMemory(restoree, memory.restoree);
        }
        stage("restore/birth");
      },
      ({ planned, restoree }) => this.#files.giveTerminal(restoree, planned.sid),
    );
    this.#threads = new ThreadsRestore(images, plan.all, namespaces.keepsGroups);
  }

  /** A process that lives in a namespace of the images. */
  #livesIn(kind: string, number: number): HostPid | "self" | undefined {
    const field = this.context.namespaces.fieldOf(kind);
    if (field === undefined) return undefined;
    const found = this.#births.living.find(({ planned }) => planned.ids?.[field] === number);
    return found?.restoree.pid ?? (this.context.namespaces.isOurs(field, number) ? "self" : undefined);
  }

  /** Of a thread, or of somebody who is not of the tree. That one has the same number only where it lives in our pid namespace. */
  #hostOfOther(number: NsPid): HostPid | undefined {
    for (const { restoree } of this.#births.living) {
      const thread = restoree.thread(number);
      if (thread !== undefined) return thread.host;
    }
    return this.#root === undefined || this.#root.identity.level === 0 ? sameHost(number) : undefined;
  }

  /** Everything up to the point where the processes only need to be let go. */
  build(): void {
    const root = this.#bear();
    stage("restore/born");
    this.context.plugins.ask("postForking");
    this.#furnish();
    stage("restore/files");
    this.#makeThreads();
    stage("restore/threads");
    this.context.mounts.giveAutomounts(
      (number) => this.#births.living.find(({ planned }) => planned.pid === number)?.restoree,
    );
    this.#giveTasks();
    stage("restore/tasks");
    const living = this.#births.living.map(({ restoree }) => restoree);
    prepareToLeave(living, ({ number }) => this.#memory.syscallAt(number));
    this.#states.push(...living.map(({ number }) => finalState(this.#threads.core(number))));
    tryStates(
      living.map(({ leader }) => leader.task),
      this.#states,
      root.leader.registers,
    );
  }

  /** Our number of the root. It has been born. */
  get rootPid(): HostPid {
    if (this.#root === undefined) throw new Error("the root has not been born");
    return this.#root.pid;
  }

  /** The processes that are to be let go. */
  get living(): HostPid[] {
    return this.#births.living.map(({ restoree }) => restoree.pid);
  }

  /** Does away with everything that was of use on the way. */
  finish(inventory: InventoryEntry): void {
    this.#memory.finish();
    this.#files.finish();
    this.context.cgroups.finish();
    this.context.networks.finish();
    const connections = this.#files.lockedConnections();
    this.#unlocking = unlocking(inventory, this.context.plan.root.pid, connections, OUR_NETWORK);
    // Laid last, it comes first.
    if (this.#unlocking !== undefined) this.context.undo.layAfter("network lock", this.#unlocking.steps);
  }

  /** A place for so many bytes in all processes, and in us, of whom the root is born. */
  #placeFor(size: number): number | undefined {
    const ours = spansOf(ourMaps());
    const gap = findGap([...this.#memory.spans(), ...ours], size, SLOT_SIZE);
    if (gap !== undefined && !this.#memory.isFull) return gap;
    return this.#memory.placeWithin(ours, size, SLOT_SIZE) ?? gap;
  }

  #bear(): Restoree {
    const forking = new Stopwatch();
    this.context.cgroups.prepare();
    const area = Area.somewhere((size) => this.#placeFor(size), 1, BULK.RESTORE, this.context.plan.parts);
    // Several work at once, and much memory is moved by two threads of ours.
    if (this.context.plan.all.length > 1 || this.#memory.isMuch) this.context.sameCpu.end();
    const { rootFlags, pidNamespace } = this.context.namespaces;
    if ((rootFlags & NEW.PID) === 0 && pidNamespace === undefined)
      awaitNumbers(this.context.plan.all.flatMap(({ threads }) => threads));
    this.#root = spawnRoot({
      number: this.context.plan.root.pid,
      area,
      pidfdNumber: this.#serviceNumber(),
      pidfd: this.context.namespaces.fdTableHelper?.pidfd.number,
      asSibling: this.context.options.restoreSibling,
      namespaces: rootFlags,
      pidNamespace,
    });
    favourRoot(
      this.#root.pid,
      [...this.#threads.cores()].map(({ thread_core }) => thread_core),
    );
    stage("restore/root");
    this.context.actions.root = this.#root.pid;
    if (this.context.namespaces.any) this.context.actions.run("setup-namespaces");
    for (const pid of this.#files.ended()) this.#standIns.push(spawnStandIn(pid, area, this.#root));
    this.#births.startSession(this.#root);
    this.context.namespaces.fillRoot(this.#root);
    if (this.context.namespaces.any) this.context.actions.run("post-setup-namespaces");
    stage("restore/namespaces");
    this.#births.grow(this.#root);
    stage("restore/grown");
    this.#births.joinGroups();
    this.#births.endTheDead();
    this.context.stats.forkingTime = forking.micros;
    return this.#root;
  }

  /** The lowest descriptor number that no process of the tree uses. */
  #serviceNumber(): number {
    const used = this.#files.descriptorNumbers();
    let number = 0;
    while (used.has(number)) number++;
    return number;
  }

  #shellJob(): ShellJob | undefined {
    const { root } = this.context.plan;
    if (this.#root === undefined || !this.context.options.shellJob || root.sid === root.pid) return undefined;
    return { restoree: this.#root, group: root.pgid };
  }

  /** Memory, files and directories of all processes, which work on them while we see to the next ones. */
  #furnish(): void {
    /** Who makes each table of descriptors. */
    const makers = new Map<number, Restoree>();
    const installed: (() => void)[] = [];
    const holders = new Map<number, Restoree>();
    for (const { planned, restoree } of this.#births.living) {
      const files = planned.ids?.files_id;
      if (files !== undefined && !holders.has(files)) holders.set(files, restoree);
    }
    this.#files.wire(holders, this.#shellJob());
    stage("restore/wired");
    const lastInPlace = lastOfSharers(
      this.#births.living.map(({ planned }) => planned),
      "fs",
    );
    for (const { planned, restoree } of this.#births.living) {
      const files = planned.ids?.files_id;
      if (files === undefined) throw new ImageValueError(`ids-${planned.pid}.img: missing`);
      const maker = makers.get(files);
      // The numbers that it counts on must not be taken meanwhile.
      maker?.table.run();
      makers.set(files, maker ?? restoree);
      if (hasOwnMemory(planned)) this.#memory.complete(restoree);
      if (maker === undefined) installed.push(this.#files.restoreTable(restoree, files));
      // Before that, those who share root and working directory open their files by paths from ours.
      if (lastInPlace.has(planned)) this.#files.fs.give(restoree, planned.pid);
      restoree.table.start();
      stage("restore/process");
    }
    for (const { restoree } of this.#births.living) restoree.table.run();
    this.#memory.settle();
    for (const { planned, restoree } of this.#births.living)
      if (hasOwnMemory(planned)) this.#memory.restoreRings(restoree);
    for (const check of installed) check();
    this.context.namespaces.nested.settle();
    for (const { planned, restoree } of this.#births.living) {
      const undos = taskOf(planned.core, planned.pid).sem_undos ?? [];
      restoreUndos(restoree, undos, this.context.namespaces.fillsIpcOf(planned.pid));
    }
    stage("restore/memory");
    this.#files.arm();
    for (const { restoree } of this.#births.living) restoree.table.run();
    this.#endStandIns();
  }

  #endStandIns(): void {
    for (const standIn of this.#standIns.splice(0)) standIn.end();
  }

  #makeThreads(): void {
    for (const { planned, restoree } of this.#births.living) {
      const task = taskOf(planned.core, planned.pid);
      restoreLoginuid(restoree, task.loginuid);
      giveXcompPermission(restoree.table, task.xcomp_permission);
      this.#threads.bear(planned, restoree);
      stage("restore/thread");
    }
    this.#placeThreads();
    if (!this.#files.hasLate) return;
    this.#threads.awaitBirths();
    this.#files.makeLate();
  }

  /** Threads are born into the control groups of their process. */
  #placeThreads(): void {
    for (const { planned, restoree } of this.#births.living) {
      const set = cgroupSetOf(planned);
      for (const { identity, task } of restoree.threads) {
        const own = this.#threads.core(identity.number).thread_core?.cg_set;
        if (own === undefined || own === set) continue;
        this.#threads.awaitBirthsOf(restoree);
        this.context.cgroups.placeThread(task.tid, own, set);
      }
    }
  }

  #giveTasks(): void {
    this.#stopped = restoreStops(this.#births.living, (restoree) => this.#threads.awaitBirthsOf(restoree));
    const inherited = ownAttributes();
    const tables = new Set<number>();
    for (const { planned, restoree } of this.#births.living) {
      const task = taskOf(planned.core, planned.pid);
      const { leader, pid, number, identity } = restoree;
      this.#threads.giveOthers(restoree);
      this.context.namespaces.nested.giveForChildren(planned, restoree);
      giveThread(leader.table, this.#threads.core(number));
      const running = giveTask(restoree, task, inherited, this.#births.signalsOfDead(planned));
      restoreProc(pid, task, inherited);
      // Processes that share a table share our pidfd in it.
      const files = planned.ids?.files_id ?? 0;
      if (!tables.has(files)) leader.table.must("our pidfd", NR.close, restoree.ourPidfd);
      tables.add(files);
      stage("restore/task");
      this.#threads.giveLast(leader.table, restoree, identity);
      this.#memory.giveLast(restoree);
      giveTaskLast(restoree, task, running);
      leader.table.start();
    }
    for (const { planned, restoree } of this.#births.living) {
      restoree.table.finish();
      const leader = { task: restoree.leader.task, identity: restoree.identity };
      giveLateSignals(restoree, [leader], ({ number }) => this.#threads.core(number));
      const { rlimits } = taskOf(planned.core, planned.pid);
      if (rlimits !== undefined) giveSignalLimit(restoree, rlimits, inherited.rlimits);
    }
  }

  /** Gives every thread its registers. Nothing but us keeps them from running then; they do not die with us any more. */
  makeReady(): void {
    const living = this.#births.living;
    leaveAreas(
      living.filter(({ planned }) => hasOwnMemory(planned)).map(({ restoree }) => restoree),
      ({ number }) => this.#memory.lastMapping(number),
      living
        .filter(({ planned }) => ignoresTrap(taskOf(planned.core, planned.pid)))
        .map(({ restoree }) => restoree),
    );
    giveStates(
      living.map(({ restoree }) => restoree.leader.task),
      this.#states,
    );
    for (const { planned, restoree } of living) {
      const task = taskOf(planned.core, planned.pid);
      if (this.#stopped.has(restoree)) continue;
      if (task.task_state === TASK_STATE.STOPPED) stopProcess(restoree, task.stop_signo ?? SIG.STOP);
      else if (this.context.options.leaveStopped) stopProcess(restoree, SIG.STOP);
    }
    const tasks = living.flatMap(({ restoree }) => restoree.tasks);
    this.context.sameCpu.free(tasks.map(({ tid }) => tid));
    for (const { restoree } of living) {
      const { leader, identity, threads } = restoree;
      for (const each of [{ task: leader.task, identity }, ...threads])
        giveProcessors(each.task.tid, this.#threads.core(each.identity.number).thread_core ?? {});
    }
    this.context.sameCpu.end();
    outliveUs(tasks);
  }

  /** Lets all run. */
  release(): void {
    this.#unlocking?.[Symbol.dispose]();
    this.#files.close();
    this.context.cgroups.freeze();
    detachAll(this.#births.living.flatMap(({ restoree }) => restoree.tasks));
  }

  /** Removes every trace of a restore that failed. */
  abort(): void {
    this.#endStandIns();
    const born = new Set(this.#births.all.map(({ restoree }) => restoree.pid));
    if (this.#root !== undefined) born.add(this.#root.pid);
    // Also those whose birth nobody took note of, because that of another one failed.
    for (const pid of born) for (const child of childrenOf(pid)) born.add(child);
    for (const pid of born) kill(pid, SIG.KILL);
    awaitEnds(
      [...born]
        .flatMap((pid) => [pid, ...threadsOf(pid).filter((tid) => tid !== pid)])
        .map((tid) => ({ tid })),
    );
    this.#memory.abort();
    this.#files.abort();
    this.#unlocking?.[Symbol.dispose]();
  }
}
