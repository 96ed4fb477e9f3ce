/** The steps of a dump, from a frozen tree to its images, in their order: object by object, all processes side by side. */

import type { CgroupsDump } from "./cgroups/dump.ts";
import { stage } from "./faults.ts";
import { FilesDump } from "./files/dump.ts";
import type { FilesDumpOptions, NetworkDump } from "./files/kind.ts";
import type { ImageDir } from "./images/image-dir.ts";
import { IMAGES } from "./images/kinds.ts";
import type { TaskKobjIdsEntry } from "./images/schema/generated/process.ts";
import { ERRNO, isErrno } from "./linux/errno.ts";
import { close, pidfdOpen } from "./linux/io.ts";
import type { HostPid } from "./linux/pid.ts";
import { hasEnded, type Mapping, readProcess, readSmaps } from "./linux/proc.ts";
import { log } from "./log.ts";
import { MemoryDump } from "./memory/dump.ts";
import type { UnwrittenPages } from "./memory/parent-pages.ts";
import type { Tracker } from "./migrate/tracker.ts";
import type { NamespacesDump } from "./namespaces/dump.ts";
import { ipc } from "./namespaces/ipc/ipc.ts";
import { SemaphoreUndoDump } from "./namespaces/ipc/undo.ts";
import { mnt } from "./namespaces/mnt.ts";
import type { MountsDump } from "./namespaces/mounts/dump.ts";
import type { NetworksDump } from "./namespaces/net/dump.ts";
import { dumpClocks, time } from "./namespaces/time.ts";
import { user } from "./namespaces/user.ts";
import type { Options } from "./options.ts";
import type { Plugins } from "./plugins/plugins.ts";
import { askCore, type CoreAnswers, dumpCore, dumpZombie, refuseThreads } from "./process/core.ts";
import type { TaskNumbers } from "./process/identity.ts";
import { refuseApart, SharedObjects } from "./process/ids.ts";
import { dumpPstree } from "./process/pstree.ts";
import { Rights } from "./process/rights.ts";
import { SeccompDump } from "./process/seccomp.ts";
import { askStops } from "./process/stops.ts";
import type { DumpStats } from "./stats.ts";
import type { ObjectIds } from "./tracee/enter/dumpee.ts";
import { askAll, askingGroups, enterAll, leaveAll } from "./tracee/enter/enter.ts";
import type { Entered } from "./tracee/enter/entered.ts";
import { type Saved, saveThreads } from "./tracee/enter/saved.ts";
import type { FrozenProcess, FrozenTree } from "./tracee/hold/freeze.ts";
import type { Table } from "./tracee/table/table.ts";
import type { Undo } from "./undo/undo.ts";

/** What a dump is asked for: by options, and by whoever it works for. */
export type DumpOptions = Options & Pick<FilesDumpOptions, "clientSocket">;

/** So many tasks have images enough for a second thread to write them. */
const MANY = 64;

/** What processes have been asked for. */
interface Asked {
  readonly core: CoreAnswers;
  readonly stops: ReturnType<typeof askStops>;
}

/** What was found of a process before we entered it. */
interface Found {
  readonly frozen: FrozenProcess;
  readonly objects: ObjectIds;
  readonly namespaces: TaskKobjIdsEntry;
  readonly mappings: readonly Mapping[];
  readonly saved: readonly Saved[];
}

/** What a frozen tree is saved with: all of it is the caller's, who lets go of it afterwards. */
export interface SavingContext {
  readonly options: DumpOptions;
  readonly images: ImageDir;
  readonly undo: Undo;
  readonly mounts: MountsDump;
  readonly cgroups: CgroupsDump;
  readonly network: NetworkDump;
  readonly namespaces: NamespacesDump;
  readonly networks: NetworksDump;
  readonly stats: DumpStats;
  readonly numbers: TaskNumbers;
  readonly plugins: Plugins;
  /** What is known of processes since the dump that this one builds on. */
  readonly unwritten: ReadonlyMap<HostPid, UnwrittenPages>;
  /** Whether the client takes masters of terminals whose other end is not of the tree. */
  readonly orphanPtsMaster: boolean;
}

