/**
 * Kernel structures, declared once by field, read and written through the declaration.
 *
 *     const timespec = struct({ tv_sec: s64, tv_nsec: s64 });
 *     timespec.read(bytes, at).tv_sec
 *
 * Fields stand at their natural alignment, as C lays them out on the kernel's own ABIs; all are little-endian.
 */

/** One kind of field: its size and alignment in bytes and how it is read and written. */
export interface Field<T> {
  readonly size: number;
  readonly align: number;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

function integer<T>(
  size: number,
  read: (view: DataView, at: number) => T,
  write: (view: DataView, at: number, value: T) => void,
): Field<T> {
  return { size, align: size, read, write };
}

export const u8 = integer<number>(
  1,
  (v, at) => v.getUint8(at),
  (v, at, x) => v.setUint8(at, x),
);
export const u16 = integer<number>(
  2,
  (v, at) => v.getUint16(at, true),
  (v, at, x) => v.setUint16(at, x, true),
);
export const u32 = integer<number>(
  4,
  (v, at) => v.getUint32(at, true),
  (v, at, x) => v.setUint32(at, x, true),
);
export const s32 = integer<number>(
  4,
  (v, at) => v.getInt32(at, true),
  (v, at, x) => v.setInt32(at, x, true),
);
/** 64 bits whose top ones can be set: register contents, masks. */
export const u64 = integer<bigint>(
  8,
  (v, at) => v.getBigUint64(at, true),
  (v, at, x) => v.setBigUint64(at, BigInt.asUintN(64, x), true),
);
export const s64 = integer<bigint>(
  8,
  (v, at) => v.getBigInt64(at, true),
  (v, at, x) => v.setBigInt64(at, x, true),
);
/** A user-space address, size or count: 64 bits that fit in a number. Larger values lose their low bits. */
export const word = integer<number>(
  8,
  (v, at) => v.getUint32(at, true) + v.getUint32(at + 4, true) * 0x1_0000_0000,
  (v, at, x) => {
    v.setUint32(at, x % 0x1_0000_0000, true);
    v.setUint32(at + 4, Math.floor(x / 0x1_0000_0000), true);
  },
);

/** A fixed number of raw bytes. Reading copies; writing pads with zeros. */
export function bytes(length: number): Field<Uint8Array> {
  return {
    size: length,
    align: 1,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, length).slice(),
    write: (view, at, value) => {
      const target = new Uint8Array(view.buffer, view.byteOffset + at, length);
      target.fill(0);
      target.set(value.subarray(0, length));
    },
  };
}

/** A fixed number of equal fields. */
export function array<T>(field: Field<T>, length: number): Field<T[]> {
  return {
    size: field.size * length,
    align: field.align,
    read: (view, at) => Array.from({ length }, (_, i) => field.read(view, at + i * field.size)),
    write: (view, at, values) => {
      values.slice(0, length).forEach((value, i) => {
        field.write(view, at + i * field.size, value);
      });
    },
  };
}

export type Shape = Readonly<Record<string, Field<unknown>>>;
export type Values<S extends Shape> = { [K in keyof S]: S[K] extends Field<infer T> ? T : never };

/** A declared structure; also a field, so that structures nest. */
export interface Struct<S extends Shape> extends Field<Values<S>> {
  /** Offset of a field in bytes. */
  readonly offset: { readonly [K in keyof S]: number };
  /** Reads the structure out of `buffer` at byte `at`. @throws RangeError when it does not fit. */
  decode(buffer: Uint8Array, at?: number): Values<S>;
  /** Makes the bytes of the structure; fields not given are zero. */
  encode(values: Partial<Values<S>>): Uint8Array;
  /** Writes the given fields into `buffer` at byte `at` and leaves the others as they are. */
  encodeInto(buffer: Uint8Array, at: number, values: Partial<Values<S>>): void;
}

/** The DataView of a buffer's own bytes. */
export function viewOf(buffer: Uint8Array): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** A field in its place: `at` bytes from the beginning of the structure. */
interface Member {
  readonly name: string;
  readonly field: Field<unknown>;
  readonly at: number;
}

/**
 * Declares a structure. `size` may be given where the kernel pads it further than its fields need.
 *
 * Modules declare their structures as they load, used or not, so this does little: the object of offsets, which takes
 * the most, is made when somebody asks for it.
 */
export function struct<S extends Shape>(shape: S, size?: number): Struct<S> {
  const members: Member[] = [];
  let end = 0;
  let align = 1;
  for (const name in shape) {
    const field = shape[name] as Field<unknown>;
    const at = alignUp(end, field.align);
    members.push({ name, field, at });
    end = at + field.size;
    if (field.align > align) align = field.align;
  }
  const total = size ?? alignUp(end, align);
  let offset: Record<string, number> | undefined;

  function read(view: DataView, at: number): Values<S> {
    const values: Record<string, unknown> = {};
    for (const member of members) values[member.name] = member.field.read(view, at + member.at);
    return values as Values<S>;
  }
  function write(view: DataView, at: number, values: Partial<Values<S>>): void {
    for (const member of members) {
      const value = values[member.name];
      if (value !== undefined) member.field.write(view, at + member.at, value);
    }
  }
  return {
    size: total,
    align,
    get offset() {
      if (offset === undefined) {
        offset = {};
        for (const { name, at } of members) offset[name] = at;
      }
      return offset as { readonly [K in keyof S]: number };
    },
    read,
    write,
    decode: (buffer, at = 0) => read(viewOf(buffer), at),
    encode: (values) => {
      const buffer = new Uint8Array(total);
      write(viewOf(buffer), 0, values);
      return buffer;
    },
    encodeInto: (buffer, at, values) => write(viewOf(buffer), at, values),
  };
}

/** `value` rounded up to a multiple of `alignment`, a power of two. */
function alignUp(value: number, alignment: number): number {
  return (value + alignment - 1) & -alignment;
}
