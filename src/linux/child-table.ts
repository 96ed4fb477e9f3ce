/** Calls made in a child of ours that lives no longer than they take: for what would change us if we made them. */

import { resultAt, setEntry, wideAt, wordsOf } from "../machine/entries.ts";
import { ENTRY_ARGS, ENTRY_RESULT, ENTRY_SIZE, OP } from "../machine/runner.ts";
import { encodeTime, NSEC_PER_SEC } from "./clock.ts";
import { CLONE, cloneArgs, setTid, spawnMasked } from "./clone.ts";
import { Fd } from "./fd.ts";
import { read } from "./io.ts";
import { kill } from "./kill.ts";
import { MAP, PROT } from "./memory.ts";
import { NR } from "./nr.ts";
import { type HostPid, hostPid, type NsPid } from "./pid.ts";
import { PR } from "./prctl.ts";
import { type WaitStatus, wait } from "./ptrace.ts";
import { SIG } from "./signal.ts";
import { word } from "./struct.ts";
import { checkResult, codeAddress, cString, memoryAt, rawSyscall, syscall } from "./syscall.ts";

const SIZE = 0x20000;
const MOST_ENTRIES = 256;
/** So long after it is held a child ends by itself, in nanoseconds. */
const HOLD = 10n * NSEC_PER_SEC;

/** An argument of a call: a number, bytes whose address is meant, text, the result of a call before it, or what such a call has written. */
export type ChildArgument = number | Uint8Array | string | ChildResult | ChildWord;

/** A word of 64 bits that stands at an address by the time of the call. */
export class ChildWord {
  constructor(readonly address: number) {}
}

const isLate = (argument: ChildArgument | undefined) =>
  argument instanceof ChildResult || argument instanceof ChildWord;

/** The result of a call, once the child has made it. */
export class ChildResult {
  constructor(
    private readonly words: Uint32Array,
    readonly index: number,
  ) {}

  /** Of 64 bits; an errno is negative. */
  get raw(): number {
    return wideAt(this.words, resultAt(this.index));
  }
}

/** Bytes that the child and we both see. */
export interface ChildBytes {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/**
 * A table that a child works through, all of it, whatever fails: what follows a failure gets its errno for an argument. The
 * child has our descriptors and a copy of our memory, and all signals blocked.
 */
export class ChildTable {
  readonly #address: number;
  readonly #memory: Uint8Array;
  readonly #words: Uint32Array;
  readonly #mostEntries: number;
  #entries = 0;
  #data: number;
  #pid: HostPid | undefined;
  /** Address of a word that says where the child ends at once. */
  #end: number | undefined;

  /**
   * Unless it `outlivesUs` the child dies with us: what has to be finished, and is short, may not. It has room for so many entries, a
   * call takes one and one more for each result among its arguments, and for `size` bytes with them.
   */
  constructor(
    outlivesUs = false,
    mostEntries = MOST_ENTRIES,
    private readonly size = SIZE,
  ) {
    this.#mostEntries = mostEntries;
    this.#data = mostEntries * ENTRY_SIZE;
    const flags = MAP.SHARED | MAP.ANONYMOUS | MAP.NORESERVE;
    this.#address = syscall("shared with a child", NR.mmap, 0, size, PROT.READ | PROT.WRITE, flags, -1, 0);
    this.#memory = memoryAt(this.#address, size);
    this.#words = wordsOf(this.#memory);
    if (!outlivesUs) this.call(NR.prctl, PR.SET_PDEATHSIG, SIG.KILL);
  }

