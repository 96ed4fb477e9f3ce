import { log } from "./log.ts";
import type { Options } from "./options.ts";

/** A place to stand in until the procedure is written: it refuses. Returns the exit code. */
export function dump(_options: Options): Promise<number> | number {
  log.error("dump", "not written yet");
  return 1;
}
