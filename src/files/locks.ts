/** File locks. They are not carried yet, and not to be lost silently: a process that holds one is not dumped. */
import { FileDumpError } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";

/** Refuses the file of a descriptor by which a lock is held; it is closed either way. @throws FileDumpError */
export function refuseLock(file: OpenFile): void {
  try {
    const lock = file.isPath ? undefined : file.fdinfo.fields.get("lock")?.[0];
    if (lock === undefined) return;
    const [, type = "", mode = "", access = ""] = lock.split(/\s+/);
    throw new FileDumpError(
      `${file.where}: ${file.link} is locked (${type} ${mode} ${access}), and locks cannot be dumped yet`,
    );
  } finally {
    file.close();
  }
}
