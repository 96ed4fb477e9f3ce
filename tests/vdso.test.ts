/** A process whose vDSO is not the one of this kernel: images changed so that they look like those of another one. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImageDir } from "../src/images/image-dir.ts";
import { IMAGES, RAW_IMAGES } from "../src/images/kinds.ts";
import { STATUS } from "../src/memory/vma.ts";
import { type Fixture, Skipped, startFixture } from "./harness/fixture.ts";
import { readText, waitGone } from "./harness/processes.ts";
import { dump, restore } from "./harness/tool.ts";

/** Where in the pages file the vDSO of a process stands. */
function findVdso(images: ImageDir, pid: number): { path: string; offset: number; length: number } {
  const code = images.readOne(IMAGES.mm, pid).vmas.find((vma) => (vma.status & STATUS.VDSO) !== 0);
  const { head, entries } = images.readHeaded(IMAGES.pagemap, pid);
  let offset = 0;
  for (const { vaddr, nr_pages } of entries) {
    if (vaddr === code?.start) {
      const path = images.rawPath(RAW_IMAGES.pages, head.pages_id);
      return { path, offset, length: Number(nr_pages) * 4096 };
    }
    offset += Number(nr_pages) * 4096;
  }
  throw new Error("the image has no vDSO");
}

/** Takes a fixture through dump, a change of its images, and restore; gives its maps then. */
async function through(change: (images: ImageDir, pid: number) => void): Promise<string> {
  let fixture: Fixture | undefined;
  try {
    fixture = await startFixture("vdso_calls");
    const { pid } = fixture;
    writeFileSync(join(fixture.stateDir, "foreign"), "");
    let maps = "";
    // Twice: what was restored once has the old pages as memory of its own.
    for (const round of ["first", "second"]) {
      const dir = join(fixture.stateDir, `images-${round}`);
      const dumped = await dump(pid, dir);
      expect(dumped.errors.includes("Error") ? dumped.errors : "").toBe("");
      if (round === "first") change(ImageDir.open(dir), pid);
      expect(await waitGone([pid], 3000)).toEqual([]);
      const restored = await restore(dir);
      expect(restored.ok ? "" : restored.errors).toBe("");
      maps = readText(`/proc/${pid}/maps`) ?? "";
    }
    await fixture.finish();
    return maps;
  } finally {
    await fixture?.stop();
  }
}

describe("a vDSO of another kernel", () => {
  test("with other code: calls reach this kernel's", async () => {
    try {
      const maps = await through((images, pid) => {
        const { path, offset, length } = findVdso(images, pid);
        const bytes = readFileSync(path);
        // Unused bytes at the end of the last page.
        bytes[offset + length - 1] = 0xcc;
        writeFileSync(path, bytes);
      });
      expect(maps).toContain("[vdso]");
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
      console.log(`skipped: ${error.message}`);
    }
  });

  test("with less data in front of it", async () => {
    try {
      await through((images, pid) => {
        const mm = images.readOne(IMAGES.mm, pid);
        for (const vma of mm.vmas) if ((vma.status & STATUS.VVAR) !== 0) vma.start += 4096n;
        images.writeAll(IMAGES.mm, [mm], pid);
      });
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
      console.log(`skipped: ${error.message}`);
    }
  });
});
