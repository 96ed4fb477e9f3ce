/** A directory with all that is in it, on one mount, as a tar archive: what GNU tar writes of it, and what that loses. */

import { ERRNO, isErrno } from "../../../linux/errno.ts";
import { close, lseek, namesIn, O, openAt, read, S, SEEK, selfPath, withFd } from "../../../linux/io.ts";
import { NR } from "../../../linux/nr.ts";
import type { Owners } from "../../../linux/owners.ts";
import { type FullStatus, fullStatusAt, fullStatusOf } from "../../../linux/statx.ts";
import { addressOf, nameAddress, rawSyscall, syscall } from "../../../linux/syscall.ts";
import { bytesToText } from "../../../linux/text.ts";
import { listAttributes } from "../../../linux/xattr.ts";
import { type Extent, type TarEntry, TYPE } from "./tar-format.ts";
import { type Sink, TarWriter } from "./tar-writer.ts";

const PERMISSIONS = 0o7777;
/** Without a trace in the times of access. */
const READ = O.RDONLY | O.NOATIME | O.NOFOLLOW | O.NONBLOCK;
const PIECE = 1 << 20;
const SECTOR = 512;

/**
 * Writes the directory that `root`, lent, is open on, under the name "./". @throws KernelError
 */
export function saveTree(root: number, sink: Sink, owners: Owners): void {
  new TreeSaver(new TarWriter(sink), owners).save(root);
}

class TreeSaver {
  /** Paths in the archive of files with several names, by inode. */
  readonly #linked = new Map<number, string>();
  readonly #buffer = new Uint8Array(PIECE);

  constructor(
    private readonly writer: TarWriter,
    private readonly owners: Owners,
  ) {}

  save(root: number): void {
    this.#directory(openAt(root, ".", READ | O.DIRECTORY), "./", fullStatusOf(root));
    this.writer.end();
  }

  /** `fd` is closed; `path` ends with a slash. */
  #directory(fd: number, path: string, status: FullStatus): void {
    try {
      // What was made last comes first: so it is made in the same order again.
      const names = namesIn(fd, path).reverse();
      const found = names.map((name) => ({ name, status: fullStatusAt(fd, name) }));
      const sockets = found.filter((each) => (each.status.mode & S.IFMT) === S.IFSOCK);
      const listed = sockets.map((each) => {
        const { mode, uid, gid } = this.#owned(each.status);
        return `${mode.toString(8)} ${uid} ${gid} ${each.name}`;
      });
      this.writer.begin({
        ...this.#entry(TYPE.DIRECTORY, path, status, listAttributes(selfPath(fd))),
        ...(listed.length > 0 && { sockets: listed.join("\0") }),
      });
      for (const each of found) if (!sockets.includes(each)) this.#file(fd, each.name, path, each.status);
    } finally {
      close(fd);
    }
  }

  #file(directory: number, name: string, above: string, status: FullStatus): void {
    const path = above + name;
    const format = status.mode & S.IFMT;
    if (format === S.IFDIR) {
      this.#directory(openAt(directory, name, READ | O.DIRECTORY), `${path}/`, status);
      return;
    }
    const other = this.#linked.get(status.ino);
    const attributes = listAttributes(`${selfPath(directory)}/${name}`);
    const entry = (type: string) => this.#entry(type, path, status, attributes);
    if (other !== undefined) {
      this.writer.begin({ ...entry(TYPE.HARD_LINK), link: other });
      return;
    }
    if (status.nlink > 1) this.#linked.set(status.ino, path);
    if (format === S.IFREG) this.#regular(openAt(directory, name, READ), entry(TYPE.FILE), status);
    else if (format === S.IFLNK) {
      this.writer.begin({ ...entry(TYPE.SYMLINK), link: this.#linkText(directory, name) });
    } else if (format === S.IFIFO) this.writer.begin(entry(TYPE.FIFO));
    else this.writer.begin(entry(format === S.IFCHR ? TYPE.CHARACTER : TYPE.BLOCK));
  }

  /** `fd` is closed. */
  #regular(fd: number, entry: TarEntry, { size, blocks }: FullStatus): void {
    withFd(fd, () => {
      const extents = blocks * SECTOR < size ? extentsOf(fd, size) : undefined;
      this.writer.begin({ ...entry, size, ...(extents && { extents }) });
      for (const extent of extents ?? [{ offset: 0, size }]) this.#content(fd, extent);
    });
  }

  #content(fd: number, { offset, size }: Extent): void {
    for (let done = 0; done < size; ) {
      const some = this.#buffer.subarray(0, Math.min(PIECE, size - done));
      const got = read(fd, some, offset + done);
      // Nobody writes to it: who could is frozen. Were it shorter all the same, the rest is zero.
      if (got === 0) some.fill(0);
      const bytes = got === 0 ? some : some.subarray(0, got);
      this.writer.content(bytes);
      done += bytes.length;
    }
  }

  #linkText(directory: number, name: string): string {
    const bytes = this.#buffer.subarray(0, 4096);
    const length = syscall(
      name,
      NR.readlinkat,
      directory,
      nameAddress(name),
      addressOf(this.#buffer),
      bytes.length,
    );
    return bytesToText(bytes.subarray(0, length));
  }

  #owned({ mode, uid, gid }: FullStatus): { mode: number; uid: number; gid: number } {
    return { mode: mode & PERMISSIONS, uid: this.owners.uid(uid), gid: this.owners.gid(gid) };
  }

  #entry(
    type: string,
    path: string,
    status: FullStatus,
    attributes: ReadonlyMap<string, Uint8Array>,
  ): TarEntry {
    return {
      type,
      path,
      ...this.#owned(status),
      mtime: status.mtime,
      link: "",
      major: status.rdevMajor,
      minor: status.rdevMinor,
      size: 0,
      attributes,
    };
  }
}

/** What of a file is no hole; undefined where its file system does not tell. */
function extentsOf(fd: number, size: number): Extent[] | undefined {
  const extents: Extent[] = [];
  for (let at = 0; at < size; ) {
    const from = rawSyscall(NR.lseek, fd, at, SEEK.DATA);
    if (from === -ERRNO.ENXIO) break;
    if (from < 0) return undefined;
    let to: number;
    try {
      to = Math.min(lseek(fd, from, SEEK.HOLE), size);
    } catch (error) {
      if (!isErrno(error, ERRNO.ENXIO)) throw error;
      to = size;
    }
    if (to > from) extents.push({ offset: from, size: to - from });
    at = to;
  }
  return extents;
}
