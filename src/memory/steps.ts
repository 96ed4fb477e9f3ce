/**
 * System calls inside a process being restored, as many as needed: a full table is run and the next one begun. What is
 * in the table in the end may be left for whoever uses it next, to be run together with their calls.
 */
import { ImageError } from "../images/error.ts";
import { NR } from "../linux/nr.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Pointer } from "../tracee/table/pointer.ts";
import type { Argument, Result, Table } from "../tracee/table/table.ts";

/** An entry and the moves that bring it its arguments take at most so many bytes. */
const CALL_SIZE = 64 * 8;

/** Half of a table. */
const LEFT_FOR_OTHERS = 128 << 10;

interface Expected {
  readonly result: Result;
  readonly value: number;
  readonly file: string;
}

export class Steps {
  #expected: Expected[] = [];
  #checks: (() => void)[] = [];
  #open: { readonly ours: number; readonly inside: Result } | undefined;

  constructor(
    readonly restoree: Restoree,
    private readonly table: Table = restoree.table,
  ) {}

  /** A call that must succeed. */
  must(object: string, nr: number, ...args: Argument[]): Result {
    this.#reserve(CALL_SIZE);
    return this.table.must(object, nr, ...args);
  }

  /** A call whose result `check` sees once it is there. */
  checked(check: (result: Result) => void, nr: number, ...args: Argument[]): void {
    this.#reserve(CALL_SIZE);
    const result = this.table.call(nr, ...args);
    this.#checks.push(() => check(result));
  }

  /** Sees to space for so many bytes of data and for one call that reads them. */
  reserve(bytes: number): void {
    this.#reserve(CALL_SIZE + bytes + 64);
  }

  /** Copies the result of a call that is laid and has not been made to a word inside; after `reserve`. */
  keep(result: Result, at: Pointer): void {
    this.table.keep(result, at);
  }

  /** Lays bytes into the table, after `reserve`; gives their address inside. */
  data(bytes: Uint8Array): Pointer {
    return this.table.data(bytes);
  }

  /** Adds what `lay` adds, `bytes` at the most; as `share` of a table. */
  share(key: object, bytes: number, lay: () => void): void {
    this.#reserve(CALL_SIZE + bytes);
    this.table.share(key, lay);
  }

  /** Says that a read has to give so many bytes of `file`; else the file was shorter than it should be. */
  expect(result: Result, value: number, file: string): void {
    this.#expected.push({ result, value, file });
  }

  /**
   * The number, inside, of our descriptor `ours`. It is open there until the next one is asked for: files are mapped
   * in a row.
   */
  file(object: string, ours: number): Result {
    if (this.#open?.ours === ours) return this.#open.inside;
    this.closeFile();
    this.#reserve(CALL_SIZE);
    const inside = this.restoree.fetch(object, ours);
    this.#open = { ours, inside };
    return inside;
  }

  closeFile(): void {
    if (this.#open === undefined) return;
    this.must("a mapped file", NR.close, this.#open.inside);
    this.#open = undefined;
  }

  /** Leaves what is in the table to its next user, where it leaves enough. {@link run} has to follow some time. */
  leave(): void {
    if (this.table.free < LEFT_FOR_OTHERS) this.run();
  }

  /** Sets the process to work on what is left; its table is not to be used until {@link run}. */
  start(): void {
    this.table.start();
  }

  /** Runs what is left, and looks at all results, whoever ran them. @throws KernelError, ImageError */
  run(): void {
    this.table.run();
    const expected = this.#expected;
    const checks = this.#checks;
    this.#expected = [];
    this.#checks = [];
    for (const { result, value, file } of expected) {
      if (result.value !== value)
        throw new ImageError(`${result.value} bytes were read where ${value} should stand`, { file });
    }
    for (const check of checks) check();
  }

  #reserve(bytes: number): void {
    if (this.table.free < bytes) this.run();
  }
}
