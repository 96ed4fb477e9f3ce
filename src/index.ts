/**
 * criu-ts as a library, for Node and Bun.
 *
 *     import { dump, restore } from "criu-ts";
 *
 *     await dump({ tree: 1234, imagesDir: "/var/tmp/checkpoint" });
 *     await restore({ imagesDir: "/var/tmp/checkpoint", restoreDetached: true });
 *
 * Options are those of the command line under their long names in camel case; an unknown one is an error. Each call runs the
 * executable, so that nothing of it blocks the caller, and it needs the privileges that `criu` needs. More in docs/library.md.
 */
export type { Answer, Event, Failure } from "./events.ts";
export * from "./library/commands.ts";
export { CriuError } from "./library/errors.ts";
export type { RunOptions } from "./library/run.ts";
export { OptionError, type Options } from "./options.ts";
export type * from "./plugins/interface.ts";
export * from "./read-images.ts";
