import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { O, open, withFd } from "../../../linux/io.ts";
import { SAME_OWNERS } from "../../../linux/owners.ts";
import { GzipReader, GzipWriter } from "./gzip.ts";
import { loadTree } from "./load-tree.ts";
import { saveTree } from "./save-tree.ts";
import { type TarEntry, TYPE } from "./tar-format.ts";
import type { Source } from "./tar-reader.ts";
import { TarWriter } from "./tar-writer.ts";

/** A directory on tmpfs, as what is dumped. */
const base = mkdtempSync("/dev/shm/criu-ts-tar-");
const LONG = `${"long-".repeat(30)}name`;
const BIG = 3_000_000_000;

beforeAll(() => makeTree(join(base, "source")));
afterAll(() => rmSync(base, { recursive: true }));

function makeTree(dir: string): void {
  mkdirSync(dir, { mode: 0o1777 });
  chmodSync(dir, 0o1777);
  mkdirSync(join(dir, "empty"), { mode: 0o700 });
  mkdirSync(join(dir, LONG));
  mkdirSync(join(dir, LONG, LONG));
  writeFileSync(join(dir, LONG, LONG, "file"), "deep down");
  writeFileSync(join(dir, "plain"), "hello\n");
  chownSync(join(dir, "plain"), 12, 4_000_000_000);
  chmodSync(join(dir, "plain"), 0o4751);
  linkSync(join(dir, "plain"), join(dir, "plain-again"));
  symlinkSync("/etc/passwd", join(dir, "link"));
  symlinkSync(LONG.repeat(2), join(dir, "long-link"));
  writeFileSync(join(dir, "blank name\n"), "");
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe, 0x41])]), "no UTF-8");
  writeFileSync(join(dir, "large"), Buffer.alloc(3 << 20, "0123456789abcdef!"));
  const sparse = openSync(join(dir, "sparse"), "w");
  writeSync(sparse, "begin", 0);
  writeSync(sparse, "middle", 1_000_000);
  ftruncateSync(sparse, BIG);
  closeSync(sparse);
  closeSync(openSync(join(dir, "only-a-hole"), "w"));
  execFileSync("truncate", ["-s", "123456", join(dir, "only-a-hole")]);
  execFileSync("mkfifo", [join(dir, "fifo")]);
  execFileSync("mknod", ["-m", "606", join(dir, "null"), "c", "1", "3"]);
  execFileSync("mknod", [join(dir, "high"), "b", "259", "70000"]);
  lutimesSync(join(dir, "link"), 1234.5, 1234.567);
  lutimesSync(join(dir, "plain"), 0, -86_400.25);
  lutimesSync(join(dir, "empty"), 5, 1_000_000_000.123456);
}

/** What can be seen of a tree, a line for each file. */
function look(dir: string): string {
  const format = "%P %M %n %U %G %s %T@ %l\\n";
  const names = execFileSync("find", [dir, "-printf", format], { encoding: "latin1" });
  const sums = execFileSync(
    "sh",
    ["-c", "find . -type f -size -100M -print0 | sort -z | xargs -0 md5sum -b"],
    {
      cwd: dir,
      encoding: "latin1",
    },
  );
  return names.split("\n").sort().join("\n") + sums;
}

function save(dir: string): Buffer {
  const parts: Buffer[] = [];
  const gzip = new GzipWriter((bytes) => parts.push(Buffer.from(bytes)));
  withFd(open(dir, O.PATH | O.DIRECTORY), (fd) => saveTree(fd, (bytes) => gzip.write(bytes), SAME_OWNERS));
  gzip.end();
  return Buffer.concat(parts);
}

function fromBytes(bytes: Uint8Array): Source {
  let at = 0;
  return {
    read(length) {
      const part = bytes.subarray(at, at + length);
      at += part.length;
      return part;
    },
  };
}

let directories = 0;

function load(source: Source): string {
  const dir = join(base, `loaded-${++directories}`);
  mkdirSync(dir);
  withFd(open(dir, O.PATH | O.DIRECTORY), (fd) => loadTree(fd, source, SAME_OWNERS));
  return dir;
}

function fromGzip(bytes: Uint8Array): Source {
  const source = fromBytes(bytes);
  return new GzipReader((length) => source.read(length));
}

