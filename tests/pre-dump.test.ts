/** Pre-dumps, and dumps that build on them: chains of directories, what is in each, and what is wrong with some. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { STAGES } from "../src/faults.ts";
import { buildFixtures } from "./harness/build.ts";
import { cycle, type Fixture, startFixture, withFixture } from "./harness/fixture.ts";
import { killAll, processTree, readText, waitGone } from "./harness/processes.ts";
import { dump, ourTool, peerTool, preDump, restore, runTool } from "./harness/tool.ts";
import { Witness } from "./harness/witness.ts";

const NAME = "memory_written";
const MOST = 120_000;
const peer = peerTool();

beforeAll(() => buildFixtures([NAME]), 300_000);
afterAll(() => {
  if (peer === undefined) console.log("nothing is restored by the peer: CRIU_PEER names no CRIU 4.2");
});

const pagesIn = (dir: string) =>
  readdirSync(dir)
    .filter((file) => file.startsWith("pages-"))
    .reduce((sum, file) => sum + statSync(join(dir, file)).size / 4096, 0);

const withWriter = (use: (fixture: Fixture) => Promise<void>) => withFixture(NAME, use);

/** Pre-dumps so often, each time on top of what was before; gives the options of what builds on the last one. */
async function preDumps(fixture: Fixture, count: number, name: string): Promise<string[]> {
  let options: string[] = [];
  for (let i = 0; i < count; i++) {
    const leaf = `images-${name}-${i}`;
    const outcome = await preDump(fixture.pid, join(fixture.stateDir, leaf), { options });
    expect(outcome.errors).not.toContain("Error (");
    expect(outcome.exitCode).toBe(0);
    options = ["--prev-images-dir", `../${leaf}`];
  }
  return options;
}

test(
  "what a tree goes on writing is as it was, three times over, and most of it is stored once",
  () =>
    withWriter(async (fixture) => {
      for (let round = 0; round < 3; round++) {
        const dumpOptions = await preDumps(fixture, 3, `round-${round}`);
        const { imagesDir } = await cycle(fixture, { dumpOptions });
        const whole = pagesIn(join(fixture.stateDir, `images-round-${round}-0`));
        expect(whole).toBeGreaterThan(4096);
        expect(pagesIn(imagesDir)).toBeLessThan(whole / 2);
        expect(readlinkSync(join(imagesDir, "parent"))).toBe(`../images-round-${round}-2`);
      }
      expect(await fixture.finish()).toBe("PASS");
    }),
  MOST,
);

test(
  "a dump may build on one that left the tree running",
  () =>
    withWriter(async (fixture) => {
      const first = join(fixture.stateDir, "images-first");
      const outcome = await dump(fixture.pid, first, { options: ["-R"] });
      expect(outcome.exitCode).toBe(0);
      const { imagesDir } = await cycle(fixture, { dumpOptions: ["--prev-images-dir", "../images-first"] });
      expect(pagesIn(imagesDir)).toBeLessThan(pagesIn(first) / 2);
      expect(await fixture.finish()).toBe("PASS");
    }),
  MOST,
);

const blocksOf = (dir: string) =>
  readdirSync(dir)
    .filter((file) => file.startsWith("pages-"))
    .reduce((sum, file) => sum + statSync(join(dir, file)).blocks / 8, 0);

