/** Ghost files, ghost-file-ID.img: a whole file that has lost its names, with its attributes and its content. */

import { copyAllBytes } from "../linux/copy.ts";
import { packDevice } from "../linux/device.ts";
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { AT, lseek, O, openAt, S, SEEK, selfPath, withFd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { Owners } from "../linux/owners.ts";
import type { FileTime, FullStatus } from "../linux/statx.ts";
import { addressOf, pathAddress, rawSyscall, syscall } from "../linux/syscall.ts";
import { bytesToText } from "../linux/text.ts";
import { type Instant, setTimes } from "../linux/times.ts";
import { ImageError } from "./error.ts";
import type { ImageDir } from "./image-dir.ts";
import type { ImageReader } from "./image-file.ts";
import { IMAGES } from "./kinds.ts";
import type { GhostChunkEntry, GhostFileEntry, Timeval } from "./schema/generated/files.ts";

const BLOCK = 512;
/** From here on content is stored in chunks, between which are holes. */
const CHUNKS_FROM = 3 * 4096;
/** Bits of a mode that chmod(2) sets. */
const PERMISSIONS = 0o7777;

/** A file that is saved. */
export interface GhostSource {
  /** Our descriptor of it, which need not be open for reading. */
  readonly copy: number;
  /** For messages. */
  readonly where: string;
  readonly fullStatus: FullStatus;
  readonly owners: Owners;
}

/** Says what is wrong with a deleted file, `name`, that takes more of its disk than --ghost-limit allows, `limit` bytes. */
export function overGhostLimit(
  { fullStatus, where }: GhostSource,
  name: string,
  limit: number,
): string | undefined {
  const size = fullStatus.blocks * BLOCK;
  if (size <= limit) return undefined;
  return `${where}: ${name}, which is deleted, takes ${size} bytes; --ghost-limit allows ${limit}`;
}

/** Saves a whole file, attributes and content, as ghost file `ghostId`. @throws KernelError, ImageError */
export function saveGhost(images: ImageDir, file: GhostSource, ghostId: number): void {
  const { fullStatus: status } = file;
  const format = status.mode & S.IFMT;
  const chunks = format === S.IFREG && status.size >= CHUNKS_FROM;
  const head: GhostFileEntry = {
    uid: file.owners.uid(status.uid),
    gid: file.owners.gid(status.gid),
    mode: status.mode,
    dev: status.dev,
    ino: BigInt(status.ino),
    atim: toTimeval(status.atime),
    mtim: toTimeval(status.mtime),
    atim_nsec: status.atime.nsec % 1000,
    mtim_nsec: status.mtime.nsec % 1000,
  };
  if (format === S.IFCHR || format === S.IFBLK) head.rdev = packDevice(status.rdevMajor, status.rdevMinor);
  if (format === S.IFLNK) head.symlnk_target = readSymlink(file);
  if (chunks) Object.assign(head, { chunks: true, size: BigInt(status.size) });
  using writer = images.writer(IMAGES.ghost_file, ghostId, head);
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

/** Opens the file of a descriptor anew for reading, without a trace in its access time. @throws KernelError */
export function openToRead(file: Pick<GhostSource, "copy">): number {
  try {
    return openAt(AT.FDCWD, selfPath(file.copy), O.RDONLY | O.NOATIME | O.NONBLOCK);
  } catch (error) {
    if (!isErrno(error, ERRNO.EPERM)) throw error;
    return openAt(AT.FDCWD, selfPath(file.copy), O.RDONLY | O.NONBLOCK);
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

function readSymlink(file: GhostSource): string {
  const bytes = new Uint8Array(8192);
  const address = addressOf(bytes);
  const length = syscall(file.where, NR.readlinkat, file.copy, pathAddress(""), address, bytes.length);
  return bytesToText(bytes.subarray(0, length));
}

function toTimeval(time: FileTime): Timeval {
  return { tv_sec: BigInt.asUintN(64, time.sec), tv_usec: BigInt(Math.floor(time.nsec / 1000)) };
}

/** Gives an empty regular file, open for writing, the content and the attributes of a ghost. @throws ImageError, KernelError */
export function fillGhost(
  reader: ImageReader<GhostChunkEntry, GhostFileEntry>,
  fd: number,
  owners: Owners,
): void {
  const { head } = reader;
  if (head.chunks === true) {
    const size = Number(head.size ?? -1n);
    if (size < 0) throw new ImageError("chunks without a size");
    syscall("the size", NR.ftruncate, fd, size);
    for (const { entry, payload } of reader) {
      if (entry.off + entry.len > BigInt(size)) throw new ImageError("a chunk beyond the end");
      lseek(fd, Number(entry.off), SEEK.SET);
      copyFromImage(reader.fd, payload.offset, payload.length, fd);
    }
  } else {
    const rest = reader.rest();
    copyFromImage(reader.fd, rest.offset, rest.length, fd);
  }
  setGhostAttributes(fd, head, owners);
}

function copyFromImage(image: number | undefined, offset: number, length: number, to: number): void {
  if (image === undefined) throw new KernelError("sendfile", "an image without a file", ERRNO.EBADF);
  copyAllBytes(image, offset, length, to);
}

/** Owner, permissions and times; in this order, as each takes something of the one before. @throws KernelError */
export function setGhostAttributes(fd: number, head: GhostFileEntry, owners: Owners): void {
  const isLink = (head.mode & S.IFMT) === S.IFLNK;
  const emptyFlags = AT.EMPTY_PATH | AT.SYMLINK_NOFOLLOW;
  syscall(
    "the owner",
    NR.fchownat,
    fd,
    pathAddress(""),
    owners.uid(head.uid),
    owners.gid(head.gid),
    emptyFlags,
  );
  if (!isLink) {
    // fchmod(2) does not take O_PATH descriptors.
    syscall("the mode", NR.fchmodat, AT.FDCWD, pathAddress(selfPath(fd)), head.mode & PERMISSIONS);
  }
  if (head.atim === undefined || head.mtim === undefined) return;
  setTimes(fd, toInstant(head.atim, head.atim_nsec), toInstant(head.mtim, head.mtim_nsec));
}

function toInstant({ tv_sec, tv_usec }: Timeval, nsec = 0): Instant {
  return { sec: BigInt.asIntN(64, tv_sec), nsec: Number(tv_usec % 1_000_000n) * 1000 + nsec };
}
