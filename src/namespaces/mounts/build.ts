/**
 * Building mount namespaces inside the root of the tree, which has just been born into one of its own, a copy of ours:
 *
 *     yard      a tmpfs takes the place of everything; what we had goes as soon as nothing needs it any more
 *     firsts    one mount of each super block: made in the process, or by us and handed in; content of tmpfs
 *     binds     all others of a super block, from the first; so far each stands by itself in the yard
 *     trees     a namespace after the other: every mountpoint is looked up in its parent, which nothing is mounted on yet; the
 *               mounts are moved there, and the root is changed. That of the root is the last, made of the mounts themselves;
 *               others, in copies of the yard, of copies
 *     overlays  file systems made of directories of the tree, and what stands on them
 *     sharing   who hears from whom (sharing.ts)
 *
 * Everything is done by descriptors. What is looked up is looked up in one mount, and links do not lead out of it. If something
 * fails, the process goes, and everything with it.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { Fstype } from "../../images/schema/generated/namespaces.ts";
import { NEW } from "../../linux/clone.ts";
import { ERRNO } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { asRootOf } from "../../linux/fs-ids.ts";
import { AT, isDirectory, O } from "../../linux/io.ts";
import {
  attrStruct,
  cloneMount,
  FSCONFIG,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  FSPICK,
  MNT_DETACH,
  MOVE_MOUNT,
  MS,
  mountAttr,
  OPEN_TREE,
  openHow,
  RESOLVE,
  rawOpenat2,
  setMountAttributes,
} from "../../linux/mount.ts";
import { type MountInfo, ourMountOf } from "../../linux/mountinfo.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import { statusOf } from "../../linux/statx.ts";
import { checkResult, cString, nameAddress, rawSyscall } from "../../linux/syscall.ts";
import { TIOC, ttyNumber } from "../../linux/tty.ts";
import { log } from "../../log.ts";
import type { Plugins } from "../../plugins/plugins.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { Pointer } from "../../tracee/table/pointer.ts";
import type { Result } from "../../tracee/table/table.ts";
import { unlinking } from "../../undo/calls.ts";
import type { Undo, UndoEntry } from "../../undo/undo.ts";
import { mountAutofs } from "./autofs.ts";
import { addMount, describe, mountHere, parametersOf } from "./context.ts";
import { fillDeleted } from "./deleted.ts";
import { MountRestoreError } from "./errors.ts";
import { type MountsPlan, type PlannedMount, parentsFirst } from "./plan.ts";
import { restoreTmpfs } from "./tmpfs.ts";
import { type Mount, type MountTree, nameOf, pathBelow } from "./tree.ts";

/** What one step lays into a table at the most, with its paths. */
const TABLE_BYTES = 0x4000;
/** A mountpoint or the root of a bind, from the mount that it is in. */
const INSIDE = RESOLVE.IN_ROOT | RESOLVE.NO_XDEV | RESOLVE.NO_MAGICLINKS;
const AT_REMOVEDIR = 0x200;
/** So many terminals are opened on the way to one with a wanted number. */
const MOST_TERMINALS = 4096;

/** A mount that has been made. */
export interface MadeMount {
  readonly planned: PlannedMount;
  /** Its descriptor in the root process. */
  readonly inside: number;
  /** Ours. */
  readonly fd: Fd;
}

/** A terminal in a devpts of the tree, of which these are the mounts. */
interface Terminal {
  readonly peers: readonly Mount[];
  readonly index: number;
  readonly master: Fd;
}

/** A namespace that has been built. */
export interface MadeNamespace {
  readonly tree: MountTree;
  /** Ours: of the namespace, and of its root directory. */
  readonly namespace: Fd;
  readonly root: Fd;
}

