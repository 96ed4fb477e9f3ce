import { afterAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ERRNO } from "../linux/errno.ts";
import { nsPid } from "../linux/pid.ts";
import { ImageError } from "./error.ts";
import { ImageDir } from "./image-dir.ts";
import { encodeImage, ImageReader, magicOf } from "./image-file.ts";
import { decodeQueue, encodeQueue } from "./ipc-queue.ts";
import { type AnyImageKind, fileName, IMAGES, kindOfMagic, RAW_IMAGES } from "./kinds.ts";
import { kindSamples, randomOf } from "./samples.test-support.ts";
import { FdTypes } from "./schema/generated/files.ts";

const base = mkdtempSync(join(tmpdir(), "criu-ts-images-"));
afterAll(() => rmSync(base, { recursive: true }));

let made = 0;
function newDir(): ImageDir {
  const path = join(base, String(made++));
  mkdirSync(path);
  return ImageDir.create(path);
}

function errorOf(action: () => unknown): ImageError {
  try {
    action();
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const ID = { none: undefined, decimal: 12, hex: 0xabc, word: "dump" } as const;
const idFor = (kind: AnyImageKind): number | string | undefined => ID[kind.id];

const task = nsPid(7);
const pstree = { pid: task, ppid: nsPid(0), pgid: task, sid: task, threads: [task] };

describe("every kind", () => {
  const dir = newDir();
  const samples = kindSamples(5, { all: true, plain: false });

  for (const { key, kind, head, records } of samples) {
    test(key, () => {
      const id = idFor(kind);
      const writer = dir.writer(kind, id, head);
      for (const { entry, payload } of records)
        writer.add(entry, kind.payload === undefined ? undefined : payload);
      writer.close();

      const bytes = readFileSync(dir.filePath(kind, id));
      const reader = new ImageReader(kind, key, bytes);
      const ends = [bytes.length];
      expect(reader.head).toStrictEqual(head);
      for (const record of records) {
        const got = reader.next();
        expect(got?.entry).toStrictEqual(record.entry);
        expect(got?.payload.bytes()).toStrictEqual(record.payload);
        ends.push((got?.payload.offset ?? 0) + (got?.payload.length ?? 0));
      }
      expect(reader.next()).toBeUndefined();
      expect(dir.readAll(kind, id)).toStrictEqual(records.map(({ entry }) => entry));
      expect(dir.readWithPayload(kind, id)).toStrictEqual(records);
      if (kind.payload === undefined) {
        const again = encodeImage(
          kind,
          records.map(({ entry }) => entry),
          key,
          head,
        );
        expect(again.toHex()).toBe(bytes.toHex());
      }

      // Cut short, it is an error, except between two entries.
      const firstEnd = new ImageReader(kind, key, bytes);
      const start = firstEnd.rest().offset;
      for (let length = 0; length < bytes.length; length++) {
        const read = (): number => [...new ImageReader(kind, key, bytes.subarray(0, length))].length;
        if (length === start) expect(read()).toBe(0);
        else if (ends.includes(length)) expect(read()).toBe(ends.indexOf(length));
        else expect(errorOf(read).file).toBe(key);
      }

      // Another magic is an error, of the file's own name.
      for (const at of kind.first === undefined ? [0] : [0, 4]) {
        const wrong = Uint8Array.from(bytes);
        wrong[at] = ~(wrong[at] ?? 0);
        expect(errorOf(() => new ImageReader(kind, key, wrong)).what).toStartWith("bad magic 0x");
      }
      expect(kindOfMagic(magicOf(bytes, key).magic)?.name).toBe(kind.name);
    });
  }

  test("has a name of its own", () => {
    const names = samples.map(({ kind }) => fileName(kind, idFor(kind)));
    expect(new Set(names).size).toBe(names.length);
    expect(readdirSync(dir.path).sort()).toEqual(names.sort());
  });
});

describe("file names", () => {
  test("carry the id as CRIU prints it", () => {
    const dir = newDir();
    expect(fileName(IMAGES.core, 12)).toBe("core-12.img");
    expect(fileName(IMAGES.shmem_pagemap, 0xffffffffffffn)).toBe("pagemap-shmem-281474976710655.img");
    expect(fileName(IMAGES.ghost_file, 0xbeef)).toBe("ghost-file-beef.img");
    expect(fileName(IMAGES.stats, "restore")).toBe("stats-restore");
    expect(fileName(IMAGES.irmap_cache)).toBe("irmap-cache");
    expect(dir.rawPath(RAW_IMAGES.pages, 3)).toBe(join(dir.path, "pages-3.img"));
    expect(dir.rawPath(RAW_IMAGES.tmpfs, 4)).toBe(join(dir.path, "tmpfs-4.tar.gz.img"));
  });
});

describe("a directory", () => {
  test("that is not there, or is a file", () => {
    expect(errorOf(() => ImageDir.open(join(base, "nowhere"))).errno).toBe(ERRNO.ENOENT);
    writeFileSync(join(base, "file"), "");
    expect(errorOf(() => ImageDir.open(join(base, "file"))).errno).toBe(ERRNO.ENOTDIR);
  });

  test("is whole when the inventory is there, which comes last", () => {
    const dir = newDir();
    const inventory = { img_version: 2, fdinfo_per_id: true, ns_per_id: true };
    dir.commitInventory(inventory);
    expect(readFileSync(dir.filePath(IMAGES.inventory)).subarray(0, 4).toHex()).toBe("16313158");
    expect(dir.readOne(IMAGES.inventory)).toEqual(inventory);
    expect(readdirSync(dir.path)).toEqual(["inventory.img"]);

    const again = ImageDir.create(dir.path);
    expect(again.has(IMAGES.inventory)).toBe(false);
  });

  test("knows its parent", () => {
    const dir = newDir();
    expect(dir.parent()).toBeUndefined();
    const parent = newDir();
    parent.writeAll(IMAGES.pstree, [pstree]);
    symlinkSync(parent.path, join(dir.path, "parent"));
    expect(dir.parent()?.readOne(IMAGES.pstree)).toEqual(pstree);
  });

  test("has no file for no entries", () => {
    const dir = newDir();
    dir.writeAll(IMAGES.fdinfo, [{ id: 1, flags: 0, type: FdTypes.REG, fd: 0 }], 2);
    expect(dir.has(IMAGES.fdinfo, 2)).toBe(true);
    dir.writeAll(IMAGES.fdinfo, [], 2);
    expect(dir.has(IMAGES.fdinfo, 2)).toBe(false);
    expect(dir.readAll(IMAGES.fdinfo, 2)).toEqual([]);
    expect(dir.tryReadOne(IMAGES.core, 2)).toBeUndefined();

    writeFileSync(dir.filePath(IMAGES.sk_queues), "stale");
    dir.writer(IMAGES.sk_queues).close();
    expect(dir.has(IMAGES.sk_queues)).toBe(false);
  });
});

describe("files loaded ahead", () => {
  const ids = Array.from({ length: 100 }, (_, i) => i + 1);
  const entry = (pid: number) => ({ cwd_id: pid, root_id: 1, umask: 0o22 });

  test("are read as others are, and once", () => {
    const dir = newDir();
    for (const pid of ids) dir.writeAll(IMAGES.fs, [entry(pid)], pid);
    dir.loadAhead(IMAGES.fs, ids);
    for (const pid of ids) rmSync(join(dir.path, `fs-${pid}.img`));
    for (const pid of ids) {
      expect(dir.has(IMAGES.fs, pid)).toBe(true);
      expect(dir.readOne(IMAGES.fs, pid)).toEqual(entry(pid));
      expect(dir.has(IMAGES.fs, pid)).toBe(false);
    }
  });

  test("that are not there, damaged or large are told of when they are read", () => {
    const dir = newDir();
    for (const pid of ids) dir.writeAll(IMAGES.fs, [entry(pid)], pid);
    const many = Array.from({ length: 5000 }, () => entry(7));
    rmSync(join(dir.path, "fs-1.img"));
    truncateSync(join(dir.path, "fs-2.img"), 9);
    writeFileSync(join(dir.path, "fs-3.img"), "");
    dir.writeAll(IMAGES.fs, many, 4);
    dir.loadAhead(IMAGES.fs, ids);
    expect(errorOf(() => dir.readOne(IMAGES.fs, 1)).message).toContain("ENOENT");
    expect(errorOf(() => dir.readOne(IMAGES.fs, 2)).message).toContain("cut short");
    expect(errorOf(() => dir.readOne(IMAGES.fs, 3)).message).toContain("bad magic");
    expect(dir.readAll(IMAGES.fs, 4)).toEqual(many);
    expect(dir.readOne(IMAGES.fs, 5)).toEqual(entry(5));
  });
});

describe("a message of what is wrong", () => {
  const dir = newDir();
  test.each<[string, AnyImageKind, number | undefined, string | undefined, string]>([
    ["no file", IMAGES.core, 12, undefined, "core-12.img: cannot open: ENOENT"],
    ["an empty file", IMAGES.core, 12, "", "core-12.img: bad magic: none, wanted 0x54564319 0x55053847"],
    ["zeros", IMAGES.core, 12, "00000000", "core-12.img: bad magic 0x0, wanted 0x54564319 0x55053847"],
    [
      "another kind",
      IMAGES.core,
      12,
      "1943565420284957",
      "core-12.img: bad magic 0x54564319 0x57492820, wanted 0x54564319 0x55053847",
    ],
    ["no entry", IMAGES.pstree, undefined, "1943565430302750", "pstree.img: no entry"],
    [
      "a size cut short",
      IMAGES.pstree,
      undefined,
      "1943565430302750 0100",
      "pstree.img: entry 0 at byte 8: the size of a message is cut short",
    ],
    [
      "a size beyond the end",
      IMAGES.pstree,
      undefined,
      "1943565430302750 ffffffff 00",
      "pstree.img: entry 0 at byte 8: pstree_entry of 4294967295 bytes reaches beyond the file",
    ],
    [
      "a field that is missing",
      IMAGES.pstree,
      undefined,
      "1943565430302750 02000000 0807",
      "pstree.img: entry 0 at byte 14: required field pstree_entry.ppid is missing",
    ],
    [
      "a head that is missing",
      IMAGES.pagemap,
      1,
      "1943565425400856",
      "pagemap-1.img: byte 8: the size of a message is cut short",
    ],
    [
      "a payload cut short",
      IMAGES.pipes_data,
      undefined,
      "1943565409374556 04000000 08011003 6162",
      "pipes-data.img: entry 0 at byte 8: 3 bytes should follow, there are 2",
    ],
  ])("%s", (_, kind, id, hex, message) => {
    if (hex !== undefined) writeFileSync(dir.filePath(kind, id), Buffer.from(hex.replaceAll(" ", ""), "hex"));
    expect(errorOf(() => dir.readOne(kind, id)).message).toBe(message);
  });

  test("an entry that cannot be written", () => {
    const error = errorOf(() => dir.writeAll(IMAGES.pstree, [pstree, { ...pstree, pid: nsPid(-1) }]));
    expect(error.message).toBe("pstree.img: entry 1: pstree_entry.pid: -1 is no uint32");
    const writer = dir.writer(IMAGES.pipes_data);
    expect(errorOf(() => writer.add({ pipe_id: 1, bytes: 2, packets: [] }, new Uint8Array(3))).what).toBe(
      "payload of 3 bytes where 2 should follow",
    );
    writer.close();
  });

  test("a FIFO does not make it wait", () => {
    execFileSync("mkfifo", [dir.filePath(IMAGES.cgroup)]);
    expect(errorOf(() => dir.readOne(IMAGES.cgroup)).what).toBe("not a regular file");
  });

  test("a sparse file of gigabytes is not believed", () => {
    const path = dir.filePath(IMAGES.seccomp);
    writeFileSync(path, Buffer.from("1943565449304164ffffff7f", "hex"));
    truncateSync(path, 2 ** 40);
    expect(errorOf(() => dir.readOne(IMAGES.seccomp)).what).toBe(
      "seccomp_entry of 2147483647 bytes is too large",
    );
  });
});

describe("payloads", () => {
  test("in pieces, through the descriptor, and larger than a window", () => {
    const dir = newDir();
    const random = randomOf(3);
    const large = Uint8Array.from({ length: 300_000 }, () => random() & 0xff);
    using writer = dir.writer(IMAGES.pipes_data);
    writer.add({ pipe_id: 1, bytes: 3, packets: [] }, Uint8Array.of(1, 2, 3));
    writer.add({ pipe_id: 2, bytes: large.length, packets: [] });
    writeFileSync(writer.flush(), large);
    writer.add({ pipe_id: 3, bytes: large.length, packets: [] }, large);
    writer.add({ pipe_id: 4, bytes: 0, packets: [] }, new Uint8Array(0));
    writer.close();

    using reader = dir.reader(IMAGES.pipes_data);
    const records = [...reader];
    expect(records.map(({ entry }) => entry.pipe_id)).toEqual([1, 2, 3, 4]);
    expect(records[1]?.payload.bytes()).toStrictEqual(large);
    expect(records[2]?.payload.bytes(100, 50)).toStrictEqual(large.slice(100, 150));
    expect(records[0]?.payload.bytes()).toStrictEqual(Uint8Array.of(1, 2, 3));
    expect(reader.fd).toBeGreaterThan(2);
    expect(() => records[0]?.payload.bytes(2, 2)).toThrow(RangeError);
  });

  test("a ghost file in one piece", () => {
    const dir = newDir();
    const head = { uid: 1, gid: 2, mode: 0o100600 };
    const writer = dir.writer(IMAGES.ghost_file, 0x1f, head);
    writer.addBytes(Buffer.from("the content"));
    writer.close();
    using reader = dir.reader(IMAGES.ghost_file, 0x1f);
    expect(reader.head).toEqual(head);
    expect(Buffer.from(reader.rest().bytes()).toString()).toBe("the content");
    expect(reader.next()).toBeUndefined();
  });

  test("a message queue", () => {
    const dir = newDir();
    const desc = { key: 1, uid: 0, gid: 0, cuid: 0, cgid: 0, mode: 0o600, id: 5 };
    const messages = [0, 1, 8, 13].map((size) => ({
      mtype: BigInt(size + 1),
      text: new Uint8Array(size).fill(size),
    }));
    const writer = dir.writer(IMAGES.ipcns_msg, 9);
    writer.add({ desc, qbytes: 16384, qnum: messages.length }, encodeQueue(messages));
    writer.add({ desc, qbytes: 16384, qnum: 0 }, new Uint8Array(0));
    writer.close();
    const [queue, empty] = dir.readWithPayload(IMAGES.ipcns_msg, 9);
    expect(decodeQueue(queue?.payload ?? new Uint8Array(1))).toStrictEqual(messages);
    expect(empty?.payload.length).toBe(0);

    const bytes = readFileSync(dir.filePath(IMAGES.ipcns_msg, 9));
    for (let length = 9; length < bytes.length; length++) {
      try {
        for (const { payload } of new ImageReader(IMAGES.ipcns_msg, "q", bytes.subarray(0, length)))
          decodeQueue(payload.bytes());
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }
  });

  test("shared memory stands in the pagemaps, if it says so", () => {
    const desc = { key: 1, uid: 0, gid: 0, cuid: 0, cgid: 0, mode: 0o600, id: 5 };
    expect(IMAGES.ipcns_shm.payload?.({ desc, size: 4096n, in_pagemaps: true }, () => new Uint8Array())).toBe(
      0,
    );
    expect(IMAGES.ipcns_shm.payload?.({ desc, size: 4097n }, () => new Uint8Array())).toBe(4100);
  });
});
