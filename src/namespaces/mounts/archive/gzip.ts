/**
 * gzip (RFC 1952) in pieces: a file is a row of members, each of a megabyte at the most, which any gunzip reads as one. An
 * extra field in the header of each says how long it is, so that we read one after the other. What has no such field, an
 * archive that CRIU made, is read as a whole.
 */
import { viewOf } from "../../../linux/struct.ts";
import { TarError } from "./tar-format.ts";
import type { Source } from "./tar-reader.ts";

/** Bytes in one member, before they are compressed. */
const PIECE = 1 << 20;
/** The fastest: a third of the time of the usual 6, for a tenth more room. */
const LEVEL = 1;
/** What deflate makes of a piece at worst is a little larger than the piece. */
const MOST_PACKED = PIECE + PIECE / 16;

/** The header: magic, deflate, an extra field, no time, fastest, Unix; then the extra field's length, and the field. */
const HEAD = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 4, 3] as const;
/** Subfield "CT" of 4 bytes: the length of the whole member. */
const EXTRA = [8, 0, 0x43, 0x54, 4, 0] as const;
const LENGTH_AT = HEAD.length + EXTRA.length;
const DATA_AT = LENGTH_AT + 4;
const TRAILER = 8;

/** Compresses what it is given, and gives members to `sink`, which must not keep them. */
export class GzipWriter {
  readonly #piece = new Uint8Array(PIECE);
  #used = 0;

  constructor(private readonly sink: (bytes: Uint8Array) => void) {}

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const some = bytes.subarray(done, done + PIECE - this.#used);
      this.#piece.set(some, this.#used);
      this.#used += some.length;
      done += some.length;
      if (this.#used === PIECE) this.end();
    }
  }

  /** Writes what is left. */
  end(): void {
    if (this.#used === 0) return;
    const data = this.#piece.subarray(0, this.#used);
    const packed = Bun.deflateSync(data, { level: LEVEL });
    const member = new Uint8Array(DATA_AT + packed.length + TRAILER);
    const view = viewOf(member);
    member.set(HEAD);
    member.set(EXTRA, HEAD.length);
    view.setUint32(LENGTH_AT, member.length, true);
    member.set(packed, DATA_AT);
    view.setUint32(DATA_AT + packed.length, Bun.hash.crc32(data), true);
    view.setUint32(DATA_AT + packed.length + 4, data.length, true);
    this.#used = 0;
    this.sink(member);
  }
}

/** Unpacks a gzip file that `read` gives, up to `length` bytes at a time, fewer only at its end. */
export class GzipReader implements Source {
  /** What is unpacked and not yet read: from `#at` on. */
  #piece: Uint8Array = new Uint8Array();
  #at = 0;

  constructor(private readonly from: (length: number) => Uint8Array) {}

  /** @throws TarError for what is no gzip, or broken */
  read(length: number): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let missing = length; missing > 0; ) {
      if (this.#at === this.#piece.length && !this.#next()) break;
      const part = this.#piece.subarray(this.#at, this.#at + missing);
      this.#at += part.length;
      missing -= part.length;
      parts.push(part);
    }
    const [first] = parts;
    if (first === undefined) return new Uint8Array();
    return parts.length === 1 ? first : Buffer.concat(parts);
  }

  #next(): boolean {
    const head = this.from(DATA_AT).slice();
    if (head.length === 0) return false;
    const ours =
      HEAD.every((byte, i) => head[i] === byte) && EXTRA.every((byte, i) => head[HEAD.length + i] === byte);
    this.#piece = ours ? this.#member(viewOf(head).getUint32(LENGTH_AT, true)) : this.#whole(head);
    this.#at = 0;
    return this.#piece.length > 0;
  }

  #member(length: number): Uint8Array {
    const rest = length - DATA_AT;
    if (rest < TRAILER || rest > MOST_PACKED) throw new TarError("a gzip member of an impossible length");
    const bytes = this.from(rest);
    if (bytes.length < rest) throw new TarError("it ends too early");
    const packed = new Uint8Array(bytes.subarray(0, rest - TRAILER));
    const view = viewOf(bytes);
    const [crc, size] = [view.getUint32(rest - TRAILER, true), view.getUint32(rest - 4, true)];
    const data = unpacked(() => Bun.inflateSync(packed));
    if (data.length !== size || Bun.hash.crc32(data) !== crc)
      throw new TarError("its gzip checksum is wrong");
    return data;
  }

  #whole(head: Uint8Array): Uint8Array {
    const parts = [head];
    for (;;) {
      const part = this.from(PIECE).slice();
      if (part.length === 0) break;
      parts.push(part);
    }
    const packed = Buffer.concat(parts);
    const data = unpacked(() => Bun.gunzipSync(packed));
    // The runtime passes over further members, if there are such.
    if (packed.length < TRAILER || packed.readUInt32LE(packed.length - 4) !== data.length % 2 ** 32)
      throw new TarError("a gzip file of several members, which only we can write");
    return data;
  }
}

function unpacked(unpack: () => Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  try {
    return unpack();
  } catch (error) {
    throw new TarError(`it is no good gzip: ${error instanceof Error ? error.message : String(error)}`);
  }
}
