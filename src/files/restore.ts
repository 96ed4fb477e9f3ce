/**
 * The open files of a tree, brought back: every description is opened once, by us, and fetched by every process that
 * has a descriptor of it.
 */

import type { ImageDir } from "../images/image-dir.ts";
import { type FdinfoEntry, type FileEntry, RemapType } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { NEW } from "../linux/clone.ts";
import { ERRNO } from "../linux/errno.ts";
import { FD_CLOEXEC } from "../linux/fcntl.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { MountPaths } from "../linux/path-at.ts";
import { CALLER, type NsPid, nsPid } from "../linux/pid.ts";
import { syscall } from "../linux/syscall.ts";
import { TIOC } from "../linux/tty.ts";
import { Level, log } from "../log.ts";
import type { TreeNets } from "../namespaces/net/restore.ts";
import type { Connection } from "../namespaces/network-lock.ts";
import { Plugins } from "../plugins/plugins.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Undo } from "../undo/undo.ts";
import { FileRestoreError, restoring } from "./errors.ts";
import { FileImages } from "./file-images.ts";
import { FsRestore } from "./fs.ts";
import { InheritedFds } from "./inherit-fd.ts";
import { allowDescriptors, countInPlace, installDescriptors, MANY } from "./install.ts";
import { KeptFds } from "./kept-fds.ts";
import type {
  FileKind,
  FileRestorer,
  FilesRestoreOptions,
  Holder,
  RestoreContext,
  ShellJob,
} from "./kind.ts";
import { fileKinds } from "./kinds.ts";
import { armLocks } from "./locks.ts";
import type { Opened, Wanted, Wish } from "./open-many.ts";
import { restoreOwner, restoreSignal } from "./owner.ts";
import { PathFileRestore, pathFile } from "./path-file.ts";
import { readRemaps } from "./remap.ts";
import { lockedConnections } from "./sockets/inet-restore.ts";

/** Of ours beside the descriptions: images, the pages of processes at work, the log, what Bun has. */
const SPARE_DESCRIPTORS = 1024;

/** An open file description. */
interface Description {
  readonly entry: FileEntry;
  readonly restorer: FileRestorer;
  /** Descriptors that are still to be made of it. */
  wanted: number;
  /** Ours, once it is made. */
  fd: number | undefined;
  /** Whether something else stands in its place until all processes have their descriptors. */
  readonly isLate: boolean;
  /** Of one that is made late: who has it. */
  readonly holders: Holder[];
}

/** The tree that the files are restored for. */
export type RestoredTree = Pick<
  RestoreContext,
  "hostOf" | "processOf" | "owners" | "livesIn" | "nets" | "withNumbers"
>;

/** What files are restored with. */
export interface FilesRestoreParts {
  readonly images: ImageDir;
  readonly options: FilesRestoreOptions;
  readonly undo: Undo;
  readonly mounts: MountPaths;
  /** Numbers of the tables of descriptors that processes have. */
  readonly tables: ReadonlySet<number>;
  readonly tree: RestoredTree;
  readonly plugins?: Plugins;
}

export class FilesRestore {
  /** Root, working directory and umask of processes. */
  readonly fs: FsRestore;
  readonly #images: ImageDir;
  readonly #saved: FileImages;
  readonly #restorers = new Map<FileKind, FileRestorer>();
  readonly #paths: PathFileRestore;
  readonly #context: RestoreContext;
  readonly #kept = new KeptFds();
  readonly #descriptions = new Map<number, Description>();
  /** Made, and not yet wired. */
  readonly #unwired: Description[] = [];
  readonly #forMapping = new Map<string, number>();
  /** What install.ts knows of the calls that it has made. */
  readonly #calls = new Map<string, object>();
  readonly #directories = new Map<number, number>();
  /** Descriptions whose owner is to be set when all processes are there. */
  readonly #owned: { fd: number; owner: FownEntry; what: string; last: boolean }[] = [];
  readonly #debug = log.enabled(Level.debug);
  /** Who has which table, once they are born. */
  #holders: ReadonlyMap<number, Restoree> = new Map();

