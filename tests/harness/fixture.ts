/** Starting a fixture, taking it through dump and restore, and hearing its own judgement. */

import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildFixtures, type Directives, directives, fixtureProgram } from "./build.ts";
import { patience } from "./patience.ts";
import {
  adoptOrphans,
  childrenOf,
  compareSnapshots,
  killAll,
  leaveToBun,
  ofOneLife,
  processTree,
  readText,
  type Snapshot,
  snapshotProc,
  waitGone,
} from "./processes.ts";
import { dump, type Outcome, preDump, restore, type Tool, type ToolOptions } from "./tool.ts";

/** The machine, or this user, lacks what a fixture needs. */
export class Skipped extends Error {}

/** A dump was refused, in a way the fixture allows, and changed nothing. */
export class Refused extends Error {}

/** A fixture did not come through; the message holds the ends of the logs. */
export class FixtureFailed extends Error {}

/** A started fixture. `stop()` must be called in the end, whatever happened. */
export interface Fixture {
  readonly name: string;
  readonly directives: Directives;
  /** The root of its tree, leader of a session of its own; the same pid after a restore, but for one in a pid namespace of its own. */
  pid: number;
  /** Holds its files and, under images-N, what was dumped. */
  readonly stateDir: string;
  /** How often cycle() has been called on it. */
  cycles: number;
  /** Every pid seen in the tree so far. */
  readonly seen: Set<number>;
  /** Tells it to check itself, and waits for its judgement: "PASS", or throws FixtureFailed. */
  finish(timeoutMs?: number): Promise<string>;
  /** Kills what is left of it and removes its directory and its huge pages. Never throws. */
  stop(): Promise<void>;
}

const hugePagesFile = "/proc/sys/vm/nr_hugepages";

async function until<T>(look: () => T | undefined, timeoutMs: number): Promise<T | undefined> {
  const end = Date.now() + timeoutMs;
  for (let pause = 0.5; ; pause = Math.min(pause + 0.5, 4)) {
    const found = look();
    if (found !== undefined || Date.now() > end) return found;
    await Bun.sleep(pause);
  }
}

const hugePages = () => Number(readText(hugePagesFile) ?? "NaN");

/** Adds to the machine's huge pages; how many were added. */
function reserveHugePages(wanted: number): number {
  if (wanted === 0) return 0;
  const before = hugePages();
  if (Number.isNaN(before)) throw new Skipped("the kernel has no huge pages");
  try {
    writeFileSync(hugePagesFile, String(before + wanted));
  } catch {
    throw new Skipped("nr_hugepages may not be set");
  }
  const added = hugePages() - before;
  if (added < wanted) {
    giveHugePagesBack(added);
    throw new Skipped(`the machine does not give ${wanted} huge pages`);
  }
  return added;
}

/** Takes away as many as were added, not back to what there was: another run may have added its own meanwhile. */
function giveHugePagesBack(added: number): void {
  writeFileSync(hugePagesFile, String(Math.max(0, hugePages() - added)));
}

const transparentHugePages = "/sys/kernel/mm/transparent_hugepage";

/** Does something while a setting of the machine is another one, and sets it back. @throws Skipped */
async function withSetting(path: string, value: string, procedure: () => Promise<void>): Promise<void> {
  const text = readText(path);
  if (text === undefined) throw new Skipped(`there is no ${path}`);
  const before = /\[(\w+)\]/.exec(text)?.[1] ?? text.trim();
  try {
    writeFileSync(path, value);
  } catch {
    throw new Skipped(`${path} may not be set`);
  }
  try {
    await procedure();
  } finally {
    writeFileSync(path, before);
  }
}

/**
 * Does something while the machine's transparent huge pages are set so, and no thread of the kernel's makes any of memory that is
 * not there. @throws Skipped
 */
export function withTransparentHugePages(setting: string, procedure: () => Promise<void>): Promise<void> {
  return withSetting(`${transparentHugePages}/khugepaged/max_ptes_none`, "0", () =>
    withSetting(`${transparentHugePages}/enabled`, setting, procedure),
  );
}

