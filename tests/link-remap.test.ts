/** Names that --link-remap gives to files: they stay for a restore, and go with it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { buildFixtures } from "./harness/build.ts";
import { type Fixture, startFixture } from "./harness/fixture.ts";
import { killAll, processTree, waitGone } from "./harness/processes.ts";
import { dump, restore } from "./harness/tool.ts";

let fixture: Fixture;
beforeAll(async () => {
  await buildFixtures(["file_link_remap"]);
  fixture = await startFixture("file_link_remap");
}, 300_000);
afterAll(() => fixture.stop());

const given = () => readdirSync(fixture.stateDir).filter((name) => name.startsWith("link_remap."));

test("after a dump with -R they stay, each dump has its own, and each can be restored once", async () => {
  const { pid, stateDir } = fixture;
  const images = ["first", "second"].map((name) => join(stateDir, `images-${name}`));
  for (const dir of images) {
    const outcome = await dump(pid, dir, { options: ["-R", "--link-remap"] });
    expect(outcome.exitCode).toBe(0);
    expect(outcome.log).toMatch(/Warn .*link_remap\.\S+ stays until a restore of these images has used it/);
  }
  expect(given().length).toBe(2);
  for (const [i, dir] of images.entries()) {
    const members = processTree(pid);
    await killAll(members);
    expect(await waitGone(members)).toEqual([]);
    const restored = await restore(dir);
    expect(restored.errors).not.toContain("Error (");
    expect(given().length).toBe(1 - i);
  }
  const members = processTree(pid);
  await killAll(members);
  expect(await waitGone(members)).toEqual([]);
  const again = await restore(images[0] ?? "");
  expect(again.exitCode).toBe(1);
  expect(again.errors).toMatch(/link_remap\.\S+ is gone: a restore takes away what it has used/);
});
