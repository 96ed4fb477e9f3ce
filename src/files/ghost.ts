/**
 * Ghosts: files that processes hold open, map or stand in after the last name of them was removed.
 *
 * A dump carries the whole file, attributes and content, in ghost-file-ID.img, up to --ghost-limit. A restore makes it
 * anew beside where it was, gives it every name that it had for as long as it takes to open it by that name, and takes
 * the names away again: /proc shows `name (deleted)` as before. Content is written before there is a name, where the
 * file system has O_TMPFILE, so that even a killed restore leaves no half of a file.
 */
import type { ImageDir } from "../images/image-dir.ts";
import type { ImageReader } from "../images/image-file.ts";
import { IMAGES } from "../images/kinds.ts";
import {
  type GhostChunkEntry,
  type GhostFileEntry,
  RemapType,
  type Timeval,
} from "../images/schema/generated/files.ts";
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { AT, close, lseek, O, S, SEEK, withFd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import type { FileTime } from "../linux/statx.ts";
import { s64, struct } from "../linux/struct.ts";
import { addressOf, checkResult, rawSyscall, syscall } from "../linux/syscall.ts";
import { bytesToText } from "../linux/text.ts";
import { log } from "../log.ts";
import { copyAllBytes } from "./copy.ts";
import { isDevice, packDevice } from "./device.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";
import {
  AT_REMOVEDIR,
  linkPath,
  openPath,
  parentOf,
  pathAddress,
  selfPath,
  symlinkPath,
  unlinkPath,
} from "./path.ts";
import type { Remaps } from "./remap.ts";

const BLOCK = 512;
/** From here on content is stored in chunks, between which are holes. */
const CHUNKS_FROM = 3 * 4096;

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
    const { dev, ino, blocks } = file.fullStatus;
    const key = `${dev}:${ino}`;
    let ghostId = this.#ids.get(key);
    if (ghostId === undefined) {
      const allocated = blocks * BLOCK;
      if (allocated > this.limit) {
        throw new FileDumpError(
          `${file.where}: ${name}, which is deleted, takes ${allocated} bytes; --ghost-limit allows ${this.limit}`,
        );
      }
      ghostId = this.#ids.size + 1;
      log.debug("files/ghost", () => `${file.where}: ${name} goes to ghost file ${ghostId}`);
      this.#save(file, ghostId);
      this.#ids.set(key, ghostId);
    }
    this.remaps.add(id, RemapType.GHOST, ghostId);
  }

  #save(file: OpenFile, ghostId: number): void {
    const { fullStatus: status, format } = file;
    const chunks = format === S.IFREG && status.size >= CHUNKS_FROM;
    const head: GhostFileEntry = {
      uid: status.uid,
      gid: status.gid,
      mode: status.mode,
      dev: status.dev,
      ino: BigInt(status.ino),
      atim: toTimeval(status.atime),
      mtim: toTimeval(status.mtime),
      atim_nsec: status.atime.nsec % 1000,
      mtim_nsec: status.mtime.nsec % 1000,
    };
    if (isDevice(format)) head.rdev = packDevice(status.rdevMajor, status.rdevMinor);
    if (format === S.IFLNK) head.symlnk_target = readSymlink(file);
    if (chunks) Object.assign(head, { chunks: true, size: BigInt(status.size) });
    using writer = this.images.writer(IMAGES.ghost_file, ghostId, head);
    if (format !== S.IFREG) return;
    // The descriptor itself may not be open for reading.
    withFd(openToRead(file), (fd) => {
      if (!chunks) copyAllBytes(fd, 0, status.size, writer.flush());
      else {
        for (const { from, to } of dataOf(fd, status.size)) {
          writer.add({ len: BigInt(to - from), off: BigInt(from) });
          copyAllBytes(fd, from, to - from, writer.flush());
        }
      }
    });
  }
}

/** Opens the file of a descriptor anew for reading, without a trace in its access time. @throws KernelError */
export function openToRead(file: OpenFile): number {
  try {
    return openPath(selfPath(file.copy), O.RDONLY | O.NOATIME | O.NONBLOCK);
  } catch (error) {
    if (!isErrno(error, ERRNO.EPERM)) throw error;
    return openPath(selfPath(file.copy), O.RDONLY | O.NONBLOCK);
  }
}

