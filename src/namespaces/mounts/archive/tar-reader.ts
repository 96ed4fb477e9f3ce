/** Reading a tar archive: entry by entry, the content in pieces (see tar-format.ts). Nothing of it is believed. */
import { bytesToText, textOf } from "../../../linux/text.ts";
import {
  BLOCK,
  EXTENDED_SPARSE,
  type Extent,
  FIELD,
  OLD_EXTENT,
  PAX,
  padding,
  type TarEntry,
  TarError,
  type Time,
  TYPE,
} from "./tar-format.ts";

/** Where the archive comes from. */
export interface Source {
  /** Up to `length` next bytes, good until the next call; fewer only where the source ends. */
  read(length: number): Uint8Array;
}

/** Long names and pax records are not larger than this, in any archive that is meant well. */
const MAX_META = 1 << 20;
const PIECE = 1 << 20;

type Place = readonly [number, number];

export class TarReader {
  /** Stored bytes of the entry's content that have not been taken yet, and what fills up the last block. */
  #left = 0;
  #pad = 0;
  readonly #global = new Map<string, Uint8Array>();

  constructor(private readonly source: Source) {}

  /** The next entry; undefined at the end. Content of the one before that was not taken is passed over. @throws TarError */
  next(): TarEntry | undefined {
    this.#pass();
    const pax = new Map(this.#global);
    let longName: string | undefined;
    let longLink: string | undefined;
    for (;;) {
      const block = this.#exactly(BLOCK, true);
      if (block === undefined || block.every((byte) => byte === 0)) return undefined;
      checkSum(block);
      const type = String.fromCharCode(block[FIELD.type[0]] ?? 0);
      const size = sizeOf(numberIn(block, FIELD.size));
      if (type === TYPE.PAX || type === TYPE.PAX_GLOBAL) {
        for (const [key, value] of records(this.#meta(size)))
          (type === TYPE.PAX ? pax : this.#global).set(key, value);
      } else if (type === TYPE.GNU_LONG_NAME) longName = cText(this.#meta(size));
      else if (type === TYPE.GNU_LONG_LINK) longLink = cText(this.#meta(size));
      else return this.#entry(block, type, pax, longName, longLink);
    }
  }

  /**
   * Gives the content of the entry to `take`, piece by piece: bytes and their offset in the file.
   * @throws TarError
   */
  content({ size, extents }: TarEntry, take: (bytes: Uint8Array, offset: number) => void): void {
    for (const extent of extents ?? [{ offset: 0, size }]) {
      for (let done = 0; done < extent.size; ) {
        const bytes = this.#take(Math.min(PIECE, extent.size - done));
        take(bytes, extent.offset + done);
        done += bytes.length;
      }
    }
  }

  #entry(
    block: Uint8Array,
    type: string,
    pax: ReadonlyMap<string, Uint8Array>,
    longName: string | undefined,
    longLink: string | undefined,
  ): TarEntry {
    const text = (key: string) => {
      const value = pax.get(key);
      return value === undefined ? undefined : bytesToText(value);
    };
    const stored = sizeOf(decimal(text(PAX.SIZE)) ?? numberIn(block, FIELD.size));
    const isFile = type === TYPE.FILE || type === TYPE.OLD_FILE || type === TYPE.CONTIGUOUS;
    const hasContent = isFile || type === TYPE.GNU_SPARSE;
    this.#left = hasContent ? stored : 0;
    this.#pad = padding(this.#left);
    let size = hasContent ? stored : 0;
    let extents: readonly Extent[] | undefined;
    if (type === TYPE.GNU_SPARSE) {
      size = sizeOf(numberIn(block, FIELD.sparseSize));
      extents = this.#oldExtents(block);
    } else if (isFile && text(PAX.SPARSE_MAJOR) !== undefined) {
      if (text(PAX.SPARSE_MAJOR) !== "1" || text(PAX.SPARSE_MINOR) !== "0")
        throw new TarError("a sparse file of a kind that is not known");
      size = sizeOf(decimal(text(PAX.SPARSE_SIZE)) ?? Number.NaN);
      extents = this.#extents();
    } else if ([...pax.keys()].some((key) => key.startsWith("GNU.sparse."))) {
      throw new TarError("a sparse file of a kind that is not known");
    }
    if (extents !== undefined) checkExtents(extents, size, this.#left);
    const attributes = new Map<string, Uint8Array>();
    for (const [key, value] of pax)
      if (key.startsWith(PAX.ATTRIBUTE)) attributes.set(key.slice(PAX.ATTRIBUTE.length), value);
    const sockets = text(PAX.SOCKETS);
    return {
      type: hasContent ? TYPE.FILE : type,
      path: text(PAX.SPARSE_NAME) ?? text(PAX.PATH) ?? longName ?? nameIn(block),
      mode: numberIn(block, FIELD.mode) & 0o7777,
      uid: idOf(decimal(text(PAX.UID)) ?? numberIn(block, FIELD.uid)),
      gid: idOf(decimal(text(PAX.GID)) ?? numberIn(block, FIELD.gid)),
      mtime: timeOf(text(PAX.MTIME)) ?? { sec: BigInt(numberIn(block, FIELD.mtime)), nsec: 0 },
      link: text(PAX.LINK) ?? longLink ?? textIn(block, FIELD.link),
      major: numberIn(block, FIELD.major),
      minor: numberIn(block, FIELD.minor),
      size,
      ...(extents && { extents }),
      attributes,
      ...(sockets !== undefined && { sockets }),
    };
  }

  #oldExtents(block: Uint8Array): Extent[] {
    const extents: Extent[] = [];
    const take = (bytes: Uint8Array, from: number, count: number) => {
      for (let i = 0; i < count; i++) {
        const at = from + i * OLD_EXTENT;
        if (bytes[at] === 0) break;
        extents.push({
          offset: sizeOf(numberIn(bytes, [at, 12])),
          size: sizeOf(numberIn(bytes, [at + 12, 12])),
        });
      }
    };
    take(block, FIELD.sparse[0], FIELD.sparse[1] / OLD_EXTENT);
    let more = block[FIELD.sparseMore[0]] !== 0;
    while (more) {
      const next = this.#exactly(BLOCK);
      take(next, 0, EXTENDED_SPARSE.extents);
      more = next[EXTENDED_SPARSE.more] !== 0;
      if (extents.length > MAX_META) throw new TarError("a sparse file of too many parts");
    }
    // A part of no bytes at the end tells the size alone.
    return extents.filter(({ size }) => size > 0);
  }

  /** The map of a sparse file of kind 1.0, which stands before its content. */
  #extents(): Extent[] {
    let text = "";
    const numbers: number[] = [];
    const wanted = () => 1 + 2 * (numbers[0] ?? 0);
    while (numbers.length < wanted()) {
      text += bytesToText(this.#take(BLOCK));
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        if (numbers.length === wanted()) break;
        numbers.push(sizeOf(decimal(line) ?? Number.NaN));
      }
      if ((numbers[0] ?? 0) > MAX_META) throw new TarError("a sparse file of too many parts");
    }
    const extents: Extent[] = [];
    for (let i = 1; i < numbers.length; i += 2)
      extents.push({ offset: numbers[i] ?? 0, size: numbers[i + 1] ?? 0 });
    return extents.filter(({ size }) => size > 0);
  }

  #take(length: number): Uint8Array {
    if (length > this.#left) throw new TarError("less content than the header says");
    const bytes = this.#exactly(length);
    this.#left -= length;
    return bytes;
  }

  #pass(): void {
    for (let left = this.#left + this.#pad; left > 0; ) left -= this.#exactly(Math.min(PIECE, left)).length;
    this.#left = 0;
    this.#pad = 0;
  }

  #meta(size: number): Uint8Array {
    if (size > MAX_META) throw new TarError(`a header of ${size} bytes`);
    const bytes = this.#exactly(size).slice();
    const pad = padding(size);
    if (pad > 0) this.#exactly(pad);
    return bytes;
  }

  #exactly(length: number): Uint8Array;
  #exactly(length: number, mayEnd: true): Uint8Array | undefined;
  #exactly(length: number, mayEnd = false): Uint8Array | undefined {
    const bytes = this.source.read(length);
    if (bytes.length === 0 && mayEnd) return undefined;
    if (bytes.length < length) throw new TarError("it ends too early");
    return bytes;
  }
}

function checkExtents(extents: readonly Extent[], size: number, stored: number): void {
  let end = 0;
  let all = 0;
  for (const extent of extents) {
    if (extent.offset < end || extent.offset + extent.size > size)
      throw new TarError("a sparse file with parts out of order or beyond its end");
    end = extent.offset + extent.size;
    all += extent.size;
  }
  if (all > stored) throw new TarError("a sparse file with less content than its parts need");
}

function checkSum(block: Uint8Array): void {
  const said = numberIn(block, FIELD.checksum);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) {
    const inside = i >= FIELD.checksum[0] && i < FIELD.checksum[0] + FIELD.checksum[1];
    sum += inside ? 0x20 : (block[i] ?? 0);
  }
  if (sum !== said) throw new TarError("a header with a wrong checksum");
}

/** Octal digits, or GNU's base 256, whose first byte has its top bit set. */
function numberIn(block: Uint8Array, [at, length]: Place): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = BigInt(first & 0x7f);
    for (let i = at + 1; i < at + length; i++) value = (value << 8n) | BigInt(block[i] ?? 0);
    // Two's complement: the sign is the bit below the mark.
    if ((first & 0x40) !== 0) value -= 1n << BigInt(8 * length - 1);
    return Number(value);
  }
  const text = textIn(block, [at, length]).trim();
  if (text === "") return 0;
  if (!/^[0-7]+$/.test(text)) throw new TarError(`a header with ${JSON.stringify(text)} for a number`);
  return Number.parseInt(text, 8);
}

