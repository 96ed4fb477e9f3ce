/**
 * `criu dump`: stop a process tree, save it, and end it (or let it run on).
 *
 * Whatever fails, and whenever, the tree runs on as it was: see tracee/enter/infection.ts for how that holds even when we
 * are killed. The inventory is written last, so that a directory that has one is whole.
 */

import { ActionError, type Actions } from "./actions.ts";
import { CgroupsDump, OWN_SET } from "./cgroups/dump.ts";
import { Freezer } from "./cgroups/freezer.ts";
import { dumpCpuinfo } from "./check/cpuinfo.ts";
import { tell } from "./event-channel.ts";
import { stage } from "./faults.ts";
import { FilesDump } from "./files/dump.ts";
import type { FilesDumpOptions, NetworkDump } from "./files/kind.ts";
import { ImageDir } from "./images/image-dir.ts";
import { IMAGES } from "./images/kinds.ts";
import type { TaskKobjIdsEntry } from "./images/schema/generated/process.ts";
import { ERRNO, isErrno } from "./linux/errno.ts";
import { close, pidfdOpen, readLink } from "./linux/io.ts";
import { ourPath } from "./linux/path-at.ts";
import { type HostPid, hostPid } from "./linux/pid.ts";
import { hasEnded, type Mapping, readProcess, readSmaps } from "./linux/proc.ts";
import { log } from "./log.ts";
import { MemoryDump } from "./memory/dump.ts";
import { NamespacesDump, ownIds } from "./namespaces/dump.ts";
import { ipc } from "./namespaces/ipc/ipc.ts";
import { SemaphoreUndoDump } from "./namespaces/ipc/undo.ts";
import { LOCK_METHOD, networkLock, newRunId } from "./namespaces/lock-methods.ts";
import { mnt } from "./namespaces/mnt.ts";
import { MountsDump } from "./namespaces/mounts/dump.ts";
import { NetworksDump } from "./namespaces/net/dump.ts";
import { OUR_NETWORK } from "./namespaces/net/network.ts";
import { dumpClocks, time } from "./namespaces/time.ts";
import { CpuCap, type Options } from "./options.ts";
import { writePidfile } from "./pidfile.ts";
import { Plugins } from "./plugins/plugins.ts";
import {
  askCore,
  type CoreAnswers,
  dumpCore,
  dumpZombie,
  refuseDeadLeader,
  refuseThreads,
} from "./process/core.ts";
import { TaskNumbers } from "./process/identity.ts";
import { refuseApart, SharedObjects } from "./process/ids.ts";
import { dumpPstree, refuseRoot } from "./process/pstree.ts";
import { SeccompDump } from "./process/seccomp.ts";
import { DumpStats, Stopwatch } from "./stats.ts";
import type { ObjectIds } from "./tracee/enter/dumpee.ts";
import { askAll, askingGroups, enterAll, leaveAll } from "./tracee/enter/enter.ts";
import type { Entered } from "./tracee/enter/entered.ts";
import { type Saved, saveThreads } from "./tracee/enter/saved.ts";
import { type FrozenProcess, FrozenTree } from "./tracee/hold/freeze.ts";
import type { Table } from "./tracee/table/table.ts";
import { killing } from "./undo/calls.ts";
import { layOwnName } from "./undo/names.ts";
import { Undo, type UndoEntry } from "./undo/undo.ts";

/**
 * Returns the exit code: that of a script that failed after the dump, for it may mean that the tree is to run on.
 * @throws whatever failed, after the tree was let go
 */
export async function dump(given: Options, actions: Actions): Promise<number> {
  const plugins = Plugins.find(given, "dump");
  return await plugins.during(() => dumpWith(given, actions, plugins));
}

