/**
 * Whenever we are killed while runc saves or restores a container, nothing is lost and nothing is left: no process, mount, control
 * group, file; a container that was to be saved runs on, or its images are whole and have ended it.
 *
 * CONTAINER_KILLS=n is how often each command is killed (4 if not given); CONTAINER_SEED=... repeats the random instants of an
 * earlier run.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { listing } from "../harness/witness.ts";
import { generator } from "../programs/data.ts";
import { countOf, groupsOf, lacking, lastCount, mountsBelow, Scratch } from "./bundle.ts";
import { RuncContainer } from "./runc.ts";
import { stateOf } from "./state.ts";

const why = lacking("runc", "nsenter", "python3");
if (why !== "") console.log(`skipped: killed while runc waits: ${why}`);
const kills = Number(process.env.CONTAINER_KILLS ?? 4);
const seed = Number(process.env.CONTAINER_SEED ?? Math.floor(Math.random() * 2 ** 31));
const draw = generator(seed);
const MARK = `CRIU_TS_KILLED=${process.pid}`;
/** A deleted file that is open, a directory of its own, a child, and what counts. */
const SCRIPT =
  "exec 5>>/data/gone; echo gone >&5; rm /data/gone; sleep 100000 & cd /tmp; i=0; " +
  "while :; do i=$((i+1)); echo $i >> /data/count; sleep 0.02; done";

class Victim {
  readonly scratch = new Scratch(false, 0, ["python3", join(import.meta.dir, "kill-later.py"), "$DELAY"]);
  readonly container: RuncContainer;
  readonly file: string;

  constructor(command: string) {
    this.scratch.environment[MARK.split("=")[0] ?? ""] = `${process.pid}`;
    this.container = new RuncContainer(this.scratch, `criu-ts-killed-${command}-${process.pid}`, (spec) => {
      spec.process.args = ["sh", "-c", SCRIPT];
      spec.linux.namespaces.push({ type: "cgroup" });
      spec.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m"] });
    });
    this.file = join(this.container.root, "data/count");
  }

  /** From now on, we are killed after so long; a day stands for never. */
  killAfter(milliseconds = 86_400_000): void {
    this.scratch.environment.DELAY = `${milliseconds}`;
  }

  /** How long we took for the last command, in milliseconds, by our log. */
  lengthOf(command: "dump" | "restore"): number {
    const times = this.container.log(command).match(/^\(\d+\.\d+\)/gm) ?? [];
    return Number(times.at(-1)?.slice(1, -1) ?? 0) * 1000;
  }

  async goesOn(): Promise<void> {
    await countOf(this.file, lastCount(readFileSync(this.file, "utf8")) + 3);
  }

  get runs(): boolean {
    return this.container.state()?.status === "running";
  }

  files(): string {
    return listing(this.container.root, /^data\/count/);
  }
}

/** Gives a container to `use`, and ends it. What `use` finds comes before what is left of it. */
async function withVictim(command: string, use: (victim: Victim) => Promise<void>): Promise<void> {
  const victim = new Victim(command);
  const failures: unknown[] = [];
  try {
    await use(victim);
  } catch (error) {
    failures.push(error);
  }
  try {
    victim.container.end();
    victim.scratch.remove();
  } catch (error) {
    failures.push(error);
  }
  if (failures.length > 0) throw failures[0];
}

/** Processes of ours that are left, whoever they are: they have our environment. */
function ours(): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, "latin1").includes(MARK))
        found.push(`${pid}: ${readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ")}`);
    } catch {
      // It has ended.
    }
  }
  return found;
}

function membersOf(id: string): string[] {
  return groupsOf(id).flatMap((group) => {
    const file = join(group, "cgroup.procs");
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  });
}

/** Of a process that may have come to its end by itself just now. */
function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Whether somebody is counting. */
async function counts(file: string): Promise<boolean> {
  const before = lastCount(readFileSync(file, "utf8"));
  await Bun.sleep(300);
  return lastCount(readFileSync(file, "utf8")) > before;
}

/** Waits until a list is empty: what ends us ends others a moment later. */
async function none(what: string, list: () => string[]): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    const left = list();
    if (left.length === 0) return;
    if (Date.now() > end) throw new Error(`${what}: ${left.join(", ")}`);
    await Bun.sleep(10);
  }
}

