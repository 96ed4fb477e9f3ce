/**
 * Files that have, or had, a path: regular files, directories, plain devices, and symbolic links (opened with O_PATH).
 * In the images all of them are "reg", and so are cwd, root, the executable and what is mapped; a FIFO has a part here.
 *
 * The path is what /proc shows of the descriptor. It counts only if the very inode stands there; if not, the file is a
 * ghost (ghost.ts) or has lost this one of its names (link-remap.ts).
 */
import { FdTypes, type FileEntry, type RegFileEntry, RemapType } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { errnoName } from "../linux/errno.ts";
import { F } from "../linux/fcntl.ts";
import { close, O, openAt, S, SEEK, selfPath, withFd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { ShowingMount } from "../linux/path-at.ts";
import { type FileStatus, FS_MAGIC, fullStatusOf, statusAt, statusOf } from "../linux/statx.ts";
import { checkResult, pathAddress, rawSyscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { devicePosition, isDevice, isPlainDevice, NO_OFFSET, sameDevice } from "./device.ts";
import { FileDumpError, type FileRestoreError, restoring } from "./errors.ts";
import { checkContent, compareStatus, noteContent } from "./file-validation.ts";
import { GhostDump } from "./ghost.ts";
import type {
  DumpContext,
  FileDumper,
  FileKind,
  FileRestorer,
  ManyOpener,
  PathFilesDump,
  PathFilesRestore,
  RestoreContext,
} from "./kind.ts";
import { LinkRemapDump } from "./link-remap.ts";
import { failureOf, type NamedFile, NamedFiles, pathOf, placeOf } from "./named-files.ts";
import { semaphorePath } from "./named-semaphore.ts";
import type { OpenFile } from "./open-file.ts";
import { LONGEST, type Opened, openMany, type Wish } from "./open-many.ts";
import { openPath, parentOf, saysDeleted, withoutDeleted } from "./path.ts";
import { Remaps } from "./remap.ts";
import { Reopening } from "./reopening.ts";
import { withAsync } from "./status-flags.ts";

export const pathFile: FileKind = {
  type: FdTypes.REG,
  recognises(file) {
    switch (file.format) {
      case S.IFREG:
      case S.IFDIR:
      case S.IFLNK:
        return file.link.startsWith("/");
      case S.IFCHR:
      case S.IFBLK:
        return isPlainDevice(file);
      default:
        // Anything that has a path can be opened by it with O_PATH, and then is nothing but the path.
        return file.isPath && file.link.startsWith("/");
    }
  },
  dumper: (context) => new PathFileDump(context),
  restorer: (context) => new PathFileRestore(context),
};

// --- dump

/** Not what is of a thread: that needs more than a process of that number. */
const PROC_OF_PROCESS = /^\/proc\/(\d{1,10})(?:\/(?!task\/).*)?$/;
const SILLY_NAME = /\/\.nfs[0-9a-fA-F]{24}$/;

export class PathFileDump implements FileDumper, PathFilesDump {
  readonly #remaps = new Remaps();
  readonly #ghosts: GhostDump;
  readonly #links: LinkRemapDump;
  readonly reopening: Reopening;

  constructor(private readonly context: Omit<DumpContext, "paths">) {
    const { images, options } = context;
    this.reopening = new Reopening(options.skipFileRwxCheck);
    this.#ghosts = new GhostDump(images, options.ghostLimit, this.#remaps);
    this.#links = new LinkRemapDump(
      context.undo,
      context.mounts,
      context.tasks.ownersHere,
      options.linkRemap,
      this.#remaps,
      () => context.newId(),
      (reg) => context.add({ type: FdTypes.REG, id: reg.id, reg }),
    );
  }

  dump(file: OpenFile, id: number): void {
    const { status, flags, format } = file;
    const shown = this.#shownElsewhere(file);
    const entry: RegFileEntry = {
      id,
      flags,
      pos: isDevice(format) ? devicePosition(file) : format === S.IFIFO ? 0n : file.position,
      fown: file.owner,
      name: shown?.mountpoint ?? this.#nameOf(file, id),
      mode: status.mode,
      build_id: [],
      ...(this.context.mounts.any && { mnt_id: shown?.id ?? status.mntId }),
    };
    noteContent(entry, file, this.context.options.fileValidation);
    this.context.add({ type: FdTypes.REG, id, reg: entry });
  }

  finish(): void {
    this.#remaps.write(this.context.images);
  }

  /** Names that the dump has given to files, and that stay until a restore has used them. */
  get names(): readonly string[] {
    return this.#links.names;
  }

  /** Another mount than its own that shows a file that was deleted: it comes back with that one, and is opened there. */
  #shownElsewhere(file: OpenFile): ShowingMount | undefined {
    const { status, format, link, flags, where } = file;
    if (!isDeleted(file)) return undefined;
    const mount = this.context.mounts.showsDeleted(status);
    if (mount === undefined || mount.id === status.mntId) return undefined;
    const writes = format === S.IFREG && (flags & O.ACCMODE) !== O.RDONLY;
    if (writes && mount.readOnly)
      throw new FileDumpError(
        `${where}: ${link} is open for writing, and is shown by ${mount.mountpoint} alone, which is read-only`,
      );
    return mount;
  }

  /** The path for the image, after having seen to it that the file can be found by it. */
  #nameOf(file: OpenFile, id: number): string {
    const { link, status } = file;
    if (!link.startsWith("/")) {
      throw new FileDumpError(`${file.where}: ${link} is no path, and cannot be dumped yet`);
    }
    const { mounts } = this.context;
    if (mounts.any && !mounts.has(status.mntId)) {
      refuseSecret(file);
      throw new FileDumpError(
        `${file.where}: ${link} is on mount ${status.mntId}, which is in no mount namespace of the tree`,
      );
    }
    const there = this.#there(file);
    if (isSame(there, status)) {
      this.reopening.check(file);
      if (SILLY_NAME.test(link) && file.fsMagic === FS_MAGIC.NFS) this.#links.dump(file, id, link);
      return link;
    }
    return this.#findOtherwise(file, id, there);
  }

  /** What stands at the path of a file, on its mount. */
  #there(file: OpenFile): FileStatus | number {
    const { mounts } = this.context;
    const { status } = file;
    const there = file.thereIn(mounts);
    // Something else may be mounted there since.
    const isOther = mounts.any && (typeof there === "number" || there.mntId !== status.mntId);
    if (!isOther || saysDeleted(file.link)) return there;
    const under = mounts.lookUnder(status.mntId, file.link);
    return isSame(under, status) ? under : there;
  }

  #findOtherwise(file: OpenFile, id: number, there: FileStatus | number): string {
    const { link, status, format } = file;
    refuseSecret(file);
    const { fsMagic } = file;
    // Its files come and go with the processes and terminals that they are of.
    if (fsMagic === FS_MAGIC.PROC) {
      return this.#ofTheDead(file, id);
    }
    if (fsMagic === FS_MAGIC.DEVPTS) return withoutDeleted(link);
    const name = withoutDeleted(link);
    const gone = saysDeleted(link);
    if (isDeleted(file)) {
      // It comes back with its mount.
      if (this.context.mounts.showsDeleted(status)?.id === status.mntId) return name;
      if (!this.context.mounts.any) this.reopening.checkGhost(file, name);
      this.#ghosts.dump(file, id, name);
      return name;
    }
    if (this.context.options.evasiveDevices && isDevice(format) && this.#leadsToDevice(link, file)) {
      log.debug("files/path-file", () => `${file.where}: ${link} is another node of the same device`);
      return link;
    }
    if (gone) {
      const semaphore = semaphorePath(file, name, this.context.mounts);
      if (semaphore !== undefined) {
        log.debug("files/path-file", () => `${file.where}: ${name} is a semaphore, found as ${semaphore}`);
        return semaphore;
      }
      if (!this.#links.dump(file, id, name)) this.#ghosts.dump(file, id, name);
      return name;
    }
    if (typeof there !== "number") {
      const hint = isDevice(format) ? "; --evasive-devices accepts another node of the same device" : "";
      throw new FileDumpError(`${file.where}: another file has taken the path ${link}${hint}`);
    }
    throw new FileDumpError(`${file.where}: ${link} cannot be reached by its path: ${errnoName(-there)}`);
  }

  #leadsToDevice(link: string, file: OpenFile): boolean {
    const { directory, path } = this.context.mounts.place(file.status.mntId, link);
    try {
      return withFd(openAt(directory, path, O.PATH), (fd) => sameDevice(fullStatusOf(fd), file.fullStatus));
    } catch {
      return false;
    }
  }

  /** A file of /proc whose process has ended: a process of that number is there when it is opened again. */
  #ofTheDead(file: OpenFile, id: number): string {
    const name = withoutDeleted(file.link);
    const pid = Number(PROC_OF_PROCESS.exec(name)?.[1]);
    const at = this.context.mounts.place(file.status.mntId, `/proc/${pid}`);
    if (Number.isNaN(pid) || typeof statusAt(at.directory, pathAddress(at.path)) !== "number") {
      throw new FileDumpError(
        `${file.where}: ${file.link} is of a task that has ended, and cannot be dumped yet`,
      );
    }
    log.debug("files/path-file", () => `${file.where}: ${name} is of process ${pid}, which has ended`);
    this.#remaps.add(id, RemapType.PROCFS, pid);
    return name;
  }
}

