import { BaseError } from "../linux/base-error.ts";

/** A value in an image that cannot be: of a foreign kind, out of range, at odds with another. */
export class ImageValueError extends BaseError {
  override readonly name = "ImageValueError";
  readonly kind = "image";
}

/** Something that a process has and that cannot be carried (yet): one clear line naming process and object. */
export class UnsupportedError extends BaseError {
  override readonly name = "UnsupportedError";
  readonly kind = "unsupported";
}