function textIn(block: Uint8Array, [at, length]: Place): string {
  const end = block.subarray(at, at + length).indexOf(0);
  return textOf(block, at, end < 0 ? at + length : at + end);
}

function nameIn(block: Uint8Array): string {
  const name = textIn(block, FIELD.name);
  // Only of POSIX: GNU's own format has something else there.
  if (textOf(block, FIELD.magic[0], FIELD.magic[0] + 6) !== "ustar\0") return name;
  const prefix = textIn(block, FIELD.prefix);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function cText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return textOf(bytes, 0, end < 0 ? bytes.length : end);
}

function sizeOf(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new TarError(`a size of ${value}`);
  return value;
}

function idOf(value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new TarError(`an owner ${value}`);
  return value;
}

function decimal(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,19}$/.test(text)) throw new TarError(`${JSON.stringify(text)} for a number`);
  return Number(text);
}

function timeOf(text: string | undefined): Time | undefined {
  if (text === undefined) return undefined;
  const found = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text);
  if (found === null) throw new TarError(`${JSON.stringify(text)} for a time`);
  const [, sign, whole = "0", digits = ""] = found;
  const nsec = Number(digits.slice(0, 9).padEnd(9, "0"));
  const sec = BigInt(whole);
  if (sign === "") return { sec, nsec };
  return nsec === 0 ? { sec: -sec, nsec } : { sec: -sec - 1n, nsec: 1_000_000_000 - nsec };
}

/** `LENGTH KEY=VALUE\n` for each. */
function* records(bytes: Uint8Array): Generator<[string, Uint8Array]> {
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const length = decimal(blank < 0 ? "" : textOf(bytes, at, blank)) ?? 0;
    const end = at + length;
    const equals = bytes.indexOf(0x3d, blank);
    if (end > bytes.length || equals < 0 || equals >= end || bytes[end - 1] !== 0x0a)
      throw new TarError("a pax record that is broken");
    yield [textOf(bytes, blank + 1, equals), bytes.slice(equals + 1, end - 1)];
    at = end;
  }
}
