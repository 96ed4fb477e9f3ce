/** Bringing a planned tree into being: births in the order that sessions ask for, groups, and the ends of the dead. */
import { CLONE } from "../linux/clone.ts";
import { NR } from "../linux/nr.ts";
import { PR } from "../linux/prctl.ts";
import { wait } from "../linux/ptrace.ts";
import type { Restoree } from "../tracee/restoree.ts";
import { spawnChildren } from "../tracee/spawn.ts";
import { runTogether } from "../tracee/table.ts";
import { giveDeath } from "./core.ts";
import { bornBeforeSession, type PlannedProcess, type PstreePlan } from "./pstree.ts";

/** A process of the plan that has been born. */
export interface Born {
  readonly planned: PlannedProcess;
  readonly restoree: Restoree;
}

export class Births {
  /** In the order of birth: parents before children. */
  readonly all: Born[] = [];

  constructor(
    private readonly plan: PstreePlan,
    /**
     * Called for each process right after its birth and before it has children, to put its memory in place. `memory`
     * is whose memory it was born with: its parent's, or, if that is a helper, that one's parent's.
     */
    private readonly onBirth: (born: Born, memory: Born | undefined) => void,
  ) {}

  /** Lets the root, which is there, have the rest of the tree. */
  grow(root: Restoree): void {
    this.#grow({ planned: this.plan.root, restoree: root }, undefined);
  }

  #grow(born: Born, memory: Born | undefined): void {
    const { planned, restoree } = born;
    this.all.push(born);
    this.onBirth(born, memory);
    const inherited = planned.kind === "task" ? born : memory;
    const early = bornBeforeSession(planned);
    this.#bear(born, inherited, early);
    const { table } = restoree;
    if (planned.sid === planned.pid) table.must("its session", NR.setsid);
    if (planned.children.some((child) => child.kind === "helper" && child.children.length > 0)) {
      table.must("to take over orphans", NR.prctl, PR.SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    this.#bear(
      born,
      inherited,
      planned.children.filter((child) => !early.includes(child)),
    );
  }

  #bear(parent: Born, memory: Born | undefined, children: readonly PlannedProcess[]): void {
    if (children.length === 0) return;
    const births = children.map((child) => ({ pid: child.pid, shares: sharedWith(parent.planned, child) }));
    const unborn = children.values();
    spawnChildren(parent.restoree, births, (restorees) => {
      for (const restoree of restorees) {
        const planned = unborn.next().value;
        if (planned?.pid !== restoree.pid) throw new Error(`process ${restoree.pid} was not to be born`);
        this.#grow({ planned, restoree }, memory);
      }
    });
  }

  /** Moves every process into its group: those that lead one first. */
  joinGroups(): void {
    const tables = this.all.filter(({ planned }) => planned.sid !== planned.pid && !bornIntoGroup(planned));
    for (const leads of [true, false]) {
      const joining = tables.filter(({ planned }) => (planned.pgid === planned.pid) === leads);
      for (const { planned, restoree } of joining) {
        restoree.table.must(`group ${planned.pgid}`, NR.setpgid, 0, planned.pgid);
      }
      runTogether(joining.map(({ restoree }) => restoree.table));
    }
  }

  /** Ends the helpers, whose children fall to their parents, and the zombies, who stay as such. */
  bury(): void {
    const dead = this.all.filter(({ planned }) => planned.kind !== "task");
    for (const { planned, restoree } of dead) {
      const { table, pid } = restoree;
      if (planned.core === undefined || planned.kind === "helper") table.must("its end", NR.exit_group, 0);
      else giveDeath(table, planned.core, pid);
      table.start();
      awaitEnd(restoree);
    }
    for (const { planned } of dead) {
      if (planned.kind !== "helper") continue;
      const parent = this.all.find((each) => each.planned === planned.parent);
      if (parent === undefined || parent.planned.kind !== "task") continue;
      parent.restoree.table.must(`helper ${planned.pid}`, NR.wait4, planned.pid, 0, 0, 0);
      parent.restoree.table.run();
    }
  }

  /** The processes that live on. */
  get living(): Born[] {
    return this.all.filter(({ planned }) => planned.kind === "task");
  }
}

/** As its tracer we see the end of a process before its parent does. */
function awaitEnd({ leader, pid }: Restoree): void {
  for (;;) {
    const stop = wait(pid);
    if (stop === undefined || stop.status.kind !== "stopped") return;
    // The signal that a zombie died of passes by us first.
    leader.task.resume(undefined, stop.status.event === 0 ? stop.status.signal : 0);
  }
}

/** Whether a process is in its group from its birth on, because that is its session's first. */
function bornIntoGroup({ sid, pgid, parent }: PlannedProcess): boolean {
  if (pgid !== sid) return false;
  for (let born = parent; born !== undefined; born = born.parent) if (born.pid === sid) return true;
  return false;
}

function sharedWith(parent: PlannedProcess, child: PlannedProcess): number {
  const ours = parent.ids;
  const its = child.ids;
  if (ours === undefined || its === undefined) return 0;
  return (its.files_id === ours.files_id ? CLONE.FILES : 0) | (its.fs_id === ours.fs_id ? CLONE.FS : 0);
}
