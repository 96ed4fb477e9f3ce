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
import { ImageDir } from "./images/image-dir.ts";
import { IMAGES } from "./images/kinds.ts";
import { CLOCK, readClock } from "./linux/clock.ts";
import { readLink } from "./linux/io.ts";
import { ourPath } from "./linux/path-at.ts";
import { hostPid } from "./linux/pid.ts";
import { log } from "./log.ts";
import { setSink } from "./memory/page-sink.ts";
import { dropReplacedByDump } from "./migrate/dedup.ts";
import { PageClient } from "./migrate/page-client.ts";
import { Tracker, unwrittenSince } from "./migrate/tracker.ts";
import { NamespacesDump, ownIds } from "./namespaces/dump.ts";
import { LOCK_METHOD, networkLock, newRunId } from "./namespaces/lock-methods.ts";
import { MountsDump } from "./namespaces/mounts/dump.ts";
import { NetworksDump } from "./namespaces/net/dump.ts";
import { OUR_NETWORK } from "./namespaces/net/network.ts";
import { CpuCap, type Options } from "./options.ts";
import { writePidfile } from "./pidfile.ts";
import { Plugins } from "./plugins/plugins.ts";
import { refuseDeadLeader } from "./process/core.ts";
import { TaskNumbers } from "./process/identity.ts";
import { refuseRoot } from "./process/pstree.ts";
import { type DumpOptions, Saving } from "./saving.ts";
import { DumpStats, Stopwatch } from "./stats.ts";
import { FrozenTree } from "./tracee/hold/freeze.ts";
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
  const images = ImageDir.create(given.imagesDir, given.prevImagesDir);
  using client = PageClient.of(given);
  if (client !== undefined) setSink(images, client);
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
  const living = tree.processes.flatMap(({ pid, zombie }) => (zombie ? [] : [pid]));
  using tracker = new Tracker(rootPid);
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
  const saving = new Saving({
    options,
    images,
    undo,
    mounts,
    cgroups,
    network: { lock, leaves, namespaces: networks },
    namespaces,
    networks,
    stats,
    numbers,
    plugins,
    unwritten: unwrittenSince(images.previous, living),
    orphanPtsMaster: actions.takesMasters,
  });
  try {
    stage("dump/frozen");
    for (const pid of living) plugins.ask("checkpointDevices", pid);
    saving.save(tree);
    client?.finish();
    stats.frozenTime = frozen.micros;
    if ((options.cpuCap & CpuCap.image) !== 0) dumpCpuinfo(images);
    if (options.pidfile !== undefined) writePidfile(options.pidfile, rootPid, undo);
    ImageDir.open(options.workDir ?? options.imagesDir).writeAll(
      IMAGES.stats,
      [{ dump: stats.entry }],
      "dump",
    );
    stage("dump/inventory");
    if (leaves && options.trackMem) saving.register(tracker);
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
      dump_uptime: options.trackMem ? readClock(CLOCK.BOOTTIME) / 1000n : undefined,
      network_lock_method: LOCK_METHOD[options.networkLock],
      dump_criu_run_id: runId,
      ...tracker.keep(),
      ...(plugins.needed.length > 0 && { plugins_entry: { plugins: [...plugins.needed] } }),
    });
    stage("dump/committed");
    committed = true;
    tracker.commit();
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
    tracker.begin(living);
    if (options.leaveRunning) unlocked();
    if (options.leaveStopped) tree.stop();
    freezer?.restore();
    tree.release();
  } else {
    tree.kill(() => ending?.drop());
  }
  undo.finish();
  if (options.autoDedup) dropReplacedByDump(images);
  tell({ kind: "answer", answer: { to: "dump", pid: rootPid, processes: tree.processes.length } });
  log.info("dump", `dumped ${tree.processes.length} processes, root ${rootPid}`);
  if (options.displayStats) (await import("./stats-display.ts")).displayDumpStats(stats.entry);
  return 0;
}

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
