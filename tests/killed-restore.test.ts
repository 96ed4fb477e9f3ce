/**
 * A restore that is killed leaves nothing: no process, no name, no segment, no file but its log. Or, if it had come to its end,
 * the whole tree, and what a restore takes away is gone.
 *
 * FIXTURE=a,b selects fixtures; LOST_SEED=... repeats the random instants of an earlier run; LOST_KILLS=n is how often restores
 * are killed at random in all (200 if not given); LOST_DEATHS=n kills restores of every fixture before n of their changes.
 */

import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildFixtures, fixtureNames } from "./harness/build.ts";
import { type Fixture, Skipped, startFixture } from "./harness/fixture.ts";
import { processState, processTree, readText, threadsOf, waitGone } from "./harness/processes.ts";
import { dump, ourTool } from "./harness/tool.ts";
import { listing } from "./harness/witness.ts";
import { generator } from "./programs/data.ts";

const names = fixtureNames();
const patience = 120_000;
const seed = Number(process.env.LOST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const draw = generator(seed);
const random = () => draw() / 2 ** 32;

beforeAll(() => buildFixtures(names), 300_000);

/** What a killed command may leave. */
const LEFT = /^(work|images|result$|go$|printed$)/;

/** Numbers of the System V segments that there are. */
function segments(): string[] {
  const lines = readFileSync("/proc/sysvipc/shm", "utf8").split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/)[1] ?? "").sort();
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

/** A fixture that is dumped, and restored again and again. */
class Restored {
  readonly images: string;
  readonly workDir: string;
  readonly pidfile: string;
  #members: number[] = [];
  /** Those that are no zombies. */
  #living: number[] = [];
  #program: string | undefined;
  #files = "";
  #segments: string[] = [];

  constructor(private readonly fixture: Fixture) {
    this.images = join(fixture.stateDir, "images");
    this.workDir = join(fixture.stateDir, "work");
    this.pidfile = join(fixture.stateDir, "pid");
    mkdirSync(this.workDir, { recursive: true });
  }

