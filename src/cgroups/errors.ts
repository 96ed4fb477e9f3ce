import { BaseError } from "../linux/base-error.ts";

/** A control group that cannot be dumped or restored: the message names hierarchy and path. */
export class CgroupError extends BaseError {
  override readonly name = "CgroupError";
  readonly kind = "cgroup";
}
