/** inotify(7): what is watched, under the same watch descriptors. Events that nobody has read are dropped, as CRIU does. */
import {
  FdTypes,
  type FileEntry,
  type InotifyFileEntry,
  type InotifyWdEntry,
} from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { O, selfPath } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { pathAddress, syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { bytesWaiting } from "./pipe-data.ts";
import { withAsync, withFlags } from "./status-flags.ts";
import { fieldsOf, openWatched, traceWatched, watchedInode } from "./watched.ts";

/** _IOW('I', 0, __s32): which watch descriptor the next one gets (kernel 4.15). */
const INOTIFY_IOC_SETNEXTWD = 0x4004_4900;
/** What a watch can be asked for (include/uapi/linux/inotify.h): all events, IN_EXCL_UNLINK, IN_ONESHOT. */
const MASK = 0xfff | 0x0400_0000 | 0x8000_0000;

export const inotify: FileKind = {
  type: FdTypes.INOTIFY,
  recognises: (file) => file.link === "anon_inode:inotify",
  dumper: (context) => new InotifyDump(context),
  restorer: (context) => new InotifyRestore(context),
};

class InotifyDump implements FileDumper {
  readonly #late: (() => void)[] = [];

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    if (bytesWaiting(file.copy) > 0)
      log.warn("files/inotify", `${file.where}: the events that wait there will be dropped`);
    const entry: InotifyFileEntry = { id, flags: file.flags, fown: file.owner, wd: [] };
    this.context.add({ type: FdTypes.INOTIFY, id, ify: entry });
    const lines = file.fdinfo.fields.get("inotify wd") ?? [];
    // A deleted file may be open elsewhere, which is known when all tables are.
    this.#late.push(() => {
      entry.wd = lines.map((line): InotifyWdEntry => {
        const field = fieldsOf(line, file.where);
        const watched = watchedInode(field);
        return {
          id,
          i_ino: BigInt(watched.inode),
          mask: Number.parseInt(field("mask"), 16),
          ignored_mask: Number.parseInt(field("ignored_mask"), 16),
          s_dev: watched.device,
          wd: Number.parseInt(line, 16),
          f_handle: traceWatched(this.context, file, watched),
        };
      });
    });
  }

  finish(): void {
    for (const trace of this.#late) trace();
  }
}

class InotifyRestore implements FileRestorer {
  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { flags } = inotifyOf(entry);
    return restoring(placeOf(entry), () => withFlags(syscall("", NR.inotify_init1, O.CLOEXEC), flags));
  }

  /** In the order of their descriptors, which the kernel counts upwards. */
  wire(entry: FileEntry, fd: number): void {
    const watches = [...inotifyOf(entry).wd].sort((a, b) => a.wd - b.wd);
    for (const { wd, mask, s_dev, i_ino, f_handle } of watches) {
      const what = `${placeOf(entry)}: watch ${wd}, ${f_handle.path ?? `inode of device ${s_dev.toString(16)}`}`;
      restoring(what, () => {
        syscall("", NR.ioctl, fd, INOTIFY_IOC_SETNEXTWD, wd);
        using target = openWatched(this.context, s_dev, i_ino, f_handle);
        const path = pathAddress(selfPath(target.number));
        const given = syscall("", NR.inotify_add_watch, fd, path, (mask & MASK) >>> 0);
        if (given !== wd) throw new FileRestoreError(`${what} has become watch ${given}`);
      });
    }
  }

  owner(entry: FileEntry): FownEntry {
    return inotifyOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(inotifyOf(entry).flags);
  }
}

function inotifyOf(entry: FileEntry): InotifyFileEntry {
  if (entry.ify === undefined)
    throw new FileRestoreError(`files.img: file ${entry.id} is no inotify instance`);
  return entry.ify;
}

function placeOf(entry: FileEntry): string {
  return `files.img: file ${entry.id}: an inotify instance`;
}