/** Gives the child of unshare(1) its ids. */
async function mapIds(starter: number, map: string): Promise<void> {
  const pid = await until(() => childrenOf(starter)[0], patience(5000));
  for (const file of ["gid_map", "uid_map"]) writeFileSync(`/proc/${pid}/${file}`, `${map}\n`);
}

/**
 * Builds a fixture where needed, starts it in a new session with its stdio on files, and waits until it is ready.
 *
 * @param name a file of tests/fixtures without its .c
 * @throws Skipped when it, or the harness, finds the machine lacking; FixtureFailed when it fails before it is ready
 */
export async function startFixture(name: string): Promise<Fixture> {
  await buildFixtures([name]);
  adoptOrphans();
  const wants = directives(name);
  const reserved = reserveHugePages(wants.hugePages);
  const stateDir = mkdtempSync(join(tmpdir(), `criu-ts-${name}-`));
  chmodSync(stateDir, 0o777);
  const file = (leaf: string) => join(stateDir, leaf);
  const printed = openSync(file("printed"), "a");
  // setsid does not fork where its caller is no group leader, which a fresh child is not: the pid is the fixture's.
  const isUnshared = wants.unshareOptions.length > 0;
  // What unshare(1) says in the end is not to lengthen the fixture's file.
  const apart = (prepared = "") => [
    "sh",
    "-c",
    `${prepared}cd "$PWD"; exec "$@" </dev/null >>printed 2>&1`,
    "sh",
  ];
  // The map is written from outside; its caller is nobody until then, and nobody's program has no capabilities of its own.
  const mapped = [
    ...apart("until grep -q . /proc/self/uid_map /proc/self/gid_map; do sleep 0.01; done; "),
    ...["setpriv", "--reuid", "0", "--regid", "0", "--clear-groups"],
  ];
  const starter = !isUnshared
    ? []
    : wants.idMap === undefined
      ? ["unshare", "--fork", ...wants.unshareOptions, ...apart()]
      : ["unshare", "--fork", "--user", "--keep-caps", ...wants.unshareOptions, ...mapped];
  const child = Bun.spawn([...starter, "setsid", fixtureProgram(name), stateDir], {
    cwd: stateDir,
    stdin: "ignore",
    stdout: isUnshared ? "ignore" : printed,
    stderr: isUnshared ? "ignore" : printed,
    env: { PATH: "/usr/bin:/bin", FIXTURE_NAME: name, LC_ALL: "C" },
  });
  closeSync(printed);
  leaveToBun(child);
  if (wants.idMap !== undefined) await mapIds(child.pid, wants.idMap);
  const seen = new Set([child.pid]);
  const look = () => {
    for (const member of processTree(fixture.pid)) seen.add(member);
  };

  const stop = async () => {
    look();
    await killAll(seen);
    rmSync(stateDir, { recursive: true, force: true });
    if (reserved > 0) giveHugePagesBack(reserved);
  };
  const verdict = () => readText(file("result"))?.trim();
  const story = () => {
    const words = readText(file("printed"))?.trim() ?? "";
    return words === "" ? "" : `\nit printed: ${words}`;
  };

  const finish = async (timeoutMs = patience(20_000)) => {
    look();
    writeFileSync(file("go"), "");
    const said = await until(
      () => verdict() ?? (processTree(fixture.pid).length === 0 ? (verdict() ?? "") : undefined),
      timeoutMs,
    );
    look();
    if (said === "PASS") {
      const left = await waitGone([fixture.pid], patience(5000));
      if (left.length > 0)
        throw new FixtureFailed(`${name}: passed, but process ${fixture.pid} does not end`);
      return said;
    }
    const why =
      said === undefined ? `no judgement after ${timeoutMs} ms` : said === "" ? "it died silently" : said;
    throw new FixtureFailed(`${name}: ${why}${story()}`);
  };

  const fixture: Fixture = {
    name,
    directives: wants,
    pid: child.pid,
    stateDir,
    cycles: 0,
    seen,
    finish,
    stop,
  };

  // It is written aside and linked to its name: with two names it is not done yet, and a look at the tree would see both.
  const isReady = () => statSync(file("ready"), { throwIfNoEntry: false })?.nlink === 1;
  const started = await until(
    () => (isReady() || child.exitCode !== null ? true : verdict()),
    patience(30_000),
  );
  if (!existsSync(file("ready"))) {
    const said = verdict();
    await stop();
    if (said?.startsWith("SKIP")) throw new Skipped(said.slice(6));
    const why =
      said ??
      (started === undefined ? "not ready after 30 s" : `ended with ${child.exitCode ?? child.signalCode}`);
    throw new FixtureFailed(`${name}: before it was ready: ${why}${story()}`);
  }
  if (isUnshared) fixture.pid = childrenOf(child.pid)[0] ?? child.pid;
  look();
  return fixture;
}

