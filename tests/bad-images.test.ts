/**
 * Images that are missing, damaged, of another kind or at odds with the machine: each restore ends with exit code 1 and
 * one line, and leaves nothing; and the images as they were dumped still restore. What single values may say is for
 * bad-input.test.ts and fuzz.test.ts.
 */

import { afterAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../src/images/image-dir.ts";
import { IMAGES, RAW_IMAGES } from "../src/images/kinds.ts";
import { type Fixture, Skipped, startFixture } from "./harness/fixture.ts";
import { processTree, threadsOf, waitGone } from "./harness/processes.ts";
import { dump, type Outcome, restore, type ToolOptions } from "./harness/tool.ts";
import { listing } from "./harness/witness.ts";

const scratch = mkdtempSync(join(tmpdir(), "criu-ts-bad-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let directories = 0;
function emptyDir(): string {
  const dir = join(scratch, `dir-${++directories}`);
  mkdirSync(dir);
  return dir;
}

/** One line that says Error and matches all of `words`, exit code 1. */
function expectRefusal(outcome: Outcome, what: string, ...words: (string | RegExp)[]): void {
  const lines = outcome.log.split("\n").filter((line) => /(^| )Error \(/.test(line));
  expect({ what, exitCode: outcome.exitCode, lines }).toEqual({
    what,
    exitCode: 1,
    lines: [expect.any(String)],
  });
  for (const word of words) expect(lines[0]).toMatch(word);
}

/** A fixture that was dumped, with all that must be as it was after a restore that was refused. */
class Dumped {
  private constructor(
    readonly fixture: Fixture,
    readonly images: string,
    readonly members: readonly number[],
    private readonly files: string,
  ) {}

  static async of(name: string): Promise<Dumped> {
    const fixture = await startFixture(name);
    try {
      const members = processTree(fixture.pid).flatMap((pid) => [pid, ...threadsOf(pid)]);
      const images = join(fixture.stateDir, "images");
      const workDir = join(fixture.stateDir, "work");
      const outcome = await dump(fixture.pid, images, { options: fixture.directives.dumpOptions, workDir });
      if (!outcome.ok) throw new Error(outcome.errors);
      await waitGone(members);
      return new Dumped(fixture, images, members, listing(fixture.stateDir, /^work/));
    } catch (error) {
      await fixture.stop();
      throw error;
    }
  }

  restore(images: string, how: ToolOptions = {}): Promise<Outcome> {
    const workDir = join(this.fixture.stateDir, "work");
    return restore(images, {
      timeoutMs: 10_000,
      workDir,
      options: this.fixture.directives.restoreOptions,
      ...how,
    });
  }

  /** Spoils a copy of the images and restores that. */
  async spoilt(what: string, spoil: (dir: string) => void, ...words: (string | RegExp)[]): Promise<void> {
    const dir = emptyDir();
    cpSync(this.images, dir, { recursive: true });
    spoil(dir);
    await this.refused(what, dir, ...words);
    rmSync(dir, { recursive: true });
  }

  async refused(what: string, dir: string, ...words: (string | RegExp)[]): Promise<void> {
    const outcome = await this.restore(dir);
    const left = await waitGone([...this.members], 1000);
    expectRefusal(outcome, what, ...words);
    expect({ what, left }).toEqual({ what, left: [] });
    expect(listing(this.fixture.stateDir, /^work/)).toBe(this.files);
  }

  /** The images themselves still restore, and the fixture passes. */
  async finish(): Promise<void> {
    const outcome = await this.restore(this.images);
    expect(outcome.errors).not.toContain("Error (");
    expect(outcome.exitCode).toBe(0);
    expect(await this.fixture.finish()).toBe("PASS");
  }
}

function withDumped(name: string, use: (dumped: Dumped) => Promise<void>): () => Promise<void> {
  return async () => {
    let dumped: Dumped | undefined;
    try {
      dumped = await Dumped.of(name);
      await use(dumped);
      await dumped.finish();
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
      console.log(`skipped: ${name}: ${error.message}`);
    } finally {
      await dumped?.fixture.stop();
    }
  };
}

function flip(path: string, at: number, bit = 1): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ bit;
  writeFileSync(path, bytes);
}

const patience = 120_000;

describe("restore of", () => {
  for (const name of ["minimal", "threads_tid", "file_deleted", "map_shared_anon", "pipe"]) {
    test(
      `${name}: each image missing, cut short, of another kind, not to be read`,
      withDumped(name, async (dumped) => {
        for (const file of readdirSync(dumped.images)) {
          // Nothing is in these that a restore needs.
          if (/^stats-/.test(file) || file === "seccomp.img" || file === "timens-0.img") continue;
          const path = (dir: string) => join(dir, file);
          const { size } = statSync(join(dumped.images, file));
          const raw = file.startsWith("pages-");
          // An image without entries is not there: a process may have no descriptors, a pipe no content.
          const mayLack = /^(fdinfo-\d+|pipes-data)\.img$/.test(file);
          if (!mayLack) await dumped.spoilt(`${file} missing`, (dir) => rmSync(path(dir)), /\S/);
          if (size === 0) continue;
          for (const length of new Set([0, 3, 7, 8, 11, 13, size >> 1, size - 1])) {
            if (length >= size || (raw && length < 16) || (mayLack && length === 8)) continue;
            await dumped.spoilt(`${file} cut to ${length}`, (dir) => truncateSync(path(dir), length), /\S/);
          }
          if (!raw) {
            const at = file === "inventory.img" ? 0 : 4;
            await dumped.spoilt(`${file}: magic`, (dir) => flip(path(dir), at), file, "magic");
          }
          const elsewhere = (dir: string) => renameSync(path(dir), `${path(dir)}.elsewhere`);
          await dumped.spoilt(
            `${file} is a directory`,
            (dir) => {
              elsewhere(dir);
              mkdirSync(path(dir));
            },
            file,
          );
          await dumped.spoilt(
            `${file} is a link to itself`,
            (dir) => {
              elsewhere(dir);
              symlinkSync(file, path(dir));
            },
            file,
          );
        }
      }),
      patience,
    );
  }

  test(
    "images of another architecture, or of another version",
    withDumped("threads_tid", async (dumped) => {
      const { pid } = dumped.fixture;
      for (const tid of dumped.members.slice(1, 3)) {
        await dumped.spoilt(
          `architecture of ${tid}`,
          (dir) => {
            const images = ImageDir.open(dir);
            const core = images.readOne(IMAGES.core, tid);
            images.writeAll(IMAGES.core, [{ ...core, mtype: 3 }], tid);
          },
          `core-${tid}.img`,
          "architecture",
        );
      }
      for (const version of [0, 1, 3, 99]) {
        await dumped.spoilt(
          `version ${version}`,
          (dir) => {
            const images = ImageDir.open(dir);
            const inventory = images.readOne(IMAGES.inventory);
            images.writeAll(IMAGES.inventory, [{ ...inventory, img_version: version }]);
          },
          "inventory.img",
          String(version),
        );
      }
      expect(pid).toBeGreaterThan(0);
    }),
    patience,
  );

  for (const name of ["pstree", "threads_tid"]) {
    test(
      `a tree in which a number is taken: ${name}`,
      withDumped(name, async (dumped) => {
        const thief = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"] });
        try {
          const old = dumped.members.at(-1) ?? 0;
          const renumbered = (id: number) => (id === old ? thief.pid : id);
          await dumped.spoilt(
            `${old} is to have the number of a process`,
            (dir) => {
              const images = ImageDir.open(dir);
              const tree = images.readAll(IMAGES.pstree).map((entry) => ({
                ...entry,
                pid: renumbered(entry.pid),
                threads: entry.threads.map(renumbered),
              }));
              images.writeAll(IMAGES.pstree, tree);
              for (const file of readdirSync(dir)) {
                const renamed = file.replace(`-${old}.img`, `-${thief.pid}.img`);
                if (renamed !== file) renameSync(join(dir, file), join(dir, renamed));
              }
            },
            String(thief.pid),
            "EEXIST",
          );
          expect(thief.exitCode).toBe(null);
        } finally {
          thief.kill("SIGKILL");
          await thief.exited;
        }
      }),
      patience,
    );
  }

  test(
    "pages that are not there",
    withDumped("map_private_anon", async (dumped) => {
      const { pid } = dumped.fixture;
      const { head } = ImageDir.open(dumped.images).readHeaded(IMAGES.pagemap, pid);
      await dumped.spoilt(
        "another pages file",
        (dir) => {
          const images = ImageDir.open(dir);
          const { entries } = images.readHeaded(IMAGES.pagemap, pid);
          images.writeHeaded(IMAGES.pagemap, { ...head, pages_id: 77 }, entries, pid);
        },
        "pages-77.img",
        "ENOENT",
      );
      await dumped.spoilt(
        "pages in no mapping",
        (dir) => {
          const images = ImageDir.open(dir);
          const { entries } = images.readHeaded(IMAGES.pagemap, pid);
          const [first, ...others] = entries;
          if (first === undefined) throw new Error("no pages");
          images.writeHeaded(IMAGES.pagemap, head, [{ ...first, vaddr: 0x10000n }, ...others], pid);
        },
        /pagemap|0x10000|10000/,
      );
      expect(existsSync(ImageDir.open(dumped.images).rawPath(RAW_IMAGES.pages, head.pages_id))).toBe(true);
    }),
    patience,
  );
});
