/**
 * Restores mutants, one for each line on standard input, and answers each with a line on standard output that begins
 * with an @. Runs as the first process of a pid namespace in which there is nobody else, on files that may perish: see
 * jail.ts.
 *
 *     bun tests/fuzz/worker.ts SCRATCH STATE_COPIES TOOL
 */

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Actions } from "../../src/actions.ts";
import { readCommandLine } from "../../src/cli/command-line.ts";
import { BaseError } from "../../src/linux/base-error.ts";
import { NEW } from "../../src/linux/clone.ts";
import { NETLINK, Netlink } from "../../src/linux/netlink.ts";
import { NR } from "../../src/linux/nr.ts";
import { syscall } from "../../src/linux/syscall.ts";
import { openLog } from "../../src/log.ts";
import { setUp } from "../../src/namespaces/net/devices.ts";
import { ourLock } from "../../src/namespaces/net/lock.ts";
import { OUR_NETWORK } from "../../src/namespaces/net/network.ts";
import type { NetworkLock } from "../../src/namespaces/network-lock.ts";
import { restore } from "../../src/restore.ts";
import { processState, readText, reap } from "../harness/processes.ts";
import { listing } from "../harness/witness.ts";
import type { Answer, Order } from "./jail.ts";
import { type Images, mutate } from "./mutate.ts";

const NOTHING = /$^/;
/** Connections are restored: nothing of them leaves the namespace. */
const HOW = ["-d", "-s", "--tcp-established"];
/** The index of the device that every network namespace has. */
const LOOPBACK = 1;

const [scratch = "", stateCopies = "", ...tool] = process.argv.slice(2);
openLog({ output: "/dev/null" });

/** A network namespace where nobody has been, and where nothing passes, as a dump leaves it. */
class FreshNetwork implements Disposable {
  readonly #lock: NetworkLock;

  constructor() {
    syscall("of a network", NR.unshare, NEW.NET);
    using route = Netlink.open(NETLINK.ROUTE);
    setUp(route, LOOPBACK, true, "lo");
    this.#lock = ourLock("fuzz", { ...OUR_NETWORK, isOurs: false });
    this.#lock.prepare([]);
    this.#lock.lock();
  }

  /** Connections that nobody has, in whatever state, and others. */
  get sockets(): string[] {
    return ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"].flatMap((kind) =>
      (readText(`/proc/thread-self/net/${kind}`) ?? "")
        .trim()
        .split("\n")
        .slice(1)
        .map((line) => `${kind} ${line.trim()}`),
    );
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

/** Base directories by their path: in memory, and in the scratch as they were at first. */
const bases = new Map<string, { images: Images; dir: string; dirty: Set<string> }>();

function baseOf(path: string) {
  let base = bases.get(path);
  if (base === undefined) {
    const dir = join(scratch, `images-${bases.size}`);
    cpSync(path, dir, { recursive: true });
    const names = readdirSync(path)
      .filter((name) => name.endsWith(".img"))
      .sort();
    const images = new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(path, name)))]));
    base = { images, dir, dirty: new Set() };
    bases.set(path, base);
  }
  return base;
}

/** Everybody here but us. */
function others(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number);
}

function alive(): number[] {
  return others().filter((pid) => !["Z", "X", undefined].includes(processState(pid)));
}

async function killOthers(): Promise<void> {
  for (let round = 0; round < 3000; round++) {
    const left = others();
    if (left.length === 0) return;
    for (const pid of left) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {}
      reap(pid);
    }
    if (round > 2) await Bun.sleep(1);
  }
  throw new Error(`cannot be killed: ${others()}`);
}

