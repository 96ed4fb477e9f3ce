/** A server in a tree of its own, with a client inside the tree, and what happens to it: dumped and restored. */

import { expect } from "bun:test";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDir } from "../harness/build.ts";
import { adoptOrphans, killAll, leaveToBun, processTree, readText, waitGone } from "../harness/processes.ts";
import { dump, restoreWhenFree } from "../harness/tool.ts";
import type { Load } from "./load.ts";
import { freePort } from "./port.ts";

/** How a server is started, and what is asked of it from inside. */
export interface ServerPlan {
  /** A shell's command. */
  readonly command: string;
  /**
   * A question and what its answer ends with; %ld is the question's number (inside.c). Undefined for a server that is asked nothing
   * that is plain text.
   */
  readonly inside?: { readonly question: string; readonly answer: string };
  /** Further options of dump and restore. */
  readonly options?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a server is, for a test. */
export interface ServerTest {
  readonly name: string;
  /** Programs that have to be there. */
  readonly needs: readonly string[];
  /** It may need files in `dir`, and listens at `address`. */
  plan(dir: string, port: number, address: string): ServerPlan;
  /** Starts the clients from outside. Gives what is checked when all have ended. */
  load(port: number, load: Load, server: Pick<Server, "dir">): Promise<() => Promise<void>>;
}

async function buildInside(): Promise<string> {
  const out = join(projectDir, "node_modules/.cache/criu-ts-inside");
  mkdirSync(join(projectDir, "node_modules/.cache"), { recursive: true });
  const source = join(import.meta.dir, "inside.c");
  const built = Bun.spawnSync(["cc", "-O1", "-Wall", "-o", out, source]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
  return out;
}

export class Server {
  readonly #members = new Set<number>();
  #cycles = 0;

  private constructor(
    readonly dir: string,
    readonly port: number,
    readonly pid: number,
    private readonly options: readonly string[],
    /** Whether there is a client inside. */
    readonly isAsked: boolean,
  ) {}

  /** Starts the server and the client inside. */
  static async start(test: ServerTest): Promise<Server> {
    adoptOrphans();
    const inside = await buildInside();
    const dir = mkdtempSync(join(tmpdir(), `criu-ts-${test.name}-`));
    const port = await freePort();
    const { command, inside: asked, options = [], environment = {} } = test.plan(dir, port, "127.0.0.1");
    const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
    const client =
      asked === undefined
        ? []
        : [inside, port, asked.question, asked.answer, join(dir, "inside"), join(dir, "stop")];
    const words = client.map((word) => quoted(String(word))).join(" ");
    const script = words === "" ? `${command} & wait` : `${command} & ${words} & wait`;
    const printed = openSync(join(dir, "printed"), "a");
    const child = Bun.spawn(["setsid", "sh", "-c", script], {
      cwd: dir,
      stdin: "ignore",
      stdout: printed,
      stderr: printed,
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: dir, LC_ALL: "C.UTF-8", ...environment },
    });
    closeSync(printed);
    leaveToBun(child);
    return new Server(dir, port, child.pid, options, asked !== undefined);
  }

  #look(): void {
    for (const pid of processTree(this.pid)) this.#members.add(pid);
  }

  /** Dumps the tree, waits a little, and restores it. Gives the milliseconds of both. */
  async cycle(): Promise<string> {
    this.#look();
    const images = join(this.dir, `images-${++this.#cycles}`);
    const how = { options: ["--tcp-established", ...this.options], verbosity: 4 };
    const dumped = await dump(this.pid, images, { options: [...how.options, "--network-lock", "nftables"] });
    expect(dumped.errors).not.toContain("Error (");
    expect(dumped.exitCode).toBe(0);
    expect(await waitGone([...this.#members])).toEqual([]);
    this.#members.clear();
    const restored = await restoreWhenFree(images, how);
    if (restored.exitCode !== 0) console.log(restored.errors);
    expect(restored.exitCode).toBe(0);
    this.#look();
    return `${Math.round(dumped.milliseconds)}/${Math.round(restored.milliseconds)}`;
  }

  /** What the client inside says when it is told to stop. */
  async askInside(): Promise<string> {
    writeFileSync(join(this.dir, "stop"), "");
    const report = join(this.dir, "inside");
    for (let i = 0; i < 2000 && !existsSync(report); i++) await Bun.sleep(10);
    await Bun.sleep(20);
    return readText(report) ?? "it says nothing";
  }

  /** What it has printed. */
  get printed(): string {
    return readText(join(this.dir, "printed")) ?? "";
  }

  async stop(): Promise<void> {
    this.#look();
    await killAll(this.#members);
    if (process.env.SERVER_KEEP === undefined) rmSync(this.dir, { recursive: true, force: true });
  }
}
