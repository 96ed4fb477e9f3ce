/** statx(2) (kernel 4.11): everything about a file in one call, its mount included (kernel 5.8). */
import { kernelDevice } from "./device.ts";
import { KernelError } from "./errno.ts";
import { NR } from "./nr.ts";
import { array, s64, struct, u16, u32, u64, word } from "./struct.ts";
import { addressOf, checkResult, nameAddress, rawSyscall } from "./syscall.ts";

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

/** What chattr(1) sets: only to be read, only to be appended to. */
export const STATX_ATTR = { IMMUTABLE: 0x10, APPEND: 0x20 } as const;

/** What a file is, as far as almost everybody asks. */
export interface FileStatus {
  /** Device as the kernel packs it inside, major << 20 | minor, which is what images hold. */
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  /** Bits of {@link STATX_ATTR}. */
  readonly attributes: number;
  readonly nlink: number;
  /** In bytes. */
  readonly size: number;
  /** The mount that it was reached by, as in /proc/PID/mountinfo. */
  readonly mntId: number;
}

/** Everything about a file. */
export interface FullStatus extends FileStatus {
  readonly uid: number;
  readonly gid: number;
  /** Of 512 bytes each. */
  readonly blocks: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly atime: FileTime;
  readonly mtime: FileTime;
}

export interface FileTime {
  readonly sec: bigint;
  readonly nsec: number;
}

const buffer = new Uint8Array(statx.size);
const address = addressOf(buffer);
const at = statx.offset;
/** An empty path. The bytes must stay referenced by what uses their address, or they are collected. */
const empty = { bytes: new Uint8Array(8), address: 0 };
empty.address = addressOf(empty.bytes);

// Called for every open file of a tree: the words are taken from where the declaration says they are.
const words = new Uint32Array(buffer.buffer, buffer.byteOffset, buffer.length / 4);
const MODE = at.mode / 4;
const ATTRIBUTES = at.attributes / 4;
const NLINK = at.nlink / 4;
const INO = at.ino / 4;
const SIZE = at.size / 4;
const DEV_MAJOR = at.devMajor / 4;
const DEV_MINOR = at.devMinor / 4;
const MNT = at.mntId / 4;

function modeIn(words: Uint32Array, from: number): number {
  return (words[from + MODE] ?? 0) & 0xffff;
}

function sizeIn(words: Uint32Array, from: number): number {
  return (words[from + SIZE] ?? 0) + (words[from + SIZE + 1] ?? 0) * 0x1_0000_0000;
}

/** Reads a struct statx out of 32-bit words, from index `from` on. */
export function statusIn(words: Uint32Array, from: number): FileStatus {
  return {
    dev: kernelDevice(words[from + DEV_MAJOR] ?? 0, words[from + DEV_MINOR] ?? 0),
    ino: (words[from + INO] ?? 0) + (words[from + INO + 1] ?? 0) * 0x1_0000_0000,
    mode: modeIn(words, from),
    attributes: words[from + ATTRIBUTES] ?? 0,
    nlink: words[from + NLINK] ?? 0,
    size: sizeIn(words, from),
    mntId: words[from + MNT] ?? 0,
  };
}

/** Mode and size out of a struct statx, of which only the first {@link STATX.BRIEF} bytes need be there. */
export function briefIn(words: Uint32Array, from: number): Pick<FileStatus, "mode" | "size"> {
  return { mode: modeIn(words, from), size: sizeIn(words, from) };
}

/** What a call of statx(2) takes, for those who make it in a batch: its flags, mask and the size of its result. */
export const STATX = {
  FOLLOW_NOTHING: AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
  EMPTY_PATH: AT_EMPTY_PATH,
  MASK: BASIC_STATS | MNT_ID,
  SIZE: statx.size,
  /** Where the words of a {@link FileIdentity} stand in it. */
  DEVICE: at.devMajor,
  INODE: at.ino,
  BRIEF: at.size + word.size,
} as const;

/** Of an open descriptor of ours, O_PATH ones included. @throws KernelError */
export function statusOf(fd: number): FileStatus {
  const result = rawSyscall(NR.statx, fd, empty.address, AT_EMPTY_PATH, STATX.MASK, address);
  if (result < 0) checkResult(result, NR.statx, `descriptor ${fd}`);
  return statusIn(words, 0);
}

/** What tells a file from all others that there are: its device, as two words of 32 bits, and its inode, all 64 bits of it. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** Of an open descriptor of ours. @throws KernelError */
export function identityOf(fd: number): FileIdentity {
  statusOf(fd);
  return { device: u64.read(buffer, at.devMajor), inode: u64.read(buffer, at.ino) };
}

/** The same and more. @throws KernelError */
export function fullStatusOf(fd: number): FullStatus {
  return fullStatusWith(statusOf(fd));
}

/** Everything about what has a name in a directory, a symbolic link itself included. @throws KernelError */
export function fullStatusAt(dirfd: number, name: string): FullStatus {
  const status = statusAt(dirfd, nameAddress(name));
  if (typeof status === "number") throw new KernelError("statx", name, -status);
  return fullStatusWith(status);
}

/** What the last call has told beside `status`. */
function fullStatusWith(status: FileStatus): FullStatus {
  const { uid, gid, blocks, rdevMajor, rdevMinor, ...times } = statx.decode(buffer);
  return {
    ...status,
    uid,
    gid,
    blocks,
    rdevMajor,
    rdevMinor,
    atime: { sec: times.atimeSec, nsec: times.atimeNsec },
    mtime: { sec: times.mtimeSec, nsec: times.mtimeNsec },
  };
}

/**
 * Of what stands at a path, a symbolic link itself included: the NUL-terminated path is at `pathAddress`. Gives a
 * negative errno where there is nothing to be seen.
 */
export function statusAt(dirfd: number, pathAddress: number): FileStatus | number {
  const result = rawSyscall(NR.statx, dirfd, pathAddress, STATX.FOLLOW_NOTHING, STATX.MASK, address);
  return result < 0 ? result : statusIn(words, 0);
}

/** File systems that need care of their own (include/uapi/linux/magic.h). */
export const FS_MAGIC = {
  MQUEUE: 0x19800202,
  SECRETMEM: 0x5345434d,
  PROC: 0x9fa0,
  DEVPTS: 0x1cd1,
  NFS: 0x6969,
  TMPFS: 0x01021994,
  OVERLAYFS: 0x794c7630,
  NSFS: 0x6e736673,
} as const;

/** Flags of a mount in struct statfs (include/linux/statfs.h). */
export const ST = { RDONLY: 1, NODEV: 4, NOEXEC: 8 } as const;

const statfs = struct({ type: word, bsize: word, rest: array(word, 8), flags: word }, 120);
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

/** The flags of the mount that an open descriptor of ours is on, of {@link ST}. @throws KernelError */
export function statfsFlagsOf(fd: number): number {
  checkResult(rawSyscall(NR.fstatfs, fd, statfsAddress), NR.fstatfs, `descriptor ${fd}`);
  return statfs.decode(statfsBuffer).flags;
}
