/** Compiles tests/fixtures/*.c with the machine's cc into build/fixtures, where older than their sources. */

import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";

export const projectDir = resolve(import.meta.dir, "../..");
const sourceDir = join(projectDir, "tests/fixtures");
const buildDir = join(projectDir, "build/fixtures");
const commonFlags = [
  "-O1",
  "-g",
  "-std=gnu11",
  "-D_GNU_SOURCE",
  "-Wall",
  "-Werror",
  "-Wno-format-truncation",
  "-pthread",
];

/** What the comment lines of a fixture's source ask of the harness; the list stands in fixture.h. */
export interface Directives {
  compilerFlags: string[];
  dumpOptions: string[];
  restoreOptions: string[];
  /** Huge pages of the default size that must be there, 0 for none. */
  hugePages: number;
  /** It is also dumped and restored while transparent huge pages are set so ("always"). */
  transparentHugePages: string | undefined;
  /** The dump must fail with an error line that contains this. */
  fails: string | undefined;
  /** The images hold at most so many pages of memory. */
  imagePages: number;
  /** That is so only where the kernel has a zero page. */
  zeroPage: boolean;
  /** The dump may fail with an error line that contains this, instead of carrying it. */
  mayRefuse: string | undefined;
  /** Why /proc shows another state of it from one moment to the next. */
  moves: string | undefined;
  /** Why it is not dumped after a pre-dump. */
  notAfterPreDump: string | undefined;
  /** Why the peer (CRIU 4.2) cannot dump or restore this, where it cannot. */
  peerDump: string | undefined;
  peerRestore: string | undefined;
  /** At most so many milliseconds pass, at random, between ready and dump. */
  delayMs: number;
  /** Options of unshare(1): the namespaces that the root is born in. Its pid is another after each restore then. */
  unshareOptions: string[];
  /** The map of ids, lines of uid_map, where they are to have a user namespace of their own. */
  idMap: string | undefined;
}

/** The names of all fixtures, sorted; FIXTURE=a,b in the environment selects. */
export function fixtureNames(): string[] {
  const names = readdirSync(sourceDir)
    .filter((file) => file.endsWith(".c"))
    .map((file) => file.slice(0, -2))
    .sort();
  const wanted = process.env.FIXTURE?.split(",").filter((name) => name !== "");
  return wanted === undefined ? names : names.filter((name) => wanted.includes(name));
}

/** Reads the directives in the source of a fixture. */
export function directives(name: string): Directives {
  const found: Directives = {
    compilerFlags: [],
    dumpOptions: [],
    restoreOptions: [],
    hugePages: 0,
    transparentHugePages: undefined,
    fails: undefined,
    imagePages: Number.POSITIVE_INFINITY,
    zeroPage: false,
    mayRefuse: undefined,
    moves: undefined,
    notAfterPreDump: undefined,
    peerDump: undefined,
    peerRestore: undefined,
    delayMs: 0,
    unshareOptions: [],
    idMap: undefined,
  };
  const words = (text: string) =>
    text.split(/\s+/).flatMap((word) => (word === "" ? [] : [word.replace("$PROJECT", projectDir)]));
  for (const line of readFileSync(join(sourceDir, `${name}.c`), "utf8").split("\n")) {
    const [, key, value = ""] = line.match(/^\/\/ ([a-z-]+): (.*)$/) ?? [];
    if (key === "cc") found.compilerFlags.push(...words(value));
    else if (key === "dump") found.dumpOptions.push(...words(value));
    else if (key === "restore") found.restoreOptions.push(...words(value));
    else if (key === "unshare") found.unshareOptions.push(...words(value));
    else if (key === "id-map") found.idMap = value.trim();
    else if (key === "hugepages") found.hugePages = Number(value);
    else if (key === "transparent-hugepages") found.transparentHugePages = value.trim();
    else if (key === "fails") found.fails = value.trim();
    else if (key === "image-pages") {
      found.imagePages = Number.parseInt(value, 10);
      found.zeroPage = value.includes("zero page");
    } else if (key === "may-refuse") found.mayRefuse = value.trim();
    else if (key === "moves") found.moves = value.trim();
    else if (key === "not-after-pre-dump") found.notAfterPreDump = value.trim();
    else if (key === "peer-dump") found.peerDump = value.trim();
    else if (key === "peer-restore") found.peerRestore = value.trim();
    else if (key === "delay") found.delayMs = Number(value);
    else if (key !== undefined) throw new Error(`${name}.c: unknown directive "${key}"`);
  }
  // All fixtures, as in a container: FIXTURE_UNSHARE="--pid --mount-proc --uts --ipc", FIXTURE_ID_MAP="0 100000 70000" and
  // FIXTURE_RESTORE="--root /somewhere" with it.
  if (found.unshareOptions.length === 0) {
    found.unshareOptions.push(...words(process.env.FIXTURE_UNSHARE ?? ""));
    found.idMap = process.env.FIXTURE_ID_MAP;
    found.restoreOptions.push(...words(process.env.FIXTURE_RESTORE ?? ""));
  }
  return found;
}

/** The executable of a built fixture. */
export function fixtureProgram(name: string): string {
  return join(buildDir, name);
}

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * Builds the fixtures whose executable is missing or older than the source or a header, on all cores.
 * Throws with the compiler's own words.
 */
export async function buildFixtures(names: string[] = fixtureNames()): Promise<void> {
  mkdirSync(buildDir, { recursive: true });
  const headers = readdirSync(sourceDir).filter((file) => file.endsWith(".h"));
  const headersChanged = Math.max(...headers.map((file) => modified(join(sourceDir, file))));
  const stale = names.filter(
    (name) =>
      modified(fixtureProgram(name)) < Math.max(headersChanged, modified(join(sourceDir, `${name}.c`))),
  );
  const errors: string[] = [];
  const worker = async () => {
    for (let name = stale.shift(); name !== undefined; name = stale.shift()) {
      const target = fixtureProgram(name);
      const aside = `${target}.${process.pid}.tmp`;
      const flags = [...commonFlags, ...directives(name).compilerFlags];
      const source = join(sourceDir, `${name}.c`);
      // Libraries follow the source: the linker takes them in order.
      const cc = Bun.spawn(["cc", ...flags, "-o", aside, source, "-lm", "-lrt"], {
        stdout: "ignore",
        stderr: "pipe",
      });
      const words = await new Response(cc.stderr).text();
      if ((await cc.exited) !== 0) errors.push(words);
      else Bun.spawnSync(["mv", aside, target]);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (errors.length > 0) throw new Error(`fixtures do not compile:\n${errors.join("\n")}`);
}
