/** Containers of podman, in a storage of their own, with runc below and us as the only `criu`. */
import { realpathSync, writeFileSync } from "node:fs";
import { lastCount, type Scratch } from "./bundle.ts";

const PATIENCE = 60_000;
const IMAGE = "criu-ts-box";

export class Podman {
  /** `before` are words that every command comes behind. Programs of `extra` are in the image, where the machine has them. */
  constructor(
    readonly scratch: Scratch,
    extra: readonly string[] = [],
    private readonly before: readonly string[] = [],
  ) {
    const root = scratch.at("root");
    scratch.makeRoot(
      root,
      extra.filter((name) => Bun.which(name) !== null),
    );
    // Limits such that a container, and that of a pod, needs no rights that a test may not have.
    const settings = scratch.at("containers.conf");
    writeFileSync(settings, `[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n`);
    scratch.environment.CONTAINERS_CONF = settings;
    const archive = scratch.at("root.tar");
    const packed = Bun.spawnSync(["tar", "-C", root, "-cf", archive, "."]);
    if (packed.exitCode !== 0) throw new Error(`tar: ${packed.stderr}`);
    this.run("import", archive, IMAGE);
  }

  /** The words of a command, to be run with the environment of the scratch. */
  words(...words: string[]): string[] {
    const { scratch } = this;
    const command = [
      ...this.before,
      "podman",
      "--root",
      scratch.at("storage"),
      "--runroot",
      scratch.at("run"),
    ];
    // What any machine has: no overlay, no systemd, no journal.
    command.push("--tmpdir", scratch.at("tmp"), "--storage-driver", "vfs", "--runtime", "runc");
    command.push("--cgroup-manager", "cgroupfs", "--events-backend", "none");
    return [...command, ...words];
  }

  /** Runs a command: what it prints, without its last newline. @throws Error with what podman says */
  run(...words: string[]): string {
    const { stdout, stderr, exitCode, signalCode } = Bun.spawnSync(this.words(...words), {
      env: this.scratch.environment,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: PATIENCE,
    });
    if (exitCode === 0) return stdout.toString().trimEnd();
    throw new Error(`podman ${words.join(" ")}: ${signalCode ?? exitCode}: ${stderr}`);
  }

  /** Starts a container that runs a script. */
  start(name: string, script: string, ...options: string[]): void {
    this.run("run", "-d", "--name", name, ...options, IMAGE, "sh", "-c", script);
  }

  /**
   * As start(), with the programs of the machine, which are Debian's packages, in the place of the image's, read-only, and `shared`,
   * directories of the machine under their own paths.
   */
  startWithPrograms(name: string, script: string, shared: readonly string[], ...options: string[]): void {
    const programs = ["/usr", "/bin", "/lib", "/lib64", "/etc"].map(
      (path) => `${realpathSync(path)}:${path}:ro`,
    );
    const volumes = [...programs, ...shared.map((path) => `${path}:${path}`)];
    this.start(name, script, ...volumes.flatMap((volume) => ["-v", volume]), ...options);
  }

  /** Makes a pod, whose own container runs `command` of the image: the pod's id. */
  makePod(name: string, command: string, ...options: string[]): string {
    const infra = ["--infra-image", IMAGE, "--infra-command", command];
    return this.run("pod", "create", "--name", name, ...infra, ...options);
  }

  pid(name: string): number {
    return Number(this.run("inspect", "-f", "{{.State.Pid}}", name));
  }

  id(name: string): string {
    return this.run("inspect", "-f", "{{.Id}}", name);
  }

  /** What its script has counted to, seen from inside. */
  count(name: string): number {
    return lastCount(`${this.run("exec", name, "cat", "/data/count")}\n`);
  }

  /** Waits until it has counted so far: what it says then. */
  async countsTo(name: string, least: number): Promise<number> {
    const end = Date.now() + 20_000;
    for (;;) {
      const count = this.count(name);
      if (count >= least) return count;
      if (Date.now() > end) throw new Error(`${name} says ${count}, and not ${least}`);
    }
  }

  /** Ends all pods and containers, at once. */
  end(): void {
    this.run("pod", "rm", "--all", "--force", "--time", "0");
    this.run("rm", "--all", "--force", "--time", "0");
  }
}
