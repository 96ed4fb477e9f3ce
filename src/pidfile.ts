/** `--pidfile`: where the pid of the root task, of the service or of the page server is told. */
import { ERRNO, isErrno } from "./linux/errno.ts";
import { close, O, open, readText, unlink, writeAll } from "./linux/io.ts";

/**
 * Writes `pid` in decimal, without a line end, as CRIU does. A file that is there and says another pid belongs to
 * somebody else's process; one that says this pid, perhaps written by the process itself, is left as it is. A file
 * that could not be written whole is taken away again. True if the file is new.
 * @throws KernelError naming the file; EEXIST when it is there and says something else
 */
export function writePidfile(path: string, pid: number): boolean {
  let fd: number;
  try {
    fd = open(path, O.WRONLY | O.CREAT | O.EXCL, 0o600);
  } catch (error) {
    if (isErrno(error, ERRNO.EEXIST) && readText(path).trim() === String(pid)) return false;
    throw error;
  }
  try {
    writeAll(fd, new TextEncoder().encode(String(pid)));
    return true;
  } catch (error) {
    unlink(path);
    throw error;
  } finally {
    close(fd);
  }
}
