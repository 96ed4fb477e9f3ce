/**
 * `npm run bench`: how long dump and restore take, side by side with a peer when CRIU_PEER of the environment names one.
 *
 *     bun scripts/bench.ts [--loaded] [scenario ...]
 *
 * Each scenario is run several times (BENCH_RUNS overrides how often), ours and the peer's in turn, each on a workload
 * started anew; the table has the medians. The peer finds a tmpfs on /run. Beside them stands what a program takes that
 * makes only the system calls which nobody can do without (tests/bench/floor.c), for those whose targets may be out of
 * reach: that depends on the machine. A time is that of the whole command, from its start to its end; CPU time is that of all who take part
 * meanwhile: the tool, its children, and the tree. With --loaded as many processes run in a loop beside as there are processors. Images
 * lie in BENCH_DIR, or where temporary files lie. The exit code tells whether everything worked, not whether targets are met.
 */

import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { projectDir } from "../tests/harness/build.ts";
import {
  adoptOrphans,
  killAll,
  processTree,
  readText,
  threadsOf,
  waitGone,
} from "../tests/harness/processes.ts";
import { ourTool, peerTool, type Tool } from "../tests/harness/tool.ts";
import { benchContainers, type Measured } from "./bench-containers.ts";

interface Scenario {
  name: string;
  title: string;
  /** Workload of tests/bench and its arguments. */
  workload: string[];
  runs: number;
  /** How many times faster than the peer, at least. */
  targets: { dump: number; restore: number };
  /** MiB of memory that each command is to find at hand. */
  atHand?: number;
  /** What the kernel alone is measured at (tests/bench/floor.c): the dump, or the restore as well. */
  floor?: "dump" | "both";
  /** Further options of the commands. */
  options?: { dump: string[]; restore: string[] };
  /** Why the peer is not asked. */
  without?: string;
}

/** What moves a gigabyte finds so much memory at hand, in MiB. */
const AT_HAND = 1280;

const CONNECTED = {
  dump: ["--tcp-established", "--network-lock", "nftables"],
  restore: ["--tcp-established"],
};

const scenarios: Scenario[] = [
  { name: "tiny", title: "tiny process", workload: ["tiny"], runs: 15, targets: { dump: 1, restore: 1 } },
  {
    name: "memory",
    title: "1 GiB, random content",
    workload: ["memory", "1024"],
    runs: 5,
    targets: { dump: 3, restore: 1.3 },
    atHand: AT_HAND,
    floor: "dump",
  },
  {
    name: "threads",
    title: "500 threads",
    workload: ["threads", "500"],
    runs: 7,
    targets: { dump: 5, restore: 2 },
    floor: "dump",
  },
  {
    name: "children",
    title: "200 forked children",
    workload: ["children", "200"],
    runs: 5,
    targets: { dump: 5, restore: 2 },
    floor: "dump",
  },
  {
    name: "files",
    title: "1000 open files",
    workload: ["files", "1000"],
    runs: 9,
    targets: { dump: 1.5, restore: 1.5 },
    floor: "both",
  },
  {
    name: "unix",
    title: "1000 Unix sockets",
    workload: ["unix", "1000"],
    runs: 9,
    targets: { dump: 1.5, restore: 1.5 },
  },
  {
    name: "epoll",
    title: "10000 epoll registrations",
    workload: ["epoll", "10000"],
    runs: 9,
    targets: { dump: 1.5, restore: 1.5 },
  },
  {
    name: "ptys",
    title: "100 pseudo-terminals",
    workload: ["ptys", "100"],
    runs: 9,
    targets: { dump: 1.5, restore: 1.5 },
  },
  {
    name: "connections",
    title: "200 TCP connections",
    workload: ["connections", "200"],
    runs: 7,
    targets: { dump: 1.5, restore: 1.5 },
    options: CONNECTED,
  },
  {
    name: "connections",
    title: "1000 TCP connections",
    workload: ["connections", "1000"],
    runs: 7,
    targets: { dump: 1.5, restore: 1.5 },
    options: CONNECTED,
    without: "with more than 1024 descriptors CRIU 4.2 ends at its lock (FD_SETSIZE of libnftables)",
  },
  {
    name: "listeners",
    title: "1000 sockets that listen",
    workload: ["listeners", "1000"],
    runs: 7,
    targets: { dump: 1.5, restore: 1.5 },
  },
];
const freezeRuns = 5;
const containerRuns = 7;

