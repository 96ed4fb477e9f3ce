/** Names that a restore gives to files so that they can be opened by them. */
import { ERRNO } from "../linux/errno.ts";
import type { Fd } from "../linux/fd.ts";
import { asRootOf } from "../linux/fs-ids.ts";
import { AT, close, O, openAt, W_OK } from "../linux/io.ts";
import { writableDirectory } from "../linux/mount.ts";
import { NR } from "../linux/nr.ts";
import type { Owners } from "../linux/owners.ts";
import { type MountPath, type MountPaths, type PathAt, withName } from "../linux/path-at.ts";
import { statusAt, statusOf } from "../linux/statx.ts";
import { checkResult, pathAddress, rawSyscall } from "../linux/syscall.ts";
import { layOwnName, linkNamed, makeNamed, nameBeside } from "../undo/names.ts";
import type { Undo, UndoEntry } from "../undo/undo.ts";
import { restoring } from "./errors.ts";
import { parentOf } from "./path.ts";

/**
 * Names that exist only while a restore prepares. `remove` takes them away in the reverse order: what was made in a
 * directory goes before the directory. If we do not come to that, the undo list does.
 */
export class TemporaryNames {
  readonly #entries: UndoEntry[] = [];
  /** Directories of read-only mounts of ours, by mounts of their own that can be written to. */
  readonly #writable = new Map<string, number>();

  constructor(
    private readonly undo: Undo,
    readonly mounts: MountPaths,
    /** What we call the owners that images name. */
    readonly owners: Owners,
  ) {}

  /** Does what makes names, as somebody who may in the file systems of the tree. `what` begins what is said of a failure. @throws FileRestoreError */
  making<T>(what: string, act: () => T): T {
    return restoring(what, () => asRootOf(this.owners, act));
  }

  /** As MountPaths.place, also where the mount is a read-only one of ours. @throws as that, KernelError where the file system is read-only */
  place(at: MountPath): PathAt {
    const place = this.mounts.place(at);
    const { directory, path } = place;
    if (directory !== AT.FDCWD) return place;
    const parent = parentOf(path);
    let writable = this.#writable.get(parent);
    if (writable === undefined) {
      if (rawSyscall(NR.faccessat, directory, pathAddress(parent), W_OK) !== -ERRNO.EROFS) return place;
      writable = this.undo.keep(writableDirectory(parent));
      this.#writable.set(parent, writable);
    }
    return { directory: writable, path: path.slice(path.lastIndexOf("/") + 1) };
  }

  /**
   * Makes something as makeNamed does; gives the path that it has, and an O_PATH descriptor, the caller's, which is not of the
   * mount that the path is on. @throws KernelError
   */
  make(
    { mount, path }: MountPath,
    nr: number,
    make: (at: PathAt) => number,
    isDirectory = false,
  ): { fd: Fd; at: MountPath } {
    const wanted = this.place({ mount, path });
    const { fd, at, entry } = makeNamed(this.undo, wanted, nr, make, isDirectory);
    this.#entries.push(entry);
    return { fd, at: { mount, path: besidePath(path, at.path) } };
  }

  /** Gives an open file, which was opened in a directory that names are made in, one more name; a negative errno where that cannot be. */
  link(fd: number, at: MountPath): number {
    const entry = linkNamed(this.undo, fd, this.place(at));
    if (typeof entry === "number") return entry;
    this.#entries.push(entry);
    return 0;
  }

  /** Whether a name is one of the file that `fd` is open at. */
  leads(at: MountPath, fd: number): boolean {
    const { directory, path } = this.place(at);
    const [there, file] = [statusAt(directory, pathAddress(path)), statusOf(fd)];
    return typeof there !== "number" && there.ino === file.ino && there.dev === file.dev;
  }

  /** Opens a new file with a name of its own beside `at`; our descriptor, the caller's. @throws KernelError */
  create(at: MountPath, flags: number): number {
    const name = withName(this.place(at), nameBeside);
    this.#entries.push(layOwnName(this.undo, name));
    return openAt(name.directory, name.path, flags | O.CREAT | O.EXCL, 0o600);
  }

  /** Opens a path on its own mount. @throws KernelError */
  open(at: MountPath, flags: number): number {
    return checkResult(this.mounts.open(at, flags), NR.openat, at.path);
  }

  /** Makes the directories that a path needs and that are not there. @throws KernelError */
  makeParents({ mount, path }: MountPath): void {
    const parent = { mount, path: parentOf(path) };
    if (parent.path === "/" || !this.#isAbsent(parent)) return;
    this.makeParents(parent);
    const make = ({ directory, path }: PathAt) => rawSyscall(NR.mkdirat, directory, pathAddress(path), 0o700);
    this.make(parent, NR.mkdirat, make, true).fd.close();
  }

  /** Whether nothing has a name, nor, perhaps, the directory that it would be in. */
  #isAbsent(at: MountPath): boolean {
    const fd = this.mounts.open(at, O.PATH);
    if (fd >= 0) close(fd);
    return fd === -ERRNO.ENOENT;
  }

  /** Never throws; what cannot be removed is named in the log. */
  remove(): void {
    for (const entry of this.#entries.splice(0).reverse()) entry.undo();
  }
}

/** The path of `name`, which is in the same directory as `path`, or is a path itself. */
function besidePath(path: string, name: string): string {
  return name.startsWith("/") ? name : `${path.slice(0, path.lastIndexOf("/") + 1)}${name}`;
}