async function dumpWith(given: Options, actions: Actions, plugins: Plugins): Promise<number> {
  if (given.tree === undefined) throw new Error("dump needs --tree");
  const rootPid = hostPid(given.tree);
  actions.root = rootPid;
  actions.run("pre-dump");
  refuseRoot(rootPid);
  const stats = new DumpStats();
  const images = ImageDir.create(given.imagesDir);
  stage("dump/start");

  const freezing = new Stopwatch();
  // No time at all is no limit, as for alarm(2).
  const patience = given.timeout === 0 ? Number.POSITIVE_INFINITY : given.timeout * 1000;
  using undo = new Undo();
  using freezer =
    given.freezeCgroup === undefined ? undefined : new Freezer(given.freezeCgroup, undo, patience);
  using tree = FrozenTree.freeze(
    rootPid,
    () => stage("dump/freezing"),
    patience,
    (pid) => plugins.ask("pauseDevices", pid),
    freezer && (() => freezer.thaw()),
  );
  freezer?.tellOthers(tree.processes.map(({ pid }) => pid));
  stats.freezingTime = freezing.micros;
  const frozen = new Stopwatch();
  for (const process of tree.processes) if (!process.zombie) refuseDeadLeader(process);
  const unlocked = toldOfLock(actions, tree);
  const options = withClient(given, actions, unlocked);
  const leaves = options.leaveRunning || options.leaveStopped;
  let committed = false;
  let ending: UndoEntry | undefined;
  const runId = newRunId();
  const numbers = new TaskNumbers(tree);
  using cgroups = new CgroupsDump(options, freezer);
  cgroups.lookAtRoot(rootPid);
  const namespaces = new NamespacesDump(rootPid);
  using lock = networkLock(options.networkLock, runId, OUR_NETWORK);
  using networks = new NetworksDump(namespaces.nets, options, runId, plugins);
  const namespaceNumbers = {
    find: (name: string) => namespaces.find(name),
    numberOf: (net: number) => networks.numberOf(net),
  };
  using mounts = new MountsDump(options, undo, numbers, namespaceNumbers, plugins);
  const saving = new Saving(
    options,
    images,
    undo,
    mounts,
    cgroups,
    { lock, leaves, namespaces: networks },
    namespaces,
    networks,
    stats,
    numbers,
    plugins,
    actions.takesMasters,
  );
  try {
    stage("dump/frozen");
    for (const { pid, zombie } of tree.processes) if (!zombie) plugins.ask("checkpointDevices", pid);
    saving.save(tree);
    stats.frozenTime = frozen.micros;
    if ((options.cpuCap & CpuCap.image) !== 0) dumpCpuinfo(images);
    if (options.pidfile !== undefined) writePidfile(options.pidfile, rootPid, undo);
    ImageDir.open(options.workDir ?? options.imagesDir).writeAll(
      IMAGES.stats,
      [{ dump: stats.entry }],
      "dump",
    );
    stage("dump/inventory");
    const living = tree.processes.flatMap(({ pid, zombie }) => (zombie ? [] : [pid]));
    // Either all end and everything stays, or nothing: for one process alone that needs nothing. (With connections its end is
    // not all: they do not work any more.)
    if (!leaves && (living.length > 1 || !undo.isEmpty)) ending = undo.layAfter("the tree", killing(living));
    // With what it refers to.
    if (!undo.isEmpty) layOwnName(undo, ourPath(images.filePath(IMAGES.inventory)));
    images.commitInventory({
      img_version: 2,
      fdinfo_per_id: true,
      root_ids: ownIds(),
      ns_per_id: true,
      root_cg_set: OWN_SET,
      lsmtype: 0,
      tcp_close: options.tcpClose ? true : undefined,
      allow_uprobes: saving.hasUprobes ? true : undefined,
      network_lock_method: LOCK_METHOD[options.networkLock],
      dump_criu_run_id: runId,
      ...(plugins.needed.length > 0 && { plugins_entry: { plugins: [...plugins.needed] } }),
    });
    stage("dump/committed");
    committed = true;
    actions.run("post-dump");
  } catch (error) {
    // A script may keep the tree from its end, but not the images from being whole.
    const isWhole = committed && error instanceof ActionError;
    if (!isWhole) images.remove(IMAGES.inventory);
    saving.abort();
    if (isWhole) {
      ending?.drop();
      undo.commit();
      tellNames(saving.names, true);
    }
    undo.finish();
    unlocked();
    freezer?.restore();
    tree.release();
    if (!isWhole) throw error;
    log.error("dump", error.message);
    return error.code;
  }
  undo.commit();
  tellNames(saving.names, leaves);
  if (leaves) {
    saving.leave();
    if (options.leaveRunning) unlocked();
    if (options.leaveStopped) tree.stop();
    freezer?.restore();
    tree.release();
  } else {
    tree.kill(() => ending?.drop());
  }
  undo.finish();
  tell({ kind: "answer", answer: { to: "dump", pid: rootPid, processes: tree.processes.length } });
  log.info("dump", `dumped ${tree.processes.length} processes, root ${rootPid}`);
  if (options.displayStats) (await import("./stats-display.ts")).displayDumpStats(stats.entry);
  return 0;
}

