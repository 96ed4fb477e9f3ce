/** What goes wrong with mounts; the message names the mount. */

import { BaseError } from "../../linux/base-error.ts";

/** Something that cannot be dumped. */
export class MountDumpError extends BaseError {
  override readonly name = "MountDumpError";
  readonly kind = "mount";
}

/** Something that cannot be restored: the images ask for it, or the machine lacks it. */
export class MountRestoreError extends BaseError {
  override readonly name = "MountRestoreError";
  readonly kind = "mount";
}