const sourceDir = join(projectDir, "tests/bench");
const programDir = join(projectDir, "build/bench");
const words = process.argv.slice(2);
const isLoaded = words.includes("--loaded");
const selected = words.filter((word) => word !== "--loaded");
const wanted = (name: string) => selected.length === 0 || selected.includes(name);
const runsOf = (usual: number) => Number(process.env.BENCH_RUNS ?? usual);

class BenchFailed extends Error {}

interface Contender {
  name: "ours" | "peer" | "floor";
  tool: Tool;
}

const modified = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function buildWorkloads(): void {
  mkdirSync(programDir, { recursive: true });
  const header = modified(join(sourceDir, "workload.h"));
  for (const file of new Bun.Glob("*.c").scanSync(sourceDir)) {
    const [source, target] = [join(sourceDir, file), join(programDir, file.slice(0, -2))];
    if (modified(target) > Math.max(modified(source), header)) continue;
    const cc = Bun.spawnSync(["cc", "-O2", "-Wall", "-Werror", "-pthread", "-o", target, source]);
    if (!cc.success) throw new BenchFailed(`${file} does not compile:\n${cc.stderr}`);
  }
}

/** Starts a workload in a session of its own in `dir`, and waits until it is ready: its pid. */
async function start(dir: string, [program = "", ...args]: string[]): Promise<number> {
  mkdirSync(dir, { recursive: true });
  const printed = openSync(join(dir, "printed"), "w");
  const child = Bun.spawn(["setsid", join(programDir, program), ...args], {
    cwd: dir,
    stdio: ["ignore", printed, printed],
  });
  closeSync(printed);
  for (const end = Date.now() + 60_000; !existsSync(join(dir, "ready")); await Bun.sleep(1)) {
    if (child.exitCode !== null || Date.now() > end)
      throw new BenchFailed(`${program} does not get ready: ${readText(join(dir, "printed"))}`);
  }
  // Let the last of its tasks fall asleep.
  await Bun.sleep(20);
  return child.pid;
}

/** Sees to it that a measurement is not one of how fast the host of a virtual machine gives it memory. */
function haveMemoryAtHand(mebibytes: number): void {
  const touched = Bun.spawnSync([join(programDir, "touch"), String(mebibytes)]);
  if (!touched.success) throw new BenchFailed(`there are no ${mebibytes} MiB of memory`);
}

/** A control group of the bench's own, with all that it starts: its CPU time is that of all who take part. */
class CpuGroup {
  readonly #path: string;

