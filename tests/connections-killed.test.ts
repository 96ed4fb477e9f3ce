/**
 * Whenever a dump or a restore is killed, no connection ends and no rule of a firewall stays: twenty connections to the outside, over
 * which both sides talk all the time, go on. Where the dump was complete the lock and the images stay together, and another restore
 * has the connections go on.
 *
 * LOST_SEED=... repeats the random instants of an earlier run; LOST_KILLS=n is how often each command is killed (12 if not given);
 * LOST_LOCK=iptables has the lock put by another method.
 */
import { beforeAll, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildFixtures } from "./harness/build.ts";
import { type Fixture, startFixture } from "./harness/fixture.ts";
import { lockRules, lockRulesLeft } from "./harness/lock-rules.ts";
import { patience } from "./harness/patience.ts";
import { processState, readText, waitGone } from "./harness/processes.ts";
import { dump, ourTool, restore } from "./harness/tool.ts";
import { generator } from "./programs/data.ts";

const NAME = "tcp_outside_many";
const kills = Number(process.env.LOST_KILLS ?? 12);
const seed = Number(process.env.LOST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const lock = process.env.LOST_LOCK ?? "nftables";
const draw = generator(seed);
/** An instant of a command that takes so many milliseconds: any, or, as often, one of the last third, where most is at stake. */
const instant = (length: number) =>
  (draw() % 2 === 0 ? draw() / 2 ** 32 : 0.67 + draw() / 2 ** 32 / 2) * length;
const root = process.getuid?.() === 0;

beforeAll(() => buildFixtures([NAME]), 300_000);

/** What others have locked. */
let others: readonly string[] = [];

class Talking {
  constructor(readonly fixture: Fixture) {}

  get count(): number {
    return Number(readText(join(this.fixture.stateDir, "progress")) ?? 0);
  }

  get isThere(): boolean {
    return !["Z", "X", undefined].includes(processState(this.fixture.pid));
  }

  /** Waits until each connection has carried some more blocks. */
  async goesOn(what: string): Promise<void> {
    if (!(await this.goesOnOrEnds(what))) throw new Error(`${what}: the tree is gone`);
  }

  /**
   * The same of a tree that may be on its way out: false if it ends. No more than two blocks wait in a connection, so that three more
   * cannot have come where it was not let go.
   */
  async goesOnOrEnds(what: string): Promise<boolean> {
    const before = this.count;
    const end = Date.now() + patience(40_000);
    while (this.count < before + 3) {
      const said = readText(join(this.fixture.stateDir, "result"));
      if (said !== undefined) throw new Error(`${what}: ${said}`);
      if (!this.isThere) return false;
      if (Date.now() > end)
        throw new Error(
          `${what}: the connections stand still, process ${this.fixture.pid} is in state ${processState(this.fixture.pid)}: ${lockRules(others).join("; ")}`,
        );
      await Bun.sleep(10);
    }
    return true;
  }
}

/** Runs a command of ours and kills it after so many milliseconds; false if it had ended by then. */
async function killed(command: string, images: string, args: string[], after: number): Promise<boolean> {
  const words = [...ourTool(), command, "-D", images, "-o", `${command}.log`, "-v4", ...args];
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  await Bun.sleep(after);
  const isAtWork = child.exitCode === null;
  child.kill("SIGKILL");
  await child.exited;
  return isAtWork;
}

/** The rules of a lock are gone, or will be: who takes them away may still be at it. */
async function noRules(what: string): Promise<void> {
  expect({ what, rules: await lockRulesLeft(others) }).toEqual({ what, rules: [] });
}

/** Waits for the warden of a dump that was killed: the images are whole and the tree ends, or neither. Gives whether it lives. */
async function leavesTree(images: string, talking: Talking): Promise<boolean> {
  const isWhole = () => existsSync(join(images, "inventory.img"));
  for (let i = 0; isWhole() === talking.isThere; i++) {
    if (i > 500)
      throw new Error(
        `the images are ${isWhole() ? "whole, and the tree lives" : "not whole, and it is gone"}`,
      );
    await Bun.sleep(10);
  }
  return talking.isThere;
}

test.skipIf(!root)(
  `connections go on when dumps and restores are killed at ${kills} random instants each`,
  async () => {
    console.log(`LOST_SEED=${seed}`);
    const fixture = await startFixture(NAME);
    const talking = new Talking(fixture);
    const images = join(fixture.stateDir, "images");
    const established = ["--tcp-established"];
    const locked = [...established, "--network-lock", lock];
    try {
      others = lockRules();
      let length = (await dump(fixture.pid, images, { options: [...locked, "-R"] })).milliseconds;
      await talking.goesOn("after a dump with -R");
      rmSync(images, { recursive: true, force: true });
      let ended = 0;
      for (let i = 0; i < kills; i++) {
        const what = `dump, kill ${i}`;
        // One that ends the tree, for as long as it is not at its end: there it is for it to say which of both.
        const isAtWork = await killed(
          "dump",
          images,
          ["-t", String(fixture.pid), ...locked],
          instant(length),
        );
        if (!(await leavesTree(images, talking))) {
          ended++;
          const back = await restore(images, { options: established });
          expect(back.errors).not.toContain("Error (");
        } else if (!isAtWork) length *= 0.95;
        await talking.goesOn(what);
        await noRules(what);
        rmSync(images, { recursive: true, force: true });
      }
      const whole = await dump(fixture.pid, images, { options: locked });
      expect(whole.exitCode).toBe(0);
      expect(await waitGone([fixture.pid])).toEqual([]);
      let restored = 0;
      let measured = (await restore(images, { options: established })).milliseconds;
      await talking.goesOn("after a dump and a restore");
      expect((await dump(fixture.pid, images, { options: locked })).exitCode).toBe(0);
      expect(await waitGone([fixture.pid])).toEqual([]);
      for (let i = 0; i < kills; i++) {
        const what = `restore, kill ${i}`;
        const isAtWork = await killed("restore", images, ["-d", ...established], instant(measured));
        if (await talking.goesOnOrEnds(what)) {
          restored++;
          await noRules(what);
          expect((await dump(fixture.pid, images, { options: locked })).exitCode).toBe(0);
          expect(await waitGone([fixture.pid])).toEqual([]);
          if (!isAtWork) measured *= 0.95;
        } else {
          expect({ what, locked: lockRules(others).length !== 0 }).toEqual({ what, locked: true });
          // What is left of it has our number still.
          expect(await waitGone([fixture.pid])).toEqual([]);
        }
      }
      const last = await restore(images, { options: established });
      expect(last.errors).not.toContain("Error (");
      await talking.goesOn("at last");
      await noRules("at last");
      expect(await fixture.finish()).toBe("PASS");
      console.log(
        `${kills} dumps killed, ${ended} of them when complete; ${kills} restores, ${restored} complete`,
      );
    } finally {
      await fixture.stop();
    }
  },
  540_000,
);
