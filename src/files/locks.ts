/**
 * File locks. They are not carried yet, and not to be lost silently: a process that holds one is not dumped.
 *
 * The fdinfo of a descriptor tells exactly. Where it was not read anyway, /proc/locks names the inodes that have any, and
 * only for files of those fdinfo is asked; whoever opens /proc/locks waits some milliseconds for all processors (the
 * kernel's file_rwsem is a per-processor one), so it is for those with many descriptors.
 */
import { readText } from "../linux/io.ts";
import { FileDumpError } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";

export class FileLocks {
  #inodes: Set<number> | undefined;

  /**
   * `fdinfo`: what the descriptor's file in /proc says, where that was read.
   * @throws FileDumpError where the process holds a lock by this descriptor
   */
  refuse(file: OpenFile, fdinfo: string | undefined): void {
    if (file.isPath) return;
    if (fdinfo !== undefined) {
      if (!fdinfo.includes("\nlock:")) return;
    } else {
      this.#inodes ??= lockedInodes();
      if (!this.#inodes.has(file.status.ino)) return;
    }
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
