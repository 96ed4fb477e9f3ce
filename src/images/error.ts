/** The error of images. */

import { BaseError } from "../linux/base-error.ts";
import { errnoName, KernelError } from "../linux/errno.ts";

/** Where in an image an error was met; every part is left out where it makes no sense. */
export interface ImagePlace {
  /** Name of the image file, without its directory. */
  file?: string | undefined;
  /** Index of the entry in the file, from 0; heads (pagemap, ghost file) are not counted. */
  entry?: number | undefined;
  /** Byte offset in the file (in the message, where there is no file). */
  offset?: number | undefined;
  /** The kernel's reason. */
  errno?: number | undefined;
}

/**
 * An image, or a message of the protocol, is missing, damaged or not to be written. `message` is one line, e.g.
 * `core-12.img: bad magic 0x0, wanted 0x54564319 0x55053847`.
 */
export class ImageError extends BaseError {
  override readonly name = "ImageError";
  readonly kind = "image";
  /** What is wrong, without the place. */
  readonly what: string;
  readonly file: string | undefined;
  readonly entry: number | undefined;
  readonly offset: number | undefined;

  constructor(what: string, place: ImagePlace = {}, cause?: unknown) {
    const parts: string[] = [];
    if (place.file !== undefined) parts.push(place.file);
    if (place.entry !== undefined) {
      parts.push(`entry ${place.entry}${place.offset === undefined ? "" : ` at byte ${place.offset}`}`);
    } else if (place.offset !== undefined) {
      parts.push(`byte ${place.offset}`);
    }
    parts.push(what);
    super(parts.join(": "), { object: place.file, errno: place.errno, cause });
    this.what = what;
    this.file = place.file;
    this.entry = place.entry;
    this.offset = place.offset;
  }

  /** The same error with its place made known; `offset` is added to the one it has. */
  at(place: ImagePlace): ImageError {
    const offset =
      this.offset === undefined && place.offset === undefined
        ? undefined
        : (this.offset ?? 0) + (place.offset ?? 0);
    const error = new ImageError(this.what, {
      file: place.file ?? this.file,
      entry: place.entry ?? this.entry,
      offset,
      errno: place.errno ?? this.errno,
    });
    if (this.stack !== undefined) error.stack = this.stack.replace(this.message, error.message);
    return error;
  }
}

/** An ImageError made of a failed system call, e.g. `mm-7.img: cannot open: ENOENT`. */
export function fileError(doing: string, file: string, error: unknown): ImageError {
  const code = error instanceof KernelError ? errnoName(error.errno) : undefined;
  return new ImageError(`cannot ${doing}: ${code ?? String(error)}`, { file }, error);
}
