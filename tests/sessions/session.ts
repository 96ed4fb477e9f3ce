/** A program on a terminal of its own that somebody types at, and what happens to it: dumped and restored in between. */

import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { FixtureFailed } from "../harness/fixture.ts";
import { patience } from "../harness/patience.ts";
import {
  adoptOrphans,
  childrenOf,
  killAll,
  leaveToBun,
  processState,
  processTree,
  readText,
  waitGone,
} from "../harness/processes.ts";
import { dump, ourTool, restoreWhenFree } from "../harness/tool.ts";

const PATIENCE_MS = patience(Number(process.env.SESSION_PATIENCE ?? 30) * 1000);

export interface SessionOptions {
  /** Further options of dump and restore. */
  readonly options?: readonly string[];
  /**
   * The terminal and the shell on it stay outside: what is dumped is the shell's child, with `-j` from elsewhere, and
   * restored by a command that is typed to the shell.
   */
  readonly job?: boolean;
}

/** Operating system commands, strings to the device, control sequences, other escapes, and single controls but the newline. */
const ESC = "\\x1b";
const CONTROLS = RegExp(
  [
    `${ESC}\\][^\\x07${ESC}]*(?:\\x07|${ESC}\\\\)`,
    `${ESC}[P^_][^${ESC}]*${ESC}\\\\`,
    `${ESC}\\[[0-9;:?<=>!]*[ -/]*[@-~]`,
    `${ESC}[()*+][A-Za-z0-9]`,
    `${ESC}[=>78cDEHMNOZ]`,
    "[\\x0e\\x0f\\r]",
  ].join("|"),
  "g",
);

/** What a terminal has shown, without what moves its cursor and sets its colours. */
function plain(shown: string): string {
  return shown.replaceAll(CONTROLS, "");
}

export class Session {
  readonly #members = new Set<number>();
  /** What was restored, each a tree of its own: its parent is another one then. */
  readonly #roots = new Set<number>();
  /** How much of what was shown has been looked at, in bytes. */
  #seen = 0;
  readonly times: string[] = [];

  private constructor(
    readonly dir: string,
    readonly pid: number,
    private readonly how: SessionOptions,
  ) {}

  /**
   * @param dir its directory, made anew; also its HOME
   * @param command run by `bash -c`, or typed to a shell outside of the tree where `how.job` is set
   */
  static async start(dir: string, command: string, how: SessionOptions): Promise<Session> {
    adoptOrphans();
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    const shell = how.job ? ["bash", "--norc", "-i"] : ["bash", "-c", command];
    const child = Bun.spawn(
      ["setsid", "/usr/bin/python3", join(import.meta.dir, "terminal.py"), "30", "100", ...shell],
      {
        cwd: dir,
        stdio: ["ignore", openSync(join(dir, "printed"), "a"), openSync(join(dir, "printed"), "a")],
        env: {
          PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          HOME: dir,
          TMPDIR: dir,
          TERM: "xterm",
          LC_ALL: "C.UTF-8",
          PS1: "ready> ",
          SESSIONS: import.meta.dir,
          BUN: process.execPath,
        },
      },
    );
    leaveToBun(child);
    const session = new Session(dir, child.pid, how);
    if (how.job) {
      await session.shows("ready> ");
      session.type(`${command}\r`);
    }
    return session;
  }

  /** Everything that was shown until now. */
  get screen(): string {
    return plain(this.file("screen"));
  }

  /** A file of the directory: its text, or "" where there is none. */
  file(name: string): string {
    return readText(join(this.dir, name)) ?? "";
  }

