/**
 * The undo list: what has to be done when a command fails, so that nothing of it stays behind outside of the images and the
 * tree. Names, rules, options of sockets, mounts, a control group that was frozen: each such change is preceded by an entry here.
 *
 *     using undo = new Undo();
 *     const entry = undo.lay(path, unlinking(AT.FDCWD, path, fd));   // before the change
 *     linkPath(...)                                                  // the change
 *     entry.drop();      // it is to stay;                           or
 *     entry.undo();      // it is taken back now;                    or
 *     undo.commit();     // all of it is to stay
 *
 * What is left when the list is disposed of is undone, newest first. If we are killed, by whatever signal, the warden
 * (warden.ts) does the same. It is started with the first entry; a command that changes nothing has none.
 *
 * What a command still has to do once it has succeeded is laid beforehand as well ({@link Undo.layAfter}). At the commit that
 * takes the place of the list, at one stroke: whenever we die, either all is undone or all is finished.
 *
 * A change to the list is one word, written by machine code when everything that it leads to stands in its place.
 */

import { errnoName } from "../linux/errno.ts";
import type { Fd } from "../linux/fd.ts";
import { instant } from "../linux/instants.ts";
import { OwnTable, runTable } from "../linux/own-table.ts";
import type { HostPid } from "../linux/pid.ts";
import { STATX } from "../linux/statx.ts";
import { callName } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { ENTRY_SIZE, OP } from "../machine/runner.ts";
import { StillThere, type UndoStep } from "./calls.ts";
import { ALWAYS, type CommonWords, forgetResults, type Laid, resultOf, UndoMemory } from "./memory.ts";
import { Warden } from "./warden.ts";

/** An END; what the warden does first; the write of one word, which needs an entry behind it. */
const TABLE = { END: 0, TAKE_OVER: 1, PUBLISH: 3, COUNT: 5 } as const;
const WORDS_AT = TABLE.COUNT * ENTRY_SIZE;
const WORD = {
  HEAD: WORDS_AT,
  /** Of the list that is the other one's successor. */
  AFTER: WORDS_AT + 8,
  ALIVE: WORDS_AT + 16,
  ZERO: WORDS_AT + 24,
  END: WORDS_AT + 32,
  TAKE_OVER: WORDS_AT + 40,
  VALUE: WORDS_AT + 48,
  STATUS: WORDS_AT + 56,
} as const;

/** A change that can be undone. */
export interface UndoEntry {
  /** Takes it from the list: the change is to stay, or was taken back otherwise. */
  drop(): void;
  /** Undoes the change, and takes the entry from the list. Never throws; what cannot be undone is named in the log. */
  undo(): void;
}

class Entry implements UndoEntry {
  newer: Entry | undefined;
  older: Entry | undefined;
  /** Undefined once it is in no list. */
  list: List | undefined;

  constructor(
    readonly what: string,
    readonly steps: readonly UndoStep[],
    readonly laid: Laid,
  ) {}

  drop(): void {
    this.list?.remove(this);
  }

  undo(): void {
    this.list?.run(this);
  }
}

/** The entries of one list, as we know them and as they stand in memory. */
class List {
  newest: Entry | undefined;

  constructor(
    private readonly shared: Shared,
    /** Address of the word that says where the newest one stands. */
    public head: number,
  ) {}

  add(what: string, steps: readonly UndoStep[]): Entry {
    const { shared, newest } = this;
    const entry = new Entry(
      what,
      steps,
      shared.memory.lay(steps, newest?.laid.address ?? shared.warden.exit),
    );
    entry.list = this;
    entry.older = newest;
    if (newest !== undefined) newest.newer = entry;
    this.newest = entry;
    shared.publish(this.head, entry.laid.address);
    return entry;
  }

  remove(entry: Entry): void {
    const { newer, older } = entry;
    const { shared } = this;
    shared.publish(newer?.laid.older ?? this.head, older?.laid.address ?? shared.warden.exit);
    if (newer === undefined) this.newest = older;
    else newer.older = older;
    if (older !== undefined) older.newer = newer;
    entry.list = undefined;
    shared.memory.free(entry.laid);
  }

  run(entry: Entry): void {
    forgetResults(entry.laid);
    runTable(entry.laid.address);
    entry.steps.forEach((step, i) => {
      if (step instanceof StillThere) return;
      const result = resultOf(entry.laid, i);
      if (result === undefined) log.debug("undo", `${entry.what}: is not there any more`);
      else if (result < 0 && !step.allowed.includes(-result))
        log.warn("undo", `${entry.what}: stays behind: ${callName(step.nr)}: ${errnoName(-result)}`);
    });
    this.remove(entry);
  }

