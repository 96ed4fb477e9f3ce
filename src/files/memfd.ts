/**
 * Files of memory alone: those of memfd_create(2), and shared anonymous memory, which is a file of the same kind that
 * the kernel calls /dev/zero and that can be opened by way of /proc/PID/map_files. The file itself, content and seals,
 * is an entry of memfd.img and has an image of shared memory; every description of it, and a mapping that has none, is
 * an entry of files.img.
 */
import { openToRead } from "../images/ghost-file.ts";
import { IMAGES } from "../images/kinds.ts";
import { FdTypes, type FileEntry, type MemfdFileEntry } from "../images/schema/generated/files.ts";
import type { MemfdInodeEntry } from "../images/schema/generated/memory.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { F, SEAL } from "../linux/fcntl.ts";
import { fcntl, lseek, O, S, SEEK, selfPath, withFd } from "../linux/io.ts";
import { MAP } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { fsBlockSizeOf, statusOf } from "../linux/statx.ts";
import { pathAddress, syscall } from "../linux/syscall.ts";
import { createSharedMemory, dumpShmemContent, restoreShmemContent, shmidOf } from "../memory/shmem.ts";
import { FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { openPath, withoutDeleted } from "./path.ts";

const PREFIX = "/memfd:";
/** What shared anonymous memory is called, here and in the images. */
const ANONYMOUS = "/dev/zero";
/** Flags of memfd_create(2) (include/uapi/linux/memfd.h). The page size stands above bit 26 as its logarithm. */
const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, HUGETLB: 4 } as const;
const HUGE_SHIFT = 26;
const PERMISSIONS = 0o7777;

export const memfd: FileKind = {
  type: FdTypes.MEMFD,
  recognises: (file) =>
    file.format === S.IFREG &&
    (file.link.startsWith(PREFIX) || withoutDeleted(file.link) === ANONYMOUS) &&
    flagsOf(file) !== undefined,
  dumper: (context) => new MemfdDump(context),
  restorer: (context) => new MemfdRestore(context),
};

/** Devices of the kernel's own mounts, on which memfds are: tmpfs, and hugetlbfs once per page size. */
const knownDevices = oncePerRun(() => new Map<number, number>());

/** The flags that make a memfd like this one; undefined where the file is none, but has its name from a path. */
function flagsOf(file: OpenFile): number | undefined {
  if (file.status.nlink !== 0) return undefined;
  const huge = MFD.HUGETLB | (Math.log2(fsBlockSizeOf(file.copy)) << HUGE_SHIFT);
  return [0, huge].find((flags) => deviceOf(flags) === file.status.dev);
}

function deviceOf(flags: number): number {
  const devices = knownDevices();
  const known = devices.get(flags);
  if (known !== undefined) return known;
  let device = -1;
  try {
    device = withFd(createMemfd("criu-ts", flags), (fd) => statusOf(fd).dev);
  } catch {
    // This machine has no pages of that size.
  }
  devices.set(flags, device);
  return device;
}

function createMemfd(name: string, flags: number): number {
  return syscall(`memfd:${name}`, NR.memfd_create, pathAddress(name), flags | MFD.CLOEXEC);
}

// --- dump

class MemfdDump implements FileDumper {
  readonly #inodes = new Map<string, number>();
  readonly #entries: MemfdInodeEntry[] = [];

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const key = `${file.status.dev}:${file.status.ino}`;
    let inodeId = this.#inodes.get(key);
    if (inodeId === undefined) {
      inodeId = this.#inodes.size + 1;
      this.#dumpInode(file, inodeId);
      this.#inodes.set(key, inodeId);
    }
    const entry: MemfdFileEntry = {
      id,
      flags: file.flags,
      pos: file.position,
      fown: file.owner,
      inode_id: inodeId,
    };
    this.context.add({ type: FdTypes.MEMFD, id, memfd: entry });
  }

  finish(): void {
    this.context.images.writeAll(IMAGES.memfd_inode, this.#entries);
  }

  #dumpInode(file: OpenFile, inodeId: number): void {
    const { fullStatus: status } = file;
    const { images } = this.context;
    const shmid = shmidOf(images, status.dev, status.ino);
    const flags = flagsOf(file) ?? 0;
    withFd(openToRead(file), (fd) => {
      this.#entries.push({
        name: nameOf(file),
        uid: file.owners.uid(status.uid),
        gid: file.owners.gid(status.gid),
        size: BigInt(status.size),
        shmid,
        seals: fcntl(fd, F.GET_SEALS),
        inode_id: BigInt(inodeId),
        hugetlb_flag: flags === 0 ? undefined : flags,
        mode: status.mode,
      });
      this.context.countShared(dumpShmemContent(images, shmid, fd, status.size));
    });
  }
}