test.each([
  ["--auto-dedup", ["--auto-dedup"]],
  ["dedup", []],
])(
  "%s: what is stored anew takes no room in the images before, which are of use as before",
  (_, more) =>
    withWriter(async (fixture) => {
      const dumpOptions = await preDumps(fixture, 2, "chain");
      const dirs = [0, 1].map((i) => join(fixture.stateDir, `images-chain-${i}`));
      const before = dirs.map(blocksOf);
      await Bun.sleep(100);
      const { imagesDir } = await cycle(fixture, { dumpOptions: [...dumpOptions, ...more] });
      const members = processTree(fixture.pid);
      await killAll(members);
      expect(await waitGone(members)).toEqual([]);
      if (more.length === 0)
        expect((await runTool("dedup", imagesDir, [], {})).errors).not.toContain("Error (");
      const dropped = dirs
        .map((dir, i) => (before[i] ?? 0) - blocksOf(dir))
        .reduce((sum, each) => sum + each);
      expect(dropped).toBeGreaterThan(100);
      expect(dropped).toBeLessThanOrEqual(pagesIn(imagesDir));
      expect((await restore(imagesDir)).errors).not.toContain("Error (");
      expect(await fixture.finish()).toBe("PASS");
    }),
  MOST,
);

/** Those who keep the kernel noting what is written to. */
const trackers = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => /^\d+ \(criu-tracker\) [^Z]/.test(readText(`/proc/${pid}/stat`) ?? ""));

test(
  "writes are tracked by a process of its own, until the next dump or the end of the tree",
  () =>
    withWriter(async (fixture) => {
      const others = new Set(trackers());
      const own = () => trackers().filter((pid) => !others.has(pid));
      let options: string[] = [];
      const tracked = async (name: string, more: string[] = []) => {
        const dir = join(fixture.stateDir, name);
        const outcome = await dump(fixture.pid, dir, { options: ["-R", ...options, ...more] });
        expect(outcome.exitCode).toBe(0);
        options = ["--prev-images-dir", `../${name}`];
        return own();
      };
      expect(await tracked("images-plain")).toEqual([]);
      const first = await tracked("images-first", ["--track-mem"]);
      if (first.length === 0) {
        console.log("writes are not tracked: the kernel has no userfaultfd with WP_ASYNC (6.7)");
        return;
      }
      const second = await tracked("images-second", ["--track-mem"]);
      expect(second.length).toBe(1);
      expect(second).not.toEqual(first);
      const smaps = () => readText(`/proc/${fixture.pid}/smaps`) ?? "";
      expect(smaps()).toMatch(/^VmFlags:.* uw/m);
      await cycle(fixture, { dumpOptions: options });
      expect(own()).toEqual([]);
      expect(smaps()).not.toMatch(/^VmFlags:.* uw/m);
      await preDumps(fixture, 1, "last");
      const [before] = own();
      // What builds on nothing has the tree to itself.
      await preDumps(fixture, 1, "anew");
      expect(own().length).toBe(1);
      expect(own()).not.toEqual([before]);
      expect(await fixture.finish()).toBe("PASS");
      await fixture.stop();
      expect(await waitGone(own())).toEqual([]);
    }),
  MOST,
);

test(
  "a tracker that is killed, or another's dump between, loses nothing",
  () =>
    withWriter(async (fixture) => {
      const dumpOptions = await preDumps(fixture, 2, "chain");
      const other = await preDump(fixture.pid, join(fixture.stateDir, "images-other"));
      expect(other.exitCode).toBe(0);
      await Bun.sleep(50);
      for (const pid of trackers()) {
        const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => readText(`/proc/${pid}/fdinfo/${fd}`) ?? "");
        if (fds.some((text) => text.includes(`Pid:\t${fixture.pid}\n`))) process.kill(pid, "SIGKILL");
      }
      await cycle(fixture, { dumpOptions });
      expect(await fixture.finish()).toBe("PASS");
    }),
  MOST,
);

test.skipIf(peer === undefined)(
  "the peer restores a chain",
  () =>
    withWriter(async (fixture) => {
      const dumpOptions = await preDumps(fixture, 2, "peer");
      await cycle(fixture, { dumpOptions, ...(peer && { restoreTool: peer }) });
      expect(await fixture.finish()).toBe("PASS");
    }),
  MOST,
);