export class MountsBuilder implements Disposable {
  /** Each mount by itself; in the end those of the root's namespace are the real ones. */
  readonly made = new Map<Mount, MadeMount>();
  /** Of other namespaces: the copies that stand there. */
  readonly copies = new Map<Mount, MadeMount>();
  /** Of first mounts, copies by which names are made in the file system: attached nowhere, not read-only, nothing stands on them. */
  readonly forNames = new Map<Mount, MadeMount>();
  readonly namespaces: MadeNamespace[] = [];
  /** Masters of terminals whose slaves are mounted somewhere. */
  readonly terminals: Terminal[] = [];
  /** To be given to their servers. */
  readonly automounts: MadeMount[] = [];
  readonly #deferred: ReadonlySet<Mount>;
  readonly #pidfd: Fd;
  readonly #temporary: UndoEntry[] = [];
  /** What deleted mounts are made of, by ghost and name: the mount that it is on. */
  readonly #deleted = new Map<string, Mount>();
  /** Masters that are closed when everything stands in its place. */
  readonly #hungUp: Terminal[] = [];
  #yard: number | undefined;

  constructor(
    readonly root: Restoree,
    private readonly images: ImageDir,
    private readonly plan: MountsPlan,
    private readonly owners: Owners,
    private readonly undo: Undo,
    private readonly plugins: Plugins,
    /** Where a network namespace can be opened; undefined for ours. */
    private readonly pathOfNet: (number: number) => string | undefined,
    /** Whether names have to be made in the file systems. */
    private readonly makesNames: boolean,
  ) {
    this.#pidfd = Fd.ofProcess(root.pid);
    this.#deferred = deferredMounts(plan);
  }

