/**
 * Kernel structures, declared once by field, read and written through the declaration.
 *
 *     const timespec = struct({ tv_sec: s64, tv_nsec: s64 });
 *     timespec.decode(bytes, at).tv_sec
 *
 * Fields stand at their natural alignment, as C lays them out on the kernel's own ABIs; all are little-endian.
 *
 * Modules declare their structures as they load, used or not, so a declaration is laid out when somebody first uses it;
 * and most are used a few times only, so numbers are taken from the bytes by one small function, with no view made first.
 */

/** One kind of field: its size and alignment in bytes and how it is read and written. */
export interface Field<T> {
  readonly size: number;
  readonly align: number;
  read(bytes: Uint8Array, at: number): T;
  write(bytes: Uint8Array, at: number, value: T): void;
}

const HIGH = 0x1_0000_0000;

/** The 32 bits at `at`, unsigned. */
function load(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return (low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
}

function store(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function loadBig(bytes: Uint8Array, at: number): bigint {
  const low = load(bytes, at);
  const high = load(bytes, at + 4);
  // Most values fit in a number.
  return high < 0x20_0000 ? BigInt(high * HIGH + low) : (BigInt(high) << 32n) | BigInt(low);
}

function storeBig(bytes: Uint8Array, at: number, value: bigint): void {
  store(bytes, at, Number(value & 0xffff_ffffn));
  store(bytes, at + 4, Number((value >> 32n) & 0xffff_ffffn));
}

export const u8: Field<number> = {
  size: 1,
  align: 1,
  read: (bytes, at) => bytes[at] ?? 0,
  write: (bytes, at, value) => {
    bytes[at] = value;
  },
};
export const u16: Field<number> = {
  size: 2,
  align: 2,
  read: (bytes, at) => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8),
  write: (bytes, at, value) => {
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
  },
};
export const u32: Field<number> = { size: 4, align: 4, read: load, write: store };
export const s32: Field<number> = {
  size: 4,
  align: 4,
  read: (bytes, at) => load(bytes, at) | 0,
  write: store,
};
/** 64 bits whose top ones can be set: register contents, masks. */
export const u64: Field<bigint> = { size: 8, align: 8, read: loadBig, write: storeBig };
export const s64: Field<bigint> = {
  size: 8,
  align: 8,
  read: (bytes, at) => BigInt.asIntN(64, loadBig(bytes, at)),
  write: storeBig,
};
/** A user-space address, size or count: 64 bits that fit in a number. Larger values lose their low bits. */
export const word: Field<number> = {
  size: 8,
  align: 8,
  read: (bytes, at) => load(bytes, at + 4) * HIGH + load(bytes, at),
  write: (bytes, at, value) => {
    store(bytes, at, value);
    store(bytes, at + 4, Math.floor(value / HIGH));
  },
};

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

/** The DataView of a buffer's own bytes. */
export function viewOf(buffer: Uint8Array): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** A declared structure; also a field, so that structures nest. */
export class Struct<S extends Shape> implements Field<Values<S>> {
  readonly #shape: S;
  readonly #given: number | undefined;
  #offset: { [K in keyof S]: number } | undefined;
  #size = 0;
  #align = 1;

  constructor(shape: S, size: number | undefined) {
    this.#shape = shape;
    this.#given = size;
  }

  #layout(): { [K in keyof S]: number } {
    const offset = {} as { [K in keyof S]: number };
    let end = 0;
    let most = 1;
    for (const name in this.#shape) {
      const { size, align } = this.#shape[name] as Field<unknown>;
      if (align > most) most = align;
      const at = (end + align - 1) & -align;
      offset[name] = at;
      end = at + size;
    }
    this.#align = most;
    this.#size = this.#given ?? (end + most - 1) & -most;
    this.#offset = offset;
    return offset;
  }

  #check(bytes: Uint8Array, at: number): void {
    if (at < 0 || at + this.#size > bytes.length) {
      throw new RangeError(`a structure of ${this.#size} bytes at ${at} of ${bytes.length}`);
    }
  }

  get size(): number {
    if (this.#offset === undefined) this.#layout();
    return this.#size;
  }

  get align(): number {
    if (this.#offset === undefined) this.#layout();
    return this.#align;
  }

  /** Offset of a field in bytes. */
  get offset(): { readonly [K in keyof S]: number } {
    return this.#offset ?? this.#layout();
  }

  read(bytes: Uint8Array, at: number): Values<S> {
    const offset = this.#offset ?? this.#layout();
    this.#check(bytes, at);
    const values = {} as Values<S>;
    for (const name in offset)
      values[name] = (this.#shape[name] as Field<Values<S>[typeof name]>).read(bytes, at + offset[name]);
    return values;
  }

  write(bytes: Uint8Array, at: number, values: Values<S>): void {
    this.encodeInto(bytes, at, values);
  }

  /** Reads the structure out of `buffer` at byte `at`. @throws RangeError when it does not fit. */
  decode(buffer: Uint8Array, at = 0): Values<S> {
    return this.read(buffer, at);
  }

  /** Makes the bytes of the structure; fields not given are zero. */
  encode(values: Partial<Values<S>>): Uint8Array {
    const buffer = new Uint8Array(this.size);
    this.encodeInto(buffer, 0, values);
    return buffer;
  }

  /** Writes the given fields into `buffer` at byte `at` and leaves the others as they are. */
  encodeInto(buffer: Uint8Array, at: number, values: Partial<Values<S>>): void {
    const offset = this.#offset ?? this.#layout();
    this.#check(buffer, at);
    for (const name in values) {
      const value = values[name];
      const field: Field<unknown> | undefined = this.#shape[name];
      if (value !== undefined) field?.write(buffer, at + offset[name], value);
    }
  }
}

/** Declares a structure. `size` may be given where the kernel pads it further than its fields need. */
export function struct<S extends Shape>(shape: S, size?: number): Struct<S> {
  return new Struct(shape, size);
}
