// Many small files read at once, in native loops (linux/batch.ts): open, read, close for each of them.

import { BlockBatch } from "../linux/batch.ts";
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
  const batch = new BlockBatch(Math.min(CHUNK, names.length), BLOCK, LONGEST_PATH + LARGEST);
  // Not to wait for the other end, were it a FIFO.
  batch.entry(OPEN, NR.openat, AT.FDCWD, 0, O.RDONLY | O.NONBLOCK | O.CLOEXEC, 0);
  batch.entry(READ, NR.pread64, 0, 0, LARGEST, 0);
  batch.entry(CLOSE, NR.close, 0);
  batch.spread();
  batch.rooms(OPEN, 1, 0);
  batch.rooms(READ, 1, LONGEST_PATH);
  batch.moves(OPEN, READ, 0);
  batch.moves(OPEN, CLOSE, 0);
  for (let from = 0; from < names.length; from += CHUNK) {
    const chunk = names.slice(from, from + CHUNK);
    chunk.forEach((name, i) => {
      const at = batch.offset(i);
      const end = at + prefix.length + name.length;
      if (prefix.length + name.length >= LONGEST_PATH) return;
      batch.bytes.set(prefix, at);
      for (let k = 0; k < name.length; k++) batch.bytes[end - name.length + k] = name.charCodeAt(k);
      batch.bytes[end] = 0;
    });
    batch.run(chunk.length * BLOCK);
    chunk.forEach((name, i) => {
      const length = batch.result(i, READ);
      const start = batch.offset(i) + LONGEST_PATH;
      if (length > 0 && length < LARGEST) loaded(name, batch.bytes.slice(start, start + length));
    });
  }
}