/** Files of secret memory have a path that leads nowhere. @throws FileDumpError */
function refuseSecret({ fsMagic, where }: OpenFile): void {
  if (fsMagic !== FS_MAGIC.SECRETMEM) return;
  throw new FileDumpError(
    `${where}: secret memory (memfd_secret(2)), which nobody but its own processes may read, cannot be dumped`,
  );
}

/** Whether a path leads to a file. */
/** Whether it has lost its name. Some file systems count links to directories in a way of their own. */
function isDeleted({ status, format, link }: OpenFile): boolean {
  return status.nlink === 0 || (format === S.IFDIR && saysDeleted(link));
}

function isSame(there: FileStatus | number, { dev, ino }: FileStatus): boolean {
  return typeof there !== "number" && there.ino === ino && there.dev === dev;
}

// --- restore

/** What is there only when a process has its threads, descriptors or mappings. */
const OF_TASK = /^\/proc\/\d{1,10}\/(?:task|fdinfo|map_files|fd)\//;
/** Flags that make or change files when they are opened; the kernel never shows them of an open file. */
const NEVER = O.CREAT | O.EXCL | O.TRUNC | O.NOCTTY;
const TMPFILE_BIT = 0o20000000;
/** Flags that make a file open otherwise than by its path and at once. */
const UNUSUAL = NEVER | TMPFILE_BIT | O.PATH;
/** Offsets that a number holds. */
const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);