/** How a cycle is done: by which tools, and whether anything happens between. */
export interface CycleOptions {
  dumpTool?: Tool;
  restoreTool?: Tool;
  /** The image directory; a new one in the state directory if not given. */
  imagesDir?: string;
  dumpOptions?: string[];
  restoreOptions?: string[];
}

export interface Cycle {
  imagesDir: string;
  dumped: Outcome;
  restored: Outcome;
  /** What /proc shows otherwise after the restore than before the dump; empty for a fixture that says it moves. */
  differences: string[];
}

function complaint(what: string, fixture: Fixture, outcome: Outcome): FixtureFailed {
  return new FixtureFailed(`${fixture.name}: ${what} ended with ${outcome.exitCode}:\n${outcome.errors}`);
}

/**
 * What is different now from a snapshot, after a moment for the tree to settle: a task just let go has yet to restart
 * its system call (sigsuspend(2) changes the mask there) or to stop.
 */
async function differencesFrom(
  before: Snapshot,
  pid: number,
  view: (shot: Snapshot) => Snapshot,
): Promise<string[]> {
  const end = Date.now() + patience(300);
  for (;;) {
    const differences = compareSnapshots(view(before), view(snapshotProc(pid)));
    if (differences.length === 0 || Date.now() > end) return differences;
    await Bun.sleep(2);
  }
}

async function changed(fixture: Fixture, what: string, before: Snapshot): Promise<void> {
  if (fixture.directives.moves !== undefined) return;
  const differences = await differencesFrom(before, fixture.pid, (shot) => shot);
  if (differences.length > 0)
    throw new FixtureFailed(`${fixture.name}: ${what} has changed the tree:\n${differences.join("\n")}`);
}

async function checkRefusal(
  fixture: Fixture,
  outcome: Outcome,
  text: string,
  before: Snapshot,
): Promise<void> {
  await changed(fixture, "a dump that failed", before);
  if (!outcome.errors.includes(text))
    throw new FixtureFailed(
      `${fixture.name}: the dump failed without a word of "${text}":\n${outcome.errors}`,
    );
}

async function settle(fixture: Fixture): Promise<void> {
  if (fixture.directives.delayMs > 0) await Bun.sleep(Math.random() * fixture.directives.delayMs);
  for (const pid of processTree(fixture.pid)) fixture.seen.add(pid);
}

function dumpHow(fixture: Fixture, how: CycleOptions, ...options: string[]): ToolOptions {
  return {
    ...(how.dumpTool ? { tool: how.dumpTool } : {}),
    options: [...fixture.directives.dumpOptions, ...(how.dumpOptions ?? []), ...options],
  };
}

/**
 * Has a fixture refused whose dump must fail: with a line that contains what it says, and without a trace.
 *
 * @throws FixtureFailed
 */
export async function refusedDump(fixture: Fixture, how: CycleOptions = {}): Promise<Outcome> {
  await settle(fixture);
  const before = snapshotProc(fixture.pid);
  const outcome = await dump(fixture.pid, join(fixture.stateDir, "images-refused"), dumpHow(fixture, how));
  if (outcome.ok) throw new FixtureFailed(`${fixture.name}: the dump should have failed`);
  await checkRefusal(fixture, outcome, fixture.directives.fails ?? "", before);
  return outcome;
}

/**
 * Dumps a fixture with --leave-running and sees that nothing about it has changed.
 *
 * @throws FixtureFailed, or Refused as cycle() does
 */
export async function leaveRunning(fixture: Fixture, how: CycleOptions = {}): Promise<Outcome> {
  await settle(fixture);
  const imagesDir = how.imagesDir ?? join(fixture.stateDir, "images-running");
  const before = snapshotProc(fixture.pid);
  const outcome = await dump(fixture.pid, imagesDir, dumpHow(fixture, how, "-R"));
  await refuseOrComplain(fixture, outcome, before);
  await changed(fixture, "a dump with -R", before);
  return outcome;
}

