/**
 * A tar archive back into a directory. The archive may be of a stranger: every name is looked up from the directory, by
 * openat2(2), and none leads out of it, through a link or onto another mount.
 */
import { packDevice } from "../../../linux/device.ts";
import { ERRNO, isErrno } from "../../../linux/errno.ts";
import { AT, close, O, S, selfPath, withFd, writeAll } from "../../../linux/io.ts";
import { RESOLVE, rawOpenat2 } from "../../../linux/mount.ts";
import { NR } from "../../../linux/nr.ts";
import type { Owners } from "../../../linux/owners.ts";
import { checkResult, nameAddress, rawSyscall, syscall } from "../../../linux/syscall.ts";
import { setTimes } from "../../../linux/times.ts";
import { setAttribute } from "../../../linux/xattr.ts";
import { log } from "../../../log.ts";
import { type TarEntry, TarError, TYPE } from "./tar-format.ts";
import { type Source, TarReader } from "./tar-reader.ts";

const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV;
const PERMISSIONS = 0o7777;
const FORMATS: ReadonlyMap<string, number> = new Map([
  [TYPE.CHARACTER, S.IFCHR],
  [TYPE.BLOCK, S.IFBLK],
  [TYPE.FIFO, S.IFIFO],
]);

/**
 * Makes all files of an archive in the directory that `root`, lent, is open on. `owners` tells whom the archive's owners are
 * for us. @throws TarError for an archive that is broken or would lead out of the directory; KernelError
 */
export function loadTree(root: number, source: Source, owners: Owners): void {
  new TreeLoader(root, new TarReader(source), owners).load();
}

class TreeLoader {
  /** Directories whose owner, permissions and times are set when nothing is made in them any more. */
  readonly #directories: { names: readonly string[]; entry: TarEntry }[] = [];
  /** The directory that the last file was made in. */
  #parent: { path: string; fd: number } | undefined;

  constructor(
    private readonly root: number,
    private readonly reader: TarReader,
    private readonly owners: Owners,
  ) {}

  load(): void {
    try {
      for (let entry = this.reader.next(); entry !== undefined; entry = this.reader.next()) this.#make(entry);
      for (const { names, entry } of this.#directories.reverse()) {
        withFd(this.#open(names, O.PATH | O.DIRECTORY), (fd) => this.#finish(fd, entry));
      }
    } finally {
      this.#leave();
    }
  }

  #make(entry: TarEntry): void {
    const names = namesOf(entry.path);
    const name = names.at(-1);
    if (entry.type === TYPE.DIRECTORY) {
      if (name !== undefined) this.#mkdir(names);
      this.#directories.push({ names, entry });
      this.#sockets(names, entry.sockets);
      return;
    }
    if (name === undefined) throw new TarError(`${JSON.stringify(entry.path)} is no directory`);
    const parent = this.#directory(names.slice(0, -1));
    if (entry.type === TYPE.FILE) {
      const flags = O.CREAT | O.EXCL | O.WRONLY | O.NOFOLLOW;
      const fd = checkResult(rawOpenat2(parent, name, flags, INSIDE, 0o600), NR.openat2, entry.path);
      withFd(fd, () => {
        this.reader.content(entry, (bytes, offset) => writeAll(fd, bytes, offset));
        if (entry.extents !== undefined) syscall(entry.path, NR.ftruncate, fd, entry.size);
        this.#finish(fd, entry);
      });
      return;
    }
    if (entry.type === TYPE.HARD_LINK) {
      withFd(this.#open(namesOf(entry.link), O.PATH | O.NOFOLLOW), (fd) => {
        const from = nameAddress(selfPath(fd));
        const to = nameAddress(name, 1);
        syscall(entry.path, NR.linkat, AT.FDCWD, from, parent, to, AT.SYMLINK_FOLLOW);
      });
      return;
    }
    if (entry.type === TYPE.SYMLINK) {
      syscall(entry.path, NR.symlinkat, nameAddress(entry.link), parent, nameAddress(name, 1));
    } else {
      const format = FORMATS.get(entry.type);
      if (format === undefined) throw new TarError(`${entry.path} is of type ${JSON.stringify(entry.type)}`);
      const device = format === S.IFIFO ? 0 : deviceNumber(entry);
      syscall(entry.path, NR.mknodat, parent, nameAddress(name), format | 0o600, device);
    }
    withFd(this.#open(names, O.PATH | O.NOFOLLOW), (fd) => this.#finish(fd, entry));
  }

