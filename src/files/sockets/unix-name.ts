/**
 * What Unix sockets are called: nothing; an abstract name, any bytes behind a zero byte; or a path, at which a file stands as long
 * as nobody removes or renames it. The name stays what bind(2) was told, letter by letter, whatever becomes of the file.
 */
import type { UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, O } from "../../linux/io.ts";
import type { UnixSocket } from "../../linux/sock-diag.ts";
import { encodeUnix, unixSocketFile } from "../../linux/socket.ts";
import { type FullStatus, fullStatusOf, statusAt } from "../../linux/statx.ts";
import { pathAddress } from "../../linux/syscall.ts";
import { bytesToText } from "../../linux/text.ts";
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

type FileOfName = Pick<UnixSkEntry, "file_perms" | "name_dir" | "deleted" | "path">;

/**
 * The file that a socket has its name by: its permissions, what a relative name starts from, whether it is gone, and where it is
 * if not where the name leads. @throws KernelError; FileDumpError where it cannot be made again
 */
export function fileOfName(file: OpenFile, { name }: UnixSocket, where: string): FileOfName {
  const text = name && pathOf(name);
  if (text === undefined) return {};
  using socketFile = unixSocketFile(file.copy);
  if (socketFile === undefined) return {};
  const status = fullStatusOf(socketFile.number);
  const { mode } = status;
  const file_perms = { mode, uid: file.owners.uid(status.uid), gid: file.owners.gid(status.gid) };
  const link = linkOf(socketFile.number);
  const deleted = saysDeleted(link) && !isAt(link, status);
  const at = deleted ? withoutDeleted(link) : link;
  if (!at.startsWith("/")) {
    throw new FileDumpError(`${where}: it is bound to ${text}, which stands where we cannot see it (${at})`);
  }
  if (text.startsWith("/")) {
    if (deleted) return { file_perms, deleted };
    return at === text || isAt(text, status) ? { file_perms } : { file_perms, path: at };
  }
  const name_dir = startOf(at, text);
  if (name_dir !== undefined) return deleted ? { file_perms, name_dir, deleted } : { file_perms, name_dir };
  const cwd = linkOfProcess(file);
  if (!deleted && cwd !== undefined && isAt(`${cwd}/${text}`, status)) return { file_perms, name_dir: cwd };
  if (text.includes("/") || deleted) {
    throw new FileDumpError(
      `${where}: it is bound to ${text}, a path from a directory that is not known any more; it is at ${at}`,
    );
  }
  return { file_perms, name_dir: parentOf(at), path: at };
}

/** What a relative path starts from that leads to `at`. */
function startOf(at: string, relative: string): string | undefined {
  const end = `/${relative}`;
  if (!at.endsWith(end)) return undefined;
  return at.slice(0, -end.length) || "/";
}

function linkOfProcess(file: OpenFile): string | undefined {
  try {
    using cwd = Fd.open(`/proc/${file.pid}/cwd`, O.PATH);
    return linkOf(cwd.number);
  } catch {
    return undefined;
  }
}

function isAt(path: string, { dev, ino }: FullStatus): boolean {
  const there = statusAt(AT.FDCWD, pathAddress(path));
  return typeof there !== "number" && there.dev === dev && there.ino === ino;
}