  /** Reads the images. @throws FileRestoreError, ImageError */
  constructor({ images, options, undo, mounts, tables, tree, plugins = Plugins.none() }: FilesRestoreParts) {
    this.#images = images;
    this.#saved = new FileImages(images, tables);
    const base = {
      images,
      options,
      undo,
      mounts,
      inherited: new InheritedFds(options.inheritFd),
      entries: this.#saved.entries,
      kept: this.#kept,
      hostOf: (number: NsPid) => tree.hostOf(number),
      withNumbers: <T>(act: () => T) => tree.withNumbers(act),
      processOf: (number: NsPid) => tree.processOf(number),
      owners: tree.owners,
      livesIn: (kind: string, number: number) => tree.livesIn(kind, number),
      nets: tree.nets,
      holderOf: (id: number) => this.#holderOf(id),
      descriptor: (id: number) => this.#descriptor(id),
      tableWith: (id: number) => this.#saved.tableWith(id),
      plugins,
    };
    this.#paths = new PathFileRestore(base);
    this.#context = { ...base, paths: this.#paths };
    this.#restorers.set(pathFile, this.#paths);
    this.fs = new FsRestore(images, mounts, (id) => this.#directory(id));
    for (const entry of this.#saved.entries.values()) mentionNets(entry, tree.nets);
    for (const table of this.#saved.tables.values()) this.#count(table);
    allowDescriptors(CALLER, this.#saved.entries.size + SPARE_DESCRIPTORS);
  }

  /** Processes that have ended, of which files of /proc are open: something must stand in for them meanwhile. */
  ended(): Set<NsPid> {
    const numbers = new Set<NsPid>();
    for (const { type, remapId } of readRemaps(this.#images).values())
      if (type === RemapType.PROCFS) numbers.add(nsPid(remapId));
    return numbers;
  }

  /** All numbers that descriptors of any process have. */
  descriptorNumbers(): Set<number> {
    const numbers = new Set<number>();
    for (const table of this.#saved.tables.values()) for (const { fd } of table) numbers.add(fd);
    return numbers;
  }

  /** Our descriptor of file `id`, to map it by; it stays ours. @throws FileRestoreError */
  openForMapping(id: number, writable: boolean): number {
    const key = `${id}:${writable}`;
    let fd = this.#forMapping.get(key);
    if (fd === undefined) {
      const entry = this.#saved.entries.get(id);
      if (entry === undefined)
        throw new FileRestoreError(`files.img: there is no file ${id}, which is mapped`);
      const restorer = this.#restorerOf(entry);
      if (restorer.openForMapping === undefined) {
        throw new FileRestoreError(`files.img: file ${id} is of kind ${entry.type}, which cannot be mapped`);
      }
      fd = this.#kept.keep(restorer.openForMapping(entry, writable));
      this.#forMapping.set(key, fd);
    }
    return fd;
  }

  /** The same of a device, which a plugin may have mapped from somewhere else. @throws FileRestoreError, PluginError */
  deviceForMapping(
    id: number,
    writable: boolean,
    start: number,
    offset: number,
  ): { readonly fd: number; readonly offset: number } {
    const { name } = this.#paths.entryOf(id);
    const found = this.#context.plugins.updateVmaMap(name, start, offset);
    const fd = found?.fd === undefined ? this.openForMapping(id, writable) : this.#kept.keep(found.fd);
    return { fd, offset: found?.offset ?? offset };
  }

  /**
   * Makes all files that take more than being opened, and gives them what they have of each other. All processes have been
   * born: `holders` are those that have the tables, by their numbers; `job` is the root where it is in our session.
   * @throws FileRestoreError, KernelError
   */
  wire(holders: ReadonlyMap<number, Restoree>, job: ShellJob | undefined): void {
    this.#holders = holders;
    for (const description of this.#descriptions.values())
      if (description.restorer.wire !== undefined) this.#made(description);
    // Wiring makes further ones: those in queues.
    for (let next = this.#unwired.shift(); next !== undefined; next = this.#unwired.shift()) {
      const { entry, restorer, fd } = next;
      if (fd !== undefined) restorer.wire?.(entry, fd);
    }
    for (const restorer of this.#restorers.values()) restorer.wired?.(job);
  }

  /**
   * Makes the descriptors of table `filesId` in a process whose only descriptor is `restoree.ourPidfd`. Calls may be left
   * in its table: what is returned is to be called when it has run. @throws FileRestoreError, KernelError
   */
  restoreTable(restoree: Restoree, filesId: number): () => void {
    const table = this.#saved.tables.get(filesId) ?? [];
    const inPlace = table.length < MANY ? 0 : countInPlace(table, restoree.ourPidfd);
    const descriptions: Description[] = [];
    const wishes: (Wish | undefined)[] = [];
    const others: Description[] = [];
    for (const info of table) {
      const description = this.#describe(info, filesId);
      const wish = descriptions.length < inPlace ? wishOf(description) : undefined;
      descriptions.push(description);
      wishes.push(wish);
      if (wish === undefined) others.push(description);
    }
    if (table.length >= MANY) this.#openMany(others);
    const wanted = table.map(({ fd, id, flags }, i): Wanted => {
      if (fd === restoree.ourPidfd)
        throw new FileRestoreError(`fdinfo-${filesId}.img: descriptor ${fd} is in use`);
      const wish = wishes[i];
      if (wish !== undefined) return { number: fd, source: wish, flags, asyncFlags: undefined, id };
      const description = descriptions[i] as Description;
      const source = this.#made(description);
      const { holders, isLate } = description;
      if (isLate) holders.push({ restoree, number: fd, flags });
      const asyncFlags = description.restorer.asyncFlags?.(description.entry);
      return { number: fd, source, flags, asyncFlags, id };
    });
    const opened = ({ id }: Wanted, result: Opened) => {
      const description = this.#descriptions.get(id);
      description?.restorer.many?.opened(description.entry, result);
    };
    const installed = installDescriptors(restoree, wanted, inPlace, opened, this.#calls);
    return () => {
      installed();
      for (const description of descriptions) this.#used(description);
      log.debug("files/restore", `process ${restoree.pid}: ${table.length} descriptors`);
    };
  }

  /**
   * All processes have their files: says who gets signals, and adds to the tables of processes what only they can do: locks and
   * leases. @throws KernelError, FileRestoreError
   */
  arm(): void {
    this.#restoreOwners();
    armLocks(this.#context);
  }

  /** Whether files have to be made when all threads are there. */
  get hasLate(): boolean {
    for (const { isLate } of this.#descriptions.values()) if (isLate) return true;
    return false;
  }

  /** All processes have their descriptors and threads: makes the files that wait for that. @throws FileRestoreError, KernelError */
  makeLate(): void {
    for (const { entry, restorer, holders, isLate } of this.#descriptions.values()) {
      if (!isLate) continue;
      const fd = this.#kept.keep(restorer.make(entry));
      const what = `file ${entry.id}`;
      for (const { restoree, number, flags } of holders) {
        const { table } = restoree;
        const inside = restoree.fetch(what, fd);
        table.must(what, NR.dup3, inside, number, (flags & FD_CLOEXEC) === 0 ? 0 : O.CLOEXEC);
        table.must(what, NR.close, inside);
        table.run();
      }
    }
  }

  /**
   * Gives a process that has just made its session the terminal that controls it. Before it bears others: they inherit it.
   * @throws FileRestoreError, KernelError
   */
  giveTerminal(restoree: Restoree, session: NsPid): void {
    for (const restorer of [...this.#restorers.values()]) {
      const terminal = restorer.controllingTerminal?.(session);
      if (terminal === undefined) continue;
      const { fd, fromOutside } = terminal;
      const { table } = restoree;
      const what = `the terminal of session ${session}`;
      const inside = restoree.fetch(what, this.#kept.keep(fd));
      const taken = table.call(NR.ioctl, inside, TIOC.SCTTY, fromOutside ? 0 : 1);
      table.must(what, NR.close, inside);
      table.run();
      if (fromOutside && taken.raw === -ERRNO.EPERM)
        log.warn(
          "files/restore",
          `${what} controls another one already: it has none now, and no job control`,
        );
      else taken.checked(what);
      this.#kept.drop(fd);
    }
  }

  #restoreOwners(): void {
    for (const { fd, owner, what, last } of this.#owned.splice(0)) {
      restoring(what, () => {
        const { owners } = this.#context;
        const named = { ...owner, uid: owners.uid(owner.uid), euid: owners.uid(owner.euid) };
        restoreOwner(fd, named, this.#context.hostOf(owner.pid), what);
      });
      if (last) this.#kept.drop(fd);
    }
  }

  /** Connections that the dump has locked; of none, if they are not restored. @throws FileRestoreError */
  lockedConnections(): Connection[] {
    return this.#context.options.tcpClose
      ? []
      : lockedConnections(this.#saved.entries.values(), this.#context.nets);
  }

  /**
   * All processes have what they need, and none runs yet: does what has to come last, and closes what is ours.
   * @throws FileRestoreError, KernelError
   */
  finish(): void {
    // First what may fail.
    for (const restorer of this.#restorers.values()) restorer.finish?.();
    for (const { entry, restorer, fd } of this.#descriptions.values())
      if (fd !== undefined) restorer.thaw?.(entry, fd);
  }

  /** The restore has failed, and all processes are gone: closes what is ours. Never throws. */
  abort(): void {
    for (const restorer of this.#restorers.values()) restorer.abort?.();
    this.close();
  }

  /** The restore is over: closes what is ours. Never throws. */
  close(): void {
    this.#kept[Symbol.dispose]();
    this.#descriptions.clear();
    this.#forMapping.clear();
    this.#directories.clear();
    for (const restorer of this.#restorers.values()) restorer.release?.();
  }

  /** Takes note of how many descriptors of a table lead to each description. */
  #count(table: readonly FdinfoEntry[]): void {
    for (const { id } of table) {
      const known = this.#descriptions.get(id);
      if (known !== undefined) known.wanted++;
      else {
        const entry = this.#saved.entries.get(id);
        // It is told off when the table is made.
        if (entry !== undefined) this.#add(entry, 1);
      }
    }
  }

  #add(entry: FileEntry, wanted: number): Description {
    const restorer = this.#restorerOf(entry);
    const isLate = restorer.isLate?.(entry) === true;
    const description: Description = { entry, restorer, wanted, fd: undefined, holders: [], isLate };
    this.#descriptions.set(entry.id, description);
    return description;
  }

  #descriptor(id: number): number {
    const entry = this.#saved.entries.get(id);
    if (entry === undefined) throw new FileRestoreError(`files.img: there is no file ${id}`);
    return this.#made(this.#descriptions.get(id) ?? this.#add(entry, 0));
  }

  #holderOf(id: number): Restoree {
    let any: Restoree | undefined;
    for (const [filesId, restoree] of this.#holders) {
      any ??= restoree;
      if (this.#saved.has(filesId, id)) return restoree;
    }
    if (any === undefined) throw new Error("no process has files");
    return any;
  }

  #describe(info: FdinfoEntry, filesId: number): Description {
    const entry = this.#saved.entryAt(info, filesId);
    return this.#descriptions.get(entry.id) ?? this.#add(entry, 1);
  }

  /** Opens what its restorer opens faster together with others. */
  #openMany(descriptions: readonly Description[]): void {
    const groups = new Map<FileRestorer, Map<FileEntry, Description>>();
    for (const description of descriptions) {
      const { restorer, entry } = description;
      if (description.fd !== undefined || restorer.many === undefined) continue;
      const group = groups.get(restorer);
      if (group === undefined) groups.set(restorer, new Map([[entry, description]]));
      else group.set(entry, description);
    }
    for (const [restorer, group] of groups) {
      restorer.many?.openMany([...group.keys()], (entry, fd) => {
        const description = group.get(entry);
        if (description !== undefined) this.#take(description, fd);
      });
    }
  }

  /** Our descriptor of a description, which is made if it was not yet. */
  #made(description: Description): number {
    const { fd, entry, restorer, isLate } = description;
    if (fd !== undefined) return fd;
    return this.#take(description, isLate ? placeholder() : restorer.make(entry));
  }

  #take(description: Description, fd: number): number {
    const { entry, restorer } = description;
    description.fd = this.#kept.keep(fd);
    if (restorer.wire !== undefined) this.#unwired.push(description);
    const owner = restorer.owner(entry);
    if (owner !== undefined && owner.signum !== 0) {
      restoring(`files.img: file ${entry.id}: its signal ${owner.signum}`, () => restoreSignal(fd, owner));
    }
    if (this.#debug) log.debug("files/restore", `file ${entry.id} is open as ${fd}`);
    return fd;
  }

  /** One more descriptor of a description is made; after the last one it mostly needs not stay open here. */
  #used(description: Description): void {
    const { fd, entry, restorer } = description;
    if (fd === undefined || --description.wanted > 0) return;
    const owner = restorer.owner(entry);
    const isOwned = owner !== undefined && owner.pid !== 0;
    const last = (restorer.wire ?? restorer.thaw) === undefined;
    if (isOwned) this.#owned.push({ fd, owner, what: `files.img: file ${entry.id}`, last });
    if (!last) return;
    description.fd = undefined;
    if (!isOwned) this.#kept.drop(fd);
  }

  #directory(id: number): number {
    let fd = this.#directories.get(id);
    if (fd === undefined) {
      fd = this.#kept.keep(this.#paths.openDirectory(id));
      this.#directories.set(id, fd);
    }
    return fd;
  }

  #restorerOf(entry: FileEntry): FileRestorer {
    const kind = kindOf(entry);
    if (kind === undefined) {
      throw new FileRestoreError(
        `files.img: file ${entry.id} is of kind ${entry.type}, which cannot be restored yet`,
      );
    }
    let restorer = this.#restorers.get(kind);
    if (restorer === undefined) {
      restorer = kind.restorer(this.#context);
      this.#restorers.set(kind, restorer);
    }
    return restorer;
  }
}

/** What stands in the place of a file that is made late. @throws KernelError */
function placeholder(): number {
  return syscall("", NR.eventfd2, 0, O.CLOEXEC);
}

function wishOf({ entry, restorer, wanted, fd, isLate }: Description): Wish | undefined {
  if (fd !== undefined || wanted !== 1 || isLate) return undefined;
  const owner = restorer.owner(entry);
  if (owner !== undefined && (owner.pid !== 0 || owner.signum !== 0)) return undefined;
  const wish = restorer.many?.wish(entry);
  // The directory that it is looked up from is ours.
  return wish?.lookUp === undefined ? wish : undefined;
}

function kindOf(entry: FileEntry): FileKind | undefined {
  for (const kind of fileKinds) if (kind.type === entry.type) return kind;
  return undefined;
}

/** A socket may be in a network namespace that no process lives in. */
function mentionNets({ isk, usk, psk, nlsk, tunf, nsf }: FileEntry, nets: TreeNets): void {
  const number = (isk ?? usk ?? psk ?? nlsk ?? tunf)?.ns_id;
  if (number !== undefined) nets.mention(number);
  if (nsf?.ns_cflag === NEW.NET) nets.mention(nsf.ns_id);
}
