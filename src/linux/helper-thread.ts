/**
 * Calls of our own that go on beside us: a table (own-table.ts) that a second thread works through while we do something else. The
 * thread is made by clone3(2) for that one table, ends with it, and is unknown to the runtime: it executes nothing but the
 * table, on no stack, with all signals blocked.
 */
import { ENTRY_SIZE } from "../machine/runner.ts";
import { CLONE, CLONE_AS_THREAD, cloneArgs, spawnMasked } from "./clone.ts";
import { NR } from "./nr.ts";
import { OwnTable } from "./own-table.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

const FUTEX_WAIT = 0;
const ENTRY_WORDS = ENTRY_SIZE / 4;

export class HelperThread extends OwnTable {
  /** Set while a thread is at work: the kernel clears it when the thread ends, and wakes who waits there (set_tid_address(2)). */
  readonly #atWork = new Int32Array(2);
  /** The entry in whose place the end of the thread stands for the time. */
  #overwritten: { readonly at: number; readonly words: Uint32Array } | undefined;

  /** Room for `entries` calls, and for `bytes` more that they read or write. */
  constructor(
    private readonly entries: number,
    bytes: number,
    /** Whether it has descriptors of its own: a copy of ours, as they are when it starts. */
    private readonly ownDescriptors = false,
  ) {
    super((entries + 1) * ENTRY_SIZE + bytes);
  }

  /** Where the further bytes begin: an index of `bytes`. */
  get dataAt(): number {
    return (this.entries + 1) * ENTRY_SIZE;
  }

  /**
   * Sets a thread to make the first `count` calls. Where none is to be had they are made on the spot.
   * @throws KernelError where that would be with our own descriptors
   */
  start(count: number): void {
    const at = count * ENTRY_WORDS;
    this.#overwritten = { at, words: this.words.slice(at, at + ENTRY_WORDS) };
    this.entry(count, NR.exit, 0);
    this.#atWork[0] = 1;
    const child_tid = addressOf(new Uint8Array(this.#atWork.buffer));
    const shared = this.ownDescriptors ? CLONE_AS_THREAD & ~CLONE.FILES : CLONE_AS_THREAD;
    const flags = shared | CLONE.CHILD_CLEARTID;
    const args = cloneArgs.encode({ flags, child_tid });
    const born = spawnMasked(args, this.address);
    if (born >= 0) return;
    this.#atWork[0] = 0;
    this.await();
    if (this.ownDescriptors) checkResult(born, NR.clone3, "of a thread with descriptors of its own");
    this.run(count);
  }

  /** Whether a thread is still at work. */
  get busy(): boolean {
    return this.#atWork[0] !== 0;
  }

  /** Waits until the calls have been made. */
  await(): void {
    const word = addressOf(new Uint8Array(this.#atWork.buffer));
    while (this.#atWork[0] !== 0) rawSyscall(NR.futex, word, FUTEX_WAIT, 1, 0, 0, 0);
    if (this.#overwritten !== undefined) this.words.set(this.#overwritten.words, this.#overwritten.at);
    this.#overwritten = undefined;
  }
}