describe("a tree in an archive", () => {
  test("comes back as it was", () => {
    const dir = load(fromGzip(save(join(base, "source"))));
    expect(look(dir)).toBe(look(join(base, "source")));
    const sparse = openSync(join(dir, "sparse"), "r");
    const middle = Buffer.alloc(8);
    readSync(sparse, middle, 0, 8, 999_999);
    closeSync(sparse);
    expect(middle.toString()).toBe("\0middle\0");
    expect(statSync(join(dir, "sparse")).blocks).toBeLessThan(100);
    expect(statSync(join(dir, "only-a-hole")).blocks).toBe(0);
    expect(readlinkSync(join(dir, "link"))).toBe("/etc/passwd");
  });

  test("is read by tar, as CRIU calls it", () => {
    const archive = join(base, "ours.tar.gz");
    const dir = join(base, "by-tar");
    writeFileSync(archive, save(join(base, "source")));
    mkdirSync(dir);
    const words = ["--extract", "--gzip", "--no-unquote", "--no-wildcards", "--directory", dir];
    const said = execFileSync("tar", words, { input: readFileSync(archive), encoding: "utf8" });
    expect(said).toBe("");
    expect(look(dir)).toBe(look(join(base, "source")));
    expect(statSync(join(dir, "sparse")).blocks).toBeLessThan(100);
  });

  const words =
    "--create --gzip --no-unquote --no-wildcards --one-file-system --check-links --preserve-permissions --sparse --numeric-owner";
  for (const format of ["gnu", "oldgnu", "posix"]) {
    test(`that tar wrote, as CRIU calls it, in the format ${format}`, () => {
      const source = join(base, "source");
      const all = [...words.split(" "), `--format=${format}`, "-C", source, "."];
      const dir = load(fromGzip(execFileSync("tar", all, { maxBuffer: 1 << 26 })));
      // The older formats have no fractions of seconds.
      const seen = (of: string) =>
        format === "posix"
          ? look(of)
          : look(of)
              .replaceAll(/(\d)\.\d{10}/g, "$1")
              .replaceAll("-86401 ", "-86400 ");
      expect(seen(dir)).toBe(seen(source));
      expect(statSync(join(dir, "sparse")).blocks).toBeLessThan(100);
    });
  }

  test("keeps sockets and extended attributes", () => {
    const source = join(base, "sockets");
    mkdirSync(source);
    execFileSync("python3", [
      "-c",
      `import socket, os
s = socket.socket(socket.AF_UNIX); s.bind("${source}/sock et")
os.chmod("${source}/sock et", 0o640); os.chown("${source}/sock et", 7, 8)
open("${source}/f", "w"); os.setxattr("${source}/f", "user.colour", b"blue\\0\\n"); os.setxattr("${source}/f", "trusted.x", b"")`,
    ]);
    const dir = load(fromGzip(save(source)));
    const { mode, uid, gid } = statSync(join(dir, "sock et"));
    expect([mode, uid, gid]).toEqual([0o140640, 7, 8]);
    const found = execFileSync("python3", [
      "-c",
      `import os; print(os.getxattr("${dir}/f", "user.colour"), os.getxattr("${dir}/f", "trusted.x"))`,
    ]);
    expect(found.toString()).toBe("b'blue\\x00\\n' b''\n");
  });
});

/** An archive of entries, each with its content. */
function archiveOf(...entries: [Partial<TarEntry>, string?][]): Source {
  const parts: Buffer[] = [];
  const writer = new TarWriter((bytes) => parts.push(Buffer.from(bytes)));
  for (const [some, content = ""] of entries) {
    writer.begin({
      type: TYPE.FILE,
      path: "./file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: { sec: 0n, nsec: 0 },
      link: "",
      major: 0,
      minor: 0,
      size: content.length,
      attributes: new Map(),
      ...some,
    });
    if (content !== "") writer.content(Buffer.from(content));
  }
  writer.end();
  return fromBytes(Buffer.concat(parts));
}

describe("an archive of a stranger", () => {
  const outside = join(base, "outside");
  const refused = (source: Source) => {
    expect(() => load(source)).toThrow();
    expect(existsSync(outside)).toBe(false);
  };

  test("leads nowhere else by its names", () => {
    refused(archiveOf([{ path: "../outside" }, "x"]));
    refused(archiveOf([{ path: "./a/../../outside" }, "x"]));
    refused(archiveOf([{ path: outside }, "x"]));
    refused(archiveOf([{ path: "../outside", type: TYPE.DIRECTORY }]));
    refused(archiveOf([{ path: "./x", type: TYPE.DIRECTORY, sockets: "600 0 0 ../../outside" }]));
  });

  test("leads nowhere else by its links", () => {
    const link = { path: "./link", type: TYPE.SYMLINK };
    refused(archiveOf([{ ...link, link: base }], [{ path: "./link/outside" }, "x"]));
    refused(archiveOf([{ ...link, link: ".." }], [{ path: "./link/outside" }, "x"]));
    refused(archiveOf([{ ...link, link: outside }], [{ path: "./link" }, "x"]));
    refused(archiveOf([{ ...link, link: ".." }], [{ path: "./link/outside", type: TYPE.DIRECTORY }]));
    refused(archiveOf([{ path: "./hard", type: TYPE.HARD_LINK, link: "../source/plain" }]));
    refused(
      archiveOf(
        [{ ...link, link: join(base, "source") }],
        [{ path: "./hard", type: TYPE.HARD_LINK, link: "./link/plain" }],
      ),
    );
    expect(statSync(join(base, "source", "plain")).nlink).toBe(2);
  });

  test("is refused when it is broken", () => {
    const good = save(join(base, "source"));
    const tar = gunzipSync(good);
    const flipped = Buffer.from(good);
    flipped[good.length >> 1] = (flipped[good.length >> 1] ?? 0) ^ 0xff;
    refused(fromGzip(flipped));
    refused(fromGzip(good.subarray(0, good.length - 5)));
    refused(fromBytes(tar.subarray(0, 700)));
    refused(fromGzip(Buffer.from("no gzip at all, but some text")));
    refused(fromGzip(gzipSync(tar).subarray(0, 100)));
    const wrong = Buffer.from(tar);
    wrong[100] = 0x39;
    refused(fromBytes(wrong));
  });
});