function* dataOf(fd: number, size: number): Generator<{ from: number; to: number }> {
  for (let at = 0; at < size; ) {
    const from = rawSyscall(NR.lseek, fd, at, SEEK.DATA);
    if (from === -ERRNO.ENXIO) return;
    if (from < 0) {
      // A file system that does not tell.
      yield { from: at, to: size };
      return;
    }
    const to = Math.min(lseek(fd, from, SEEK.HOLE), size);
    yield { from, to };
    at = to;
  }
}

function readSymlink(file: OpenFile): string {
  const bytes = new Uint8Array(8192);
  const address = addressOf(bytes);
  const length = syscall(file.where, NR.readlinkat, file.copy, pathAddress(""), address, bytes.length);
  return bytesToText(bytes.subarray(0, length));
}

function toTimeval(time: FileTime): Timeval {
  return { tv_sec: BigInt.asUintN(64, time.sec), tv_usec: BigInt(Math.floor(time.nsec / 1000)) };
}

// --- restore

/** A file without a name: what there is to know to make it, and the entries that are to be found as it. */
export interface GhostUser {
  /** Its number in files.img. */
  readonly fileId: number;
  /** The path that it had. */
  readonly path: string;
}

const timespec = struct({ sec: s64, nsec: s64 });
/** Bits of a mode that chmod(2) sets. */
const PERMISSIONS = 0o7777;
const TMPFILE = 0o20000000 | O.DIRECTORY;
let serial = 0;

/** A name in the directory of `path` that nobody else has. */
function besides(path: string): string {
  return `${path}.criu-ts.${ourPid()}.${++serial}`;
}

/**
 * Names that exist only while a restore prepares. `remove` takes them away in the reverse order: what was made in a
 * directory goes before the directory.
 */
export class TemporaryNames {
  readonly #names: { path: string; flags: number }[] = [];

  add(path: string, isDirectory: boolean): void {
    this.#names.push({ path, flags: isDirectory ? AT_REMOVEDIR : 0 });
  }

  /** Makes the directories that a path needs and that are not there. @throws KernelError */
  makeParents(path: string): void {
    const parent = parentOf(path);
    const result = rawSyscall(NR.mkdirat, AT.FDCWD, pathAddress(parent), 0o700);
    if (result === 0) this.add(parent, true);
    else if (result === -ERRNO.ENOENT && parent !== "/") {
      this.makeParents(parent);
      this.makeParents(path);
    } else if (result !== -ERRNO.EEXIST) checkResult(result, NR.mkdirat, parent);
  }

  /** Never throws; what cannot be removed is named in the log. */
  remove(): void {
    for (const { path, flags } of this.#names.splice(0).reverse()) {
      try {
        unlinkPath(path, flags);
      } catch (error) {
        if (!isErrno(error, ERRNO.ENOENT)) log.warn("files/ghost", `${path} stays behind: ${String(error)}`);
      }
    }
  }
}

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
  try {
    restoring(`${file}: ${users[0]?.path}`, () => {
      let source: string | undefined;
      let unnamed: number | undefined;
      try {
        for (const { fileId, path } of users) {
          names.makeParents(path);
          let name = path;
          for (;;) {
            let result: number;
            if (source === undefined && (head.mode & S.IFMT) === S.IFREG) {
              unnamed = makeRegular(reader, file, path, names);
              source = selfPath(unnamed);
            }
            if (source === undefined) result = makeNode(head, file, name);
            else result = linkPath(source, name, unnamed !== undefined);
            if (result === 0) break;
            // Somebody has taken the name since. The file is there all the same, under a name of its own.
            if (result !== -ERRNO.EEXIST) checkResult(result, NR.linkat, name);
            name = besides(path);
          }
          names.add(name, (head.mode & S.IFMT) === S.IFDIR);
          const fd = openPath(name, O.PATH | O.NOFOLLOW);
          opened.set(fileId, fd);
          if (source === undefined) {
            setAttributes(fd, head);
            source = name;
          }
        }
      } finally {
        // No writer must be left: a ghost may be the program that a process runs.
        if (unnamed !== undefined) close(unnamed);
      }
    });
    return { device: head.dev, inode: head.ino, opened };
  } catch (error) {
    for (const fd of opened.values()) close(fd);
    throw error;
  }
}

