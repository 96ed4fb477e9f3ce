// A directory of images, as CRIU 4.2 (img_version 2, "v1.1") writes and reads it.
//
// ## On disk
//
//     image      ::= magic magic entry*           the first word is IMG_COMMON_MAGIC, of stats-* and irmap-cache
//                                                 IMG_SERVICE_MAGIC; the second is the kind's own
//     inventory  ::= magic entry                  its own magic alone
//     entry      ::= u32 size, message, payload   size is the message's; how long the payload is, the message says
//     pagemap    ::= magic magic head entry*      pagemap_head {pages_id}, then pagemap_entry
//     ghost-file ::= magic magic head (entry* | bytes)   chunks with their bytes, or the whole content
//     pages-N    ::= bytes                        no magic; page after page as the pagemap lists them
//
// All words are little-endian. A file that would have no entries is not there, and a file that is not there has no
// entries. inventory.img is what a restore opens first, and it is put in place last and at once: without it, a
// directory is not a whole set of images. `parent` is a symbolic link to the directory of the dump before.
//
// ## In the program
//
// - kinds.ts: `IMAGES.core`, `IMAGES.files`, ... name the kinds, and their types tell what comes out:
//   `dir.readOne(IMAGES.core, pid)` is a `CoreEntry`.
// - schema/generated/ROOM.ts: the messages. `core_entry` is the interface `CoreEntry` (a plain object, built as a
//   literal) and, under the same name, its codec. An enum `fd_types` is the object and the type `FdTypes`, the one in
//   a message `core_entry.march` is `CoreEntryMarch`. Fields have the names of the schema. Required fields are always
//   written and always there; optional ones are `undefined` when absent, and written whenever they are not; repeated
//   ones are arrays, perhaps empty. 64-bit numbers are `bigint`, others `number`, bytes `Uint8Array`, and strings
//   keep every byte of the kernel's text (text.ts).
//   Modules: cgroups, files, inventory, memory, namespaces, process, rpc, sockets, stats, streamer; and the registers of
//   each architecture: aarch64, arm, loongarch64, mips, ppc64, riscv64, s390, x86.
// - Fields numbered from 1000 on are this program's own; CRIU and crit pass over them.
// - schema/generated/fields.ts: the schema as data, for printing images by name (crit alone loads it).
// - `encode(CriuReq, message)` and `decode(CriuReq, bytes)` of wire.ts: a message by itself.
//
//     const dir = ImageDir.create("/var/tmp/img");
//     dir.writeAll(IMAGES.pstree, [{ pid: 7, ppid: 0, pgid: 7, sid: 7, threads: [7] }]);
//     dir.commitInventory({ img_version: 2, fdinfo_per_id: true, ns_per_id: true });
//     ImageDir.open("/var/tmp/img").readAll(IMAGES.pstree);

import { ERRNO } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import {
  exists,
  isAbsent,
  isDirectory,
  O,
  readLink,
  rename,
  type Stat,
  selfPath,
  stat,
  symlink,
  unlink,
} from "../linux/io.ts";
import { fileError, ImageError } from "./error.ts";
import { encodeImage, ImageWriter, openForReading } from "./image-file.ts";
import { ImageReader } from "./image-reader.ts";
import { type AnyImageKind, fileName, IMAGES, type ImageKind, type RawKind } from "./kinds.ts";
import { loadSmallFiles } from "./load-ahead.ts";
import { type Id, ReadableImages } from "./readable-images.ts";
import type { InventoryEntry } from "./schema/generated/inventory.ts";
import { Writer } from "./wire.ts";
import { WriteBehind, writeFile } from "./write-behind.ts";

export type { Id, WithPayload } from "./readable-images.ts";

/** Name of the link to the parent directory. */
export const PARENT_LINK = "parent";

/** Fewer files are not worth to be loaded ahead. */
const MANY = 8;

/** Where files that are written in one piece are made: memory that was touched before costs no page faults. */
const scratch = new Writer(4096);

function statOf({ path }: ImageDir): Stat {
  try {
    return stat(path);
  } catch (error) {
    throw fileError("open the image directory", path, error);
  }
}

/** A directory of images; the layout is told at the top of image-dir.ts. All errors are ImageErrors. */
export class ImageDir extends ReadableImages {
  /** Bytes of files that were loaded ahead, by their names. */
  private readonly ahead = new Map<string, Uint8Array>();
  private behind: WriteBehind | undefined;

  private constructor(
    path: string,
    /** Where the dump before has its images, which this one builds on. */
    readonly previous?: ImageDir,
  ) {
    super(path);
  }

  /** An existing directory, as it is. Throws where there is none. */
  static open(path: string): ImageDir {
    let mode: number;
    try {
      mode = stat(path).mode;
    } catch (error) {
      throw fileError("open the image directory", path, error);
    }
    if (!isDirectory(mode)) throw new ImageError("not a directory", { file: path, errno: ERRNO.ENOTDIR });
    return new ImageDir(path);
  }

