// Many small files read at once, in native loops (linux/batch.ts): open, read, close for each of them.

import { Blocks } from "../linux/blocks.ts";
import { AT, O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { textToBytes } from "../linux/text.ts";

/** Files are taken so many at a time. */
const CHUNK = 64;
/** Of a path, its NUL included, and of a file. What is longer is not loaded. */
const LONGEST_PATH = 512;
const LARGEST = 8192;

const OPEN = 0;
/** A move comes before each of these. */
const READ = 2;
const CLOSE = 4;
const BLOCK = 5;

/**
 * Tells of the bytes, the caller's own, of those files in `directory` that are there and small. Names are plain letters
 * and digits. Whatever is out of the ordinary is passed over in silence: who needs the file will meet it again.
 */
export function loadSmallFiles(
  directory: string,
  names: readonly string[],
  loaded: (name: string, bytes: Uint8Array) => void,
): void {
  const prefix = textToBytes(`${directory}/`);
  const short = names.filter((name) => prefix.length + name.length < LONGEST_PATH);
  const shape = { capacity: Math.min(CHUNK, short.length), entries: BLOCK, bytes: LONGEST_PATH + LARGEST };
  const files = new Blocks(shape, (blocks, block) => {
    const own = blocks.bytesOf(block);
    const at = (step: number) => blocks.entryOf(block, step);
    blocks.bytes.set(prefix, own);
    // Not to wait for the other end, were it a FIFO.
    const flags = O.RDONLY | O.NONBLOCK | O.CLOEXEC;
    blocks.entry(at(OPEN), NR.openat, AT.FDCWD, blocks.address + own, flags, 0);
    blocks.move(at(READ - 1), at(OPEN), at(READ), 0);
    blocks.entry(at(READ), NR.pread64, 0, blocks.address + own + LONGEST_PATH, LARGEST, 0);
    blocks.move(at(CLOSE - 1), at(OPEN), at(CLOSE), 0);
    blocks.entry(at(CLOSE), NR.close, 0);
  });
  files.forEach(
    short,
    (name, block) => {
      const at = files.bytesOf(block) + prefix.length;
      for (let i = 0; i < name.length; i++) files.bytes[at + i] = name.charCodeAt(i);
      files.bytes[at + name.length] = 0;
    },
    (name, block) => {
      const length = files.result(block, READ);
      const start = files.bytesOf(block) + LONGEST_PATH;
      if (length > 0 && length < LARGEST) loaded(name, files.bytes.slice(start, start + length));
    },
  );
}
