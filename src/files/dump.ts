/**
 * The open files of a tree: every table of descriptors (fdinfo-ID.img), every open file description once (files.img and
 * what its kinds have beside it), and where each process stands (fs-PID.img).
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { FdinfoEntry, FileEntry } from "../images/schema/generated/files.ts";
import { KernelError } from "../linux/errno.ts";
import { FD_CLOEXEC, shareTable } from "../linux/fcntl.ts";
import { close, listNumbers, O, open, pidfdOpen, S, withFd } from "../linux/io.ts";
import { ourPid } from "../linux/ourselves.ts";
import type { TreeMounts } from "../linux/path-at.ts";
import type { HostPid, TreeTasks } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import { Level, log } from "../log.ts";
import { Plugins } from "../plugins/plugins.ts";
import type { DumpStats, SharedCounts } from "../stats.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import type { Undo } from "../undo/undo.ts";
import { isZeroDevice } from "./device.ts";
import { FileDumpError } from "./errors.ts";
import { external } from "./external.ts";
import { FdinfoLook } from "./fdinfo.ts";
import { FsDump } from "./fs.ts";
import { Descriptions, type Known } from "./identity.ts";
import type {
  DumpContext,
  FileDumper,
  FileId,
  FileKind,
  FilesDumpOptions,
  NetworkDump,
  TreeNamespaces,
} from "./kind.ts";
import { fileKinds } from "./kinds.ts";
import { LocksDump } from "./locks.ts";
import { OpenFile } from "./open-file.ts";
import { PathFileDump, pathFile } from "./path-file.ts";
import { follow, look, type Sight } from "./survey.ts";
import { unsupported } from "./unsupported.ts";

interface KnownDescription extends Known, FileId {}

/** What of a dump's figures this folder fills in. */
export type FilesDumpStats = Pick<DumpStats, "countShared">;

/** What files are dumped with. */
export interface FilesDumpParts {
  readonly images: ImageDir;
  readonly options: FilesDumpOptions;
  readonly undo: Undo;
  readonly mounts: TreeMounts;
  readonly network: NetworkDump;
  readonly namespaces: TreeNamespaces;
  readonly stats: FilesDumpStats;
  readonly tasks: TreeTasks;
  readonly plugins?: Plugins;
}

export class FilesDump {
  readonly #images: ImageDir;
  readonly #mounts: TreeMounts;
  readonly #tasks: TreeTasks;
  readonly #entries: FileEntry[] = [];
  readonly #dumpers = new Map<FileKind, FileDumper>();
  readonly #paths: PathFileDump;
  readonly #context: DumpContext;
  readonly #fdinfo = new FdinfoLook();
  readonly #locks: LocksDump;
  readonly #descriptions = new Descriptions<KnownDescription>();
  /** What the descriptors of tables lead to, by the number of the table. */
  readonly #tables = new Map<number, ReadonlyMap<number, FileId>>();
  /** The table of a process, and of the thread that it was read of. */
  readonly #tableOf = new Map<HostPid, number>();
  /** Descriptors of ours that descriptions are known by. */
  readonly #ours: number[] = [];
  readonly #fs: FsDump;
  /** What is no descriptor: files that are mapped, executed, stood in. */
  readonly #byMapping = new Map<string, number>();
  readonly #byInode = new Map<string, number>();
  readonly #debug = log.enabled(Level.debug);
  #lastId = 0;

  constructor({
    images,
    options,
    undo,
    mounts,
    network,
    namespaces,
    stats,
    tasks,
    plugins = Plugins.none(),
  }: FilesDumpParts) {
    this.#images = images;
    this.#mounts = mounts;
    this.#tasks = tasks;
    this.#locks = new LocksDump(options.fileLocks, tasks);
    const base = {
      images,
      options,
      undo,
      mounts,
      network,
      namespaces,
      newId: () => ++this.#lastId,
      add: (entry: FileEntry) => void this.#entries.push(entry),
      countShared: (counts: SharedCounts) => stats.countShared(counts),
      describe: (fd: number, where: string) => this.#describeOurs(fd, where),
      holds: (pid: HostPid, number: number) => this.#holds(pid, number),
      find: (ino: number, is: (pid: HostPid, fd: number) => boolean) =>
        this.#descriptions.search(ino, ({ pid, fd }) => is(pid, fd)),
      numberOf: (pid: HostPid, id: number) => this.#numberOf(pid, id),
      tasks,
      plugins,
    };
    this.#fs = new FsDump(images, (dumpee, link, role) => this.#reference(dumpee, link, role));
    this.#paths = new PathFileDump(base);
    this.#context = { ...base, paths: this.#paths };
    this.#dumpers.set(pathFile, this.#paths);
  }