  /** Waits until something is so. @throws FixtureFailed when it is not for half a minute, with the end of the screen */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !(await holds()); await Bun.sleep(20))
      if (Date.now() > end) throw new FixtureFailed(`not within time: ${what}\n${this.state()}`);
  }

  /** The processes and the last that was shown: for the message of a failure. */
  state(): string {
    const line = (pid: number) =>
      `  ${pid} ${processState(pid)} ${readText(`/proc/${pid}/wchan`)} ${readText(`/proc/${pid}/cmdline`)?.replaceAll("\0", " ").slice(0, 90)}`;
    const tree = this.#everyone().map(line).join("\n");
    return `${tree}\nshown: ${this.screen.slice(-1500)}\nprinted: ${this.file("printed").slice(-500)}`;
  }

  /** Types, as fast as a machine does. */
  type(text: string): void {
    const keys = openSync(join(this.dir, "keys"), "r+");
    writeSync(keys, text);
    closeSync(keys);
  }

  /** Waits for something to be shown that was not yet there when the last awaited thing was. Gives the match. */
  async shows(wanted: string | RegExp): Promise<RegExpMatchArray> {
    let match: RegExpMatchArray | null = null;
    await this.until(`the screen shows ${wanted}`, () => {
      const rest = this.file("screen").slice(this.#seen);
      const pattern = typeof wanted === "string" ? RegExp(RegExp.escape(wanted)) : wanted;
      match = plain(rest).match(pattern);
      if (match === null) return false;
      // Where it ended, among the bytes as they came.
      let [short, long] = [0, rest.length];
      while (short < long) {
        const middle = (short + long) >> 1;
        if (pattern.test(plain(rest.slice(0, middle)))) long = middle;
        else short = middle + 1;
      }
      this.#seen += long;
      return true;
    });
    if (match === null) throw new FixtureFailed("unreachable");
    return match;
  }

  /** Types something and waits for what it brings. */
  async answers(typed: string, wanted: string | RegExp): Promise<RegExpMatchArray> {
    this.#seen = this.file("screen").length;
    this.type(typed);
    return this.shows(wanted);
  }

  /** All processes, also those that were restored by themselves. */
  #everyone(): number[] {
    return [...new Set([this.pid, ...this.#roots].flatMap((root) => processTree(root)))];
  }

  /** The processes of the tree whose words, with spaces between them, begin so. */
  processes(words: string): number[] {
    return this.#everyone().filter((pid) =>
      `${readText(`/proc/${pid}/cmdline`)?.replaceAll("\0", " ")}`.startsWith(`${words} `),
    );
  }

  /** Waits until a process whose words begin so is there, and sleeps. */
  async runs(words: string): Promise<void> {
    await this.until(`${words} runs`, () => this.processes(words).some((pid) => processState(pid) === "S"));
  }

  /** The root of what is dumped. */
  get root(): number {
    if (!this.how.job) return this.pid;
    const [shell = 0] = childrenOf(this.pid);
    const [job = 0] = childrenOf(shell);
    // The second time it is the child of the restore that was typed.
    return readText(`/proc/${job}/cmdline`)?.includes("\0restore\0") ? (childrenOf(job)[0] ?? 0) : job;
  }

  /** Dumps the tree, or the one below `root`, sees that all of it has gone, and restores it. */
  async cycle(root = this.root): Promise<void> {
    const options = [...(this.how.options ?? []), ...(this.how.job ? ["--shell-job"] : [])];
    const images = join(this.dir, `images-${this.times.length}`);
    const members = processTree(root);
    const dumped = await dump(root, images, { options });
    if (!dumped.ok) throw new FixtureFailed(`dump: ${dumped.errors}\n${this.state()}`);
    const left = this.how.job ? [] : await waitGone(members);
    if (left.length > 0) throw new FixtureFailed(`after the dump these live: ${left.join(" ")}`);
    if (this.how.job) await this.restoreAsJob(images, options);
    else {
      const restored = await restoreWhenFree(images, { options });
      if (!restored.ok) throw new FixtureFailed(`restore: ${restored.errors}`);
      this.times.push(`${dumped.milliseconds.toFixed(0)}/${restored.milliseconds.toFixed(0)}`);
    }
    this.#roots.add(root);
    for (const pid of processTree(root)) this.#members.add(pid);
  }

  private async restoreAsJob(images: string, options: string[]): Promise<void> {
    await this.until("the shell has its terminal back", () =>
      this.processes("bash").every((pid) => childrenOf(pid).length === 0),
    );
    const pidfile = join(images, "pid");
    this.type(
      `${[...ourTool(), "restore", "-D", images, "--pidfile", pidfile, "-v4", "-o", "restore.log", ...options].join(" ")}\r`,
    );
    await this.until("it is restored", () => existsSync(pidfile));
    this.times.push("job");
  }

  /** Waits for the end of everything. @throws FixtureFailed when the command's exit status is another one */
  async ends(status = 0): Promise<void> {
    await this.until("it ends", () => existsSync(join(this.dir, "status")));
    if (this.file("status") !== String(status))
      throw new FixtureFailed(`status ${this.file("status")}\n${this.state()}`);
  }

  /** Writes a file into the directory. */
  put(name: string, text: string): void {
    writeFileSync(join(this.dir, name), text);
  }

  async stop(): Promise<void> {
    for (const pid of this.#everyone()) this.#members.add(pid);
    await killAll([...this.#members]);
  }
}
