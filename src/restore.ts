import { log } from "./log.ts";
import type { Options } from "./options.ts";

/** A place to stand in until the procedure is written: it refuses. Returns the exit code. */
export function restore(_options: Options): Promise<number> | number {
  log.error("restore", "not written yet");
  return 1;
}