  /** @throws MountRestoreError, KernelError, ImageError */
  build(): void {
    const { table } = this.root;
    this.#makeYard();
    const all = [...this.plan.mounts.values()].filter(({ mount }) => !this.#deferred.has(mount));
    for (const planned of all) if (planned.origin.kind !== "bind") this.#attachInYard(this.#make(planned));
    for (const planned of all)
      if (planned.origin.kind === "bind" && !planned.mount.deleted) this.#attachInYard(this.#make(planned));
    for (const mount of this.plan.trees.flatMap(parentsFirst)) {
      const planned = this.#planned(mount);
      if (planned.origin.kind === "bind" && mount.deleted) this.#makeDeleted(planned);
    }
    table.must("our mounts", NR.umount2, this.#text("/old"), MNT_DETACH);
    const [own, ...others] = this.plan.trees;
    if (own === undefined) return;
    if (others.length > 0) this.#buildOthers(others);
    this.#assemble(own, this.made);
    this.#makeDeferred(own);
    this.#keepNamespace(own);
  }

  /** Closes everything of ours. */
  [Symbol.dispose](): void {
    this.#pidfd.close();
    for (const { fd } of [...this.made.values(), ...this.copies.values(), ...this.forNames.values()])
      fd.close();
    for (const { master } of [...this.terminals, ...this.#hungUp]) master.close();
    for (const { namespace, root } of this.namespaces) {
      namespace.close();
      root.close();
    }
  }

  /** Takes away what deleted mounts were made of. */
  removeTemporary(): void {
    for (const entry of this.#temporary.splice(0).reverse()) entry.undo();
    for (const { master } of this.#hungUp.splice(0)) master.close();
  }

  /** Closes what the process has of all this: it keeps no descriptor but one. */
  leave(): void {
    const { table, ourPidfd } = this.root;
    if (ourPidfd > 0) table.must("descriptors of mounts", NR.close_range, 0, ourPidfd - 1, 0);
    table.must("descriptors of mounts", NR.close_range, ourPidfd + 1, 0x7fff_ffff, 0);
    table.run();
    this.#pidfd.close();
  }

  #planned(mount: Mount): PlannedMount {
    const planned = this.plan.mounts.get(mount);
    if (planned === undefined) throw new Error(`${nameOf(mount)} was not planned`);
    return planned;
  }

  #text(text: string): Pointer {
    return this.root.table.data(cString(text));
  }

  /** A descriptor of ours for one of the process. */
  #take(inside: number): Fd {
    return Fd.outOf(this.#pidfd.number, inside);
  }

  #makeYard(): void {
    const { table } = this.root;
    table.must("/", NR.mount, 0, this.#text("/"), 0, MS.REC | MS.PRIVATE, 0);
    const context = table.must("a tmpfs", NR.fsopen, this.#text("tmpfs"), FSOPEN_CLOEXEC);
    table.must("a tmpfs", NR.fsconfig, context, FSCONFIG.CREATE, 0, 0, 0);
    const yard = table.must("a tmpfs", NR.fsmount, context, FSMOUNT_CLOEXEC, 0);
    table.must("a tmpfs", NR.close, context);
    table.must("old", NR.mkdirat, yard, this.#text("old"), 0o700);
    table.must("/", NR.move_mount, yard, this.#text(""), AT.FDCWD, this.#text("/"), MOVE_MOUNT.F_EMPTY_PATH);
    table.must("/", NR.fchdir, yard);
    table.must("/", NR.pivot_root, this.#text("."), this.#text("old"));
    table.must("/", NR.chdir, this.#text("/"));
    table.run();
    this.#yard = yard.value;
  }

  /** Makes a mount that stands by itself. */
  #make(planned: PlannedMount): MadeMount {
    const { mount, origin } = planned;
    const what = describe(mount);
    switch (origin.kind) {
      case "new": {
        if (planned.fileSystem.code === Fstype.AUTOFS) {
          const made = this.#settle(planned, mountAutofs(this.root, this.images, mount).fd);
          this.automounts.push(made);
          return made;
        }
        const { fd, pending } = this.#mountInside(planned, origin.fsName);
        const made = this.#settle(planned, fd);
        if (pending) this.#fill(made);
        if (planned.fileSystem.code === Fstype.DEVPTS) this.#openTerminals(made);
        return made;
      }
      case "device": {
        const parameters = parametersOf({ ...mount, source: origin.path }, () => true);
        return this.#handIn(planned, mountHere(what, origin.fsName, parameters, mount.flags));
      }
      case "outside": {
        const fd = Fd.own(cloneMount(AT.FDCWD, origin.path));
        // It is of the group of the one that it was copied from, and has attributes that the process may have no right to change.
        setMountAttributes(fd.number, attrStruct(mount.flags, MS.PRIVATE), `${what}: ${origin.path}`);
        return this.#handIn(planned, fd);
      }
      case "network": {
        using file = Fd.open(this.pathOfNet(origin.number) ?? "/proc/self/ns/net", O.RDONLY);
        const fd = Fd.own(cloneMount(file.number, ""));
        setMountAttributes(fd.number, attrStruct(mount.flags, MS.PRIVATE), what);
        return this.#handIn(planned, fd);
      }
      case "plugin": {
        const given = this.plugins.ask("restoreExternalMount", mount.id, mount.mountpoint);
        if (given === undefined) throw new MountRestoreError(`${what}: no plugin makes it again`);
        const fd = Fd.own(given);
        setMountAttributes(fd.number, attrStruct(mount.flags, MS.PRIVATE), `${what}: a plugin's mount`);
        return this.#handIn(planned, fd);
      }
      case "bind":
        return this.#bind(planned, origin.from.mount, origin.path);
    }
  }

  /** Mounts a file system in the namespaces of the process; `pending` says that its content comes yet. */
  #mountInside(planned: PlannedMount, fsName: string): { fd: Result; pending: boolean } {
    const { mount, fileSystem } = planned;
    const { table } = this.root;
    const pending = fileSystem.content === "archive";
    const isCommon = fileSystem.isCommon === true;
    const parameters = parametersOf(
      fileSystem.code === Fstype.CGROUP2 ? asOurs(mount) : mount,
      (flag) => !isCommon && !(pending && flag === MS.RDONLY),
    );
    table.reserve(TABLE_BYTES);
    const flags = pending ? mount.flags & ~MS.RDONLY : mount.flags;
    const { fd } = addMount(table, describe(mount), fsName, parameters, flags);
    return { fd, pending };
  }

  /** A terminal is there as long as its master is open: those whose slaves are mounted somewhere have to be there before. */
  #openTerminals({ planned, fd }: MadeMount): void {
    const { mount } = planned;
    const indexes = new Map<number, Terminal[]>();
    for (const { root, deleted } of mount.peers) {
      const index = terminalIndex(root);
      if (index === undefined) continue;
      if (!deleted) indexes.set(index, this.terminals);
      else if (!indexes.has(index)) indexes.set(index, this.#hungUp);
    }
    const others: Terminal[] = [];
    try {
      while (indexes.size > 0) {
        const { master, index } = openTerminal(fd.number, describe(mount));
        const wanted = indexes.get(index);
        (wanted ?? others).push({ peers: mount.peers, index, master });
        indexes.delete(index);
        if (others.length > MOST_TERMINALS)
          throw new MountRestoreError(`${describe(mount)}: there are no such terminals`);
      }
    } finally {
      for (const { master } of others) master.close();
    }
  }

  #fill({ planned, fd, inside }: MadeMount): void {
    const { mount } = planned;
    try {
      restoreTmpfs(this.images, mount.device, mount.id, fd.number, this.owners);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MountRestoreError(`${describe(mount)}: its content: ${reason}`, { cause: error });
    }
    const { table } = this.root;
    const what = describe(mount);
    if ((mount.flags & MS.RDONLY) !== 0) this.#setAttributes(what, inside, mount.flags);
    if ((mount.superFlags & MS.RDONLY) === 0) return;
    const context = table.must(what, NR.fspick, inside, this.#text(""), FSPICK.CLOEXEC | FSPICK.EMPTY_PATH);
    table.must(what, NR.fsconfig, context, FSCONFIG.SET_FLAG, this.#text("ro"), 0, 0);
    table.must(what, NR.fsconfig, context, FSCONFIG.RECONFIGURE, 0, 0, 0);
    table.must(what, NR.close, context);
  }

  /** Gives a mount of ours to the process. */
  #handIn(planned: PlannedMount, fd: Fd): MadeMount {
    const inside = this.root.fetch(describe(planned.mount), fd.number);
    this.root.table.run();
    const made = { planned, inside: inside.value, fd };
    this.made.set(planned.mount, made);
    return made;
  }

  /** Takes a descriptor of what was made in the process. */
  #settle(planned: PlannedMount, result: Result): MadeMount {
    this.root.table.run();
    const made = { planned, inside: result.value, fd: this.#take(result.value) };
    this.made.set(planned.mount, made);
    return made;
  }

  /** Attaches a mount in the yard: before Linux 6.15 no bind is made of one that is attached nowhere. */
  #attachInYard(made: MadeMount): void {
    const { planned, inside, fd } = made;
    const { table } = this.root;
    const yard = this.#yard;
    const { id } = planned.mount;
    const what = describe(planned.mount);
    if (yard === undefined) throw new Error("there is no yard");
    const name = this.#text(`${id}`);
    if (isDirectory(statusOf(fd.number).mode)) table.must(what, NR.mkdirat, yard, name, 0o700);
    else table.must(what, NR.mknodat, yard, name, 0o100600, 0);
    table.must(what, NR.move_mount, inside, this.#text(""), yard, name, MOVE_MOUNT.F_EMPTY_PATH);
    if (this.makesNames && planned.origin.kind !== "bind") this.#copyForNames(made);
  }

  #copyForNames(made: MadeMount): void {
    const { mount } = made.planned;
    const what = describe(mount);
    const copy = this.copyOf(made, what);
    this.forNames.set(mount, copy);
    if ((mount.flags & MS.RDONLY) !== 0)
      setMountAttributes(copy.fd.number, attrStruct(mount.flags & ~MS.RDONLY, MS.PRIVATE), what);
  }

  /** A mount of what stands at a path in another one, with attributes of its own. */
  #bind(planned: PlannedMount, first: Mount, path: string): MadeMount {
    const { mount } = planned;
    const { table } = this.root;
    const what = describe(mount);
    const from = this.made.get(first);
    if (from === undefined) throw new MountRestoreError(`${what}: what it is bound from is not there`);
    table.reserve(TABLE_BYTES);
    const flags = O.PATH | O.NOFOLLOW | O.CLOEXEC;
    const source = this.#openInside(`${what}: root ${mount.root}`, from.inside, path, flags);
    const clone = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH;
    const fd = table.must(what, NR.open_tree, source, this.#text(""), clone);
    table.must(what, NR.close, source);
    this.#setAttributes(what, fd, mount.flags);
    return this.#settle(planned, fd);
  }

  #setAttributes(what: string, fd: Result | number, flags: number): void {
    const { table } = this.root;
    const attributes = table.data(attrStruct(flags, MS.PRIVATE));
    table.must(what, NR.mount_setattr, fd, this.#text(""), AT.EMPTY_PATH, attributes, mountAttr.size);
  }

  /** Adds: open `path` in the mount that `directory` is the root of. */
  #openInside(what: string, directory: number, path: string, flags: number, resolve = INSIDE): Result {
    const { table } = this.root;
    const how = table.data(openHow.encode({ flags: BigInt(flags), mode: 0n, resolve: BigInt(resolve) }));
    return table.must(what, NR.openat2, directory, this.#text(path === "" ? "." : path), how, openHow.size);
  }

  /** A bind mount of something that has lost its name: it gets one for as long as it takes. */
  #makeDeleted(planned: PlannedMount): void {
    const { mount, origin } = planned;
    if (origin.kind !== "bind" || mount.parent === undefined) return;
    this.root.table.run();
    const from = this.made.get(origin.from.mount);
    const parent = this.made.get(mount.parent);
    const what = describe(mount);
    if (from === undefined || parent === undefined)
      throw new MountRestoreError(`${what}: what it is bound from is not there`);
    if (planned.fileSystem.code === Fstype.DEVPTS) {
      // Its name goes with its master. That of another one may be the same by now.
      const { peers } = mount;
      const wanted = terminalIndex(mount.root);
      let found = this.#hungUp.find((each) => each.peers === peers && each.index === wanted);
      if (found === undefined) {
        found = { peers, ...openTerminal(from.fd.number, what) };
        this.#hungUp.push(found);
      }
      this.#attachInYard(this.#make({ ...planned, origin: { ...origin, path: `${found.index}` } }));
      return;
    }
    const rest = pathBelow(mount.mountpoint, mount.parent.mountpoint) ?? "";
    const point = checkResult(
      rawOpenat2(parent.fd.number, rest === "" ? "." : rest, O.PATH, INSIDE),
      NR.openat2,
      `${what}: its mountpoint`,
    );
    using pointFd = Fd.own(point);
    const asDirectory = isDirectory(statusOf(pointFd.number).mode);
    const { ghostId } = planned;
    const key = `${ghostId} ${origin.path}`;
    // Another mount shows the same one, by the name that it has now.
    const isThere = ghostId !== undefined && this.#deleted.get(key) === origin.from.mount;
    if (!isThere) {
      asRootOf(this.owners, () => {
        using made = this.#makeName(from, origin.path, asDirectory, what);
        if (ghostId !== undefined) fillDeleted(this.images, ghostId, made.number, what, this.owners);
      });
      this.#deleted.set(key, origin.from.mount);
    }
    this.#attachInYard(this.#make(planned));
  }

  /** Makes a file or a directory at a path of a mount, and the directories above that are missing; gives an O_PATH descriptor, the caller's. */
  #makeName(from: MadeMount, path: string, asDirectory: boolean, what: string): Fd {
    const names = path.split("/").filter((name) => name !== "");
    let directory = from.fd.dup();
    try {
      names.forEach((name, i) => {
        const last = i === names.length - 1;
        const makesDirectory = !last || asDirectory;
        const result = makesDirectory
          ? rawSyscall(NR.mkdirat, directory.number, nameAddress(name), 0o700)
          : rawSyscall(NR.mknodat, directory.number, nameAddress(name), 0o100600, 0);
        if (result === -ERRNO.EEXIST && last)
          throw new MountRestoreError(`${what}: it was deleted, and something else is called ${path} now`);
        if (result !== -ERRNO.EEXIST) checkResult(result, NR.mkdirat, `${what}: ${path}`);
        const next = rawOpenat2(directory.number, name, O.PATH | O.NOFOLLOW, INSIDE | RESOLVE.NO_SYMLINKS);
        const fd = Fd.own(checkResult(next, NR.openat2, `${what}: ${path}`));
        if (result === 0) {
          const flags = makesDirectory ? AT_REMOVEDIR : 0;
          const at = this.undo.keep(directory.dup());
          this.#temporary.push(this.undo.lay(`${what}: ${path}`, unlinking(at, name, fd.number, flags)));
        }
        directory.close();
        directory = fd;
      });
      return directory;
    } catch (error) {
      directory.close();
      throw error;
    }
  }

  /** Moves the mounts of a namespace to their places, and makes its root that of the process. */
  #assemble(tree: MountTree, mounts: ReadonlyMap<Mount, MadeMount>): void {
    const { table } = this.root;
    const moves: { mount: Mount; point: Result | undefined; inside: number }[] = [];
    for (const mount of parentsFirst(tree)) {
      if (this.#deferred.has(mount)) continue;
      const inside = mounts.get(mount)?.inside;
      if (inside === undefined) throw new Error(`${nameOf(mount)} was not made`);
      moves.push({ mount, point: this.#mountpoint(mount, mounts), inside });
    }
    const [first] = moves;
    if (first === undefined) return;
    for (const { mount, point, inside } of moves) {
      const what = describe(mount);
      if (point !== undefined) {
        this.#moveTo(inside, point, what);
        continue;
      }
      table.reserve(TABLE_BYTES);
      const [empty, root] = [this.#text(""), this.#text("/")];
      table.must(what, NR.move_mount, inside, empty, AT.FDCWD, root, MOVE_MOUNT.F_EMPTY_PATH);
    }
    table.reserve(TABLE_BYTES);
    const what = "the root of the namespace";
    const old = table.must(what, NR.openat, AT.FDCWD, this.#text("/"), O.PATH | O.DIRECTORY | O.CLOEXEC, 0);
    table.must(what, NR.fchdir, first.inside);
    table.must(what, NR.pivot_root, this.#text("."), this.#text("."));
    table.must(what, NR.fchdir, old);
    table.must(what, NR.umount2, this.#text("."), MNT_DETACH);
    table.must(what, NR.close, old);
    table.must(what, NR.chdir, this.#text("/"));
    table.run();
  }

  /** Adds: open the mountpoint, while nothing is mounted in its parent. */
  #mountpoint(mount: Mount, mounts: ReadonlyMap<Mount, MadeMount>): Result | undefined {
    const { parent } = mount;
    if (parent === undefined) return undefined;
    const inside = mounts.get(parent)?.inside;
    const path = pathBelow(mount.mountpoint, parent.mountpoint);
    if (inside === undefined || path === undefined) throw new Error(`${nameOf(parent)} was not made`);
    this.root.table.reserve(TABLE_BYTES);
    const what = `${describe(mount)}: its mountpoint`;
    return this.#openInside(what, inside, path, O.PATH | O.CLOEXEC, resolveIn(parent, INSIDE));
  }

  /** Namespaces beside that of the root, each in a copy of the yard, of copies of the mounts. */
  #buildOthers(trees: readonly MountTree[]): void {
    const { table } = this.root;
    table.run();
    using yard = Fd.open(`/proc/${this.root.pid}/ns/mnt`, O.RDONLY);
    for (const tree of trees) {
      for (const mount of tree.all) if (this.#deferred.has(mount)) refuseDeferred(mount);
      for (const mount of tree.all) this.#copy(mount);
      table.must("a mount namespace", NR.unshare, NEW.NS);
      this.#assemble(tree, this.copies);
      this.#keepNamespace(tree);
      table.reserve(TABLE_BYTES);
      const fd = this.root.fetch("the first mount namespace", yard.number);
      table.must("the first mount namespace", NR.setns, fd, NEW.NS);
      table.must("the first mount namespace", NR.close, fd);
    }
    table.run();
  }

  #copy(mount: Mount): void {
    const made = this.made.get(mount);
    if (made === undefined) throw new Error(`${nameOf(mount)} was not made`);
    this.copies.set(mount, this.copyOf(made, describe(mount)));
  }

  /** A mount of the same, attached nowhere, which is the caller's. @throws KernelError */
  copyOf(made: MadeMount, what: string): MadeMount {
    const { table } = this.root;
    table.reserve(TABLE_BYTES);
    const clone = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH;
    const result = table.must(what, NR.open_tree, made.inside, this.#text(""), clone);
    table.run();
    return { planned: made.planned, inside: result.value, fd: this.#take(result.value) };
  }

  #keepNamespace(tree: MountTree): void {
    this.root.table.run();
    const { pid } = this.root;
    const namespace = Fd.open(`/proc/${pid}/ns/mnt`, O.RDONLY);
    this.namespaces.push({ tree, namespace, root: Fd.open(`/proc/${pid}/root`, O.PATH | O.DIRECTORY) });
  }

  /** Makes those mounts that need the tree, each in its place, when what it stands on and what it is bound from are there. */
  #makeDeferred(tree: MountTree): void {
    const left = new Set(parentsFirst(tree).filter((mount) => this.#deferred.has(mount)));
    while (left.size > 0) {
      const before = left.size;
      for (const mount of left) {
        const planned = this.#planned(mount);
        const { origin } = planned;
        const { parent } = mount;
        if (parent === undefined || !this.made.has(parent)) continue;
        if (origin.kind === "bind" && !this.made.has(origin.from.mount)) continue;
        left.delete(mount);
        const made = this.#make(planned);
        const point = this.#mountpoint(mount, this.made);
        if (point !== undefined) this.#moveTo(made.inside, point, describe(mount));
        // Now that it is attached, as in the yard; nothing stands on it yet.
        if (this.makesNames && origin.kind !== "bind") this.#copyForNames(made);
        log.debug("mounts/build", () => `${describe(mount)} is made of the tree`);
      }
      if (left.size === before) {
        const [mount] = left;
        if (mount !== undefined)
          throw new MountRestoreError(`${describe(mount)}: it is made of what stands on it`);
      }
    }
  }

  #moveTo(inside: number, point: Result, what: string): void {
    const { table } = this.root;
    table.reserve(TABLE_BYTES);
    const flags = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH;
    const empty = this.#text("");
    table.must(`${what}: to its place`, NR.move_mount, inside, empty, point, empty, flags);
    table.must(what, NR.close, point);
  }
}

/**
 * A mount of cgroup2 with the options that ours has: there is one hierarchy, and whoever mounts it in the first control group
 * namespace sets them for all.
 */
function asOurs(mount: Mount): MountInfo {
  return { ...mount, options: ourMountOf("cgroup2")?.options ?? mount.options };
}

function refuseDeferred(mount: Mount): never {
  throw new MountRestoreError(
    `mountpoints-${mount.namespace}.img: ${describe(mount)}: an overlay of directories of another mount namespace`,
  );
}

/** Overlays that are mounted anew, whatever is bound from them, and all that stands on either. */
function deferredMounts({ mounts }: MountsPlan): ReadonlySet<Mount> {
  const deferred = new Set<Mount>();
  const isOverlay = ({ origin }: PlannedMount) => origin.kind === "new" && origin.fsName === "overlay";
  for (const planned of mounts.values()) if (isOverlay(planned)) deferred.add(planned.mount);
  for (let before = 0; before < deferred.size; ) {
    before = deferred.size;
    for (const { mount, origin } of mounts.values()) {
      const { parent } = mount;
      if (parent !== undefined && deferred.has(parent)) deferred.add(mount);
      if (origin.kind === "bind" && deferred.has(origin.from.mount)) deferred.add(mount);
    }
  }
  return deferred;
}

/** The terminal that a mount shows. */
function terminalIndex(root: string): number | undefined {
  const [, index] = /^\/(\d{1,7})$/.exec(root) ?? [];
  return index === undefined ? undefined : Number(index);
}

/** The master of a new terminal in the devpts that a descriptor leads to. */
function openTerminal(devpts: number, what: string): { master: Fd; index: number } {
  const result = rawOpenat2(devpts, "ptmx", O.RDWR | O.NOCTTY | O.NONBLOCK, INSIDE);
  const master = Fd.own(checkResult(result, NR.openat2, `${what}: a terminal`));
  return { master, index: ttyNumber(master.number, TIOC.GPTN) };
}

/** Every directory of autofs is taken for another mount by the kernel (6.18). */
export function resolveIn({ type }: Mount, resolve: number): number {
  return type === "autofs" ? resolve & ~RESOLVE.NO_XDEV : resolve;
}
