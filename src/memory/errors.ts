/** The error of memory: one line that names process and mapping. */

import { type About, BaseError } from "../linux/base-error.ts";
import { errnoName, KernelError } from "../linux/errno.ts";

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A range as /proc/PID/maps writes it. */
export function rangeText({ start, end }: Range): string {
  return `${start.toString(16)}-${end.toString(16)}`;
}

/** Memory that cannot be dumped or restored; `errno` where the kernel refused. */
export class MemoryError extends BaseError {
  override readonly name = "MemoryError";
  readonly kind = "memory";
  constructor(pid: number, what: string, about: Omit<About, "process"> = {}) {
    super(what, { ...about, process: pid });
  }
}

/** Runs `act`; a refusal of the kernel becomes a MemoryError about `mapping` of process `pid`. */
export function naming<T>(pid: number, mapping: Range | string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const place = typeof mapping === "string" ? mapping : `mapping ${rangeText(mapping)}`;
    const object = error.object === "" ? "" : ` ${error.object}`;
    const text = `${place}: ${error.call}${object}: ${errnoName(error.errno)}`;
    throw new MemoryError(pid, text, { object: place, cause: error });
  }
}
