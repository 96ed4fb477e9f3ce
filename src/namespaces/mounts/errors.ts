/** What goes wrong with mounts; the message names the mount. */

/** Something that cannot be dumped. */
export class MountDumpError extends Error {
  override readonly name = "MountDumpError";
}

/** Something that cannot be restored: the images ask for it, or the machine lacks it. */
export class MountRestoreError extends Error {
  override readonly name = "MountRestoreError";
}
