/**
 * Small files by the hundreds, in native loops: /proc has one for each thread and each descriptor, a directory of images
 * several for each process.
 */
import { Blocks, lazily } from "./blocks.ts";
import { ERRNO } from "./errno.ts";
import { AT, O, readText } from "./io.ts";
import { NR } from "./nr.ts";
import { checkResult } from "./syscall.ts";
import { textOf, writeText } from "./text.ts";

const STEP = { OPEN: 0, MOVE_TO_READ: 1, READ: 2, MOVE_TO_CLOSE: 3, CLOSE: 4 } as const;
const STEPS = 5;

/** Gives the blocks of names what stands first in each: the name, with its NUL. */
function giveName(blocks: Blocks, block: number, name: string): void {
  blocks.bytes[writeText(blocks.bytes, blocks.bytesOf(block), name)] = 0;
}

/** Files that are opened, read from their beginning by one call, and closed. Nothing is taken out of a FIFO. */
export class SmallFiles {
  readonly #blocks: Blocks;

  constructor(
    /** Files in one native call. */
    capacity: number,
    /** Bytes of a name with its NUL, whole words of 8. */
    private readonly nameSize: number,
    /** Bytes that are read at the most, whole words of 8. */
    readonly textSize: number,
  ) {
    this.#blocks = new Blocks({ capacity, entries: STEPS, bytes: nameSize + textSize }, (blocks, block) => {
      const own = blocks.address + blocks.bytesOf(block);
      const at = (step: number) => blocks.entryOf(block, step);
      // Not to wait for the other end, were it a FIFO.
      blocks.entry(at(STEP.OPEN), NR.openat, AT.FDCWD, own, O.RDONLY | O.NONBLOCK | O.CLOEXEC, 0);
      blocks.move(at(STEP.MOVE_TO_READ), at(STEP.OPEN), at(STEP.READ), 0);
      blocks.entry(at(STEP.READ), NR.pread64, 0, own + nameSize, textSize, 0);
      blocks.move(at(STEP.MOVE_TO_CLOSE), at(STEP.OPEN), at(STEP.CLOSE), 0);
      blocks.entry(at(STEP.CLOSE), NR.close, 0);
    });
  }

  /** What was read, for `take` alone. */
  get bytes(): Uint8Array {
    return this.#blocks.bytes;
  }

  /**
   * Reads files. `take` gets for each, in order, the raw results of openat(2) and pread(2), and where in `bytes` the text
   * begins. Names are absolute, or in `directory`.
   */
  read(
    names: readonly string[],
    take: (name: string, opened: number, length: number, from: number) => void,
    directory: number = AT.FDCWD,
  ): void {
    const blocks = this.#blocks;
    blocks.forEach(
      names,
      (name, block) => {
        giveName(blocks, block, name);
        blocks.give(block, STEP.OPEN, 0, directory);
      },
      (name, block) => {
        const from = blocks.bytesOf(block) + this.nameSize;
        take(name, blocks.result(block, STEP.OPEN), blocks.result(block, STEP.READ), from);
      },
    );
  }
}

const CHUNK = 64;
/** Bytes of a path of /proc, its NUL included. */
const PATH_SIZE = 64;
/** /proc/PID/status has 1.5 KiB. */
const TEXT_SIZE = 4096;
/** A read(2) of a list gives whole entries (fs/seq_file.c); of those read here none is longer. */
const LONGEST_ENTRY = 512;

const procFiles = lazily(() => new SmallFiles(CHUNK, PATH_SIZE, TEXT_SIZE));

/**
 * The texts of files of /proc whose paths have fewer than 64 letters, all of them ASCII; undefined where the task is gone.
 * @throws KernelError
 */
export function readTexts(paths: readonly string[]): (string | undefined)[] {
  const files = procFiles();
  const { bytes } = files;
  const texts: (string | undefined)[] = [];
  files.read(paths, (path, opened, length, from) => {
    if (opened === -ERRNO.ENOENT || length === -ERRNO.ESRCH) return void texts.push(undefined);
    checkResult(opened, NR.openat, path);
    checkResult(length, NR.pread64, path);
    // There may be more where the next entry would not have fitted.
    const all = length <= TEXT_SIZE - LONGEST_ENTRY;
    texts.push(all ? textOf(bytes, from, from + length) : readText(path));
  });
  return texts;
}

/** Bytes of what a link says. */
const LINK_SIZE = 64;

const links = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 1, bytes: PATH_SIZE + LINK_SIZE }, (made, block) => {
      const own = made.address + made.bytesOf(block);
      made.entry(made.entryOf(block, 0), NR.readlinkat, AT.FDCWD, own, own + PATH_SIZE, LINK_SIZE);
    }),
);

/**
 * What links of /proc say whose paths, and what they say, have fewer than 64 letters, all of them ASCII; undefined where
 * there is none. @throws KernelError
 */
export function readLinks(paths: readonly string[]): (string | undefined)[] {
  const blocks = links();
  const out: (string | undefined)[] = [];
  blocks.forEach(
    paths,
    (path, block) => giveName(blocks, block, path),
    (path, block) => {
      const length = blocks.result(block, 0);
      if (length === -ERRNO.ENOENT) return void out.push(undefined);
      checkResult(length, NR.readlinkat, path);
      const from = blocks.bytesOf(block) + PATH_SIZE;
      out.push(textOf(blocks.bytes, from, from + length));
    },
  );
  return out;
}
