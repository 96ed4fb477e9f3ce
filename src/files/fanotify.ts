/** fanotify(7): marks of inodes, mounts and file systems. Events that nobody has read are dropped, as CRIU does. */
import {
  type FanotifyFileEntry,
  type FanotifyMarkEntry,
  FdTypes,
  type FileEntry,
  MarkType,
} from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { Fd } from "../linux/fd.ts";
import { AT, O, selfPath } from "../linux/io.ts";
import { type MountInfo, readMountinfo } from "../linux/mountinfo.ts";
import { NR } from "../linux/nr.ts";
import { checkResult, pathAddress, rawSyscall, syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { bytesWaiting } from "./pipe-data.ts";
import { withAsync, withFlags } from "./status-flags.ts";
import { fieldsOf, openWatched, traceWatched, watchedInode } from "./watched.ts";

/** Flags of fanotify_mark(2) (include/uapi/linux/fanotify.h). */
const FAN_MARK = { ADD: 1, MOUNT: 0x10, IGNORED_MASK: 0x20, FILESYSTEM: 0x100, IGNORE: 0x400 } as const;
/** FAN_EVENT_ON_CHILD and FAN_ONDIR stand in a mask beside events. */
const NO_EVENTS = 0x0800_0000 | 0x4000_0000;

export const fanotify: FileKind = {
  type: FdTypes.FANOTIFY,
  recognises: (file) => file.link === "anon_inode:[fanotify]",
  dumper: (context) => new FanotifyDump(context),
  restorer: (context) => new FanotifyRestore(context),
};

class FanotifyDump implements FileDumper {
  readonly #late: (() => void)[] = [];

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    if (bytesWaiting(file.copy) > 0)
      log.warn("files/fanotify", `${file.where}: the events that wait there will be dropped`);
    const lines = (file.fdinfo.fields.get("fanotify flags") ?? []).concat(marksIn(file));
    const [head = ""] = lines;
    const faflags = Number.parseInt(head, 16);
    const evflags = Number.parseInt(fieldsOf(head, file.where)("event-flags"), 16);
    const entry: FanotifyFileEntry = { id, flags: file.flags, fown: file.owner, faflags, evflags, mark: [] };
    this.context.add({ type: FdTypes.FANOTIFY, id, ffy: entry });
    this.#late.push(() => {
      entry.mark = lines.slice(1).map((line) => this.#mark(file, id, line));
    });
  }

  finish(): void {
    for (const trace of this.#late) trace();
  }

  #mark(file: OpenFile, id: number, line: string): FanotifyMarkEntry {
    const field = fieldsOf(line, file.where);
    const hex = (name: string) => Number.parseInt(field(name), 16);
    const mark = { id, mflags: hex("mflags"), mask: hex("mask"), ignored_mask: hex("ignored_mask") };
    if (line.startsWith("ino:")) {
      const watched = watchedInode(field);
      const ie = { i_ino: BigInt(watched.inode), f_handle: traceWatched(this.context, file, watched) };
      return { ...mark, type: MarkType.INODE, s_dev: watched.device, ie };
    }
    const ofMount = line.startsWith("mnt_id:");
    const is = ofMount
      ? ({ id }: MountInfo) => id === hex("mnt_id")
      : ({ device }: MountInfo) => device === hex("sdev");
    const mount = readMountinfo(file.pid).find(is);
    if (mount === undefined)
      throw new FileDumpError(`${file.where}: no mount of the process for its mark "${line}"`);
    return {
      ...mark,
      type: ofMount ? MarkType.MOUNT : MarkType.FILESYSTEM,
      s_dev: mount.device,
      me: { mnt_id: mount.id, path: mount.mountpoint },
    };
  }
}

/** The lines of marks, without their first word. */
function marksIn(file: OpenFile): string[] {
  const marks: string[] = [];
  for (const kind of ["ino", "mnt_id", "sdev"]) {
    for (const rest of file.fdinfo.fields.get(`fanotify ${kind}`) ?? []) marks.push(`${kind}:${rest}`);
  }
  return marks;
}

class FanotifyRestore implements FileRestorer {
  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { flags, faflags, evflags } = fanotifyOf(entry);
    return restoring(placeOf(entry), () => {
      const fd = syscall("", NR.fanotify_init, faflags, evflags);
      // The group keeps the flag that it was made with, which that of our descriptor need not be.
      rawSyscall(NR.fcntl, fd, F.SETFD, FD_CLOEXEC);
      return withFlags(fd, flags);
    });
  }

  wire(entry: FileEntry, fd: number): void {
    for (const mark of fanotifyOf(entry).mark) {
      const path = mark.ie?.f_handle.path ?? mark.me?.path ?? "an inode";
      const what = `${placeOf(entry)}: its mark of ${path}`;
      restoring(what, () => {
        using target = this.#open(mark, what);
        const where = selfPath(target.number);
        const on =
          mark.type === MarkType.INODE
            ? 0
            : mark.type === MarkType.MOUNT
              ? FAN_MARK.MOUNT
              : FAN_MARK.FILESYSTEM;
        const add = (flags: number, mask: number) =>
          syscall("", NR.fanotify_mark, fd, FAN_MARK.ADD | on | flags, mask, AT.FDCWD, pathAddress(where));
        const { mflags, mask, ignored_mask } = mark;
        if ((mask & ~NO_EVENTS) !== 0) add(mflags & ~FAN_MARK.IGNORE, mask);
        if (ignored_mask !== 0)
          add((mflags & FAN_MARK.IGNORE) !== 0 ? mflags : mflags | FAN_MARK.IGNORED_MASK, ignored_mask);
      });
    }
  }

  owner(entry: FileEntry): FownEntry {
    return fanotifyOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(fanotifyOf(entry).flags);
  }

  #open({ type, s_dev, ie, me }: FanotifyMarkEntry, what: string): Fd {
    if (type === MarkType.INODE && ie !== undefined)
      return openWatched(this.context, s_dev, ie.i_ino, ie.f_handle);
    if (me?.path === undefined) throw new FileRestoreError(`${what} says neither inode nor mount`);
    const at = { mount: me.mnt_id, path: me.path.startsWith("/") ? me.path : `/${me.path}` };
    return Fd.own(checkResult(this.context.mounts.open(at, O.PATH), NR.openat, at.path));
  }
}

function fanotifyOf(entry: FileEntry): FanotifyFileEntry {
  if (entry.ffy === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no fanotify group`);
  return entry.ffy;
}

function placeOf(entry: FileEntry): string {
  return `files.img: file ${entry.id}: a fanotify group`;
}
