/**
 * Action scripts and notifications: who is told at which stage the work is, and may stop it. Scripts come from the command
 * line, configuration or RPC (`--action-script`); a listener is the client of an RPC, and is told first.
 *
 * A script finds the stage in CRTOOLS_SCRIPT_ACTION, the images in CRTOOLS_IMAGE_DIR, and, as soon as there is one, the pid of
 * the tree's root in CRTOOLS_INIT_PID. What it prints goes to the log, its input is closed; it runs in the work directory.
 */
import { BaseError } from "./linux/base-error.ts";
import { errnoName, KernelError } from "./linux/errno.ts";
import { Fd } from "./linux/fd.ts";
import { O, readLink } from "./linux/io.ts";
import { NR } from "./linux/nr.ts";
import { environment, ourPid } from "./linux/ourselves.ts";
import { awaitProgram, endOf, start, WITHOUT_RIGHTS } from "./linux/program.ts";
import { rawSyscall } from "./linux/syscall.ts";
import { log, logDescriptor } from "./log.ts";

/** The stages, by the names that scripts and clients know; CRIU 4.2's. */
export type Action =
  | "pre-stream"
  | "pre-dump"
  | "post-dump"
  | "pre-restore"
  | "post-restore"
  | "network-lock"
  | "network-unlock"
  | "setup-namespaces"
  | "post-setup-namespaces"
  | "pre-resume"
  | "post-resume"
  | "orphan-pts-master"
  | "status-ready"
  | "query-ext-files";

/** Somebody who was told of a stage does not want the work to go on. */
export class ActionError extends BaseError {
  override readonly name = "ActionError";
  readonly kind = "action";

  constructor(
    message: string,
    /** What the script exited with, from 1 to 255; 1 where there was no such thing. */
    readonly code: number = 1,
  ) {
    super(message);
  }
}

/** Who is told of the stages besides the scripts. */
export interface Listener {
  /**
   * Tells of a stage, and waits for the answer. `pid` is that of the tree's root where the stage has one to tell; `fd` is
   * handed over as a duplicate. @throws ActionError when the answer is no, or none comes
   */
  notify(action: Action, about: { readonly pid?: number; readonly fd?: number }): void;
  /** Asks for resources that are to be external, entries of --external. @throws ActionError as `notify` */
  queryExternal(): readonly string[];
  /** Whether it wants terminals' masters. */
  readonly takesMasters: boolean;
}

/** Stages of which the listener gets the root's pid. */
const TELLS_PID: ReadonlySet<Action> = new Set(["setup-namespaces", "post-restore"]);

/** Made for one work; to be disposed of when that is done. */
export class Actions implements Disposable {
  /** Pid, as ours are, of the root of the tree, as soon as it is there. */
  root: number | undefined;
  /** The images, open: what CRTOOLS_IMAGE_DIR leads to. */
  #images: Fd | undefined;

  constructor(
    /** In the order in which they were given; the last one is run first, as CRIU does. */
    private readonly scripts: readonly string[],
    private readonly imagesDir: string,
    private readonly listener?: Listener,
    /**
     * Inode of our socket that leads to whoever asks for the work. Who dumps itself has the other end: when restored it finds
     * an answer in there.
     */
    readonly clientSocket?: number,
  ) {}

  /** Whether anybody is to be told anything. */
  get any(): boolean {
    return this.scripts.length > 0 || this.listener !== undefined;
  }

  /** Tells everybody of a stage. All scripts are run, also behind one that fails. @throws ActionError */
  run(action: Action): void {
    if (!this.any) return;
    log.debug("actions", `running ${action} scripts`);
    const pid = TELLS_PID.has(action) ? this.root : undefined;
    this.listener?.notify(action, pid === undefined ? {} : { pid });
    let failure: ActionError | undefined;
    for (const script of this.scripts.toReversed()) {
      try {
        this.#script(script, action);
      } catch (error) {
        if (!(error instanceof ActionError)) throw error;
        log.error("actions", error.message);
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** Tells everybody of a stage from which there is no way back: a failure is logged. */
  announce(action: Action): void {
    try {
      this.run(action);
    } catch (error) {
      if (!(error instanceof ActionError)) throw error;
      log.error("actions", `${action}: it is too late to stop: ${error.message}`);
    }
  }

  /** Whether there is somebody to hand masters of terminals to. */
  get takesMasters(): boolean {
    return this.listener?.takesMasters === true;
  }

  /**
   * Hands the master of a terminal whose other end is in the tree to the listener (orphan-pts-master). The descriptor stays
   * the caller's. False if nobody wants it. @throws ActionError
   */
  handOverMaster(fd: number): boolean {
    if (this.listener?.takesMasters !== true) return false;
    this.listener.notify("orphan-pts-master", { fd });
    return true;
  }

  /** Entries of --external that the listener adds once the tree is frozen (query-ext-files). @throws ActionError */
  queryExternal(): readonly string[] {
    return this.listener?.queryExternal() ?? [];
  }

  #script(script: string, action: Action): void {
    const pid = this.root === undefined ? {} : { CRTOOLS_INIT_PID: String(this.root) };
    const log = logDescriptor();
    try {
      const child = start({
        path: script,
        words: [script],
        environment: {
          ...environment(),
          CRTOOLS_SCRIPT_ACTION: action,
          CRTOOLS_IMAGE_DIR: this.#pathOfImages(),
          ...pid,
        },
        descriptors: new Map([
          [1, log],
          [2, log],
        ]),
        closeOthers: true,
        prepare: [WITHOUT_RIGHTS],
      });
      const end = awaitProgram(child);
      if (end.kind === "exited" && end.code === 0) return;
      throw new ActionError(
        `script ${script} ${endOf(end)} at ${action}`,
        end.kind === "exited" ? end.code : 1,
      );
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw new ActionError(`script ${script} cannot be run at ${action}: ${errnoName(error.errno)}`);
    }
  }

  /** A path that leads to the images wherever the script goes; where we are not root it may not look at our descriptors. */
  #pathOfImages(): string {
    this.#images ??= Fd.open(this.imagesDir, O.RDONLY | O.DIRECTORY);
    const path = `/proc/${ourPid()}/fd/${this.#images.number}`;
    return rawSyscall(NR.geteuid) === 0 ? path : readLink(path);
  }

  [Symbol.dispose](): void {
    this.#images?.close();
    this.#images = undefined;
  }
}
