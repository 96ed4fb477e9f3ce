/** What goes on for longer than a second is shown on a terminal: how much has been moved, and how fast. */
import { tell } from "./event-channel.ts";
import { showStatus } from "./log.ts";

/** Milliseconds before anything is shown, and between two showings. */
const AFTER = 1000;
const EVERY = 200;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export class Meter {
  #began = 0;
  #shown = 0;
  #bytes = 0;

  constructor(
    private readonly what: string,
    private readonly show: (text: string | undefined) => void = showStatus,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** So many bytes more are on their way. */
  moved(bytes: number): void {
    const now = this.now();
    if (this.#bytes === 0) this.#began = now;
    this.#bytes += bytes;
    if (now - this.#began < AFTER || now - this.#shown < EVERY) return;
    this.#shown = now;
    const rate = (this.#bytes * 1000) / (now - this.#began);
    tell({ kind: "progress", what: this.what, bytes: this.#bytes, bytesPerSecond: Math.round(rate) });
    this.show(`${this.what}: ${amount(this.#bytes)}, ${amount(rate)}/s`);
  }

  /** All have been moved. */
  end(): void {
    if (this.#shown > 0) this.show(undefined);
    this.#shown = 0;
    this.#bytes = 0;
  }
}

/** Bytes for a reader: three digits and a unit. */
function amount(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ${UNITS[unit]}`;
}
