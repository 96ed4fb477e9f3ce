/** Files by raw system calls: what /proc readers, dumpers and restorers share. Descriptors are ours to close. */

import { ERRNO, KernelError } from "./errno.ts";
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { s64, struct, u8, u16, u32, u64, word } from "./struct.ts";
import { addressOf, checkResult, nameAddress, rawSyscall, syscall } from "./syscall.ts";
import { textOf } from "./text.ts";

/** open(2) flags on the asm-generic layout. */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  ACCMODE: 3,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  ASYNC: 0o20000,
  DIRECT: 0o40000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const;

export const AT = {
  FDCWD: -100,
  EMPTY_PATH: 0x1000,
  SYMLINK_NOFOLLOW: 0x100,
  SYMLINK_FOLLOW: 0x400,
} as const;

/** Of access(2): whether it may be written to. */
export const W_OK = 2;

export const S = {
  IFMT: 0o170000,
  IFSOCK: 0o140000,
  IFLNK: 0o120000,
  IFREG: 0o100000,
  IFBLK: 0o060000,
  IFDIR: 0o040000,
  IFCHR: 0o020000,
  IFIFO: 0o010000,
} as const;

export const SEEK = { SET: 0, CUR: 1, END: 2, DATA: 3, HOLE: 4 } as const;

/** struct stat of x86-64 (arch/x86/include/uapi/asm/stat.h). */
const stat64 = struct(
  {
    dev: word,
    ino: word,
    nlink: word,
    mode: u32,
    uid: u32,
    gid: u32,
    pad: u32,
    rdev: word,
    size: word,
    blksize: word,
    blocks: word,
    atime: word,
    atime_nsec: word,
    mtime: word,
    mtime_nsec: word,
    ctime: word,
    ctime_nsec: word,
  },
  144,
);
export type Stat = ReturnType<typeof stat64.decode>;

const statBuffer = new Uint8Array(stat64.size);
const statAddress = addressOf(statBuffer);

/** The path by which an open descriptor of ours can be opened again. */
export function selfPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** newfstatat(2). With an empty path and AT.EMPTY_PATH it looks at `dirfd` itself. @throws KernelError */
export function fstatat(dirfd: number, path: string, flags = 0): Stat {
  syscall(
    path === "" ? `descriptor ${dirfd}` : path,
    NR.newfstatat,
    dirfd,
    nameAddress(path),
    statAddress,
    flags,
  );
  return stat64.decode(statBuffer);
}

/** fstat(2). @throws KernelError */
export function fstat(fd: number): Stat {
  syscall(() => `descriptor ${fd}`, NR.fstat, fd, statAddress);
  return stat64.decode(statBuffer);
}

/** Bytes of a regular file; undefined for anything that is none. @throws KernelError */
export function regularSize(fd: number): number | undefined {
  syscall(() => `descriptor ${fd}`, NR.fstat, fd, statAddress);
  if (!isRegular(u32.read(statBuffer, stat64.offset.mode))) return undefined;
  return word.read(statBuffer, stat64.offset.size);
}

/** stat(2). @throws KernelError */
export function stat(path: string): Stat {
  return fstatat(AT.FDCWD, path);
}

/** stat(2), undefined where there is nothing at the path. @throws KernelError for any other refusal */
export function statIfThere(path: string, flags = 0): Stat | undefined {
  const result = rawSyscall(NR.newfstatat, AT.FDCWD, nameAddress(path), statAddress, flags);
  if (result === -ERRNO.ENOENT || result === -ERRNO.ENOTDIR) return undefined;
  checkResult(result, NR.newfstatat, path);
  return stat64.decode(statBuffer);
}

/** Nothing has this name. What cannot be told (ELOOP, EACCES) is for the one who opens it to say. */
export function isAbsent(path: string): boolean {
  return rawSyscall(NR.faccessat, AT.FDCWD, nameAddress(path), 0) === -ERRNO.ENOENT;
}

/** Whether there is something at the path that we may look at; a link that leads nowhere is nothing. */
export function exists(path: string): boolean {
  return rawSyscall(NR.faccessat, AT.FDCWD, nameAddress(path), 0) === 0;
}

export function isDirectory(mode: number): boolean {
  return (mode & S.IFMT) === S.IFDIR;
}

export function isRegular(mode: number): boolean {
  return (mode & S.IFMT) === S.IFREG;
}

