/** Something is wrong with a plugin, or was thrown by it. */
export class PluginError extends Error {
  override readonly name = "PluginError";

  /** `plugin` is its name, or its path where it has none yet. */
  constructor(
    readonly plugin: string,
    what: string,
    cause?: unknown,
  ) {
    super(`plugin ${plugin}: ${what}`, { cause });
  }
}
