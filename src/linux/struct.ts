/**
 * Kernel structures, declared once by field, read and written through the declaration.
 *
 *     const timespec = struct({ tv_sec: s64, tv_nsec: s64 });
 *     timespec.decode(bytes, at).tv_sec
 *
 * Fields stand at their natural alignment, as C lays them out on the kernel's own ABIs; all are little-endian.
 *
 * Modules declare their structures as they load, used or not, so a declaration is laid out when somebody first uses it.
 */

/** One kind of field: its size and alignment in bytes and how it is read and written. */
export interface Field<T> {
  readonly size: number;
  readonly align: number;
  read(bytes: Uint8Array, at: number): T;
  write(bytes: Uint8Array, at: number, value: T): void;
}

let lastViewed: Uint8Array = new Uint8Array();
let lastView: DataView = new DataView(lastViewed.buffer);

/** The DataView of a buffer's own bytes. The last one is kept: a buffer is mostly looked at many times on end. */
export function viewOf(buffer: Uint8Array): DataView {
  if (buffer !== lastViewed) {
    lastView = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    lastViewed = buffer;
  }
  return lastView;
}

export const u8: Field<number> = {
  size: 1,
  align: 1,
  read: (bytes, at) => viewOf(bytes).getUint8(at),
  write: (bytes, at, value) => viewOf(bytes).setUint8(at, value),
};
export const u16: Field<number> = {
  size: 2,
  align: 2,
  read: (bytes, at) => viewOf(bytes).getUint16(at, true),
  write: (bytes, at, value) => viewOf(bytes).setUint16(at, value, true),
};
export const s16: Field<number> = {
  size: 2,
  align: 2,
  read: (bytes, at) => viewOf(bytes).getInt16(at, true),
  write: (bytes, at, value) => viewOf(bytes).setInt16(at, value, true),
};
export const u32: Field<number> = {
  size: 4,
  align: 4,
  read: (bytes, at) => viewOf(bytes).getUint32(at, true),
  write: (bytes, at, value) => viewOf(bytes).setUint32(at, value, true),
};
export const s32: Field<number> = {
  size: 4,
  align: 4,
  read: (bytes, at) => viewOf(bytes).getInt32(at, true),
  write: (bytes, at, value) => viewOf(bytes).setInt32(at, value, true),
};
/** 64 bits whose top ones can be set: register contents, masks. */
export const u64: Field<bigint> = {
  size: 8,
  align: 8,
  read: (bytes, at) => viewOf(bytes).getBigUint64(at, true),
  write: (bytes, at, value) => viewOf(bytes).setBigUint64(at, value, true),
};
export const s64: Field<bigint> = {
  size: 8,
  align: 8,
  read: (bytes, at) => viewOf(bytes).getBigInt64(at, true),
  write: (bytes, at, value) => viewOf(bytes).setBigInt64(at, value, true),
};
/** A user-space address, size or count: 64 bits that fit in a number. Larger values lose their low bits. */
export const word: Field<number> = {
  size: 8,
  align: 8,
  read: (bytes, at) => {
    const view = viewOf(bytes);
    return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
  },
  write: (bytes, at, value) => {
    const view = viewOf(bytes);
    view.setUint32(at, value, true);
    view.setUint32(at + 4, Math.floor(value / HIGH), true);
  },
};
const HIGH = 0x1_0000_0000;

/** A fixed number of raw bytes. Reading copies; writing pads with zeros. */
export function bytes(length: number): Field<Uint8Array> {
  return {
    size: length,
    align: 1,
    read: (bytes, at) => bytes.slice(at, at + length),
    write: (bytes, at, value) => {
      bytes.fill(0, at, at + length);
      bytes.set(value.subarray(0, length), at);
    },
  };
}

/** A fixed number of equal fields. */
export function array<T>(field: Field<T>, length: number): Field<T[]> {
  return {
    size: field.size * length,
    align: field.align,
    read: (bytes, at) => {
      const values: T[] = [];
      for (let i = 0; i < length; i++) values.push(field.read(bytes, at + i * field.size));
      return values;
    },
    write: (bytes, at, values) => {
      for (let i = 0; i < length && i < values.length; i++)
        field.write(bytes, at + i * field.size, values[i] as T);
    },
  };
}

export type Shape = Readonly<Record<string, Field<unknown>>>;
export type Values<S extends Shape> = { [K in keyof S]: S[K] extends Field<infer T> ? T : never };

/** A field in its place: `at` bytes from the beginning of the structure. */
interface Member {
  readonly name: string;
  readonly field: Field<unknown>;
  readonly at: number;
}

/** A declared structure; also a field, so that structures nest. */
export class Struct<S extends Shape> implements Field<Values<S>> {
  readonly #shape: S;
  #members: readonly Member[] | undefined;
  #offset: { readonly [K in keyof S]: number } | undefined;
  #size: number;
  #align = 1;

  constructor(shape: S, size: number) {
    this.#shape = shape;
    this.#size = size;
  }

  #layout(): readonly Member[] {
    const members: Member[] = [];
    let end = 0;
    let most = 1;
    for (const name in this.#shape) {
      const field = this.#shape[name] as Field<unknown>;
      const { size, align } = field;
      if (align > most) most = align;
      const at = (end + align - 1) & -align;
      members.push({ name, field, at });
      end = at + size;
    }
    this.#align = most;
    if (this.#size === 0) this.#size = (end + most - 1) & -most;
    this.#members = members;
    return members;
  }

  get size(): number {
    if (this.#members === undefined) this.#layout();
    return this.#size;
  }

  get align(): number {
    if (this.#members === undefined) this.#layout();
    return this.#align;
  }

  /** Offset of a field in bytes. */
  get offset(): { readonly [K in keyof S]: number } {
    if (this.#offset === undefined) {
      const offset: Record<string, number> = {};
      for (const { name, at } of this.#members ?? this.#layout()) offset[name] = at;
      this.#offset = offset as { readonly [K in keyof S]: number };
    }
    return this.#offset;
  }

  read(bytes: Uint8Array, at: number): Values<S> {
    const values: Record<string, unknown> = {};
    for (const member of this.#members ?? this.#layout())
      values[member.name] = member.field.read(bytes, at + member.at);
    return values as Values<S>;
  }

  write(bytes: Uint8Array, at: number, values: Values<S>): void {
    this.#write(bytes, at, values);
  }

  #write(bytes: Uint8Array, at: number, values: Partial<Values<S>>): void {
    for (const member of this.#members ?? this.#layout()) {
      const value = values[member.name];
      if (value !== undefined) member.field.write(bytes, at + member.at, value);
    }
  }

  /** Reads the structure out of `buffer` at byte `at`. @throws RangeError when it does not fit. */
  decode(buffer: Uint8Array, at = 0): Values<S> {
    return this.read(buffer, at);
  }

  /** Makes the bytes of the structure; fields not given are zero. */
  encode(values: Partial<Values<S>>): Uint8Array {
    const buffer = new Uint8Array(this.size);
    this.#write(buffer, 0, values);
    return buffer;
  }

  /** Writes the given fields into `buffer` at byte `at` and leaves the others as they are. */
  encodeInto(buffer: Uint8Array, at: number, values: Partial<Values<S>>): void {
    this.#write(buffer, at, values);
  }
}

/** Declares a structure. `size` may be given where the kernel pads it further than its fields need. */
export function struct<S extends Shape>(shape: S, size?: number): Struct<S> {
  return new Struct(shape, size ?? 0);
}
