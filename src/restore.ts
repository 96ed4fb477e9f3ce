/**
 * `criu restore`: bring a process tree back from its images.
 *
 * Everything happens inside bare processes that we hold and that die with us; what is made beside them is undone when
 * anything fails. The last steps, in which the processes get their registers and are let go, cannot fail for a reason
 * of the images.
 */

import type { Actions } from "./actions.ts";
import { Hierarchies } from "./cgroups/hierarchies.ts";
import { CgroupsRestore } from "./cgroups/restore.ts";
import { checkCpuinfo } from "./check/cpuinfo.ts";
import { tell } from "./event-channel.ts";
import { stage } from "./faults.ts";
import { ImageError } from "./images/error.ts";
import { ImageDir } from "./images/image-dir.ts";
import { IMAGES } from "./images/kinds.ts";
import type { InventoryEntry } from "./images/schema/generated/inventory.ts";
import { ERRNO } from "./linux/errno.ts";
import { type HostPid, type NsPid, sameHost } from "./linux/pid.ts";
import { wait } from "./linux/ptrace.ts";
import { log } from "./log.ts";
import { lockMethodOf } from "./namespaces/lock-methods.ts";
import { MountsRestore } from "./namespaces/mounts/restore.ts";
import { net } from "./namespaces/net/net.ts";
import { type NetworksPlan, NetworksRestore } from "./namespaces/net/restore.ts";
import { NamespacesRestore } from "./namespaces/restore.ts";
import { treeOwners } from "./namespaces/user.ts";
import type { Options } from "./options.ts";
import { writePidfile } from "./pidfile.ts";
import { Plugins } from "./plugins/plugins.ts";
import { ImageValueError } from "./process/errors.ts";
import { refuseProfile } from "./process/lsm.ts";
import { type PstreePlan, planPstree } from "./process/pstree.ts";
import { cgroupSetOf, Restoration } from "./restoration.ts";
import { awaitJob } from "./shell-job.ts";
import { RestoreStats, Stopwatch } from "./stats.ts";
import { SameCpu } from "./tracee/build/same-cpu.ts";
import { killing } from "./undo/calls.ts";
import { Undo } from "./undo/undo.ts";

/** img_version of images that begin with a common magic; the only one written since CRIU 1.6. */
const IMG_VERSION = 2;

/** Returns the exit code. @throws whatever failed, after all traces were removed */
export async function restore(options: Options, actions: Actions): Promise<number> {
  const sameCpu = new SameCpu();
  // Scripts are not to inherit it, nor whatever they start.
  if (!actions.any) sameCpu.begin();
  try {
    return await restoreOn(sameCpu, options, actions);
  } finally {
    sameCpu.end();
  }
}

async function restoreOn(sameCpu: SameCpu, options: Options, actions: Actions): Promise<number> {
  const images = ImageDir.open(options.imagesDir);
  const inventory = readInventory(images, options);
  const plugins = Plugins.find(options, "restore", inventory.plugins_entry?.plugins);
  const work = { images, inventory, sameCpu, options, actions, plugins };
  const rootPid = await plugins.during(() => restoreTree(work));
  if (!options.restoreDetached && !options.execCmd) (options.shellJob ? awaitJob : awaitRoot)(rootPid);
  return 0;
}

/** What a restore works with. */
interface Work {
  readonly images: ImageDir;
  readonly inventory: InventoryEntry;
  readonly sameCpu: SameCpu;
  readonly options: Options;
  readonly actions: Actions;
  readonly plugins: Plugins;
}

/** Reads the inventory, and refuses what it says that a restore cannot be, or not with these options. @throws ImageError */
function readInventory(images: ImageDir, options: Options): InventoryEntry {
  const inventory = images.tryReadOne(IMAGES.inventory);
  if (inventory === undefined) {
    const what = `${options.imagesDir} holds no dump that came to its end: ENOENT`;
    throw new ImageError(what, { file: "inventory.img", errno: ERRNO.ENOENT });
  }
  if (inventory.img_version !== IMG_VERSION) {
    throw new ImageValueError(
      `inventory.img: version ${inventory.img_version} of the images, ${IMG_VERSION} is known`,
    );
  }
  if (inventory.pre_dump_mode !== undefined && !images.has(IMAGES.pstree))
    throw new ImageValueError(
      "inventory.img: these are those of a pre-dump, of memory alone; restore the dump that builds on them",
    );
  if (inventory.tcp_close === true && !options.tcpClose)
    throw new ImageValueError("inventory.img: dumped with --tcp-close, which a restore needs as well");
  if (inventory.allow_uprobes === true && !options.allowUprobes)
    throw new ImageValueError("inventory.img: dumped with --allow-uprobes, which a restore needs as well");
  return inventory;
}