const errorLine = /^(\(\d+\.\d+\) )? *(\d+: )?Error \(/;

function restoreOutside(dir: string): Pick<Answer, "outcome" | "text"> {
  const command = [...tool, "restore", ...HOW, "-D", dir, "-W", scratch];
  const { exitCode, signalCode, stderr, exitedDueToTimeout } = Bun.spawnSync(command, {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 8000,
    killSignal: "SIGKILL",
  });
  const text = stderr.toString().trim();
  if (exitedDueToTimeout) return { outcome: "hang", text: `no end after 8 s ${text}` };
  if (signalCode !== undefined) return { outcome: "crash", text: `${signalCode} ${text}` };
  if (exitCode === 0) return { outcome: "restored", text };
  const lines = text.split("\n").filter((line) => !/^Warn /.test(line));
  const clear = exitCode === 1 && lines.length === 1 && errorLine.test(lines[0] ?? "");
  if (!clear || /\b(TypeError|RangeError|undefined is not|is not a function|null is not)\b/.test(text))
    return { outcome: "unclear", text: `exit code ${exitCode}: ${text}` };
  return { outcome: "refused", text };
}

async function restoreInside(dir: string): Promise<Pick<Answer, "outcome" | "text">> {
  const request = readCommandLine(["restore", ...HOW, "-D", dir, "-W", scratch, "--no-default-config"], {});
  if (request === "version" || "help" in request) throw new Error("no request");
  try {
    await restore(request.options, new Actions([], dir));
    return { outcome: "restored", text: "" };
  } catch (error) {
    if (error instanceof BaseError) return { outcome: "refused", text: error.message };
    return {
      outcome: "unclear",
      text: error instanceof Error ? (error.stack ?? "") + error.message : String(error),
    };
  }
}

async function answer({ base: path, stateDir, seed, outside }: Order): Promise<Answer> {
  const base = baseOf(path);
  for (const name of base.dirty) {
    const bytes = base.images.get(name);
    if (bytes === undefined) unlinkSync(join(base.dir, name));
    else writeFileSync(join(base.dir, name), bytes);
  }
  base.dirty.clear();
  const { images, story } = mutate(base.images, seed);
  for (const [name, bytes] of images) {
    if (base.images.get(name) === bytes) continue;
    base.dirty.add(name);
    writeFileSync(join(base.dir, name), bytes);
  }
  for (const name of base.images.keys()) {
    if (images.has(name)) continue;
    base.dirty.add(name);
    rmSync(join(base.dir, name));
  }
  const before = listing(stateDir, NOTHING) + listing(scratch, NOTHING);
  using network = new FreshNetwork();
  const fds = readdirSync("/proc/self/fd").length;
  const start = performance.now();
  let { outcome, text } = outside ? restoreOutside(base.dir) : await restoreInside(base.dir);
  const ms = performance.now() - start;
  const left = outcome === "restored" ? [] : alive();
  if (left.length > 0) {
    const names = left.map((pid) => `${pid} ${processState(pid)}`);
    text = `left running: ${names.join(", ")}; ${text}`;
    outcome = "leftover";
  }
  await killOthers();
  const [socket] = network.sockets;
  if (outcome === "refused" && socket !== undefined) {
    text = `a socket is left: ${socket}; ${text}`;
    outcome = "leftover";
  }
  if (listing(stateDir, NOTHING) + listing(scratch, NOTHING) !== before) {
    if (outcome === "refused") {
      const now = (listing(stateDir, NOTHING) + listing(scratch, NOTHING)).split("\n");
      const news = now.filter((line) => !before.split("\n").includes(line));
      text = `files are changed: ${news.join("; ") || "some are gone"}; ${text}`;
      outcome = "leftover";
    }
    rmSync(join(scratch, "stats-restore"), { force: true });
    for (const name of readdirSync(stateDir)) rmSync(join(stateDir, name), { recursive: true, force: true });
    // cpSync copies no sockets.
    Bun.spawnSync(["cp", "-a", `${join(stateCopies, stateDir.replaceAll("/", "_"))}/.`, stateDir]);
  }
  const segments = readFileSync("/proc/sysvipc/shm", "utf8").trim().split("\n").length - 1;
  if (segments > 0 && outcome === "refused") {
    text = `${segments} segments of shared memory are left; ${text}`;
    outcome = "leftover";
  }
  return { outcome, text, story, ms, descriptors: readdirSync("/proc/self/fd").length - fds };
}

mkdirSync(scratch, { recursive: true });
for await (const line of console) {
  const reply = await answer(JSON.parse(line) as Order);
  process.stdout.write(`@${JSON.stringify(reply)}\n`);
}
process.exit(0);
