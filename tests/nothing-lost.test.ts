/**
 * Nothing is lost: a dump that fails leaves the tree as it was, whatever fails and whenever; a restore that fails leaves
 * nothing behind.
 *
 * FIXTURE=a,b selects fixtures; LOST_SEED=... repeats the random instants of an earlier run; LOST_KILLS=n is how often
 * dumps are killed at random in all (200 if not given); LOST_DEATHS=n kills dumps of every fixture before n of the changes
 * that they make, evenly spread; LOST_DYING=n is how often each tree dies.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { STAGES } from "../src/faults.ts";
import { buildFixtures, directives, fixtureNames } from "./harness/build.ts";
import { type Fixture, restoreFixture, Skipped, startFixture } from "./harness/fixture.ts";
import {
  compareSnapshots,
  killAll,
  processState,
  processTree,
  type Snapshot,
  snapshotProc,
  threadsOf,
  waitGone,
} from "./harness/processes.ts";
import { dump, type Outcome, ourTool, restore, type ToolOptions } from "./harness/tool.ts";
import { listing, Witness } from "./harness/witness.ts";
import { generator } from "./programs/data.ts";

const names = fixtureNames();
const skips: string[] = [];
const patience = 120_000;
const PAGE = 4096;

beforeAll(() => buildFixtures(names), 300_000);
afterAll(() => {
  for (const skip of skips) console.log(skip);
});

async function withFixture(name: string, procedure: (fixture: Fixture) => Promise<void>): Promise<void> {
  let fixture: Fixture | undefined;
  try {
    fixture = await startFixture(name);
    await procedure(fixture);
  } catch (error) {
    if (!(error instanceof Skipped)) throw error;
    skips.push(`${name}: skipped: ${error.message}`);
  } finally {
    await fixture?.stop();
  }
}

function errorLines(outcome: Outcome): string[] {
  return outcome.log.split("\n").filter((line) => / Error \(/.test(line));
}

/** Of a tree larger than this only some stages are tried: they take long, and it is the same code. */
const LARGE_TREE = 20;

/** The stages to fail at: each, and those that come once for a process or a thread also the last time they come. */
function faults(stages: readonly string[], fixture: Fixture): string[] {
  const { fails, mayRefuse, moves } = fixture.directives;
  const processes = processTree(fixture.pid).filter((pid) => processState(pid) !== "Z");
  const threads = processes.map((pid) => threadsOf(pid).length - 1);
  const more = threads.reduce((sum, count) => sum + count, 0);
  const times = (name: string): number => {
    // What works has another number of processes and threads at each look.
    if (moves !== undefined) return /thread$/.test(name) ? 0 : 1;
    if (name === "dump/thread") return more;
    if (name === "restore/thread") return threads.filter((count) => count > 0).length;
    if (/^dump\/(freezing|laid|mapped|opened|core|process)$/.test(name)) return processes.length;
    return /^restore\/(birth|process|task)$/.test(name) ? processes.length : 1;
  };
  const all = stages
    .filter((name) => times(name) > 0)
    .flatMap((name) => (times(name) > 1 ? [name, `${name}:${times(name)}`] : [name]));
  if (fails !== undefined || mayRefuse !== undefined)
    return all.filter((name) => /(start|freezing|committed)$/.test(name));
  if (processes.length > LARGE_TREE)
    return all.filter((name) => /:\d|frozen|memory|committed|root|grown|tasks|written/.test(name));
  return all;
}

function dumpHow(fixture: Fixture, how: ToolOptions = {}): ToolOptions {
  const options = [...fixture.directives.dumpOptions, ...(how.options ?? [])];
  return { workDir: join(fixture.stateDir, "work"), ...how, options };
}

/** A dump that is to fail: one clear line, exit code 1, and the tree as it was. Gives the line. */
async function failedDump(
  fixture: Fixture,
  witness: Witness,
  what: string,
  how: ToolOptions,
): Promise<string> {
  const images = join(fixture.stateDir, "images");
  const outcome = await dump(fixture.pid, images, dumpHow(fixture, how));
  const { differences } = await witness.settled(200);
  expect({ what, differences }).toEqual({ what, differences: [] });
  // With -R, a stage that this fixture does not pass through fails nothing.
  const lines = errorLines(outcome);
  if (outcome.exitCode === 0) return "";
  expect({ what, exitCode: outcome.exitCode, lines }).toEqual({
    what,
    exitCode: 1,
    lines: [expect.any(String)],
  });
  expect(existsSync(join(images, "inventory.img"))).toBe(false);
  return lines[0] ?? "";
}

