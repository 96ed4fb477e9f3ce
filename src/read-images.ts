/**
 * Images for programs: a directory of them read with types, in Node and in Bun, as any user who may read the files.
 *
 *     import { IMAGES, readImages } from "criu-ts";
 *
 *     const images = readImages("/var/tmp/checkpoint");
 *     for (const { pid, threads } of images.readAll(IMAGES.pstree)) {
 *       const core = images.readOne(IMAGES.core, pid);
 *       console.log(pid, core.tc?.comm, threads.length);
 *     }
 *     using pagemap = images.reader(IMAGES.pagemap, 7);      // entry by entry: it may have millions
 *     for (const { entry } of pagemap) console.log(entry.vaddr, entry.nr_pages);
 *
 * The types are those of the schema; 64-bit numbers are bigints. Nothing is written, and pages are not looked at.
 */

import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { ImageError } from "./images/error.ts";
import { ImageReader, WindowSource } from "./images/image-reader.ts";
import { type AnyImageKind, fileName, type ImageKind, kindOfFile, type RawKind } from "./images/kinds.ts";
import { type Id, ReadableImages } from "./images/readable-images.ts";
import { ERRNO } from "./linux/errno.ts";

export { ImageError } from "./images/error.ts";
export type { ImageReader, ImageRecord, Payload } from "./images/image-reader.ts";
export { IMAGES, type ImageKind, RAW_IMAGES, type RawKind } from "./images/kinds.ts";
export type { Id, WithPayload } from "./images/readable-images.ts";
export type * from "./images/schema/generated/aarch64.ts";
export type * from "./images/schema/generated/cgroups.ts";
export type * from "./images/schema/generated/files.ts";
export type * from "./images/schema/generated/inventory.ts";
export type * from "./images/schema/generated/memory.ts";
export type * from "./images/schema/generated/namespaces.ts";
export type * from "./images/schema/generated/process.ts";
export type * from "./images/schema/generated/sockets.ts";
export type * from "./images/schema/generated/stats.ts";
export type * from "./images/schema/generated/x86.ts";

/** An image that is there. */
export interface ImageFile {
  /** Name of the file. */
  readonly name: string;
  readonly kind: AnyImageKind | RawKind;
  /** What stands in the place of `*` in the kind's `file`; undefined where there is none. */
  readonly id: number | string | undefined;
  /** Bytes. */
  readonly size: number;
}

/** A directory of images, read by the runtime's own means. */
export class Images extends ReadableImages {
  override has(kind: AnyImageKind | RawKind, id?: Id): boolean {
    return statSync(this.filePath(kind, id), { throwIfNoEntry: false }) !== undefined;
  }

  override tryReader<T, H>(kind: ImageKind<T, H>, id?: Id): ImageReader<T, H> | undefined {
    const file = fileName(kind, id);
    const source = openSource(`${this.path}/${file}`, file);
    if (source === undefined) return undefined;
    try {
      return new ImageReader(kind, file, source);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** The images of the dump that this one stands on; undefined where there is none. */
  parent(): Images | undefined {
    const path = `${this.path}/parent`;
    return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readImages(path);
  }

  /** All images that are there, by name. @throws ImageError */
  list(): ImageFile[] {
    const names = attempt("list", this.path, () => readdirSync(this.path)).sort();
    return names.flatMap((name) => {
      const known = kindOfFile(name);
      const stat = statSync(`${this.path}/${name}`, { throwIfNoEntry: false });
      return known === undefined || stat?.isFile() !== true ? [] : [{ name, ...known, size: stat.size }];
    });
  }
}

/** @throws ImageError where there is no such directory */
export function readImages(path: string): Images {
  const stat = attempt("open the image directory", path, () => statSync(path));
  if (!stat.isDirectory()) throw new ImageError("not a directory", { file: path, errno: ERRNO.ENOTDIR });
  return new Images(path);
}

/** Does something that the runtime may refuse. @throws ImageError */
function attempt<T>(doing: string, file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    const errno = Object.entries(ERRNO).find(([name]) => name === code)?.[1];
    throw new ImageError(`cannot ${doing}: ${code ?? String(error)}`, { file, errno }, error);
  }
}

function openSource(path: string, file: string): FsSource | undefined {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  // Not to wait for the other end, were it a FIFO.
  const fd = attempt("open", file, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  const stat = fstatSync(fd);
  if (stat.isFile()) return new FsSource(fd, stat.size, file);
  closeSync(fd);
  throw new ImageError("not a regular file", { file });
}

class FsSource extends WindowSource {
  constructor(
    readonly fd: number,
    size: number,
    file: string,
  ) {
    super(size, file);
  }

  protected override read(into: Uint8Array, offset: number): number {
    return attempt("read", this.file, () => readSync(this.fd, into, 0, into.length, offset));
  }

  override close(): void {
    closeSync(this.fd);
  }
}
