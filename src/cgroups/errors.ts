/** A control group that cannot be dumped or restored: the message names hierarchy and path. */
export class CgroupError extends Error {
  override readonly name = "CgroupError";
}