  /** Dumps the tree, and ends it. */
  async dump(): Promise<void> {
    const { pid, directives, seen } = this.fixture;
    this.#members = processTree(pid).flatMap((each) => [each, ...threadsOf(each)]);
    this.#living = this.#alive();
    this.#program = programOf(pid);
    for (const each of this.#members) seen.add(each);
    rmSync(this.pidfile, { force: true });
    const dumped = await dump(pid, this.images, { options: directives.dumpOptions, workDir: this.workDir });
    expect(dumped.errors).not.toContain("Error (");
    expect(await waitGone(this.#members)).toEqual([]);
    this.#files = listing(this.fixture.stateDir, LEFT);
    this.#segments = segments();
  }

  /**
   * Restores; dies before that change, or after so many milliseconds, if not `undefined`. Gives the milliseconds that it took,
   * and whether the tree is there.
   */
  async restore(how: { change?: number; instant?: number }): Promise<{ ms: number; whole: boolean }> {
    const { images, workDir, pidfile, fixture } = this;
    const options = ["-D", images, "-W", workDir, "-o", "restore.log", "--pidfile", pidfile];
    const start = performance.now();
    const child = Bun.spawn(
      [...ourTool(), "restore", "-d", ...options, ...fixture.directives.restoreOptions],
      {
        stdio: ["ignore", "ignore", "ignore"],
        env: { ...process.env, CRIU_TS_DEATH: String(how.change ?? 0) },
      },
    );
    if (how.instant !== undefined) {
      // Timers are good to a millisecond only.
      if (how.instant > 3) await Bun.sleep(how.instant - 2);
      while (performance.now() - start < how.instant);
      child.kill("SIGKILL");
    }
    await child.exited;
    const ms = performance.now() - start;
    return { ms, whole: await this.#settled(JSON.stringify(how)) };
  }

  /** Waits for the warden's end. Then there is nothing, or everything. */
  async #settled(what: string): Promise<boolean> {
    const end = performance.now() + 5000;
    while (this.#tools().length > 0 && performance.now() < end) await Bun.sleep(0.5);
    expect({ what, tools: this.#tools() }).toEqual({ what, tools: [] });
    // Those that die may take a moment.
    let alive = this.#alive();
    const isThere = () => alive.length === this.#living.length && this.#isFree() && existsSync(this.pidfile);
    while (alive.length > 0 && !isThere() && performance.now() < end) {
      await Bun.sleep(0.5);
      await waitGone(this.#members, 0);
      alive = this.#alive();
    }
    if (alive.length > 0) {
      expect({ what, alive }).toEqual({ what, alive: this.#living });
      expect(existsSync(this.pidfile)).toBe(true);
      expect(listing(this.fixture.stateDir, LEFT)).not.toMatch(/link_remap|criu-ts/);
      return true;
    }
    expect({ what, left: await waitGone(this.#members, 1000) }).toEqual({ what, left: [] });
    expect(listing(this.fixture.stateDir, LEFT)).toBe(this.#files);
    expect({ what, segments: segments() }).toEqual({ what, segments: this.#segments });
    expect(readFileSync("/proc/sys/kernel/shm_next_id", "utf8").trim()).toBe("-1");
    return false;
  }

  /** Processes that are a restore of these images, or its warden. One that has ended has no command line. */
  #tools(): string[] {
    return readdirSync("/proc").filter(
      (pid) => /^\d+$/.test(pid) && readText(`/proc/${pid}/cmdline`)?.includes(this.workDir) === true,
    );
  }

  #alive(): number[] {
    return this.#members.filter((pid) => !/[ZX]/.test(processState(pid) ?? "X"));
  }

  /** Whether they are their own: not held, and not what a process of the tree is made of. */
  #isFree(): boolean {
    return this.#living.every(
      (pid) =>
        /^TracerPid:\t0$/m.test(readText(`/proc/${pid}/status`) ?? "") && programOf(pid) === this.#program,
    );
  }
}

async function withRestored(name: string, procedure: (restored: Restored) => Promise<void>): Promise<void> {
  let fixture: Fixture | undefined;
  try {
    fixture = await startFixture(name);
    const restored = new Restored(fixture);
    await restored.dump();
    await procedure(restored);
    if (!(await restored.restore({})).whole) throw new Error(`${name} does not come back`);
    expect(await fixture.finish()).toBe("PASS");
  } catch (error) {
    if (!(error instanceof Skipped)) throw error;
    console.log(`${name}: skipped: ${error.message}`);
  } finally {
    await fixture?.stop();
  }
}

const everywhere = process.env.LOST_DEATHS;
const victims = [
  "file_deleted",
  "file_deleted_dir",
  "file_link_remap",
  "file_names_gone",
  "sysv_shm",
  "pstree",
  "threads_tid",
  "clone_vm",
  "tcp_local",
];

describe("a restore that is killed", () => {
  for (const name of names.filter((each) => everywhere !== undefined || victims.includes(each))) {
    test(
      `${name}: before changes that it makes`,
      () =>
        withRestored(name, async (restored) => {
          const dies = async (change: number): Promise<boolean> => {
            const { whole } = await restored.restore({ change });
            if (whole) await restored.dump();
            return !whole;
          };
          let changes = 1;
          while (await dies(changes * 2)) changes *= 2;
          for (let step = changes; step >= 1; step = Math.floor(step / 2)) {
            if (await dies(changes + step)) changes += step;
          }
          const most = Math.min(Number(everywhere ?? 15), changes);
          for (let i = 0; i < most; i++) await dies(1 + Math.floor(((i + random()) * changes) / most));
          // Where it is decided whether all is undone or all is finished.
          for (let change = Math.max(1, changes - 6); change <= changes + 6; change++) await dies(change);
          console.log(
            `${name}: LOST_SEED=${seed}: killed before ${most} of ${changes} changes, and the last ones`,
          );
        }),
      patience * 2,
    );
  }

  const kills = Number(process.env.LOST_KILLS ?? 200);
  /** A fixture ends by itself when nobody has told it to go on for long. */
  const MOST_OF_ONE = 50;
  const chosen = [...victims, "many_children", "many_threads"].filter((name) => names.includes(name));
  for (const name of chosen) {
    const count = Math.ceil(kills / chosen.length);
    test(
      `${name}: at ${count} random instants`,
      async () => {
        let [whole, duration] = [0, Number.POSITIVE_INFINITY];
        /** Kills so many restores of one fixture. */
        const killSome = (some: number) =>
          withRestored(name, async (restored) => {
            for (let i = 0; i < 3; i++) {
              duration = Math.min(duration, (await restored.restore({})).ms);
              await restored.dump();
            }
            for (let i = 0; i < some; i++) {
              const outcome = await restored.restore({ instant: random() * duration });
              if (!outcome.whole) continue;
              whole++;
              await restored.dump();
            }
          });
        for (let left = count; left > 0; left -= MOST_OF_ONE) await killSome(Math.min(left, MOST_OF_ONE));
        console.log(
          `${name}: LOST_SEED=${seed}: ${count - whole} of ${count} restores of ${duration.toFixed(0)} ms left nothing, ` +
            `${whole} the tree`,
        );
      },
      patience * 10,
    );
  }
});
