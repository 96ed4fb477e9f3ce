/**
 * What Unix sockets are called: nothing; an abstract name, any bytes behind a zero byte; or a path, at which a file stands as long
 * as nobody removes or renames it. The name stays what bind(2) was told, letter by letter, whatever becomes of the file.
 */
import type { UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, O } from "../../linux/io.ts";
import type { TreeMounts } from "../../linux/path-at.ts";
import { unixSocketFile } from "../../linux/socket.ts";
import { encodeUnix } from "../../linux/socket-address.ts";
import { type FileStatus, type FullStatus, fullStatusOf, statusAt } from "../../linux/statx.ts";
import { pathAddress } from "../../linux/syscall.ts";
import { bytesToText } from "../../linux/text.ts";
import type { UnixSocket } from "../../linux/unix-diag.ts";
import { FileDumpError } from "../errors.ts";
import type { OpenFile } from "../open-file.ts";
import { linkOf, parentOf, saysDeleted, withoutDeleted } from "../path.ts";

/** sizeof(struct sockaddr_un): the longest path has no zero byte at its end. */
const LONGEST_ADDRESS = 110;

/** The bytes of a name that is a path, without what stands behind it; undefined for any other. */
export function pathBytes(name: Uint8Array): Uint8Array | undefined {
  if (name.length === 0 || name[0] === 0) return undefined;
  const end = name.indexOf(0);
  return end < 0 ? name : name.subarray(0, end);
}

/** The same as text. */
export function pathOf(name: Uint8Array): string | undefined {
  const bytes = pathBytes(name);
  return bytes && bytesToText(bytes);
}

/** The address of a name, as bind(2) and connect(2) take it. */
export function addressOfName(name: Uint8Array): Uint8Array {
  return encodeUnix(pathBytes(name) ?? name).subarray(0, LONGEST_ADDRESS);
}

/** A name for messages. */
export function textOfName(name: Uint8Array): string {
  return bytesToText(pathBytes(name) ?? name).replaceAll("\0", "@");
}

// --- dump

type FileOfName = Pick<UnixSkEntry, "file_perms" | "name_dir" | "deleted" | "path" | "mnt_id">;

/**
 * The file that a socket has its name by: its permissions, what a relative name starts from, whether it is gone, and where it is
 * if not where the name leads. @throws KernelError; FileDumpError where it cannot be made again
 */
export function fileOfName(
  file: OpenFile,
  { name }: UnixSocket,
  mounts: TreeMounts,
  where: string,
): FileOfName {
  const text = name && pathOf(name);
  if (text === undefined) return {};
  using socketFile = unixSocketFile(file.copy);
  if (socketFile === undefined) return {};
  const status = fullStatusOf(socketFile.number);
  const link = linkOf(socketFile.number);
  // Where a file was that is gone does not matter; a restore has put it where nobody sees it.
  const isOutside = mounts.any && !mounts.has(status.mntId);
  if (isOutside && !saysDeleted(link)) {
    throw new FileDumpError(
      `${where}: it is bound to ${text} on mount ${status.mntId}, which is in no mount namespace of the tree`,
    );
  }
  const owner = { uid: file.owners.uid(status.uid), gid: file.owners.gid(status.gid) };
  const found = {
    file_perms: { mode: status.mode, ...owner },
    ...(mounts.any && !isOutside && { mnt_id: status.mntId }),
  };
  const leads = (path: string) => !isOutside && isAt(mounts, path, status);
  const deleted = saysDeleted(link) && !leads(link);
  const at = deleted ? withoutDeleted(link) : link;
  if (!at.startsWith("/"))
    throw new FileDumpError(`${where}: it is bound to ${text}, which stands where we cannot see it (${at})`);
  if (text.startsWith("/")) {
    if (deleted) return { ...found, deleted };
    return at === text || leads(text) ? found : { ...found, path: at };
  }
  const name_dir = startOf(at, text);
  if (name_dir !== undefined) return deleted ? { ...found, name_dir, deleted } : { ...found, name_dir };
  const cwd = deleted ? undefined : cwdOf(file);
  if (cwd !== undefined && leads(`${cwd}/${text}`)) return { ...found, name_dir: cwd };
  if (text.includes("/") || deleted) {
    throw new FileDumpError(
      `${where}: it is bound to ${text}, a path from a directory that is not known any more; it is at ${at}`,
    );
  }
  return { ...found, name_dir: parentOf(at), path: at };
}

/** What a relative path starts from that leads to `at`. */
function startOf(at: string, relative: string): string | undefined {
  const end = `/${relative}`;
  if (!at.endsWith(end)) return undefined;
  return at.slice(0, -end.length) || "/";
}

function cwdOf(file: OpenFile): string | undefined {
  try {
    using cwd = Fd.open(`/proc/${file.pid}/cwd`, O.PATH);
    return linkOf(cwd.number);
  } catch {
    return undefined;
  }
}

/** Whether a path of the tree's leads to a file. */
function isAt(mounts: TreeMounts, path: string, { dev, ino, mntId }: FullStatus): boolean {
  const root = mounts.rootFor(mntId);
  const is = (there: FileStatus | number) =>
    typeof there !== "number" && there.dev === dev && there.ino === ino;
  const name = root === AT.FDCWD ? path : path.replace(/^\/+/, "");
  return is(statusAt(root, pathAddress(name))) || (mounts.any && is(mounts.lookUnder(mntId, path)));
}
