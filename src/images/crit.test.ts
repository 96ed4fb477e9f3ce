// Our images as Debian's crit sees them (package `criu`, 3.17): every kind it knows, all fields it knows.
//
// crit's own decoder (pycriu.images.load, which `crit decode` is made of) reads our files, in one Python process;
// what it shows has to be what we wrote. It then encodes that again, and the bytes have to be ours.

import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { textToBytes } from "../linux/text.ts";
import { ImageDir } from "./image-dir.ts";
import { type AnyImageKind, fileName, IMAGES } from "./kinds.ts";
import { kindSamples, type Message } from "./samples.test-support.ts";
import { ENUMS, MESSAGES } from "./schema/generated/fields.ts";

const PYTHON = "/usr/bin/python3";

/** Reads paths, one a line; prints for each {json, again} or {error}, and at last the fields of all messages. */
const SCRIPT = `
import sys, io, json, base64, copy
import pycriu
from pycriu.images import images
out = {"files": {}, "fields": {}}
for path in sys.stdin.read().split():
    try:
        with open(path, "rb") as f:
            image = images.load(f)
    except Exception as e:
        out["files"][path] = {"error": str(e)}
        continue
    result = {"json": json.dumps(image)}
    try:
        again = io.BytesIO()
        images.dump(copy.deepcopy(image), again)
        result["again"] = base64.b64encode(again.getvalue()).decode()
    except Exception as e:
        result["againError"] = str(e)
    out["files"][path] = result
for name in dir(images.pb):
    descriptor = getattr(getattr(images.pb, name), "DESCRIPTOR", None)
    if hasattr(descriptor, "fields"):
        out["fields"][name] = {f.number: f.name for f in descriptor.fields}
print(json.dumps(out))
`;

interface Answer {
  files: Record<string, { json: string; again?: string; againError?: string; error?: string }>;
  fields: Record<string, Record<string, string>>;
}

const crit = spawnSync("crit", ["--help"]);
const pycriu = spawnSync(PYTHON, ["-c", "import pycriu.images"]);
const there = crit.status === 0 && pycriu.status === 0;
if (!there) console.log("skipped: crit (Debian's package criu) is not installed");

/** Kinds that crit 3.17 has no decoder of. */
const UNKNOWN = new Set(["SIGNAL", "BINFMT_MISC", "PIDFD"]);
/** Kinds whose payload it decodes but cannot encode (it takes a string for bytes). */
const NOT_ENCODED = new Set(["BPFMAP_DATA", "IPCNS_SHM"]);

const base = mkdtempSync(join(tmpdir(), "criu-ts-crit-"));
afterAll(() => rmSync(base, { recursive: true }));

/** As Python's base64.encodebytes prints it. */
function base64Lines(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString("base64")
    .replace(/.{1,76}/g, "$&\n");
}

/** JSON with numbers that a double cannot hold as strings. */
function parse(json: string): unknown {
  return JSON.parse(json.replace(/([:[ ])(-?\d{16,})(?=[,\]}])/g, '$1"$2"'));
}

function shownNumber(value: number | bigint): unknown {
  return /^-?\d{16,}$/.test(value.toString()) ? value.toString() : Number(value);
}

/** A message as crit shows it, without the fields it does not know; those are added to `left`. */
function shown(name: string, message: Message, known: Answer["fields"], left: Set<string>): Message {
  const result: Message = {};
  for (const field of MESSAGES[name] ?? []) {
    const value = message[field.name];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const theirName = known[name]?.[field.id];
    if (theirName === undefined) {
      // Numbers from 1000 on are fields of our own, which CRIU does not have.
      left.add(field.id < 1000 ? `${name}.${field.name}` : "ours");
      continue;
    }
    const one = (item: unknown): unknown => {
      if (field.kind === "message") return shown(field.type, item as Message, known, left);
      if (field.kind === "enum") {
        return Object.entries(ENUMS[field.type] ?? {}).find(([, number]) => number === item)?.[0];
      }
      if (item instanceof Uint8Array)
        return field.hints?.conv === undefined ? base64Lines(item) : quoted(item);
      return typeof item === "number" || typeof item === "bigint" ? shownNumber(item) : item;
    };
    result[theirName] = Array.isArray(value) ? value.map(one) : one(value);
  }
  return result;
}

