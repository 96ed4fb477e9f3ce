/**
 * Giving Unix sockets their names. The kernel makes a file where the path leads for whoever calls bind(2), and takes the path, letter by
 * letter, for the socket's name.
 *
 * - A file that stands where its name leads to, for us as well, is made there at once.
 * - One that stands elsewhere, since the name is relative, or that of a process with another root or other mounts, or since it was renamed,
 *   is made in a directory beside that place, which a child of ours has for its root, and moved there.
 * - One that is gone is made in a file system that nobody sees, the same way. So neither what stands at the path now nor a directory that
 *   is gone is in the way.
 *
 * The file of another socket that stands where one belongs is put aside, and removed when the restore has succeeded. Anything else in the
 * way is left alone.
 */
import type { FilePermsEntry, UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { ChildTable } from "../../linux/child-table.ts";
import { ERRNO } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { asRootOf } from "../../linux/fs-ids.ts";
import { AT, O, S, selfPath } from "../../linux/io.ts";
import { cloneMount, FSCONFIG, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC, OPEN_TREE } from "../../linux/mount.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import { type MountPath, type MountPaths, type PathAt, withName } from "../../linux/path-at.ts";
import { tryBind, unixSocketFile } from "../../linux/socket.ts";
import { statusAt } from "../../linux/statx.ts";
import { addressOf, checkResult, cString, pathAddress, rawSyscall, syscall } from "../../linux/syscall.ts";
import { log } from "../../log.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import { call, unlinking } from "../../undo/calls.ts";
import { layOwnName, nameBeside } from "../../undo/names.ts";
import type { Undo, UndoEntry } from "../../undo/undo.ts";
import { FileRestoreError } from "../errors.ts";
import { parentOf } from "../path.ts";
import { addressOfName, pathOf, textOfName } from "./unix-name.ts";

const PERMISSIONS = 0o7777;
const DIRECTORY_MODE = 0o755;
const FOR_ALL = 0o777;
/** Flags of open_tree(2): a copy of the mount that the directory itself is on. */
const CLONE_HERE = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH;

/** What is to be called how. */
export interface Naming {
  readonly name: Uint8Array;
  readonly permissions: FilePermsEntry | undefined;
  /** Where its file stands; undefined where nobody is to see it. */
  readonly at: MountPath | undefined;
}

/** How a socket of the images is called. */
export function namingOf(entry: UnixSkEntry): Naming {
  const { name, name_dir = "", file_perms: permissions, deleted, path, mnt_id: mount } = entry;
  const own = pathOf(name);
  if (own === undefined || deleted === true) return { name, permissions, at: undefined };
  const leads = own.startsWith("/") ? own : `${name_dir === "/" ? "" : name_dir}/${own}`;
  return { name, permissions, at: { mount: mount === -1 ? undefined : mount, path: path ?? leads } };
}

/** The name of one that is not to be seen. */
export function hiddenNaming(name: Uint8Array): Naming {
  return { name, permissions: undefined, at: undefined };
}

/** The file that a socket is bound to. */
export interface Bound {
  /** O_PATH. */
  readonly file: Fd;
  /** From where it is reached, which is the binder's, and how: no longer than an address may be. */
  readonly directory: number;
  readonly path: string;
}

/** A directory of ours, on the mount that a file is to be on; the same where names are made in it; and what leads on from there. */
interface Parent {
  readonly onMount: number;
  readonly names: number;
  readonly rest: string;
}

export class Binder implements Disposable {
  #hidden: Fd | undefined;
  readonly #inHidden: { readonly directory: Fd; readonly path: string }[] = [];
  readonly #parents = new Map<string, Parent>();

  constructor(
    private readonly undo: Undo,
    private readonly mounts: MountPaths,
    /** What we call the owners that images name. */
    private readonly owners: Owners,
  ) {}

  /**
   * Binds a socket of ours. Gives its file, the caller's; undefined where the name is abstract. `owner` is a process that is to have
   * the socket, and lives in its mount namespace.
   * @throws KernelError; FileRestoreError where the name is taken
   */
  bind(fd: number, naming: Naming, owner?: Restoree): Bound | undefined {
    const path = pathOf(naming.name);
    if (path === undefined) {
      checkResult(tryBind(fd, addressOfName(naming.name)), NR.bind, textOfName(naming.name));
      return undefined;
    }
    const { at } = naming;
    const bound =
      at === undefined
        ? this.#bindHidden(fd, naming, path)
        : asRootOf(this.owners, () =>
            at.path === path && this.mounts.lookUp(at) === undefined
              ? this.#bindInPlace(fd, naming, at)
              : this.#bindBeside(fd, naming, path, at, owner),
          );
    this.#setPermissions(bound.file.number, naming.permissions);
    return bound;
  }

  /** Nobody connects to sockets by files any more that nobody is to see: they go. Never throws. */
  [Symbol.dispose](): void {
    for (const { directory, path } of this.#inHidden.splice(0)) {
      rawSyscall(NR.unlinkat, directory.number, pathAddress(path), 0);
      directory.close();
    }
    this.#hidden?.close();
  }

  #bindInPlace(fd: number, naming: Naming, { path }: MountPath): Bound {
    const at = { directory: AT.FDCWD, path };
    const aside = this.#putAside(at);
    // Whatever stands there when we die half-way is the one that we have made.
    const made = layOwnName(this.undo, at);
    const result = tryBind(fd, addressOfName(naming.name));
    if (result < 0) {
      made.drop();
      aside?.back();
      checkResult(result, NR.bind, path);
    }
    const file = Fd.open(path, O.PATH | O.NOFOLLOW);
    this.undo.lay(path, unlinking(AT.FDCWD, path, file.number));
    made.drop();
    aside?.gone();
    const { names, rest } = this.#parentOf({ mount: undefined, path });
    return { file, directory: names, path: `${rest}${leafOf(path)}` };
  }

  #bindBeside(fd: number, naming: Naming, path: string, at: MountPath, owner: Restoree | undefined): Bound {
    const { undo } = this;
    const { onMount, names, rest } = this.#parentOf(at, owner);
    const leaf = `${rest}${leafOf(at.path)}`;
    const beside = nameBeside(leafOf(at.path));
    const within = (name: string): PathAt => ({ directory: names, path: name });
    const { parents, end } = normalized(path);
    const entries: UndoEntry[] = [];
    for (const name of [beside, ...parents.map((parent) => `${beside}/${parent}`)]) {
      entries.push(layOwnName(undo, within(name), true));
      syscall(at.path, NR.mkdirat, names, pathAddress(name), DIRECTORY_MODE);
    }
    entries.push(layOwnName(undo, within(`${beside}/${end}`)));
    using root = Fd.openAt(onMount, beside, O.PATH | O.DIRECTORY);
    checkResult(bindInChild(fd, naming.name, root.number), NR.bind, at.path);
    const file = Fd.openAt(onMount, `${beside}/${end}`, O.PATH | O.NOFOLLOW);
    const aside = this.#putAside(within(leaf));
    undo.lay(at.path, unlinking(names, leaf, file.number));
    const [from, to] = [pathAddress(`${beside}/${end}`), pathAddress(leaf, 1)];
    syscall(at.path, NR.renameat2, names, from, names, to, 0);
    for (const entry of entries.reverse()) entry.undo();
    aside?.gone();
    return { file, directory: names, path: leaf };
  }

  #bindHidden(fd: number, naming: Naming, path: string): Bound {
    this.#hidden ??= hiddenFileSystem();
    const name = String(this.#inHidden.length);
    const make = (directory: number, each: string) =>
      syscall(path, NR.mkdirat, directory, pathAddress(each), DIRECTORY_MODE);
    make(this.#hidden.number, name);
    const directory = Fd.openAt(this.#hidden.number, name, O.PATH | O.DIRECTORY);
    const { parents, end } = normalized(path);
    for (const parent of parents) make(directory.number, parent);
    checkResult(bindInChild(fd, naming.name, directory.number), NR.bind, path);
    const file = unixSocketFile(fd);
    if (file === undefined) throw new FileRestoreError(`${path}: a Unix socket cannot be bound there`);
    // Its owner is not of the user namespace of whoever is to connect to it.
    syscall(path, NR.fchmodat, AT.FDCWD, pathAddress(selfPath(file.number)), FOR_ALL);
    this.#inHidden.push({ directory, path: end });
    return { file, directory: directory.number, path: end };
  }

  /** The directory that a path is in. @throws KernelError */
  #parentOf({ mount, path }: MountPath, owner?: Restoree): Parent {
    const above = parentOf(path);
    const key = `${mount} ${above}`;
    let found = this.#parents.get(key);
    if (found === undefined) {
      found = this.#openParent({ mount, path: above }, "", owner);
      this.#parents.set(key, found);
    }
    return found;
  }

  #openParent({ mount, path }: MountPath, rest: string, owner: Restoree | undefined): Parent {
    const result = this.mounts.open({ mount, path }, O.PATH | O.DIRECTORY);
    // Something is mounted on it: the directory above is on the mount still, and a copy of that has nothing mounted in it.
    if (result === -ERRNO.EXDEV && path !== "/")
      return this.#openParent({ mount, path: parentOf(path) }, `${leafOf(path)}/${rest}`, owner);
    const onMount = this.undo.keep(Fd.own(checkResult(result, NR.openat, path)));
    const names = rest === "" ? onMount : this.undo.keep(copyMount(onMount, path, owner));
    return { onMount, names, rest };
  }

  /** Moves what stands at a path out of the way: a socket's file. @throws FileRestoreError where it is another one's */
  #putAside(at: PathAt): { back(): void; gone(): void } | undefined {
    const { directory, path } = at;
    const there = statusAt(directory, pathAddress(path));
    if (typeof there === "number") return undefined;
    if ((there.mode & S.IFMT) !== S.IFSOCK)
      throw new FileRestoreError(`${path}, where a Unix socket is bound, is taken by a file that is none`);
    const beside = withName(at, nameBeside);
    const [from, to] = [cString(path), cString(beside.path)];
    const entry = this.undo.lay(path, [call(NR.renameat2, directory, to, directory, from, 0)]);
    syscall(path, NR.renameat2, directory, addressOf(from), directory, addressOf(to), 0);
    log.debug("files/unix", `${path}: the socket that stood there is at ${beside.path}`);
    return {
      back: () => entry.undo(),
      gone: () => {
        this.undo.layAfter(beside.path, [call(NR.unlinkat, directory, to, 0)]);
      },
    };
  }

  #setPermissions(file: number, permissions: FilePermsEntry | undefined): void {
    if (permissions === undefined) return;
    const { mode, uid, gid } = permissions;
    const path = selfPath(file);
    // First the owner, whose change takes bits of the mode away.
    syscall(path, NR.fchownat, AT.FDCWD, pathAddress(path), this.owners.uid(uid), this.owners.gid(gid), 0);
    syscall(path, NR.fchmodat, AT.FDCWD, pathAddress(path), mode & PERMISSIONS);
  }
}

function leafOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** bind(2) in a child that has a directory of ours, which is lent, for its root. Gives the raw result. */
function bindInChild(fd: number, name: Uint8Array, root: number): number {
  using child = new ChildTable();
  child.call(NR.fchdir, root);
  const rooted = child.call(NR.chroot, ".");
  const address = addressOfName(name);
  const result = child.call(NR.bind, fd, child.data(address).address, address.length);
  child.run();
  return rooted.raw < 0 ? rooted.raw : result.raw;
}

/** Where a path leads to from a root without links, and the directories that are asked for on the way. */
function normalized(path: string): { readonly parents: readonly string[]; readonly end: string } {
  const names: string[] = [];
  const passed = new Set<string>();
  for (const name of path.split("/")) {
    if (names.length > 0) passed.add(names.join("/"));
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  const end = names.join("/");
  passed.delete(end);
  return { parents: [...passed], end };
}

/** A copy, mounted nowhere, of the mount that a directory of ours is on. Only who lives in its namespace may make one. @throws KernelError */
function copyMount(directory: number, path: string, owner: Restoree | undefined): Fd {
  if (owner === undefined) return Fd.own(cloneMount(directory, ""));
  const { table, pid } = owner;
  const there = owner.fetch(path, directory);
  const copy = table.must(path, NR.open_tree, there, table.data(new Uint8Array(1)), CLONE_HERE);
  table.run();
  using pidfd = Fd.ofProcess(pid);
  const ours = Fd.outOf(pidfd.number, copy.value);
  for (const fd of [there, copy]) table.must(path, NR.close, fd.value);
  table.run();
  return ours;
}

/** A tmpfs that is mounted nowhere: it is there as long as something in it is open. @throws KernelError */
function hiddenFileSystem(): Fd {
  const name = cString("tmpfs");
  using context = Fd.own(syscall("tmpfs", NR.fsopen, addressOf(name), FSOPEN_CLOEXEC));
  syscall("tmpfs", NR.fsconfig, context.number, FSCONFIG.CREATE, 0, 0, 0);
  return Fd.own(syscall("tmpfs", NR.fsmount, context.number, FSMOUNT_CLOEXEC, 0));
}
