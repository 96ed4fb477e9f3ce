/** The errors of open files. */
import { BaseError } from "../linux/base-error.ts";
import { errnoName, KernelError } from "../linux/errno.ts";

/** An open file that cannot be dumped: the message names process, descriptor and kind. */
export class FileDumpError extends BaseError {
  override readonly name = "FileDumpError";
  readonly kind = "file";
}

/** An open file that cannot be restored: the message names image, id, path and errno. */
export class FileRestoreError extends BaseError {
  override readonly name: string = "FileRestoreError";
  readonly kind = "file";
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
    throw new FileRestoreError(`${name}: ${reason(error)}`, { object: name, cause: error });
  }
}
