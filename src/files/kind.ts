/**
 * What a kind of open file is: recognised, dumped and restored, side by side in one file; kinds.ts names them all.
 *
 * A dump sees every open file description once, however many descriptors lead to it; a restore opens it once.
 */
import type { ImageDir } from "../images/image-dir.ts";
import type { FdTypes, FileEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import type { ShmemCounts } from "../memory/shmem.ts";
import type { Inherited } from "./inherit-fd.ts";
import type { OpenFile } from "./open-file.ts";
import type { Opened, Wish } from "./open-many.ts";
import type { PathFileDump, PathFileRestore } from "./path-file.ts";

/** How to tell on restore that a file is still the one that was dumped. */
export type FileValidation = "filesize" | "buildid";

export interface FilesDumpOptions {
  /** The largest deleted file that is saved, in bytes of allocated space. */
  readonly ghostLimit: number;
  /** Whether files that lost the name they were opened by, but have others, may be given a new one. */
  readonly linkRemap: boolean;
  /** Whether a device may be reached by a path that now leads to another node of the same device. */
  readonly evasiveDevices: boolean;
  readonly fileValidation: FileValidation;
}

export interface FilesRestoreOptions {
  /** Entries of --inherit-fd: `fd[3]:pipe:[123]`. */
  readonly inheritFd: readonly string[];
  readonly fileValidation: FileValidation;
}

/** What a dump gives its kinds. */
export interface DumpContext {
  readonly images: ImageDir;
  readonly options: FilesDumpOptions;
  /** A number for one more entry of files.img. */
  newId(): number;
  /** Adds an entry to files.img. */
  add(entry: FileEntry): void;
  /** Counts content of shared memory that is stored. */
  countShared(counts: ShmemCounts): void;
  /** Files that have a path. */
  readonly paths: PathFileDump;
}

/** What a restore gives its kinds. */
export interface RestoreContext {
  readonly images: ImageDir;
  readonly options: FilesRestoreOptions;
  readonly inherited: Inherited;
  /** All entries of files.img by their number. */
  readonly entries: ReadonlyMap<number, FileEntry>;
  /** Files that have a path. */
  readonly paths: PathFileRestore;
}

/** Dumps the files of one kind; made once per dump. */
export interface FileDumper {
  /** Adds the entry of a description, numbered `id`. @throws FileDumpError, KernelError, ImageError */
  dump(file: OpenFile, id: number): void;
  /** Writes what is left to write. */
  finish?(): void;
  /** The dump failed: takes back what it changed outside of the images. Never throws. */
  abort?(): void;
}

/** Restores the files of one kind; made once per restore. */
export interface FileRestorer {
  /** Makes the description; gives our descriptor of it, which is the caller's. @throws FileRestoreError */
  open(entry: FileEntry): number;
  /**
   * The same for many at once, where that is faster: gives to `opened` those that it could open, and leaves the others
   * to `open`. After a failure it has given what it opened.
   */
  openMany?(entries: readonly FileEntry[], opened: (entry: FileEntry, fd: number) => void): void;
  /** How a process can open the file itself; undefined where that takes more than opening it. */
  wish?(entry: FileEntry): Wish | undefined;
  /** Sees to it that what a process opened is the file. @throws FileRestoreError */
  opened?(entry: FileEntry, result: Opened): void;
  /** Who gets its signals. */
  owner(entry: FileEntry): FownEntry | undefined;
  /**
   * All flags of a description with O_ASYNC that `open` leaves out: the process itself sets them, as the kernel tells
   * with each signal by which descriptor it was asked for.
   */
  asyncFlags?(entry: FileEntry): number | undefined;
  /** A descriptor to map it by, the caller's. Kinds that cannot be mapped have none. */
  openForMapping?(entry: FileEntry, writable: boolean): number;
  /** Everything is in place: what is to be done last, before anything runs. */
  finish?(): void;
  /** Closes and removes what is left, after a failure or `finish`. Never throws. */
  release?(): void;
}

export interface FileKind {
  readonly type: FdTypes;
  /** Whether an open file is of this kind. */
  recognises(file: OpenFile): boolean;
  dumper(context: DumpContext): FileDumper;
  restorer(context: RestoreContext): FileRestorer;
}