  /**
   * Dumps the table of descriptors, unless a process that shares it was here before, and cwd, root and umask.
   * @throws FileDumpError naming process, descriptor and kind; KernelError, ImageError
   */
  dumpProcess(dumpee: Dumpee): void {
    const { files } = dumpee.ids;
    this.#tableOf.set(dumpee.pid, files);
    this.#tableOf.set(taskOf(dumpee), files);
    if (!this.#tables.has(files)) this.#dumpTable(dumpee);
    this.#fs.dump(dumpee);
  }

  /** The number in files.img of the file under a mapping. @throws as dumpProcess */
  mappedFile(dumpee: Dumpee, mapping: Mapping): number {
    const { major, minor, inode, path, exec } = mapping;
    const key = `${exec ? "x" : ""}${major}:${minor}:${inode}:${path}`;
    let id = this.#byMapping.get(key);
    if (id === undefined) {
      const link = mapFile(mapping);
      id = this.#reference(dumpee, link, link.replace("map_files/", "mapping "), { exec });
      this.#byMapping.set(key, id);
    }
    return id;
  }

  /** The number in files.img of the socket whose rings are mapped. @throws FileDumpError */
  mappedSocket(dumpee: Dumpee, mapping: Mapping): number {
    for (const dumper of this.#dumpers.values()) {
      const id = dumper.mapped?.(mapping, `process ${dumpee.pid}: ${mapFile(mapping)}`);
      if (id !== undefined) return id;
    }
    throw new FileDumpError(
      `process ${dumpee.pid}: ${mapFile(mapping)}: a mapping of ${mapping.path}, which neither this process nor one before it has open`,
    );
  }

  /** The number in files.img of a device that is mapped, if a plugin saves what is behind it. @throws as dumpProcess, PluginError */
  mappedDevice(dumpee: Dumpee, mapping: Mapping): number | undefined {
    const { plugins } = this.#context;
    if (!plugins.has("handleDeviceVma")) return undefined;
    const link = mapFile(mapping);
    const file = OpenFile.reference(
      dumpee.pid,
      "a device",
      open(`/proc/${dumpee.pid}/${link}`, O.PATH),
      this.#tasks,
    );
    const { mode, rdevMajor, rdevMinor } = file.fullStatus;
    const { start, end, path } = mapping;
    const about = { fd: file.copy, pid: dumpee.pid, path, start, end, major: rdevMajor, minor: rdevMinor };
    try {
      if ((mode & S.IFMT) === S.IFREG || isZeroDevice(file) || !plugins.handleDeviceVma(about))
        return undefined;
    } finally {
      file.close();
    }
    return this.#reference(dumpee, link, "a device", { as: pathFile });
  }

  /** The number in files.img of the program that the process runs. @throws as dumpProcess */
  exeFile(dumpee: Dumpee): number {
    return this.#reference(dumpee, "exe", "its executable", { isProgram: true });
  }

  /** Writes the images that are of no one process: all processes have been dumped. @throws as dumpProcess */
  finish(): void {
    for (let before = -1; before !== this.#lastId; ) {
      before = this.#lastId;
      for (const dumper of [...this.#dumpers.values()]) dumper.late?.();
    }
    for (const dumper of this.#dumpers.values()) dumper.finish?.();
    this.#locks.write(this.#images);
    this.#images.writeAll(IMAGES.files, this.#entries);
    this.#closeOurs();
  }

  /** The dump has failed: nothing of ours is left open. Never throws. */
  abort(): void {
    this.#fdinfo.abandon();
    this.#closeOurs();
  }

  /** Names that the dump has given to files, and that stay until a restore has used them. */
  get names(): readonly string[] {
    return this.#paths.names;
  }

  #closeOurs(): void {
    for (const fd of this.#ours.splice(0)) close(fd);
  }

  #holds(pid: HostPid, number: number): FileId | undefined {
    const table = this.#tableOf.get(pid);
    return table === undefined ? undefined : this.#tables.get(table)?.get(number);
  }

  #numberOf(pid: HostPid, id: number): number | undefined {
    const table = this.#tables.get(this.#tableOf.get(pid) ?? 0);
    for (const [number, file] of table ?? []) if (file.id === id) return number;
    return undefined;
  }

  #dumpTable(dumpee: Dumpee): void {
    const tid = taskOf(dumpee);
    const numbers = listNumbers(`/proc/${tid}/fd`);
    this.#fdinfo.expect(numbers.length);
    const sights = look(tid, dumpee.pidfd, numbers);
    const known = sights.map((sight) => this.#descriptions.find(sight.status.ino, tid, sight.fd).known);
    follow(
      tid,
      sights.filter((_, i) => known[i] === undefined),
      this.#mounts,
    );
    const facts = this.#fdinfo.at(dumpee, tid, sights);
    const leadsTo = new Map<number, FileId>();
    const table = sights.map((sight, i): FdinfoEntry => {
      const description =
        known[i] ?? this.#describe(OpenFile.descriptor(tid, dumpee.pidfd, sight, this.#tasks), sight);
      if (facts[i]?.locked === true) this.#dumpLocks(dumpee, tid, sight, description.id);
      const { id, type } = description;
      leadsTo.set(sight.fd, description);
      return { id, flags: facts[i]?.cloexec === true ? FD_CLOEXEC : 0, type, fd: sight.fd };
    });
    this.#tables.set(dumpee.ids.files, leadsTo);
    this.#images.writeAll(IMAGES.fdinfo, table, dumpee.ids.files);
    log.debug("files/dump", `process ${dumpee.pid}: ${table.length} descriptors`);
  }

  #dumpLocks(dumpee: Dumpee, tid: HostPid, sight: Sight, description: number): void {
    const file = OpenFile.descriptor(tid, dumpee.pidfd, sight, this.#tasks);
    try {
      const shares = (owner: HostPid) => shareTable(dumpee.pid, owner);
      this.#locks.dump(file, dumpee.pid, dumpee.ids.files, description, shares);
    } finally {
      file.close();
    }
  }

  /** The description that a descriptor leads to; dumped, if it is the first one that does. `file` is closed. */
  #describe(file: OpenFile, { status, fd }: Sight): FileId {
    try {
      const found = this.#descriptions.find(status.ino, file.pid, fd);
      if (found.known !== undefined) return found.known;
      const kind = kindOf(file) ?? external;
      const description: KnownDescription = { pid: file.pid, fd, id: this.#context.newId(), type: kind.type };
      // Known before it is dumped: a socket may be in its own queue.
      found.of.splice(found.at, 0, description);
      this.#dump(kind, file, description.id);
      return description;
    } finally {
      file.close();
    }
  }

  #describeOurs(fd: number, where: string): FileId {
    this.#ours.push(fd);
    const us = ourPid();
    const [sight] = withFd(pidfdOpen(us), (pidfd) => look(us, pidfd, [fd]));
    if (sight === undefined) throw new FileDumpError(`${where}: it cannot be looked at`);
    const known = this.#descriptions.find(sight.status.ino, us, fd);
    if (known.known !== undefined) return known.known;
    follow(us, [sight], this.#mounts);
    return this.#describe(OpenFile.ours(us, fd, where, sight, this.#tasks), sight);
  }

  #dump(kind: FileKind, file: OpenFile, id: number): void {
    let dumper = this.#dumpers.get(kind);
    if (dumper === undefined) {
      dumper = kind.dumper(this.#context);
      this.#dumpers.set(kind, dumper);
    }
    if (this.#debug) log.debug("files/dump", `${file.where}: ${file.link} is file ${id}`);
    try {
      dumper.dump(file, id);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw new FileDumpError(`${file.where}: ${file.link}: ${error.message}`, { cause: error });
    }
  }

  /** The number of a file that a process refers to otherwise than by a descriptor; equal ones have one number. */
  #reference(dumpee: Dumpee, link: string, role: string, use: Use = {}): number {
    const tid = taskOf(dumpee);
    const file = OpenFile.reference(tid, role, open(`/proc/${tid}/${link}`, O.PATH), this.#tasks);
    try {
      const { dev, ino, mntId } = file.status;
      if (use.isProgram === true) this.#paths.reopening.checkProgram(file);
      else if (use.exec === true) this.#paths.reopening.checkMapped(file);
      const key = `${dev}:${ino}:${mntId}:${file.link}`;
      let id = this.#byInode.get(key);
      if (id === undefined) {
        const kind = use.as ?? kindOf(file);
        if (kind === undefined) throw unsupported(file);
        id = this.#context.newId();
        this.#dump(kind, file, id);
        this.#byInode.set(key, id);
      }
      return id;
    } finally {
      file.close();
    }
  }
}

/** What a file is to a process that has no descriptor of it. */
interface Use {
  /** It is mapped executable. */
  readonly exec?: boolean;
  readonly isProgram?: boolean;
  /** Of this kind, whatever recognises it. */
  readonly as?: FileKind;
}

/** A live thread: a leader that has ended has no files any more. */
function taskOf(dumpee: Dumpee): HostPid {
  return dumpee.frozen.threads[0]?.tid ?? dumpee.pid;
}

/** Where /proc/PID has the file under a mapping. */
function mapFile({ start, end }: Mapping): string {
  return `map_files/${start.toString(16)}-${end.toString(16)}`;
}

function kindOf(file: OpenFile): FileKind | undefined {
  for (const kind of fileKinds) if (kind.recognises(file)) return kind;
  return undefined;
}
