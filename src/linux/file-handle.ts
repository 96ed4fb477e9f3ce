/** File handles (open_by_handle_at(2)): inodes without a path. */
import { NR } from "./nr.ts";
import { s32, struct, u32 } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

/** The head of struct file_handle; the handle itself follows. */
const fileHandle = struct({ handle_bytes: u32, handle_type: s32 });

/**
 * Opens an inode by its handle, from any descriptor, open for reading, of its file system. The descriptor is the caller's.
 * @throws KernelError (ESTALE: it is no more; EPERM: no CAP_DAC_READ_SEARCH)
 */
export function openByHandle(mount: number, type: number, handle: Uint8Array, flags: number): number {
  const bytes = new Uint8Array(fileHandle.size + handle.length);
  fileHandle.encodeInto(bytes, 0, { handle_bytes: handle.length, handle_type: type });
  bytes.set(handle, fileHandle.size);
  return syscall("a file handle", NR.open_by_handle_at, mount, addressOf(bytes), flags);
}
