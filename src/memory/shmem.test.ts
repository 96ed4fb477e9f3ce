import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { close, fstat, lseek, read, readLink, SEEK, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, cString, syscall } from "../linux/syscall.ts";
import { createSharedMemory, dumpShmemContent, fillShmem, restoreShmemContent, shmidOf } from "./shmem.ts";

const PAGE = 4096;
const directories: string[] = [];

function directory(): ImageDir {
  const path = mkdtempSync(join(tmpdir(), "criu-ts-shmem-"));
  directories.push(path);
  return ImageDir.create(path);
}

function memfd(size: number): number {
  const name = cString("test");
  const fd = syscall("memfd", NR.memfd_create, addressOf(name), 0);
  syscall("memfd", NR.ftruncate, fd, size);
  return fd;
}

afterAll(() => {
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});

describe("shared memory", () => {
  test("comes back with its holes, and the offset of its descriptor stays", () => {
    const images = directory();
    const size = 300 * PAGE + 100;
    const from = memfd(size);
    const to = memfd(0);
    try {
      writeAll(from, new Uint8Array(3 * PAGE).fill(7), 10 * PAGE);
      writeAll(from, new Uint8Array(50).fill(8), 200 * PAGE + 17);
      writeAll(from, new Uint8Array(10).fill(9), size - 10);
      lseek(from, 1234, SEEK.SET);
      expect(dumpShmemContent(images, 77, from, size)).toEqual({ scanned: 301, written: 5, inParent: 0 });
      expect(lseek(from, 0, SEEK.CUR)).toBe(1234);
      expect(images.readHeaded(IMAGES.shmem_pagemap, 77).entries.map((e) => [e.vaddr, e.nr_pages])).toEqual([
        [BigInt(10 * PAGE), 3n],
        [BigInt(200 * PAGE), 1n],
        [BigInt(300 * PAGE), 1n],
      ]);
      expect(statSync(join(images.path, "pages-1.img")).size).toBe(5 * PAGE);
      restoreShmemContent(images, 77, to, size);
      expect(fstat(to).size).toBe(size);
      expect(fstat(to).blocks).toBe(fstat(from).blocks);
      const a = new Uint8Array(size);
      const b = new Uint8Array(size);
      expect([read(from, a, 0), read(to, b, 0)]).toEqual([size, size]);
      expect(Buffer.compare(a, b)).toBe(0);
    } finally {
      close(from);
      close(to);
    }
  });

  test("without content has an image all the same, without size none is needed", () => {
    const images = directory();
    const fd = memfd(5 * PAGE);
    try {
      expect(dumpShmemContent(images, 1, fd, 5 * PAGE).written).toBe(0);
      expect(images.has(IMAGES.shmem_pagemap, 1)).toBe(true);
      restoreShmemContent(images, 1, fd, 5 * PAGE);
      restoreShmemContent(images, 2, fd, 0);
      expect(fstat(fd).blocks).toBe(0);
    } finally {
      close(fd);
    }
  });

  test("is not filled beyond its end", () => {
    const images = directory();
    const fd = memfd(5 * PAGE);
    try {
      writeAll(fd, new Uint8Array(5 * PAGE).fill(1), 0);
      dumpShmemContent(images, 1, fd, 5 * PAGE);
      expect(() => fillShmem(images, 1, fd, 4 * PAGE)).toThrow("out of range");
    } finally {
      close(fd);
    }
  });

  test("of no name is what an anonymous mapping makes", () => {
    const fd = createSharedMemory(3 * PAGE, 0);
    try {
      expect(readLink(`/proc/self/fd/${fd}`)).toBe("/dev/zero (deleted)");
      expect(fstat(fd).size).toBe(3 * PAGE);
    } finally {
      close(fd);
    }
  });

  test("has its inode's number as id, unless another object has that", () => {
    const images = directory();
    expect(shmidOf(images, "0:1", 500)).toBe(500);
    expect(shmidOf(images, "0:1", 500)).toBe(500);
    const other = shmidOf(images, "0:17", 500);
    expect(other).toBeGreaterThan(500);
    expect(shmidOf(images, "0:17", 500)).toBe(other);
    expect(shmidOf(directory(), "0:17", 500)).toBe(500);
  });
});
