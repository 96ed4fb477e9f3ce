import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fd } from "../linux/fd.ts";
import { close, O } from "../linux/io.ts";
import { FileRestoreError } from "./errors.ts";
import { InheritedFds } from "./inherit-fd.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-ts-inherit-"));
const path = join(dir, "file");
writeFileSync(path, "text");
afterAll(() => rmSync(dir, { recursive: true }));

const BOTH = "for reading and writing";
test.each([
  [O.RDONLY, O.RDONLY, undefined],
  [O.RDWR, O.RDONLY, undefined],
  [O.RDWR, O.WRONLY, undefined],
  [O.RDWR, O.RDWR, undefined],
  [O.RDONLY, O.PATH, undefined],
  [O.RDONLY, O.WRONLY, "for reading, but the file was open for writing"],
  [O.RDONLY, O.RDWR, `for reading, but the file was open ${BOTH}`],
  [O.WRONLY, O.RDWR, `for writing, but the file was open ${BOTH}`],
  [O.PATH, O.RDONLY, "by its path alone (O_PATH), but the file was open for reading"],
])("open with 0x%x for a file that was open with 0x%x: %s", (given, wanted, words) => {
  using fd = Fd.open(path, given);
  const inherited = new InheritedFds([`fd[${fd.number}]:tmp/file`]);
  expect(inherited.take("tmp/other", wanted)).toBeUndefined();
  if (words === undefined) {
    const taken = inherited.take("tmp/file", wanted);
    expect(taken).toBeGreaterThan(2);
    close(taken ?? -1);
    return;
  }
  expect(() => inherited.take("tmp/file", wanted)).toThrow(FileRestoreError);
  expect(() => inherited.take("tmp/file", wanted)).toThrow(
    `--inherit-fd fd[${fd.number}]:tmp/file: it is open ${words}`,
  );
  // Where it is only opened again by way of /proc, its own access is of no account.
  close(inherited.take("tmp/file") ?? -1);
});