  /**
   * An existing directory that is to be filled anew: from here to `commitInventory` it has no inventory. What it builds on are the
   * images in `previous`, a path that counts from the directory; it gets a link to that.
   */
  static create(path: string, previous?: string): ImageDir {
    const dir = ImageDir.open(path);
    if (previous === undefined) {
      dir.remove(IMAGES.inventory);
      return dir;
    }
    const before = ImageDir.open(previous.startsWith("/") ? previous : `${path}/${previous}`);
    if (statOf(before).ino === statOf(dir).ino && statOf(before).dev === statOf(dir).dev)
      throw new ImageError("the images cannot build on themselves", { file: previous });
    if (!before.has(IMAGES.inventory))
      throw new ImageError("there is no whole dump to build on: it has no inventory.img", { file: previous });
    dir.remove(IMAGES.inventory);
    dir.linkParent(previous);
    return new ImageDir(path, before);
  }

  /** Has the directory build on another one, a path that counts from it. */
  linkParent(previous: string): void {
    const link = `${this.path}/${PARENT_LINK}`;
    try {
      unlink(link);
      symlink(previous, link);
    } catch (error) {
      throw fileError("link", PARENT_LINK, error);
    }
  }

  /** The directory of the dump before this one; undefined where there is none. */
  parent(): ImageDir | undefined {
    const path = `${this.path}/${PARENT_LINK}`;
    if (!exists(path)) return undefined;
    // Where it leads to, once and for all: the kernel does not follow more than 40 links of a long chain.
    try {
      using directory = Fd.open(path, O.PATH | O.DIRECTORY);
      return ImageDir.open(readLink(selfPath(directory.number)));
    } catch (error) {
      throw fileError("open the image directory", path, error);
    }
  }

  override has(kind: AnyImageKind | RawKind, id?: Id): boolean {
    const file = fileName(kind, id);
    return this.ahead.has(file) || !isAbsent(`${this.path}/${file}`);
  }

  /** Removes the file, if it is there. */
  remove(kind: AnyImageKind | RawKind, id?: Id): void {
    try {
      unlink(this.filePath(kind, id));
    } catch (error) {
      throw fileError("remove", fileName(kind, id), error);
    }
  }

  // --- reading

  /**
   * Says that these files will be read soon: small ones that are there are taken into memory, all at once, until they
   * are. Files of raw bytes are not meant.
   */
  loadAhead(kind: AnyImageKind, ids: readonly Id[]): void {
    if (ids.length < MANY) return;
    const names = ids.map((id) => fileName(kind, id));
    loadSmallFiles(this.path, names, (name, bytes) => this.ahead.set(name, bytes));
  }

  /** As reader; undefined where the file is not there. */
  override tryReader<T, H>(kind: ImageKind<T, H>, id?: Id): ImageReader<T, H> | undefined {
    const file = fileName(kind, id);
    const bytes = this.ahead.get(file);
    if (bytes !== undefined) {
      this.ahead.delete(file);
      return new ImageReader(kind, file, bytes);
    }
    const source = openForReading(`${this.path}/${file}`, file);
    if (source === undefined) return undefined;
    try {
      return new ImageReader(kind, file, source);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  // --- writing

  /** Writes a whole file, in one piece. No entries (and no head): no file, and one that was there is removed. */
  writeAll<T>(kind: ImageKind<T>, entries: readonly T[], id?: Id): void {
    if (entries.length === 0) this.remove(kind, id);
    else this.put(kind, fileName(kind, id), entries);
  }

  /** As writeAll, of a file that begins with a head. */
  writeHeaded<T, H>(kind: ImageKind<T, H>, head: H, entries: readonly T[], id?: Id): void {
    this.put(kind, fileName(kind, id), entries, head);
  }

  /**
   * Begins a file to be written entry by entry, with payloads. What was there under its name is removed. The caller
   * closes it; `head` is needed by the kinds that have one.
   */
  writer<T, H>(kind: ImageKind<T, H>, id?: Id, head?: H): ImageWriter<T, H> {
    this.remove(kind, id);
    const file = fileName(kind, id);
    return new ImageWriter(kind, `${this.path}/${file}`, file, head);
  }

  /** From here on files may be written later than they are given, until `settle`; worth it for hundreds. */
  writeBehind(): void {
    this.behind ??= new WriteBehind(this.path);
  }

  /** Waits until all that was given is written. */
  settle(): void {
    const { behind } = this;
    this.behind = undefined;
    behind?.settle();
  }

  /** After a failure: as `settle`, but what is not written need not be. Never throws. */
  abandon(): void {
    this.behind?.abandon();
    this.behind = undefined;
  }

  /** The last act of a dump: the inventory appears under its name, whole. */
  commitInventory(entry: InventoryEntry): void {
    const file = fileName(IMAGES.inventory);
    const temporary = `${file}.tmp`;
    this.put(IMAGES.inventory, temporary, [entry]);
    try {
      rename(`${this.path}/${temporary}`, `${this.path}/${file}`);
    } catch (error) {
      throw fileError("rename", temporary, error);
    }
  }

  private put<T, H>(kind: ImageKind<T, H>, file: string, entries: readonly T[], head?: H): void {
    scratch.clear();
    const bytes = encodeImage(kind, entries, file, head, scratch);
    if (this.behind === undefined) writeFile(this.path, file, bytes);
    else this.behind.put(file, bytes);
  }
}