  runAll(): void {
    for (let entry = this.newest; entry !== undefined; entry = this.newest) this.run(entry);
  }
}

/** What the lists stand on: it is there as long as the warden is. */
class Shared {
  readonly #table = new OwnTable(WORD.STATUS + STATX.SIZE);
  readonly memory: UndoMemory;
  readonly warden: Warden;

  constructor(avoid: ReadonlySet<HostPid>) {
    const table = this.#table;
    const common: CommonWords = {
      head: this.address(WORD.HEAD),
      alive: this.address(WORD.ALIVE),
      end: this.address(WORD.END),
      status: this.address(WORD.STATUS),
    };
    table.setWord(WORD.ALIVE, 1);
    table.setWord(WORD.END, this.address(TABLE.END * ENTRY_SIZE));
    table.setWord(WORD.TAKE_OVER, this.address(TABLE.TAKE_OVER * ENTRY_SIZE));
    table.entry(TABLE.END, OP.END);
    table.entry(TABLE.TAKE_OVER, OP.MOVE, this.address(WORD.ZERO), common.alive);
    table.entry(TABLE.TAKE_OVER + 1, OP.JUMP, common.head, common.head, ...ALWAYS);
    this.memory = new UndoMemory(common);
    this.warden = new Warden(this.address(WORD.TAKE_OVER), avoid, (exit) => {
      table.setWord(WORD.HEAD, exit);
      table.setWord(WORD.AFTER, exit);
    });
  }

  address(at: number): number {
    return this.#table.address + at;
  }

  /** Writes a word of 64 bits at once, after everything that was written before. */
  publish(at: number, value: number): void {
    instant();
    const table = this.#table;
    table.setWord(WORD.VALUE, value);
    table.entry(TABLE.PUBLISH, OP.MOVE, this.address(WORD.VALUE), at);
    table.run(1, TABLE.PUBLISH);
  }

  get head(): number {
    return this.address(WORD.HEAD);
  }

  get after(): number {
    return this.address(WORD.AFTER);
  }
}

export class Undo implements Disposable {
  #shared: Shared | undefined;
  #list: List | undefined;
  #after: List | undefined;
  readonly #kept: Fd[] = [];

  /** `avoid` are ids that processes and threads are to be born with. */
  constructor(private readonly avoid: ReadonlySet<HostPid> = new Set()) {}

  /** Whether there is something to undo, or to finish. */
  get isEmpty(): boolean {
    return this.#list?.newest === undefined && this.#after?.newest === undefined;
  }

  /**
   * Says how a change is undone that comes next. `what` names it, if it cannot be undone.
   * @throws KernelError where no warden can be had; the change must not be made then
   */
  lay(what: string, steps: readonly UndoStep[]): UndoEntry {
    const shared = this.#start();
    this.#list ??= new List(shared, shared.head);
    return this.#list.add(what, steps);
  }

  /**
   * Says what is to be done at the end of a command that has succeeded: by {@link Undo.finish}, or by the warden, if we are
   * killed after the commit. The last one that was laid comes first. @throws as lay
   */
  layAfter(what: string, steps: readonly UndoStep[]): UndoEntry {
    const shared = this.#start();
    this.#after ??= new List(shared, shared.after);
    return this.#after.add(what, steps);
  }

  /** Takes a descriptor over that something is undone by: it stays open until that is over. Gives its number. */
  keep(fd: Fd): number {
    this.#kept.push(fd);
    return fd.number;
  }

  /** What was done is to stay. What was laid to be done afterwards takes the place of the list. Never throws. */
  commit(): void {
    const shared = this.#shared;
    if (shared === undefined) return;
    const list = this.#list;
    const after = this.#after ?? new List(shared, shared.after);
    shared.publish(shared.head, after.newest?.laid.address ?? shared.warden.exit);
    after.head = shared.head;
    this.#list = after;
    this.#after = undefined;
    for (let entry = list?.newest; entry !== undefined; entry = entry.older) {
      entry.list = undefined;
      shared.memory.free(entry.laid);
    }
  }

  /** Undoes what is in the list, newest first; after a commit, does what is left to do. Ends the warden. Never throws. */
  finish(): void {
    this.#list?.runAll();
    this.#shared?.warden.end();
    this.#shared = undefined;
    this.#list = undefined;
    this.#after = undefined;
    for (const fd of this.#kept.splice(0)) fd.close();
  }

  [Symbol.dispose](): void {
    this.finish();
  }

  #start(): Shared {
    this.#shared ??= new Shared(this.avoid);
    return this.#shared;
  }
}
