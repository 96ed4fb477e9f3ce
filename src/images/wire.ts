// Protobuf's wire format, proto2, as the generated code in schema/generated/ uses it. Nothing is described at run
// time: the generated functions call these two classes field by field.
//
// Reading trusts nothing: every length is checked against the bytes there are, nesting is limited, and nothing is
// allocated that is not backed by bytes of the input. What is wrong is told by an ImageError.

import { textOf, textToBytes, writeText } from "../linux/text.ts";
import { ImageError } from "./error.ts";

/** Encoder and decoder of one message type. */
export interface Codec<T> {
  /** The message's name in the schema, e.g. "core_entry". */
  readonly name: string;
  write(w: Writer, message: T): void;
  /** Reads until `r.limit`. */
  read(r: Reader): T;
}

/** The bytes of one message. Throws ImageError where a number does not fit its field. */
export function encode<T>(codec: Codec<T>, message: T): Uint8Array {
  const writer = new Writer();
  codec.write(writer, message);
  return writer.finish();
}

/** The message in `bytes`. Throws ImageError where they are not one. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  return codec.read(new Reader(bytes));
}

const kept = new WeakMap<object, Uint8Array>();

/**
 * Keeps a message's bytes beside it and returns it: where the same object stands in other messages after that, its bytes
 * are copied instead of made anew. It must not be changed any more. Throws ImageError as `encode` does.
 */
export function keepBytes<T extends object>(codec: Codec<T>, message: T): T {
  kept.set(message, encode(codec, message));
  return message;
}

const U64_MAX = 0xffffffffffffffffn;
const I64_MIN = -0x8000000000000000n;
const I64_MAX = 0x7fffffffffffffffn;
const SAFE = Number.MAX_SAFE_INTEGER;
/** CRIU's deepest message has about six levels; only cgroup_dir_entry and aa_namespace nest freely. */
const MAX_DEPTH = 200;

function unfit(value: unknown, type: string, field: string): never {
  throw new ImageError(`${field}: ${String(value)} is no ${type}`);
}

/** A field's tag and number take no more than this: five bytes and ten. */
const MOST = 15;
const HIGH = 0x1_0000_0000;