describe("a dump that fails", () => {
  for (const name of names) {
    test(
      `${name}: at each stage`,
      () =>
        withFixture(name, async (fixture) => {
          const { fails, mayRefuse } = fixture.directives;
          const witness = Witness.of(fixture);
          const reached = new Set<string>();
          const wanted = faults(STAGES.dump, fixture);
          for (const fault of wanted) {
            const how = { options: ["-R"], environment: { CRIU_TS_FAULT: fault } };
            const line = await failedDump(fixture, witness, fault, how);
            if (line.includes(`stage ${fault.split(":")[0]} fails as asked`)) reached.add(fault);
            else if (line !== "")
              expect(line).toContain(fails ?? mayRefuse ?? "nothing but the stage's own words");
          }
          if (fails === undefined && mayRefuse === undefined) expect([...reached]).toEqual(wanted);
          expect(await fixture.finish()).toBe("PASS");
        }),
      patience,
    );
  }
});

/** Kills a dump with SIGKILL, `instant` ms after its start; true if it was still at work. */
async function killedDump(fixture: Fixture, instant: number): Promise<boolean> {
  const { dumpOptions } = fixture.directives;
  const images = join(fixture.stateDir, "images");
  mkdirSync(images, { recursive: true });
  const command = [
    ...ourTool(),
    "dump",
    "-t",
    String(fixture.pid),
    "-D",
    images,
    "-o",
    "dump.log",
    ...dumpOptions,
  ];
  const start = performance.now();
  // Should it come to its end, the tree runs on as well.
  const child = Bun.spawn(command, {
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...process.env, CRIU_TS_FAULT: "dump/committed" },
  });
  // Timers are good to a millisecond only.
  if (instant > 3) await Bun.sleep(instant - 2);
  while (performance.now() - start < instant);
  child.kill("SIGKILL");
  await child.exited;
  return child.signalCode === "SIGKILL";
}

/** How long the way out may take of a process whose threads were being let in or out: see PATIENCE in infection.ts. */
const HEALING_MS = 6000;

async function healed(fixture: Fixture, witness: Witness, what: string): Promise<number> {
  const { differences, ms } = await witness.settled(HEALING_MS);
  if (differences.length > 0) throw new Error(`${fixture.name}: ${what}:\n${differences.join("\n")}`);
  return ms;
}

