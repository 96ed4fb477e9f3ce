/** Bringing a planned tree into being: births in the order that sessions ask for, groups, and the ends of the dead. */

import { NR } from "../linux/nr.ts";
import { type HostPid, type NsPid, numberSeenBy } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { SIG } from "../linux/signal.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { spawnChildren } from "../tracee/build/spawn.ts";
import { TaskGoneError } from "../tracee/hold/task.ts";
import { runTogether } from "../tracee/table/table.ts";
import { giveDeath } from "./core.ts";
import type { PlannedProcess, PstreePlan } from "./pstree.ts";
import { bornBeforeSession, groupMoves, newParentOf } from "./sessions.ts";

/** In the place of a group whose leader is in no namespace that a process can see. */
const CANNOT_SEE = -1;

/** A process of the plan that has been born. */
export interface Born {
  readonly planned: PlannedProcess;
  readonly restoree: Restoree;
}

/** What has to be so in a process while it bears others. */
export interface Preparation {
  before(maker: Restoree): void;
  after(maker: Restoree): void;
}

/** Where processes are born. */
export interface BirthPlaces {
  /** Flags of clone3(2) of the namespaces that a process begins. */
  flagsOf(planned: PlannedProcess): number;
  /** What its birth takes; the same object for those that need the same. */
  preparationOf(planned: PlannedProcess): Preparation | undefined;
}

export class Births {
  /** In the order of birth: makers before those that they bear. */
  readonly all: Born[] = [];
  readonly #byPlan = new Map<PlannedProcess, Born>();
  readonly #hosts = new Map<NsPid, HostPid>();
  #hasSession = false;
  readonly #signalsOfDead = new Map<PlannedProcess, readonly number[]>();

  constructor(
    private readonly plan: PstreePlan,
    private readonly places: BirthPlaces,
    /**
     * Called for each process right after its birth and before it bears any, to put its memory in place. `memory`
     * is whose memory it was born with: its maker's, or, if that is a helper, that one's maker's.
     */
    private readonly onBirth: (born: Born, memory: Born | undefined) => void,
    /** Called for each process that leads a session, when it has made it and before it bears others into it. */
    private readonly onSession: (leader: Born) => void,
  ) {
    for (const { kind, parent, exitSignal } of plan.all) {
      if (kind !== "zombie" || parent === undefined || exitSignal === 0 || exitSignal === SIG.CHLD) continue;
      this.#signalsOfDead.set(parent, [...this.signalsOfDead(parent), exitSignal]);
    }
  }

  /** Lets the root lead its session, and group, before there are others, where nobody is born into the one that it is in now. */
  startSession(root: Restoree): void {
    const planned = this.plan.root;
    if (planned.sid !== planned.pid || bornBeforeSession(planned).length > 0) return;
    root.table.must("its session", NR.setsid);
    this.#hasSession = true;
  }

  /** Lets the root, which is there, have the rest of the tree. */
  grow(root: Restoree): void {
    this.#grow({ planned: this.plan.root, restoree: root }, undefined);
  }