export class PathFileRestore implements FileRestorer, PathFilesRestore {
  readonly #files: NamedFiles;

  constructor(private readonly context: Omit<RestoreContext, "paths">) {
    this.#files = new NamedFiles(context);
  }

  make(entry: FileEntry): number {
    return this.openNumbered(entry.id);
  }

  readonly many: ManyOpener = {
    openMany: (entries, made) => this.#openMany(entries, made),
    wish: (entry) => this.#wish(entry),
    opened: (entry, result) => this.#opened(entry, result),
  };

  isLate({ reg }: FileEntry): boolean {
    return reg !== undefined && OF_TASK.test(reg.name);
  }

  owner(entry: FileEntry): FownEntry | undefined {
    return entry.reg?.fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    const reg = entry.reg;
    return reg !== undefined && isDevice((reg.mode ?? 0) & S.IFMT) ? withAsync(reg.flags) : undefined;
  }

  openForMapping(entry: FileEntry, writable: boolean): number {
    const file = this.#files.find(entry.id);
    const flags = writable ? O.RDWR : O.RDONLY;
    return this.#inherited(file.entry, flags) ?? this.#open(file, flags);
  }

  /** Opens the file of entry `id` as the entry says, offset included. Our descriptor, the caller's to close. */
  openNumbered(id: number): number {
    const file = this.#files.find(id);
    const { entry } = file;
    const inherited = this.#inherited(entry, entry.flags);
    if (inherited !== undefined) return inherited;
    const fd = this.#open(file, entry.flags);
    if ((entry.flags & O.PATH) === 0 && entry.pos !== 0n && entry.pos !== NO_OFFSET) {
      const result = rawSyscall(NR.lseek, fd, toNumber(entry.pos), SEEK.SET);
      if (result < 0) {
        close(fd);
        throw failureOf(entry, `its offset ${entry.pos}: ${errnoName(-result)}`, -result);
      }
    }
    return fd;
  }

