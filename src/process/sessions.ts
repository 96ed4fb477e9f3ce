/**
 * Who bears whom, so that every process comes into its session and to its parent.
 *
 * A process is born into the session of who bears it. Where its parent has never been in that, it fell to the parent when who
 * bore it had ended, for its parent is the init of its pid namespace, or was a child subreaper. Such an orphan is born again
 * below the leader of its session, by a helper that ends (births.ts) while its parent takes over orphans.
 */

import { CLONE } from "../linux/clone.ts";
import type { NsPid } from "../linux/pid.ts";
import { SIG } from "../linux/signal.ts";
import { UnsupportedError } from "./errors.ts";
import { originsOf, sharesAll, type Unborn } from "./sharing.ts";

/** What a process of the plan is. */
export type PlannedKind = "task" | "zombie" | "helper";

/** A process with its place among the births. */
export interface Placed<P> extends Unborn<P> {
  readonly kind: PlannedKind;
  pgid: NsPid;
  /** Its numbers in pid namespaces below that of the root, its own first. */
  readonly nested: readonly NsPid[];
  /** Those of the leader of its group, as far as it can see them. */
  readonly nestedGroup: readonly NsPid[];
  /** Those of the leader of its session, as far as it can see them. */
  readonly nestedSession: readonly NsPid[];
  /** Who bears it: its parent, a helper or a dead one whose child it is for a while, or another child of its parent's. Undefined for the root. */
  maker: P | undefined;
  /** What it shares with its maker, and CLONE_PARENT: flags of clone(2). */
  flags: number;
  /** Those that it bears, in that order. */
  readonly bears: P[];
}

/** Makes helpers: processes that take a number or bear others, and end before the tree runs. */
export interface Helpers<P> {
  make(pid: NsPid, sid: NsPid, pgid: NsPid, maker: P, nested: readonly NsPid[]): P;
  /** A number that nobody has, each time another one. */
  unused(): NsPid;
}

/**
 * Finds the maker of every process, adds helpers where it takes some, and returns all in the order of births, makers before those
 * that they bear. `processes` have parents before children, the root first. @throws UnsupportedError
 */
export function placeBirths<P extends Placed<P>>(processes: readonly P[], helpers: Helpers<P>): readonly P[] {
  const [root] = processes;
  return root === undefined ? [] : new BirthPlan(root, processes, helpers).make();
}

/** Who takes over those whom a dead process bears in the place of their parent, when it ends. */
export function newParentOf<P extends Placed<P>>(process: P): P | undefined {
  if (process.kind === "task") return undefined;
  return process.bears.find(({ parent }) => parent !== process)?.parent;
}

/**
 * The session that a process must be born into: its own, or, if it leads its own, any that somebody needs whom it bears
 * before its setsid(2). Undefined where it does not matter.
 */
function birthSession<P extends Placed<P>>(process: P): NsPid | undefined {
  if (process.sid !== process.pid) return process.sid;
  for (const each of process.bears) {
    const needed = birthSession(each);
    if (needed !== undefined && needed !== process.sid) return needed;
  }
  return undefined;
}

/** Those that a process must bear before it makes its own session. */
export function bornBeforeSession<P extends Placed<P>>(process: P): readonly P[] {
  if (process.sid !== process.pid) return [];
  return process.bears.filter((each) => {
    const needed = birthSession(each);
    return needed !== undefined && needed !== process.sid;
  });
}

function withOffspring<P extends Placed<P>>(process: P, into: P[] = []): P[] {
  into.push(process);
  for (const each of process.bears) withOffspring(each, into);
  return into;
}

/** From the root down to a process. */
function lineTo<P extends Unborn<P>>(process: P): readonly P[] {
  const line: P[] = [];
  for (let above: P | undefined = process; above !== undefined; above = above.parent) line.unshift(above);
  return line;
}

function isBelow<P extends Unborn<P>>(process: P, ancestor: P): boolean {
  for (let above = process.parent; above !== undefined; above = above.parent)
    if (above === ancestor) return true;
  return false;
}

class BirthPlan<P extends Placed<P>> {
  readonly #byPid = new Map<NsPid, P>();

  constructor(
    private readonly root: P,
    private readonly processes: readonly P[],
    private readonly helpers: Helpers<P>,
  ) {
    for (const process of processes) this.#byPid.set(process.pid, process);
  }