export function isSocket(mode: number): boolean {
  return (mode & S.IFMT) === S.IFSOCK;
}

/** openat(2); O_CLOEXEC is always added, so that nothing of ours leaks into action scripts. @throws KernelError */
export function openAt(dirfd: number, path: string, flags: number, mode = 0): number {
  return syscall(path, NR.openat, dirfd, nameAddress(path), flags | O.CLOEXEC, mode);
}

/** open(2) with O_CLOEXEC. @throws KernelError */
export function open(path: string, flags: number, mode = 0): number {
  return openAt(AT.FDCWD, path, flags, mode);
}

/** open(2) with O_CLOEXEC; undefined where there is nothing at the path. @throws KernelError for any other refusal */
export function openIfThere(path: string, flags: number): number | undefined {
  const result = rawSyscall(NR.openat, AT.FDCWD, nameAddress(path), flags | O.CLOEXEC);
  if (result === -ERRNO.ENOENT) return undefined;
  return checkResult(result, NR.openat, path);
}

/** close(2); errors are of no use to anybody here. */
export function close(fd: number): void {
  rawSyscall(NR.close, fd);
}

/** unlink(2); false where there is nothing to unlink. @throws KernelError for any other refusal */
export function unlink(path: string): boolean {
  const result = rawSyscall(NR.unlinkat, AT.FDCWD, nameAddress(path), 0);
  if (result === -ERRNO.ENOENT) return false;
  checkResult(result, NR.unlinkat, path);
  return true;
}

/** symlink(2): `path` leads to `target`. @throws KernelError */
export function symlink(target: string, path: string): void {
  syscall(path, NR.symlinkat, nameAddress(target), AT.FDCWD, nameAddress(path, 1));
}

/** rename(2). @throws KernelError */
export function rename(from: string, to: string): void {
  syscall(from, NR.renameat, AT.FDCWD, nameAddress(from), AT.FDCWD, nameAddress(to, 1));
}

/** Runs `use` on an open descriptor and closes it whatever happens. */
export function withFd<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

/** read(2), pread(2) where `offset` is given: the number of bytes read. @throws KernelError */
export function read(fd: number, buffer: Uint8Array, offset?: number): number {
  const address = addressOf(buffer);
  for (;;) {
    const got =
      offset === undefined
        ? rawSyscall(NR.read, fd, address, buffer.length)
        : rawSyscall(NR.pread64, fd, address, buffer.length, offset);
    if (got >= 0) return got;
    if (got !== -ERRNO.EINTR) throw new KernelError("read", `descriptor ${fd}`, -got);
  }
}

/** Writes all of `buffer`, at `offset` where given. @throws KernelError */
export function writeAll(fd: number, buffer: Uint8Array, offset?: number): void {
  const address = addressOf(buffer);
  for (let done = 0; done < buffer.length; ) {
    const put =
      offset === undefined
        ? rawSyscall(NR.write, fd, address + done, buffer.length - done)
        : rawSyscall(NR.pwrite64, fd, address + done, buffer.length - done, offset + done);
    if (put >= 0) done += put;
    else if (put !== -ERRNO.EINTR) throw new KernelError("write", `descriptor ${fd}`, -put);
  }
}

export function lseek(fd: number, offset: number, whence: number): number {
  return syscall(() => `descriptor ${fd}`, NR.lseek, fd, offset, whence);
}

export function fcntl(fd: number, command: number, argument = 0): number {
  return syscall(() => `descriptor ${fd}`, NR.fcntl, fd, command, argument);
}

/** Not more at first than the files of /proc need; fresh memory costs a page fault every 4 KiB. */
let whole = new Uint8Array(1 << 14);
let wholeAddress = addressOf(whole);

/**
 * Reads an open file into `whole`, all of it or as much as one read(2) gives, and returns how many bytes that is. No
 * read(2) asks for more than `step`.
 */
function fill(fd: number, once: boolean, step = Number.POSITIVE_INFINITY): number {
  let length = 0;
  for (;;) {
    if (length === whole.length) {
      const larger = new Uint8Array(whole.length * 4);
      larger.set(whole);
      whole = larger;
      wholeAddress = addressOf(whole);
    }
    const got = rawSyscall(NR.read, fd, wholeAddress + length, Math.min(step, whole.length - length));
    if (got > 0) {
      length += got;
      if (once && length < whole.length) return length;
    } else if (got === 0) return length;
    else if (got !== -ERRNO.EINTR) throw new KernelError("read", `descriptor ${fd}`, -got);
  }
}

