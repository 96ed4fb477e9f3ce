/**
 * Every fixture of tests/fixtures: dumped and left running, dumped and restored, dumped and restored twice; its images
 * decoded by crit, CRIU's and ours; and, where CRIU_PEER names a CRIU 4.2, dumped by ours and restored by it and the other way round.
 *
 * FIXTURE=name,name runs these alone.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildFixtures, directives, fixtureNames } from "./harness/build.ts";
import { critMissing, critProblems, decodeWithCrit, endCrit, imagesOf } from "./harness/crit.ts";
import {
  type CycleOptions,
  cycle,
  type Fixture,
  leaveRunning,
  preDumped,
  Refused,
  refusedDump,
  Skipped,
  startFixture,
  withTransparentHugePages,
} from "./harness/fixture.ts";
import { hasCapability, readText } from "./harness/processes.ts";
import { peerTool } from "./harness/tool.ts";
import { zeroFrame } from "./harness/zero-page.ts";

const names = fixtureNames();
const peer = peerTool();
const skips: string[] = [];
const patience = 90_000;

beforeAll(() => buildFixtures(names), 300_000);
afterAll(async () => {
  await endCrit();
  const missing = critMissing();
  if (missing !== undefined) console.log(`images are not decoded by crit: ${missing}`);
  if (peer === undefined) console.log("nothing is exchanged with the peer: CRIU_PEER names no CRIU 4.2");
  for (const skip of skips) console.log(skip);
});

/** Starts a fixture, lets it through `procedure`, has it judge itself, and cleans up whatever happens. */
async function judge(name: string, what: string, procedure: (fixture: Fixture) => Promise<void>) {
  let fixture: Fixture | undefined;
  try {
    fixture = await startFixture(name);
    try {
      await procedure(fixture);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      skips.push(`${name}: ${what}: refused, as it may be: ${error.message.trim().split("\n").at(-1)}`);
    }
    expect(await fixture.finish()).toBe("PASS");
  } catch (error) {
    if (!(error instanceof Skipped)) throw error;
    skips.push(`${name}: ${what}: skipped: ${error.message}`);
  } finally {
    await fixture?.stop();
  }
}

async function checkImages(dir: string) {
  const theirs = critMissing() === undefined ? await decodeWithCrit(dir) : undefined;
  expect(theirs?.errors ?? {}).toEqual({});
  expect(imagesOf(dir)).toContain("inventory.img");
  expect(critProblems(dir, theirs)).toEqual([]);
}

/** How many pages of memory an image directory holds. */
function pagesIn(dir: string): number {
  const files = readdirSync(dir).filter((file) => file.startsWith("pages-"));
  return files.reduce((sum, file) => sum + statSync(join(dir, file)).blocks / 8, 0);
}

/** Why the peer cannot take a part here, if it cannot. */
function peerCannot(name: string, part: "dump" | "restore"): string | undefined {
  const why = part === "dump" ? directives(name).peerDump : directives(name).peerRestore;
  // Some of it is this machine's doing: "CAP_SYS_RESOURCE: ..." holds only where that capability is missing.
  const [, capability] = why?.match(/^CAP_SYS_RESOURCE: (.*)/) ?? [];
  if (capability !== undefined && hasCapability(24)) return undefined;
  return why;
}

for (const name of names) {
  const { fails } = directives(name);
  describe(name, () => {
    if (fails !== undefined) {
      test(
        "is refused and runs on",
        () => judge(name, "dump", async (it) => void (await refusedDump(it))),
        patience,
      );
      return;
    }
    test(
      "dump and leave running",
      () => judge(name, "dump -R", async (it) => void (await leaveRunning(it))),
      patience,
    );
    test(
      "dump, restore",
      () =>
        judge(name, "dump, restore", async (it) => {
          const { imagesDir, differences } = await cycle(it);
          await checkImages(imagesDir);
          const { imagePages, zeroPage } = it.directives;
          if (zeroPage && zeroFrame() === undefined)
            console.log(`${name}: its pages are not counted: this kernel has no zero page`);
          else expect(pagesIn(imagesDir)).toBeLessThanOrEqual(imagePages);
          expect(differences).toEqual([]);
        }),
      patience,
    );
    test(
      "dump, restore, dump, restore",
      () =>
        judge(name, "dump, restore, dump, restore", async (it) => {
          await cycle(it);
          await cycle(it);
        }),
      patience,
    );
    const { notAfterPreDump } = directives(name);
    if (notAfterPreDump !== undefined) skips.push(`${name}: not after a pre-dump: ${notAfterPreDump}`);
    else
      test(
        "pre-dump, dump of what has changed, restore",
        () =>
          judge(name, "pre-dump, dump, restore", async (it) => {
            const dumpOptions = await preDumped(it);
            const { imagesDir, differences } = await cycle(it, { dumpOptions });
            await checkImages(imagesDir);
            expect(differences).toEqual([]);
          }),
        patience,
      );
    if (directives(name).delayMs > 0)
      test(
        "dump, restore at eight random moments",
        () =>
          judge(name, "at random moments", async (it) => {
            for (let moment = 0; moment < 8; moment++) await cycle(it);
          }),
        patience,
      );
    const { transparentHugePages } = directives(name);
    if (transparentHugePages !== undefined)
      test(
        `dump, restore, dump, restore, with transparent huge pages ${transparentHugePages}`,
        () =>
          judge(name, `transparent huge pages ${transparentHugePages}`, (it) =>
            withTransparentHugePages(transparentHugePages, async () => {
              const { imagesDir } = await cycle(it);
              const again = await cycle(it);
              expect(pagesIn(again.imagesDir)).toBeLessThanOrEqual(pagesIn(imagesDir));
            }),
          ),
        patience,
      );
    if (peer === undefined) return;
    const exchange = (what: string, part: "dump" | "restore", how: CycleOptions) => {
      const why = peerCannot(name, part);
      if (why !== undefined) skips.push(`${name}: ${what}: not with the peer: ${why}`);
      else test(what, () => judge(name, what, async (it) => void (await cycle(it, how))), patience);
    };
    exchange("dumped by ours, restored by the peer", "restore", { restoreTool: peer });
    exchange("dumped by the peer, restored by ours", "dump", { dumpTool: peer });
  });
}

test("no process of a fixture is left", () => {
  const left = (readText(`/proc/self/task/${process.pid}/children`) ?? "")
    .split(" ")
    .filter((word) => word !== "");
  const fixtures = left.filter((pid) => names.includes((readText(`/proc/${pid}/comm`) ?? "").trim()));
  expect(fixtures).toEqual([]);
});
