/**
 * What the program does when it is made ready to become a snapshot (make.ts): it does its work many times, so that nothing of it
 * runs for the first time afterwards, lets go of what only this process has, and stops. Whoever is started from the snapshot goes
 * on here.
 */

import type { Procedures } from "../cli/run.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { close, listNumbers, readText } from "../linux/io.ts";
import { kill } from "../linux/kill.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { beginRun } from "../linux/once-per-run.ts";
import { ourPid, startedWith } from "../linux/ourselves.ts";
import { hostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { wait } from "../linux/ptrace.ts";
import { SIG } from "../linux/signal.ts";
import { word } from "../linux/struct.ts";
import { memoryAt, rawSyscall } from "../linux/syscall.ts";
import { STARTER } from "../machine/runner.ts";
import { copyHotPages } from "./hot-pages.ts";
import { withProgram } from "./program.ts";

/**
 * The first word that asks for it, where the environment has `PARK_ALLOWED` too: it is no command. A directory follows, and
 * what to do: "20:/bin/sleep" is to dump and restore that program so often.
 */
export const STANDBY = "standby";
export const PARK_ALLOWED = "CRIU_TS_STANDBY";

/** Where the code and the tables of the snapshot are: below the lowest address that linkers give to programs. */
export const PICTURE_ADDRESS = 0x2_0000;

const STDERR = 2;
const ANY = hostPid(-1);

/** Gives the words of the process that goes on, the name that it was started by first. @throws whatever fails in what is practised */
export async function standby(words: readonly string[], procedures: Procedures): Promise<string[]> {
  const [directory = "", ...plan] = words;
  // A process id is free for the next restore when nobody is left of the group and the session that it names.
  rawSyscall(NR.prctl, PR.SET_CHILD_SUBREAPER, 1);
  for (const each of plan) {
    const [rounds, program = ""] = each.split(":");
    await practise(program, Number(rounds), directory, procedures);
  }
  rawSyscall(NR.prctl, PR.SET_CHILD_SUBREAPER, 0);
  // Those of the runtime's event loop, which nothing here uses, would have numbers that others need.
  for (const fd of listNumbers("/proc/self/fd")) if (fd > STDERR) close(fd);
  kill(ourPid(), SIG.STOP);
  beginRun();
  const header = memoryAt(PICTURE_ADDRESS + STARTER.DATA, PAGE_SIZE);
  const asked = startedWith(word.read(header, STARTER.ARGV), word.read(header, STARTER.ENVP));
  copyHotPages(asked.slice(1), header.subarray(STARTER.NOTES));
  return asked;
}

async function practise(
  program: string,
  rounds: number,
  directory: string,
  procedures: Procedures,
): Promise<void> {
  const { run } = await import("../cli/run.ts");
  // What this machine's configuration says is for the commands to come.
  const images = ["--no-default-config", "-D", directory, "-o", "log", "-v4"];
  const runOrThrow = async (words: string[]) => {
    beginRun();
    if ((await run(words, procedures)) !== 0) throw new Error(readText(`${directory}/log`));
  };
  await withProgram(program, async (pid) => {
    for (let round = 0; round < rounds; round++) {
      // Before each round: the heap stays as small as it can be, and the last one fills gaps in it.
      Bun.gc(true);
      await runOrThrow(["dump", "-t", String(pid), ...images]);
      reapAll();
      await runOrThrow(["restore", "-d", ...images]);
    }
  });
  reapAll();
}

/** Waits for all that was killed. */
function reapAll(): void {
  try {
    while (wait(ANY) !== undefined);
  } catch (error) {
    if (!isErrno(error, ERRNO.ECHILD)) throw error;
  }
}
