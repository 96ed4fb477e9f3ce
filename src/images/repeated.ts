/** What comes again and again in the images of a tree: its threads and processes mostly have the same of many things. */

/** Remembers the last one. */
export class Repeated<T> {
  #key: string | Uint8Array = "";
  #last: T | undefined;
  #kept = false;

  /** `keep` is called with what comes a second time, to keep the bytes of its messages (`keepBytes` in wire.ts). */
  constructor(private readonly keep: (value: T) => void) {}

  /** What `make` makes of `key`; the very one that was made before if the key is the same, which is not to be changed. */
  of(key: string | Uint8Array, make: () => T): T {
    if (this.#last === undefined || !same(key, this.#key)) {
      this.#key = typeof key === "string" ? key : key.slice();
      this.#last = make();
      this.#kept = false;
    } else if (!this.#kept) {
      this.#kept = true;
      this.keep(this.#last);
    }
    return this.#last;
  }
}

function same(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (a === b || typeof a === "string" || typeof b === "string") return a === b;
  return Buffer.compare(a, b) === 0;
}
