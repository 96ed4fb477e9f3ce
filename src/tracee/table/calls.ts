import type { Pointer, Raw } from "./pointer.ts";

/** Somewhere to add system calls to that are made inside a held task: a table of its own, or one of many (thread-tables.ts). */
export interface Calls {
  /** A call that may fail. */
  call(nr: number, ...args: Raw[]): unknown;
  /** A call whose failure is the end; the error names `object`. */
  must(object: string, nr: number, ...args: Raw[]): unknown;
  /** An entry that is no call: an operation of the runner's own. */
  operation(op: number, ...args: Raw[]): void;
  /** Places bytes for calls to read, and gives their address in the task. */
  data(bytes: Uint8Array): Pointer;
  /** Sees to space for so many bytes of calls and data; what has been added is made if need be. */
  reserve(bytes: number): void;
  /** Adds what `lay` adds. It may be the same as what was added for the same key before. */
  share(key: object, lay: () => void): void;
}
