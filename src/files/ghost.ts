/**
 * Ghosts: files that processes hold open, map or stand in after the last name of them was removed.
 *
 * A dump carries the whole file, attributes and content, in ghost-file-ID.img, up to --ghost-limit. A restore makes it
 * anew beside where it was, gives it every name that it had for as long as it takes to open it by that name, and takes
 * the names away again: /proc shows `name (deleted)` as before. Content is written before there is a name, where the
 * file system has O_TMPFILE, so that even a killed restore leaves no half of a file.
 */
import { fillGhost, overGhostLimit, saveGhost, setGhostAttributes } from "../images/ghost-file.ts";
import type { ImageDir } from "../images/image-dir.ts";
import type { ImageReader } from "../images/image-file.ts";
import { IMAGES } from "../images/kinds.ts";
import { type GhostChunkEntry, type GhostFileEntry, RemapType } from "../images/schema/generated/files.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import type { Fd } from "../linux/fd.ts";
import { close, O, openAt, S, selfPath } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { MountPath, PathAt } from "../linux/path-at.ts";
import { checkResult, pathAddress, rawSyscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { nameBeside } from "../undo/names.ts";
import { FileDumpError, FileRestoreError } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";
import { openPath, parentOf } from "./path.ts";
import type { Remaps } from "./remap.ts";
import type { TemporaryNames } from "./temporary-names.ts";

// --- dump

export class GhostDump {
  readonly #ids = new Map<string, number>();

  constructor(
    private readonly images: ImageDir,
    private readonly limit: number,
    private readonly remaps: Remaps,
  ) {}

  /** Saves the file, unless that is done, and notes that entry `id` is to be found as it. */
  dump(file: OpenFile, id: number, name: string): void {
    const { dev, ino } = file.fullStatus;
    const key = `${dev}:${ino}`;
    let ghostId = this.#ids.get(key);
    if (ghostId === undefined) {
      const excess = overGhostLimit(file, name, this.limit);
      if (excess !== undefined) throw new FileDumpError(excess);
      ghostId = this.#ids.size + 1;
      log.debug("files/ghost", () => `${file.where}: ${name} goes to ghost file ${ghostId}`);
      saveGhost(this.images, file, ghostId);
      this.#ids.set(key, ghostId);
    }
    this.remaps.add(id, RemapType.GHOST, ghostId);
  }
}

// --- restore

/** A file without a name: what there is to know to make it, and the entries that are to be found as it. */
export interface GhostUser {
  /** Its number in files.img. */
  readonly fileId: number;
  /** The path that it had. */
  readonly at: MountPath;
}

/** Bits of a mode that chmod(2) sets. */
const PERMISSIONS = 0o7777;
const TMPFILE = 0o20000000 | O.DIRECTORY;

/** What /proc calls a file that never had a name (O_TMPFILE). It gets none: it may still be linked to one, and only once. */
const NAMELESS = /\/#\d+$/;

/** A ghost file that is there again. */
export interface MadeGhost {
  /** What it was when it was dumped, the device as the kernel packs it inside. Old images do not tell. */
  readonly device: number | undefined;
  readonly inode: bigint | undefined;
  /** O_PATH descriptors of ours by the number of the user. */
  readonly opened: ReadonlyMap<number, number>;
}

/**
 * Makes a ghost file and gives an O_PATH descriptor for each of its users, opened by the name that the user knew it
 * by. The names are gone when `names` are removed. The descriptors are the caller's.
 * @throws FileRestoreError, ImageError
 */
export function makeGhost(
  images: ImageDir,
  ghostId: number,
  users: readonly GhostUser[],
  names: TemporaryNames,
): MadeGhost {
  const file = `ghost-file-${ghostId.toString(16)}.img`;
  using reader = images.reader(IMAGES.ghost_file, ghostId);
  const { head } = reader;
  const opened = new Map<number, number>();
  /** Open at the file. */
  let source: number | undefined;
  const isRegular = (head.mode & S.IFMT) === S.IFREG;
  try {
    names.making(`${file}: ${users[0]?.at.path}`, () => {
      try {
        const nameless = isRegular && users.every(({ at }) => NAMELESS.test(at.path));
        for (const { fileId, at } of users) {
          names.makeParents(at);
          if (source === undefined && isRegular) source = makeRegular(reader, at, names);
          if (source !== undefined && nameless) opened.set(fileId, openPath(selfPath(source), O.PATH));
          else if (source !== undefined) opened.set(fileId, openLink(source, at, names));
          else {
            const made = makeNode(head, file, at, names);
            source = made.fd.release();
            setGhostAttributes(source, head, names.owners);
            opened.set(fileId, names.open(made.at, O.PATH | O.NOFOLLOW));
          }
        }
      } finally {
        // No writer must be left: a ghost may be the program that a process runs.
        if (source !== undefined) close(source);
      }
    });
    return { device: head.dev, inode: head.ino, opened };
  } catch (error) {
    for (const fd of opened.values()) close(fd);
    throw error;
  }
}

/** Opens a file (O_PATH) by a name that it gets for that. @throws KernelError */
function openLink(source: number, { mount, path }: MountPath, names: TemporaryNames): number {
  for (let name = path; ; name = nameBeside(path)) {
    const at = { mount, path: name };
    const result = names.link(source, at);
    // It has got it already, by another mount.
    if (result === 0 || names.leads(at, source)) return names.open(at, O.PATH | O.NOFOLLOW);
    // Somebody has taken the name since. The file is there all the same, under a name of its own.
    if (result !== -ERRNO.EEXIST) checkResult(result, NR.linkat, name);
  }
}

/** An open regular file with the ghost's content and attributes, without a name if the file system can do that. */
function makeRegular(
  reader: ImageReader<GhostChunkEntry, GhostFileEntry>,
  at: MountPath,
  names: TemporaryNames,
): number {
  let fd: number;
  try {
    const { directory, path } = names.place(at);
    fd = openAt(directory, path.startsWith("/") ? parentOf(path) : ".", TMPFILE | O.RDWR, 0o600);
  } catch (error) {
    if (!isErrno(error, ERRNO.EOPNOTSUPP, ERRNO.EISDIR, ERRNO.EINVAL)) throw error;
    fd = names.create(at, O.RDWR);
  }
  try {
    fillGhost(reader, fd, names.owners);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Makes anything but a regular file, as TemporaryNames.make does. @throws FileRestoreError, KernelError */
function makeNode(
  head: GhostFileEntry,
  file: string,
  at: MountPath,
  names: TemporaryNames,
): { fd: Fd; at: MountPath } {
  const { mode, rdev = 0, symlnk_target: target } = head;
  const mknod = ({ directory, path }: PathAt) =>
    rawSyscall(NR.mknodat, directory, pathAddress(path), mode & ~PERMISSIONS, rdev);
  switch (mode & S.IFMT) {
    case S.IFDIR: {
      const mkdir = ({ directory, path }: PathAt) =>
        rawSyscall(NR.mkdirat, directory, pathAddress(path), 0o700);
      return names.make(at, NR.mkdirat, mkdir, true);
    }
    case S.IFLNK:
      if (target === undefined) throw new FileRestoreError(`${file}: a symbolic link to nothing`);
      return names.make(at, NR.symlinkat, ({ directory, path }) =>
        rawSyscall(NR.symlinkat, pathAddress(target), directory, pathAddress(path, 1)),
      );
    case S.IFCHR:
    case S.IFBLK:
      if (head.rdev === undefined) throw new FileRestoreError(`${file}: a device without a number`);
      return names.make(at, NR.mknodat, mknod);
    case S.IFIFO:
    case S.IFSOCK:
      return names.make(at, NR.mknodat, mknod);
    default:
      throw new FileRestoreError(`${file}: mode 0${mode.toString(8)} is of no kind of file`);
  }
}