  constructor(private readonly parent: string) {
    this.#path = join(parent, `criu-ts-bench-${process.pid}`);
    mkdirSync(this.#path);
    writeFileSync(join(this.#path, "cgroup.procs"), String(process.pid));
  }

  /** Below our own group, of whatever version; undefined where there is none. */
  static make(): CpuGroup | undefined {
    const groups = (readText("/proc/self/cgroup") ?? "").split("\n").map((line) => line.split(":"));
    const mounts = (readText("/proc/self/mounts") ?? "").split("\n").map((line) => line.split(" "));
    for (const [, at = "", type, options = ""] of mounts) {
      const isV1 = type === "cgroup" && options.split(",").includes("cpuacct");
      const own = groups.find(([, names = ""]) =>
        isV1 ? names.split(",").includes("cpuacct") : names === "",
      );
      if (own === undefined || !(isV1 || type === "cgroup2")) continue;
      try {
        return new CpuGroup(join(at, own[2] ?? "/"));
      } catch {}
    }
    return undefined;
  }

  /** Milliseconds used so far. */
  used(): number {
    const nanoseconds = readText(join(this.#path, "cpuacct.usage"));
    if (nanoseconds !== undefined) return Number(nanoseconds) / 1e6;
    const [, microseconds] = /^usage_usec (\d+)$/m.exec(readText(join(this.#path, "cpu.stat")) ?? "") ?? [];
    return Number(microseconds) / 1e3;
  }

  [Symbol.dispose](): void {
    writeFileSync(join(this.parent, "cgroup.procs"), String(process.pid));
    rmdirSync(this.#path);
  }
}

/** Runs one command of a tool. */
function measure(tool: Tool, command: string, images: string, args: string[]): Measured {
  const log = `${command}.log`;
  return measureWords([...tool, command, "-D", images, "-o", log, ...args], images, command, log);
}

/**
 * Runs a command by `measure`, whose words are in tests/bench/measure.c; what it prints, and the log that it writes, stand in a
 * directory.
 */
function measureWords(
  words: readonly string[],
  images: string,
  command: string,
  log: string,
  environment?: Record<string, string>,
): Measured {
  mkdirSync(images, { recursive: true });
  const [result, printedFile] = [join(images, "measured"), join(images, `${command}.out`)];
  const printed = openSync(printedFile, "w");
  const usedBefore = cpuGroup?.used() ?? Number.NaN;
  Bun.spawnSync([join(programDir, "measure"), result, ...words], {
    stdio: ["ignore", printed, printed],
    ...(environment && { env: environment }),
  });
  const cpuMilliseconds = (cpuGroup?.used() ?? Number.NaN) - usedBefore;
  closeSync(printed);
  const [nanoseconds = Number.NaN, exitCode, peakKiB = 0] = readFileSync(result, "utf8")
    .split(" ")
    .map(Number);
  if (exitCode !== 0) {
    const text = `${readText(join(images, log)) ?? ""}\n${readText(printedFile)}`.trim().split("\n");
    const errors = text.filter((line) => /Error/.test(line));
    throw new BenchFailed(
      `${command} ended with ${exitCode}: ${(errors.length > 0 ? errors : text).slice(0, 3).join("\n    ")}`,
    );
  }
  return { milliseconds: nanoseconds / 1e6, cpuMilliseconds, peakMiB: peakKiB / 1024 };
}

const shape = (root: number) => {
  const tree = processTree(root);
  return `${tree.length} processes, ${tree.reduce((sum, pid) => sum + threadsOf(pid).length, 0)} threads`;
};

/** Dumps a workload, and restores it where `withRestore` says so. */
async function dumpAndRestore(
  dir: string,
  tool: Tool,
  scenario: Scenario,
  withRestore: boolean,
): Promise<{ dump: Measured; restore?: Measured }> {
  const images = join(dir, "images");
  let members: number[] = [];
  try {
    const root = await start(dir, scenario.workload);
    members = processTree(root);
    const before = shape(root);
    const { atHand } = scenario;
    if (atHand !== undefined) haveMemoryAtHand(atHand);
    const dumped = measure(tool, "dump", images, ["-t", String(root), ...(scenario.options?.dump ?? [])]);
    const left = await waitGone(members, 5000);
    if (left.length > 0) throw new BenchFailed(`after the dump ${left.length} processes live`);
    if (!withRestore) return { dump: dumped };
    if (atHand !== undefined) haveMemoryAtHand(atHand);
    const restored = measure(tool, "restore", images, ["-d", ...(scenario.options?.restore ?? [])]);
    if (shape(root) !== before) throw new BenchFailed(`restored: ${shape(root)} instead of ${before}`);
    return { dump: dumped, restore: restored };
  } finally {
    await killAll(members);
    rmSync(dir, { recursive: true, force: true });
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = low] = sorted.slice((sorted.length - 1) >> 1, middle + 1);
  return (low + high) / 2;
}

type Values = Record<Contender["name"], number[]>;

const noValues = (): Values => ({ ours: [], peer: [], floor: [] });

interface Row {
  what: string;
  unit: "ms" | "MiB";
  values: Values;
  /** CPU time in milliseconds. */
  cpu: Values;
  /** The ratio peer/ours that is wanted, or a judgement of its own with its words. */
  target?: number;
  judge?: { text: string; met: boolean };
}

const rows: Row[] = [];
const problems: string[] = [];
const newRow = (what: string, unit: Row["unit"], target?: number): Row => ({
  what,
  unit,
  values: noValues(),
  cpu: noValues(),
  ...(target === undefined ? {} : { target }),
});
const row = (what: string, unit: Row["unit"], target?: number): Row => {
  const made = newRow(what, unit, target);
  rows.push(made);
  return made;
};

/** The row of a name, made where it is not there yet. */
const rowOf = (what: string): Row => rows.find((each) => each.what === what) ?? row(what, "ms");

/** Runs `once` in turn for each contender, the first one changing; one who has failed is not asked again. */
async function inTurn(
  what: string,
  contenders: Contender[],
  runs: number,
  once: (contender: Contender, run: number) => Promise<void>,
): Promise<void> {
  const failed = new Set<string>();
  for (let run = 0; run < runs; run++) {
    for (const contender of run % 2 === 0 ? contenders : contenders.toReversed()) {
      if (failed.has(contender.name)) continue;
      try {
        await once(contender, run);
      } catch (error) {
        if (!(error instanceof BenchFailed)) throw error;
        failed.add(contender.name);
        problems.push(`${what}, ${contender.name}: ${error.message}`);
      }
    }
  }
}

/** The longest time that a 1 GiB process could not run while it was dumped with -R, at once and on top of a pre-dump. */
async function freeze(dir: string, contenders: Contender[]): Promise<void> {
  const at = (leaf: string) => join(dir, leaf);
  let root = 0;
  /** Does something to the process; notes how long that took, and the process stood. */
  const noted = async (
    what: string,
    { name, tool }: Contender,
    command: string,
    images: string,
    words: string[],
  ) => {
    const frozen = rowOf(`${what}: frozen`);
    const whole = rowOf(`${what}: whole`);
    haveMemoryAtHand(AT_HAND);
    const file = openSync(at("gap"), "r+");
    writeFileSync(file, new BigInt64Array(1));
    closeSync(file);
    const took = measure(tool, command, at(images), ["-t", String(root), ...words]);
    await Bun.sleep(20);
    whole.values[name].push(took.milliseconds);
    whole.cpu[name].push(took.cpuMilliseconds);
    frozen.values[name].push(Number(readFileSync(at("gap")).readBigInt64LE()) / 1e6);
  };
  try {
    root = await start(dir, ["ticking", "1024"]);
    const plain = "1 GiB dumped with -R";
    await inTurn(plain, contenders, runsOf(freezeRuns), async (contender) => {
      await noted(plain, contender, "dump", "images", ["-R"]);
      rmSync(at("images"), { recursive: true });
    });
    const above = "1 GiB dumped with -R on top of a pre-dump";
    await inTurn(above, contenders, runsOf(freezeRuns), async (contender) => {
      await noted("1 GiB pre-dumped", contender, "pre-dump", "before", ["--track-mem"]);
      await noted(above, contender, "dump", "images", [
        "-R",
        "--track-mem",
        "--prev-images-dir",
        "../before",
      ]);
      for (const images of ["before", "images"]) rmSync(at(images), { recursive: true });
    });
  } finally {
    if (root > 0) await killAll(processTree(root));
    rmSync(dir, { recursive: true, force: true });
  }
}

function fileSystemOf(path: string): string {
  const mounts = (readText("/proc/self/mounts") ?? "").split("\n").map((line) => line.split(" "));
  const holding = mounts
    .filter(([, at = ""]) => at === "/" || path === at || path.startsWith(`${at}/`))
    .sort(([, a = ""], [, b = ""]) => a.length - b.length);
  return holding.at(-1)?.[2] ?? "unknown";
}

const load = () => readText("/proc/loadavg")?.split(" ")[0] ?? "unknown";

function describe(contenders: Contender[], dir: string): void {
  for (const { name, tool } of contenders) {
    const said = Bun.spawnSync([...tool, "--version"])
      .stdout.toString()
      .trim()
      .split("\n");
    console.log(`${name}: ${tool.join(" ")} (${said.join(", ")})`);
  }
  if (contenders.length === 1) console.log("peer: none; CRIU_PEER of the environment would name one");
  const runIsTmpfs = fileSystemOf("/run") === "tmpfs";
  console.log(
    `/run: ${runIsTmpfs ? "" : "not "}on tmpfs, so CRIU ${runIsTmpfs ? "keeps its feature cache" : "probes the kernel at every start"}`,
  );
  const [cpu] = cpus();
  console.log(`machine: ${cpus().length} x ${cpu?.model.trim()}, Linux ${release()}, load ${load()}`);
  console.log(
    `images: ${dir} (${fileSystemOf(dir)})${isLoaded ? `; beside ${cpus().length} processes in a loop` : ""}\n`,
  );
}

function printTable(): void {
  const fixed = (value: number) => value.toFixed(value < 100 ? 1 : 0);
  const lines = [["", "ours", "CPU", "peer", "CPU", "kernel alone", "ratio", "target", ""]];
  for (const { what, unit, values, cpu, target, judge } of rows) {
    const [ours, peer] = [median(values.ours), median(values.peer)];
    const text = (all: number[]) =>
      all.length === 0 ? "-" : `${fixed(median(all))} (${fixed(Math.min(...all))}) ${unit}`;
    const cpuText = (all: number[]) => (all.length === 0 ? "" : `${fixed(median(all))} ms`);
    const ratio = peer / ours;
    const known = !Number.isNaN(ratio);
    const met = judge?.met ?? (target === undefined || !known ? undefined : ratio >= target);
    // Nobody gets there by those calls.
    const beyond = target !== undefined && median(values.floor) > peer / target;
    lines.push([
      what,
      text(values.ours),
      cpuText(cpu.ours),
      text(values.peer),
      cpuText(cpu.peer),
      values.floor.length === 0 ? "" : text(values.floor),
      known ? `${ratio.toFixed(2)}x` : "-",
      judge?.text ?? (target === undefined ? "" : `${target}x`),
      met === undefined ? "" : met ? "met" : beyond ? "NOT MET, the kernel alone takes longer" : "NOT MET",
    ]);
  }
  const titles = lines[0] ?? [];
  const widths = titles.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  for (const cells of lines) {
    const padded = cells.map((cell, at) =>
      at === 0 || at === titles.length - 1 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
    );
    console.log(padded.join("   ").trimEnd());
  }
}

if (process.getuid?.() !== 0) {
  console.error("bench: needs root");
  process.exit(1);
}
if (peerTool() !== undefined && fileSystemOf("/run") !== "tmpfs") {
  // CRIU keeps there what it has found out about the kernel, on a tmpfs alone: it gets one, in mounts of the bench's own.
  const again = ["mount -t tmpfs run /run", 'exec "$@"'].join(" && ");
  const command = ["unshare", "-m", "sh", "-c", again, "sh", process.execPath, import.meta.path, ...words];
  process.exit(Bun.spawnSync(command, { stdio: ["ignore", "inherit", "inherit"] }).exitCode);
}
adoptOrphans();
// Before the group is made, so that they are not of it.
const busy = isLoaded ? cpus().map(() => Bun.spawn(["sh", "-c", "while :; do :; done"])) : [];
const cpuGroup = CpuGroup.make();
const dir = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "criu-ts-bench-"));
const peer = peerTool();
const floor: Contender = { name: "floor", tool: [join(programDir, "floor")] };
const contenders: Contender[] = [
  { name: "ours", tool: ourTool() },
  ...(peer === undefined ? [] : [{ name: "peer" as const, tool: peer }]),
];
try {
  buildWorkloads();
  describe(contenders, dir);
  const peaks: Row[] = [];
  for (const scenario of scenarios.filter(({ name }) => wanted(name))) {
    const dumps = row(`${scenario.title}: dump`, "ms", scenario.targets.dump);
    const restores = row(`${scenario.title}: restore`, "ms", scenario.targets.restore);
    const peakOf = (what: string) => newRow(`${scenario.title}: peak memory of ${what}`, "MiB");
    const [dumpPeaks, restorePeaks] = [peakOf("dump"), peakOf("restore")];
    // The first round warms caches and is not counted.
    const able =
      scenario.without === undefined ? contenders : contenders.filter(({ name }) => name === "ours");
    if (able.length < contenders.length)
      console.log(`${scenario.title}: not by the peer: ${scenario.without}`);
    const measured = scenario.floor === undefined ? able : [...able, floor];
    await inTurn(scenario.title, measured, runsOf(scenario.runs) + 1, async ({ name, tool }, run) => {
      const withRestore = name !== "floor" || scenario.floor === "both";
      const place = join(dir, `${scenario.name}-${name}`);
      const { dump: dumped, restore: restored } = await dumpAndRestore(place, tool, scenario, withRestore);
      if (run === 0) return;
      dumps.values[name].push(dumped.milliseconds);
      dumps.cpu[name].push(dumped.cpuMilliseconds);
      dumpPeaks.values[name].push(dumped.peakMiB);
      if (restored === undefined) return;
      restores.values[name].push(restored.milliseconds);
      restores.cpu[name].push(restored.cpuMilliseconds);
      restorePeaks.values[name].push(restored.peakMiB);
    });
    if (scenario.name === "tiny" || scenario.name === "memory") peaks.push(dumpPeaks, restorePeaks);
  }
  await benchContainers({
    wanted,
    contenders: contenders.map(({ name }) => name),
    measure: (words, images, command, environment) =>
      measureWords(words, images, command, `${command}.log`, environment),
    async rounds(title, once) {
      const [dumps, restores] = [row(`${title}: dump`, "ms", 1), row(`${title}: restore`, "ms", 1)];
      await inTurn(title, contenders, runsOf(containerRuns) + 1, async ({ name }, run) => {
        const { dump: dumped, restore: restored } = await once(name);
        if (run === 0) return;
        for (const [to, { milliseconds, cpuMilliseconds }] of [
          [dumps, dumped],
          [restores, restored],
        ] as const) {
          to.values[name].push(milliseconds);
          to.cpu[name].push(cpuMilliseconds);
        }
      });
    },
  });
  if (wanted("freeze")) await freeze(join(dir, "freeze"), contenders);
  // Peak memory does not grow with what is dumped: 1 GiB may cost 16 MiB more than nothing.
  const [tinyDump, tinyRestore, bigDump, bigRestore] = peaks;
  for (const [tiny, big] of [
    [tinyDump, bigDump],
    [tinyRestore, bigRestore],
  ])
    if (tiny !== undefined && big !== undefined && big.values.ours.length > 0)
      big.judge = {
        text: "as tiny + 16",
        met: median(big.values.ours) <= median(tiny.values.ours) + 16,
      };
  rows.push(...peaks);
  printTable();
  console.log(
    `\nMedians (and the least of all runs); ratio is the peer's median by ours. Load in the end: ${load()}`,
  );
} catch (error) {
  if (!(error instanceof BenchFailed)) throw error;
  problems.push(error.message);
} finally {
  for (const each of busy) each.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
  cpuGroup?.[Symbol.dispose]();
}
for (const problem of problems) console.error(`failed: ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);
