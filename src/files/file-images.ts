/** What images say of open files: the entries of files.img, and the tables of descriptors (fdinfo-ID.img) that refer to them. */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { type FdinfoEntry, FdTypes, type FileEntry } from "../images/schema/generated/files.ts";
import { FileRestoreError } from "./errors.ts";
import { socketsWith } from "./sockets/sk-queues.ts";

/** Where the kernel's own limit (fs.nr_open) is never above: 2^30. */
const MAX_DESCRIPTOR = 1 << 30;

export class FileImages {
  readonly #images: ImageDir;
  readonly #entries = new Map<number, FileEntry>();
  readonly #tables = new Map<number, readonly FdinfoEntry[]>();

  /** Reads the entries, and the tables of these numbers. @throws FileRestoreError, ImageError */
  constructor(images: ImageDir, tables: ReadonlySet<number>) {
    this.#images = images;
    for (const entry of images.readAll(IMAGES.files)) {
      const known = this.#entries.get(entry.id);
      if (known !== undefined && !isPathOfTun(known, entry))
        throw new FileRestoreError(`files.img: file ${entry.id} is there twice`);
      this.#entries.set(entry.id, known === undefined ? entry : { ...entry, reg: known.reg });
    }
    images.loadAhead(IMAGES.fdinfo, [...tables]);
    for (const id of tables) this.#readTable(id);
  }

  /** By their numbers. */
  get entries(): ReadonlyMap<number, FileEntry> {
    return this.#entries;
  }

  /** In ascending order of their descriptors, which are distinct. */
  get tables(): ReadonlyMap<number, readonly FdinfoEntry[]> {
    return this.#tables;
  }

  /** The entry that a descriptor of table `filesId` leads to. @throws FileRestoreError */
  entryAt({ id, fd, type }: FdinfoEntry, filesId: number): FileEntry {
    const where = `${fileOf(filesId)}: descriptor ${fd}`;
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new FileRestoreError(`${where}: there is no file ${id} in files.img`);
    if (entry.type !== type) {
      const types = `of kind ${type} here and of kind ${entry.type} in files.img`;
      throw new FileRestoreError(`${where}: file ${id} is ${types}`);
    }
    return entry;
  }

  /** Whether a table has a descriptor of entry `id`. */
  has(filesId: number, id: number): boolean {
    return this.#tables.get(filesId)?.some((each) => each.id === id) === true;
  }

  /** What the numbers of the first table that has entry `id` lead to. */
  tableWith(id: number): ReadonlyMap<number, number> {
    // Nobody has what waits in a queue: it means the numbers of whoever has the socket, which may wait in a queue itself.
    const wanted = new Set([id]);
    for (const each of wanted) {
      for (const [filesId, table] of this.#tables)
        if (this.has(filesId, each)) return new Map(table.map(({ fd, id }) => [fd, id]));
      for (const socket of socketsWith(this.#images, each)) wanted.add(socket);
    }
    return new Map();
  }

  #readTable(filesId: number): void {
    const file = fileOf(filesId);
    const table = this.#images.readAll(IMAGES.fdinfo, filesId).sort((a, b) => a.fd - b.fd);
    table.forEach(({ fd }, i) => {
      if (fd === table[i - 1]?.fd) throw new FileRestoreError(`${file}: descriptor ${fd} is there twice`);
      if (fd >= MAX_DESCRIPTOR)
        throw new FileRestoreError(`${file}: no descriptor can have the number ${fd}`);
    });
    this.#tables.set(filesId, table);
  }
}

/** The image of a table. */
function fileOf(filesId: number): string {
  return `fdinfo-${filesId}.img`;
}

/** A file of a tun device follows the entry of its path, under the same number. */
function isPathOfTun(known: FileEntry, { type }: FileEntry): boolean {
  return known.type === FdTypes.REG && type === FdTypes.TUNF;
}
