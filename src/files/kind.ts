/**
 * What a kind of open file is: recognised, dumped and restored, side by side in one file; kinds.ts names them all.
 *
 * A dump sees every open file description once, however many descriptors lead to it. A restore makes each once, in phases:
 *
 *     make    the bare description, which looks at no other file
 *     wire    what needs others: names, peers, queues with descriptors in them; every file can be asked for by then
 *     (all processes get their descriptors; who gets signals is set; locks and leases are taken by those who had them)
 *     thaw    nothing can fail any more for a reason of the images: what holds a file still is taken away
 */

import type { ImageDir } from "../images/image-dir.ts";
import type { FdTypes, FileEntry, RegFileEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import type { Owners } from "../linux/owners.ts";
import type { MountPaths, TreeMounts } from "../linux/path-at.ts";
import type { HostPid, NsPid, TreeTasks } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import type { SocketNets } from "../namespaces/net/dump.ts";
import type { TreeNets } from "../namespaces/net/restore.ts";
import type { NetworkLock } from "../namespaces/network-lock.ts";
import type { Plugins } from "../plugins/plugins.ts";
import type { SharedCounts } from "../stats.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Undo } from "../undo/undo.ts";
import type { InheritedFds } from "./inherit-fd.ts";
import type { KeptFds } from "./kept-fds.ts";
import type { OpenFile } from "./open-file.ts";
import type { Opened, Wish } from "./open-many.ts";

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
  /** Whether the paths of watched inodes are searched for even where they could be told. */
  readonly forceIrmap: boolean;
  /** Where to search for them besides. */
  readonly irmapScanPath: readonly string[];
  /** Whether a restore will lend its session and its terminal. */
  readonly shellJob: boolean;
  /** Whether a restore will hand the masters of terminals to its caller. */
  readonly orphanPtsMaster: boolean;
  /** Whether files may have other permissions when they are restored. */
  readonly skipFileRwxCheck: boolean;
  /** Whether locks are saved. */
  readonly fileLocks: boolean;
  /** Entries of --external: what a restore will be given. */
  readonly external: readonly string[];
  /** Whether connections of TCP are saved. */
  readonly tcpEstablished: boolean;
  /** Whether they are left to end with the tree. */
  readonly tcpClose: boolean;
  /** Whether those that nobody has accepted yet are passed over. */
  readonly skipInFlight: boolean;
  /**
   * Inode of our socket that leads to whoever asked for the dump, by RPC. If that is of the tree, what is in images/restored.ts
   * is to wait in its end of the connection when it is restored.
   */
  readonly clientSocket?: number | undefined;
  /** --ext-unix-sk: inodes of sockets whose peers may be outside; undefined where the option was not given. */
  readonly extUnixSk: readonly string[] | undefined;
}

export interface FilesRestoreOptions {
  /** Entries of --inherit-fd: `fd[3]:pipe:[123]`. */
  readonly inheritFd: readonly string[];
  readonly fileValidation: FileValidation;
  /** Whether a file may have other permissions than it had. */
  readonly skipFileRwxCheck: boolean;
  /** Whether our session and terminal take the place of those that were outside of the tree. */
  readonly shellJob: boolean;
  /** Takes the master of a terminal whose master was outside of the tree; ours stays open until it has. */
  readonly orphanPtsMaster?: ((master: number) => void) | undefined;
  /** Whether connections of TCP are restored. */
  readonly tcpEstablished: boolean;
  /** Whether their sockets come back closed. */
  readonly tcpClose: boolean;
  /** --ext-unix-sk: undefined where datagram sockets may not be connected to such outside of the tree. */
  readonly extUnixSk: readonly string[] | undefined;
}

/** What becomes of connections during a dump. */
export interface NetworkDump {
  readonly lock: NetworkLock;
  /** Which network namespaces sockets are in. */
  readonly namespaces: SocketNets;
  /** The tree runs on afterwards. */
  readonly leaves: boolean;
}

/** An entry of files.img, as tables of descriptors and queues refer to it. */
export interface FileId {
  readonly id: number;
  readonly type: FdTypes;
}

/** Files that have a path: what other kinds, which have one too, need of them. */
export interface PathFilesDump {
  /** Adds the path of a file as an entry of its own. @throws FileDumpError */
  dump(file: OpenFile, id: number): void;
}

