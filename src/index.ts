/**
 * criu-ts as a library.
 *
 *     import { dump, restore } from "criu-ts";
 *
 *     await dump({ tree: 1234, imagesDir: "/var/tmp/checkpoint" });
 *     await restore({ imagesDir: "/var/tmp/checkpoint", restoreDetached: true });
 *
 * Options are those of the command line under their long names in camel case; directories must be absolute. A failure
 * is thrown as an error whose message is the line that the command line prints. The calling thread becomes the tracer
 * of the tree and is busy until the call returns; it needs the privileges that `criu` needs.
 */
import { Actions } from "./actions.ts";
import { makeOptions, type Options } from "./options.ts";

export { ImageDir } from "./images/image-dir.ts";
export { KernelError } from "./linux/errno.ts";
export type { Options } from "./options.ts";
export type * from "./plugins/interface.ts";
export * from "./read-images.ts";

/** What must be given, and whatever else is wanted. */
export type DumpRequest = Partial<Options> & { readonly tree: number; readonly imagesDir: string };
export type RestoreRequest = Partial<Options> & { readonly imagesDir: string };

/** Saves the tree of process `tree` to `imagesDir`. @throws whatever failed; the tree then runs on as it was */
export async function dump(request: DumpRequest): Promise<void> {
  const { dump: procedure } = await import("./dump.ts");
  const options = makeOptions(request);
  using actions = new Actions(options.actionScript, options.imagesDir);
  await procedure(options, actions);
}

/**
 * Brings back the tree saved in `imagesDir`. Unless `restoreDetached` is set, the promise is settled when the root has
 * ended. @throws whatever failed; nothing is left behind then
 */
export async function restore(request: RestoreRequest): Promise<void> {
  const { restore: procedure } = await import("./restore.ts");
  const options = makeOptions(request);
  using actions = new Actions(options.actionScript, options.imagesDir);
  await procedure(options, actions);
}
