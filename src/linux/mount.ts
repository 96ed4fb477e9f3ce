/**
 * Mounts: the flags of mount(2), the calls that work on mounts by descriptors (kernel 5.2; mount_setattr 5.12,
 * MOVE_MOUNT_SET_GROUP 5.15), and openat2(2) (kernel 5.6). Numbers from include/uapi/linux/mount.h, openat2.h and fcntl.h.
 */
import { Fd } from "./fd.ts";
import { AT, O } from "./io.ts";
import { NR } from "./nr.ts";
import { struct, u64 } from "./struct.ts";
import { addressOf, nameAddress, rawSyscall, syscall } from "./syscall.ts";

/** Flags of mount(2), which images hold. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 0x10,
  REMOUNT: 0x20,
  MANDLOCK: 0x40,
  DIRSYNC: 0x80,
  NOSYMFOLLOW: 0x100,
  NOATIME: 0x400,
  NODIRATIME: 0x800,
  BIND: 0x1000,
  MOVE: 0x2000,
  REC: 0x4000,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;

/** Those that say what is propagated. */
export const MS_PROPAGATION = MS.UNBINDABLE | MS.PRIVATE | MS.SLAVE | MS.SHARED;

/** Attributes of a mount: mount_setattr(2), fsmount(2). */
export const MOUNT_ATTR = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  /** Which times of access are kept: one of the three that follow. */
  ATIME: 0x70,
  RELATIME: 0,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x10_0000,
  NOSYMFOLLOW: 0x20_0000,
} as const;

/** struct mount_attr. */
export const mountAttr = struct({ attr_set: u64, attr_clr: u64, propagation: u64, userns_fd: u64 });

/** Every attribute that a mount has; with `attr_clr` of it, `attr_set` is all that it has afterwards. */
export const ALL_ATTRS =
  MOUNT_ATTR.RDONLY |
  MOUNT_ATTR.NOSUID |
  MOUNT_ATTR.NODEV |
  MOUNT_ATTR.NOEXEC |
  MOUNT_ATTR.ATIME |
  MOUNT_ATTR.NODIRATIME |
  MOUNT_ATTR.NOSYMFOLLOW;

export const FSOPEN_CLOEXEC = 1;
export const FSMOUNT_CLOEXEC = 1;
export const FSPICK = { CLOEXEC: 1, EMPTY_PATH: 8 } as const;
export const FSCONFIG = { SET_FLAG: 0, SET_STRING: 1, SET_FD: 5, CREATE: 6, RECONFIGURE: 7 } as const;

/** The flags of open_tree(2); those of the AT_ family go with them. */
export const OPEN_TREE = { CLONE: 1, CLOEXEC: O.CLOEXEC } as const;
export const AT_NO_AUTOMOUNT = 0x800;

export const MOVE_MOUNT = { F_EMPTY_PATH: 4, T_EMPTY_PATH: 0x40, SET_GROUP: 0x100 } as const;
export const MNT_DETACH = 2;

/** How openat2(2) looks up a path. */
export const RESOLVE = { NO_XDEV: 1, NO_MAGICLINKS: 2, NO_SYMLINKS: 4, BENEATH: 8, IN_ROOT: 0x10 } as const;

/** struct open_how. */
export const openHow = struct({ flags: u64, mode: u64, resolve: u64 });

const how = new Uint8Array(24);
const howAddress = addressOf(how);

/** The flags that go with O_PATH: others have no meaning with it, and openat2(2), unlike open(2), refuses them. */
const WITH_PATH = O.PATH | O.DIRECTORY | O.NOFOLLOW;

/** openat2(2) with O_CLOEXEC; gives the raw result. */
export function rawOpenat2(dirfd: number, path: string, flags: number, resolve: number, mode = 0): number {
  const meant = (flags & O.PATH) === 0 ? flags : flags & WITH_PATH;
  openHow.encodeInto(how, 0, {
    flags: BigInt(meant | O.CLOEXEC),
    mode: BigInt(mode),
    resolve: BigInt(resolve),
  });
  return rawSyscall(NR.openat2, dirfd, nameAddress(path), howAddress, openHow.size);
}

/** A mount of its own of what `path` leads to, also by links, without the mounts in it, attached nowhere; the caller's. @throws KernelError */
export function cloneMount(dirfd: number, path: string): number {
  const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
  return syscall(path, NR.open_tree, dirfd, nameAddress(path), flags);
}

const AT_EMPTY_PATH = 0x1000;

/** The attributes of a mount with these flags of mount(2). */
export function attrsOf(flags: number): number {
  const time =
    (flags & MS.NOATIME) !== 0
      ? MOUNT_ATTR.NOATIME
      : (flags & MS.STRICTATIME) !== 0
        ? MOUNT_ATTR.STRICTATIME
        : MOUNT_ATTR.RELATIME;
  const pairs = [
    [MS.RDONLY, MOUNT_ATTR.RDONLY],
    [MS.NOSUID, MOUNT_ATTR.NOSUID],
    [MS.NODEV, MOUNT_ATTR.NODEV],
    [MS.NOEXEC, MOUNT_ATTR.NOEXEC],
    [MS.NODIRATIME, MOUNT_ATTR.NODIRATIME],
    [MS.NOSYMFOLLOW, MOUNT_ATTR.NOSYMFOLLOW],
  ] as const;
  return pairs.reduce((attrs, [flag, attr]) => ((flags & flag) !== 0 ? attrs | attr : attrs), time as number);
}

/** struct mount_attr that gives a mount the attributes of these flags and no other, and says what is propagated. */
export function attrStruct(flags: number, propagation: number): Uint8Array {
  return mountAttr.encode({
    attr_set: BigInt(attrsOf(flags)),
    attr_clr: BigInt(ALL_ATTRS),
    propagation: BigInt(propagation),
  });
}

/** struct mount_attr that says what is propagated and nothing else. */
export function propagationStruct(propagation: number): Uint8Array {
  return mountAttr.encode({ propagation: BigInt(propagation) });
}

/** struct mount_attr that takes attributes away. */
export function clearingStruct(attributes: number): Uint8Array {
  return mountAttr.encode({ attr_clr: BigInt(attributes) });
}

/** mount_setattr(2) by us. @throws KernelError */
export function setMountAttributes(fd: number, attributes: Uint8Array, what: string): void {
  const address = addressOf(attributes);
  syscall(what, NR.mount_setattr, fd, nameAddress(""), AT_EMPTY_PATH, address, attributes.length);
}

/**
 * A directory of ours by a mount of its own, attached nowhere, on which files can be made even where it is on a read-only one, unless
 * the file system itself is read-only. O_PATH; the caller's. @throws KernelError
 */
export function writableDirectory(path: string): Fd {
  const clone = Fd.own(cloneMount(AT.FDCWD, path));
  try {
    setMountAttributes(clone.number, clearingStruct(MOUNT_ATTR.RDONLY), path);
    return clone;
  } catch (error) {
    clone.close();
    throw error;
  }
}
