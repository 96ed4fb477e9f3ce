/**
 * `criu pre-dump`: the memory of a process tree, copied while the tree runs on. A dump that builds on these images
 * (`--prev-images-dir`) stores only what has changed since, so that the tree stands for a shorter time.
 */

import { Freezer } from "../cgroups/freezer.ts";
import { stage } from "../faults.ts";
import { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { CriuPreDumpMode } from "../images/schema/generated/rpc.ts";
import { CLOCK, readClock } from "../linux/clock.ts";
import { type HostPid, hostPid } from "../linux/pid.ts";
import { readSmaps } from "../linux/proc.ts";
import { log } from "../log.ts";
import { setSink } from "../memory/page-sink.ts";
import { MemoryPreDump } from "../memory/pre-dump.ts";
import type { Options } from "../options.ts";
import { Plugins } from "../plugins/plugins.ts";
import { refuseDeadLeader } from "../process/core.ts";
import { TaskNumbers } from "../process/identity.ts";
import { SharedObjects } from "../process/ids.ts";
import { within } from "../process/inside.ts";
import { refuseRoot } from "../process/pstree.ts";
import { DumpStats, Stopwatch } from "../stats.ts";
import { FrozenTree } from "../tracee/hold/freeze.ts";
import { Undo } from "../undo/undo.ts";
import { dropReplacedByDump } from "./dedup.ts";
import { PageClient } from "./page-client.ts";
import { Tracker, unwrittenSince } from "./tracker.ts";

/** Returns the exit code. @throws whatever failed, after the tree was let go; the directory has no inventory then */
export async function preDump(options: Options): Promise<number> {
  const plugins = Plugins.find(options, "pre-dump");
  return await plugins.during(() => preDumpWith(options, plugins));
}

function preDumpWith(options: Options, plugins: Plugins): number {
  if (options.tree === undefined) throw new Error("pre-dump needs --tree");
  const rootPid = hostPid(options.tree);
  refuseRoot(rootPid);
  const stats = new DumpStats();
  const images = ImageDir.create(options.imagesDir, options.prevImagesDir);
  using client = PageClient.of(options);
  if (client !== undefined) setSink(images, client);
  stage("pre-dump/start");
  using memory = new MemoryPreDump(images, stats);
  using tracker = new Tracker(rootPid);
  whileFrozen(options, rootPid, stats, plugins, (tree) => look(tree, images, memory, tracker));
  stage("pre-dump/released");
  memory.copy();
  client?.finish();
  stage("pre-dump/copied");
  ImageDir.open(options.workDir ?? options.imagesDir).writeAll(IMAGES.stats, [{ dump: stats.entry }], "dump");
  images.commitInventory({
    img_version: 2,
    fdinfo_per_id: true,
    ns_per_id: true,
    dump_uptime: readClock(CLOCK.BOOTTIME) / 1000n,
    pre_dump_mode: options.preDumpMode === "read" ? CriuPreDumpMode.VM_READ : CriuPreDumpMode.SPLICE,
    ...tracker.keep(),
  });
  tracker.commit();
  if (options.autoDedup) dropReplacedByDump(images);
  log.info("pre-dump", `the memory of ${rootPid} and its descendants is saved, as far as it does not change`);
  return 0;
}

/** Does something while the tree stands, and lets it run on. */
function whileFrozen(
  options: Options,
  rootPid: HostPid,
  stats: DumpStats,
  plugins: Plugins,
  work: (tree: FrozenTree) => void,
): void {
  const freezing = new Stopwatch();
  const patience = options.timeout === 0 ? Number.POSITIVE_INFINITY : options.timeout * 1000;
  using undo = new Undo();
  using freezer =
    options.freezeCgroup === undefined ? undefined : new Freezer(options.freezeCgroup, undo, patience);
  const thaw = freezer && (() => freezer.thaw());
  const pause = (pid: HostPid) => plugins.ask("pauseDevices", pid);
  using tree = FrozenTree.freeze(rootPid, () => stage("pre-dump/freezing"), patience, pause, thaw);
  stats.freezingTime = freezing.micros;
  const frozen = new Stopwatch();
  work(tree);
  freezer?.restore();
  stats.frozenTime = frozen.micros;
}

/** Looks at the memory of all processes, and begins to track what is written to it. */
function look(tree: FrozenTree, images: ImageDir, memory: MemoryPreDump, tracker: Tracker): void {
  const numbers = new TaskNumbers(tree);
  const objects = new SharedObjects();
  const seen = new Set<number>();
  const owners = tree.processes.filter((process) => {
    if (process.zombie) return false;
    refuseDeadLeader(process);
    const { vm } = objects.idsOf(process.pid);
    return !seen.has(vm) && seen.add(vm);
  });
  const pids = owners.map(({ pid }) => pid);
  const unwritten = unwrittenSince(images.previous, pids);
  within(owners, ({ pid, table }, mappings) => tracker.register(pid, table, mappings));
  tracker.begin(pids);
  // What is protected now is what is found then: to be entered may have taken pages of a stack.
  for (const pid of pids) {
    memory.look(pid, numbers.numberOf(pid), readSmaps(pid), unwritten.get(pid));
    stage("pre-dump/process");
  }
}