export interface PathFilesRestore {
  /** The path entry `id`. @throws FileRestoreError */
  entryOf(id: number): RegFileEntry;
  /** Opens an entry with flags of the caller's choice and no check; the caller closes it. @throws FileRestoreError */
  openPlain(id: number, flags: number): number;
  /** The same for the file of another name in the directory that the entry is in. @throws FileRestoreError */
  openBeside(id: number, name: string, flags: number): number;
  /**
   * Our O_PATH descriptor of the file without a name that had this device (as the kernel packs it inside) and inode; it stays
   * the restore's. Undefined where there was none.
   */
  ghost(device: number, inode: bigint): number | undefined;
}

/** The namespaces that processes of the tree live in. */
export interface TreeNamespaces {
  /** The number in the images of the one that a link of /proc leads to, `uts:[4026531838]`; undefined for one of no process. */
  find(link: string): number | undefined;
}

/** What a dump gives its kinds. */
export interface DumpContext {
  readonly images: ImageDir;
  readonly options: FilesDumpOptions;
  /** What is changed outside of the images is laid here before: it is undone if the dump fails, or is killed. */
  readonly undo: Undo;
  /** The mounts that files are on. */
  readonly mounts: TreeMounts;
  readonly network: NetworkDump;
  readonly namespaces: TreeNamespaces;
  /** A number for one more entry of files.img. */
  newId(): number;
  /** Adds an entry to files.img. */
  add(entry: FileEntry): void;
  /** Counts content of shared memory that is stored. */
  countShared(counts: SharedCounts): void;
  /**
   * What a descriptor of ours leads to, one that was found in a queue, say: dumped, if no other descriptor has led there
   * before. `fd` is the dump's from now on. `where` names it in errors. @throws FileDumpError
   */
  describe(fd: number, where: string): FileId;
  /**
   * What descriptor `number` of process `pid`, or of a thread of it, leads to; undefined where there is none. All tables are
   * known from {@link FileDumper.late} on.
   */
  holds(pid: HostPid, number: number): FileId | undefined;
  /**
   * The description of inode `ino` of which `is` says that it is the one, asked with a process and a descriptor that lead
   * there. All are known from {@link FileDumper.late} on.
   */
  find(ino: number, is: (pid: HostPid, fd: number) => boolean): FileId | undefined;
  /** Some descriptor of process `pid` that leads to entry `id`; undefined where it has none. */
  numberOf(pid: HostPid, id: number): number | undefined;
  /** Which processes are of the tree, and their numbers in the images. */
  readonly tasks: TreeTasks;
  /** Files that have a path. */
  readonly paths: PathFilesDump;
  /** Who may know what nobody else knows. */
  readonly plugins: Plugins;
}

/** What a restore gives its kinds. */
export interface RestoreContext {
  readonly images: ImageDir;
  readonly options: FilesRestoreOptions;
  /** What is changed outside of the tree is laid here before: it is undone if the restore fails, or is killed. */
  readonly undo: Undo;
  /** Paths are looked up in the mounts of the tree. */
  readonly mounts: MountPaths;
  readonly inherited: InheritedFds;
  /** All entries of files.img by their number. */
  readonly entries: ReadonlyMap<number, FileEntry>;
  /** Our number of a task, group or session of the tree; undefined for one that is not of it. All of them have been born. */
  hostOf(number: NsPid): HostPid | undefined;
  /** Does something while our children are born with numbers of the images. @throws KernelError, whatever `act` throws */
  withNumbers<T>(act: () => T): T;
  /** What we call the owners of files, by the tree's ids; NO_ID for one that has no name here. */
  readonly owners: Owners;
  /** A living process of the tree, once it is born: calls can be made in it. */
  processOf(number: NsPid): Restoree | undefined;
  /** A process that lives in a namespace, by its kind and its number in the images: `self` for ours. All have been born. */
  livesIn(kind: string, number: number): HostPid | "self" | undefined;
  /** The network namespaces of the tree. */
  readonly nets: TreeNets;
  /** A process that is to have entry `id`; any where nobody is. All have been born. */
  holderOf(id: number): Restoree;
  /** Descriptors of ours that are closed when the restore ends, however it ends. */
  readonly kept: KeptFds;
  /** Our descriptor of entry `id`, made if it was not yet; it stays the restore's. @throws FileRestoreError */
  descriptor(id: number): number;
  /** What the numbers of the first table that has entry `id` lead to: entries of files.img. */
  tableWith(id: number): ReadonlyMap<number, number>;
  /** Files that have a path. */
  readonly paths: PathFilesRestore;
  readonly plugins: Plugins;
}