describe("a dump that is killed", () => {
  const everywhere = process.env.LOST_DEATHS;
  const seed = Number(process.env.LOST_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const draw = generator(seed);
  const chosen = [
    "minimal",
    "threads_tid",
    "cow_fork_shared",
    "sigtrap_ignored",
    "restart_calls",
    "restart_poll",
    "itimers",
    "altstack",
    "file_link_remap",
    "unix_options",
    "unix_urgent",
  ];
  /** What the death of a dump cannot leave as it was, and why. */
  const excepted: Record<string, string> = {
    restart_plain: "a call that a tracer stops has failed in the instant before we have it made again",
    restart_rest: "a call that a tracer stops has failed in the instant before we have it made again",
    seccomp_deny: "its filter kills for calls that the way out makes",
    seccomp_strict: "strict mode kills for calls that the way out makes",
  };
  /** A process that is stopped takes the way out when it is continued. */
  const stopped = ["stopped", "stopped_root"];

  for (const name of names.filter((each) => stopped.includes(each))) {
    test(
      `${name}: before changes that it makes to the tree`,
      async () => {
        const most = Number(everywhere ?? 8);
        for (let i = 0; i < most; i++) {
          await withFixture(name, async (fixture) => {
            const change = 1 + Math.floor(((i + draw() / 2 ** 32) * 120) / most);
            const environment = { CRIU_TS_FAULT: "dump/committed", CRIU_TS_DEATH: String(change) };
            await dump(fixture.pid, join(fixture.stateDir, "images"), dumpHow(fixture, { environment }));
            expect(await fixture.finish()).toBe("PASS");
          });
        }
      },
      patience,
    );
  }

  for (const name of names.filter((each) => everywhere !== undefined || chosen.includes(each))) {
    if (stopped.includes(name)) continue;
    const why = excepted[name];
    if (why !== undefined) {
      skips.push(`${name}: not killed: ${why}`);
      continue;
    }
    test(
      `${name}: before changes that it makes to the tree`,
      () =>
        withFixture(name, async (fixture) => {
          const witness = Witness.of(fixture);
          let longest = 0;
          /** Dies before the change of that number; false if the dump makes fewer. */
          const dies = async (change: number): Promise<boolean> => {
            const environment = { CRIU_TS_FAULT: "dump/committed", CRIU_TS_DEATH: String(change) };
            const images = join(fixture.stateDir, "images");
            const outcome = await dump(fixture.pid, images, dumpHow(fixture, { environment }));
            longest = Math.max(longest, await healed(fixture, witness, `killed before change ${change}`));
            return outcome.exitCode === 137;
          };
          let changes = 1;
          while (await dies(changes * 2)) changes *= 2;
          for (let step = changes; step >= 1; step = Math.floor(step / 2)) {
            if (await dies(changes + step)) changes += step;
          }
          const most = Math.min(Number(everywhere ?? 40), changes);
          for (let i = 0; i < most; i++)
            await dies(1 + Math.floor(((i + draw() / 2 ** 32) * changes) / most));
          console.log(
            `${name}: LOST_SEED=${seed}: killed before ${most} of ${changes} changes, healed after ${longest.toFixed(0)} ms at most`,
          );
          expect(await fixture.finish()).toBe("PASS");
        }),
      patience * 2,
    );
  }

  const kills = Number(process.env.LOST_KILLS ?? 200);
  const victims = [
    "minimal",
    "many_threads",
    "pstree",
    "many_maps",
    "busy_calls",
    "busy_files",
    "file_link_remap",
    "file_names_gone",
  ].filter((name) => names.includes(name));
  /** A fixture ends by itself when nobody has told it to go on for long. */
  const MOST_OF_ONE = 50;
  for (const name of victims) {
    const count = Math.ceil(kills / victims.length);
    test(
      `${name}: at ${count} random instants`,
      async () => {
        let [hits, longest, duration] = [0, 0, Number.POSITIVE_INFINITY];
        /** Kills so many dumps of one fixture. */
        const killSome = (some: number) =>
          withFixture(name, async (fixture) => {
            const witness = Witness.of(fixture);
            const images = join(fixture.stateDir, "images");
            const environment = { CRIU_TS_FAULT: "dump/committed" };
            for (let i = 0; i < 3; i++) {
              const outcome = await dump(fixture.pid, images, dumpHow(fixture, { environment }));
              duration = Math.min(duration, outcome.milliseconds);
            }
            for (let i = 0; i < some; i++) {
              const instant = (draw() / 2 ** 32) * duration;
              if (await killedDump(fixture, instant)) hits++;
              longest = Math.max(longest, await healed(fixture, witness, `killed after ${instant} ms`));
            }
            expect(await fixture.finish()).toBe("PASS");
          });
        for (let left = count; left > 0; left -= MOST_OF_ONE) await killSome(Math.min(left, MOST_OF_ONE));
        console.log(
          `${name}: LOST_SEED=${seed}: ${hits} of ${count} dumps of ${duration.toFixed(0)} ms killed at work, ` +
            `healed after ${longest.toFixed(0)} ms at most`,
        );
      },
      patience * 10,
    );
  }
});

describe("a dump that is killed while it ends the tree", () => {
  for (const name of ["pstree", "file_link_remap", "minimal"].filter((each) => names.includes(each))) {
    test(
      `${name}: has ended all of it, or none`,
      async () => {
        const outcomes = { whole: 0, none: 0 };
        /** Dies before the change of that number; false if the dump makes fewer. */
        const dies = async (change: number): Promise<boolean> => {
          let died = false;
          await withFixture(name, async (fixture) => {
            const images = join(fixture.stateDir, "images");
            const members = processTree(fixture.pid).flatMap((pid) => [pid, ...threadsOf(pid)]);
            const witness = Witness.of(fixture);
            const environment = { CRIU_TS_DEATH: String(change) };
            const outcome = await dump(fixture.pid, images, dumpHow(fixture, { environment }));
            died = outcome.exitCode === 137;
            const { differences } = await witness.settled(died ? 1000 : 0);
            if (differences.length === 0) {
              outcomes.none++;
              expect(await fixture.finish()).toBe("PASS");
              return;
            }
            outcomes.whole++;
            expect({ change, left: await waitGone(members, 2000) }).toEqual({ change, left: [] });
            expect(existsSync(join(images, "inventory.img"))).toBe(true);
            const restored = await restore(images, { options: fixture.directives.restoreOptions });
            expect(restored.errors).not.toContain("Error (");
            expect(await fixture.finish()).toBe("PASS");
          });
          return died;
        };
        let changes = 1;
        while (await dies(changes * 2)) changes *= 2;
        for (let step = changes; step >= 1; step = Math.floor(step / 2)) {
          if (await dies(changes + step)) changes += step;
        }
        outcomes.none = 0;
        outcomes.whole = 0;
        for (let change = Math.max(1, changes - 15); change <= changes; change++) await dies(change);
        console.log(
          `${name}: killed before its last changes, ${outcomes.whole} dumps were whole, ${outcomes.none} had changed nothing`,
        );
      },
      patience,
    );
  }
});

/** A tmpfs of `size` bytes on a directory for as long as `use` takes. Skipped where mounts are not permitted. */
async function withTmpfs(dir: string, size: number, use: () => Promise<void>): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "criu-ts-test", dir]);
  if (mounted.exitCode !== 0) throw new Skipped(`mount: ${mounted.stderr.toString().trim()}`);
  try {
    await use();
  } finally {
    Bun.spawnSync(["umount", dir]);
  }
}

