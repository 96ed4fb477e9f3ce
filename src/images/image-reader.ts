// Reading one image file: a stream of entries, wherever the bytes come from. See image-dir.ts for the layout.
//
// Nothing here knows the kernel: the library reads images by it in any runtime.

import { ImageError } from "./error.ts";
import { type AnyImageKind, IMG_COMMON_MAGIC, IMG_SERVICE_MAGIC, type ImageKind } from "./kinds.ts";
import { type Codec, Reader } from "./wire.ts";

/** How much is read from a file at once, at least. */
const WINDOW = 128 << 10;

/** No message of CRIU comes near this; a larger one is a lie, e.g. of a sparse file. */
const MAX_MESSAGE = 256 << 20;

/**
 * Where bytes come from: a window of them. Nothing is allocated for an entry, as an image may have a million. The
 * caller asks for bytes that exist only.
 */
export interface Source {
  /** The descriptor of a file, for splice and sendfile; undefined where there is none. */
  readonly fd: number | undefined;
  readonly size: number;
  /** The window; what `index` gives is an index of it, both valid until the next call. */
  readonly bytes: Uint8Array;
  /** Takes `length` bytes at `offset` of the file into the window. */
  index(offset: number, length: number): number;
  /** A copy of bytes, the caller's own. */
  copy(offset: number, length: number): Uint8Array;
  close(): void;
}

class BytesSource implements Source {
  readonly fd = undefined;
  readonly size: number;

  constructor(readonly bytes: Uint8Array) {
    this.size = bytes.length;
  }

  index(offset: number): number {
    return offset;
  }

  copy(offset: number, length: number): Uint8Array {
    return this.bytes.slice(offset, offset + length);
  }

  close(): void {}
}

/** A file of which a window is in memory. */
export abstract class WindowSource implements Source {
  abstract readonly fd: number | undefined;
  bytes: Uint8Array = new Uint8Array(0);
  private start = 0;
  private filled = 0;

  constructor(
    readonly size: number,
    protected readonly file: string,
  ) {}

  /** Reads into `into` from `offset` of the file on, as much as there is at once. @throws ImageError */
  protected abstract read(into: Uint8Array, offset: number): number;

  abstract close(): void;

  index(offset: number, length: number): number {
    if (offset < this.start || offset + length > this.start + this.filled) {
      const wanted = Math.min(Math.max(length, WINDOW), this.size - offset);
      if (this.bytes.length < wanted) this.bytes = new Uint8Array(wanted);
      this.filled = 0;
      this.filled = this.fill(this.bytes, wanted, offset, length);
      this.start = offset;
    }
    return offset - this.start;
  }

  copy(offset: number, length: number): Uint8Array {
    if (length <= WINDOW) {
      const index = this.index(offset, length);
      return this.bytes.slice(index, index + length);
    }
    const bytes = new Uint8Array(length);
    this.fill(bytes, length, offset, length);
    return bytes;
  }

