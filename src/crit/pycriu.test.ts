// Our crit against CRIU's (pycriu of Debian's package criu, 3.17): every kind of image it knows, all fields it knows.
//
// pycriu.images.load, which `crit decode` is made of, reads our files in one Python process; what it shows has to be what ours
// shows, and what it makes of that again has to be our bytes. With PYCRIU naming the directory of another pycriu, say that of
// CRIU 4.2, it is asked instead.

import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { kindSamples, type Message } from "../images/samples.test-support.ts";
import { MESSAGES } from "../images/schema/generated/fields.ts";
import { nsPid } from "../linux/pid.ts";
import { textToBytes } from "../linux/text.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";

const PYTHON = "/usr/bin/python3";
const OTHER = process.env.PYCRIU;
const env = OTHER === undefined ? process.env : { ...process.env, PYTHONPATH: OTHER };

/** Reads paths, one a line; prints for each what there is to say, and at last the fields of all messages. */
const SCRIPT = `
import sys, io, os, json, base64, copy
import pycriu
${OTHER === undefined ? "" : "sys.path += [os.path.dirname(pycriu.__file__), os.path.join(os.path.dirname(pycriu.__file__), 'images')]"}
from pycriu.images import images
out = {"files": {}, "fields": {}, "enums": {}}
for path in sys.stdin.read().split():
    result = {}
    try:
        with open(path, "rb") as f:
            image = images.load(f)
        with open(path, "rb") as f:
            result["pretty"] = json.dumps(images.load(f, True), indent=4)
        result["plain"] = json.dumps(image)
        again = io.BytesIO()
        images.dump(copy.deepcopy(image), again)
        result["again"] = base64.b64encode(again.getvalue()).decode()
    except Exception as e:
        result["error"] = str(e)
    out["files"][path] = result
for name in dir(images.pb):
    descriptor = getattr(getattr(images.pb, name), "DESCRIPTOR", None)
    if hasattr(descriptor, "fields"):
        out["fields"][name] = {f.number: f.name for f in descriptor.fields}
        for f in descriptor.fields:
            if f.enum_type:
                out["enums"][name + "." + f.name] = list(f.enum_type.values_by_name)
print(json.dumps(out))
`;

interface Theirs {
  plain?: string;
  pretty?: string;
  again?: string;
  error?: string;
}

interface Answer {
  files: Record<string, Theirs>;
  fields: Record<string, Record<string, string>>;
  /** Names of values, by message and field. */
  enums: Record<string, string[]>;
}

const there = spawnSync(PYTHON, ["-c", "import pycriu"], { env }).status === 0;
if (!there) console.log("skipped: crit (Debian's package criu) is not installed");

/** Kinds that neither 3.17 nor 4.2 has a decoder of. */
const UNKNOWN = new Set(["SIGNAL", "BINFMT_MISC", "PIDFD"]);
/** Kinds whose payload it decodes but cannot encode (it takes a string for bytes). */
const NOT_ENCODED = new Set(["BPFMAP_DATA", "IPCNS_SHM"]);

/** Bits of vma_entry that 3.17 has no names for: MEMFD, SHSTK, UPROBES; MAP_DROPPABLE. */
const LATER = OTHER === undefined ? { status: 0x2c000, flags: 0x8 } : { status: 0, flags: 0 };

const base = mkdtempSync(join(tmpdir(), "criu-ts-crit-"));
afterAll(() => rmSync(base, { recursive: true }));

/** JSON with numbers that a double cannot hold as strings. */
function parse(json: string): unknown {
  return JSON.parse(json.replace(/([:[ ])(-?\d{16,})(?=[,\]}\n])/g, '$1"$2"'));
}

/** What ours shows, under their names and without what they do not know; that is added to `left`. */
function known(name: string, value: unknown, answer: Answer, left: Set<string>): unknown {
  if (Array.isArray(value)) return value.map((item) => known(name, item, answer, left));
  if (typeof value !== "object" || value === null) return value;
  const result: Message = {};
  for (const [key, member] of Object.entries(value)) {
    const field = MESSAGES[name]?.find((candidate) => candidate.name === key);
    const theirName = field === undefined ? key : answer.fields[name]?.[field.id];
    const values = answer.enums[`${name}.${theirName}`];
    if (field?.kind === "enum" && values?.includes(String(member)) === false)
      left.add(`${name}.${key}: ${member}`);
    else if (theirName !== undefined) result[theirName] = known(field?.type ?? "", member, answer, left);
    else if (field !== undefined) left.add(field.id < 1000 ? `${name}.${key}` : "ours");
  }
  return result;
}

