/**
 * Giving Unix sockets their names. A path is made out by whoever binds, and is the socket's name letter by letter from then on:
 *
 * - whose file stands at its path is bound there. A socket's file that is in the way is put aside, and removed when the restore
 *   has succeeded; anything else in the way is left alone;
 * - whose file is gone is bound in a file system that nobody sees, where there are the directories that the path asks for, and its
 *   file is removed at once. So neither what stands at the path now nor a directory that is gone is in the way.
 *
 * A relative path needs a directory to start from, and a hidden one a root: a child of ours goes there.
 */
import type { FilePermsEntry, UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { ChildTable } from "../../linux/child-table.ts";
import { ERRNO } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, O, S } from "../../linux/io.ts";
import { FSCONFIG, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from "../../linux/mount.ts";
import { NR } from "../../linux/nr.ts";
import { tryBind, unixSocketFile } from "../../linux/socket.ts";
import { statusAt, statusOf } from "../../linux/statx.ts";
import { addressOf, checkResult, cString, pathAddress, rawSyscall, syscall } from "../../linux/syscall.ts";
import { log } from "../../log.ts";
import { call, unlinking } from "../../undo/calls.ts";
import { nameBeside } from "../../undo/names.ts";
import type { Undo } from "../../undo/undo.ts";
import { FileRestoreError } from "../errors.ts";
import { selfPath } from "../path.ts";
import { addressOfName, pathOf, textOfName } from "./unix-name.ts";

const PERMISSIONS = 0o7777;
const DIRECTORY_MODE = 0o755;

/** What is to be called how. */
export interface Naming {
  readonly name: Uint8Array;
  /** Where a relative path starts. */
  readonly directory: string | undefined;
  readonly permissions: FilePermsEntry | undefined;
  /** Its file does not stand there, or is not to: nobody will see it. */
  readonly isHidden: boolean;
  /** Where the file is to stand in the end, if not where the name leads. */
  readonly path: string | undefined;
}

/** How a socket of the images is called. */
export function namingOf({ name, name_dir, file_perms, deleted, path }: UnixSkEntry): Naming {
  return { name, directory: name_dir, permissions: file_perms, isHidden: deleted === true, path };
}

export class Binder implements Disposable {
  #hidden: Fd | undefined;

  constructor(private readonly undo: Undo) {}

  /**
   * Binds a socket of ours. Gives its file, O_PATH and the caller's, by which it can be connected to wherever it stands; undefined
   * where the name is abstract. @throws KernelError; FileRestoreError where the name is taken
   */
  bind(fd: number, naming: Naming): Fd | undefined {
    const path = pathOf(naming.name);
    if (path === undefined) {
      const address = addressOfName(naming.name);
      checkResult(tryBind(fd, address), NR.bind, textOfName(naming.name));
      return undefined;
    }
    return naming.isHidden ? this.#bindHidden(fd, naming, path) : this.#bindInPlace(fd, naming, path);
  }

  [Symbol.dispose](): void {
    this.#hidden?.close();
  }

  #bindInPlace(fd: number, naming: Naming, path: string): Fd {
    const { directory } = naming;
    const whole = path.startsWith("/") ? path : `${directory ?? ""}/${path}`;
    const aside = this.#putAside(whole);
    const address = addressOfName(naming.name);
    // Whatever stands there when we die half-way is the one that we have made.
    const made = this.undo.lay(whole, [
      call(NR.unlinkat, AT.FDCWD, cString(whole), 0).allowing(ERRNO.ENOENT),
    ]);
    let result: number;
    if (path.startsWith("/")) result = tryBind(fd, address);
    else {
      using from = Fd.open(directory ?? "/", O.PATH | O.DIRECTORY);
      result = bindInChild(fd, address, [[NR.fchdir, from.number]]);
    }
    if (result < 0) {
      made.drop();
      aside?.back();
      checkResult(result, NR.bind, whole);
    }
    const file = Fd.open(whole, O.PATH | O.NOFOLLOW);
    this.undo.lay(whole, unlinking(AT.FDCWD, whole, file.number));
    made.drop();
    aside?.gone();
    setPermissions(file.number, naming.permissions);
    if (naming.path !== undefined) this.#move(file.number, whole, naming.path);
    return file;
  }

  /** Moves what stands at a path out of the way: a socket's file. @throws FileRestoreError where it is another one's */
  #putAside(path: string): { back(): void; gone(): void } | undefined {
    const there = statusAt(AT.FDCWD, pathAddress(path));
    if (typeof there === "number") return undefined;
    if ((there.mode & S.IFMT) !== S.IFSOCK)
      throw new FileRestoreError(`${path}, which a Unix socket is bound to, is taken by a file that is none`);
    const beside = nameBeside(path);
    const from = cString(path);
    const to = cString(beside);
    const entry = this.undo.lay(path, [
      call(NR.renameat2, AT.FDCWD, to, AT.FDCWD, from, 0).allowing(ERRNO.ENOENT),
    ]);
    syscall(path, NR.renameat2, AT.FDCWD, addressOf(from), AT.FDCWD, addressOf(to), 0);
    log.debug("files/unix", `${path}: the socket that stood there is at ${beside}`);
    return {
      back: () => entry.undo(),
      gone: () => {
        this.undo.layAfter(beside, [call(NR.unlinkat, AT.FDCWD, to, 0)]);
      },
    };
  }

  /** Its file was renamed when it was bound. */
  #move(file: number, from: string, to: string): void {
    const status = statusOf(file);
    const there = statusAt(AT.FDCWD, pathAddress(to));
    if (typeof there !== "number" && there.ino === status.ino && there.dev === status.dev) return;
    const aside = this.#putAside(to);
    this.undo.lay(to, unlinking(AT.FDCWD, to, file));
    const result = rawSyscall(NR.renameat2, AT.FDCWD, pathAddress(from), AT.FDCWD, pathAddress(to, 1), 0);
    if (result < 0) aside?.back();
    else aside?.gone();
    checkResult(result, NR.renameat2, to);
  }

  #bindHidden(fd: number, { name, permissions }: Naming, path: string): Fd {
    this.#hidden ??= hiddenFileSystem();
    const calls: ChildCall[] = [
      [NR.fchdir, this.#hidden.number],
      [NR.chroot, "."],
      ...parentsOf(path).map((parent): ChildCall => [NR.mkdir, parent, DIRECTORY_MODE]),
    ];
    const result = bindInChild(fd, addressOfName(name), calls, [[NR.unlink, path]]);
    checkResult(result, NR.bind, path);
    const file = unixSocketFile(fd);
    if (file === undefined) throw new FileRestoreError(`${path}: a Unix socket cannot be bound there`);
    setPermissions(file.number, permissions);
    return file;
  }
}

