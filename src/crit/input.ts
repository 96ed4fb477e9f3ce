/** What crit reads: a file, or standard input. What cannot be read at any place is copied to a file without a name first. */
import { Fd } from "../linux/fd.ts";
import { lseek, O, read, regularSize, SEEK, writeAll } from "../linux/io.ts";
import { environment } from "../linux/ourselves.ts";

const STDIN = 0;
/** O_TMPFILE of asm-generic/fcntl.h, O_DIRECTORY included. */
const TMPFILE = 0o20200000;
const PIECE = 1 << 17;

/** What `openInput` calls standard input in messages. */
export const STANDARD_INPUT = "standard input";

/** Opens a regular file with what is to be read, from its beginning on. @throws KernelError */
export function openInput(path: string | undefined): Fd {
  const fd = path === undefined ? Fd.own(STDIN).dup() : Fd.open(path, O.RDONLY);
  if (regularSize(fd.number) !== undefined && lseek(fd.number, 0, SEEK.CUR) === 0) return fd;
  using source = fd;
  using copy = temporaryFile();
  const piece = new Uint8Array(PIECE);
  for (;;) {
    const got = read(source.number, piece);
    if (got === 0) return Fd.own(copy.release());
    writeAll(copy.number, piece.subarray(0, got));
  }
}

/** A file for reading and writing that has no name, and is gone when it is closed. @throws KernelError */
export function temporaryFile(): Fd {
  return Fd.open(environment().TMPDIR ?? "/tmp", TMPFILE | O.RDWR, 0o600);
}