/** An open regular file with the ghost's content and attributes, without a name if the file system can do that. */
function makeRegular(
  reader: ImageReader<GhostChunkEntry, GhostFileEntry>,
  file: string,
  path: string,
  names: TemporaryNames,
): number {
  const { head } = reader;
  let fd: number;
  try {
    fd = openPath(parentOf(path), TMPFILE | O.RDWR, 0o600);
  } catch (error) {
    if (!isErrno(error, ERRNO.EOPNOTSUPP, ERRNO.EISDIR, ERRNO.EINVAL)) throw error;
    const name = besides(path);
    fd = openPath(name, O.CREAT | O.EXCL | O.RDWR, 0o600);
    names.add(name, false);
  }
  try {
    if (head.chunks === true) {
      const size = Number(head.size ?? -1n);
      if (size < 0) throw new FileRestoreError(`${file}: chunks without a size`);
      syscall(file, NR.ftruncate, fd, size);
      for (const { entry, payload } of reader) {
        if (entry.off + entry.len > BigInt(size))
          throw new FileRestoreError(`${file}: a chunk beyond the end`);
        lseek(fd, Number(entry.off), SEEK.SET);
        copyFromImage(reader.fd, payload.offset, payload.length, fd);
      }
    } else {
      const rest = reader.rest();
      copyFromImage(reader.fd, rest.offset, rest.length, fd);
    }
    setAttributes(fd, head);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function copyFromImage(image: number | undefined, offset: number, length: number, to: number): void {
  if (image === undefined) throw new KernelError("sendfile", "an image without a file", ERRNO.EBADF);
  copyAllBytes(image, offset, length, to);
}

/** Makes anything but a regular file; gives the raw result. */
function makeNode(head: GhostFileEntry, file: string, name: string): number {
  switch (head.mode & S.IFMT) {
    case S.IFDIR:
      return rawSyscall(NR.mkdirat, AT.FDCWD, pathAddress(name), 0o700);
    case S.IFLNK:
      if (head.symlnk_target === undefined) throw new FileRestoreError(`${file}: a symbolic link to nothing`);
      return symlinkPath(head.symlnk_target, name);
    case S.IFCHR:
    case S.IFBLK:
      if (head.rdev === undefined) throw new FileRestoreError(`${file}: a device without a number`);
      return rawSyscall(NR.mknodat, AT.FDCWD, pathAddress(name), head.mode & ~PERMISSIONS, head.rdev);
    case S.IFIFO:
    case S.IFSOCK:
      return rawSyscall(NR.mknodat, AT.FDCWD, pathAddress(name), head.mode & ~PERMISSIONS, 0);
    default:
      throw new FileRestoreError(`${file}: mode 0${head.mode.toString(8)} is of no kind of file`);
  }
}

/** Owner, permissions and times; in this order, as each takes something of the one before. @throws KernelError */
function setAttributes(fd: number, head: GhostFileEntry): void {
  const isLink = (head.mode & S.IFMT) === S.IFLNK;
  const emptyFlags = AT.EMPTY_PATH | AT.SYMLINK_NOFOLLOW;
  syscall("the owner", NR.fchownat, fd, pathAddress(""), head.uid, head.gid, emptyFlags);
  if (!isLink) {
    // fchmod(2) does not take O_PATH descriptors.
    syscall("the mode", NR.fchmodat, AT.FDCWD, pathAddress(selfPath(fd)), head.mode & PERMISSIONS);
  }
  if (head.atim === undefined || head.mtim === undefined) return;
  const times = new Uint8Array(2 * timespec.size);
  timespec.encodeInto(times, 0, toTimespec(head.atim, head.atim_nsec));
  timespec.encodeInto(times, timespec.size, toTimespec(head.mtim, head.mtim_nsec));
  syscall("the times", NR.utimensat, fd, pathAddress(""), addressOf(times), emptyFlags);
}

function toTimespec({ tv_sec, tv_usec }: Timeval, nsec = 0): { sec: bigint; nsec: bigint } {
  return { sec: BigInt.asIntN(64, tv_sec), nsec: tv_usec * 1000n + BigInt(nsec) };
}
