// What a kind of image file is.

import type { Codec } from "./wire.ts";

/** First word of every image but the inventory and the service images. */
export const IMG_COMMON_MAGIC = 0x54564319;
/** First word of images that are not needed for a restore. */
export const IMG_SERVICE_MAGIC = 0x55105940;
/** img_version of an inventory whose images begin with a common magic; the only one that is written. */
export const IMG_VERSION = 2;

/** What the file's name has in the place of `*`: decimal, hexadecimal, or a word. */
export type ImageId = "none" | "decimal" | "hex" | "word";

/** Gives bytes of the file from `offset` on, counted from the first byte after the entry; fails where there are fewer. */
export type Look = (offset: number, length: number) => Uint8Array;

/** One kind of image file whose entries are `T`, after one head `H` where it has one. */
export interface ImageKind<T, H = undefined> {
  /** As `crit` names it, e.g. "CORE". */
  readonly name: string;
  readonly magic: number;
  /** The word before the magic; the inventory has none. */
  readonly first: number | undefined;
  /** File name with `*` where the id stands. */
  readonly file: string;
  readonly id: ImageId;
  readonly codec: Codec<T>;
  readonly head: Codec<NonNullable<H>> | undefined;
  /** How many raw bytes follow an entry, padding included. */
  payload?(entry: T, look: Look): number;
}

/** A kind of any entry type, for code that goes by the table. */
export type AnyImageKind = ImageKind<unknown, unknown>;

/** An image file that is not made of messages. */
export interface RawKind {
  readonly name: string;
  readonly file: string;
  readonly id: ImageId;
}

/** What is not as it is for most kinds. */
interface More<T> {
  /** null where there is none. */
  first?: number | null;
  id?: ImageId;
  payload?(entry: T, look: Look): number;
}

export function idOf(file: string): ImageId {
  return file.includes("*") ? "decimal" : "none";
}

export function kind<T>(
  name: string,
  magic: number,
  file: string,
  codec: Codec<T>,
  more?: More<T>,
): ImageKind<T> {
  return headed(name, magic, file, undefined, codec, more);
}

export function headed<T, H>(
  name: string,
  magic: number,
  file: string,
  head: Codec<NonNullable<H>> | undefined,
  codec: Codec<T>,
  more?: More<T>,
): ImageKind<T, H> {
  const first = more?.first === undefined ? IMG_COMMON_MAGIC : (more.first ?? undefined);
  const made = { name, magic, first, file, id: more?.id ?? idOf(file), codec, head };
  return more?.payload === undefined ? made : { ...made, payload: more.payload };
}