/** Dumps the files of one kind; made once per dump. */
export interface FileDumper {
  /** Adds the entry of a description, numbered `id`. @throws FileDumpError, KernelError, ImageError */
  dump(file: OpenFile, id: number): void;
  /**
   * The tables of all processes have been read: what needs to know them. Called again for as long as some dumper's `late` has
   * found further files. @throws as dump
   */
  late?(): void;
  /** Writes what is left to write. */
  finish?(): void;
  /** The number of the file, one that has no path, that is mapped there, if it is one of this kind. @throws FileDumpError */
  mapped?(mapping: Mapping, where: string): number | undefined;
}

/** A process that has a file, and the descriptor it has it by. */
export interface Holder {
  readonly restoree: Restoree;
  readonly number: number;
  /** Of the descriptor: FD_CLOEXEC. */
  readonly flags: number;
}

/** The root of a tree that is in our session, and its group. */
export interface ShellJob {
  readonly restoree: Restoree;
  readonly group: NsPid;
}

export interface ControllingTerminal {
  /** Our descriptor, the caller's. */
  readonly fd: number;
  /** It came from outside: where it controls another session already that keeps it. */
  readonly fromOutside: boolean;
}

/** Restores the files of one kind; made once per restore. */
export interface FileRestorer {
  /** Makes the bare description; gives our descriptor of it, which is the caller's. @throws FileRestoreError */
  make(entry: FileEntry): number;
  /**
   * Whether it can be made only when all processes have their descriptors and threads: something else takes its place until then.
   */
  isLate?(entry: FileEntry): boolean;
  /** Every file has been made, or can be: gives it what it has of others. `fd` stays the caller's. @throws FileRestoreError */
  wire?(entry: FileEntry, fd: number): void;
  /** All files have been wired. `job` is the root of a tree that is in our session (--shell-job). @throws FileRestoreError */
  wired?(job: ShellJob | undefined): void;
  /** Everything is in place: lets the file work again, by our descriptor, as the last thing before processes run. */
  thaw?(entry: FileEntry, fd: number): void;
  /**
   * The terminal that controls a session; undefined where no file of this kind does. Asked when
   * the session has been made, before others are born into it. @throws FileRestoreError
   */
  controllingTerminal?(session: NsPid): ControllingTerminal | undefined;
  /** Who gets its signals. */
  owner(entry: FileEntry): FownEntry | undefined;
  /**
   * All flags of a description with O_ASYNC that `make` leaves out: the process itself sets them, as the kernel tells
   * with each signal by which descriptor it was asked for.
   */
  asyncFlags?(entry: FileEntry): number | undefined;
  /** A descriptor to map it by, the caller's. Kinds that cannot be mapped have none. */
  openForMapping?(entry: FileEntry, writable: boolean): number;
  /** Opening many at once, for kinds of which there are thousands. */
  readonly many?: ManyOpener;
  /** Everything is in place: what is to be done last for the kind as a whole, before any file thaws. */
  finish?(): void;
  /** The restore has failed, all processes are gone, and our descriptors are about to be closed. Never throws. */
  abort?(): void;
  /** Removes what is left outside of the tree, after a failure or `finish`. Never throws. */
  release?(): void;
}

/** Files that are opened faster together, or by the process itself. */
export interface ManyOpener {
  /**
   * Gives to `made` those that it could open, and leaves the others to `make`. After a failure it has given what it opened.
   */
  openMany(entries: readonly FileEntry[], made: (entry: FileEntry, fd: number) => void): void;
  /** How a process can open the file itself; undefined where that takes more than opening it. */
  wish(entry: FileEntry): Wish | undefined;
  /** Sees to it that what a process opened is the file. @throws FileRestoreError */
  opened(entry: FileEntry, result: Opened): void;
}

export interface FileKind {
  readonly type: FdTypes;
  /** Whether an open file is of this kind. */
  recognises(file: OpenFile): boolean;
  dumper(context: DumpContext): FileDumper;
  restorer(context: RestoreContext): FileRestorer;
}
