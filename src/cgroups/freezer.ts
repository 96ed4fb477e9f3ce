/**
 * The freezer of control groups (--freeze-cgroup): all tasks of a group stop at one stroke, before each is stopped by ptrace(2). A
 * group that was frozen before is frozen again when its tasks go on, and after a restore.
 */
import { ERRNO, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { AT, exists, O, readText } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { awaitThat } from "../linux/sleep.ts";
import { addressOf, cString, syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { call } from "../undo/calls.ts";
import type { Undo, UndoEntry } from "../undo/undo.ts";

/** The files of a version. */
interface Files {
  readonly file: string;
  readonly frozen: string;
  readonly thawed: string;
  /** Says whether all tasks have stopped. */
  readonly state: { readonly file: string; readonly isFrozen: RegExp };
}

const V1: Files = {
  file: "freezer.state",
  frozen: "FROZEN",
  thawed: "THAWED",
  state: { file: "freezer.state", isFrozen: /^FROZEN/ },
};
const V2: Files = {
  file: "cgroup.freeze",
  frozen: "1",
  thawed: "0",
  state: { file: "cgroup.events", isFrozen: /^frozen 1$/m },
};

export class Freezer implements Disposable {
  /** Whether the group was frozen by somebody before us. */
  readonly wasFrozen: boolean;
  readonly #files: Files;
  readonly #entry: UndoEntry;

  /**
   * Freezes group `path`, a directory of a mounted hierarchy. `patience` is in milliseconds.
   * @throws KernelError (ETIMEDOUT: a task of it does not stop)
   */
  constructor(
    readonly path: string,
    undo: Undo,
    patience: number,
  ) {
    this.#files = exists(`${path}/${V2.file}`) ? V2 : V1;
    const { file, frozen, thawed, state } = this.#files;
    const before = readText(`${path}/${file}`).trim();
    this.wasFrozen = before !== thawed;
    const open = call(NR.openat, AT.FDCWD, cString(`${path}/${file}`), O.WRONLY);
    const text = this.wasFrozen ? frozen : thawed;
    this.#entry = undo.lay(`freezer of ${path}`, [
      open,
      call(NR.write, open, cString(text), text.length),
      call(NR.close, open),
    ]);
    if (!this.wasFrozen) this.#write(frozen);
    if (!awaitThat(() => state.isFrozen.test(readText(`${path}/${state.file}`)), patience))
      throw new KernelError("freeze", `cgroup ${path}`, ERRNO.ETIMEDOUT);
  }

  /**
   * Warns of processes of the group that are not of the tree, as of those that were put into a container later: they are not saved,
   * and end with the first process of their pid namespace.
   */
  tellOthers(tree: readonly HostPid[]): void {
    const known = new Set<number>(tree);
    for (const line of readText(`${this.path}/cgroup.procs`).split("\n"))
      if (line !== "" && !known.has(Number(line)))
        log.warn("cgroup", `process ${line} is in ${this.path}, but not in the tree: it is not saved`);
  }

  /** What the property of the group is to be after a restore. */
  get state(): { readonly name: string; readonly value: string } {
    const { file, frozen, thawed } = this.#files;
    return { name: file, value: this.wasFrozen ? frozen : thawed };
  }

  /** Its tasks are to stop by ptrace(2) now, and to make calls for us. @throws KernelError */
  thaw(): void {
    this.#write(this.#files.thawed);
  }

  /** Leaves the group as it was. Its tasks stand, and go on. @throws KernelError */
  restore(): void {
    if (this.wasFrozen) this.#write(this.#files.frozen);
    this.#entry.drop();
  }

  [Symbol.dispose](): void {
    this.#entry.undo();
  }

  #write(text: string): void {
    const { path } = this;
    using fd = Fd.open(`${path}/${this.#files.file}`, O.WRONLY);
    const bytes = Buffer.from(text);
    syscall(`${path}/${this.#files.file}`, NR.write, fd.number, addressOf(bytes), bytes.length);
  }
}
