/** Descriptors of ours that a restore needs until its end. */
import { closeRange } from "../linux/fcntl.ts";
import { close } from "../linux/io.ts";

/** So many that are not needed any more may wait to be closed together. */
const MOST_WAITING = 1024;

/**
 * The one owner of descriptors that several parts of a restore use: whoever makes one gives it here, and it is closed when the
 * restore is over, or, once nobody needs it, together with others: a thousand close(2) are as many calls.
 */
export class KeptFds implements Disposable {
  readonly #kept = new Set<number>();
  readonly #waiting: number[] = [];

  /** Takes a descriptor over. */
  keep(fd: number): number {
    this.#kept.add(fd);
    return fd;
  }

  /** Gives one away again: it is the caller's to close. */
  release(fd: number): number {
    this.#kept.delete(fd);
    return fd;
  }

  /** Nobody needs a descriptor any more. */
  drop(fd: number): void {
    this.#kept.delete(fd);
    this.#waiting.push(fd);
    if (this.#waiting.length >= MOST_WAITING) this.#close();
  }

  /** Closes all. */
  [Symbol.dispose](): void {
    this.#waiting.push(...this.#kept);
    this.#kept.clear();
    this.#close();
  }

  #close(): void {
    const fds = this.#waiting.splice(0).sort((a, b) => a - b);
    for (let i = 0; i < fds.length; ) {
      const first = fds[i] ?? 0;
      let count = 1;
      while (fds[i + count] === first + count) count++;
      if (count === 1) close(first);
      else closeRange(first, first + count - 1);
      i += count;
    }
  }
}
