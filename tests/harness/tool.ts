/** Running a criu executable: ours or a peer's, for dump and restore. */

import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectDir } from "./build.ts";
import { patience } from "./patience.ts";

/** The command line of a tool, without its command: ["/path/of/criu"] or ["bun", "src/main.ts"]. */
export type Tool = string[];

/** Ours: CRIU_BIN of the environment, else dist/criu, else the sources run by Bun. */
export function ourTool(): Tool {
  const named = process.env.CRIU_BIN;
  if (named !== undefined && named !== "") return named.split(" ");
  const built = join(projectDir, "dist/criu");
  if (existsSync(built)) return [built];
  return [join(projectDir, "node_modules/.bin/bun"), join(projectDir, "src/main.ts")];
}

/** CRIU 4.2, where CRIU_PEER of the environment names it. */
export function peerTool(): Tool | undefined {
  const named = process.env.CRIU_PEER;
  return named === undefined || named === "" ? undefined : named.split(" ");
}

/** What a run of a tool came to. */
export interface Outcome {
  ok: boolean;
  exitCode: number;
  /** Wall-clock time of the whole command. */
  milliseconds: number;
  /** The log file's text and what was printed. */
  log: string;
  /** The log lines that say Error, or the end of the log when there are none. */
  errors: string;
}

export interface ToolOptions {
  tool?: Tool;
  /** Further options of the command. */
  options?: string[];
  /** For the logs, where it is not to be the image directory (-W). */
  workDir?: string;
  /** Killed after so long; 60 s if not given. */
  timeoutMs?: number;
  /** The log level, 4 if not given. */
  verbosity?: number;
  environment?: Record<string, string>;
}

/** Runs `tool command -D dir -o command.log ...`; what it prints goes to a file, as restored tasks might keep pipes. */
export async function runTool(
  command: string,
  dir: string,
  args: string[],
  how: ToolOptions,
): Promise<Outcome> {
  const workDir = how.workDir ?? dir;
  for (const each of [dir, workDir]) mkdirSync(each, { recursive: true });
  const logFile = join(workDir, `${command}.log`);
  const printedFile = join(workDir, `${command}.out`);
  const printed = openSync(printedFile, "w");
  const start = performance.now();
  const child = Bun.spawn(
    [
      ...(how.tool ?? ourTool()),
      command,
      "-D",
      dir,
      ...(how.workDir === undefined ? [] : ["-W", workDir]),
      "-o",
      `${command}.log`,
      `-v${how.verbosity ?? 4}`,
      ...args,
      ...(how.options ?? []),
    ],
    { stdin: "ignore", stdout: printed, stderr: printed, env: { ...process.env, ...how.environment } },
  );
  closeSync(printed);
  let late = false;
  const alarm = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, how.timeoutMs ?? patience(60_000));
  const exitCode = await child.exited;
  clearTimeout(alarm);
  const milliseconds = performance.now() - start;
  const text = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");
  const log = `${text(logFile)}${text(printedFile)}${late ? `\n(killed after ${Math.round(milliseconds)} ms)` : ""}`;
  const errorLines = log.split("\n").filter((line) => /\bError\b|^error|panic/.test(line));
  const errors = (errorLines.length > 0 ? errorLines.slice(0, 12) : log.split("\n").slice(-12)).join("\n");
  return { ok: exitCode === 0 && !late, exitCode, milliseconds, log, errors };
}

/** `criu dump -t pid -D dir -o dump.log -v4 ...` */
export function dump(pid: number, dir: string, how: ToolOptions = {}): Promise<Outcome> {
  return runTool("dump", dir, ["-t", String(pid)], how);
}

/** `criu pre-dump -t pid -D dir -o pre-dump.log -v4 ...` */
export function preDump(pid: number, dir: string, how: ToolOptions = {}): Promise<Outcome> {
  return runTool("pre-dump", dir, ["-t", String(pid)], how);
}

/** `criu restore -d -D dir -o restore.log -v4 ...` */
export function restore(dir: string, how: ToolOptions = {}): Promise<Outcome> {
  return runTool("restore", dir, ["-d"], how);
}

/** The same, again and again while somebody else has one of its pids, or a terminal's number, for a moment. */
export async function restoreWhenFree(dir: string, how: ToolOptions = {}): Promise<Outcome> {
  let restored = await restore(dir, how);
  for (let i = 0; i < 50 && / is another's|, which is in use/.test(restored.errors); i++) {
    await Bun.sleep(100);
    restored = await restore(dir, how);
  }
  return restored;
}