describe("a dump onto a full disk", () => {
  for (const name of names) {
    const { fails, mayRefuse } = directives(name);
    if (fails !== undefined || mayRefuse !== undefined) continue;
    test(
      name,
      () =>
        withFixture(name, async (fixture) => {
          const whole = join(fixture.stateDir, "images");
          const running = await dump(fixture.pid, whole, dumpHow(fixture, { options: ["-R"] }));
          expect(running.errors).not.toContain("Error (");
          let pages = 0;
          for (const file of readdirSync(whole)) pages += Math.ceil(statSync(join(whole, file)).size / PAGE);
          const dir = join(fixture.stateDir, "tiny");
          // What works has as many pages as it likes at the moment; and what is on its way in a connection waits at both ends.
          const { moves, dumpOptions } = fixture.directives;
          const varies = moves !== undefined || dumpOptions.includes("--tcp-established");
          const parts = varies ? [0.5 * pages] : [0.5 * pages, pages - 1];
          for (const part of parts) {
            await withTmpfs(dir, Math.floor(part) * PAGE, async () => {
              // It sees the mount.
              const witness = Witness.of(fixture);
              const outcome = await dump(fixture.pid, dir, dumpHow(fixture, { options: ["-R"] }));
              const what = `${Math.floor(part)} of ${pages} pages`;
              const { differences } = await witness.settled(200);
              const lines = errorLines(outcome);
              expect({ what, differences }).toEqual({ what, differences: [] });
              expect({ what, lines }).toEqual({ what, lines: [expect.stringContaining("ENOSPC")] });
              expect({ what, exitCode: outcome.exitCode }).toEqual({ what, exitCode: 1 });
              expect(existsSync(join(dir, "inventory.img"))).toBe(false);
            });
          }
          expect(await fixture.finish()).toBe("PASS");
        }),
      patience,
    );
  }
});

