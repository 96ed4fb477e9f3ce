/** What the tests of containers have in common: a root file system of busybox, and a place where engines find us as `criu`. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { ourTool, peerTool } from "../harness/tool.ts";

/** Not below /tmp, which may be a tmpfs that a container's own overlay or vfs does not like. */
const TOP = "/var/tmp";
const APPLETS = ["sh", "sleep", "cat", "ls", "echo", "nc", "ps", "mount", "id", "kill"];
const BUSYBOX = "/bin/busybox";

/** A script that counts in a file, and says each number. A line for each: a file that is written anew is empty for a moment. */
export const COUNT = "i=0; while :; do i=$((i+1)); echo $i >> /data/count; echo $i; sleep 0.05; done";

/** Why a test of this engine cannot run here; "" where it can. */
export function lacking(...programs: string[]): string {
  if (process.getuid?.() !== 0) return "needs root";
  const missing = programs.filter((name) => Bun.which(name) === null);
  if (missing.length > 0) return `no ${missing.join(", ")} here`;
  if (!existsSync(BUSYBOX)) return "no busybox-static here";
  const shared = Bun.spawnSync(["ldd", BUSYBOX]).exitCode === 0;
  return shared ? "the busybox here is not a static one" : "";
}

/** A directory for a test, with a `bin` that has nothing but `criu`. */
export class Scratch {
  readonly path = mkdtempSync(join(TOP, "criu-ts-containers-"));
  /** For the engine: with us as the `criu` that it finds. */
  readonly environment: Record<string, string>;

  /**
   * `peer` puts CRIU 4.2 in our place. `niceness` is how much we yield: what we restore must not inherit that. `before` are words of a
   * shell that execute what follows them.
   */
  constructor(peer = false, niceness = 0, before: readonly string[] = []) {
    const bin = join(this.path, "bin");
    mkdirSync(bin);
    const criu = join(bin, "criu");
    const tool = (peer ? peerTool() : undefined) ?? ourTool();
    const words = tool.map((word) => (existsSync(word) ? resolve(word) : word)).join(" ");
    writeFileSync(criu, `#!/bin/sh\nexec nice -n ${niceness} ${[...before, words].join(" ")} "$@"\n`);
    chmodSync(criu, 0o755);
    this.environment = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    chmodSync(this.path, 0o755);
  }

  at(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Makes a root file system at `path`; `extra` are programs of the machine with the libraries that they need. */
  makeRoot(path: string, extra: readonly string[] = []): void {
    for (const dir of ["bin", "proc", "dev", "sys", "tmp", "etc", "mnt", "data", "run"])
      mkdirSync(join(path, dir), { recursive: true });
    copyFileSync(BUSYBOX, join(path, "bin/busybox"));
    for (const applet of APPLETS) symlinkSync("busybox", join(path, "bin", applet));
    for (const name of extra) copyProgram(name, path);
    chmodSync(join(path, "data"), 0o777);
  }

  /** Removes everything. @throws Error if something is still mounted in it */
  remove(): void {
    const left = mountsBelow(this.path);
    if (left.length > 0) throw new Error(`still mounted: ${left.join(", ")}`);
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Namespaces for an engine to work in, which a process holds. */
export class Elsewhere {
  private constructor(private readonly holder: Bun.Subprocess<"ignore", "pipe", "inherit">) {}

  /** `options` are those of unshare(1); `script` furnishes them. @throws Error where it fails */
  static async make(options: readonly string[], script: string): Promise<Elsewhere> {
    const holder = Bun.spawn(
      ["unshare", ...options, "sh", "-ec", `${script}\necho ready\nexec sleep 100000`],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const { done } = await holder.stdout.getReader().read();
    if (done) throw new Error(`unshare ${options.join(" ")}: ${await holder.exited}`);
    return new Elsewhere(holder);
  }

  get pid(): number {
    return this.holder.pid;
  }

  /** Words that make what follows them work there; `kinds` are options of nsenter(1). */
  words(...kinds: string[]): string[] {
    return ["nsenter", "-t", `${this.pid}`, ...kinds];
  }

  async end(): Promise<void> {
    this.holder.kill();
    await this.holder.exited;
  }
}

function copyProgram(name: string, root: string): void {
  const path = Bun.which(name);
  if (path === null) throw new Error(`no ${name} here`);
  const libraries = Bun.spawnSync(["ldd", path]).stdout.toString().match(/\/\S+/g) ?? [];
  for (const file of libraries) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
  copyFileSync(path, join(root, "bin", name));
}

/** Where something is mounted below a path. */
export function mountsBelow(path: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${path}/`));
}

/** The control groups that are named after a container. */
export function groupsOf(id: string): string[] {
  const found = Bun.spawnSync(["find", "/sys/fs/cgroup", "-type", "d", "-name", `*${id}*`]);
  return found.stdout.toString().split("\n").filter(Boolean);
}

/** The lines of logs in a directory that say Error. */
export function errorsIn(...dirs: string[]): string {
  const lines: string[] = [];
  for (const dir of dirs) {
    if (!existsSync(dir)) continue;
    for (const name of readdirSync(dir).filter((file) => file.endsWith(".log")))
      lines.push(
        ...readFileSync(join(dir, name), "utf8")
          .split("\n")
          .filter((line) => line.includes("Error")),
      );
  }
  return lines.join("\n");
}

/** The last whole line of what a script has counted; 0 if there is none. */
export function lastCount(text: string): number {
  return Number(text.split("\n").at(-2) ?? 0);
}

/** Waits until the last number of a file is at least `least`: that number. */
export async function countOf(path: string, least: number): Promise<number> {
  const end = Date.now() + 20_000;
  for (;;) {
    const count = existsSync(path) ? lastCount(readFileSync(path, "utf8")) : 0;
    if (count >= least) return count;
    if (Date.now() > end) throw new Error(`${path} says ${count}, and not ${least}`);
    await Bun.sleep(20);
  }
}
