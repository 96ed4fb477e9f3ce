/** A value in an image that cannot be: of a foreign kind, out of range, at odds with another. */
export class ImageValueError extends Error {
  override readonly name = "ImageValueError";
}

/** Something that a process has and that cannot be carried (yet): one clear line naming process and object. */
export class UnsupportedError extends Error {
  override readonly name = "UnsupportedError";
}