async function refuseOrComplain(fixture: Fixture, dumped: Outcome, before: Snapshot): Promise<void> {
  if (dumped.ok) return;
  const { mayRefuse } = fixture.directives;
  if (mayRefuse === undefined || !dumped.errors.includes(mayRefuse)) throw complaint("dump", fixture, dumped);
  await checkRefusal(fixture, dumped, mayRefuse, before);
  throw new Refused(dumped.errors);
}

/** Restores a fixture, and notes its pid, which may be another one then. */
export async function restoreFixture(
  fixture: Fixture,
  imagesDir: string,
  how: ToolOptions = {},
): Promise<Outcome> {
  const { restoreOptions, unshareOptions } = fixture.directives;
  const pidfile = join(imagesDir, "pid");
  rmSync(pidfile, { force: true });
  const told = unshareOptions.length > 0 ? ["--pidfile", pidfile] : [];
  const restored = await restore(imagesDir, {
    ...how,
    options: [...restoreOptions, ...(how.options ?? []), ...told],
  });
  if (restored.ok && told.length > 0) fixture.pid = Number(readText(pidfile));
  return restored;
}

/** Starts a fixture, does something with it, and stops it, whatever happens. @throws Skipped, FixtureFailed, what `use` throws */
export async function withFixture(
  name: string,
  use: (fixture: Fixture) => Promise<void> | void,
): Promise<void> {
  const fixture = await startFixture(name);
  try {
    await use(fixture);
  } finally {
    await fixture.stop();
  }
}

/**
 * Pre-dumps a fixture, and sees that nothing about it has changed; gives the options of a dump that builds on it. @throws FixtureFailed, or
 * Refused as cycle() does
 */
export async function preDumped(fixture: Fixture): Promise<string[]> {
  await settle(fixture);
  const before = snapshotProc(fixture.pid);
  const outcome = await preDump(fixture.pid, join(fixture.stateDir, "images-pre"));
  await refuseOrComplain(fixture, outcome, before);
  await changed(fixture, "a pre-dump", before);
  return ["--prev-images-dir", "../images-pre"];
}

/**
 * Dumps a fixture, sees that the whole tree is gone, and restores it.
 *
 * @throws FixtureFailed with the errors of the log; Refused when the dump fails in a way that the fixture allows
 */
export async function cycle(fixture: Fixture, how: CycleOptions = {}): Promise<Cycle> {
  const { moves, unshareOptions } = fixture.directives;
  const imagesDir = how.imagesDir ?? join(fixture.stateDir, `images-${fixture.cycles + 1}`);
  fixture.cycles++;
  await settle(fixture);
  const members = processTree(fixture.pid);
  const before = snapshotProc(fixture.pid);
  const dumped = await dump(fixture.pid, imagesDir, dumpHow(fixture, how));
  await refuseOrComplain(fixture, dumped, before);
  const left = await waitGone(members, patience(3000));
  if (left.length > 0)
    throw new FixtureFailed(`${fixture.name}: after the dump these still live: ${left.join(" ")}`);
  const restored = await restoreFixture(fixture, imagesDir, {
    ...(how.restoreTool ? { tool: how.restoreTool } : {}),
    options: how.restoreOptions ?? [],
  });
  for (const pid of processTree(fixture.pid)) fixture.seen.add(pid);
  if (!restored.ok) throw complaint("restore", fixture, restored);
  const stray = readdirSync(fixture.stateDir, { recursive: true, encoding: "buffer" })
    .map((name) => name.toString("latin1"))
    .filter((name) => /(^|\/)link_remap\.\d|\.criu-ts\.\d/.test(name));
  if (stray.length > 0)
    throw new FixtureFailed(`${fixture.name}: names that a restore should take away: ${stray.join(" ")}`);
  const comparable = moves === undefined && unshareOptions.length === 0;
  const differences = comparable ? await differencesFrom(before, fixture.pid, ofOneLife) : [];
  return { imagesDir, dumped, restored, differences };
}
