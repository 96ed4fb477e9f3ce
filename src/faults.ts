/**
 * Faults on purpose, for tests. What follows is what would follow any failure there.
 *
 * - `CRIU_TS_FAULT=dump/frozen` in the environment: the stage of that name fails; `dump/process:3` is its third time.
 * - `CRIU_TS_DEATH=17`: we die by SIGKILL just before the 17th change that we make to another process from outside.
 */
import { ourPid } from "./linux/ourselves.ts";

export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
}

/** Where a command can be made to fail, in the order in which it comes by. */
export const STAGES = {
  dump: [
    "dump/start",
    "dump/freezing",
    "dump/frozen",
    "dump/tree",
    "dump/laid",
    "dump/mapped",
    "dump/entered",
    "dump/thread",
    "dump/core",
    "dump/opened",
    "dump/process",
    "dump/memory",
    "dump/files",
    "dump/inventory",
    "dump/committed",
  ],
  restore: [
    "restore/planned",
    "restore/root",
    "restore/birth",
    "restore/grown",
    "restore/born",
    "restore/process",
    "restore/memory",
    "restore/files",
    "restore/thread",
    "restore/threads",
    "restore/task",
    "restore/tasks",
    "restore/built",
    "restore/written",
  ],
} as const;

export type Stage = (typeof STAGES)[keyof typeof STAGES][number];

let wanted = "";
let untilFault = 0;
let untilDeath = 0;

/** Takes what a test asks for from the environment of a run. */
export function armFaults({
  CRIU_TS_FAULT,
  CRIU_TS_DEATH,
}: Readonly<Record<string, string | undefined>>): void {
  const [name = "", times] = (CRIU_TS_FAULT ?? "").split(":");
  wanted = name;
  untilFault = Number(times ?? 1);
  untilDeath = Number(CRIU_TS_DEATH ?? 0);
}

/** Whether a test waits for an {@link instant}: then no two changes are to be made in one native call. */
export function instantsMatter(): boolean {
  return untilDeath > 0;
}

/** Marks a stage; throws {@link InjectedFault} when a test asked for its failure. */
export function stage(name: Stage): void {
  if (wanted === name && --untilFault === 0) throw new InjectedFault(`stage ${name} fails as asked`);
}

/** Marks an instant just before a change of another process; where a test asked for it, it is our last. */
export function instant(): void {
  if (untilDeath > 0 && --untilDeath === 0) process.kill(ourPid(), "SIGKILL");
}