describe("a tree that dies meanwhile", () => {
  const seed = Number(process.env.LOST_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const draw = generator(seed ^ 0x5555);
  const rounds = Number(process.env.LOST_DYING ?? 12);
  for (const name of ["pstree", "many_threads", "session_leader_dead", "zombie", "clone_vm"].filter((each) =>
    names.includes(each),
  )) {
    for (const whole of [false, true]) {
      test(
        `${name}: ${whole ? "all of it" : "a process of it"}, ${rounds} times`,
        async () => {
          console.log(`${name}: LOST_SEED=${seed}`);
          let duration = 0;
          const outcomes = { failed: 0, complete: 0 };
          for (let round = 0; round < rounds; round++) {
            await withFixture(name, async (fixture) => {
              const images = join(fixture.stateDir, "images");
              if (duration === 0) {
                // Elsewhere: a dump that finds nobody leaves an older one in its directory alone.
                const before = join(fixture.stateDir, "before");
                const outcome = await dump(fixture.pid, before, dumpHow(fixture, { options: ["-R"] }));
                duration = outcome.milliseconds;
              }
              const members = processTree(fixture.pid);
              const victims = whole ? members : [members[draw() % members.length] ?? fixture.pid];
              const below = new Set(victims.flatMap((pid) => processTree(pid)));
              const orphans = new Set([...below].filter((pid) => !victims.includes(pid)));
              const witness = new Map(members.map((pid) => [pid, ofProcess(pid)]));
              const running = dump(fixture.pid, images, dumpHow(fixture, { timeoutMs: 20_000 }));
              await Bun.sleep((draw() / 2 ** 32) * duration);
              for (const pid of victims) {
                try {
                  process.kill(pid, "SIGKILL");
                } catch {
                  // The dump was faster.
                }
              }
              const outcome = await running;
              if (outcome.exitCode === 0) {
                outcomes.complete++;
                // Children of one that died before it was stopped had left the tree by then, and live.
                expect(await waitGone(members.filter((pid) => !orphans.has(pid)))).toEqual([]);
                await killAll(orphans);
                return;
              }
              outcomes.failed++;
              const lines = errorLines(outcome);
              expect({ exitCode: outcome.exitCode, lines }).toEqual({
                exitCode: 1,
                lines: [expect.any(String)],
              });
              expect(existsSync(join(images, "inventory.img"))).toBe(false);
              await waitGone(victims, 1000);
              // Those that died with a parent or a tracer of theirs do not count.
              for (const pid of members) {
                if (victims.includes(pid) || /^[ZX]?$/.test(processState(pid) ?? "")) continue;
                expect({
                  pid,
                  differences: compareSnapshots(witness.get(pid) ?? new Map(), ofProcess(pid)),
                }).toEqual({
                  pid,
                  differences: [],
                });
              }
            });
          }
          console.log(`${name}: ${outcomes.failed} dumps failed, ${outcomes.complete} were complete`);
        },
        patience,
      );
    }
  }
});

/** What /proc shows of one process that does not change when its relatives die. */
function ofProcess(pid: number): Snapshot {
  const shot = [...snapshotProc(pid)].filter(
    ([view]) => view.startsWith(`${pid}/`) && view !== `${pid}/stat`,
  );
  const plain = shot.map(([view, text]): [string, string] => [
    view,
    text.replace(/^(PPid|SigPnd|ShdPnd):.*$/gm, "$1"),
  ]);
  return new Map(plain);
}

test(
  "a stop that is asked for during a dump comes when it is over",
  async () => {
    for (const fault of ["dump/frozen", "dump/process", "dump/committed"]) {
      await withFixture("minimal", async (fixture) => {
        const images = join(fixture.stateDir, "images");
        // Asked for again and again, so that it falls into every part of the dump.
        let asking = true;
        const asked = (async () => {
          while (asking) {
            process.kill(fixture.pid, "SIGSTOP");
            await Bun.sleep(1);
          }
        })();
        const outcome = await dump(
          fixture.pid,
          images,
          dumpHow(fixture, { environment: { CRIU_TS_FAULT: fault } }),
        );
        asking = false;
        await asked;
        expect(outcome.exitCode).toBe(1);
        await Bun.sleep(20);
        expect(processState(fixture.pid)).toBe("T");
        process.kill(fixture.pid, "SIGCONT");
        expect(await fixture.finish()).toBe("PASS");
      });
    }
  },
  patience,
);

describe("a restore that fails", () => {
  for (const name of names) {
    test(
      `${name}: at each stage`,
      () =>
        withFixture(name, async (fixture) => {
          const { fails, mayRefuse, restoreOptions } = fixture.directives;
          if (fails !== undefined) return;
          const images = join(fixture.stateDir, "images");
          const wanted = faults(STAGES.restore, fixture);
          const members = processTree(fixture.pid).flatMap((pid) => [pid, ...threadsOf(pid)]);
          for (const pid of members) fixture.seen.add(pid);
          const dumped = await dump(fixture.pid, images, dumpHow(fixture));
          if (!dumped.ok) {
            expect(dumped.errors).toContain(mayRefuse ?? "nothing");
            return;
          }
          expect(await waitGone(members)).toEqual([]);
          const files = listing(fixture.stateDir, /^(work|images\/stats-restore)/);
          const mounts = readFileSync("/proc/self/mountinfo", "utf8");
          const workDir = join(fixture.stateDir, "work");
          for (const fault of wanted) {
            const environment = { CRIU_TS_FAULT: fault };
            const outcome = await restore(images, { options: restoreOptions, workDir, environment });
            const lines = errorLines(outcome);
            const reached = outcome.exitCode !== 0;
            const left = reached ? await waitGone(members, 1000) : [];
            expect({ fault, left }).toEqual({ fault, left: [] });
            if (!reached) throw new Error(`${fault} was not reached`);
            expect({ fault, lines }).toEqual({ fault, lines: [expect.stringContaining("fails as asked")] });
            expect(listing(fixture.stateDir, /^(work|images\/stats-restore)/)).toBe(files);
            expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(mounts);
          }
          const restored = await restoreFixture(fixture, images, { workDir });
          expect(restored.errors).not.toContain("Error (");
          expect(restored.exitCode).toBe(0);
          expect(await fixture.finish()).toBe("PASS");
        }),
      patience,
    );
  }
});
