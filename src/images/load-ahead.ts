// Many small image files read at once, in native loops (linux/read-many.ts).

import { SmallFiles } from "../linux/read-many.ts";
import { textToBytes } from "../linux/text.ts";

/** Files are taken so many at a time. */
const CHUNK = 64;
/** Of a path, its NUL included, and of a file. What is longer is not loaded. */
const LONGEST_PATH = 512;
const LARGEST = 8192;

/**
 * Tells of the bytes, the caller's own, of those files in `directory` that are there and small. Names are plain letters
 * and digits. Whatever is out of the ordinary is passed over in silence: who needs the file will meet it again.
 */
export function loadSmallFiles(
  directory: string,
  names: readonly string[],
  loaded: (name: string, bytes: Uint8Array) => void,
): void {
  const prefix = `${directory}/`;
  const most = LONGEST_PATH - textToBytes(prefix).length;
  const paths: string[] = [];
  for (const name of names) if (name.length < most) paths.push(prefix + name);
  const files = new SmallFiles(Math.min(CHUNK, paths.length), LONGEST_PATH, LARGEST);
  files.read(paths, (path, _opened, length, from) => {
    if (length > 0 && length < LARGEST)
      loaded(path.slice(prefix.length), files.bytes.slice(from, from + length));
  });
}
