/**
 * The file systems that mounts can be of: their number in images, and what is special about each. Content that only the mount
 * keeps alive is dumped (tmpfs.ts, binfmt-misc.ts); the others are mounted anew, or bound from where the machine has them.
 */
import { Fstype } from "../../images/schema/generated/namespaces.ts";

export interface FileSystem {
  readonly code: Fstype;
  /** Its name for fsopen(2). */
  readonly name: string;
  /**
   * Mounted once more, it is the same super block as before: the kernel finds it by namespace or device, or there is only one.
   * The source may differ then.
   */
  readonly isFound?: true;
  /** The machine has one alone: its super block is not to be changed. */
  readonly isCommon?: true;
  /**
   * What a dump does about what is in it: an archive; or nothing, where it is empty, and it is refused where it is not. With
   * neither, what is in it is the kernel's or somebody else's.
   */
  readonly content?: "archive" | "empty";
}

const TABLE: readonly FileSystem[] = [
  { code: Fstype.PROC, name: "proc", isFound: true },
  { code: Fstype.SYSFS, name: "sysfs", isFound: true },
  { code: Fstype.DEVTMPFS, name: "devtmpfs", isFound: true, isCommon: true },
  { code: Fstype.BINFMT_MISC, name: "binfmt_misc", isFound: true },
  { code: Fstype.TMPFS, name: "tmpfs", content: "archive" },
  { code: Fstype.DEVPTS, name: "devpts" },
  { code: Fstype.SIMFS, name: "simfs" },
  { code: Fstype.PSTORE, name: "pstore", isFound: true, isCommon: true, content: "empty" },
  { code: Fstype.MQUEUE, name: "mqueue", isFound: true, content: "empty" },
  { code: Fstype.SECURITYFS, name: "securityfs", isFound: true, isCommon: true },
  { code: Fstype.FUSECTL, name: "fusectl", isFound: true, isCommon: true },
  { code: Fstype.DEBUGFS, name: "debugfs", isFound: true, isCommon: true },
  { code: Fstype.TRACEFS, name: "tracefs", isFound: true, isCommon: true },
  { code: Fstype.CGROUP, name: "cgroup", isFound: true },
  { code: Fstype.CGROUP2, name: "cgroup2", isFound: true },
  { code: Fstype.AUFS, name: "aufs" },
  { code: Fstype.FUSE, name: "fuse" },
  { code: Fstype.OVERLAYFS, name: "overlay" },
  { code: Fstype.AUTOFS, name: "autofs" },
];

/** Of files of namespaces, by which these are kept: it cannot be mounted, only bound from. */
export const NSFS = "nsfs";

/** What can be mounted by its name alone once --enable-fs allows it; which one it is says the image's `fsname`. */
export const AUTO: FileSystem = { code: Fstype.AUTO, name: "auto" };

/** Those that need no leave: for them images have the name alone. */
const BY_NAME: readonly FileSystem[] = [
  { code: Fstype.AUTO, name: "hugetlbfs", content: "empty" },
  { code: Fstype.AUTO, name: "ramfs", content: "archive" },
  { code: Fstype.AUTO, name: "bpf", content: "empty" },
  { code: Fstype.AUTO, name: "configfs", isFound: true, isCommon: true },
  { code: Fstype.AUTO, name: "efivarfs", isFound: true, isCommon: true },
  { code: Fstype.AUTO, name: "selinuxfs", isFound: true, isCommon: true },
  { code: Fstype.AUTO, name: NSFS },
];
/** What nobody knows how to mount. */
export const UNSUPPORTED: FileSystem = { code: Fstype.UNSUPPORTED, name: "unsupported" };

/** By the type in mountinfo, which may have a subtype after a dot. `enabled` are the names that --enable-fs gives. */
export function fileSystemOf(type: string, enabled: ReadonlySet<string>): FileSystem {
  const name = type.split(".")[0] ?? type;
  const known = [...TABLE, ...BY_NAME].find((each) => each.name === name);
  if (known !== undefined) return known;
  return enabled.has("all") || enabled.has(name) ? AUTO : UNSUPPORTED;
}

/** By the number in an image, and the name where that says it; what is not known is unsupported. */
export function fileSystemOfCode(code: number, name: string | undefined): FileSystem {
  if (code === Fstype.AUTO) return BY_NAME.find((each) => each.name === name) ?? AUTO;
  return TABLE.find((each) => each.code === code) ?? UNSUPPORTED;
}

/** The names of --enable-fs, which may be given several times, each time with several between commas. */
export function enabledNames(options: readonly string[]): Set<string> {
  return new Set(options.flatMap((option) => option.split(",")));
}
