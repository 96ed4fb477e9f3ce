/**
 * The command `crit` on the images of running programs: what `crit x` of Debian's package criu prints, ours prints, and an
 * image goes through decode and encode unchanged. (What is in every image of every fixture, fixtures.test.ts looks at.)
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
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

const built = join(projectDir, "dist/crit");
test.skipIf(!existsSync(built))("dist/crit is the same executable under its other name", () => {
  const { stdout, exitCode } = run([built, "--version"]);
  expect({ exitCode, text: stdout.toString() }).toEqual({ exitCode: 0, text: "4.2\n" });
  expect(run([built, "dump"]).exitCode).toBe(2);
});