describe("every kind", () => {
  const dir = ImageDir.create(base);
  const id = { none: undefined, decimal: 12, hex: 0xabc, word: "dump" } as const;
  const samples = kindSamples(11, { all: true, plain: true });
  for (const { kind, head, records } of samples) {
    using writer = dir.writer(kind, id[kind.id], head);
    for (const { entry, payload } of records) {
      // A carriage return is lost by quopri.
      const name = kind.name === "UNIXSK" ? { name: textToBytes("\0abstract=name") } : {};
      const usk =
        kind.name === "FILES" ? { usk: { ...(entry.usk as Message), name: textToBytes("/sock") } } : {};
      Object.assign(entry, name, usk);
      for (const vma of [entry, ...((entry.vmas ?? []) as Message[])]) {
        if (typeof vma.status === "number") vma.status = (vma.status & ~LATER.status) >>> 0;
        if (typeof vma.status === "number") vma.flags = (Number(vma.flags) & ~LATER.flags) >>> 0;
      }
      writer.add(entry, kind.payload === undefined ? undefined : payload);
    }
  }
  const shown = join(base, "shown.json");
  const image = join(base, "image");

  for (const { key, kind } of samples) {
    test(`${key}: encode(decode(x)) is x`, () => {
      const path = dir.filePath(kind, id[kind.id]);
      for (const pretty of [false, true]) {
        expect(decode({ in: path, out: shown, pretty, noPayload: false })).toBe(0);
        encode({ in: shown, out: image });
        expect(readFileSync(image).toString("hex")).toBe(readFileSync(path).toString("hex"));
      }
    });
  }

  describe.skipIf(!there)("as CRIU's crit shows it", () => {
    const asked = samples.filter(({ kind }) => !UNKNOWN.has(kind.name));
    const input = asked.map(({ kind }) => dir.filePath(kind, id[kind.id])).join("\n");
    const run = spawnSync(PYTHON, ["-c", SCRIPT], { input, encoding: "utf8", maxBuffer: 1 << 28, env });
    if (there && run.status !== 0) throw new Error(run.stderr);
    const answer: Answer = there ? JSON.parse(run.stdout) : { files: {}, fields: {}, enums: {} };
    const left = new Set<string>();

    for (const { key, kind } of asked) {
      test(key, () => {
        const path = dir.filePath(kind, id[kind.id]);
        const theirs = answer.files[path] ?? {};
        const unknown = new Set<string>();
        const prune = (json: string) => {
          const all = parse(json) as { magic: string; entries: Message[] };
          const heads = kind.head === undefined ? 0 : 1;
          const entries = all.entries.map((entry, n) =>
            known(n < heads ? (kind.head?.name ?? "") : kind.codec.name, entry, answer, unknown),
          );
          return { ...all, entries };
        };
        for (const form of ["plain", "pretty"] as const) {
          decode({ in: path, out: shown, pretty: form === "pretty", noPayload: false });
          const ours = readFileSync(shown, "latin1");
          expect(prune(ours)).toEqual(parse(theirs[form] ?? "{}") as ReturnType<typeof prune>);
          // Where they know all of it, not a blank is different.
          if (unknown.size === 0) expect(ours).toBe(theirs[form] ?? "");
        }
        for (const field of unknown) left.add(field);
        if (NOT_ENCODED.has(kind.name) || unknown.size > 0) return;
        expect(theirs.error).toBeUndefined();
        expect(Buffer.from(theirs.again ?? "", "base64").toString("hex")).toBe(
          readFileSync(path).toString("hex"),
        );
        writeFileSync(shown, theirs.plain ?? "");
        encode({ in: shown, out: image });
        expect(readFileSync(image).toString("hex")).toBe(readFileSync(path).toString("hex"));
      });
    }

    test.skipIf(OTHER !== undefined)("3.17 knows all but what came after it", () => {
      left.delete("ours");
      expect([...left].sort()).toMatchInlineSnapshot(`
        [
          "cg_controller_entry.is_threaded",
          "core_entry.ti_loongarch64",
          "core_entry.ti_riscv64",
          "creds_entry.cap_amb",
          "creds_entry.no_new_privs",
          "fanotify_mark_entry.type: FILESYSTEM",
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
  });

  test("the command of Debian reads what ours wrote", () => {
    const task = nsPid(7);
    dir.writeAll(IMAGES.pstree, [
      { pid: task, ppid: nsPid(0), pgid: task, sid: task, threads: [task, nsPid(8)] },
    ]);
    const decoded = spawnSync("crit", ["decode", "-i", dir.filePath(IMAGES.pstree)], { encoding: "utf8" });
    if (decoded.error !== undefined) return;
    expect(JSON.parse(decoded.stdout)).toEqual({
      magic: "PSTREE",
      entries: [{ pid: 7, ppid: 0, pgid: 7, sid: 7, threads: [7, 8] }],
    });
  });
});
