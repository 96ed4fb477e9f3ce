/** The errors of this room: each is one line for the user. */
import { errnoName, KernelError } from "../linux/errno.ts";

/** An open file that cannot be dumped: the message names process, descriptor and kind. */
export class FileDumpError extends Error {
  override readonly name = "FileDumpError";
}

/** An open file that cannot be restored: the message names image, id, path and errno. */
export class FileRestoreError extends Error {
  override readonly name = "FileRestoreError";
  constructor(
    message: string,
    readonly errno?: number,
  ) {
    super(message);
  }
}

/** One whose message does not name the object: {@link restoring} does. */
export class NamelessRestoreError extends FileRestoreError {}

/** What a failure says of itself, without the object, which the caller names better. */
export function reason(error: unknown): string {
  if (error instanceof KernelError) return `${error.call}: ${errnoName(error.errno)}`;
  return error instanceof Error ? error.message : String(error);
}

/** Runs `act`; a refusal of the kernel, or an error without a name, becomes a FileRestoreError that begins with `what`. */
export function restoring<T>(what: string | (() => string), act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof NamelessRestoreError)) throw error;
    const name = typeof what === "string" ? what : what();
    throw new FileRestoreError(`${name}: ${reason(error)}`, error.errno);
  }
}
