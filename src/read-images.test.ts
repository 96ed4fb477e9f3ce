import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "./images/image-dir.ts";
import { kindSamples } from "./images/samples.test-support.ts";
import { IMAGES, ImageError, RAW_IMAGES, readImages } from "./read-images.ts";

const base = mkdtempSync(join(tmpdir(), "criu-ts-read-"));
afterAll(() => rmSync(base, { recursive: true }));
const dir = ImageDir.create(base);
const id = { none: undefined, decimal: 12, hex: 0xabc, word: "dump" } as const;
const samples = kindSamples(3, { all: true, plain: false });
for (const { kind, head, records } of samples) {
  using writer = dir.writer(kind, id[kind.id], head);
  for (const { entry, payload } of records)
    writer.add(entry, kind.payload === undefined ? undefined : payload);
}
writeFileSync(dir.rawPath(RAW_IMAGES.pages, 1), "pages");
writeFileSync(join(base, "dump.log"), "");
symlinkSync(base, join(base, "parent"));

describe("readImages", () => {
  const images = readImages(base);

  test("reads every kind as a dump and a restore do", () => {
    for (const { kind, records } of samples) {
      expect(images.has(kind, id[kind.id])).toBe(true);
      expect(images.readWithPayload(kind, id[kind.id])).toEqual(dir.readWithPayload(kind, id[kind.id]));
      expect(images.readAll(kind, id[kind.id])).toHaveLength(records.length);
    }
    expect(images.parent()?.readAll(IMAGES.pstree)).toEqual(images.readAll(IMAGES.pstree));
  });

  test("lists what is there", () => {
    const listed = images.list();
    expect(listed.map(({ name }) => name)).not.toContain("dump.log");
    expect(listed.find(({ name }) => name === "core-12.img")).toMatchObject({ kind: IMAGES.core, id: 12 });
    expect(listed.find(({ name }) => name === "ghost-file-abc.img")).toMatchObject({
      kind: IMAGES.ghost_file,
      id: 0xabc,
    });
    expect(listed.find(({ name }) => name === "stats-dump")).toMatchObject({
      kind: IMAGES.stats,
      id: "dump",
    });
    expect(listed.find(({ name }) => name === "pagemap-shmem-12.img")).toMatchObject({
      kind: IMAGES.shmem_pagemap,
      id: 12,
    });
    expect(listed.find(({ name }) => name === "pages-1.img")).toMatchObject({
      kind: RAW_IMAGES.pages,
      id: 1,
      size: 5,
    });
    expect(listed.length).toBe(new Set(samples.map(({ kind }) => kind.file)).size + 1);
  });

  test("what is missing or damaged is told", () => {
    expect(() => readImages(join(base, "nowhere"))).toThrow("cannot open the image directory: ENOENT");
    expect(() => readImages(join(base, "dump.log"))).toThrow("not a directory");
    expect(() => images.readOne(IMAGES.core, 13)).toThrow("core-13.img: cannot open: ENOENT");
    expect(images.tryReadOne(IMAGES.core, 13)).toBeUndefined();
    expect(images.readAll(IMAGES.core, 13)).toEqual([]);
    writeFileSync(dir.filePath(IMAGES.core, 14), "damaged!");
    expect(() => images.readOne(IMAGES.core, 14)).toThrow(ImageError);
  });

  test("in Node", async () => {
    const node = Bun.which("node");
    if (node === null) return console.log("skipped: Node is not installed");
    // As a package is made: for a runtime without Bun's own means.
    const built = await Bun.build({
      entrypoints: [join(import.meta.dirname, "read-images.ts")],
      target: "node",
    });
    const [output] = built.outputs;
    writeFileSync(join(base, "images.mjs"), (await output?.text()) ?? "");
    const program = `
      import { IMAGES, readImages } from "./images.mjs";
      const images = readImages(".");
      console.log(JSON.stringify(images.readAll(IMAGES.pstree)), images.list().length);`;
    writeFileSync(join(base, "program.mjs"), program);
    const { stdout, stderr } = Bun.spawnSync([node, "program.mjs"], { cwd: base });
    expect(stderr.toString()).toBe("");
    expect(stdout.toString()).toBe(
      `${JSON.stringify(images.readAll(IMAGES.pstree))} ${images.list().length}\n`,
    );
  });
});
