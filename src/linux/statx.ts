/** statx(2) (kernel 4.11): everything about a file in one call, its mount included (kernel 5.8). */
import { NR } from "./nr.ts";
import { s64, struct, u16, u32, viewOf, word } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

const BASIC_STATS = 0x7ff;
const MNT_ID = 0x1000;

const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;

/** struct statx (include/uapi/linux/stat.h). */
const statx = struct(
  {
    mask: u32,
    blksize: u32,
    attributes: word,
    nlink: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    pad: u16,
    ino: word,
    size: word,
    blocks: word,
    attributesMask: word,
    atimeSec: s64,
    atimeNsec: u32,
    pad1: u32,
    btimeSec: s64,
    btimeNsec: u32,
    pad2: u32,
    ctimeSec: s64,
    ctimeNsec: u32,
    pad3: u32,
    mtimeSec: s64,
    mtimeNsec: u32,
    pad4: u32,
    rdevMajor: u32,
    rdevMinor: u32,
    devMajor: u32,
    devMinor: u32,
    mntId: word,
  },
  256,
);

/** What a file is. Sizes in bytes. */
export interface FileStatus {
  /** Device as the kernel packs it inside, major << 20 | minor, which is what images hold. */
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Of 512 bytes each. */
  readonly blocks: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** The mount that it was reached by, as in /proc/PID/mountinfo. */
  readonly mntId: number;
  readonly atime: FileTime;
  readonly mtime: FileTime;
}

export interface FileTime {
  readonly sec: bigint;
  readonly nsec: number;
}

const buffer = new Uint8Array(statx.size);
const address = addressOf(buffer);
const view = viewOf(buffer);
const at = statx.offset;
const empty = new Uint8Array(8);
const emptyAddress = addressOf(empty);

function u32At(offset: number): number {
  return view.getUint32(offset, true);
}

function wordAt(offset: number): number {
  return word.read(view, offset);
}

/** The times cost BigInts, which most callers never look at: made from the bytes only when asked for. */
class Status implements FileStatus {
  readonly dev = ((u32At(at.devMajor) << 20) | u32At(at.devMinor)) >>> 0;
  readonly ino = wordAt(at.ino);
  readonly mode = view.getUint16(at.mode, true);
  readonly nlink = u32At(at.nlink);
  readonly uid = u32At(at.uid);
  readonly gid = u32At(at.gid);
  readonly size = wordAt(at.size);
  readonly blocks = wordAt(at.blocks);
  readonly rdevMajor = u32At(at.rdevMajor);
  readonly rdevMinor = u32At(at.rdevMinor);
  readonly mntId = wordAt(at.mntId);
  readonly #atimeLow = u32At(at.atimeSec);
  readonly #atimeHigh = view.getInt32(at.atimeSec + 4, true);
  readonly #atimeNsec = u32At(at.atimeNsec);
  readonly #mtimeLow = u32At(at.mtimeSec);
  readonly #mtimeHigh = view.getInt32(at.mtimeSec + 4, true);
  readonly #mtimeNsec = u32At(at.mtimeNsec);

  get atime(): FileTime {
    return { sec: (BigInt(this.#atimeHigh) << 32n) | BigInt(this.#atimeLow), nsec: this.#atimeNsec };
  }

  get mtime(): FileTime {
    return { sec: (BigInt(this.#mtimeHigh) << 32n) | BigInt(this.#mtimeLow), nsec: this.#mtimeNsec };
  }
}

/** Of an open descriptor of ours, O_PATH ones included. @throws KernelError */
export function statusOf(fd: number): FileStatus {
  checkResult(
    rawSyscall(NR.statx, fd, emptyAddress, AT_EMPTY_PATH, BASIC_STATS | MNT_ID, address),
    NR.statx,
    `descriptor ${fd}`,
  );
  return new Status();
}

/**
 * Of what stands at a path, a symbolic link itself included: the NUL-terminated path is at `pathAddress`. Gives a
 * negative errno where there is nothing to be seen.
 */
export function statusAt(dirfd: number, pathAddress: number): FileStatus | number {
  const result = rawSyscall(
    NR.statx,
    dirfd,
    pathAddress,
    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
    BASIC_STATS | MNT_ID,
    address,
  );
  return result < 0 ? result : new Status();
}

/** File systems that need care of their own (include/uapi/linux/magic.h). */
export const FS_MAGIC = {
  PROC: 0x9fa0,
  DEVPTS: 0x1cd1,
  NFS: 0x6969,
  OVERLAYFS: 0x794c7630,
} as const;

const statfs = struct({ type: word, bsize: word }, 120);
const statfsBuffer = new Uint8Array(statfs.size);
const statfsAddress = addressOf(statfsBuffer);

/** The magic number of the file system that an open descriptor of ours is on. @throws KernelError */
export function fsMagicOf(fd: number): number {
  checkResult(rawSyscall(NR.fstatfs, fd, statfsAddress), NR.fstatfs, `descriptor ${fd}`);
  return statfs.decode(statfsBuffer).type;
}

/** The block size of that file system; on hugetlbfs, the size of a page. @throws KernelError */
export function fsBlockSizeOf(fd: number): number {
  checkResult(rawSyscall(NR.fstatfs, fd, statfsAddress), NR.fstatfs, `descriptor ${fd}`);
  return statfs.decode(statfsBuffer).bsize;
}
