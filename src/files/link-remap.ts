/**
 * Link remaps (--link-remap): files that lost the name they were opened by and have others that nobody can find. A dump
 * gives such a file one more name, `link_remap.ID` in the directory it was in, and notes it as an entry of files.img of
 * its own. A restore opens the file by its old name, which exists just for that, and in the end removes both.
 */
import { type RegFileEntry, RemapType } from "../images/schema/generated/files.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { asRootOf } from "../linux/fs-ids.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import type { Owners } from "../linux/owners.ts";
import { isAbsentAt, type MountPath, type MountPaths, type TreeMounts } from "../linux/path-at.ts";
import { FS_MAGIC } from "../linux/statx.ts";
import { checkResult } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { unlinking } from "../undo/calls.ts";
import { linkNamed } from "../undo/names.ts";
import type { Undo, UndoEntry } from "../undo/undo.ts";
import { FileDumpError, FileRestoreError } from "./errors.ts";
import { NO_OWNER, type OpenFile } from "./open-file.ts";
import { inGrandparent, parentOf } from "./path.ts";
import type { Remaps } from "./remap.ts";
import type { TemporaryNames } from "./temporary-names.ts";

const TRIES = 100;

// --- dump

export class LinkRemapDump {
  /** By device and inode: the entry of its new name. */
  readonly #ids = new Map<string, number>();
  readonly #made: string[] = [];

  constructor(
    private readonly undo: Undo,
    private readonly mounts: TreeMounts,
    private readonly owners: Owners,
    private readonly allowed: boolean,
    private readonly remaps: Remaps,
    private readonly newId: () => number,
    private readonly addEntry: (entry: RegFileEntry) => void,
  ) {}

  /**
   * Gives the file a name and notes that entry `id` is to be found there. False where the file system has the file no
   * more although it counts links to it (overlayfs): then it is a ghost.
   */
  dump(file: OpenFile, id: number, name: string): boolean {
    if (!this.allowed) {
      throw new FileDumpError(
        `${file.where}: ${name} was removed while the file has other names; --link-remap saves such files`,
      );
    }
    const key = `${file.status.dev}:${file.status.ino}`;
    let remapId = this.#ids.get(key);
    if (remapId === undefined) {
      remapId = this.newId();
      const path = this.#link(file, name, remapId);
      if (path === undefined) return false;
      log.debug("files/link-remap", `${file.where}: ${name} can be found as ${path}`);
      this.#ids.set(key, remapId);
      const mount = this.mounts.any ? { mnt_id: file.status.mntId } : {};
      this.addEntry({ id: remapId, flags: 0, pos: 0n, fown: NO_OWNER, name: path, build_id: [], ...mount });
    }
    this.remaps.add(id, RemapType.LINKED, remapId);
    return true;
  }

  /** The dump is whole: the names that are to stay until a restore has used them. */
  get names(): readonly string[] {
    return this.#made;
  }

  #give(file: OpenFile, path: string): UndoEntry | number {
    try {
      const at = this.mounts.place(file.status.mntId, path);
      return isAbsentAt(at)
        ? asRootOf(this.owners, () => linkNamed(this.undo, file.copy, at))
        : -ERRNO.EEXIST;
    } catch (error) {
      if (!isErrno(error, ERRNO.ENOENT)) throw error;
      return -ERRNO.ENOENT;
    }
  }

  #link(file: OpenFile, name: string, id: number): string | undefined {
    let directory = parentOf(name);
    for (let attempt = 0; ; ) {
      const leaf = `link_remap.${attempt === 0 ? id : `${id}.${ourPid()}.${attempt}`}`;
      const path = `${directory === "/" ? "" : directory}/${leaf}`;
      const result = this.#give(file, path);
      if (typeof result !== "number") {
        this.#made.push(path);
        return path;
      }
      if (result === -ERRNO.ENOENT) {
        // The directory is gone as well: the one above is as good.
        const above = inGrandparent(`${directory}/x`);
        if (above === undefined || file.fsMagic === FS_MAGIC.OVERLAYFS) {
          if (file.fsMagic === FS_MAGIC.OVERLAYFS) return undefined;
          checkResult(result, NR.linkat, `${file.where}: ${path}`);
        }
        directory = parentOf(above ?? "/");
      } else if (result === -ERRNO.EEXIST && attempt < TRIES) attempt++;
      else checkResult(result, NR.linkat, `${file.where}: ${path}`);
    }
  }
}

// --- restore

/**
 * Gives an O_PATH descriptor, the caller's, of the file that stands at `linked`, opened by its old name `at`.
 * @throws FileRestoreError
 */
export function openLinked(place: string, at: MountPath, linked: MountPath, names: TemporaryNames): number {
  return names.making(`${place}: ${at.path} (${linked.path})`, () => {
    const given = names.mounts.place(linked);
    // First, so that a missing one is said to be missing.
    if (isAbsentAt(given))
      throw new FileRestoreError(`${linked.path} is gone: a restore takes away what it has used`);
    names.makeParents(at);
    using file = Fd.openAt(given.directory, given.path, O.PATH | O.NOFOLLOW);
    const isNamed = names.link(file.number, at) === 0 || names.leads(at, file.number);
    // Whoever has the name now keeps it.
    if (!isNamed) log.debug("files/link-remap", `${at.path} is taken: opened as ${linked.path}`);
    return names.open(isNamed ? at : linked, O.PATH | O.NOFOLLOW);
  });
}

/** A name that a dump gave, ours or CRIU's. An image can say anything, and no other file goes for its sake. */
const GIVEN_NAME = /\/link_remap\.\d+(\.\d+){0,2}$/;

/** Says that when everything is restored the name that the dump made goes. `fd` is open at the file. @throws KernelError */
export function layRemoval(undo: Undo, mounts: MountPaths, linked: MountPath, fd: number): void {
  if (!GIVEN_NAME.test(linked.path)) {
    log.warn("files/link-remap", `${linked.path} stays: a dump gives no such names`);
    return;
  }
  const { directory, path } = mounts.place(linked);
  undo.layAfter(linked.path, unlinking(directory, path, fd));
}
