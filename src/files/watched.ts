/**
 * Inodes that inotify and fanotify watch. The kernel tells a file handle of each; an image has a path as well, which is what a
 * restore goes by: inode numbers of memory file systems are others after a restore, and so are all on another machine.
 */

import type { FhEntry } from "../images/schema/generated/files.ts";
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { openByHandle } from "../linux/file-handle.ts";
import { O, selfPath } from "../linux/io.ts";
import { readMountinfo } from "../linux/mountinfo.ts";
import { NR } from "../linux/nr.ts";
import { ourPath, type PathAt } from "../linux/path-at.ts";
import type { HostPid } from "../linux/pid.ts";
import { statusOf } from "../linux/statx.ts";
import { checkResult } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { FileDumpError } from "./errors.ts";
import { searchInode } from "./irmap.ts";
import type { DumpContext, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { linkOf, openPath, saysDeleted } from "./path.ts";

/** Words of a handle in an image at least, which CRIU counts on. */
const HANDLE_WORDS = 16;

/** What fdinfo tells of a watched inode. */
export interface WatchedInode {
  readonly inode: number;
  /** As the kernel packs it inside: major << 20 | minor. */
  readonly device: number;
  readonly handle: FhEntry;
}

/** The inode in a line of fdinfo of inotify or fanotify. */
export function watchedInode(field: (name: string) => string): WatchedInode {
  const hex = field("f_handle");
  const bytes = Number.parseInt(field("fhandle-bytes"), 16);
  const words: bigint[] = [];
  for (let at = 0; at < HANDLE_WORDS * 8; at += 8) {
    let word = 0n;
    for (let i = 7; i >= 0; i--) {
      const octets = hex.slice(2 * (at + i), 2 * (at + i) + 2);
      word = (word << 8n) | BigInt(octets === "" ? 0 : Number.parseInt(octets, 16));
    }
    words.push(word);
  }
  return {
    inode: Number.parseInt(field("ino"), 16),
    device: Number.parseInt(field("sdev"), 16),
    handle: { bytes, type: Number.parseInt(field("fhandle-type"), 16), handle: words },
  };
}

/** The value of a field `name:VALUE` in a line of fdinfo; a line that lacks it is none that we know. @throws FileDumpError */
export function fieldsOf(line: string, where: string): (name: string) => string {
  return (name) => {
    const found = new RegExp(`(?:^|\\s)${name}:(\\S+)`).exec(line)?.[1];
    if (found === undefined) throw new FileDumpError(`${where}: no ${name} in its fdinfo`);
    return found;
  };
}

/** Where a process, or we, have the mounts of a file system. */
function mountsOf(device: number, pid: HostPid | "self"): PathAt[] {
  const mounts = readMountinfo(pid).filter((mount) => mount.device === device);
  return mounts.map(({ mountpoint }) => ourPath(`/proc/${pid}/root${mountpoint}`));
}

/** Opens a handle by one of the mounts of its file system. @throws KernelError where none can */
function openHandle(mounts: readonly PathAt[], handle: FhEntry): Fd {
  let refused = new KernelError("open_by_handle_at", "no mount of its file system", ERRNO.ESTALE);
  for (const { directory, path } of mounts) {
    try {
      using root = Fd.openAt(directory, path, O.PATH | O.DIRECTORY);
      // Only a descriptor that is open for reading will do.
      using readable = Fd.own(openPath(selfPath(root.number), O.RDONLY | O.DIRECTORY | O.NONBLOCK));
      return Fd.own(openByHandle(readable.number, handle.type, handleBytes(handle), O.PATH));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      refused = error;
    }
  }
  throw refused;
}

function handleBytes({ bytes, handle }: FhEntry): Uint8Array {
  const all = new Uint8Array(BigUint64Array.from(handle).buffer);
  return all.subarray(0, Math.min(bytes, all.length));
}

/**
 * Sees to it that a restore finds an inode again: gives its handle with a path where it has one, else with an open file of the
 * same inode, else, where the file system keeps its inodes, as it is. @throws FileDumpError
 */
export function traceWatched(
  context: DumpContext,
  file: OpenFile,
  { inode, device, handle }: WatchedInode,
): FhEntry {
  const what = `${file.where}: the watched inode ${device.toString(16)}:${inode}`;
  if (!context.options.forceIrmap) {
    try {
      const { mounts } = context;
      using fd = openHandle(mounts.any ? mounts.onDevice(device) : mountsOf(device, file.pid), handle);
      const path = linkOf(fd.number);
      const { nlink, mntId } = statusOf(fd.number);
      if (!saysDeleted(path) && leadsTo(context, path, fd.number))
        return { ...handle, path, ...(mounts.any && { mnt_id: mntId }) };
      const open = nlink === 0 || saysDeleted(path) ? openFileOf(context, fd.number) : undefined;
      if (open !== undefined) return { ...handle, file_id: open };
      if (nlink > 0) {
        log.info("files/watched", `${what} has no path that can be told, and is to be found by its handle`);
        return handle;
      }
      throw new FileDumpError(`${what} is of a deleted file that no process of the tree has open`);
    } catch (error) {
      if (!(error instanceof KernelError) || isErrno(error, ERRNO.EPERM)) throw error;
      log.debug("files/watched", `${what}: ${error.message}`);
    }
  }
  const found = searchInode(device, inode, context.options.irmapScanPath, context.mounts);
  if (found === undefined) {
    throw new FileDumpError(
      `${what}: no path leads to it where it was looked for; --irmap-scan-path says where else to look`,
    );
  }
  return { ...handle, path: found };
}

function leadsTo({ mounts }: DumpContext, path: string, fd: number): boolean {
  try {
    const b = statusOf(fd);
    const at = mounts.fromRoot(path, b.mntId);
    using there = Fd.openAt(at.directory, at.path, O.PATH | O.NOFOLLOW);
    const a = statusOf(there.number);
    return a.ino === b.ino && a.dev === b.dev;
  } catch {
    return false;
  }
}

function openFileOf(context: DumpContext, fd: number): number | undefined {
  const { ino, dev } = statusOf(fd);
  return context.find(ino, (pid, number) => {
    try {
      using there = Fd.own(openPath(`/proc/${pid}/fd/${number}`, O.PATH));
      return statusOf(there.number).dev === dev;
    } catch {
      return false;
    }
  })?.id;
}

/** Opens (O_PATH) the inode that is to be watched again. @throws KernelError, FileRestoreError */
export function openWatched(context: RestoreContext, device: number, inode: bigint, handle: FhEntry): Fd {
  const { path, file_id } = handle;
  const open = file_id === undefined ? context.paths.ghost(device, inode) : context.descriptor(file_id);
  if (open !== undefined) return Fd.own(openPath(selfPath(open), O.PATH));
  if (path !== undefined) {
    const at = { mount: handle.mnt_id, path: path.startsWith("/") ? path : `/${path}` };
    return Fd.own(checkResult(context.mounts.open(at, O.PATH), NR.openat, path));
  }
  return openHandle(mountsOf(device, "self"), handle);
}
