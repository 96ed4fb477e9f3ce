/** `--pidfile`: where the pid of the root task, of the service or of the page server is told. */
import { ERRNO, KernelError } from "./linux/errno.ts";
import { AT, close, exists, O, readText, writeAll } from "./linux/io.ts";
import { NR } from "./linux/nr.ts";
import { ourPath } from "./linux/path-at.ts";
import { pathAddress, rawSyscall } from "./linux/syscall.ts";
import { makeNamed } from "./undo/names.ts";
import type { Undo } from "./undo/undo.ts";

/**
 * Writes `pid` in decimal, without a line end, as CRIU does; the file appears whole, and goes again with what else is in `undo`.
 * A file that is there and says another pid belongs to somebody else's process; one that says this pid, perhaps written by
 * the process itself, is left as it is.
 * @throws KernelError naming the file; EEXIST when it is there and says something else
 */
export function writePidfile(path: string, pid: number, undo: Undo): void {
  const says = () => exists(path) && readText(path).trim() === String(pid);
  if (says()) return;
  const { fd, at, entry } = makeNamed(undo, ourPath(path), NR.openat, (beside) =>
    create(beside.path, String(pid)),
  );
  fd.close();
  if (at.path === path) return;
  // Somebody was here before.
  entry.undo();
  if (!says()) throw new KernelError("openat", path, ERRNO.EEXIST);
}

/** Makes a file with a text; gives the raw result of the call that makes it. @throws KernelError */
function create(path: string, text: string): number {
  const flags = O.WRONLY | O.CREAT | O.EXCL | O.CLOEXEC;
  const fd = rawSyscall(NR.openat, AT.FDCWD, pathAddress(path), flags, 0o600);
  if (fd < 0) return fd;
  try {
    writeAll(fd, new TextEncoder().encode(text));
    return 0;
  } finally {
    close(fd);
  }
}
