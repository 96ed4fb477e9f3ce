/**
 * What a plugin is: a module of TypeScript or JavaScript that saves what this program does not know, with CRIU's hooks. See
 * docs/plugins.md.
 *
 *     import type { Plugin } from "criu-ts";
 *     export default { name: "mine", dumpExternalFile(file) { ... } } satisfies Plugin;
 *
 * A hook that says nothing, `undefined` or `false`, leaves what it is asked about to the next plugin and, after the last one, to
 * us, who refuse it. One that throws ends the work. All are called synchronously: there is no event loop.
 */

/** What is being done. */
export type Stage = "dump" | "pre-dump" | "restore";

/** An argument of a system call: a number; bytes, or a text with a zero behind it, by their address. */
export type PluginArgument = number | string | Uint8Array;

/** What a plugin can ask of us. It is the same object in all hooks of a run. */
export interface PluginHost {
  readonly stage: Stage;
  /** The directory of the images, absolute. */
  readonly imagesDir: string;
  /** The value of a variable of the environment that we were started with; process.env may be of another process. */
  environment(name: string): string | undefined;
  /** Writes a file of the plugin's own beside the images, whole; its name begins with the plugin's. @throws Error */
  writeImage(name: string, bytes: Uint8Array): void;
  /** Reads such a file. Undefined where there is none. @throws Error */
  readImage(name: string): Uint8Array | undefined;
  /** At dump: a restore of these images without this plugin is refused. */
  neededAtRestore(): void;
  /** At restore: whether the dump has said so. */
  readonly wasNeeded: boolean;
  /** A system call of ours, by its name: the kernel's result, which is a negative errno on failure. @throws Error for no call */
  syscall(name: string, ...args: PluginArgument[]): number;
  /** A line in the log. */
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}

/** An open file that nobody here knows. */
export interface ExternalFile {
  /** Ours of the same description, to be asked; it is not the plugin's to close. */
  readonly fd: number;
  /** Its number in files.img, by which the restore asks for it. */
  readonly id: number;
  /** One of the processes that have it, in our pid namespace, and its number there; none where it was found in a queue. */
  readonly pid: number;
  readonly number: number | undefined;
  /** What /proc/PID/fd shows of it. */
  readonly link: string;
  /** Of fstat(2): type and permissions; the device that it is. */
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
}

/** Memory that is mapped of a device. */
export interface DeviceMapping {
  /** O_PATH descriptor of the file that is mapped; not the plugin's to close. */
  readonly fd: number;
  readonly pid: number;
  readonly path: string;
  readonly start: number;
  readonly end: number;
  /** Of fstat(2): the device. */
  readonly major: number;
  readonly minor: number;
}

/** Where a mapping of a device is to be mapped from. */
export interface NewMapping {
  /** Offset in the file, in bytes; as it was if not given. */
  readonly offset?: number;
  /** A descriptor to map instead of the path that was mapped; it is ours to close then. */
  readonly fd?: number;
}

/** Members that are functions are hooks: those of CRIU's plugins, named in brackets. */
export interface Plugin {
  /** Not empty; letters, digits, `-` and `_`. */
  readonly name: string;
  /** Called first, before anything is stopped or made. */
  init?(host: PluginHost): void;
  /** Called last where `init` was; with what the work has failed with, if it has: what was paused is to go on then. */
  exit?(host: PluginHost, failure: Error | undefined): void;

  /** Saves an open file that would be refused. [DUMP_EXT_FILE] */
  dumpExternalFile?(file: ExternalFile): boolean | undefined;
  /** Makes such a file again; gives a descriptor of it, which is ours then. [RESTORE_EXT_FILE] */
  restoreExternalFile?(id: number): number | undefined;

  /** Saves a Unix socket, given by our descriptor and its inode, whose peer is not of the tree. [DUMP_UNIX_SK] */
  dumpUnixSocket?(fd: number, inode: number): boolean | undefined;
  /** Makes it again; gives a descriptor, which is ours then. [RESTORE_UNIX_SK] */
  restoreUnixSocket?(inode: number): number | undefined;

  /** Saves a mount, by its path in its namespace, whose origin is not of the tree. [DUMP_EXT_MOUNT] */
  dumpExternalMount?(mountpoint: string, id: number): boolean | undefined;
  /**
   * Makes it again; gives a descriptor, which is ours then, of a mount that is attached nowhere: open_tree(2) with
   * OPEN_TREE_CLONE, or fsmount(2). We give it the attributes that it had, and attach it. [RESTORE_EXT_MOUNT]
   */
  restoreExternalMount?(id: number, mountpoint: string): number | undefined;

  /** Whether a network device of unknown kind is taken care of from outside: its index, ARPHRD type, kind. [DUMP_EXT_LINK] */
  dumpExternalLink?(index: number, type: number, kind: string): boolean | undefined;

  /** Whether the memory behind a mapping of a device is saved by the plugin; we save where it is mapped. [HANDLE_DEVICE_VMA] */
  handleDeviceVma?(mapping: DeviceMapping): boolean | undefined;
  /** Before it is mapped again: where from; undefined to map it as it was. [UPDATE_VMA_MAP] */
  updateVmaMap?(path: string, start: number, offset: number): NewMapping | undefined;

  /** A process, by its pid with us, is about to be stopped: what would disturb that is to stop first. [PAUSE_DEVICES] */
  pauseDevices?(pid: number): boolean | undefined;
  /** All processes are stopped: saves what devices hold of one. [CHECKPOINT_DEVICES] */
  checkpointDevices?(pid: number): boolean | undefined;
  /** All processes have been born, and have no files nor memory of theirs yet. [POST_FORKING] */
  postForking?(): boolean | undefined;
  /** A process is whole, and about to run. What is thrown is logged, and ends nothing. [RESUME_DEVICES_LATE] */
  resumeDevicesLate?(pid: number): boolean | undefined;
}