describe("a pre-dump that comes to no end changes nothing", () => {
  const isWhole = (dir: string) => readdirSync(dir).includes("inventory.img");

  test(
    "it fails at each stage",
    () =>
      withWriter(async (fixture) => {
        const witness = Witness.of(fixture);
        for (const stage of STAGES["pre-dump"]) {
          const dir = join(fixture.stateDir, "images");
          const outcome = await preDump(fixture.pid, dir, { environment: { CRIU_TS_FAULT: stage } });
          expect(outcome.errors).toContain(`stage ${stage} fails as asked`);
          expect((await witness.settled(200)).differences).toEqual([]);
          expect(isWhole(dir)).toBe(false);
        }
        expect(await fixture.finish()).toBe("PASS");
      }),
    MOST,
  );

  test(
    "it is killed at random instants",
    () =>
      withWriter(async (fixture) => {
        const witness = Witness.of(fixture);
        const dir = join(fixture.stateDir, "images");
        mkdirSync(dir);
        let killed = 0;
        for (let i = 0; i < 20; i++) {
          const child = Bun.spawn([...ourTool(), "pre-dump", "-t", String(fixture.pid), "-D", dir], {
            stdio: ["ignore", "ignore", "ignore"],
          });
          await Bun.sleep(Math.random() * 60);
          child.kill("SIGKILL");
          await child.exited;
          if (child.signalCode === "SIGKILL") killed++;
          expect((await witness.settled(6000)).differences).toEqual([]);
        }
        expect(killed).toBeGreaterThan(0);
        const dumpOptions = await preDumps(fixture, 1, "after");
        await cycle(fixture, { dumpOptions });
        expect(await fixture.finish()).toBe("PASS");
      }),
    MOST,
  );
});

describe("what is wrong is told", () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await startFixture(NAME);
  });
  afterAll(() => fixture.stop());

  const at = (leaf: string) => join(fixture.stateDir, leaf);

  test.each([
    ["no directory", "../nowhere", /nowhere.*ENOENT/],
    ["itself", ".", /cannot build on themselves/],
    ["no images", "../empty", /no whole dump to build on/],
  ])("to build on: %s", async (_, previous, words) => {
    mkdirSync(at("empty"), { recursive: true });
    for (const make of [dump, preDump]) {
      const dir = at(`images-wrong-${make.name}`);
      const outcome = await make(fixture.pid, dir, { options: ["--prev-images-dir", previous] });
      expect(outcome.exitCode).toBe(1);
      expect(outcome.errors).toMatch(words);
      expect(readdirSync(dir)).not.toContain("inventory.img");
      rmSync(dir, { recursive: true });
    }
  });

  test("a restore from a pre-dump alone", async () => {
    await preDumps(fixture, 1, "alone");
    const outcome = await restore(at("images-alone-0"));
    expect(outcome.exitCode).toBe(1);
    expect(outcome.errors).toContain("are those of a pre-dump");
  });

  test(
    "a chain that is broken",
    async () => {
      const dumpOptions = await preDumps(fixture, 2, "chain");
      const dir = at("images-top");
      const members = processTree(fixture.pid);
      expect((await dump(fixture.pid, dir, { options: dumpOptions })).exitCode).toBe(0);
      expect(await waitGone(members)).toEqual([]);
      const link = join(dir, "parent");
      const refused = async (words: RegExp) => {
        const outcome = await restore(dir);
        expect(outcome.exitCode).toBe(1);
        expect(outcome.errors).toMatch(words);
      };
      const leadTo = (target: string | undefined) => {
        if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) unlinkSync(link);
        if (target !== undefined) symlinkSync(target, link);
      };
      leadTo(undefined);
      await refused(/parent leads nowhere/);
      leadTo(".");
      await refused(/more than \d+ directories lead one to the other/);
      leadTo("../empty");
      await refused(/which has no pagemap-/);
      leadTo("../images-chain-1");
      const restored = await restore(dir);
      expect(restored.exitCode).toBe(0);
      expect(await fixture.finish()).toBe("PASS");
      await killAll(processTree(fixture.pid));
    },
    MOST,
  );
});
