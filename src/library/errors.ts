/** What a command that failed throws. */
import type { Failure } from "../events.ts";
import type { ErrorKind } from "../linux/base-error.ts";

/** A command failed. What it worked on is as it was: see the contracts in docs/architecture.md. */
export class CriuError extends Error {
  override readonly name: string = "CriuError";
  /** The class of the error inside: `KernelError`, `OptionError`, `UnsupportedError`, `ImageError`, ... */
  readonly reason: string;
  /** What it is about: `option`, `image`, `unsupported`, `kernel`, `file`, ... */
  readonly about: ErrorKind | undefined;
  /** The process that the message is about. */
  readonly process: number | undefined;
  /** What it was met at: a path, a descriptor, a mapping, an image. */
  readonly object: string | undefined;
  /** The call that failed. */
  readonly call: string | undefined;
  /** The kernel's errno by name: `ENOENT`. */
  readonly errno: string | undefined;

  constructor(
    failure: Failure,
    /** The exit code; undefined where a signal ended the command, or it never began. */
    readonly exitCode: number | undefined,
    /** All that was said on standard error. */
    readonly output: string,
  ) {
    super(failure.message);
    this.reason = failure.name;
    // Some errors have these in their message alone.
    const process = failure.process ?? /\bprocess (\d+)/.exec(failure.message)?.[1];
    this.process = process === undefined ? undefined : Number(process);
    this.about = failure.about;
    this.object = failure.object;
    this.call = failure.call;
    this.errno = failure.errno ?? /: (E[A-Z0-9]+)$/.exec(failure.message)?.[1];
  }
}
