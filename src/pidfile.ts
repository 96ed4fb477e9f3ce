/** `--pidfile`: where the pid of the restored root task, of the service or of the page server is told. */
import { close, O, open, unlink, writeAll } from "./linux/io.ts";

/**
 * Writes `pid` in decimal, without a line end, as CRIU does. The file must not be there yet: one that is belongs to
 * somebody else's process. A file that could not be written whole is taken away again.
 * @throws KernelError naming the file; EEXIST when it is there
 */
export function writePidfile(path: string, pid: number): void {
  const fd = open(path, O.WRONLY | O.CREAT | O.EXCL, 0o600);
  try {
    writeAll(fd, new TextEncoder().encode(String(pid)));
  } catch (error) {
    unlink(path);
    throw error;
  } finally {
    close(fd);
  }
}
