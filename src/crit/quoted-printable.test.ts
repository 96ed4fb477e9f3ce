import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { randomOf } from "../images/samples.test-support.ts";
import { textToBytes } from "../linux/text.ts";
import { fromQuotedPrintable, toQuotedPrintable } from "./quoted-printable.ts";

/** Names of all lengths, of bytes that are odd more often than not. */
function samples(): Uint8Array[] {
  const random = randomOf(5);
  const odd = [0, 9, 10, 13, 32, 46, 61, 65, 126, 127, 128, 255];
  return Array.from({ length: 400 }, (_, n) =>
    Uint8Array.from({ length: n }, () =>
      random() % 3 === 0 ? random() & 0xff : random() % 4 === 0 ? (odd[random() % odd.length] ?? 0) : 97,
    ),
  );
}

const PYTHON = "/usr/bin/python3";
const python = spawnSync(PYTHON, ["-c", "import quopri"]);
if (python.status !== 0) console.log(`skipped: ${PYTHON} is not there, to compare with`);

describe("quoted-printable", () => {
  test("keeps every byte", () => {
    for (const bytes of samples()) expect(fromQuotedPrintable(toQuotedPrintable(bytes))).toEqual(bytes);
  });

  test("an abstract name", () => {
    expect(toQuotedPrintable(textToBytes("\0a=b"))).toBe("=00a=3Db");
  });

  test("reads what others write", () => {
    expect(fromQuotedPrintable("a=\nb=\r\nc=3d==x=")).toEqual(textToBytes("abc===x"));
  });

  test.skipIf(python.status !== 0)("is what Python writes, and reads", () => {
    const script = [
      "import sys, quopri",
      "for line in sys.stdin.read().split():",
      "    name = bytes.fromhex(line)",
      "    text = quopri.encodestring(name)",
      "    print(text.hex())",
    ].join("\n");
    const names = samples().filter((bytes) => bytes.length > 0);
    const input = names.map((bytes) => bytes.toHex()).join("\n");
    const run = spawnSync(PYTHON, ["-c", script], { input, encoding: "utf8" });
    const theirs = run.stdout.split("\n");
    names.forEach((bytes, n) => {
      const text = Buffer.from(theirs[n] ?? "", "hex").toString("latin1");
      if (!bytes.includes(13)) {
        expect(toQuotedPrintable(bytes)).toBe(text);
        expect(fromQuotedPrintable(text)).toEqual(bytes);
      }
    });
  });
});
