/** An image file whose kind only its magic tells. */
import { FileSource, ImageReader, magicOf } from "../images/image-file.ts";
import { type AnyImageKind, IMAGES, kindOfMagic } from "../images/kinds.ts";
import { read } from "../linux/io.ts";
import { CritError } from "./error.ts";
import { openInput, STANDARD_INPUT } from "./input.ts";
import { isMessage } from "./message-text.ts";

export interface Image {
  readonly kind: AnyImageKind;
  readonly reader: ImageReader<unknown, unknown>;
}

/**
 * Opens an image, standard input where there is no path. The caller closes the reader.
 * @throws CritError where the magic is unknown @throws ImageError, KernelError
 */
export function openImage(path: string | undefined): Image {
  using fd = openInput(path);
  const name = path ?? STANDARD_INPUT;
  const words = new Uint8Array(8);
  const got = read(fd.number, words, 0);
  if (got < 4) throw new CritError(`${name}: this is no image: it has ${got} bytes`);
  // Images of CRIU before 1.7 begin with their own magic at once, as the inventory still does.
  const { first, magic } = magicOf(words.subarray(0, got), name);
  const known = kindOfMagic(magic);
  if (known === undefined) {
    throw new CritError(
      `Unknown magic 0x${magic.toString(16)} in ${name}: not an image of messages (pages and archives have no magic)`,
    );
  }
  const kind: AnyImageKind = { ...known, first };
  const reader = new ImageReader(kind, name, new FileSource(fd.number, name));
  fd.release();
  return { kind: known, reader };
}

/** The kind with this name, as "magic" in the JSON form says it. */
export function kindOfName(name: string): AnyImageKind | undefined {
  return Object.values<AnyImageKind>(IMAGES).find((kind) => kind.name === name);
}

/** A ghost file without chunks is one entry, the head, with the whole content behind it. */
export function isWholeGhost(kind: AnyImageKind, head: unknown): boolean {
  return kind.name === IMAGES.ghost_file.name && isMessage(head) && head.chunks !== true;
}
