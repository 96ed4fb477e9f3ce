/** A container of runc: a bundle, and the commands on it. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { errorsIn, groupsOf, type Scratch } from "./bundle.ts";

interface Mount {
  destination: string;
  type: string;
  source: string;
  options?: string[];
}
interface IdMap {
  containerID: number;
  hostID: number;
  size: number;
}

/** The part of config.json (OCI runtime specification) that the tests change. */
export interface Spec {
  process: {
    terminal: boolean;
    args: string[];
    user: { uid: number; gid: number; additionalGids?: number[] };
  };
  root: { path: string; readonly: boolean };
  mounts: Mount[];
  annotations?: Record<string, string>;
  linux: {
    namespaces: { type: string; path?: string }[];
    resources: Record<string, unknown>;
    uidMappings?: IdMap[];
    gidMappings?: IdMap[];
    seccomp?: unknown;
  };
}

const PATIENCE = 60_000;

export class RuncContainer {
  readonly #bundle: string;
  readonly root: string;

  /** `extra` are programs of the machine for its root; `before` are words that every command of runc comes behind. */
  constructor(
    readonly scratch: Scratch,
    readonly id: string,
    change: (spec: Spec) => void,
    extra: readonly string[] = [],
    private readonly before: readonly string[] = [],
  ) {
    this.#bundle = scratch.at(id);
    this.root = scratch.at(id, "rootfs");
    mkdirSync(this.#bundle);
    scratch.makeRoot(this.root, extra);
    const made = Bun.spawnSync([...before, "runc", "spec", "--bundle", this.#bundle]);
    if (made.exitCode !== 0) throw new Error(`runc spec: ${made.stderr}`);
    const config = scratch.at(id, "config.json");
    const spec: Spec = JSON.parse(readFileSync(config, "utf8"));
    spec.process.terminal = false;
    spec.root.readonly = false;
    change(spec);
    writeFileSync(config, JSON.stringify(spec));
  }

  /** The words of a command of runc, which gives its messages to a file: containers keep what they are started with. */
  words(...words: string[]): string[] {
    return [...this.before, "runc", "--root", this.scratch.at("state"), "--log", this.#log, ...words];
  }

  get #log(): string {
    return this.scratch.at(`${this.id}.runc`);
  }

  /** @throws Error with what runc and we say */
  run(command: string, ...words: string[]): void {
    const { exitCode, signalCode } = Bun.spawnSync(this.words(command, ...words), {
      cwd: this.#bundle,
      env: this.scratch.environment,
      stdio: ["ignore", "ignore", "ignore"],
      timeout: PATIENCE,
    });
    if (exitCode === 0) return;
    const said = existsSync(this.#log)
      ? readFileSync(this.#log, "utf8").split("\n").slice(-3).join("\n")
      : "";
    throw new Error(`runc ${command}: ${signalCode ?? exitCode}: ${said}${errorsIn(this.#work)}`);
  }

  start(...words: string[]): void {
    this.run("run", "-d", "--bundle", this.#bundle, ...words, this.id);
  }

  images(round: number | string): string {
    return this.scratch.at(`${this.id}-images-${round}`);
  }

  get #work(): string {
    return this.scratch.at(`${this.id}-work`);
  }

  /** What we wrote about the last command of this name. */
  log(command: "dump" | "restore"): string {
    return readFileSync(`${this.#work}/${command}.log`, "utf8");
  }

  checkpoint(round: number | string, ...words: string[]): void {
    const [command = "", ...rest] = this.checkpointWords(round, ...words);
    this.run(command, ...rest);
  }

  checkpointWords(round: number | string, ...words: string[]): string[] {
    return ["checkpoint", "--image-path", this.images(round), "--work-path", this.#work, ...words, this.id];
  }

  restoreWords(round: number | string, ...words: string[]): string[] {
    const paths = ["--image-path", this.images(round), "--work-path", this.#work, "--bundle", this.#bundle];
    return ["restore", ...paths, ...words, this.id];
  }

  restore(round: number | string, ...words: string[]): void {
    const [command = "", ...rest] = this.restoreWords(round, "-d", ...words);
    this.run(command, ...rest);
  }

  /** What runc says of it: its state, and the machine's number of its first process. */
  state(): { status: string; pid: number } | undefined {
    const { stdout, exitCode } = Bun.spawnSync(this.words("state", this.id));
    return exitCode === 0 ? JSON.parse(stdout.toString()) : undefined;
  }

  get pid(): number {
    const state = this.state();
    if (state?.status !== "running") throw new Error(`${this.id} is ${state?.status ?? "gone"}`);
    return state.pid;
  }

  /** Runs a command in it: what it prints. */
  execute(...command: string[]): string {
    const { stdout, exitCode } = Bun.spawnSync(this.words("exec", this.id, ...command), {
      timeout: PATIENCE,
    });
    if (exitCode !== 0) throw new Error(`runc exec ${command.join(" ")}: ${exitCode}`);
    return stdout.toString();
  }

  /** Ends it, whatever it does. @throws Error if control groups of it are left */
  end(): void {
    Bun.spawnSync(this.words("kill", "--all", this.id, "KILL"), { timeout: PATIENCE });
    // runc gives up a group in which somebody is, after a tenth of a second: on a busy machine the killed are there for longer.
    const end = Date.now() + 20_000;
    while (groupsOf(this.id).some(inhabited) && Date.now() < end) Bun.sleepSync(20);
    Bun.spawnSync(this.words("delete", "-f", this.id), { timeout: PATIENCE });
    const isBusy = existsSync(this.#log) && readFileSync(this.#log, "utf8").includes("resource busy");
    // The last of the killed may have been seen in it by nobody but the kernel.
    while (isBusy && groupsOf(this.id).some(stays) && Date.now() < end) Bun.sleepSync(20);
    const left = groupsOf(this.id);
    if (left.length > 0) throw new Error(`control groups are left: ${left.join(", ")}`);
  }
}

/** Tries to remove a group; whether it is still there. */
function stays(group: string): boolean {
  try {
    rmdirSync(group);
    return false;
  } catch {
    return existsSync(group);
  }
}

function inhabited(group: string): boolean {
  const members = `${group}/cgroup.procs`;
  return existsSync(members) && readFileSync(members, "utf8") !== "";
}
