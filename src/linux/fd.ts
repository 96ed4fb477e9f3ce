/**
 * Open descriptors of ours, each of which has one owner:
 *
 *     using fd = Fd.open(path, O.RDONLY);   // closed when the scope is left, however it is left
 *     regularSize(fd.number);               // lent: who gets a number neither keeps nor closes it
 *     return fd.release();                  // given away: the number is the receiver's to close
 *
 * A function that takes an `Fd` becomes its owner, one that takes a number borrows.
 */

import { closeRange, F } from "./fcntl.ts";
import { AT, close, fcntl, O, openAt, pidfdGetfd, pidfdOpen } from "./io.ts";
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { s32 } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

/** What `#number` is when there is nothing to close any more. */
const NONE = -1;

export class Fd implements Disposable {
  #number: number;

  private constructor(number: number) {
    this.#number = number;
  }

  /** Takes over an open descriptor of ours. @throws RangeError when that is no number of one (an unchecked result) */
  static own(number: number): Fd {
    if (number < 0) throw new RangeError(`${number} is no descriptor`);
    return new Fd(number);
  }

  /** open(2) with O_CLOEXEC. @throws KernelError */
  static open(path: string, flags: number, mode = 0): Fd {
    return new Fd(openAt(AT.FDCWD, path, flags, mode));
  }

  /** openat(2) with O_CLOEXEC, from a directory that is lent. @throws KernelError */
  static openAt(directory: number, path: string, flags: number, mode = 0): Fd {
    return new Fd(openAt(directory, path, flags, mode));
  }

  /** pipe2(2), with O_CLOEXEC: the end to read from, and the one to write to. @throws KernelError */
  static pipe(): [reading: Fd, writing: Fd] {
    const ends = new Uint8Array(2 * s32.size);
    syscall("", NR.pipe2, addressOf(ends), O.CLOEXEC);
    return [new Fd(s32.read(ends, 0)), new Fd(s32.read(ends, s32.size))];
  }

  /** pidfd_open(2). @throws KernelError */
  static ofProcess(pid: HostPid): Fd {
    return new Fd(pidfdOpen(pid));
  }

  /** pidfd_getfd(2): one of our own for descriptor `number` of the process that `pidfd`, which is lent, leads to. @throws KernelError */
  static outOf(pidfd: number, number: number): Fd {
    return new Fd(pidfdGetfd(pidfd, number));
  }

  /** Its number, lent: it is not to be used when the owner is done with it. @throws Error when it was closed or given away */
  get number(): number {
    if (this.#number === NONE) throw new Error("a descriptor is used that was closed or given away");
    return this.#number;
  }

  /** Whether it is still to be closed. */
  get isOpen(): boolean {
    return this.#number !== NONE;
  }

  /** Gives the descriptor away: whoever gets the number is to close it. @throws Error when it was closed or given away */
  release(): number {
    const { number } = this;
    this.#number = NONE;
    return number;
  }

  /** One more descriptor of the same description, at least `lowest`, with FD_CLOEXEC. @throws KernelError */
  dup(lowest = 0): Fd {
    return new Fd(fcntl(this.number, F.DUPFD_CLOEXEC, lowest));
  }

  /** Closes it, unless that was done or it was given away. Never throws. */
  close(): void {
    if (this.#number === NONE) return;
    close(this.#number);
    this.#number = NONE;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Closes many: those with numbers in a row by one close_range(2). Never throws. */
export function closeAll(fds: Iterable<Fd>): void {
  const numbers: number[] = [];
  for (const fd of fds) if (fd.isOpen) numbers.push(fd.release());
  numbers.sort((a, b) => a - b);
  for (let i = 0; i < numbers.length; ) {
    const first = numbers[i] ?? NONE;
    let count = 1;
    while (numbers[i + count] === first + count) count++;
    if (count === 1) close(first);
    else closeRange(first, first + count - 1);
    i += count;
  }
}
