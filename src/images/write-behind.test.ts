import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "./image-dir.ts";
import { IMAGES } from "./kinds.ts";
import { WriteBehind } from "./write-behind.ts";

const directory = mkdtempSync(join(tmpdir(), "criu-ts-behind-"));
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;
function fresh(): string {
  const path = join(directory, String(count++));
  mkdirSync(path);
  return path;
}

/** What is open in a directory; the runtime has descriptors of its own, and makes more when it likes. */
function openIn(path: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const link = readlinkSync(`/proc/self/fd/${fd}`);
      return link.startsWith(path) ? [link] : [];
    } catch {
      // The one that the directory was read by.
      return [];
    }
  });
}

/** Bytes that tell one file from another. */
function contents(i: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + i * 7) & 0xff);
}

test("hundreds of files of any size are there, and no descriptor is left", () => {
  const path = fresh();
  const behind = new WriteBehind(path);
  const sizes = (i: number) => (i % 50 === 0 ? 300_000 + i : (i * 37) % 9000);
  const scratch = new Uint8Array(400_000);
  for (let i = 0; i < 500; i++) {
    // As the caller does it: the same memory for each.
    const bytes = scratch.subarray(0, sizes(i));
    bytes.set(contents(i, bytes.length));
    behind.put(`file-${i}`, bytes);
    scratch.fill(0xff);
  }
  behind.settle();
  expect(openIn(path)).toEqual([]);
  for (let i = 0; i < 500; i++)
    expect(Buffer.compare(readFileSync(join(path, `file-${i}`)), contents(i, sizes(i)))).toBe(0);
  expect(statSync(join(path, "file-1")).mode & 0o777).toBe(0o644 & ~process.umask());
});

test("a file that was there is replaced, also by an empty one", () => {
  const path = fresh();
  for (const length of [100, 0]) {
    const behind = new WriteBehind(path);
    behind.put("file", contents(length, length));
    behind.settle();
    expect(readFileSync(join(path, "file")).length).toBe(length);
  }
});

test("what cannot be written is told of, with its name", () => {
  const path = join(fresh(), "absent");
  const behind = new WriteBehind(path);
  behind.put("core-7.img", contents(1, 10));
  expect(() => behind.settle()).toThrow(/core-7\.img.*ENOENT/);
  // At the latest when the images comes up again.
  const many = () => {
    for (let i = 0; i < 300; i++) behind.put(`file-${i}`, contents(i, 100));
  };
  expect(many).toThrow(/file-0.*ENOENT/);
  behind.abandon();
  const good = new WriteBehind(fresh());
  good.put("file", contents(1, 10));
  good.settle();
});

test("what is abandoned is not written later", () => {
  const path = fresh();
  const behind = new WriteBehind(path);
  behind.put("file", contents(1, 10));
  behind.abandon();
  behind.settle();
  expect(readdirSync(path)).toEqual([]);
});

test("a directory of images writes behind from the one call to the other", () => {
  const path = fresh();
  const images = ImageDir.create(path);
  images.writeBehind();
  const entry = { vm_id: 1, files_id: 2, fs_id: 3, sighand_id: 4 };
  for (let pid = 1; pid <= 200; pid++) images.writeAll(IMAGES.ids, [{ ...entry, vm_id: pid }], pid);
  images.settle();
  for (let pid = 1; pid <= 200; pid++) expect(images.readOne(IMAGES.ids, pid).vm_id).toBe(pid);
  images.writeAll(IMAGES.ids, [entry], 1000);
  expect(images.readOne(IMAGES.ids, 1000)).toMatchObject(entry);
});