/** What the images say of network namespaces. */
function networksPlan(plan: PstreePlan, inventory: InventoryEntry): NetworksPlan {
  const others = new Set<number>();
  for (const { ids } of plan.all) if (ids?.net_ns_id !== undefined) others.add(ids.net_ns_id);
  return {
    own: inventory.root_ids?.net_ns_id,
    root: plan.root.ids?.net_ns_id,
    others,
    lockMethod: lockMethodOf(inventory),
    runId: inventory.dump_criu_run_id ?? String(plan.root.pid),
    avoid: new Set(plan.all.flatMap(({ pid, threads }) => [pid, ...threads].map(sameHost))),
  };
}

/** Gives our number of the root. */
async function restoreTree({
  images,
  inventory,
  sameCpu,
  options,
  actions,
  plugins,
}: Work): Promise<HostPid> {
  const stats = new RestoreStats();
  const total = new Stopwatch();
  checkCpuinfo(images, options.cpuCap);
  refuseProfile(options.lsmProfile);
  // Who is to live, and in what: nothing is made so far.
  const plan = planPstree(images, options.shellJob);
  using hierarchies = new Hierarchies(options.cgroupYard);
  using undo = new Undo(new Set(plan.all.flatMap(({ pid, threads }) => [pid, ...threads].map(sameHost))));
  const owners = treeOwners(images, plan.root.ids, inventory.root_ids);
  using mounts = new MountsRestore(images, options, undo, owners, plugins);
  using networks = new NetworksRestore(images, options, undo, owners, networksPlan(plan, inventory));
  const rootSet = cgroupSetOf(plan.root);
  const setOf = (number: NsPid) => {
    const process = plan.all.find(({ pid }) => pid === number);
    return process && cgroupSetOf(process);
  };
  const cgroups = new CgroupsRestore(images, options, undo, hierarchies, inventory.root_cg_set, rootSet);
  using namespaces = new NamespacesRestore({
    images,
    options,
    mounts,
    networks,
    beginCgroups: (first, { id, isRoot }) => {
      if (isRoot) cgroups.beginNamespace(first, rootSet);
      else cgroups.beginNested(first, id, setOf(first.number));
    },
    root: plan.root,
    all: plan.all,
    own: inventory.root_ids,
  });
  stage("restore/planned");
  actions.run("pre-restore");

  const restoration = new Restoration({
    options,
    images,
    plan,
    namespaces,
    mounts,
    networks,
    cgroups,
    stats,
    sameCpu,
    undo,
    plugins,
    actions,
  });
  try {
    // Everything that can fail. What is built dies with us, the rest is undone.
    restoration.build();
    stats.restoreTime = total.micros;
    stage("restore/built");
    actions.run("post-restore");
    if (options.pidfile !== undefined) writePidfile(options.pidfile, restoration.rootPid, undo);
    if (namespaces.idOf(net) !== undefined) actions.announce("network-unlock");
    stage("restore/written");
    restoration.finish(inventory);
    // Either all are let go and everything stays, or nothing: for one process alone that needs nothing.
    const { living } = restoration;
    if (living.length > 1 || !undo.isEmpty) undo.lay("the tree", killing(living));
  } catch (error) {
    restoration.abort();
    throw error;
  }
  for (const pid of restoration.living) plugins.resumeDevicesLate(pid);
  actions.announce("pre-resume");
  restoration.makeReady();
  // From here on the tree lives whatever becomes of us, and the warden does what is left to do.
  undo.commit();
  undo.finish();
  restoration.release();
  writeStats(options, stats);
  actions.announce("post-resume");
  const { rootPid, living } = restoration;
  tell({ kind: "answer", answer: { to: "restore", pid: rootPid, processes: living.length } });
  log.info("restore", `restored ${plan.all.length} processes, root ${plan.root.pid}`);
  if (options.displayStats) (await import("./stats-display.ts")).displayRestoreStats(stats.entry);
  return restoration.rootPid;
}

/** The tree runs by now: that nobody could note how long it took is no reason to fail. */
function writeStats(options: Options, stats: RestoreStats): void {
  try {
    const workDir = ImageDir.open(options.workDir ?? options.imagesDir);
    workDir.writeAll(IMAGES.stats, [{ restore: stats.entry }], "restore");
  } catch (error) {
    log.warn("restore", error instanceof Error ? error.message : String(error));
  }
}

/** Without --restore-detached we stay the parent of the root until it ends. */
function awaitRoot(pid: HostPid): void {
  for (;;) {
    const end = wait(pid);
    if (end === undefined || end.status.kind !== "stopped") return;
  }
}
