/**
 * The rules of the source, of which docs/architecture.md tells: imports point down only and in no circle, nothing but main.ts knows
 * warm/, and nothing is used that the warm executable forbids. Part of `npm run check`; prints what breaks a rule, and where.
 *
 * What a program of the executable's keeps from one run to the next is in ALLOWED, each with the reason why it may.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The layers, from the lowest up: folders and files of src/. What is in a layer may import from those below it. */
const LAYERS: readonly (readonly string[])[] = [
  ["machine"],
  ["linux"],
  ["events.ts", "event-channel.ts", "log.ts", "faults.ts", "options.ts", "version.ts"],
  ["undo"],
  ["plugins"],
  ["images"],
  ["stats.ts", "stats-display.ts", "pidfile.ts", "progress.ts"],
  ["tracee"],
  // These four know each other; between their folders there is no circle either.
  ["process", "memory", "files", "namespaces"],
  ["cgroups", "migrate"],
  ["check", "crit"],
  // The procedures: whatever else stands in src/ itself.
  ["dump.ts", "saving.ts", "restore.ts", "restoration.ts"],
  ["cli", "rpc"],
  ["warm"],
  ["library"],
  ["index.ts", "main.ts"],
];

/** Words that are not to be used in the program: what they know is of the process that the executable was made of. */
const FORBIDDEN: readonly (readonly [pattern: RegExp, why: string])[] = [
  [
    /\bprocess\.(env|argv|cwd\(|chdir|ppid|title|on\b|once\b|nextTick|stdin|stdout|stderr|hrtime|memoryUsage)/,
    "is of the process that was started first: see linux/ourselves.ts",
  ],
  [
    /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\(/,
    "needs the event loop, which there is none of",
  ],
  [
    /\bBun\.(spawnSync|spawn|sleepSync|sleep|file|write|serve|listen|connect|stdin|stdout|stderr|argv|env|main|\$)/,
    "needs the runtime's own machinery",
  ],
  [
    /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(/,
    "is a clock or a chance of the runtime's: ask the kernel",
  ],
  [/\bnew (Worker|WebSocket)\(/, "needs the event loop, which there is none of"],
];

interface Exception {
  /** How the line of a problem begins that is none. */
  readonly of: string;
  readonly why: string;
}

const allow = (why: string, ...of: string[]): Exception[] => of.map((each) => ({ of: each, why }));

/** To be made shorter. */
const ALLOWED: readonly Exception[] = [
  ...allow(
    "made by the build, which runs once, cold, by the runtime's own means",
    "src/warm/make.ts: node:",
    "src/warm/program.ts: Bun.sleepSync",
  ),
  ...allow(
    "the library's, for any runtime; the executable does not load it",
    "src/read-images.ts: node:fs",
    "src/library/",
  ),
  ...allow(
    "before anything else: it asks whether there is anything to do",
    "src/main.ts: process.argv",
    "src/main.ts: process.env",
  ),
  ...allow("where the kernel's answer is not known to be another", "src/linux/ourselves.ts: process.env"),
  ...allow(
    "code for a vDSO is machine code; struct() is all that it takes",
    "src/machine/vdso.ts imports src/linux/struct.ts, which is above it",
  ),
];

/** Errors of other programs than the executable, or the family itself. */
const OTHER_ERRORS: readonly Exception[] = [
  ...allow("the family", "src/linux/base-error.ts: BaseError:"),
  ...allow(
    "crit has no log and no answers: a line, and how it is used",
    "src/crit/error.ts: CritError:",
    "src/crit/command-line.ts: UsageError:",
  ),
];

/** Module variables that may be: `file: name`. They hold nothing of the machine or of a run, or are set by every run. */
const KEPT: readonly Exception[] = [
  ...allow(
    "the log begins with every run, and ends with it",
    ...[
      "level",
      "opened",
      "fd",
      "start",
      "output",
      "perPid",
      "perPidFds",
      "early",
      "earlySize",
      "earlyLost",
    ].map((name) => `src/log.ts: ${name}:`),
    "src/log.ts: holding:",
    "src/log.ts: hasStatus:",
    "src/log.ts: firstErrorText:",
  ),
  ...allow(
    "armed by the environment of every run",
    "src/event-channel.ts: fd:",
    "src/faults.ts: wanted:",
    "src/faults.ts: untilFault:",
    "src/faults.ts: oneByOne:",
    "src/linux/instants.ts: untilDeath:",
  ),
  ...allow(
    "memory of ours that is written before it is read",
    "src/linux/io.ts: whole:",
    "src/linux/io.ts: wholeAddress:",
    "src/linux/struct.ts: lastViewed:",
    "src/linux/struct.ts: lastView:",
    "src/linux/memory.ts: scattered:",
    "src/linux/memory.ts: zeros:",
    "src/images/write-behind.ts: pending:",
    "src/files/open-many.ts: own:",
    "src/memory/transfer-jobs.ts: jobs:",
    "src/memory/compare-pages.ts: windows:",
  ),
  ...allow(
    "code of ours, which is in the executable with what points to it",
    "src/linux/cpuid.ts: native:",
    "src/linux/own-table.ts: native:",
    "src/linux/ticks.ts: handler:",
    "src/linux/syscall.ts: codeUsed:",
    "src/linux/text.ts: strictDecoder:",
  ),
  ...allow(
    "what is made of the same bytes or of the same table is the same in every run",
    "src/images/wire.ts: kept:",
    "src/images/wire.ts: lastRead:",
    "src/linux/proc.ts: flagSets:",
    "src/linux/proc.ts: knownMappings:",
    "src/linux/signal.ts: places:",
    "src/process/registers.ts: made:",
    "src/tracee/table/table.ts: sharedCalls:",
    "src/tracee/table/table.ts: wantedOnce:",
    "src/check/cpuinfo.ts: features:",
  ),
  ...allow(
    "of one directory of images, and gone with it",
    "src/memory/shmem.ts: ids:",
    "src/memory/page-sink.ts: sinks:",
    "src/memory/pages.ts: lastPagesId:",
  ),
  ...allow(
    "it tells the runs apart, and who we are in each",
    "src/linux/once-per-run.ts: run:",
    "src/linux/ourselves.ts: environmentAt:",
  ),
  ...allow("set when a run begins", "src/main.ts: args:"),
];

const SOURCE = /\.ts$/;
const NO_SOURCE = /\.test(-support)?\.ts$/;

/** The sources of the program under src/ of `dir`, by their paths from there. */
export function sourcesOf(dir: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(join(dir, "src"), { recursive: true, encoding: "utf8" })) {
    if (!SOURCE.test(name) || NO_SOURCE.test(name)) continue;
    found.set(`src/${name}`, readFileSync(join(dir, "src", name), "utf8"));
  }
  return found;
}

/** All that breaks a rule and is no exception, a line each, and exceptions that there is no need for any more. */
export function problemsOf(
  sources: ReadonlyMap<string, string>,
  exceptions: readonly Exception[] = [...ALLOWED, ...OTHER_ERRORS, ...KEPT],
): string[] {
  const all = allProblemsOf(sources);
  return [
    ...all.filter((problem) => !exceptions.some(({ of }) => problem.startsWith(of))),
    ...exceptions
      .filter(({ of }) => !all.some((problem) => problem.startsWith(of)))
      .map(({ of }) => `no exception any more, to be struck from scripts/check-house.ts: ${of}`),
  ];
}

function allProblemsOf(sources: ReadonlyMap<string, string>): string[] {
  const imports = new Map([...sources].map(([path, text]) => [path, importsOf(path, text)]));
  return [
    ...[...imports].flatMap(([path, targets]) => targets.flatMap((target) => wrongWay(path, target) ?? [])),
    ...circlesIn(imports).map((circle) => `a circle of imports: ${circle.join(" -> ")}`),
    ...circlesIn(foldersOf(imports)).map((circle) => `a circle of folders: ${circle.join(" -> ")}`),
    ...[...sources].flatMap(([path, text]) => forbiddenIn(path, text)),
  ];
}

const IMPORT = /(?:^(?:import|export)\b[^;"]*?\bfrom\s*|^import\s*|\bimport\(\s*)"(\.[^"]+)"/gm;

/** What a file imports of ours, for types too and when it is needed. */
function importsOf(path: string, text: string): string[] {
  const all = [...text.matchAll(IMPORT)].map(([, target = ""]) => normalize(join(dirname(path), target)));
  return [...new Set(all)].filter((target) => SOURCE.test(target));
}

/** What a path is called among the layers: its folder, or itself where it stands in src/. */
function folderOf(path: string): string {
  return path.split("/")[1] ?? path;
}

function layerOf(folder: string): number {
  const layer = LAYERS.findIndex((folders) => folders.includes(folder));
  // Whatever else stands in src/ itself is a procedure.
  return layer < 0 && SOURCE.test(folder) ? layerOf("dump.ts") : layer;
}

function wrongWay(path: string, target: string): string | undefined {
  const [from, to] = [folderOf(path), folderOf(target)];
  if (from === to) return undefined;
  if (layerOf(from) < 0) return `${path}: src/${from}/ has no layer: see LAYERS in scripts/check-house.ts`;
  if (to === "warm" && from !== "main.ts") return `${path} imports ${target}, which main.ts alone may know`;
  if (layerOf(to) > layerOf(from)) return `${path} imports ${target}, which is above it`;
  return undefined;
}

/** The same arrows between folders that are in one layer. */
function foldersOf(imports: ReadonlyMap<string, readonly string[]>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [path, targets] of imports) {
    const from = folderOf(path);
    const list = found.get(from) ?? [];
    for (const to of targets.map(folderOf)) if (to !== from && layerOf(to) === layerOf(from)) list.push(to);
    found.set(from, list);
  }
  return found;
}

/** Circles, each once, from the name that comes first in the alphabet. */
function circlesIn(arrows: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles = new Map<string, string[]>();
  const done = new Set<string>();
  const walk = (at: string, way: string[]): void => {
    const from = way.indexOf(at);
    if (from >= 0) {
      const circle = way.slice(from);
      const first = circle.indexOf(circle.toSorted()[0] ?? at);
      const turned = [...circle.slice(first), ...circle.slice(0, first)];
      circles.set(turned.join(), [...turned, turned[0] ?? at]);
    }
    if (from >= 0 || done.has(at)) return;
    for (const next of arrows.get(at) ?? []) walk(next, [...way, at]);
    done.add(at);
  };
  for (const start of arrows.keys()) walk(start, []);
  return [...circles.values()];
}

const transpiler = new Bun.Transpiler({ loader: "ts" });
const RUNTIME = /(?:^(?:import|export)\b[^;"]*?\bfrom\s*|^import\s*|\bimport\(\s*)"((?:node|bun):?[^"]*)"/gm;
/** A variable of a module, or a collection that begins empty and may be filled: what stands at the beginning of a line. */
const VARIABLE = /^(?:export )?(?:let|var) (\w+)/gm;
const COLLECTION =
  /^(?:export )?const (\w+)(?:: (?!Readonly)[^=]*)? = new (?:Map|Set|WeakMap|WeakSet)(?:<.*>)?\(\);$/gm;

const APART = /\bclass (\w+) extends Error\b/g;

/** What the warm executable forbids, and errors that nobody could make an answer of. */
function forbiddenIn(path: string, text: string): string[] {
  const modules = [...text.matchAll(RUNTIME)].map(
    ([, name]) => `${path}: ${name}: takes a start 1 ms and more`,
  );
  // Without comments and types.
  const code = transpiler.transformSync(text);
  const words = FORBIDDEN.flatMap(([pattern, why]) => {
    const found = [...code.matchAll(new RegExp(pattern, "g"))];
    return found.map(([word]) => `${path}: ${word.replace(/\($/, "")}: ${why}`);
  });
  const apart = [...text.matchAll(APART)].map(
    ([, name]) => `${path}: ${name}: an error that is not of the family: see linux/base-error.ts`,
  );
  const state = [VARIABLE, COLLECTION].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(
      ([, name]) => `${path}: ${name}: a variable of a module outlives its run: see linux/once-per-run.ts`,
    ),
  );
  return [...new Set([...modules, ...words, ...apart, ...state])];
}

if (import.meta.main) {
  const problems = problemsOf(sourcesOf(join(import.meta.dirname, "..")));
  for (const problem of problems) console.error(problem);
  process.exit(problems.length === 0 ? 0 : 1);
}
