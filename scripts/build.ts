/**
 * Compiles the executables: `npm run build` makes dist/criu. What Bun compiles starts cold, so it is made to work until it is
 * warm, and dist/criu is a snapshot of it then (src/warm/). With `--cold` it is left as it is compiled: that needs no rights, and
 * the same sources give the same bytes.
 *
 * The choices, each measured on a start of `dist/criu --version`:
 * - bytecode: the source is not parsed at start;
 * - splitting: what is imported dynamically is a piece of its own, and its bytecode is not looked at until then
 *   (with 15,000 functions behind an import that does not happen, a start takes 6 ms with and 11 ms without);
 * - not minified: it starts no faster, and a stack trace stays readable;
 * - a reluctant JIT (its thresholds times 32): of most code a command runs each line a few times only. A dump of one
 *   small process takes 31 ms of CPU with, 49 ms without; one of 300 threads 340 and 520.
 * A bytecode layout by profile (`bytecodeOrder`) brings nothing.
 * No `.env` and no `bunfig.toml` is read: we run as root in directories of others, and either would let them
 * change what we do.
 */

import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { basename, join } from "node:path";
import { elfHeader64, elfProgram64, PT } from "../src/linux/elf.ts";
import { PAGE_SIZE } from "../src/linux/memory.ts";
import { makeWarm } from "../src/warm/make.ts";
import { writeManual } from "./manual.ts";

const ROOT = join(import.meta.dir, "..");

/** The executables, by name. */
const PROGRAMS: Readonly<Record<string, string>> = { criu: "src/main.ts" };
/** Other names of them, by which they are something else: links beside them. */
const LINKS: Readonly<Record<string, string>> = { crit: "criu" };

/**
 * Compiles all programs into a directory, where they start cold: the same bytes each time, wherever. Returns their paths. Throws
 * what Bun reports.
 */
export async function compile(into: string): Promise<string[]> {
  const made: string[] = [];
  for (const [name, entry] of Object.entries(PROGRAMS)) {
    const outfile = join(into, name);
    const result = await Bun.build({
      entrypoints: [join(ROOT, entry)],
      root: ROOT,
      target: "bun",
      format: "esm",
      splitting: true,
      bytecode: true,
      minify: false,
      compile: {
        outfile,
        jitPolicy: 32,
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
    });
    for (const message of result.logs) console.error(String(message));
    made.push(outfile);
  }
  return made;
}

/**
 * Compiles all programs into a directory and, unless they are to start cold, has them start warm, where that can be done here.
 * Returns their paths; where one starts cold nevertheless, `cold` is told why.
 */
export async function build(into: string, cold: (why: string) => void, isCold = false): Promise<string[]> {
  mkdirSync(into, { recursive: true });
  const unfinished = mkdtempSync(join(into, "cold-"));
  const here = process.cwd();
  try {
    const made: string[] = [];
    for (const program of await compile(unfinished)) {
      const path = join(into, basename(program));
      try {
        if (isCold) renameSync(program, path);
        else await makeWarm(program, path);
      } catch (error) {
        cold(`${path}: ${error instanceof Error ? error.message : String(error)}`);
        renameSync(program, path);
      }
      made.push(path);
    }
    writeManual(into);
    for (const [name, program] of Object.entries(LINKS)) {
      rmSync(join(into, name), { force: true });
      symlinkSync(program, join(into, name));
    }
    return made;
  } finally {
    // The snapshot is a dump by this process, which works in its own directory as the command does.
    process.chdir(here);
    rmSync(unfinished, { recursive: true });
  }
}

/** What goes into the executables: directories too, which change when a file is gone. */
const SOURCES = ["src", "scripts/build.ts", "scripts/manual.ts", "package-lock.json", "node_modules/bun"];

/** The time of the newest of the files and directories, in milliseconds. */
function newest(paths: readonly string[]): number {
  let time = 0;
  for (const path of paths) {
    const stat = statSync(path);
    const inside = stat.isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [];
    time = Math.max(time, stat.mtimeMs, newest(inside));
  }
  return time;
}

const ROOT_USER = 0;
const isRoot = () => process.getuid?.() === ROOT_USER;

/** Whether an executable is what Bun has compiled, which has a dynamic linker; a snapshot is its own. */
export function startsCold(path: string): boolean {
  const bytes = new Uint8Array(PAGE_SIZE);
  const fd = openSync(path, "r");
  try {
    readSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
  const { phoff, phentsize, phnum } = elfHeader64.decode(bytes);
  return Array.from({ length: phnum }, (_, i) => elfProgram64.decode(bytes, phoff + i * phentsize)).some(
    ({ type }) => type === PT.INTERP,
  );
}

/** Whether an executable is newer than all that goes into it, and starts as it is to. */
function isUpToDate(path: string, isCold: boolean): boolean {
  if (!existsSync(path) || statSync(path).mtimeMs <= newest(SOURCES.map((name) => join(ROOT, name))))
    return false;
  return startsCold(path) === isCold;
}

if (import.meta.main) {
  const into = join(ROOT, "dist");
  const words = process.argv.slice(2);
  const unknown = words.find((word) => word !== "--cold");
  if (unknown !== undefined) {
    console.error(`build: ${unknown}: the only option is --cold`);
    process.exit(2);
  }
  const asked = words.includes("--cold");
  const isCold = asked || !isRoot();
  const cold = (why: string) => console.error(`build: starts cold, a few times slower: ${why}`);
  if ([...Object.keys(PROGRAMS), ...Object.keys(LINKS)].every((name) => isUpToDate(join(into, name), isCold)))
    console.log(
      `build: nothing to do: dist/criu is newer than its sources${isCold ? ", and starts cold" : ""}`,
    );
  else {
    if (!isRoot() && !asked)
      console.error(
        "build: not root: what is made will start cold, some 110 ms later than when root builds it",
      );
    console.log(`build: compiles${isCold ? "" : ", and warms up; takes a minute"}`);
    for (const path of await build(into, cold, isCold)) {
      console.log(`${path}: ${Math.round(statSync(path).size / 2 ** 20)} MiB`);
    }
  }
}