  #sockets(names: readonly string[], sockets: string | undefined): void {
    for (const line of sockets?.split("\0") ?? []) {
      const [, mode = "", uid = "", gid = "", name = ""] =
        /^([0-7]{1,4}) (\d{1,10}) (\d{1,10}) (.+)$/s.exec(line) ?? [];
      const [single, ...more] = namesOf(name);
      if (single === undefined || more.length > 0)
        throw new TarError(`a socket that is called ${JSON.stringify(line)}`);
      const parent = this.#directory(names);
      syscall(single, NR.mknodat, parent, nameAddress(single), S.IFSOCK | 0o600, 0);
      withFd(this.#open([...names, single], O.PATH | O.NOFOLLOW), (fd) => {
        this.#own(fd, Number(uid), Number(gid), Number.parseInt(mode, 8));
      });
    }
  }

  /** Makes a directory, and what is missing above it. */
  #mkdir(names: readonly string[]): void {
    const name = names.at(-1) ?? "";
    const parent = this.#directory(names.slice(0, -1));
    const result = rawSyscall(NR.mkdirat, parent, nameAddress(name), 0o700);
    if (result !== -ERRNO.EEXIST) checkResult(result, NR.mkdirat, names.join("/"));
  }

  /** A descriptor of a directory, good until the next call; it is made if it is missing. */
  #directory(names: readonly string[]): number {
    const path = names.join("/");
    if (path === "") return this.root;
    if (this.#parent?.path === path) return this.#parent.fd;
    this.#leave();
    let fd: number;
    try {
      fd = this.#open(names, O.PATH | O.DIRECTORY);
    } catch (error) {
      if (!isErrno(error, ERRNO.ENOENT)) throw error;
      this.#mkdir(names);
      this.#leave();
      fd = this.#open(names, O.PATH | O.DIRECTORY);
    }
    this.#parent = { path, fd };
    return fd;
  }

  #leave(): void {
    if (this.#parent !== undefined) close(this.#parent.fd);
    this.#parent = undefined;
  }

  #open(names: readonly string[], flags: number): number {
    const path = names.join("/");
    return checkResult(rawOpenat2(this.root, path === "" ? "." : path, flags, INSIDE), NR.openat2, path);
  }

  #finish(fd: number, entry: TarEntry): void {
    const { path, uid, gid, mode, mtime, type, attributes } = entry;
    const isLink = type === TYPE.SYMLINK;
    this.#own(fd, uid, gid, isLink ? undefined : mode);
    if (!isLink) for (const [name, value] of attributes) setOne(fd, name, value, path);
    setTimes(fd, undefined, mtime);
  }

  /** In this order: a change of the owner takes bits of the mode. */
  #own(fd: number, uid: number, gid: number, mode: number | undefined): void {
    const flags = AT.EMPTY_PATH | AT.SYMLINK_NOFOLLOW;
    syscall("the owner", NR.fchownat, fd, nameAddress(""), this.owners.uid(uid), this.owners.gid(gid), flags);
    if (mode === undefined) return;
    // By its link in /proc: fchmod(2) does not take O_PATH descriptors.
    syscall("the mode", NR.fchmodat, AT.FDCWD, nameAddress(selfPath(fd)), mode & PERMISSIONS);
  }
}

function setOne(fd: number, name: string, value: Uint8Array, path: string): void {
  try {
    setAttribute(selfPath(fd), name, value);
  } catch (error) {
    // Labels are the security module's, which may be another one here, or none.
    if (!name.startsWith("security.") || !isErrno(error, ERRNO.EOPNOTSUPP, ERRNO.EINVAL, ERRNO.EPERM))
      throw error;
    log.debug("mounts/tmpfs", () => `${path}: ${name} cannot be set here`);
  }
}

/** The components of a path in an archive. @throws TarError for one that leads elsewhere */
function namesOf(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (path.startsWith("/") || names.includes("..") || path.includes("\0"))
    throw new TarError(`${JSON.stringify(path)} leads out of the directory`);
  return names;
}

function deviceNumber({ major, minor }: TarEntry): number {
  if (major > 0xfff || minor > 0xfffff) throw new TarError(`a device ${major}:${minor}`);
  return packDevice(major, minor);
}
