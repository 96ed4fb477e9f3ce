/**
 * The one family of errors: one line for people, and beside it what a program can act on. A log line is its message; an answer of
 * RPC, and an event of the library's, are made of its fields.
 */

/** What an error is about: who has to do something about it. */
export type ErrorKind =
  /** The command line, a configuration file, or a request is wrong. */
  | "option"
  | "request"
  /** Images are missing, damaged, or at odds with each other. */
  | "image"
  /** What a process has cannot be carried. */
  | "unsupported"
  /** The kernel has refused a call. */
  | "kernel"
  /** This kernel, or this processor, lacks something. */
  | "machine"
  /** A task has ended, or a client has gone, meanwhile. */
  | "task"
  | "client"
  /** A script or a client does not want the work to go on. */
  | "action"
  | "plugin"
  | "program"
  | "memory"
  | "file"
  | "mount"
  | "network"
  | "cgroup"
  /** A test's. */
  | "fault";

/** What is known of an error beside its line. */
export interface About {
  /** The process, by the number that the tree knows, or we; the line begins with it then. */
  readonly process?: number | undefined;
  /** What it was met at: a path, a descriptor, a mapping, an image. */
  readonly object?: string | undefined;
  /** The kernel's reason. */
  readonly errno?: number | undefined;
  readonly cause?: unknown;
}

export abstract class BaseError extends Error {
  abstract readonly kind: ErrorKind;
  readonly process: number | undefined;
  readonly object: string | undefined;
  readonly errno: number | undefined;

  constructor(what: string, { process, object, errno, cause }: About = {}) {
    const line = process === undefined ? what : `process ${process}: ${what}`;
    super(line, cause === undefined ? undefined : { cause });
    this.process = process;
    this.object = object;
    this.errno = errno ?? (cause instanceof BaseError ? cause.errno : undefined);
  }
}