/** What a dump is asked for: by options, and by whoever it works for. */
type DumpOptions = Options & Pick<FilesDumpOptions, "clientSocket">;

/**
 * Tells that connections are blocked, where the tree has a network of its own: who looks after that may block it as a whole. Gives
 * what tells of the end of it. @throws ActionError
 */
function toldOfLock(actions: Actions, tree: FrozenTree): () => void {
  if (readLink(`/proc/${tree.root.pid}/ns/net`) === readLink("/proc/self/ns/net")) return () => {};
  const unlocked = () => actions.announce("network-unlock");
  try {
    actions.run("network-lock");
    return unlocked;
  } catch (error) {
    unlocked();
    throw error;
  }
}

/** The options with what the listener adds to the external resources. @throws ActionError */
function withClient(options: Options, actions: Actions, unlocked: () => void): DumpOptions {
  try {
    const external = [...options.external, ...actions.queryExternal()];
    return { ...options, external, clientSocket: actions.clientSocket };
  } catch (error) {
    unlocked();
    throw error;
  }
}

/** Names that were given to files stay; a tree that runs on, and whoever looks after it, may see them. */
function tellNames(names: readonly string[], leaves: boolean): void {
  for (const name of names) {
    const text = `${name} stays until a restore of these images has used it`;
    if (leaves) log.warn("dump", text);
    else log.info("dump", text);
  }
}

/** So many tasks have images enough for a second thread to write them. */
const MANY = 64;

/** What was found of a process before we entered it. */
interface Found {
  readonly frozen: FrozenProcess;
  readonly objects: ObjectIds;
  readonly namespaces: TaskKobjIdsEntry;
  readonly mappings: readonly Mapping[];
  readonly saved: readonly Saved[];
}

/** Saves a frozen tree object by object; remembers what it entered, so that it can leave. */
class Saving {
  readonly #files: FilesDump;
  readonly #memory: MemoryDump;
  readonly #seccomp = new SeccompDump();
  readonly #objects = new SharedObjects();
  readonly #semUndos = new SemaphoreUndoDump();
  /** What ids-PID is to hold. */
  readonly #idsOf = new Map<HostPid, TaskKobjIdsEntry>();
  readonly #entered: Entered[] = [];

