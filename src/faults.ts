/**
 * Faults on purpose, for tests. What follows is what would follow any failure there.
 *
 * `CRIU_TS_FAULT=dump/frozen` in the environment: the stage of that name fails; `dump/process:3` is its third time. For our
 * death at a chosen instant see linux/instants.ts. `CRIU_TS_CALLS=one-by-one` has a dump enter all processes as those that it
 * can map nothing into (tracee/enter/call-by-call.ts).
 */

import { isListening, tell } from "./event-channel.ts";
import { BaseError } from "./linux/base-error.ts";
import { armDeath } from "./linux/instants.ts";

export class InjectedFault extends BaseError {
  override readonly name = "InjectedFault";
  readonly kind = "fault";
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
    "dump/locked",
    "dump/thread",
    "dump/core",
    "dump/opened",
    "dump/process",
    "dump/memory",
    "dump/files",
    "dump/namespaces",
    "dump/inventory",
    "dump/committed",
  ],
  "pre-dump": [
    "pre-dump/start",
    "pre-dump/freezing",
    "pre-dump/process",
    "pre-dump/released",
    "pre-dump/copied",
  ],
  restore: [
    "restore/planned",
    "restore/root",
    "restore/namespaces",
    "restore/birth",
    "restore/grown",
    "restore/born",
    "restore/wired",
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
let oneByOne = false;

/** Takes what a test asks for from the environment of a run. */
export function armFaults({
  CRIU_TS_FAULT,
  CRIU_TS_DEATH,
  CRIU_TS_CALLS,
}: Readonly<Record<string, string | undefined>>): void {
  const [name = "", times] = (CRIU_TS_FAULT ?? "").split(":");
  wanted = name;
  untilFault = Number(times ?? 1);
  oneByOne = CRIU_TS_CALLS === "one-by-one";
  armDeath(Number(CRIU_TS_DEATH ?? 0));
}

/** Marks a stage, and tells of it; throws {@link InjectedFault} when a test asked for its failure. */
export function stage(name: Stage): void {
  if (isListening()) tell({ kind: "stage", stage: name });
  if (wanted === name && --untilFault === 0) throw new InjectedFault(`stage ${name} fails as asked`);
}

/** Whether a test asked for processes to be entered without an area. */
export function callsOneByOne(): boolean {
  return oneByOne;
}