/** A call of a child: its number, and arguments. */
type ChildCall = readonly [nr: number, ...args: (number | string)[]];

/** bind(2) in a child, which makes other calls before and after it. Gives its raw result. */
function bindInChild(
  fd: number,
  address: Uint8Array,
  before: readonly ChildCall[],
  after: readonly ChildCall[] = [],
): number {
  using child = new ChildTable();
  for (const [nr, ...args] of before) child.call(nr, ...args);
  const result = child.call(NR.bind, fd, child.data(address).address, address.length);
  for (const [nr, ...args] of after) child.call(nr, ...args);
  child.run();
  return result.raw;
}

/** The directories on the way to a path, each as the path says it, from the first on. */
function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let slash = path.indexOf("/", 1); slash > 0; slash = path.indexOf("/", slash + 1))
    parents.push(path.slice(0, slash));
  return parents;
}

/** A tmpfs that is mounted nowhere: it is there as long as something in it is open. @throws KernelError */
function hiddenFileSystem(): Fd {
  const name = cString("tmpfs");
  using context = Fd.own(syscall("tmpfs", NR.fsopen, addressOf(name), FSOPEN_CLOEXEC));
  syscall("tmpfs", NR.fsconfig, context.number, FSCONFIG.CREATE, 0, 0, 0);
  return Fd.own(syscall("tmpfs", NR.fsmount, context.number, FSMOUNT_CLOEXEC, 0));
}

function setPermissions(file: number, permissions: FilePermsEntry | undefined): void {
  if (permissions === undefined) return;
  const { mode, uid, gid } = permissions;
  const path = selfPath(file);
  // First the owner, whose change takes bits of the mode away.
  syscall(path, NR.fchownat, AT.FDCWD, pathAddress(path), uid, gid, 0);
  syscall(path, NR.fchmodat, AT.FDCWD, pathAddress(path), mode & PERMISSIONS);
}
