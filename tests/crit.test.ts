/**
 * The command `crit` on the images of running programs: what `crit x` of Debian's package criu prints, ours prints, and an
 * image goes through decode and encode unchanged. (What is in every image of every fixture, fixtures.test.ts looks at.)
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "../src/crit/decode.ts";
import { encode } from "../src/crit/encode.ts";
import { CritError } from "../src/crit/error.ts";
import { EXPLORERS } from "../src/crit/explore.ts";
import { report } from "../src/crit/report/page.ts";
import { ImageError } from "../src/images/error.ts";
import { ImageDir } from "../src/images/image-dir.ts";
import { mutate } from "./fuzz/mutate.ts";
import { buildFixtures, projectDir } from "./harness/build.ts";
import { imagesOf } from "./harness/crit.ts";
import { type Fixture, leaveRunning, startFixture } from "./harness/fixture.ts";
import { ourTool } from "./harness/tool.ts";

/** Different in what they hold: a tree, threads, files, pipes with data, ghosts, shared and System V memory, many mappings. */
const FIXTURES = [
  "pstree",
  "many_threads",
  "file_regular",
  "pipe",
  "file_deleted",
  "map_shared_anon",
  "sysv_shm",
  "map_shared_file",
  "zombie",
];

const theirCrit = Bun.which("crit");
if (theirCrit === null) console.log("nothing is compared with CRIU's crit: Debian's package criu is missing");

function ours(words: string[], stdin?: Uint8Array) {
  return run([...ourTool(), "crit", ...words], stdin);
}

function run(command: string[], stdin: Uint8Array = new Uint8Array()) {
  const { stdout, stderr, exitCode } = Bun.spawnSync(command, { stdin });
  return { stdout, exitCode, stderr: stderr.toString() };
}

describe.each(FIXTURES)("%s", (name) => {
  let fixture: Fixture;
  let dir: string;

  beforeAll(async () => {
    await buildFixtures([name]);
    fixture = await startFixture(name);
    dir = join(fixture.stateDir, "images");
    await leaveRunning(fixture, { imagesDir: dir });
  }, 120_000);
  afterAll(async () => {
    expect(await fixture.finish()).toBe("PASS");
    await fixture.stop();
  });

  test("decode and encode, from pipe to pipe, of one image of each kind", () => {
    const byKind = new Map(imagesOf(dir).map((image) => [image.replace(/-.*/, ""), image]));
    for (const image of byKind.values()) {
      const bytes = readFileSync(join(dir, image));
      const decoded = ours(["decode"], bytes);
      expect(decoded).toMatchObject({ exitCode: 0, stderr: "" });
      const encoded = ours(["encode"], decoded.stdout);
      expect(encoded).toMatchObject({ exitCode: 0, stderr: "" });
      expect(`${image} ${encoded.stdout.equals(bytes)}`).toBe(`${image} true`);
    }
  }, 30_000);

  test("info", () => {
    const { stdout } = ours(["info", join(dir, "pstree.img")]);
    const decoded = JSON.parse(ours(["decode", "-i", join(dir, "pstree.img")]).stdout.toString());
    expect(JSON.parse(stdout.toString())).toEqual({ magic: "PSTREE", count: decoded.entries.length });
  });

  // rss has the numbers of pages from a field that crit 3.17 does not read.
  test.skipIf(theirCrit === null).each(["ps", "fds", "mems"])("x %s", (what) => {
    const { stdout, stderr, exitCode } = ours(["x", dir, what]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const theirs = run([theirCrit ?? "", "x", dir, what]);
    // It has no words for a process that has ended, or whose memory is another's.
    if (theirs.exitCode !== 0) expect(theirs.stderr).toContain("No such file");
    else expect(stdout.toString()).toBe(theirs.stdout.toString());
  });

  test("x rss lists every page that is stored", () => {
    const { stdout, stderr } = ours(["x", dir, "rss"]);
    expect(stderr).toBe("");
    const listed = [...stdout.toString().matchAll(/^\t[0-9a-f]+ \/ (\d+)/gm)].map(([, pages]) =>
      Number(pages),
    );
    const pagemaps = imagesOf(dir).filter((image) => /^pagemap-\d/.test(image));
    const stored = pagemaps.flatMap((image) =>
      JSON.parse(ours(["decode", "-i", join(dir, image)]).stdout.toString()).entries.slice(1),
    );
    expect(listed.length).toBe(stored.length);
    expect(listed.reduce((sum, pages) => sum + pages, 0)).toBe(
      stored.reduce((sum, { nr_pages }) => sum + nr_pages, 0),
    );
  });
});

/** Errors that say what is wrong with an image or with JSON; anything else is a fault of ours. */
function expectKnown(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof ImageError || error instanceof CritError)) throw error;
  }
}

test("damaged images and damaged JSON are told of, and nothing else happens", async () => {
  await buildFixtures(["file_deleted"]);
  const fixture = await startFixture("file_deleted");
  const dir = mkdtempSync(join(tmpdir(), "criu-ts-crit-"));
  try {
    const whole = join(fixture.stateDir, "images");
    await leaveRunning(fixture, { imagesDir: whole });
    const images = new Map(
      imagesOf(whole).map((name) => [name, new Uint8Array(readFileSync(join(whole, name)))]),
    );
    const path = (name: string) => join(dir, name);
    for (let seed = 0; seed < 60; seed++) {
      const { images: changed } = mutate(images, seed);
      for (const [name, bytes] of changed) writeFileSync(path(name), bytes);
      for (const name of changed.keys()) {
        expectKnown(() =>
          decode({ in: path(name), out: path("json"), pretty: seed % 2 === 0, noPayload: false }),
        );
        if (!existsSync(path("json"))) continue;
        const json = readFileSync(path("json"));
        // A byte that is another, and what is behind it may be gone.
        json[(seed * 7919) % json.length] = 32 + ((seed * 31) % 95);
        writeFileSync(path("json"), seed % 3 === 0 ? json.subarray(0, (seed * 104_729) % json.length) : json);
        expectKnown(() => encode({ in: path("json"), out: path("image") }));
      }
      report({ dir, out: path("page") });
      for (const words of Object.values(EXPLORERS)) expectKnown(() => [...words(ImageDir.open(dir))]);
      rmSync(dir, { recursive: true });
      mkdirSync(dir);
    }
    expect(await fixture.finish()).toBe("PASS");
  } finally {
    await fixture.stop();
    rmSync(dir, { recursive: true });
  }
}, 120_000);

const built = join(projectDir, "dist/crit");
test.skipIf(!existsSync(built))("dist/crit is the same executable under its other name", () => {
  const { stdout, exitCode } = run([built, "--version"]);
  expect({ exitCode, text: stdout.toString() }).toEqual({ exitCode: 0, text: "4.2\n" });
  expect(run([built, "dump"]).exitCode).toBe(2);
});
