// What crit does beside the plain way (see pycriu.test.ts): odd input, payloads, standard input, what cannot be.

import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../images/image-dir.ts";
import { encodeImage } from "../images/image-file.ts";
import { encodeQueue } from "../images/ipc-queue.ts";
import { IMAGES } from "../images/kinds.ts";
import type { PstreeEntry } from "../images/schema/generated/process.ts";
import { Writer } from "../images/wire.ts";
import { nsPid } from "../linux/pid.ts";
import { addressToText, textToAddress } from "./address.ts";
import { bitsToText, FLAGS, textToBits, wholeNumber } from "./names.ts";

const base = mkdtempSync(join(tmpdir(), "criu-ts-crit-"));
afterAll(() => rmSync(base, { recursive: true }));
const path = (name: string): string => join(base, name);
const dir = ImageDir.create(base);

const MAIN = join(import.meta.dirname, "../main.ts");

/** The command, in a process of its own. */
function crit(words: string[], input?: string | Uint8Array) {
  const run = spawnSync(process.execPath, [MAIN, "crit", ...words], {
    input: input ?? "",
    cwd: base,
    maxBuffer: 1 << 26,
  });
  return { code: run.status, out: run.stdout, text: run.stdout.toString(), error: run.stderr.toString() };
}

function decoded(name: string, ...words: string[]): { magic: string; entries: Record<string, unknown>[] } {
  const { text, error } = crit(["decode", "-i", name, ...words]);
  if (error !== "") throw new Error(error);
  return JSON.parse(text);
}

/** encode(decode(x)) by the command. */
function again(name: string): Uint8Array {
  return crit(["encode"], crit(["decode", "-i", name]).out).out;
}

function task(pid: number, ppid: number, ...threads: number[]): PstreeEntry {
  const leader = nsPid(1);
  return { pid: nsPid(pid), ppid: nsPid(ppid), pgid: leader, sid: leader, threads: threads.map(nsPid) };
}