/** Python's quopri.encodestring, of names without spaces and line ends. */
function quoted(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    if (byte > 0x20 && byte < 0x7f && byte !== 0x3d) return String.fromCharCode(byte);
    return `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** What crit shows of a payload. */
function shownPayload(kind: AnyImageKind, entry: Message, payload: Uint8Array): unknown {
  switch (kind.name) {
    case "TCP_STREAM": {
      const middle = Number(entry.inq_len);
      return { inq: base64Lines(payload.subarray(0, middle)), outq: base64Lines(payload.subarray(middle)) };
    }
    case "IPCNS_SEM": {
      const view = new DataView(payload.buffer, payload.byteOffset);
      return Array.from({ length: Number(entry.nsems) }, (_, n) => view.getUint16(n * 2, true));
    }
    case "IPCNS_SHM":
      return base64Lines(payload.subarray(0, Number(entry.size)));
    case "IPCNS_MSG":
      return [];
    default:
      return base64Lines(payload);
  }
}

function ask(paths: readonly string[]): Answer {
  const input = paths.join("\n");
  const run = spawnSync(PYTHON, ["-c", SCRIPT], { input, encoding: "utf8", maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

describe.skipIf(!there)("crit 3.17", () => {
  const dir = ImageDir.create(base);
  const id = { none: undefined, decimal: 12, hex: 0xabc, word: "dump" } as const;
  const samples = kindSamples(11, { all: true, plain: true }).filter(({ kind }) => !UNKNOWN.has(kind.name));
  for (const { kind, head, records } of samples) {
    using writer = dir.writer(kind, id[kind.id], head);
    for (const { entry, payload } of records) {
      // quopri breaks lines, which a socket's name does not need to be tested with.
      const name = kind.name === "UNIXSK" ? { name: textToBytes("\0abstract=name") } : {};
      const usk =
        kind.name === "FILES" ? { usk: { ...(entry.usk as Message), name: textToBytes("/sock") } } : {};
      Object.assign(entry, name, usk);
      writer.add(entry, kind.payload === undefined ? undefined : payload);
    }
  }
  const paths = samples.map(({ kind }) => dir.filePath(kind, id[kind.id]));
  const answer = there ? ask(paths) : { files: {}, fields: {} };
  const left = new Set<string>();

  for (const { key, kind, head, records } of samples) {
    test(key, () => {
      const path = dir.filePath(kind, id[kind.id]);
      const theirs = answer.files[path];
      expect(theirs?.error).toBeUndefined();
      const unknown = new Set<string>();
      const entries: Message[] = [];
      if (head !== undefined) entries.push(shown(kind.head?.name ?? "", head, answer.fields, unknown));
      for (const { entry, payload } of records) {
        const message = shown(kind.codec.name, entry, answer.fields, unknown);
        if (kind.payload !== undefined) message.extra = shownPayload(kind, entry, payload);
        entries.push(message);
      }
      // Image kinds that share a magic are shown under one name.
      expect(parse(theirs?.json ?? "")).toEqual({ magic: kind.name, entries });

      for (const field of unknown) left.add(field);
      if (NOT_ENCODED.has(kind.name) || unknown.size > 0) return;
      expect(theirs?.againError).toBeUndefined();
      if (kind.name === "IPCNS_SEM") return; // what pads it is zero in theirs
      expect(Buffer.from(theirs?.again ?? "", "base64").toString("hex")).toBe(
        readFileSync(path).toString("hex"),
      );
    });
  }

  test("knows all but what came after it", () => {
    left.delete("ours");
    expect([...left].sort()).toMatchInlineSnapshot(`
      [
        "cg_controller_entry.is_threaded",
        "core_entry.ti_loongarch64",
        "core_entry.ti_riscv64",
        "creds_entry.cap_amb",
        "creds_entry.no_new_privs",
        "file_entry.pidfd",
        "inet_sk_entry.tcp_opts",
        "inventory_entry.allow_uprobes",
        "inventory_entry.compress",
        "inventory_entry.compress_region_size",
        "inventory_entry.dump_criu_run_id",
        "inventory_entry.plugins_entry",
        "ip_opts_entry.pktinfo",
        "ip_opts_entry.tos",
        "ip_opts_entry.ttl",
        "memfd_inode_entry.mode",
        "netns_entry.ipv4_sysctl",
        "pagemap_entry.compressed_size",
        "pagemap_entry.nr_pages",
        "pagemap_entry.region_pages",
        "pagemap_entry.total_compressed_size",
        "pipe_entry.gid",
        "pipe_entry.uid",
        "sk_packet_entry.ucred",
        "task_core_entry.membarrier_registration_mask",
        "task_core_entry.stop_signo",
        "thread_core_entry.cg_set",
        "thread_core_entry.timerslack_ns",
        "thread_info_aarch64.gcs",
        "thread_info_aarch64.pac_keys",
        "user_x86_xsave_entry.cet",
        "userns_entry.binfmt_misc",
      ]
    `);
  });

  test("the command itself", () => {
    dir.writeAll(IMAGES.pstree, [{ pid: 7, ppid: 0, pgid: 7, sid: 7, threads: [7, 8] }]);
    const file = join(base, fileName(IMAGES.pstree));
    const decoded = spawnSync("crit", ["decode", "-i", file], { encoding: "utf8" });
    expect(JSON.parse(decoded.stdout)).toEqual({
      magic: "PSTREE",
      entries: [{ pid: 7, ppid: 0, pgid: 7, sid: 7, threads: [7, 8] }],
    });
  });
});