/** Saves a frozen tree object by object; remembers what it entered, so that it can leave. */
export class Saving {
  readonly #files: FilesDump;
  readonly #memory: MemoryDump;
  readonly #seccomp = new SeccompDump();
  readonly #rights: Rights;
  readonly #objects = new SharedObjects();
  readonly #semUndos = new SemaphoreUndoDump();
  /** What ids-PID is to hold. */
  readonly #idsOf = new Map<HostPid, TaskKobjIdsEntry>();
  readonly #entered: Entered[] = [];
  /** As they were before we came. */
  readonly #mappings = new Map<HostPid, readonly Mapping[]>();

  constructor(private readonly context: SavingContext) {
    const { options, images, undo, mounts, network, namespaces, stats, numbers, plugins } = context;
    this.#rights = new Rights(network.leaves, (pid) => !namespaces.isOther(user, pid));
    this.#files = new FilesDump({
      images,
      options: { ...options, orphanPtsMaster: context.orphanPtsMaster },
      undo,
      mounts,
      network,
      namespaces,
      stats,
      tasks: numbers,
      plugins,
    });
    this.#memory = new MemoryDump(
      images,
      this.#files,
      stats,
      (pid) => namespaces.isOther(ipc, pid),
      options.allowUprobes,
      context.unwritten,
    );
  }

  get hasUprobes(): boolean {
    return this.#memory.hasUprobes;
  }

  save(tree: FrozenTree): void {
    if (tree.processes.reduce((sum, { threads }) => sum + threads.length, 0) >= MANY)
      this.context.images.writeBehind();
    const ids = new Map<HostPid, ObjectIds>();
    for (const { pid, zombie } of tree.processes) if (!zombie) ids.set(pid, this.#objects.idsOf(pid));
    const living = tree.processes.filter((process) => !process.zombie);
    for (const process of living) {
      const tids = process.threads.map(({ tid }) => tid);
      refuseApart(process.pid, tids);
      this.context.namespaces.refuseApart(process.pid, tids);
      const objects = ids.get(process.pid);
      if (objects !== undefined)
        this.#idsOf.set(process.pid, this.context.namespaces.idsOf(process.pid, objects));
    }
    this.context.namespaces.check();
    const nested = this.context.namespaces.hasNestedPids ? this.context.namespaces : undefined;
    dumpPstree(this.context.images, tree, ids, this.context.numbers, this.context.options.shellJob, nested);
    stage("dump/tree");
    for (const process of tree.processes)
      if (process.zombie)
        dumpZombie(this.context.images, process, this.context.numbers.numberOf(process.pid));
    // One step is taken by all processes before the next, so that they work while we look at the others.
    const found = this.#enter(living, ids);
    this.context.networks.lock(this.context.undo, this.context.network.leaves);
    stage("dump/locked");
    for (const group of askingGroups([...found.keys()])) {
      const { answers, asked } = askAll(group, (table) => {
        this.#memory.ask(table);
        return { core: askCore(table, this.#seccomp), stops: askStops(table) };
      });
      group.forEach((entered, i) => {
        answers.look(i);
        const each = found.get(entered);
        if (each !== undefined) this.#dumpProcess(each, entered, asked);
        stage("dump/process");
      });
    }
    this.#memory.finish();
    stage("dump/memory");
    this.#files.finish();
    stage("dump/files");
    this.context.namespaces.dump({
      images: this.context.images,
      options: this.context.options,
      tableOf: (pid) => this.#tableOf(pid),
      mounts: this.context.mounts,
      networks: this.context.networks,
      tasks: this.context.numbers,
      addCgroups: (id, pid) => this.context.cgroups.addNamespace(id, pid),
      countShared: (counts) => this.context.stats.countShared(counts),
    });
    if (this.context.namespaces.of(time).length === 0) dumpClocks(this.context.images);
    stage("dump/namespaces");
    this.context.cgroups.write(this.context.images);
    this.context.images.writeAll(IMAGES.seccomp, [this.#seccomp.image]);
    this.context.images.settle();
  }

  /** Calls inside a process. */
  #tableOf(pid: HostPid): Table {
    const entered = this.#entered.find((each) => each.pid === pid);
    if (entered === undefined) throw new Error(`process ${pid} was not entered`);
    return entered.table;
  }

  /** Goes into all processes. */
  #enter(processes: readonly FrozenProcess[], ids: ReadonlyMap<HostPid, ObjectIds>): Map<Entered, Found> {
    const found = processes.map((frozen) => {
      const { pid, threads } = frozen;
      const mappings = readSmaps(pid);
      this.#mappings.set(pid, mappings);
      const saved = saveThreads(pid, threads);
      refuseThreads(frozen, saved);
      const requests = threads.flatMap((task, i) => {
        const state = saved[i];
        return state === undefined ? [] : [{ task, saved: state }];
      });
      const [carrier] = requests;
      const objects = ids.get(pid);
      const namespaces = this.#idsOf.get(pid);
      if (carrier === undefined || objects === undefined || namespaces === undefined)
        throw new Error(`no process ${pid}`);
      const { vm, sighand } = objects;
      const request = { carrier, threads: requests, maps: mappings, vm, sighand };
      return { frozen, objects, namespaces, mappings, saved, request };
    });
    const namespaces = this.context.namespaces
      .of(mnt)
      .flatMap(({ id, pid, isRoot }) => (pid === undefined ? [] : [{ number: id, pid, isRoot }]));
    this.context.mounts.read(namespaces.sort((a, b) => Number(b.isRoot) - Number(a.isRoot)));
    const all = enterAll(
      found.map(({ request }) => request),
      this.#entered,
    );
    stage("dump/entered");
    const byEntered = new Map<Entered, Found>();
    all.forEach((entered, i) => {
      const each = found[i];
      if (each !== undefined) byEntered.set(entered, each);
    });
    return byEntered;
  }

  #dumpProcess(found: Found, entered: Entered, asked: Asked): void {
    const { frozen, objects, namespaces, mappings, saved } = found;
    const { pid } = frozen;
    const pidfd = pidfdOpen(pid);
    try {
      const proc = readProcess(pid);
      const numberOf = (host: HostPid) => this.context.numbers.numberOf(host);
      const dumpee = {
        pid,
        owners: this.context.numbers.owners,
        numberOf,
        nestedOf: (host: HostPid) => this.context.numbers.nestedOf(host),
        frozen,
        ids: objects,
        proc,
        mappings,
        entered,
        table: entered.table,
        pidfd,
      };
      const tids = frozen.threads.map(({ tid }) => tid);
      const sets = this.context.cgroups.setsOf(pid, tids);
      const sem_undos = this.#semUndos.adjustmentsOf(dumpee, namespaces.ipc_ns_id ?? 0);
      const ofOthers = { sem_undos, ...asked.stops(dumpee) };
      dumpCore(
        this.context.images,
        dumpee,
        saved,
        namespaces,
        this.#seccomp,
        asked.core,
        sets,
        ofOthers,
        this.#rights,
      );
      stage("dump/core");
      this.#files.dumpProcess(dumpee);
      stage("dump/opened");
      if (entered.isFirst) this.#memory.dumpProcess(dumpee);
    } finally {
      close(pidfd);
    }
  }

  /** Has the memory of all processes, which are still entered, registered. @throws KernelError */
  register(tracker: Tracker): void {
    for (const { pid, table, isFirst } of this.#entered)
      if (isFirst) tracker.register(pid, table, this.#mappings.get(pid) ?? []);
  }

  /** Takes us out of every process; all stand stopped as they were found. */
  leave(): void {
    let failure: unknown;
    leaveAll(this.#entered.splice(0), (_, error) => {
      failure ??= error;
    });
    if (failure !== undefined) throw failure;
  }

  /** Names that were given to files that had lost theirs. */
  get names(): readonly string[] {
    return this.#files.names;
  }

  /** As leave, after a failure: whatever cannot be undone must not keep the rest from it. */
  abort(): void {
    this.context.images.abandon();
    this.#memory.abort();
    leaveAll(this.#entered.splice(0), ({ pid }, error) => {
      const text = `process ${pid}: ${error instanceof Error ? error.message : String(error)}`;
      // One that has died, or is just dying, needs no leaving, and its death is why we are here.
      if (isErrno(error, ERRNO.ESRCH) || hasEnded(pid, pid)) log.debug("dump", text);
      else log.error("dump", text);
    });
    this.#files.abort();
  }
}
