/**
 * What a program that drives us is told: lines of JSON, each an event, to the descriptor that `CRIU_TS_EVENTS` names in the
 * environment. The library asks for it (library/run.ts); any other may as well. They are written by event-channel.ts.
 */

import type { ErrorKind } from "./linux/base-error.ts";

/** In the environment: the number of a descriptor. */
export const EVENTS_VARIABLE = "CRIU_TS_EVENTS";

/** A failure that ended a command. */
export interface Failure {
  /** The class of the error: `KernelError`, `OptionError`, `UnsupportedError`, `ImageError`, ... */
  readonly name: string;
  readonly message: string;
  /** What it is about: see linux/base-error.ts. */
  readonly about?: ErrorKind;
  /** Of a call of the kernel's: which one. */
  readonly call?: string;
  readonly process?: number;
  readonly object?: string;
  /** The kernel's reason by name: `ENOENT`. */
  readonly errno?: string;
}

/** What a command answers with. */
export type Answer =
  | { readonly to: "dump" | "restore"; readonly pid: number; readonly processes: number }
  | {
      readonly to: "exec";
      /** The kernel's result; a negative errno on failure. */
      readonly result: number;
      /** What stands in the buffers after the call, in base64. */
      readonly buffers: readonly string[];
    };

export type Event =
  /** A line of the log, as far as the verbosity lets it be written. */
  | {
      readonly kind: "log";
      readonly level: "error" | "warn" | "info" | "debug";
      /** Where in the program the line comes from; may be empty. */
      readonly place: string;
      readonly text: string;
      /** The restored process that it is about. */
      readonly pid?: number;
    }
  /** A stage that has been reached, as `dump/frozen`. */
  | { readonly kind: "stage"; readonly stage: string }
  /** So many bytes have been moved; told after a second, and then five times a second. */
  | {
      readonly kind: "progress";
      readonly what: string;
      readonly bytes: number;
      readonly bytesPerSecond: number;
    }
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "failure"; readonly failure: Failure };