function nameOf(file: OpenFile): string {
  const name = withoutDeleted(file.link);
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
}

// --- restore

interface Inode {
  readonly entry: MemfdInodeEntry;
  /** Ours, open for reading and writing. */
  fd: number | undefined;
  /** Whether a process has the description that memfd_create(2) made; only by that can the file be executed. */
  given: boolean;
}

class MemfdRestore implements FileRestorer {
  #inodes: Map<bigint, Inode> | undefined;

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const file = memfdOf(entry);
    const inode = this.#inodeOf(file);
    return restoring(placeOf(file, inode), () => {
      const inherited = this.context.inherited.take(`${PREFIX}${inode.entry.name}`, file.flags);
      if (inherited !== undefined) return inherited;
      const source = this.#made(inode);
      const original = (file.flags & O.ACCMODE) === O.RDWR && !inode.given && (file.flags & O.PATH) === 0;
      let fd: number;
      if (original) {
        inode.given = true;
        fd = fcntl(source, F.DUPFD_CLOEXEC, 0);
        fcntl(fd, F.SETFL, file.flags);
      } else fd = openPath(selfPath(source), file.flags & ~(O.CREAT | O.EXCL | O.TRUNC | O.NOFOLLOW));
      if ((file.flags & O.PATH) === 0) lseek(fd, Number(file.pos), SEEK.SET);
      return fd;
    });
  }

  owner(entry: FileEntry): FownEntry {
    return memfdOf(entry).fown;
  }

  openForMapping(entry: FileEntry, writable: boolean): number {
    const file = memfdOf(entry);
    const inode = this.#inodeOf(file);
    return restoring(placeOf(file, inode), () => {
      const inherited = this.context.inherited.take(
        `${PREFIX}${inode.entry.name}`,
        writable ? O.RDWR : O.RDONLY,
      );
      if (inherited !== undefined) return inherited;
      const source = this.#made(inode);
      return writable ? fcntl(source, F.DUPFD_CLOEXEC, 0) : openPath(selfPath(source), O.RDONLY);
    });
  }

  /** Seals come last: they forbid what restoring does. */
  finish(): void {
    for (const { entry, fd } of this.#inodes?.values() ?? []) {
      if (fd === undefined || entry.seals === SEAL.SEAL || entry.seals === 0) continue;
      restoring(`memfd.img: memfd:${entry.name}: its seals`, () => fcntl(fd, F.ADD_SEALS, entry.seals));
    }
  }

  #inodeOf(file: MemfdFileEntry): Inode {
    this.#inodes ??= this.#readInodes();
    const inode = this.#inodes.get(BigInt(file.inode_id));
    if (inode === undefined) {
      throw new FileRestoreError(
        `files.img: file ${file.id}: there is no memfd ${file.inode_id} in memfd.img`,
      );
    }
    return inode;
  }

  #readInodes(): Map<bigint, Inode> {
    const inodes = new Map<bigint, Inode>();
    for (const entry of this.context.images.readAll(IMAGES.memfd_inode)) {
      if (inodes.has(entry.inode_id)) {
        throw new FileRestoreError(`memfd.img: memfd ${entry.inode_id} is there twice`);
      }
      inodes.set(entry.inode_id, { entry, fd: undefined, given: false });
    }
    return inodes;
  }

  #made(inode: Inode): number {
    if (inode.fd !== undefined) return inode.fd;
    const { entry } = inode;
    const sealing = entry.seals === SEAL.SEAL ? 0 : MFD.ALLOW_SEALING;
    const size = Number(entry.size);
    const anonymous = entry.name === ANONYMOUS && entry.hugetlb_flag === undefined && size > 0;
    // Like that of a memfd, memory that is not touched yet is not reserved: only mappings ask for that.
    const fd = anonymous
      ? createSharedMemory(size, MAP.NORESERVE)
      : createMemfd(entry.name, sealing | (entry.hugetlb_flag ?? 0));
    inode.fd = this.context.kept.keep(fd);
    restoreShmemContent(this.context.images, entry.shmid, fd, size);
    const { owners } = this.context;
    syscall("the owner", NR.fchown, fd, owners.uid(entry.uid), owners.gid(entry.gid));
    if (entry.mode !== undefined) syscall("the mode", NR.fchmod, fd, entry.mode & PERMISSIONS);
    return fd;
  }
}

function memfdOf(entry: FileEntry): MemfdFileEntry {
  if (entry.memfd === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no memfd`);
  return entry.memfd;
}

function placeOf(file: MemfdFileEntry, inode: Inode): string {
  return `files.img: file ${file.id}: memfd:${inode.entry.name}`;
}
