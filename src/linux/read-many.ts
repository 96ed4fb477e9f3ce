/** Small files by the hundreds, in native loops: /proc has one for each thread. */
import { Blocks } from "./blocks.ts";
import { ERRNO } from "./errno.ts";
import { AT, O, readText } from "./io.ts";
import { NR } from "./nr.ts";
import { checkResult } from "./syscall.ts";
import { textOf } from "./text.ts";

const CHUNK = 64;
const STEP = { OPEN: 0, MOVE_TO_READ: 1, READ: 2, MOVE_TO_CLOSE: 3, CLOSE: 4 } as const;
const STEPS = 5;
/** Bytes of a path, its NUL included. */
const PATH_SIZE = 64;
/** /proc/PID/status has 1.5 KiB. */
const TEXT_SIZE = 4096;
/** A read(2) of a list gives whole entries (fs/seq_file.c); of those read here none is longer. */
const LONGEST_ENTRY = 512;

let files: { blocks: Blocks; buffer: Buffer } | undefined;

function laid(): { blocks: Blocks; buffer: Buffer } {
  const shape = { capacity: CHUNK, entries: STEPS, bytes: PATH_SIZE + TEXT_SIZE };
  const blocks = new Blocks(shape, (made, block) => {
    const own = made.address + made.bytesOf(block);
    const at = (step: number) => made.entryOf(block, step);
    made.entry(at(STEP.OPEN), NR.openat, AT.FDCWD, own, O.RDONLY | O.CLOEXEC, 0);
    made.move(at(STEP.MOVE_TO_READ), at(STEP.OPEN), at(STEP.READ), 0);
    made.entry(at(STEP.READ), NR.read, 0, own + PATH_SIZE, TEXT_SIZE);
    made.move(at(STEP.MOVE_TO_CLOSE), at(STEP.OPEN), at(STEP.CLOSE), 0);
    made.entry(at(STEP.CLOSE), NR.close, 0);
  });
  return { blocks, buffer: Buffer.from(blocks.bytes.buffer) };
}

/**
 * The texts of files of /proc whose paths have fewer than 64 letters, all of them ASCII; undefined where the task is gone.
 * @throws KernelError
 */
export function readTexts(paths: readonly string[]): (string | undefined)[] {
  files ??= laid();
  const { blocks, buffer } = files;
  const texts: (string | undefined)[] = [];
  blocks.forEach(
    paths,
    (path, block) => {
      const at = blocks.bytesOf(block);
      buffer[at + buffer.write(path, at, "latin1")] = 0;
    },
    (path, block) => {
      const opened = blocks.result(block, STEP.OPEN);
      const length = blocks.result(block, STEP.READ);
      if (opened === -ERRNO.ENOENT || length === -ERRNO.ESRCH) return void texts.push(undefined);
      checkResult(opened, NR.openat, path);
      checkResult(length, NR.read, path);
      const from = blocks.bytesOf(block) + PATH_SIZE;
      // There may be more where the next entry would not have fitted.
      const all = length <= TEXT_SIZE - LONGEST_ENTRY;
      texts.push(all ? textOf(blocks.bytes, from, from + length) : readText(path));
    },
  );
  return texts;
}

/** Bytes of what a link says. */
const LINK_SIZE = 64;

let links: { blocks: Blocks; buffer: Buffer } | undefined;

function laidForLinks(): { blocks: Blocks; buffer: Buffer } {
  const shape = { capacity: CHUNK, entries: 1, bytes: PATH_SIZE + LINK_SIZE };
  const blocks = new Blocks(shape, (made, block) => {
    const own = made.address + made.bytesOf(block);
    made.entry(made.entryOf(block, 0), NR.readlinkat, AT.FDCWD, own, own + PATH_SIZE, LINK_SIZE);
  });
  return { blocks, buffer: Buffer.from(blocks.bytes.buffer) };
}

/**
 * What links of /proc say whose paths, and what they say, have fewer than 64 letters, all of them ASCII; undefined where
 * there is none. @throws KernelError
 */
export function readLinks(paths: readonly string[]): (string | undefined)[] {
  links ??= laidForLinks();
  const { blocks, buffer } = links;
  const out: (string | undefined)[] = [];
  blocks.forEach(
    paths,
    (path, block) => {
      const at = blocks.bytesOf(block);
      buffer[at + buffer.write(path, at, "latin1")] = 0;
    },
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
