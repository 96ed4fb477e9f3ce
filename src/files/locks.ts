/**
 * File locks. They are not carried yet, and not to be lost silently: a process that holds one is not dumped.
 *
 * /proc/locks names the inodes that have any; only for files of those is fdinfo asked, which tells exactly.
 */
import { readText } from "../linux/io.ts";
import { FileDumpError } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";

export class FileLocks {
  #inodes: Set<number> | undefined;

  /** @throws FileDumpError where the process holds a lock by this descriptor */
  refuse(file: OpenFile): void {
    this.#inodes ??= lockedInodes();
    if (!this.#inodes.has(file.status.ino) || file.isPath) return;
    const lock = file.fdinfo.fields.get("lock")?.[0];
    if (lock === undefined) return;
    const [, type = "", mode = "", access = ""] = lock.split(/\s+/);
    throw new FileDumpError(
      `${file.where}: ${file.link} is locked (${type} ${mode} ${access}), and locks cannot be dumped yet`,
    );
  }
}

function lockedInodes(): Set<number> {
  const inodes = new Set<number>();
  for (const [, inode] of readText("/proc/locks").matchAll(/ [0-9a-f]+:[0-9a-f]+:(\d+) /g)) {
    inodes.add(Number(inode));
  }
  return inodes;
}
