/** Names and the directories that they are looked up in. */
import { ERRNO } from "./errno.ts";
import { AT, O } from "./io.ts";
import { NR } from "./nr.ts";
import { type FileStatus, statusAt, statusOf } from "./statx.ts";
import { pathAddress, rawSyscall } from "./syscall.ts";

/** A name as the calls that end in "at" take it. */
export interface PathAt {
  /** A descriptor of ours; AT.FDCWD where the path is absolute. */
  readonly directory: number;
  readonly path: string;
}

/** A path of a tree that is being restored: of its mount namespace, and on which mount. */
export interface MountPath {
  /** The number of the mount in the images; undefined where they do not tell. */
  readonly mount: number | undefined;
  readonly path: string;
}

/** Paths of a tree that is being restored, in the mounts that its files were on. */
export interface MountPaths {
  /** Opens a path on its mount; it leads nowhere else. Gives the raw result of open(2), with O_CLOEXEC. @throws MountRestoreError */
  open(at: MountPath, flags: number, mode?: number): number;
  /**
   * How to make something at a path: its directory stays open until the command ends, and is the same for all mounts of a file
   * system, read-only ones too. @throws MountRestoreError, KernelError where the directory cannot be opened
   */
  place(at: MountPath): PathAt;
  /**
   * The master of terminal `index` among those of the mount that a path is on, where it was opened already, for its slave is mounted
   * somewhere; the caller's.
   */
  takeTerminal(at: MountPath, index: number): number | undefined;
  /** Whether a process that is born now has this directory, which is lent, for its root. */
  isRoot(directory: number): boolean;
  /** As what a path is looked up; undefined where the mounts are ours, and absolute paths do. @throws as open */
  lookUp(at: MountPath): LookUp | undefined;
}

/** What openat2(2) takes: a path in a directory, and RESOLVE flags. An empty path is what the directory's descriptor is open at, which may be a file. */
export interface LookUp extends PathAt {
  readonly resolve: number;
}

/** A mount, and where it is in its namespace. */
export interface ShowingMount {
  /** As statx(2) and images have it. */
  readonly id: number;
  readonly mountpoint: string;
  readonly readOnly: boolean;
}

/** The mounts of a tree that is being dumped, where they are not ours. */
export interface TreeMounts {
  /** Whether the root of the tree lives in a mount namespace of its own. */
  readonly any: boolean;
  /**
   * From where the paths of files are looked up that are on a mount of this number (statx): the root of its namespace; AT.FDCWD
   * where that is ours.
   */
  rootFor(mount: number): number;
  /** Whether it is one of the tree's. */
  has(mount: number): boolean;
  /** As what a path from the root of the tree's mount namespace is looked up, or of that which has a mount of this number. */
  fromRoot(path: string, mount?: number): PathAt;
  /** Where the mounts of a file system are, which may be covered. */
  onDevice(device: number): PathAt[];
  /** What stands at a path on a mount that is covered by others; a negative errno where nothing can be reached. @throws KernelError */
  lookUnder(mount: number, path: string): FileStatus | number;
  /** A mount whose root is this file, which has lost its name: it comes back with the mount. That of the status, if several are. */
  showsDeleted(status: FileStatus): ShowingMount | undefined;
  /** How to make something at a path; its directory stays open until the command ends. @throws KernelError */
  place(mount: number, path: string): PathAt;
}

/** Nothing has this name. What cannot be told (ELOOP, EACCES) is for the one who opens it to say. */
export function isAbsentAt({ directory, path }: PathAt): boolean {
  return rawSyscall(NR.faccessat, directory, pathAddress(path), 0) === -ERRNO.ENOENT;
}

/** A name beside another one. */
export function withName(at: PathAt, name: (path: string) => string): PathAt {
  return { directory: at.directory, path: name(at.path) };
}

/** As we see it. */
export function ourPath(path: string): PathAt {
  return { directory: AT.FDCWD, path };
}

/** Paths where the tree lives in our own mount namespace. */
export const OUR_PATHS: MountPaths = {
  open: ({ path }, flags, mode = 0) =>
    rawSyscall(NR.openat, AT.FDCWD, pathAddress(path), flags | O.CLOEXEC, mode),
  place: ({ path }) => ourPath(path),
  isRoot(directory) {
    const theirs = statusOf(directory);
    const ours = statusAt(AT.FDCWD, pathAddress("/"));
    return typeof ours !== "number" && ours.dev === theirs.dev && ours.ino === theirs.ino;
  },
  takeTerminal: () => undefined,
  lookUp: () => undefined,
};

/** The same for a dump. */
export const OUR_MOUNTS: TreeMounts = {
  any: false,
  rootFor: () => AT.FDCWD,
  has: () => true,
  fromRoot: ourPath,
  onDevice: () => [],
  lookUnder: () => -ERRNO.ENOENT,
  showsDeleted: () => undefined,
  place: (_, path) => ourPath(path),
};
