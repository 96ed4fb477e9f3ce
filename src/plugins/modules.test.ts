import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPlugins } from "./modules.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-ts-modules-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("in the default directory native plugins are passed over; where somebody named it they are refused", () => {
  writeFileSync(join(dir, "amdgpu_plugin.so"), "");
  writeFileSync(join(dir, "mine.ts"), 'export default { name: "mine" };');
  expect(findPlugins(undefined, dir).map(({ name }) => name)).toEqual(["mine"]);
  expect(() => findPlugins(dir, "/nowhere")).toThrow(
    "amdgpu_plugin.so: native plugins of CRIU cannot be loaded",
  );
  expect(() => findPlugins(join(dir, "amdgpu_plugin.so"), "/nowhere")).toThrow("cannot be loaded");
});

test("where there is no default directory there are none", () => {
  expect(findPlugins(undefined, join(dir, "nowhere"))).toEqual([]);
});
