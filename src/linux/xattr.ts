/** Extended attributes of files (xattr(7)). */
import { ERRNO } from "./errno.ts";
import { NR } from "./nr.ts";
import { addressOf, checkResult, nameAddress, rawSyscall, syscall } from "./syscall.ts";
import { textOf } from "./text.ts";

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of include/uapi/linux/limits.h. */
const MOST = 65536;
const NONE: ReadonlyMap<string, Uint8Array> = new Map();

const buffer = new Uint8Array(MOST);
const address = addressOf(buffer);

/** All of what stands at a path, a symbolic link itself; none where the file system has none. @throws KernelError */
export function listAttributes(path: string): ReadonlyMap<string, Uint8Array> {
  const length = rawSyscall(NR.llistxattr, nameAddress(path), address, MOST);
  if (length === 0 || length === -ERRNO.EOPNOTSUPP) return NONE;
  const names = textOf(buffer, 0, checkResult(length, NR.llistxattr, path));
  const attributes = new Map<string, Uint8Array>();
  for (const name of names.split("\0").slice(0, -1)) {
    const size = rawSyscall(NR.lgetxattr, nameAddress(path), nameAddress(name, 1), address, MOST);
    // What is listed by a security module that is off cannot be asked for.
    if (size === -ERRNO.ENODATA || size === -ERRNO.EOPNOTSUPP) continue;
    attributes.set(name, buffer.slice(0, checkResult(size, NR.lgetxattr, `${path}: ${name}`)));
  }
  return attributes;
}

/** setxattr(2), which follows links. @throws KernelError */
export function setAttribute(path: string, name: string, value: Uint8Array): void {
  syscall(
    `${path}: ${name}`,
    NR.setxattr,
    nameAddress(path),
    nameAddress(name, 1),
    addressOf(value),
    value.length,
  );
}
