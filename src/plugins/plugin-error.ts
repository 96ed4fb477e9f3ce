import { BaseError } from "../linux/base-error.ts";

/** Something is wrong with a plugin, or was thrown by it. */
export class PluginError extends BaseError {
  override readonly name = "PluginError";
  readonly kind = "plugin";

  /** `plugin` is its name, or its path where it has none yet. */
  constructor(
    readonly plugin: string,
    what: string,
    cause?: unknown,
  ) {
    super(`plugin ${plugin}: ${what}`, { cause });
  }
}