/** Puts a number below 2^64, given as its halves, at `at`; gives where it ends. */
function putHalves(bytes: Uint8Array, at: number, low: number, high: number): number {
  let end = at;
  let lo = low;
  let hi = high;
  while (hi > 0) {
    bytes[end++] = (lo & 0x7f) | 0x80;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  while (lo > 0x7f) {
    bytes[end++] = (lo & 0x7f) | 0x80;
    lo >>>= 7;
  }
  bytes[end++] = lo;
  return end;
}

/** Puts an unsigned 64-bit number at `at`; gives where it ends, or -1 where it is none. */
function putBig(bytes: Uint8Array, at: number, value: bigint): number {
  const number = Number(value);
  if (number >= 0 && number <= SAFE) {
    if (number <= 0x7f) {
      bytes[at] = number;
      return at + 1;
    }
    const low = number >>> 0;
    return putHalves(bytes, at, low, (number - low) / HIGH);
  }
  if (value < 0n || value > U64_MAX) return -1;
  return putHalves(bytes, at, Number(value & 0xffffffffn), Number(value >> 32n));
}

/** Puts an unsigned 32-bit number at `at`; gives where it ends. */
function put(bytes: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  while (rest > 0x7f) {
    bytes[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[end++] = rest;
  return end;
}

/** Grows as needed; tags are given as the number on the wire (field number * 8 + wire type). */
export class Writer {
  private buffer: Uint8Array;
  /** Up to here there is room for a tag and a number. */
  private limit: number;
  /** Bytes written so far. */
  length = 0;

  constructor(size = 512) {
    this.buffer = new Uint8Array(size);
    this.limit = size - MOST;
  }

  /** What was written, without a copy; the writer is not to be used after that, but for `clear`. */
  finish(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** Begins anew, in the same memory. */
  clear(): void {
    this.length = 0;
  }

  private grow(more: number): void {
    const bigger = new Uint8Array(Math.max(this.length + more + MOST, this.buffer.length * 2));
    bigger.set(this.buffer.subarray(0, this.length));
    this.buffer = bigger;
    this.limit = bigger.length - MOST;
  }

  /** Writes a tag, with room behind it for a number; gives where that is to go. */
  private tag(tag: number): number {
    if (this.length > this.limit) this.grow(MOST);
    const at = this.length;
    if (tag > 0x7f) return put(this.buffer, at, tag);
    this.buffer[at] = tag;
    return at + 1;
  }

  uint32(tag: number, value: number, field: string): void {
    if (value >>> 0 !== value) unfit(value, "uint32", field);
    const at = this.tag(tag);
    this.length = put(this.buffer, at, value);
  }

  /** All of a repeated field. Some come by the hundred: the registers of a thread. */
  uint32s(tag: number, values: readonly number[], field: string): void {
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? 0;
      if (value >>> 0 !== value) unfit(value, "uint32", field);
      let at = this.tag(tag);
      const bytes = this.buffer;
      if (value <= 0x7f) bytes[at++] = value;
      else at = put(bytes, at, value);
      this.length = at;
    }
  }

  /** All of a repeated field of 32-bit numbers in its packed form, which is nothing where there are none. */
  packed(tag: number, values: readonly number[], field: string): void {
    if (values.length === 0) return;
    let size = 0;
    for (const value of values) {
      if (value >>> 0 !== value) unfit(value, "uint32", field);
      size += value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
    }
    let at = put(this.buffer, this.tag(tag), size);
    if (at + size > this.limit) {
      this.length = at;
      this.grow(size);
    }
    for (const value of values) at = put(this.buffer, at, value);
    this.length = at;
  }

  int32(tag: number, value: number, field: string): void {
    if ((value | 0) !== value) unfit(value, "int32", field);
    const at = this.tag(tag);
    this.length =
      value < 0 ? putHalves(this.buffer, at, value >>> 0, 0xffffffff) : put(this.buffer, at, value);
  }

  sint32(tag: number, value: number, field: string): void {
    if ((value | 0) !== value) unfit(value, "sint32", field);
    const at = this.tag(tag);
    this.length = put(this.buffer, at, ((value << 1) ^ (value >> 31)) >>> 0);
  }

  uint64(tag: number, value: bigint, field: string): void {
    if (typeof value !== "bigint") unfit(value, "uint64", field);
    const at = this.tag(tag);
    const end = putBig(this.buffer, at, value);
    if (end < 0) unfit(value, "uint64", field);
    this.length = end;
  }

  /** All of a repeated field. */
  uint64s(tag: number, values: readonly bigint[], field: string): void {
    for (let i = 0; i < values.length; i++) this.uint64(tag, values[i] ?? 0n, field);
  }

  int64(tag: number, value: bigint, field: string): void {
    if (typeof value !== "bigint" || value < I64_MIN || value > I64_MAX) unfit(value, "int64", field);
    const at = this.tag(tag);
    this.length = putBig(this.buffer, at, value < 0n ? BigInt.asUintN(64, value) : value);
  }

  sint64(tag: number, value: bigint, field: string): void {
    if (typeof value !== "bigint" || value < I64_MIN || value > I64_MAX) unfit(value, "sint64", field);
    const at = this.tag(tag);
    this.length = putBig(this.buffer, at, value < 0n ? -2n * value - 1n : 2n * value);
  }

  fixed64(tag: number, value: bigint, field: string): void {
    if (typeof value !== "bigint" || value < 0n || value > U64_MAX) unfit(value, "fixed64", field);
    this.length = this.tag(tag);
    this.word(Number(value & 0xffffffffn));
    this.word(Number(value >> 32n));
  }

  bool(tag: number, value: boolean, field: string): void {
    if (typeof value !== "boolean") unfit(value, "bool", field);
    const at = this.tag(tag);
    this.buffer[at] = value ? 1 : 0;
    this.length = at + 1;
  }

  string(tag: number, value: string, field: string): void {
    if (typeof value !== "string") unfit(value, "string", field);
    const { length } = value;
    // A plain string, as nearly all here, has as many bytes as characters; nobody knows before it is written.
    if (length > 0x7f) {
      this.chunk(tag, textToBytes(value));
      return;
    }
    if (this.length + 3 * length > this.limit) this.grow(3 * length + MOST);
    const at = this.tag(tag);
    const end = writeText(this.buffer, at + 1, value);
    const size = end - at - 1;
    if (size > 0x7f) {
      this.chunk(tag, textToBytes(value));
      return;
    }
    this.buffer[at] = size;
    this.length = end;
  }

  bytes(tag: number, value: Uint8Array, field: string): void {
    if (!(value instanceof Uint8Array)) unfit(value, "bytes", field);
    this.chunk(tag, value);
  }

  message<T>(tag: number, codec: Codec<T>, value: T, field: string): void {
    if (typeof value !== "object" || value === null) unfit(value, codec.name, field);
    const bytes = kept.get(value);
    if (bytes !== undefined) {
      this.chunk(tag, bytes);
      return;
    }
    // One byte is kept for the length; a longer message is moved up once it is known.
    const start = this.tag(tag) + 1;
    this.length = start;
    codec.write(this, value);
    const size = this.length - start;
    if (size > 0x7f) {
      const extra = size < 0x4000 ? 1 : size < 0x200000 ? 2 : size < 0x10000000 ? 3 : 4;
      if (this.length > this.limit) this.grow(extra);
      this.buffer.copyWithin(start + extra, start, start + size);
    }
    this.length = put(this.buffer, start - 1, size) + size;
  }

  private chunk(tag: number, value: Uint8Array): void {
    const at = this.tag(tag);
    this.length = put(this.buffer, at, value.length);
    this.raw(value);
  }

  /** Bytes as they are, with nothing before them. */
  raw(value: Uint8Array): void {
    if (this.length + value.length > this.buffer.length) this.grow(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  /** A little-endian 32-bit word, as the framing of image files has it. */
  word(value: number): void {
    if (this.length > this.limit) this.grow(MOST);
    this.putWord(this.length, value);
    this.length += 4;
  }

  /** One entry of an image file: its size as a word, then the message. */
  framed<T>(codec: Codec<T>, value: T): void {
    const start = this.length;
    this.word(0);
    codec.write(this, value);
    this.putWord(start, this.length - start - 4);
  }

  private putWord(at: number, value: number): void {
    const bytes = this.buffer;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
  }
}

const compare = Buffer.prototype.compare;
/** From so many bytes on a message is kept, to be given again where the same bytes come next. */
const WORTH_KEEPING = 48;
/**
 * The last one of each type. What the processes of a tree and their threads have in common (credentials, handlers of
 * signals, registers of those that wait) is so decoded once, and is one object: whoever makes something of it can do so
 * once, too. Nobody changes a message that was read.
 */
const lastRead = new Map<object, { readonly bytes: Uint8Array; readonly message: unknown }>();

/** Walks over the bytes of one message; `limit` is the end of the message being read. */
export class Reader {
  /** Where the message is; the generated functions read from it by themselves up to `limit`. */
  data: Uint8Array;
  private depth = 0;
  private high = 0;
  /** How many fields were passed over, as they are not in the schema. */
  skipped = 0;
  pos: number;
  limit: number;

  constructor(bytes: Uint8Array, pos = 0, limit = bytes.length) {
    this.data = bytes;
    this.pos = pos;
    this.limit = limit;
  }

  /** Turns to another message. */
  reset(bytes: Uint8Array, pos: number, limit: number): void {
    this.data = bytes;
    this.pos = pos;
    this.limit = limit;
    this.depth = 0;
  }

  /** Throws: the bytes are not what they should be. */
  fail(what: string): never {
    throw new ImageError(what, { offset: this.pos });
  }

  /** Throws: a required field was not there. */
  missing(field: string): never {
    this.fail(`required field ${field} is missing`);
  }

  /** Reads a varint; gives its low 32 bits, and leaves the high ones in `high`. */
  private varint(): number {
    const bytes = this.data;
    const limit = this.limit;
    let pos = this.pos;
    if (pos >= limit) this.fail("the message is cut short");
    let byte = bytes[pos++] ?? 0;
    this.high = 0;
    if (byte < 0x80) {
      this.pos = pos;
      return byte;
    }
    let low = byte & 0x7f;
    let high = 0;
    for (let shift = 7; shift < 70; shift += 7) {
      if (pos >= limit) this.fail("the message is cut short");
      byte = bytes[pos++] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= (bits & 1) << 31;
      if (byte < 0x80) {
        this.pos = pos;
        this.high = high >>> 0;
        return low >>> 0;
      }
    }
    return this.fail("a number of more than ten bytes");
  }

  /** The next field's tag. */
  tag(): number {
    const tag = this.varint();
    if (this.high !== 0 || tag < 8) this.fail("not a field");
    return tag;
  }

  uint32(): number {
    return this.varint();
  }

  int32(): number {
    return this.varint() | 0;
  }

  sint32(): number {
    const value = this.varint();
    return (value >>> 1) ^ -(value & 1);
  }

  uint64(): bigint {
    const low = this.varint();
    const high = this.high;
    if (high === 0) return BigInt(low);
    if (high < 0x200000) return BigInt(high * 0x100000000 + low);
    return (BigInt(high) << 32n) | BigInt(low);
  }

  int64(): bigint {
    const value = this.uint64();
    return value > I64_MAX ? BigInt.asIntN(64, value) : value;
  }

  sint64(): bigint {
    const value = this.uint64();
    return (value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n;
  }

  fixed64(): bigint {
    const start = this.take(8);
    const bytes = this.data;
    return new DataView(bytes.buffer, bytes.byteOffset + start, 8).getBigUint64(0, true);
  }

  bool(): boolean {
    return this.varint() !== 0 || this.high !== 0;
  }

  string(): string {
    const start = this.take(this.size());
    return textOf(this.data, start, this.pos);
  }

  bytes(): Uint8Array {
    const start = this.take(this.size());
    return this.data.slice(start, this.pos);
  }

  enumeration<T extends number>(known: (value: number) => value is T, field: string): T {
    const start = this.pos;
    const value = this.varint() | 0;
    if (known(value)) return value;
    this.pos = start;
    return this.fail(`${field}: unknown value ${value}`);
  }

  message<T>(codec: Codec<T>): T {
    const size = this.size();
    const outer = this.limit;
    if (++this.depth > MAX_DEPTH) this.fail("messages are nested too deeply");
    this.limit = this.pos + size;
    const message = this.whole(codec);
    this.limit = outer;
    this.depth--;
    return message;
  }

  /** The message up to `limit`, which may be one that was given before. */
  whole<T>(codec: Codec<T>): T {
    const { data, pos, limit } = this;
    if (limit - pos < WORTH_KEEPING) return codec.read(this);
    const last = lastRead.get(codec);
    if (last?.bytes.length === limit - pos && compare.call(last.bytes, data, pos, limit) === 0) {
      this.pos = limit;
      return last.message as T;
    }
    const message = codec.read(this);
    lastRead.set(codec, { bytes: data.slice(pos, limit), message });
    return message;
  }

  /** A repeated field in its packed form. */
  packed<T>(list: T[], read: (this: Reader) => T): void {
    const size = this.size();
    const outer = this.limit;
    this.limit = this.pos + size;
    while (this.pos < this.limit) list.push(read.call(this));
    this.limit = outer;
  }

  /** Passes over a field that is not in the schema. */
  skip(tag: number): void {
    this.skipped++;
    switch (tag & 7) {
      case 0:
        this.varint();
        break;
      case 1:
        this.take(8);
        break;
      case 2:
        this.take(this.size());
        break;
      case 5:
        this.take(4);
        break;
      default:
        this.fail(`field ${tag >>> 3} has a wire type that is not in use`);
    }
  }

  /** A length, checked against what is left. */
  private size(): number {
    const size = this.varint();
    if (this.high !== 0 || size > this.limit - this.pos) this.fail("a length reaches beyond the message");
    return size;
  }

  private take(size: number): number {
    const start = this.pos;
    if (size > this.limit - start) this.fail("the message is cut short");
    this.pos = start + size;
    return start;
  }
}