/**
 * All bytes of an open file, read from its beginning or where it stands. The result is a view of a buffer that the
 * next call overwrites. @throws KernelError
 */
export function readWhole(fd: number): Uint8Array {
  const length = fill(fd, false);
  return whole.subarray(0, length);
}

/** The bytes of a file, a copy of the caller's own. @throws KernelError */
export function readFileBytes(path: string, dirfd: number = AT.FDCWD): Uint8Array {
  return withFd(openAt(dirfd, path, O.RDONLY), (fd) => readWhole(fd).slice());
}

function textIn(path: string, dirfd: number, once: boolean, step?: number): string {
  const fd = openAt(dirfd, path, O.RDONLY);
  try {
    const length = fill(fd, once, step);
    return textOf(whole, 0, length);
  } finally {
    close(fd);
  }
}

/** A text file. @throws KernelError */
export function readText(path: string, dirfd: number = AT.FDCWD): string {
  return textIn(path, dirfd, false);
}

/**
 * A file of /proc that the kernel makes in one piece (single_open, simple_read_from_buffer): stat, status, fdinfo and the
 * like, not maps or children. The first read(2) gives all of it. @throws KernelError
 */
export function readPiece(path: string, dirfd: number = AT.FDCWD): string {
  return textIn(path, dirfd, true, MOST_OF_A_PIECE);
}

/** Files of /proc/sys refuse a read(2) that asks for more than they could ever allocate (KMALLOC_MAX_SIZE). */
const MOST_OF_A_PIECE = 1 << 20;

/**
 * A list of /proc whose entries cost the kernel much. It makes entries until a page (its own buffer) is full, and makes the
 * one that did not fit again for the next read(2): reads that ask for `step` bytes, a page less the longest entry, waste
 * none. @throws KernelError
 */
export function readSteps(path: string, step: number): string {
  return textIn(path, AT.FDCWD, false, step);
}

const linkBuffer = new Uint8Array(4096 * 2);
const linkAddress = addressOf(linkBuffer);

/** readlink(2). @throws KernelError */
export function readLink(path: string, dirfd: number = AT.FDCWD): string {
  const length = syscall(path, NR.readlinkat, dirfd, nameAddress(path), linkAddress, linkBuffer.length);
  return textOf(linkBuffer, 0, length);
}

/** The fixed part of struct linux_dirent64 (getdents64(2)); the name follows it. */
const dirent = struct({ ino: u64, off: s64, reclen: u16, type: u8 }, 19);
const direntBuffer = new Uint8Array(1 << 15);
const direntAddress = addressOf(direntBuffer);

/** The names in an open directory, from where it stands, without "." and ".."; `path` is for messages. @throws KernelError */
export function namesIn(fd: number, path: string): string[] {
  const names: string[] = [];
  for (;;) {
    const length = syscall(path, NR.getdents64, fd, direntAddress, direntBuffer.length);
    if (length === 0) return names;
    for (let at = 0; at < length; ) {
      const size = u16.read(direntBuffer, at + dirent.offset.reclen);
      const start = at + dirent.size;
      const name = textOf(direntBuffer, start, direntBuffer.indexOf(0, start));
      if (name !== "." && name !== "..") names.push(name);
      at += size;
    }
  }
}

/** The names in a directory, without "." and "..". @throws KernelError */
export function listDirectory(path: string, dirfd: number = AT.FDCWD): string[] {
  return withFd(openAt(dirfd, path, O.RDONLY | O.DIRECTORY), (fd) => namesIn(fd, path));
}

/** The numeric names in a directory, ascending: pids, tids, descriptors. @throws KernelError */
export function listNumbers(path: string): number[] {
  const numbers: number[] = [];
  for (const name of listDirectory(path)) {
    const value = Number(name);
    if (Number.isInteger(value)) numbers.push(value);
  }
  return numbers.sort((a, b) => a - b);
}

/** pidfd_open(2) (kernel 5.3). @throws KernelError */
export function pidfdOpen(pid: HostPid): number {
  return syscall(() => `of process ${pid}`, NR.pidfd_open, pid, 0);
}

/** pidfd_getfd(2) (kernel 5.6): our copy of another process' descriptor. @throws KernelError */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return checkResult(rawSyscall(NR.pidfd_getfd, pidfd, fd, 0), NR.pidfd_getfd, `descriptor ${fd}`);
}