  make(): readonly P[] {
    for (const [process, { maker, flags }] of originsOf(this.processes)) {
      process.maker = maker;
      process.flags = flags;
      maker.bears.push(process);
    }
    this.#addSessionLeaders();
    // Whom a leader bears before its setsid(2) says what session it is to be born into.
    for (const process of withOffspring(this.root).reverse()) this.#place(process);
    this.#addGroupLeaders();
    const all = withOffspring(this.root);
    const reached = new Set(all);
    for (const process of this.processes) if (!reached.has(process)) throw noBirth(process, process.sid);
    groupMoves(all);
    checkSessions(this.root, this.root.sid === this.root.pid ? undefined : this.root.sid);
    return all;
  }

  /** The process whose number a session has; of one from outside of the tree, the root, which is in it. */
  #leaderOf(session: NsPid): P | undefined {
    return session === this.root.sid ? this.root : this.#byPid.get(session);
  }

  #helper(pid: NsPid, sid: NsPid, pgid: NsPid, maker: P, nested: readonly NsPid[]): P {
    const made = this.helpers.make(pid, sid, pgid, maker, nested);
    this.#byPid.set(pid, made);
    return made;
  }

  /** Whether who bears a process is, or can be before its own setsid(2), in a session. */
  #isBornInto({ maker, flags, parent }: P, session: NsPid): boolean {
    for (let above = maker; above !== undefined; above = above.maker) {
      if (above.sid === session) return true;
      if (above.sid !== above.pid || (flags & CLONE.PARENT) !== 0 || above !== parent) return false;
      ({ flags, parent } = above);
    }
    return false;
  }

  /** A helper for each session whose leader is not there any more. */
  #addSessionLeaders(): void {
    const orphans = new Map<NsPid, P[]>();
    for (const process of this.processes) {
      const { sid } = process;
      if (this.#leaderOf(sid) !== undefined || this.#isBornInto(process, sid)) continue;
      const known = orphans.get(sid);
      if (known === undefined) orphans.set(sid, [process]);
      else known.push(process);
    }
    for (const [sid, members] of orphans) {
      const [first] = members;
      if (first === undefined) continue;
      const maker = placeOfLeader(members, this.root);
      if (maker.nested.length !== first.nestedSession.length) throw noBirth(first, sid);
      maker.bears.push(this.#helper(sid, sid, sid, maker, first.nestedSession));
    }
  }

  /** A helper for each group whose leader is not there any more. */
  #addGroupLeaders(): void {
    for (const process of withOffspring(this.root)) {
      const { pgid, sid, maker = this.root } = process;
      if (pgid === this.root.pgid || this.#byPid.has(pgid)) continue;
      if (process.kind === "helper" && pgid === sid) continue;
      maker.bears.unshift(this.#helper(pgid, sid, pgid, maker, process.nestedGroup));
    }
  }

  /** Puts a process below the leader of its session where its parent has never been in that. @throws UnsupportedError */
  #place(process: P): void {
    const session = birthSession(process);
    const { maker, parent } = process;
    if (session === undefined || maker === undefined || parent === undefined) return;
    if (this.#isBornInto(process, session)) return;
    const leader = this.#leaderOf(session);
    if (leader !== undefined && isBelow(leader, parent) && maker === parent)
      this.#adopt(process, leader, session, parent);
    else if (maker.sid !== maker.pid || maker !== parent) throw noBirth(process, session);
  }

  #adopt(process: P, leader: P, session: NsPid, parent: P): void {
    const { pid, maker, flags } = process;
    if (process.exitSignal !== SIG.CHLD)
      throw new UnsupportedError(
        `process ${pid}: is to send signal ${process.exitSignal} at its end, which no orphan does`,
      );
    const isDead = leader.kind !== "task";
    const newParent = newParentOf(leader);
    const shared =
      flags === 0 || (isDead && leader.maker === maker) ? leader : this.#sharer(process, session);
    let bearer = shared;
    if (isDead && shared === leader && (newParent === undefined || newParent === parent))
      leader.flags |= flags;
    else bearer = this.#helperFor(shared, parent, session, flags);
    if (bearer.nested.length !== parent.nested.length)
      throw new UnsupportedError(
        `process ${pid}: is in session ${session}, whose leader is in another pid namespace than its parent ${parent.pid}: it could not fall to that again`,
      );
    maker?.bears.splice(maker.bears.indexOf(process), 1);
    bearer.bears.push(process);
    process.maker = bearer;
  }

  /** A helper below a member of a session, for those that fall to one parent. */
  #helperFor(member: P, parent: P, session: NsPid, flags: number): P {
    const known = member.bears.find(
      (each) =>
        each.kind === "helper" &&
        each.sid === session &&
        each.pid !== each.pgid &&
        newParentOf(each) === parent,
    );
    if (known !== undefined) {
      known.flags |= flags;
      return known;
    }
    const pid = this.helpers.unused();
    const nested = member.nested.map(() => pid);
    const made = this.#helper(pid, session, session, member, nested);
    made.flags = flags;
    member.bears.push(made);
    return made;
  }

  /** A member of its session that has all that a process shares with its parent. @throws UnsupportedError */
  #sharer(process: P, session: NsPid): P {
    const found = this.processes.find(
      (each) =>
        each.sid === session &&
        each !== process &&
        !isBelow(each, process) &&
        sharesAll(each.objects, process.objects, process.flags),
    );
    if (found !== undefined) return found;
    throw new UnsupportedError(
      `process ${process.pid}: shares memory, descriptors, directories or signal handlers with its parent, and nobody in its session ${session} has them to bear it with`,
    );
  }
}

