/** Makes an executable that starts warm of one that starts cold. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../cli/run.ts";
import { dump } from "../dump.ts";
import { ImageDir } from "../images/image-dir.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { kill } from "../linux/kill.ts";
import { HUGE_PAGE_SIZE } from "../linux/memory.ts";
import type { HostPid } from "../linux/pid.ts";
import { readMaps } from "../linux/proc.ts";
import { WAIT, wait } from "../linux/ptrace.ts";
import { SIG } from "../linux/signal.ts";
import { makeChildren, makeFiles, makeThreads } from "./exercise.ts";
import { startMovable } from "./fixed-layout.ts";
import { type HotPages, rehearse } from "./hot-pages.ts";
import { withProgram } from "./program.ts";
import { makeSnapshot } from "./snapshot.ts";
import { PARK_ALLOWED, STANDBY } from "./standby.ts";

/**
 * How often each program is practised on. After so many rounds there is hardly anything left to be compiled: least of all of
 * what a small process takes, which comes last, as a compilation takes milliseconds. It comes first as well: most is compiled
 * then, while the heap is small.
 */
const ROUNDS = { first: 100, threads: 150, children: 150, files: 40, last: 40 } as const;
/** Open in the large one of the processes with which a command is rehearsed. */
const REHEARSED_FILES = 1000;
/** A program that every machine has. */
const PLAIN = "/bin/sleep";
/**
 * A heap of so many bytes is left alone. A collection looks at all of it, which is copied then: 12 ms, in the restore of a
 * thousand open files for one.
 */
const COLLECT_AFTER = 64 * 2 ** 20;

/**
 * Of the runtime, with which the snapshot goes on: no threads that compile, collect garbage, make pages ready or give them back,
 * each of which would be born again at every start; and where there are two threads every page that is copied interrupts
 * both. All of it is compiled already; the last of the compilers, for what runs for seconds, only costs. What was called some
 * ten times is compiled for good, so that it counts its calls no more: each such count is on a page of its own. That it be put
 * off, five times, until more is known of a function's values, is of use for what runs for seconds.
 *
 * No memory is ever given back to the kernel by madvise(MADV_DONTNEED): the allocator would take it for zeros afterwards, and
 * what a snapshot maps is as in the file again.
 */
const ENVIRONMENT = [
  `${PARK_ALLOWED}=1`,
  "BUN_JSC_jitPolicyScale=1",
  "BUN_JSC_thresholdForOptimizeAfterWarmUp=200",
  "BUN_JSC_thresholdForOptimizeAfterLongWarmUp=200",
  "BUN_JSC_desiredProfileLivenessRate=0",
  "BUN_JSC_desiredProfileFullnessRate=0",
  "BUN_JSC_maximumOptimizationDelay=1",
  "BUN_JSC_useConcurrentJIT=0",
  "BUN_JSC_useFTLJIT=0",
  "BUN_JSC_useConcurrentGC=0",
  "BUN_JSC_numberOfGCMarkers=1",
  "BUN_JSC_useWarmUpMarkedBlocks=0",
  "MIMALLOC_SCAVENGER=0",
  "MIMALLOC_PURGE_DELAY=4000000000000",
  `BUN_JSC_largeHeapSize=${COLLECT_AFTER}`,
];

/**
 * Starts `program`, has it do its work until it is warm, and makes an executable at `path` that begins there. Takes
 * about a minute. @throws whatever cannot be done here: it needs the rights that a restore needs
 */
export async function makeWarm(program: string, path: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "criu-ts-warm-"));
  const output = join(directory, "output");
  writeFileSync(output, "");
  try {
    const within = (name: string) => join(directory, name);
    const [threads, children, files] = [within("threads"), within("children"), within("files")];
    makeThreads(threads);
    makeChildren(children);
    makeFiles(files, mkdtempSync(join(directory, "open-")));
    const plan = [
      `${ROUNDS.first}:${PLAIN}`,
      `${ROUNDS.threads}:${threads}`,
      `${ROUNDS.children}:${children}`,
      `${ROUNDS.files}:${files}`,
      `${ROUNDS.last}:${PLAIN}`,
    ];
    const start = (steps: readonly string[], lower: number) =>
      startParked(program, [STANDBY, directory, ...steps], output, lower);
    const pid = start(plan, pastHugePage(start([], 0)));
    try {
      const asked = [
        "dump",
        "--no-default-config",
        "-t",
        String(pid),
        "-s",
        "-D",
        directory,
        "-o",
        "snapshot.log",
        "-v4",
      ];
      const code = await run(asked, { dump: async () => dump });
      if (code !== 0) throw new Error(readFileSync(join(directory, "snapshot.log"), "utf8"));
      const images = ImageDir.open(directory);
      makeSnapshot(images, pid, program, path);
      const small = await rehearseAll(path, PLAIN, directory);
      const many = within("many-files");
      makeFiles(many, mkdtempSync(join(directory, "open-")), REHEARSED_FILES);
      const large = await rehearseAll(path, many, directory);
      makeSnapshot(images, pid, program, path, { small, large });
    } finally {
      end(pid);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Starts the program, which does its work and stops. Gives its process id. @throws Error where it fails */
function startParked(program: string, words: readonly string[], output: string, lower: number): HostPid {
  const pid = startMovable(program, [program, ...words], ENVIRONMENT, output, lower);
  if (wait(pid, WAIT.UNTRACED)?.status.kind === "stopped") return pid;
  throw new Error(`${program} ${words.join(" ")}: ${readFileSync(output, "utf8")}`);
}

/**
 * How far behind the beginning of a huge page a process has what it compiles, in bytes: that is the largest mapping that can be
 * written to and run. Ends the process.
 */
function pastHugePage(pid: HostPid): number {
  try {
    const code = readMaps(pid).filter(({ write, exec }) => write && exec);
    const [largest] = code.sort((a, b) => b.end - b.start - (a.end - a.start));
    return (largest?.start ?? 0) % HUGE_PAGE_SIZE;
  } finally {
    end(pid);
  }
}

function end(pid: HostPid): void {
  kill(pid, SIG.KILL);
  waitForEnd(pid);
}

/** Has the executable `path` dump and restore a program in a directory of its own. */
function rehearseAll(path: string, example: string, directory: string): Promise<HotPages> {
  const images = ["--no-default-config", "-D", mkdtempSync(join(directory, "rehearsal-"))];
  return withProgram(example, (pid) => {
    const dumped = rehearse(path, ["dump", "-t", String(pid), ...images]);
    waitForEnd(pid);
    return { dump: dumped, restore: rehearse(path, ["restore", "-d", ...images]) };
  });
}

/** Waits for the end of a child, which may have been waited for. */
function waitForEnd(pid: HostPid): void {
  try {
    while (wait(pid)?.status.kind === "stopped");
  } catch (error) {
    if (!isErrno(error, ERRNO.ECHILD)) throw error;
  }
}