test.skipIf(why !== "")(
  `a dump that is killed ${kills} times (CONTAINER_SEED=${seed})`,
  () =>
    withVictim("dump", async (victim) => {
      const { container, scratch } = victim;
      victim.killAfter();
      container.start();
      await countOf(victim.file, 3);
      const before = {
        state: stateOf(container.pid),
        files: victim.files(),
        mounts: mountsBelow(scratch.path),
      };
      container.checkpoint("whole", "--leave-running");
      let length = victim.lengthOf("dump");
      const fates = { ran: 0, saved: 0 };
      for (let kill = 0; kill < kills; kill++) {
        const delay = (draw() / 2 ** 32) * length * 1.5;
        const what = `killed after ${delay.toFixed(1)} of ${length.toFixed(0)} ms`;
        rmSync(container.images("killed"), { recursive: true, force: true });
        victim.killAfter(delay);
        try {
          container.checkpoint("killed");
          length = Math.max(length * 0.9, victim.lengthOf("dump"));
        } catch {
          // As was to be expected.
        }
        victim.killAfter();
        await none(`${what}: processes of ours are left`, ours);
        if (victim.runs) fates.ran++;
        else {
          fates.saved++;
          await none(`${what}: processes are left`, () => membersOf(container.id));
          container.end();
          container.restore("killed");
        }
        await victim.goesOn();
        expect({ what, state: stateOf(container.pid) }).toEqual({ what, state: before.state });
        expect({ what, files: victim.files() }).toEqual({ what, files: before.files });
        expect({ what, mounts: mountsBelow(scratch.path) }).toEqual({ what, mounts: before.mounts });
      }
      console.log(
        `  a dump of ${length.toFixed(0)} ms: the container ran on ${fates.ran} times, was saved ${fates.saved} times`,
      );
      container.checkpoint("last");
      container.restore("last");
      await victim.goesOn();
    }),
  60_000 + kills * 30_000,
);

test.skipIf(why !== "")(
  `a restore that is killed ${kills} times (CONTAINER_SEED=${seed})`,
  () =>
    withVictim("restore", async (victim) => {
      const { container, scratch } = victim;
      victim.killAfter();
      container.start();
      await countOf(victim.file, 3);
      const state = stateOf(container.pid);
      container.checkpoint(1);
      container.end();
      const files = victim.files();
      const mounts = mountsBelow(scratch.path);
      container.restore(1);
      let length = victim.lengthOf("restore");
      container.end();
      const fates = { ran: 0, failed: 0 };
      for (let kill = 0; kill < kills; kill++) {
        const delay = (draw() / 2 ** 32) * length * 1.5;
        const what = `killed after ${delay.toFixed(1)} of ${length.toFixed(0)} ms`;
        victim.killAfter(delay);
        try {
          container.restore(1);
          length = Math.max(length * 0.9, victim.lengthOf("restore"));
        } catch {
          // As was to be expected.
        }
        victim.killAfter();
        await none(`${what}: processes of ours are left`, ours);
        if (victim.runs) {
          fates.ran++;
          await victim.goesOn();
          expect({ what, state: stateOf(container.pid) }).toEqual({ what, state });
        } else {
          fates.failed++;
          if (await counts(victim.file)) {
            // We had committed, and could not tell runc any more: the container is whole, and nobody's.
            for (const pid of membersOf(container.id)) end(Number(pid));
          }
          await none(`${what}: processes are left`, () => membersOf(container.id));
          // runc gives up its groups in which the killed are still; more than these there must not be.
          for (const group of groupsOf(container.id)) rmdirSync(group);
        }
        container.end();
        expect({ what, files: victim.files() }).toEqual({ what, files });
        expect({ what, mounts: mountsBelow(scratch.path) }).toEqual({ what, mounts });
      }
      console.log(
        `  a restore of ${length.toFixed(0)} ms: the container ran ${fates.ran} times, failed ${fates.failed} times`,
      );
      container.restore(1);
      await victim.goesOn();
    }),
  60_000 + kills * 30_000,
);