  /** Adds a call. */
  call(nr: number, ...args: ChildArgument[]): ChildResult {
    args.forEach((argument, i) => {
      if (argument instanceof ChildResult) this.move(argument, this.#argumentOfNext(i, args));
      if (argument instanceof ChildWord)
        this.#entry(OP.MOVE, argument.address, this.#argumentOfNext(i, args));
    });
    const index = this.#entries;
    this.#entry(
      nr,
      ...args.map((argument) => {
        if (typeof argument === "number") return argument;
        if (argument instanceof ChildResult || argument instanceof ChildWord) return 0;
        return this.data(typeof argument === "string" ? cString(argument) : argument).address;
      }),
    );
    return new ChildResult(this.#words, index);
  }

  /** Adds a call whose failure ends the child: nothing that follows is done then, and its result is 0. */
  callOrEnd(nr: number, ...args: ChildArgument[]): ChildResult {
    const result = this.call(nr, ...args);
    this.endUnless(result, 0);
    return result;
  }

  /** The child ends where a result is not so much at the least. */
  endUnless(result: ChildResult, least: number): void {
    const at = this.#address + result.index * ENTRY_SIZE + ENTRY_RESULT;
    this.#entry(OP.JUMP, this.#endWord(), at, least, Number.MAX_SAFE_INTEGER);
  }

  /** Adds one to the word at an address, so that something is written there. */
  increment(address: number): void {
    this.#entry(OP.INCREMENT, address);
  }

  /** Whether memory of ours is what the child needs to work through its table. */
  needs(range: { readonly start: number; readonly end: number }): boolean {
    const { start, end } = range;
    return (start <= this.#address && this.#address < end) || (start <= codeAddress && codeAddress < end);
  }

  /** Puts a result, 64 bits of it, at an address. */
  move(result: ChildResult, to: number): void {
    this.#entry(OP.MOVE, this.#address + result.index * ENTRY_SIZE + ENTRY_RESULT, to);
  }

  /** Bytes that calls read or fill, a copy of the given ones, or so many zeros. @throws RangeError when there is no room */
  data(content: Uint8Array | number): ChildBytes {
    const length = typeof content === "number" ? content : content.length;
    const at = this.#data;
    this.#data += (length + 15) & ~15;
    if (this.#data > this.size) throw new RangeError("a child's table is too long");
    if (typeof content !== "number") this.#memory.set(content, at);
    return { address: this.#address + at, bytes: this.#memory.subarray(at, at + length) };
  }

  /** Has a child, of id `pid` if given, make the calls; waits for its end. @throws KernelError when none can be born */
  run(pid?: NsPid): { readonly pid: HostPid; readonly status: WaitStatus } {
    this.#entry(NR.exit_group, 0);
    const born = this.#spawn(pid);
    return { pid: born, status: wait(born)?.status ?? { kind: "exited", code: -1 } };
  }

  /**
   * Has a child, of id `pid` if given, make the calls and wait then, until it is ended by `dispose`. Gives its pid once the
   * calls are made. @throws KernelError
   */
  hold(pid?: NsPid): HostPid {
    const ends = Fd.pipe();
    using reading = ends[0];
    using writing = ends[1];
    const pause = this.data(encodeTime(HOLD));
    this.call(NR.write, writing.number, pause.address, 1);
    this.call(NR.close, writing.number);
    this.call(NR.nanosleep, pause.address);
    const born = this.start(pid);
    // Now this end is the child's alone, and ends with it.
    writing.close();
    read(reading.number, new Uint8Array(1));
    return born;
  }

  /**
   * Sets a child, of id `pid` if given, to make the calls; it is ended by `dispose` where it has not ended then. `flags` are further
   * ones of clone3(2). Gives its pid. @throws KernelError
   */
  start(pid?: NsPid, flags = 0): HostPid {
    this.#entry(NR.exit_group, 0);
    this.#pid = this.#spawn(pid, flags);
    return this.#pid;
  }

  /** The child that `start` or `hold` has begun. */
  get pid(): HostPid {
    if (this.#pid === undefined) throw new Error("no child was started");
    return this.#pid;
  }

  /** Leaves what `start` has begun to itself. */
  leave(): void {
    this.#pid = undefined;
  }

  /** Waits for the end of what `start` has begun. */
  end(): void {
    while (this.#pid !== undefined && wait(this.#pid)?.status.kind === "stopped");
    this.#pid = undefined;
  }

  [Symbol.dispose](): void {
    if (this.#pid !== undefined) kill(this.#pid, SIG.KILL);
    this.end();
    rawSyscall(NR.munmap, this.#address, this.size);
  }

  #spawn(pid: NsPid | undefined, flags = 0): HostPid {
    const ids = pid === undefined ? undefined : this.data(setTid(pid));
    const args = cloneArgs.encode({
      flags: CLONE.CLEAR_SIGHAND + flags,
      ...(ids && { set_tid: ids.address, set_tid_size: 1 }),
    });
    const what = `with pid ${pid ?? "of any number"}`;
    return hostPid(checkResult(spawnMasked(args, this.#address), NR.clone3, what));
  }

  #endWord(): number {
    if (this.#end === undefined) {
      const table = this.data(ENTRY_SIZE);
      setEntry(wordsOf(table.bytes), 0, NR.exit_group, [1]);
      const end = this.data(word.size);
      word.write(end.bytes, 0, table.address);
      this.#end = end.address;
    }
    return this.#end;
  }

  /** Where an argument of the call will stand that comes after the entries that move results to it. */
  #argumentOfNext(argument: number, args: readonly ChildArgument[]): number {
    const rest = args.slice(argument).filter(isLate).length;
    return this.#address + (this.#entries + rest) * ENTRY_SIZE + ENTRY_ARGS + argument * 8;
  }

  #entry(op: number, ...args: number[]): void {
    if (this.#entries >= this.#mostEntries) throw new RangeError("a child's table is too long");
    setEntry(this.#words, this.#entries++, op, args);
  }
}
