/**
 * The files that images name by a path. Those that have lost it, or all their names, are opened beforehand: ghosts are made again
 * (ghost.ts), other names are followed (link-remap.ts).
 */
import { type RegFileEntry, RemapType } from "../images/schema/generated/files.ts";
import type { MountPath } from "../linux/path-at.ts";
import { FileRestoreError } from "./errors.ts";
import { type GhostUser, makeGhost } from "./ghost.ts";
import type { RestoreContext } from "./kind.ts";
import { layRemoval, openLinked } from "./link-remap.ts";
import { type Remap, readRemaps } from "./remap.ts";
import { TemporaryNames } from "./temporary-names.ts";

/** What is known of a file by a path. */
export interface NamedFile {
  readonly entry: RegFileEntry;
  /** Of what has no path of its own any more: our O_PATH descriptor, the restore's. */
  base: number | undefined;
  /** Whether it is known to be what was dumped. */
  checked: boolean;
}

export class NamedFiles {
  readonly #files = new Map<number, NamedFile>();
  /** Entries of names that dumps have made. */
  readonly #linked = new Set<number>();
  /** Our descriptors of files without a name, by device and inode as they were. */
  readonly #ghosts = new Map<string, number>();
  #ready = false;

  constructor(
    private readonly context: Pick<
      RestoreContext,
      "images" | "entries" | "undo" | "mounts" | "owners" | "kept"
    >,
  ) {}

  /** @throws FileRestoreError where there is none of that number */
  find(id: number): NamedFile {
    if (!this.#ready) this.#prepare();
    const file = this.#files.get(id);
    if (file === undefined) throw new FileRestoreError(`files.img: there is no file ${id} with a path`);
    return file;
  }

  /** Our descriptor, the restore's, of the ghost that had this device and inode. @throws FileRestoreError */
  ghost(device: number, inode: bigint): number | undefined {
    if (!this.#ready) this.#prepare();
    return this.#ghosts.get(`${device}:${inode}`);
  }

  /** Takes the entries, and opens by their old names the files that have lost them. */
  #prepare(): void {
    this.#ready = true;
    for (const { id, reg } of this.context.entries.values()) {
      if (reg === undefined) continue;
      if (reg.id !== id) throw new FileRestoreError(`files.img: file ${id} says that it is file ${reg.id}`);
      this.#files.set(id, { entry: reg, base: undefined, checked: false });
    }
    const remaps = [...readRemaps(this.context.images).values()];
    if (remaps.length === 0) return;
    const { undo, mounts, owners } = this.context;
    const names = new TemporaryNames(undo, mounts, owners);
    try {
      this.#makeGhosts(
        remaps.filter(({ type }) => type === RemapType.GHOST),
        names,
      );
      for (const remap of remaps) {
        // A file of a dead process is opened by its path like any other: a process of that number stands in.
        if (remap.type === RemapType.PROCFS) this.#remapped(remap);
        else if (remap.type !== RemapType.GHOST) this.#openLinked(remap, names);
      }
    } finally {
      names.remove();
    }
  }

  #openLinked(remap: Remap, names: TemporaryNames): void {
    const { undo, mounts, kept } = this.context;
    const file = this.#remapped(remap);
    const { remapId } = remap;
    const linked = this.#files.get(remapId);
    if (linked === undefined)
      throw failureOf(file.entry, `remap-fpath.img sends it to file ${remapId}, which is not there`);
    const at = pathOf(file.entry);
    // CRIU does not say which mount the name that it gave is on.
    const { mount = at.mount, path } = pathOf(linked.entry);
    const given = { mount, path };
    file.base = kept.keep(openLinked(placeOf(file.entry), at, given, names));
    if (this.#linked.has(remapId)) return;
    this.#linked.add(remapId);
    layRemoval(undo, mounts, given, file.base);
  }

  #makeGhosts(remaps: readonly Remap[], names: TemporaryNames): void {
    const users = new Map<number, GhostUser[]>();
    for (const remap of remaps) {
      const { entry } = this.#remapped(remap);
      const known = users.get(remap.remapId) ?? [];
      users.set(remap.remapId, known);
      known.push({ fileId: remap.fileId, at: pathOf(entry) });
    }
    // By path: a directory comes before what was in it.
    const ghosts = [...users].sort(([, [a]], [, [b]]) => ((a?.at.path ?? "") < (b?.at.path ?? "") ? -1 : 1));
    const key = ({ at }: GhostUser) => `${at.mount} ${at.path}`;
    for (const [ghostId, all] of ghosts) {
      const paths = new Map(all.map((user) => [key(user), user]));
      const { device, inode, opened } = makeGhost(this.context.images, ghostId, [...paths.values()], names);
      for (const fd of opened.values()) {
        this.context.kept.keep(fd);
        this.#ghosts.set(`${device}:${inode}`, fd);
      }
      for (const user of all) {
        const { fileId } = user;
        const base = opened.get(paths.get(key(user))?.fileId ?? fileId);
        const file = this.#files.get(fileId);
        if (base !== undefined && file !== undefined) file.base = base;
      }
    }
  }

  #remapped({ fileId }: Remap): NamedFile {
    const file = this.#files.get(fileId);
    if (file === undefined)
      throw new FileRestoreError(`remap-fpath.img: there is no file ${fileId} in files.img`);
    return file;
  }
}

/** Where a file of the images was. */
export function pathOf({ mnt_id, name }: RegFileEntry): MountPath {
  return { mount: mnt_id === undefined || mnt_id < 0 ? undefined : mnt_id, path: name };
}

/** What messages call a file of the images. */
export function placeOf({ id, name }: RegFileEntry): string {
  return `files.img: file ${id}: ${name}`;
}

/** An error about a file of the images. */
export function failureOf(entry: RegFileEntry, what: string, errno?: number): FileRestoreError {
  const object = placeOf(entry);
  return new FileRestoreError(`${object}: ${what}`, { object, errno });
}