  constructor(
    private readonly options: DumpOptions,
    private readonly images: ImageDir,
    private readonly undo: Undo,
    private readonly mounts: MountsDump,
    private readonly cgroups: CgroupsDump,
    private readonly network: NetworkDump,
    private readonly namespaces: NamespacesDump,
    private readonly networks: NetworksDump,
    stats: DumpStats,
    private readonly numbers: TaskNumbers,
    plugins: Plugins,
    orphanPtsMaster: boolean,
  ) {
    this.#files = new FilesDump(
      images,
      { ...options, orphanPtsMaster },
      undo,
      mounts,
      network,
      this.namespaces,
      stats,
      numbers,
      plugins,
    );
    this.#memory = new MemoryDump(
      images,
      this.#files,
      stats,
      (pid) => this.namespaces.isOther(ipc, pid),
      options.allowUprobes,
    );
  }

  get hasUprobes(): boolean {
    return this.#memory.hasUprobes;
  }

  save(tree: FrozenTree): void {
    if (tree.processes.reduce((sum, { threads }) => sum + threads.length, 0) >= MANY)
      this.images.writeBehind();
    const ids = new Map<HostPid, ObjectIds>();
    for (const { pid, zombie } of tree.processes) if (!zombie) ids.set(pid, this.#objects.idsOf(pid));
    const living = tree.processes.filter((process) => !process.zombie);
    for (const process of living) {
      const tids = process.threads.map(({ tid }) => tid);
      refuseApart(process.pid, tids);
      this.namespaces.refuseApart(process.pid, tids);
      const objects = ids.get(process.pid);
      if (objects !== undefined) this.#idsOf.set(process.pid, this.namespaces.idsOf(process.pid, objects));
    }
    this.namespaces.check();
    const nested = this.namespaces.hasNestedPids ? this.namespaces : undefined;
    dumpPstree(this.images, tree, ids, this.numbers, this.options.shellJob, nested);
    stage("dump/tree");
    for (const process of tree.processes)
      if (process.zombie) dumpZombie(this.images, process, this.numbers.numberOf(process.pid));
    // One step is taken by all processes before the next, so that they work while we look at the others.
    const found = this.#enter(living, ids);
    this.networks.lock(this.undo, this.network.leaves);
    stage("dump/locked");
    for (const group of askingGroups([...found.keys()])) {
      const { answers, asked } = askAll(group, (table) => {
        this.#memory.ask(table);
        return askCore(table, this.#seccomp);
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
    this.namespaces.dump({
      images: this.images,
      options: this.options,
      tableOf: (pid) => this.#tableOf(pid),
      mounts: this.mounts,
      networks: this.networks,
      tasks: this.numbers,
    });
    if (this.namespaces.of(time).length === 0) dumpClocks(this.images);
    stage("dump/namespaces");
    this.cgroups.write(this.images);
    this.images.writeAll(IMAGES.seccomp, [this.#seccomp.image]);
    this.images.settle();
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
      refuseDeadLeader(frozen);
      const mappings = readSmaps(pid);
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
    const namespaces = this.namespaces
      .of(mnt)
      .flatMap(({ id, pid, isRoot }) => (pid === undefined ? [] : [{ number: id, pid, isRoot }]));
    this.mounts.read(namespaces.sort((a, b) => Number(b.isRoot) - Number(a.isRoot)));
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

  #dumpProcess(found: Found, entered: Entered, answers: CoreAnswers): void {
    const { frozen, objects, namespaces, mappings, saved } = found;
    const { pid } = frozen;
    const pidfd = pidfdOpen(pid);
    try {
      const proc = readProcess(pid);
      const numberOf = (host: HostPid) => this.numbers.numberOf(host);
      const dumpee = {
        pid,
        owners: this.numbers.owners,
        numberOf,
        frozen,
        ids: objects,
        proc,
        mappings,
        entered,
        table: entered.table,
        pidfd,
      };
      const tids = frozen.threads.map(({ tid }) => tid);
      const sets = this.cgroups.setsOf(pid, tids);
      const undos = this.#semUndos.adjustmentsOf(dumpee, namespaces.ipc_ns_id ?? 0);
      dumpCore(this.images, dumpee, saved, namespaces, this.#seccomp, answers, sets, undos);
      stage("dump/core");
      this.#files.dumpProcess(dumpee);
      stage("dump/opened");
      if (entered.isFirst) this.#memory.dumpProcess(dumpee);
    } finally {
      close(pidfd);
    }
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
    this.images.abandon();
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
