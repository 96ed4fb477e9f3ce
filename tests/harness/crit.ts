/**
 * Decoding image directories with pycriu, the library under crit(1), of Debian's package criu: an opinion on our images
 * that is not ours. One Python process decodes all directories of a test run, as starting it costs 100 ms. Our own crit, too,
 * has to show what that one shows, and to make the same bytes of it again.
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "../../src/crit/decode.ts";
import { encode } from "../../src/crit/encode.ts";
import { hasMessages, kindOfFile } from "../../src/images/kinds.ts";
import { linesOf } from "./lines.ts";

const python = "/usr/bin/python3";

// Reads a directory a line, answers a line of JSON. Images of pages, archives, and what other programs read have no messages to decode.
const program = `
import json, os, sys
import pycriu
RAW = ("pages-", "tmpfs-", "ifaddr-", "route", "rule-", "iptables-", "ip6tables-", "nftables-", "netns-ct-", "netns-exp-")
for line in sys.stdin:
    directory = line.rstrip("\\n")
    images, errors = {}, {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        if not (name.endswith(".img") or name.startswith("stats-")):
            continue
        if name.startswith(RAW):
            continue
        try:
            with open(path, "rb") as image:
                images[name] = pycriu.images.load(image)
        except Exception as error:
            errors[name] = "%s: %s" % (type(error).__name__, error)
    print(json.dumps({"images": images, "errors": errors}), flush=True)
`;

/** One decoded image: crit's own JSON, numbers as numbers, bytes in base64. */
export interface DecodedImage {
  magic: string;
  entries: Record<string, unknown>[];
}

export interface Decoded {
  /** By file name. */
  images: Record<string, DecodedImage>;
  /** What could not be decoded, and why, by file name. */
  errors: Record<string, string>;
}

let why: string | undefined | null = null;

/** Why there is no crit here, or undefined when there is. */
export function critMissing(): string | undefined {
  if (why !== null) return why;
  if (!existsSync(python)) why = `${python} is missing`;
  else if (Bun.spawnSync([python, "-c", "import pycriu"]).exitCode !== 0)
    why = "pycriu is missing (Debian's package criu)";
  else why = undefined;
  return why;
}

function startServer() {
  const child = Bun.spawn([python, "-c", program], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  child.unref();
  return { stdin: child.stdin, lines: linesOf(child.stdout), exited: child.exited };
}

let server: ReturnType<typeof startServer> | undefined;

/** Ends the Python process, if there is one; to be called when a test file is through. */
export async function endCrit(): Promise<void> {
  if (server === undefined) return;
  const { stdin, exited } = server;
  server = undefined;
  await stdin.end();
  await exited;
}

/**
 * Decodes every image of a directory as crit does.
 *
 * @throws when crit is missing; see critMissing()
 */
export async function decodeWithCrit(directory: string): Promise<Decoded> {
  const missing = critMissing();
  if (missing !== undefined) throw new Error(missing);
  server ??= startServer();
  server.stdin.write(`${directory}\n`);
  await server.stdin.flush();
  const { value, done } = await server.lines.next();
  if (done) throw new Error("the Python process that decodes images has ended");
  return JSON.parse(value);
}

/** The images of messages in a directory: neither pages, nor logs, nor what others have written. */
export function imagesOf(directory: string): string[] {
  return readdirSync(directory).filter((name) => {
    const kind = kindOfFile(name)?.kind;
    return kind !== undefined && hasMessages(kind) && statSync(join(directory, name)).isFile();
  });
}

/**
 * What our crit does wrong with the images of a directory: where encode(decode(x)) is not x, and, where `theirs` is given,
 * where it does not show what crit shows. Empty when all is well.
 */
export function critProblems(directory: string, theirs?: Decoded): string[] {
  const problems: string[] = [];
  const scratch = mkdtempSync(join(tmpdir(), "criu-ts-crit-"));
  const shown = join(scratch, "shown");
  const again = join(scratch, "again");
  try {
    for (const name of imagesOf(directory)) {
      const path = join(directory, name);
      for (const pretty of [true, false]) {
        const unknown = decode({ in: path, out: shown, pretty, noPayload: false });
        if (unknown > 0) problems.push(`${name}: ${unknown} fields are not known`);
        encode({ in: shown, out: again });
        if (!readFileSync(again).equals(readFileSync(path))) {
          problems.push(`${name}: encode(decode(x)) is not x${pretty ? " with --pretty" : ""}`);
        }
      }
      const image = theirs?.images[name];
      // It takes all that follows the first segment for the content, which is in pagemaps.
      if (image === undefined || image.magic === "IPCNS_SHM") continue;
      const ours: unknown = JSON.parse(readFileSync(shown, "latin1"));
      problems.push(...notShown(ours, renamed(image), name));
    }
    return problems;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** crit 3.17 calls the 32-bit number of pages what is the 64-bit one's name now. */
function renamed(image: DecodedImage): DecodedImage {
  if (image.magic !== "PAGEMAP") return image;
  const entries = image.entries.map((entry) => {
    if (entry.compat_nr_pages !== undefined || entry.nr_pages === undefined) return entry;
    const { nr_pages, ...rest } = entry;
    return { ...rest, compat_nr_pages: nr_pages };
  });
  return { ...image, entries };
}

/** What is in `theirs` and not, or otherwise, in `ours`. Ours may know more. */
function notShown(ours: unknown, theirs: unknown, at: string): string[] {
  // Text that is no UTF-8 it shows as Python does bytes.
  if (typeof ours === "string" && !ours.isWellFormed() && String(theirs).startsWith("b'")) return [];
  if (typeof theirs !== "object" || theirs === null) {
    return ours === theirs
      ? []
      : [`${at}: ${JSON.stringify(ours)}, and crit shows ${JSON.stringify(theirs)}`];
  }
  if (typeof ours !== "object" || ours === null) return [`${at}: ${JSON.stringify(ours)}`];
  const members = new Map(Object.entries(ours));
  const problems = Object.entries(theirs).flatMap(([key, value]) =>
    notShown(members.get(key), value, `${at}.${key}`),
  );
  if (Array.isArray(theirs) && theirs.length !== members.size) problems.push(`${at}: ${members.size} items`);
  return problems;
}