/**
 * Whose child the leader of a dead session is to be: as far down as can be so that it is below all the parents to whom members
 * of it fell, which can be so for those in one line.
 */
function placeOfLeader<P extends Unborn<P>>(members: readonly P[], root: P): P {
  let lines = members.map(({ parent }) => lineTo(parent ?? root));
  let place = root;
  for (let depth = 0; ; depth++) {
    lines = lines.filter((line) => line.length > depth);
    const next = lines[0]?.[depth];
    if (next === undefined || lines.some((line) => line[depth] !== next)) return place;
    place = next;
  }
}

/** How processes that do not lead their session come into their groups: the steps in their order, each of several at once. */
export interface GroupMoves<P> {
  /** Those that make a group of their own number first: others are in it, whether they stay or not. */
  readonly founders: readonly P[];
  readonly joining: readonly (readonly P[])[];
}

/**
 * A group is there from when its founder makes it to when its last process leaves, and only those of its session can join. So who has
 * left a group of its own number founds that, and goes on to its own group when others are in.
 * @throws UnsupportedError for groups that none of them could be the first to leave
 */
export function groupMoves<P extends Placed<P>>(all: readonly P[]): GroupMoves<P> {
  const movers = all.filter((process) => process.sid !== process.pid && !isBearer(process));
  const groups = new Set(movers.map(({ pgid }) => pgid));
  const founders = movers.filter(({ pid }) => groups.has(pid));
  const founding = new Set(founders);
  const joining = [movers.filter((process) => !founding.has(process) && !bornIntoGroup(process))];
  let left = founders.filter(({ pid, pgid }) => pid !== pgid);
  const isIn = (group: NsPid, process: P) => process.pgid === group && !left.includes(process);
  while (left.length > 0) {
    const next = left.find(
      ({ pid }) => movers.some((process) => isIn(pid, process)) || !left.some(({ pgid }) => pgid === pid),
    );
    if (next === undefined)
      throw new UnsupportedError(
        `process ${left[0]?.pid}: its group ${left[0]?.pgid} and that of its own number have nobody but those who have left such groups`,
      );
    left = left.filter((each) => each !== next);
    joining.push([next]);
  }
  return { founders, joining };
}

/** A helper that bears others, and is in no group of its own. */
function isBearer<P extends Placed<P>>({ kind, pid, pgid }: P): boolean {
  return kind === "helper" && pgid !== pid;
}

/** Whether a process is in its group from its birth on, because that is its session's first. */
function bornIntoGroup<P extends Placed<P>>({ sid, pgid, maker }: P): boolean {
  if (pgid !== sid) return false;
  for (let born = maker; born !== undefined; born = born.maker) if (born.pid === sid) return true;
  return false;
}

/** Sees to it that the births in their order lead every process into its session. @throws UnsupportedError */
function checkSessions<P extends Placed<P>>(process: P, bornInto: NsPid | undefined): void {
  const { sid, pid } = process;
  const early = bornBeforeSession(process);
  for (const each of early) checkSessions(each, bornInto);
  if (sid !== pid && sid !== bornInto) throw noBirth(process, sid);
  for (const each of process.bears) if (!early.includes(each)) checkSessions(each, sid);
}

function noBirth({ pid }: { readonly pid: NsPid }, session: NsPid): UnsupportedError {
  return new UnsupportedError(
    `process ${pid}: is in session ${session}, and nobody in the tree could bear it into that and to its parent again`,
  );
}