  /** The entry's parts for a kind that has its path here. @throws FileRestoreError */
  entryOf(id: number): RegFileEntry {
    return this.#files.find(id).entry;
  }

  openBeside(id: number, name: string, flags: number): number {
    const { entry } = this.#files.find(id);
    const path = `${parentOf(entry.name)}/${name}`;
    return restoring(`${placeOf(entry)}: ${path}`, () => this.#openNamed(entry, path, flags));
  }

  ghost(device: number, inode: bigint): number | undefined {
    return this.#files.ghost(device, inode);
  }

  /** Opens an entry with flags of the caller's choice and no check; the caller closes it. @throws FileRestoreError */
  openPlain(id: number, flags: number): number {
    const file = this.#files.find(id);
    return restoring(
      () => placeOf(file.entry),
      () => this.#openAt(file, flags),
    );
  }

  /** A directory, for a process to go to; the caller closes it. @throws FileRestoreError */
  openDirectory(id: number): number {
    const file = this.#files.find(id);
    const fd = restoring(
      () => placeOf(file.entry),
      () => this.#openAt(file, O.PATH | O.DIRECTORY),
    );
    return this.#checked(file, fd);
  }

  #openMany(entries: readonly FileEntry[], made: (entry: FileEntry, fd: number) => void): void {
    const chosen: FileEntry[] = [];
    const wishes: Wish[] = [];
    for (const entry of entries) {
      const wish = this.#wish(entry);
      if (wish === undefined) continue;
      chosen.push(entry);
      wishes.push(wish);
    }
    const results = openMany(wishes);
    results.forEach(({ fd }, i) => {
      const entry = chosen[i];
      if (entry !== undefined && fd >= 0) made(entry, fd);
    });
    results.forEach((result, i) => {
      const entry = chosen[i];
      if (entry !== undefined) this.#opened(entry, result);
    });
  }

