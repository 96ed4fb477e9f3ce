/**
 * Image files by the hundreds, written by a second thread (linux/helper-thread.ts) while we make the next ones: to make a file and to
 * close it takes the kernel as long as it takes us to fill it.
 */
import { HelperThread } from "../linux/helper-thread.ts";
import { AT, O, open, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { writeText } from "../linux/text.ts";
import { resultAt } from "../machine/entries.ts";
import { fileError } from "./error.ts";
import { IMAGE_MODE } from "./image-file.ts";

const FLAGS = O.WRONLY | O.CREAT | O.TRUNC;

/** Writes a file at once. @throws ImageError */
export function writeFile(directory: string, file: string, bytes: Uint8Array): void {
  try {
    const fd = open(`${directory}/${file}`, FLAGS, IMAGE_MODE);
    withFd(fd, () => writeAll(fd, bytes));
  } catch (error) {
    throw fileError("write", file, error);
  }
}

const STEP = { OPEN: 0, MOVE_TO_WRITE: 1, WRITE: 2, MOVE_TO_CLOSE: 3, CLOSE: 4 } as const;
const STEPS = 5;
/** Files of a images, at the most, and their bytes and names. */
const FILES = 64;
const DATA_SIZE = 0x2_0000;

/** A file of a images, and where its bytes stand. */
interface Behind {
  readonly file: string;
  readonly from: number;
  readonly length: number;
}

class PendingImages extends HelperThread {
  #files: Behind[] = [];
  #used = this.dataAt;

  constructor() {
    super(FILES * STEPS, DATA_SIZE);
    for (let i = 0; i < FILES; i++) {
      const at = (step: number) => i * STEPS + step;
      this.entry(at(STEP.OPEN), NR.openat, AT.FDCWD, 0, FLAGS | O.CLOEXEC, IMAGE_MODE);
      this.move(at(STEP.MOVE_TO_WRITE), at(STEP.OPEN), at(STEP.WRITE), 0);
      this.entry(at(STEP.WRITE), NR.write, 0, 0, 0);
      this.move(at(STEP.MOVE_TO_CLOSE), at(STEP.OPEN), at(STEP.CLOSE), 0);
      this.entry(at(STEP.CLOSE), NR.close, 0);
    }
  }

  /** Adds a file. False where there is no room for it. */
  add(directory: string, file: string, bytes: Uint8Array): boolean {
    const path = `${directory}/${file}`;
    // A letter takes three bytes at the most.
    const needed = 3 * path.length + 1 + bytes.length;
    if (this.#files.length === FILES || this.#used + needed > this.bytes.length) return false;
    const first = this.#files.length * STEPS;
    const from = writeText(this.bytes, this.#used, path) + 1;
    this.bytes[from - 1] = 0;
    this.bytes.set(bytes, from);
    this.setArgument(first + STEP.OPEN, 1, this.address + this.#used);
    this.setArgument(first + STEP.WRITE, 1, this.address + from);
    this.setArgument(first + STEP.WRITE, 2, bytes.length);
    this.#files.push({ file, from, length: bytes.length });
    this.#used = from + bytes.length;
    return true;
  }

  /** Has all that was added written meanwhile. */
  begin(): void {
    this.start(this.#files.length * STEPS);
  }

  /** Writes it all at once. */
  write(): void {
    this.run(this.#files.length * STEPS);
  }

  /** Waits for what was begun, and is empty again. Gives what has not been written whole: `bytes` holds it until something is added. */
  end(): readonly Behind[] {
    this.await();
    const failed = this.#files.filter(
      ({ length }, i) => (this.words[resultAt(i * STEPS + STEP.WRITE)] ?? 0) !== length,
    );
    this.#files = [];
    this.#used = this.dataAt;
    return failed;
  }
}

/** Two buffers: one is filled while the other is written. They are kept from one run to the next. */
let pending: { filling: PendingImages; writing: PendingImages } | undefined;

export class WriteBehind {
  constructor(private readonly directory: string) {}

  /** Writes a file sooner or later; the bytes are the caller's again. @throws ImageError, for this file or an earlier one */
  put(file: string, bytes: Uint8Array): void {
    pending ??= { filling: new PendingImages(), writing: new PendingImages() };
    if (pending.filling.add(this.directory, file, bytes)) return;
    const { filling, writing } = pending;
    this.#conclude(writing);
    filling.begin();
    pending = { filling: writing, writing: filling };
    if (!writing.add(this.directory, file, bytes)) writeFile(this.directory, file, bytes);
  }

  /** Waits until everything is written. @throws ImageError */
  settle(): void {
    if (pending === undefined) return;
    const { filling, writing } = pending;
    this.#conclude(writing);
    filling.write();
    this.#conclude(filling);
  }

  /** Waits until nothing is being written any more, whatever came of it. What waits for its turn is not written. Never throws. */
  abandon(): void {
    pending?.writing.end();
    pending?.filling.end();
  }

  /** Waits for a images. What went wrong there is tried again here, to see what it is. */
  #conclude(images: PendingImages): void {
    for (const { file, from, length } of images.end())
      writeFile(this.directory, file, images.bytes.subarray(from, from + length));
  }
}
