/** `--status-fd` and the action status-ready: a server tells that requests can come. */
import type { Actions } from "../actions.ts";
import { close, writeAll } from "../linux/io.ts";
import type { Options } from "../options.ts";

/** Tells everybody who waits for it, and closes the descriptor. @throws ActionError, KernelError */
export function statusReady({ statusFd }: Options, actions: Actions): void {
  actions.run("status-ready");
  if (statusFd === undefined) return;
  writeAll(statusFd, new Uint8Array(1));
  close(statusFd);
}
