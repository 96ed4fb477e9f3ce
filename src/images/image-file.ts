// One image file on disk: where a reader has its bytes from, and a writer of entries. See image-dir.ts for the layout.

import { close, O, open, openIfThere, read, regularSize, writeAll } from "../linux/io.ts";
import { fileError, ImageError } from "./error.ts";
import { magicsOf, WindowSource } from "./image-reader.ts";
import type { ImageKind } from "./kinds.ts";
import { Writer } from "./wire.ts";

export { ImageReader, type ImageRecord, magicOf, type Payload } from "./image-reader.ts";

/** As CRIU makes its images, less the umask; who may reach them is for the directory to say. */
export const IMAGE_MODE = 0o644;

/** How much is kept in memory before it is written. */
const PENDING = 64 << 10;

/** An open file, which is closed with it. */
export class FileSource extends WindowSource {
  /** `fd` is the source's from here on, but where this throws. @throws ImageError where it is no regular file's */
  constructor(
    readonly fd: number,
    file: string,
  ) {
    const size = regularSize(fd);
    if (size === undefined) throw new ImageError("not a regular file", { file });
    super(size, file);
  }

  protected override read(into: Uint8Array, offset: number): number {
    try {
      return read(this.fd, into, offset);
    } catch (error) {
      throw fileError("read", this.file, error);
    }
  }

  override close(): void {
    close(this.fd);
  }
}

/** Opens `path`, for ImageReader; undefined where there is nothing. @throws ImageError */
export function openForReading(path: string, file: string): FileSource | undefined {
  let fd: number | undefined;
  try {
    // Not to wait for the other end, were it a FIFO.
    fd = openIfThere(path, O.RDONLY | O.NONBLOCK);
    return fd === undefined ? undefined : new FileSource(fd, file);
  } catch (error) {
    if (fd !== undefined) close(fd);
    throw error instanceof ImageError ? error : fileError("open", file, error);
  }
}

function writeFully(fd: number, bytes: Uint8Array, file: string): void {
  try {
    writeAll(fd, bytes);
  } catch (error) {
    throw fileError("write", file, error);
  }
}

/**
 * Writes entries of one image file. The file is made with the first entry (or the head), so no entries, no file; what
 * is small is written with one write(2) at `close`. To be closed (or declared with `using`).
 */
export class ImageWriter<T, H = undefined> implements Disposable {
  private readonly kind: ImageKind<T, H>;
  private readonly path: string;
  private readonly file: string;
  private count = 0;
  private pending: Writer | undefined;
  private opened: number | undefined;

  /** `head` is to be given for the kinds that have one. */
  constructor(kind: ImageKind<T, H>, path: string, file: string, head?: H) {
    this.kind = kind;
    this.path = path;
    this.file = file;
    if (kind.head !== undefined) {
      if (head === undefined || head === null) throw new TypeError(`${file} needs a head`);
      this.started().framed(kind.head, head);
    }
  }

  /**
   * Adds an entry, and the bytes that follow it: as many as the entry says, padding included. They can be added
   * afterwards, too, by `addBytes` or through the descriptor that `flush` gives.
   */
  add(entry: T, payload?: Uint8Array): void {
    if (payload !== undefined) this.checkPayload(entry, payload);
    const codec = this.kind.codec;
    try {
      this.started().framed(codec, entry);
    } catch (error) {
      throw error instanceof ImageError ? error.at({ file: this.file, entry: this.count }) : error;
    }
    this.count++;
    if (payload !== undefined) this.addBytes(payload);
    if (this.pending !== undefined && this.pending.length >= PENDING) this.flush();
  }

  /** Adds bytes of a payload. */
  addBytes(bytes: Uint8Array): void {
    if (bytes.length < PENDING) this.started().raw(bytes);
    else writeFully(this.flush(), bytes, this.file);
  }

  /** Writes what is pending. Gives the file's descriptor, at its end, for splice and sendfile of a payload. */
  flush(): number {
    const pending = this.started();
    if (this.opened === undefined) {
      try {
        this.opened = open(this.path, O.WRONLY | O.CREAT | O.TRUNC, IMAGE_MODE);
      } catch (error) {
        throw fileError("create", this.file, error);
      }
    }
    writeFully(this.opened, pending.finish(), this.file);
    pending.clear();
    return this.opened;
  }

  close(): void {
    if (this.pending !== undefined && (this.opened === undefined || this.pending.length > 0)) this.flush();
    if (this.opened !== undefined) close(this.opened);
    this.opened = undefined;
    this.pending = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private checkPayload(entry: T, payload: Uint8Array): void {
    const place = { file: this.file, entry: this.count };
    const wanted = this.kind.payload?.(entry, (offset, length) => {
      if (offset + length > payload.length) throw new ImageError("the payload is cut short", place);
      return payload.subarray(offset, offset + length);
    });
    if (wanted !== payload.length) {
      throw new ImageError(`payload of ${payload.length} bytes where ${wanted ?? 0} should follow`, place);
    }
  }

  private started(): Writer {
    if (this.pending === undefined) {
      this.pending = new Writer();
      for (const magic of magicsOf(this.kind)) this.pending.word(magic);
    }
    return this.pending;
  }
}

/** A whole image file in memory, that of `writer`. `head` is to be given for the kinds that have one. */
export function encodeImage<T, H>(
  kind: ImageKind<T, H>,
  entries: Iterable<T>,
  file: string,
  head?: H,
  writer = new Writer(),
): Uint8Array {
  let count = 0;
  try {
    for (const magic of magicsOf(kind)) writer.word(magic);
    if (kind.head !== undefined) {
      if (head === undefined || head === null) throw new TypeError(`${file} needs a head`);
      writer.framed(kind.head, head);
    }
    const codec = kind.codec;
    for (const entry of entries) {
      writer.framed(codec, entry);
      count++;
    }
    return writer.finish();
  } catch (error) {
    throw error instanceof ImageError ? error.at({ file, entry: count }) : error;
  }
}