  #wish({ id }: FileEntry): Wish | undefined {
    const { base, checked, entry } = this.#files.find(id);
    const { name, flags, pos } = entry;
    const plain =
      base === undefined &&
      (flags & UNUSUAL) === 0 &&
      !isDevice((entry.mode ?? 0) & S.IFMT) &&
      pos <= MAX_OFFSET &&
      // A build id takes reading the file.
      (checked || entry.build_id.length === 0) &&
      Buffer.byteLength(name) < LONGEST &&
      name.isWellFormed() &&
      !name.includes("\0") &&
      this.context.inherited.isEmpty;
    if (!plain) return undefined;
    // Even a FIFO is opened at once for both reading and writing: fifo(7).
    const never = (flags & O.ACCMODE) === O.RDWR && ((entry.mode ?? 0) & S.IFMT) === S.IFREG;
    const mayWait = (flags & O.NONBLOCK) === 0 && !never;
    const lookUp = this.context.mounts.lookUp(pathOf(entry));
    if (lookUp?.path === "") return undefined;
    const path = lookUp?.path ?? name;
    return { path, flags, mayWait, offset: pos, lookUp };
  }

  #opened({ id }: FileEntry, { fd, status, flagged, sought }: Opened): void {
    const file = this.#files.find(id);
    const { entry } = file;
    if (fd < 0) throw failureOf(entry, `openat: ${errnoName(-fd)}`, -fd);
    if (!file.checked) compareStatus(entry, status, this.context.options);
    file.checked = true;
    if (flagged < 0) throw this.#flagsFailure(entry, -flagged);
    if (!sought) throw failureOf(entry, `its offset cannot be ${entry.pos}`);
  }

  #open(file: NamedFile, flags: number): number {
    const { entry } = file;
    let wanted = flags & ~NEVER;
    if (isDevice((entry.mode ?? 0) & S.IFMT)) wanted &= ~O.ASYNC;
    // A file without a name was one from its birth: it comes back as a ghost.
    if ((wanted & TMPFILE_BIT) !== 0) wanted &= ~(TMPFILE_BIT | O.DIRECTORY);
    // Should something else stand at the path, a FIFO or a device, it must not hold us up.
    const blocking = (wanted & (O.NONBLOCK | O.PATH)) === 0;
    let fd: number;
    try {
      fd = this.#openAt(file, blocking ? wanted | O.NONBLOCK : wanted);
    } catch (error) {
      return restoring(placeOf(entry), () => {
        throw error;
      });
    }
    this.#checked(file, fd);
    if (blocking) {
      const result = rawSyscall(NR.fcntl, fd, F.SETFL, wanted);
      if (result < 0) {
        close(fd);
        throw this.#flagsFailure(entry, -result);
      }
    }
    return fd;
  }

  #openAt(file: NamedFile, flags: number): number {
    const { base, entry } = file;
    if (base === undefined) return this.#openNamed(entry, entry.name, flags);
    // A symbolic link cannot be opened anew by a descriptor of it.
    if ((flags & O.PATH) !== 0 && (flags & O.NOFOLLOW) !== 0) {
      if ((statusOf(base).mode & S.IFMT) === S.IFLNK) {
        return checkResult(rawSyscall(NR.fcntl, base, F.DUPFD_CLOEXEC, 0), NR.fcntl, entry.name);
      }
    }
    return openPath(selfPath(base), flags & ~O.NOFOLLOW);
  }

  /** Opens a path on the mount that a file was on. @throws KernelError */
  #openNamed(entry: RegFileEntry, path: string, flags: number): number {
    return checkResult(this.context.mounts.open({ ...pathOf(entry), path }, flags), NR.openat, path);
  }

  #inherited(entry: RegFileEntry, flags: number): number | undefined {
    const { inherited } = this.context;
    if (inherited.isEmpty) return undefined;
    const shared = inherited.take(entry.name.replace(/^\//, ""), flags);
    if (shared !== undefined || entry.ext !== true) return shared;
    const source = inherited.take(entry.name);
    if (source === undefined) return undefined;
    return restoring(placeOf(entry), () =>
      withFd(source, () => openPath(selfPath(source), flags & ~NEVER & ~O.NOFOLLOW)),
    );
  }

  /** Sees, once per entry, that the file is the one that was dumped; `fd` is closed if it is not. */
  #checked(file: NamedFile, fd: number): number {
    if (file.checked) return fd;
    try {
      checkContent(file.entry, fd, this.context.options);
    } catch (error) {
      close(fd);
      throw error;
    }
    file.checked = true;
    return fd;
  }

  #flagsFailure(entry: RegFileEntry, errno: number): FileRestoreError {
    return failureOf(entry, `its flags 0${entry.flags.toString(8)}: ${errnoName(errno)}`, errno);
  }
}

/** An offset for a system call: all 64 bits count. */
function toNumber(offset: bigint): number {
  // The thunk takes a BigInt as well where a number would not hold it.
  return offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : (offset as unknown as number);
}
