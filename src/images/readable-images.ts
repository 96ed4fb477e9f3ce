// Reading a directory of images, however its files are opened.

import { ERRNO } from "../linux/errno.ts";
import type { NotHostPid } from "../linux/pid.ts";
import { ImageError } from "./error.ts";
import type { ImageReader } from "./image-reader.ts";
import { type AnyImageKind, fileName, type ImageKind, type RawKind } from "./kinds.ts";

/** What stands for `*` in a file's name: a pid, a namespace's id, a shmid, "dump" or "restore". */
export type Id = NotHostPid | bigint | string;

/** An entry with the bytes that followed it. */
export interface WithPayload<T> {
  entry: T;
  payload: Uint8Array;
}

/** The first entry, and the reader is closed. */
function firstOf<T, H>(reader: ImageReader<T, H>, kind: ImageKind<T, H>, id: Id | undefined): T {
  try {
    const entry = reader.nextEntry();
    if (entry === undefined) throw new ImageError("no entry", { file: fileName(kind, id) });
    return entry;
  } finally {
    reader.close();
  }
}

/** All entries, and the reader is closed. */
function entriesOf<T, H>(reader: ImageReader<T, H>): T[] {
  try {
    const entries: T[] = [];
    for (let entry = reader.nextEntry(); entry !== undefined; entry = reader.nextEntry()) entries.push(entry);
    return entries;
  } finally {
    reader.close();
  }
}

/** What can be read of a directory; the layout is told at the top of image-dir.ts. All errors are ImageErrors. */
export abstract class ReadableImages {
  constructor(readonly path: string) {}

  /** Whether a file is there. */
  abstract has(kind: AnyImageKind | RawKind, id?: Id): boolean;

  /** As reader; undefined where the file is not there. */
  abstract tryReader<T, H>(kind: ImageKind<T, H>, id?: Id): ImageReader<T, H> | undefined;

  /** Path of an image file, there or not. */
  filePath(kind: AnyImageKind | RawKind, id?: Id): string {
    return `${this.path}/${fileName(kind, id)}`;
  }

  /** Path of a raw file, e.g. `rawPath(RAW_IMAGES.pages, 1)`. */
  rawPath(kind: RawKind, id?: Id): string {
    return this.filePath(kind, id);
  }

  /** Opens a file for reading entry by entry. Throws where it is not there. The caller closes it. */
  reader<T, H>(kind: ImageKind<T, H>, id?: Id): ImageReader<T, H> {
    const reader = this.tryReader(kind, id);
    if (reader === undefined) {
      const file = fileName(kind, id);
      throw new ImageError("cannot open: ENOENT", { file, errno: ERRNO.ENOENT });
    }
    return reader;
  }

  /** The first entry of a file that has to be there and to have one. */
  readOne<T, H>(kind: ImageKind<T, H>, id?: Id): T {
    return firstOf(this.reader(kind, id), kind, id);
  }

  /** The first entry; undefined where the file is not there. */
  tryReadOne<T, H>(kind: ImageKind<T, H>, id?: Id): T | undefined {
    const reader = this.tryReader(kind, id);
    return reader === undefined ? undefined : firstOf(reader, kind, id);
  }

  /** All entries; none where the file is not there. Payloads are passed over. */
  readAll<T, H>(kind: ImageKind<T, H>, id?: Id): T[] {
    const reader = this.tryReader(kind, id);
    return reader === undefined ? [] : entriesOf(reader);
  }

  /** All entries of a file that begins with a head (pagemap, ghost file), and the head. Throws where it is not there. */
  readHeaded<T, H>(kind: ImageKind<T, H>, id?: Id): { head: H; entries: T[] } {
    const reader = this.reader(kind, id);
    return { head: reader.head, entries: entriesOf(reader) };
  }

  /**
   * All entries with their payloads in memory; none where the file is not there. Where payloads may be large, `reader`
   * gives their places instead.
   */
  readWithPayload<T, H>(kind: ImageKind<T, H>, id?: Id): WithPayload<T>[] {
    using reader = this.tryReader(kind, id);
    return reader === undefined
      ? []
      : Array.from(reader, ({ entry, payload }) => ({ entry, payload: payload.bytes() }));
  }
}
