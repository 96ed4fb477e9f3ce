/**
 * Decoding image directories with pycriu, the library under crit(1), of Debian's package criu: an opinion on our images
 * that is not ours. One Python process decodes all directories of a test run, as starting it costs 100 ms.
 */

import { existsSync } from "node:fs";
import { linesOf } from "./lines.ts";

const python = "/usr/bin/python3";

// Reads a directory a line, answers a line of JSON. Images of raw pages have no messages to decode.
const program = `
import json, os, sys
import pycriu
for line in sys.stdin:
    directory = line.rstrip("\\n")
    images, errors = {}, {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        if not (name.endswith(".img") or name.startswith("stats-")):
            continue
        if name.startswith("pages-"):
            continue
        try:
            with open(path, "rb") as image:
                images[name] = pycriu.images.load(image, False, True)
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
