/** Runs a program of Debian, undisturbed or taken through dump and restore at random moments while it works. */

import { closeSync, createReadStream, existsSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FixtureFailed } from "../harness/fixture.ts";
import { patience } from "../harness/patience.ts";
import {
  adoptOrphans,
  killAll,
  processState,
  processTree,
  readText,
  reap,
  waitGone,
} from "../harness/processes.ts";
import { dump, type Outcome, restore } from "../harness/tool.ts";
import type { Program } from "./list.ts";

/** How a run ended. */
export interface Ending {
  /** The exit status that the wrapper inside the tree has written down. */
  status: string;
  /** The wait status of the tree's root, which is that wrapper. */
  rootStatus: number | undefined;
  /** SHA-256 and size by the name of the output. */
  outputs: Record<string, string>;
  /** Processor time of the tree while it was left alone, in milliseconds. */
  cpuMs: number;
  cycles: number;
  /** What dump and restore took, one text per cycle. */
  times: string[];
}

const ticksPerSecond = 100;

function statOf(pid: number): string[] {
  const stat = readText(`/proc/${pid}/stat`) ?? "";
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The processor time that a tree and its reaped children have used since its processes were made, in ms. */
function cpuTime(tree: number[]): number {
  let ticks = 0;
  for (const pid of tree) for (const time of statOf(pid).slice(11, 15)) ticks += Number(time);
  return (ticks * 1000) / ticksPerSecond;
}

/** Everything in the session that `leader` leads or led, also what has fallen to us as orphans and zombies. */
function session(leader: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && statOf(Number(name))[3] === String(leader))
    .map(Number);
}

async function fingerprint(path: string): Promise<string> {
  if (!existsSync(path)) return "absent";
  const hash = new Bun.CryptoHasher("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 4 << 20 })) {
    hash.update(chunk);
    size += chunk.length;
  }
  return `${hash.digest("hex")} (${size} bytes)`;
}

/** What is left of a tree, a line per process: for the message of a failure. */
function describe(pids: number[]): string {
  const line = (pid: number) => {
    const [state, parent] = statOf(pid);
    const text = (file: string) =>
      readText(`/proc/${pid}/${file}`)?.replaceAll("\0", " ").trim().slice(0, 100);
    return `  ${pid} (parent ${parent}) ${state} in ${text("wchan")}: ${text("cmdline") || text("comm")}`;
  };
  return pids.length === 0 ? "no process is left" : `left:\n${pids.map(line).join("\n")}`;
}

function complaint(program: Program, what: string, outcome: Outcome, pids: number[]): FixtureFailed {
  return new FixtureFailed(
    `${program.name}: ${what} ended with ${outcome.exitCode}:\n${outcome.errors}\n${describe(pids)}`,
  );
}

/**
 * Runs a program in a session of its own, with its stdio on files, until it has ended.
 *
 * @param dir its directory, made anew
 * @param inputDir what {@link writeInputs} has filled
 * @param moments after how much processor time (ms, in order, dump and restore not counted) each dump is to come;
 *   those are left out that the program does not live to see
 * @throws FixtureFailed when a dump or a restore fails, or the program does not end
 */
export async function runProgram(
  program: Program,
  dir: string,
  inputDir: string,
  moments: number[],
): Promise<Ending> {
  adoptOrphans();
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const out = openSync(join(dir, "stdout"), "a");
  const err = openSync(join(dir, "stderr"), "a");
  const child = Bun.spawn(["setsid", "sh", "-c", `(${program.script}); echo $? >status`], {
    cwd: dir,
    stdin: "ignore",
    stdout: out,
    stderr: err,
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C", INPUT: inputDir, PROGRAMS: import.meta.dir },
  });
  closeSync(out);
  closeSync(err);
  const pid = child.pid;
  let rootStatus: number | undefined;
  // A root that was restored is our child by adoption, and is reaped here; one that was not, by Bun.
  const ended = () => {
    if (child.exitCode !== null) rootStatus = child.exitCode << 8;
    else rootStatus = reap(pid) ?? rootStatus;
    return rootStatus !== undefined || processState(pid) === undefined;
  };
  const times: string[] = [];
  let cycles = 0;
  // Processor time before the last restore, at that restore, and since it.
  let [cpuMs, offset, used] = [0, 0, 0];
  /** Waits for a moment in processor time; false when the program has ended before. */
  const work = async (moment: number): Promise<boolean> => {
    const end = Date.now() + patience(120_000);
    for (; !ended(); await Bun.sleep(moment === Number.POSITIVE_INFINITY ? 20 : 5)) {
      used = cpuTime(processTree(pid)) - offset;
      if (cpuMs + used >= moment) return true;
      if (Date.now() > end)
        throw new FixtureFailed(
          `${program.name}: after ${cycles} cycles it does not end; ${describe(session(pid))}`,
        );
    }
    return false;
  };

  try {
    for (const moment of moments) {
      if (!(await work(moment))) break;
      const imagesDir = join(dir, `images-${cycles}`);
      const dumped = await dump(pid, imagesDir);
      // It may have ended while the dump began, which is nobody's failure.
      if (!dumped.ok && existsSync(join(dir, "status"))) break;
      if (!dumped.ok) throw complaint(program, "dump", dumped, session(pid));
      const left = await waitGone(session(pid), patience(3000));
      if (left.length > 0)
        throw new FixtureFailed(`${program.name}: after the dump these live: ${left.join(" ")}`);
      const restored = await restore(imagesDir);
      if (!restored.ok) throw complaint(program, "restore", restored, session(pid));
      times.push(`${dumped.milliseconds.toFixed(0)}/${restored.milliseconds.toFixed(0)}`);
      rmSync(imagesDir, { recursive: true, force: true });
      cycles++;
      [cpuMs, offset, used] = [cpuMs + used, cpuTime(processTree(pid)), 0];
    }
    await work(Number.POSITIVE_INFINITY);
  } finally {
    // To look at one that does not go on, let it be.
    if (process.env.PROGRAM_KEEP === undefined) await killAll(session(pid));
  }
  const outputs: Record<string, string> = {};
  for (const name of ["stdout", "stderr", ...program.outputs])
    outputs[name] = await fingerprint(join(dir, name));
  const status = (readText(join(dir, "status")) ?? "none: it did not come so far").trim();
  return { status, rootStatus, outputs, cpuMs: cpuMs + used, cycles, times };
}