describe("crit", () => {
  dir.writeAll(IMAGES.pstree, [task(1, 0, 1), task(2, 1, 2, 3)]);
  const PSTREE = readFileSync(path("pstree.img"));

  test("reads a pipe, and writes standard output with a line end", () => {
    const { text, code } = crit(["decode"], PSTREE);
    expect(code).toBe(0);
    expect(text).toBe(
      '{"magic": "PSTREE", "entries": [{"pid": 1, "ppid": 0, "pgid": 1, "sid": 1, "threads": [1]}, ' +
        '{"pid": 2, "ppid": 1, "pgid": 1, "sid": 1, "threads": [2, 3]}]}\n',
    );
    expect(crit(["encode"], text).out.equals(PSTREE)).toBe(true);
  });

  test("a file is written without one, and may be the one that is read", () => {
    writeFileSync(path("same"), PSTREE, { mode: 0o640 });
    expect(crit(["decode", "-i", "same", "--out=same"])).toMatchObject({ code: 0, text: "", error: "" });
    expect(readFileSync(path("same"), "latin1")).toEndWith("]}");
    expect(statSync(path("same")).mode & 0o777).toBe(0o640);
    expect(crit(["encode", "-isame", "-osame"]).code).toBe(0);
    expect(readFileSync(path("same")).equals(PSTREE)).toBe(true);
  });

  test("a file is as it was where the work failed", () => {
    writeFileSync(path("cut"), PSTREE.subarray(0, PSTREE.length - 1));
    writeFileSync(path("result"), "before");
    const failed = crit(["decode", "-i", "cut", "-o", "result"]);
    expect(failed.code).toBe(1);
    expect(failed.error).toStartWith("crit: error: cut: ");
    expect(readFileSync(path("result"), "utf8")).toBe("before");
    expect(readdirSync(base).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("writes through a link, to what is there", () => {
    writeFileSync(path("target"), "");
    symlinkSync("target", path("link"));
    expect(crit(["decode", "-i", "pstree.img", "-o", "link"]).code).toBe(0);
    expect(readFileSync(path("target"), "latin1")).toStartWith('{"magic": "PSTREE"');
  });

  test("shows an image of CRIU before 1.7, which has one magic", () => {
    const old = PSTREE.subarray(4);
    expect(crit(["info", "/dev/stdin"], old)).toMatchObject({ code: 0 });
    expect(JSON.parse(crit(["decode"], old).text).entries).toHaveLength(2);
  });

  test("info counts entries, and neither heads nor payloads", () => {
    dir.writeHeaded(
      IMAGES.pagemap,
      { pages_id: 1 },
      [{ vaddr: 4096n, compat_nr_pages: 0, nr_pages: 1n, flags: 4 }],
      1,
    );
    expect(JSON.parse(crit(["info", "pagemap-1.img"]).text)).toEqual({ magic: "PAGEMAP", count: 1 });
    using pipes = dir.writer(IMAGES.pipes_data);
    for (const id of [1, 2])
      pipes.add({ pipe_id: id, bytes: 6, size: 4096, packets: [] }, Buffer.from("\0\0\0\0\0\0"));
    pipes.close();
    expect(crit(["info", "pipes-data.img"]).text).toBe('{\n    "magic": "PIPES_DATA",\n    "count": 2\n}\n');
  });

  test("what is no image", () => {
    writeFileSync(path("pages-1.img"), Buffer.alloc(4096));
    expect(crit(["decode", "-i", "pages-1.img"])).toMatchObject({ code: 1, text: "" });
    expect(crit(["decode", "-i", "pages-1.img"]).error).toContain("Unknown magic 0x0 in pages-1.img");
    expect(crit(["decode"], "abc").error).toBe(
      "crit: error: standard input: this is no image: it has 3 bytes\n",
    );
    expect(crit(["decode", "-i", "nowhere"]).error).toContain("ENOENT");
    expect(crit(["encode"], PSTREE).error).toContain("this is no JSON of an image");
  });

  test("says so where an image has fields that it does not know", () => {
    const writer = new Writer();
    writer.uint32(999 * 8, 7, "");
    const entry = encodeImage(IMAGES.pstree, [task(1, 0)], "");
    const image = Buffer.concat([entry, writer.finish()]);
    image[8] = (image[8] ?? 0) + writer.length;
    const { code, error, text } = crit(["decode"], image);
    expect(code).toBe(0);
    expect(JSON.parse(text).entries).toEqual([{ pid: 1, ppid: 0, pgid: 1, sid: 1 }]);
    expect(error).toBe("crit: standard input: fields that are not known here are left out: 1\n");
  });

  test("ends quietly when nobody reads any more", () => {
    const many = Array.from({ length: 50_000 }, (_, n) => task(n + 1, 0));
    writeFileSync(path("many"), encodeImage(IMAGES.pstree, many, "many"));
    const run = spawnSync(
      "sh",
      ["-c", `"$0" "$1" crit decode -i many | head -c 10`, process.execPath, MAIN],
      { cwd: base },
    );
    expect(run.stderr.toString()).toBe("");
    expect(run.stdout.toString()).toBe('{"magic": ');
  });
});

describe("payloads", () => {
  const big = Buffer.alloc((3 << 20) + 1, "criu");

  test("a ghost file in one piece", () => {
    const head = { uid: 1, gid: 2, mode: 0o100644, chunks: false };
    using writer = dir.writer(IMAGES.ghost_file, 1, head);
    writer.addBytes(big);
    writer.close();
    const { entries } = decoded("ghost-file-1.img");
    expect(entries).toHaveLength(1);
    expect(Buffer.from(String(entries[0]?.extra), "base64").equals(big)).toBe(true);
    expect(Buffer.compare(again("ghost-file-1.img"), readFileSync(path("ghost-file-1.img")))).toBe(0);
    expect(crit(["show", "--nopl", "ghost-file-1.img"]).text).not.toContain("extra");
    expect(JSON.parse(crit(["info", "ghost-file-1.img"]).text)).toEqual({ magic: "GHOST_FILE", count: 0 });
  });

  test("a ghost file in chunks", () => {
    using writer = dir.writer(IMAGES.ghost_file, 2, {
      uid: 1,
      gid: 2,
      mode: 0o100644,
      chunks: true,
      size: 1n << 40n,
    });
    writer.add({ len: BigInt(big.length), off: 4096n }, big);
    writer.add({ len: 3n, off: 1n << 39n }, Buffer.from("end"));
    writer.close();
    expect(decoded("ghost-file-2.img").entries[2]).toEqual({ len: 3, off: 2 ** 39, extra: "ZW5k\n" });
    expect(Buffer.compare(again("ghost-file-2.img"), readFileSync(path("ghost-file-2.img")))).toBe(0);
  });

  test("messages of a queue, which come in pairs", () => {
    const messages = [
      { mtype: 5n, text: Buffer.from("hello") },
      { mtype: 1n << 40n, text: Buffer.alloc(0) },
      { mtype: 7n, text: Buffer.from("12345678") },
    ];
    const desc = { key: 1, uid: 2, gid: 3, cuid: 4, cgid: 5, mode: 6, id: 7 };
    using writer = dir.writer(IMAGES.ipcns_msg, 9);
    writer.add({ desc, qbytes: 16384, qnum: 3 }, encodeQueue(messages));
    writer.close();
    expect(decoded("ipcns-msg-9.img").entries[0]?.extra).toEqual([
      { mtype: 5, msize: 5 },
      "aGVsbG8=\n",
      { mtype: 2 ** 40, msize: 0 },
      "",
      { mtype: 7, msize: 8 },
      "MTIzNDU2Nzg=\n",
    ]);
    expect(Buffer.compare(again("ipcns-msg-9.img"), readFileSync(path("ipcns-msg-9.img")))).toBe(0);
    expect(crit(["show", "--nopl", "ipcns-msg-9.img"]).text).toContain('"extra": "... <');
  });

  test("are as long as their entry says", () => {
    const pipe = (extra: string) => `{"magic":"PIPES_DATA","entries":[{"pipe_id":1,"bytes":3${extra}}]}`;
    expect(crit(["encode"], pipe(',"extra":"YWJj\\n"')).code).toBe(0);
    expect(crit(["encode"], pipe(',"extra":"YWI="')).error).toContain(
      "entry 0 at byte 33: extra has 2 bytes, the entry says 3",
    );
    expect(crit(["encode"], pipe("")).error).toContain("extra has 0 bytes, the entry says 3");
    expect(crit(["encode"], pipe(',"extra":"?"')).error).toContain("the base64 is cut short");
    expect(crit(["encode"], pipe(',"extra":"????"')).error).toContain("this is no base64");
  });
});

describe("encode", () => {
  const image = (entry: string, magic = "PSTREE") => `{"magic": "${magic}", "entries": [${entry}]}`;
  const failure = (json: string) =>
    crit(["encode"], json).error.replace("crit: error: standard input: ", "").trimEnd();

  test("takes the magic after the entries", () => {
    const whole = '{"entries": [{"pid": 1, "ppid": 0, "pgid": 1, "sid": 1}], "magic": "PSTREE"}';
    expect(JSON.parse(crit(["decode"], crit(["encode"], whole).out).text)).toEqual(JSON.parse(whole));
  });

  test("keeps every digit, every byte and every escape", () => {
    const entry = '{"siginfo": "AAE="}, {"siginfo": ""}';
    expect(crit(["decode"], crit(["encode"], image(entry, "SIGNAL")).out).text).toContain(
      '{"siginfo": "AAE=\\n"}, {"siginfo": ""}',
    );
    const regs = '{"cur": 18446744073709551615, "max": "0xffffffffffffffff"}';
    expect(crit(["decode"], crit(["encode"], image(regs, "RLIMIT")).out).text).toContain(
      '{"cur": 18446744073709551615, "max": 18446744073709551615}',
    );
    const name = '{"nodename": "\\u00e4\\ud834\\udd1e\\udcff\\"\\\\\\n\\u007f", "domainname": ""}';
    expect(crit(["decode"], crit(["encode"], image(name, "UTSNS")).out).text).toContain(`[${name}]`);
  });

  test("what is wrong is said with its place", () => {
    expect(failure(image('{"pid": 1}'))).toBe("entry 0 at byte 32: pstree_entry.ppid is missing");
    expect(failure(image('{"pid": 1, "ppid": 0, "pgid": 0, "sid": 0, "name": 0}'))).toContain(
      'pstree_entry has no field "name"',
    );
    expect(failure(image('{"pid": "one", "ppid": 0, "pgid": 0, "sid": 0}'))).toContain(
      'pstree_entry.pid: "one" is no uint32',
    );
    expect(failure(image('{"pid": 1.5, "ppid": 0, "pgid": 0, "sid": 0}'))).toContain('"1.5" is no uint32');
    expect(failure(image('{"pid": 4294967296, "ppid": 0, "pgid": 0, "sid": 0}'))).toContain("is no uint32");
    expect(failure(image('{"pid": 1, "ppid": 0, "pgid": 0, "sid": 0, "extra": ""}'))).toContain(
      '"extra" has no meaning',
    );
    expect(failure(image('{"mtype": "Z80"}', "CORE"))).toContain('"Z80" is no value of core_entry.march');
    expect(failure(image("", "CRAB"))).toContain('"CRAB" is not the magic');
    expect(failure(image("", "PAGEMAP"))).toContain("begins with its pagemap_head");
    expect(failure('{"magic": "PSTREE"}')).toContain("the entries are missing");
    expect(failure('{"entries": []}')).toContain("the magic is missing");
    expect(failure(image('{"pid": 1 "ppid": 0}'))).toContain("a comma is missing");
    expect(failure(image('{"pid": tru}'))).toContain('"tru" is no JSON');
    expect(failure(image('{"pid": "\\x"}'))).toContain("\\x is no escape");
    expect(failure('{"magic": "PSTREE", "entries": [{"pid": "')).toContain("the string has no end");
    expect(failure('{"magic": "PSTREE", "entries": [')).toContain("an object is expected");
    expect(failure(`${image("")} x`)).toContain("something follows");
    expect(failure(`{"magic": ${"[".repeat(10_000)}`)).toContain("nested too deeply");
  });
});

describe("words", () => {
  test("usage, help, version", () => {
    expect(crit([])).toMatchObject({ code: 1, text: "" });
    expect(crit([]).error).toStartWith("usage: crit ");
    expect(crit(["--version"])).toMatchObject({ code: 0, text: "4.2\n" });
    expect(crit(["--help"]).text).toContain("decode");
    expect(crit(["decode", "--help"]).text).toContain("--pretty");
    for (const words of [
      ["dance"],
      ["decode", "--pretty=1"],
      ["decode", "-x"],
      ["info"],
      ["x", ".", "y"],
      ["info", "a", "b"],
      ["decode", "-i"],
    ]) {
      expect(crit(words)).toMatchObject({ code: 2, text: "" });
    }
    // Cut short, as argparse lets one.
    expect(crit(["decode", "--pre", "--i", "pstree.img"]).text).toStartWith('{\n    "magic"');
  });

  test("by the name crit", () => {
    const run = spawnSync("bash", [
      "-c",
      `exec -a /usr/bin/crit "$0" "$1" --version`,
      process.execPath,
      MAIN,
    ]);
    expect(run.stdout.toString()).toBe("4.2\n");
  });
});

describe("values", () => {
  test("addresses", () => {
    const swap = (word: number) => new DataView(new Uint32Array([word]).buffer).getUint32(0);
    const six = (...words: number[]) => addressToText(words.map(swap));
    expect(addressToText([swap(0x7f000001)])).toBe("127.0.0.1");
    expect(six(0, 0, 0, 1)).toBe("::1");
    expect(six(0, 0, 0, 0)).toBe("::");
    expect(six(0xfe800000, 0, 0x1, 0)).toBe("fe80::1:0:0");
    expect(six(0x20010db8, 0x00010000, 0x00000002, 0x00030004)).toBe("2001:db8:1::2:3:4");
    expect(six(0x20010db8, 0x00010001, 0x00000002, 0x00030004)).toBe("2001:db8:1:1:0:2:3:4");
    expect(six(1, 2, 3)).toBeUndefined();
    for (const text of ["10.0.0.255", "::1", "::", "fe80::1:0:0", "2001:db8:1:1:0:2:3:4", "1::"]) {
      expect(addressToText(textToAddress(text) ?? [])).toBe(text);
    }
    expect(textToAddress("::ffff:1.2.3.4")).toEqual([0, 0, swap(0xffff), swap(0x01020304)]);
    for (const text of ["", "1.2.3", "1.2.3.256", ":::", "1::2::3", "1:2:3:4:5:6:7:8:9", "g::"]) {
      expect(textToAddress(text)).toBeUndefined();
    }
  });

  test("bits and numbers", () => {
    const prot = FLAGS["mmap.prot"] ?? [];
    expect(bitsToText(0, prot)).toBe("");
    expect(bitsToText(0x80000005, prot)).toBe("PROT_READ | PROT_EXEC | 0x80000000");
    expect(textToBits("PROT_READ | PROT_EXEC | 0x80000000", prot)).toBe(0x80000005);
    expect(textToBits("PROT_NOTHING", prot)).toBeUndefined();
    expect(wholeNumber("0x1F")).toBe(31n);
    expect(wholeNumber("-0b11")).toBe(-3n);
    expect(wholeNumber("0o17")).toBe(15n);
    expect(wholeNumber("12ab")).toBeUndefined();
  });
});

describe("x", () => {
  test("says what is missing rather than showing half", () => {
    expect(crit(["x", ".", "ps"]).error).toContain("core-1.img");
    expect(crit(["x", "nowhere", "ps"]).error).toContain("ENOENT");
    expect(existsSync(path("nowhere"))).toBe(false);
  });
});