  #grow(born: Born, memory: Born | undefined): void {
    const { planned, restoree } = born;
    this.all.push(born);
    this.#byPlan.set(planned, born);
    this.#hosts.set(restoree.number, restoree.pid);
    this.onBirth(born, memory);
    const inherited = planned.kind === "task" ? born : memory;
    const early = bornBeforeSession(planned);
    this.#bear(born, inherited, early);
    const { table } = restoree;
    const isLate = planned !== this.plan.root || !this.#hasSession;
    if (planned.sid === planned.pid && isLate) table.must("its session", NR.setsid);
    if (planned.sid === planned.pid && planned.kind === "task") this.onSession(born);
    this.#bear(
      born,
      inherited,
      planned.bears.filter((each) => !early.includes(each)),
    );
  }

  #bear(maker: Born, memory: Born | undefined, planned: readonly PlannedProcess[]): void {
    let from = 0;
    planned.forEach((each, i) => {
      const next = planned[i + 1];
      const preparation = this.places.preparationOf(each);
      if (next !== undefined && this.places.preparationOf(next) === preparation) return;
      preparation?.before(maker.restoree);
      this.#bearTogether(maker, memory, planned.slice(from, i + 1));
      preparation?.after(maker.restoree);
      from = i + 1;
    });
  }

  #bearTogether(maker: Born, memory: Born | undefined, planned: readonly PlannedProcess[]): void {
    const unborn = planned.values();
    const births = planned.map((each) => {
      const { pid, nested, flags, exitSignal, part } = each;
      return { number: pid, nested, flags: flags + this.places.flagsOf(each), exitSignal, part };
    });
    spawnChildren(maker.restoree, births, (restorees) => {
      for (const restoree of restorees) {
        const planned = unborn.next().value;
        if (planned?.pid !== restoree.number)
          throw new Error(`process ${restoree.number} was not to be born`);
        this.#grow({ planned, restoree }, memory);
      }
    });
  }

  /** Moves every process into its group. */
  joinGroups(): void {
    const { founders, joining } = groupMoves(this.all.map(({ planned }) => planned));
    const move = (movers: readonly PlannedProcess[], groupOf: (mover: PlannedProcess) => number) => {
      const moving = movers.flatMap((planned) => this.#byPlan.get(planned) ?? []);
      for (const { planned, restoree } of moving) {
        const group = groupOf(planned);
        // That one it has from its birth.
        if (group !== CANNOT_SEE) restoree.table.must(`group ${planned.pgid}`, NR.setpgid, 0, group);
      }
      runTogether(moving.map(({ restoree }) => restoree.table));
    };
    move(founders, () => 0);
    for (const movers of joining)
      move(movers, ({ ownGroup, pgid }) => (ownGroup === 0 ? CANNOT_SEE : (ownGroup ?? pgid)));
  }

  /** Ends the helpers, and the dead who bear others: those fall to their parents. Then the other dead, who stay as zombies. */
  endTheDead(): void {
    /** Who takes over orphans just now: nobody else between it and who ends may. */
    let reaper: Restoree | undefined;
    for (const { planned, restoree } of [...this.all].reverse()) {
      const newParent = newParentOf(planned);
      if (planned.kind !== "helper" && newParent === undefined) continue;
      const next = newParent && this.#byPlan.get(newParent)?.restoree;
      if (next !== undefined && next !== reaper) {
        if (reaper !== undefined) takeOverOrphans(reaper, 0);
        takeOverOrphans(next, 1);
        reaper = next;
      }
      end(planned, restoree);
      if (planned.kind === "helper") this.#reap(planned);
    }
    for (const { planned, restoree } of this.all)
      if (planned.kind === "zombie" && newParentOf(planned) === undefined) end(planned, restoree);
  }

  /** A helper is the child of its maker to its end. */
  #reap({ pid: number, nested, maker }: PlannedProcess): void {
    const parent = maker && this.#byPlan.get(maker)?.restoree;
    if (parent === undefined) return;
    parent.table.must(
      `helper ${number}`,
      NR.wait4,
      numberSeenBy(parent.identity, { number, nested }),
      0,
      0,
      0,
    );
    parent.table.run();
  }

  /** The signals, other than SIGCHLD, that a process got from those of its children that are dead from the beginning. */
  signalsOfDead(parent: PlannedProcess): readonly number[] {
    return this.#signalsOfDead.get(parent) ?? [];
  }

  /** Our number of a task, group or session of the tree; undefined for one that is not of it. */
  hostOf(number: NsPid): HostPid | undefined {
    return this.#hosts.get(number);
  }

  /** The processes that live on. */
  get living(): Born[] {
    return this.all.filter(({ planned }) => planned.kind === "task");
  }
}

function takeOverOrphans({ table }: Restoree, does: 0 | 1): void {
  table.must("to take over orphans", NR.prctl, PR.SET_CHILD_SUBREAPER, does, 0, 0, 0);
  table.run();
}

function end({ kind, core }: PlannedProcess, restoree: Restoree): void {
  const { table } = restoree;
  if (core === undefined || kind === "helper") table.must("its end", NR.exit_group, 0);
  else giveDeath(restoree, core);
  table.start();
  awaitEnd(restoree);
}

/** As its tracer we see the end of a process before its parent does. @throws KernelError */
function awaitEnd({ leader: { task } }: Restoree): void {
  try {
    for (;;) {
      const stop = task.awaitAnyStop();
      // The signal that a zombie died of passes by us first.
      task.resume(undefined, stop.event === 0 ? stop.signal : 0);
    }
  } catch (error) {
    if (!(error instanceof TaskGoneError)) throw error;
  }
}