  /** Reads `most` bytes, or at least `least` of them. */
  private fill(into: Uint8Array, most: number, offset: number, least: number): number {
    let done = 0;
    while (done < least) {
      const got = this.read(into.subarray(done, most), offset + done);
      if (got === 0) throw new ImageError("the file is cut short", { file: this.file, offset });
      done += got;
    }
    return done;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** The words that an image begins with. */
export function magicsOf(kind: AnyImageKind): number[] {
  return kind.first === undefined ? [kind.magic] : [kind.first, kind.magic];
}

/** The raw bytes behind an entry: where they are in the file, and themselves when asked for. */
export class Payload {
  constructor(
    private readonly source: Source,
    /** Offset in the file. */
    readonly offset: number,
    readonly length: number,
  ) {}

  /** A copy of them. `start` and `length` choose a part, so that a large one can be taken in pieces. */
  bytes(start = 0, length = this.length - start): Uint8Array {
    if (start < 0 || length < 0 || start + length > this.length) {
      throw new RangeError(`${start}+${length} is outside a payload of ${this.length} bytes`);
    }
    return this.source.copy(this.offset + start, length);
  }
}

/** An entry and what follows it. `payload` is valid while the reader is open. */
export interface ImageRecord<T> {
  entry: T;
  payload: Payload;
}

/**
 * Reads the entries of one image file one after the other, without holding the file in memory. To be closed (or
 * declared with `using`). Throws ImageError where the file is not what it should be.
 */
export class ImageReader<T, H = undefined> implements Iterable<ImageRecord<T>>, Disposable {
  /** The head's message, where the kind has one. */
  readonly head: H;
  /** For splice, sendfile and copy_file_range by a payload's offset; undefined where bytes are read, not a file. */
  readonly fd: number | undefined;
  private readonly kind: ImageKind<T, H>;
  private readonly file: string;
  private readonly source: Source;
  private readonly codec: Codec<T>;
  private readonly fields = new Reader(new Uint8Array(0));
  private position = 0;
  private count = 0;
  /** Length of the last entry's payload. */
  private behind = 0;

  /** A source is the reader's from here on, but where this throws. */
  constructor(kind: ImageKind<T, H>, file: string, from: Uint8Array | Source) {
    this.kind = kind;
    this.file = file;
    this.source = from instanceof Uint8Array ? new BytesSource(from) : from;
    this.fd = this.source.fd;
    this.codec = kind.codec;
    this.checkMagics();
    const head = kind.head;
    this.head = (head === undefined ? undefined : this.message(head, undefined)) as H;
  }

  /** The next entry; undefined at the end of the file. */
  next(): ImageRecord<T> | undefined {
    const entry = this.nextEntry();
    if (entry === undefined) return undefined;
    return { entry, payload: new Payload(this.source, this.position - this.behind, this.behind) };
  }

  /** The next entry alone, what follows it passed over. */
  nextEntry(): T | undefined {
    if (this.position === this.source.size) return undefined;
    const started = this.position;
    const entry = this.message(this.codec, this.count);
    this.behind = this.payloadOf(entry, started);
    this.position += this.behind;
    this.count++;
    return entry;
  }

  [Symbol.iterator](): Iterator<ImageRecord<T>, undefined> {
    return {
      next: () => {
        const value = this.next();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
    };
  }

  /** Everything up to the end of the file as bytes: the content of a ghost file without chunks. */
  rest(): Payload {
    const payload = new Payload(this.source, this.position, this.source.size - this.position);
    this.position = this.source.size;
    return payload;
  }

  /**
   * How many fields were passed over so far, as the schema does not know them; those of a message that is like the one
   * before are counted once.
   */
  get unknownFields(): number {
    return this.fields.skipped;
  }

  close(): void {
    this.source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private checkMagics(): void {
    const { first, magic } = this.kind;
    const size = first === undefined ? 4 : 8;
    const { source } = this;
    if (
      source.size < size ||
      (first !== undefined && this.word(0) !== first) ||
      this.word(size - 4) !== magic
    )
      this.failMagic();
    this.position = size;
  }

  private failMagic(): never {
    const wanted = magicsOf(this.kind);
    const found: number[] = [];
    for (const magic of wanted) {
      const at = found.length * 4;
      if (this.source.size < at + 4) break;
      found.push(this.word(at));
      if (found.at(-1) !== magic) {
        throw new ImageError(`bad magic ${found.map(hex).join(" ")}, wanted ${wanted.map(hex).join(" ")}`, {
          file: this.file,
        });
      }
    }
    const got = found.length === 0 ? "none" : found.map(hex).join(" ");
    throw new ImageError(`bad magic: ${got}, wanted ${wanted.map(hex).join(" ")}`, { file: this.file });
  }

  private payloadOf(entry: T, started: number): number {
    if (this.kind.payload === undefined) return 0;
    const after = this.position;
    const place = { file: this.file, entry: this.count, offset: started };
    const left = this.source.size - after;
    const length = this.kind.payload(entry, (offset, size) => {
      if (size > left - offset) throw new ImageError("the payload is cut short", place);
      const index = this.source.index(after + offset, size);
      return this.source.bytes.subarray(index, index + size);
    });
    if (length > left) throw new ImageError(`${length} bytes should follow, there are ${left}`, place);
    return length;
  }

  private word(offset: number): number {
    const index = this.source.index(offset, 4);
    const bytes = this.source.bytes;
    const low = (bytes[index] ?? 0) | ((bytes[index + 1] ?? 0) << 8);
    return (low | ((bytes[index + 2] ?? 0) << 16) | ((bytes[index + 3] ?? 0) << 24)) >>> 0;
  }

  private message<M>(codec: Codec<M>, entry: number | undefined): M {
    const started = this.position;
    const left = this.source.size - started - 4;
    if (left < 0) this.fail("the size of a message is cut short", entry);
    const size = this.word(started);
    if (size > left) this.fail(`${codec.name} of ${size} bytes reaches beyond the file`, entry);
    if (size > MAX_MESSAGE) this.fail(`${codec.name} of ${size} bytes is too large`, entry);
    const index = this.source.index(started + 4, size);
    this.fields.reset(this.source.bytes, index, index + size);
    try {
      const message = this.fields.whole(codec);
      this.position = started + 4 + size;
      return message;
    } catch (error) {
      // The offset that the codec knows is one of the window.
      throw error instanceof ImageError
        ? error.at({ file: this.file, entry, offset: started + 4 - index })
        : error;
    }
  }

  private fail(what: string, entry: number | undefined): never {
    throw new ImageError(what, { file: this.file, entry, offset: this.position });
  }
}

/** The magics of an image's bytes: `magic` names the kind (see kindOfMagic), `first` is undefined for an inventory. */
export function magicOf(bytes: Uint8Array, file: string): { first: number | undefined; magic: number } {
  if (bytes.length < 4) throw new ImageError("bad magic: none", { file });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const first = view.getUint32(0, true);
  if (first !== IMG_COMMON_MAGIC && first !== IMG_SERVICE_MAGIC) return { first: undefined, magic: first };
  if (bytes.length < 8) throw new ImageError(`bad magic: ${hex(first)} alone`, { file });
  return { first, magic: view.getUint32(4, true) };
}
