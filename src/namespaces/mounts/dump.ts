/**
 * Dumping mount namespaces: mountpoints-N.img for each, and what file systems hold that live in them alone.
 *
 * A mount can be saved if a restore finds what it shows: a file system that is mounted anew (file-systems.ts), with its content
 * where nobody else keeps that; something that the user says is there (external.ts); or a part of one of these, of which it is a
 * bind mount. The same for what it hears of others: its master is in the tree, or comes with what is external.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import { type AutofsEntry, Fstype, type MntEntry } from "../../images/schema/generated/namespaces.ts";
import { majorOf, minorOf } from "../../linux/device.ts";
import { ERRNO } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, listDirectory, listNumbers, O, readLink, selfPath } from "../../linux/io.ts";
import { MS, RESOLVE, rawOpenat2 } from "../../linux/mount.ts";
import { type MountInfo, parseMountinfo, readMountinfo } from "../../linux/mountinfo.ts";
import { NR } from "../../linux/nr.ts";
import { ourPath, type PathAt, type ShowingMount, type TreeMounts } from "../../linux/path-at.ts";
import { type HostPid, hostPid, type TreeTasks } from "../../linux/pid.ts";
import { type FileStatus, statusAt, statusOf } from "../../linux/statx.ts";
import { checkResult, pathAddress } from "../../linux/syscall.ts";
import { log } from "../../log.ts";
import type { Plugins } from "../../plugins/plugins.ts";
import type { Undo } from "../../undo/undo.ts";
import { CleanMounts, seeNamespace } from "./access.ts";
import { autofsEntry, dumpAutofs } from "./autofs.ts";
import { DeletedRoots } from "./deleted.ts";
import { MountDumpError } from "./errors.ts";
import { type ExternalOptions, Externals, KEY } from "./external.ts";
import { AUTO, enabledNames, type FileSystem, fileSystemOf, NSFS } from "./file-systems.ts";
import { dumpTmpfs } from "./tmpfs.ts";
import {
  buildTree,
  joinPath,
  joinSuperBlocks,
  type Mount,
  type MountTree,
  nameOf,
  pathBelow,
  showsAll,
  TreeError,
} from "./tree.ts";

export interface MountsDumpOptions extends ExternalOptions {
  readonly skipMnt: readonly string[];
  readonly enableFs: readonly string[];
  readonly ghostLimit: number;
}

/** A mount namespace of the tree. */
export interface MountNamespace {
  /** Its number in the images. */
  readonly number: number;
  /** A process that lives in it. */
  readonly pid: HostPid;
}

/** What is known of a mount beyond the kernel's word. */
interface Judged {
  readonly fileSystem: FileSystem;
  /** Key of an external one: the name that the user gave, or one of {@link KEY}. */
  external?: string;
  /** Where it differs from the kernel's. */
  source?: string;
  internalSharing?: true;
  autofs?: AutofsEntry;
  root?: string;
  /** A plugin makes it again. */
  withPlugin?: true;
}

interface FoundTree {
  readonly tree: MountTree;
  readonly namespace: MountNamespace;
  /** Ours, of the root of the namespace. */
  readonly root: Fd;
}

/** Undefined for a process that is gone, or that we may not look at. */
function networkOf(pid: number): string | undefined {
  try {
    return readLink(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** The numbers that images have for namespaces. */
export interface NamespaceNumbers {
  /** That of one by its name, `net:[INODE]`, if a process of the tree lives in it. */
  find(name: string): number | undefined;
  /** That of the network that a descriptor of ours is one of, which is saved from now on. @throws KernelError */
  numberOf(net: number): number;
}

export class MountsDump implements TreeMounts, Disposable {
  readonly #trees: FoundTree[] = [];
  readonly #byId = new Map<number, { readonly mount: Mount; readonly found: FoundTree }>();
  readonly #judged = new Map<Mount, Judged>();
  readonly #externals: Externals;
  readonly #enabled: ReadonlySet<string>;
  readonly #deleted: DeletedRoots;
  #ours: readonly MountInfo[] | undefined;

  constructor(
    private readonly options: MountsDumpOptions,
    private readonly undo: Undo,
    private readonly tasks: TreeTasks,
    private readonly namespaces: NamespaceNumbers,
    private readonly plugins: Plugins,
  ) {
    this.#externals = new Externals(options);
    this.#enabled = enabledNames(options.enableFs);
    this.#deleted = new DeletedRoots(tasks);
  }

  /**
   * Reads the mounts of all namespaces, of which the first is that of the root, and judges them.
   * @throws MountDumpError for one that could not be restored, KernelError
   */
  read(namespaces: readonly MountNamespace[]): void {
    for (const namespace of namespaces) {
      const { mounts, root } = seeNamespace(namespace.pid);
      const found = { tree: this.#parse(namespace, mounts, root), namespace, root };
      const { tree } = found;
      this.#trees.push(found);
      for (const mount of tree.all) this.#byId.set(mount.id, { mount, found });
    }
    joinSuperBlocks(this.#mounts);
    for (const mount of this.#mounts)
      this.#judged.set(mount, { fileSystem: fileSystemOf(mount.type, this.#enabled) });
    for (const mount of this.#mounts) this.#judgeExternal(mount);
    for (const mount of this.#mounts) this.#refuse(mount);
    for (const { tree, namespace } of this.#trees)
      this.#deleted.add(
        namespace.pid,
        tree.root,
        tree.all.filter((mount) => this.#isDeleted(mount)),
      );
  }

  /** Whether it shows what has lost its name, and is not found elsewhere. */
  #isDeleted(mount: Mount): boolean {
    const { fileSystem, external, withPlugin } = this.#judge(mount);
    const isSaved = external === undefined && withPlugin === undefined && fileSystem.name !== NSFS;
    return mount.deleted && isSaved && fileSystem.code !== Fstype.DEVPTS;
  }

  showsDeleted(status: FileStatus): ShowingMount | undefined {
    const mount = this.#deleted.showing(status);
    if (mount === undefined) return undefined;
    const { id, mountpoint, flags } = mount;
    return { id, mountpoint, readOnly: (flags & MS.RDONLY) !== 0 };
  }

  get #mounts(): Mount[] {
    return this.#trees.flatMap(({ tree }) => tree.all);
  }

  get any(): boolean {
    return this.#trees.length > 0;
  }

  has(mount: number): boolean {
    return this.#byId.has(mount);
  }

  rootFor(mount: number): number {
    return this.#byId.get(mount)?.found.root.number ?? AT.FDCWD;
  }

  fromRoot(path: string, mount?: number): PathAt {
    const known = mount === undefined ? undefined : this.#byId.get(mount)?.found;
    const root = (known ?? this.#trees[0])?.root.number;
    return root === undefined ? ourPath(path) : { directory: root, path: path === "/" ? "." : path.slice(1) };
  }

  onDevice(device: number): PathAt[] {
    const mounts = this.#mounts.filter((mount) => mount.device === device);
    return mounts.map(({ id, mountpoint }) => this.fromRoot(mountpoint, id));
  }

  lookUnder(id: number, path: string): FileStatus | number {
    const known = this.#byId.get(id);
    if (known === undefined) return -ERRNO.ENOENT;
    const { mount, found } = known;
    const below = pathBelow(path, mount.mountpoint);
    if (below === undefined) return -ERRNO.ENOENT;
    // A restore looks from the root of the mount.
    const covered = mount.children.some(
      (child) => child.mountpoint !== mount.mountpoint && pathBelow(path, child.mountpoint) !== undefined,
    );
    if (covered) return -ERRNO.EXDEV;
    using clean = new CleanMounts(found.namespace.pid, found.tree.root, [mount]);
    if (below === "") return statusOf(clean.of(mount));
    return statusAt(clean.of(mount), pathAddress(below));
  }

  place(mount: number, path: string): PathAt {
    const root = this.rootFor(mount);
    if (root === AT.FDCWD) return ourPath(path);
    const slash = path.lastIndexOf("/");
    const above = path.slice(1, Math.max(1, slash));
    const resolve = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
    const fd = rawOpenat2(root, above === "" ? "." : above, O.PATH | O.DIRECTORY, resolve);
    const directory = this.undo.keep(Fd.own(checkResult(fd, NR.openat2, path)));
    return { directory, path: path.slice(slash + 1) };
  }

  [Symbol.dispose](): void {
    for (const { root } of this.#trees) root.close();
  }

  /** Writes the images. @throws MountDumpError, KernelError, ImageError */
  dump(images: ImageDir): void {
    this.#dumpContents(images);
    this.#deleted.dump(images, this.options.ghostLimit);
    for (const mount of this.#mounts) {
      const { autofs } = this.#judge(mount);
      if (autofs !== undefined) dumpAutofs(images, mount, autofs);
    }
    for (const { tree, namespace } of this.#trees) {
      // The last one comes first, as CRIU has it.
      const entries = [...tree.all].reverse().map((mount) => this.#entry(mount));
      images.writeAll(IMAGES.mnts, entries, namespace.number);
    }
  }

  /** The tree that mountinfo tells of. `root` is closed if that fails. */
  #parse({ number, pid }: MountNamespace, mounts: string, root: Fd): MountTree {
    const where = `process ${pid}: its mountinfo`;
    const skipped = new Set(this.options.skipMnt);
    try {
      const infos = parseMountinfo(mounts, where).filter(({ mountpoint }) => !skipped.has(mountpoint));
      return buildTree(infos, number);
    } catch (error) {
      root.close();
      if (!(error instanceof TreeError)) throw error;
      throw new MountDumpError(`${where}: ${error.message}`, { cause: error });
    }
  }

  #judge(mount: Mount): Judged {
    const judged = this.#judged.get(mount);
    if (judged === undefined) throw new Error(`${nameOf(mount)} was not judged`);
    return judged;
  }

  #isOfRoot(mount: Mount): boolean {
    return mount.namespace === this.#trees[0]?.namespace.number;
  }

  /** Finds out whether it comes from outside. */
  #judgeExternal(mount: Mount): void {
    if (mount.parent === undefined) return;
    const judged = this.#judge(mount);
    // In other namespaces the same path may be something else.
    const name = this.#isOfRoot(mount) ? this.#externals.mount(mount.mountpoint) : undefined;
    if (name !== undefined) {
      judged.external = name;
      return;
    }
    const device = this.#externals.deviceName(mount.device);
    if (device !== undefined && judged.fileSystem.code === Fstype.UNSUPPORTED && showsAll(mount)) {
      this.#judged.set(mount, { fileSystem: AUTO, external: KEY.DEVICE, source: `dev[${device}]` });
      return;
    }
    if (!this.#externals.found) return;
    const found = this.#findOutside(mount);
    if (found === undefined) return;
    judged.external = KEY.FOUND;
    judged.source = found.path;
    if (found.internalSharing) judged.internalSharing = true;
    log.info("mounts/dump", () => `${nameOf(mount)} is ${found.path} outside`);
  }

  /** The path by which we see what a mount shows, and the best of our mounts to be bound from. */
  #findOutside(mount: Mount): { path: string; internalSharing: boolean } | undefined {
    this.#ours ??= readMountinfo("self");
    let best: MountInfo | undefined;
    for (const ours of this.#ours) {
      if (ours.device !== mount.device || pathBelow(mount.root, ours.root) === undefined || ours.deleted)
        continue;
      best = ours;
      if (mount.sharedId !== 0 && mount.sharedId === ours.sharedId) break;
      if (mount.masterId !== 0 && mount.masterId === ours.sharedId) break;
    }
    if (best === undefined) return undefined;
    let internalSharing = false;
    if (mount.sharedId !== 0) {
      if (!this.#externals.sharing) return undefined;
      internalSharing = mount.sharedId !== best.sharedId;
    }
    if (mount.masterId !== 0) {
      if (!this.#externals.masters) return undefined;
      if (mount.masterId !== best.sharedId && mount.masterId !== best.masterId) return undefined;
    }
    const below = pathBelow(mount.root, best.root) ?? "";
    return { path: joinPath(best.mountpoint, below), internalSharing };
  }

  /** Whether a restore has it from what is external. */
  #isExternalBind(mount: Mount): boolean {
    return mount.peers.some(
      (peer) => this.#judge(peer).external !== undefined && pathBelow(mount.root, peer.root) !== undefined,
    );
  }

  /** Whether a restore has it from the root, which it is given. */
  #isRootBind(mount: Mount): boolean {
    const root = this.#trees[0]?.tree.root;
    return root !== undefined && mount.peers.includes(root) && pathBelow(mount.root, root.root) !== undefined;
  }

  #refuse(mount: Mount): void {
    const refuse = (what: string): never => {
      throw new MountDumpError(
        `namespace ${mount.namespace}: ${nameOf(mount)}: ${mount.type} of device ${majorOf(mount.device)}:${minorOf(mount.device)}, root ${mount.root}: ${what}`,
      );
    };
    if (mount.idmapped) refuse("it shows owners mapped, which cannot be saved yet");
    this.#refuseSharing(mount, refuse);
    if (this.#isExternalBind(mount) || this.#isRootBind(mount)) return;
    const { fileSystem } = this.#judge(mount);
    if (fileSystem.name === NSFS) {
      this.#judge(mount).root = `/net:[${this.#networkAt(mount, refuse)}]`;
      return;
    }
    const help = `--external mnt[${mount.mountpoint}]:NAME says that a restore finds it outside`;
    if (showsAll(mount)) {
      if (fileSystem.code === Fstype.UNSUPPORTED)
        refuse(`such a file system cannot be saved; ${help}, --enable-fs that it can be mounted again`);
      if (fileSystem.code === Fstype.FUSE) refuse(`its server cannot be saved with it; ${help}`);
      if (fileSystem.code === Fstype.AUTOFS) {
        const entry = autofsEntry(this.#optionsOf(mount, fileSystem.code), this.tasks, (what) =>
          refuse(`${what}; ${help}`),
        );
        this.#judge(mount).autofs = entry;
      }
    } else if (!mount.peers.some(showsAll)) {
      if (this.plugins.ask("dumpExternalMount", mount.mountpoint, mount.id) !== undefined) {
        this.#judge(mount).withPlugin = true;
        return;
      }
      refuse(`it shows a part of a file system whose root is mounted nowhere in the tree; ${help}`);
    }
  }

  /** The number of the network namespace that is kept by a mount. */
  #networkAt(mount: Mount, refuse: (what: string) => never): number {
    const { root, namespace } = mount;
    const found = this.#trees.find((each) => each.namespace.number === namespace);
    if (!root.startsWith("net:[") || found === undefined)
      refuse("a namespace that a mount keeps cannot be saved but for networks");
    this.#ours ??= readMountinfo("self");
    const known = this.namespaces.find(root);
    const isOutside =
      known === undefined
        ? this.#ours.some((ours) => ours.root === root) || this.#hasOthers(root)
        : root === readLink("/proc/self/ns/net") && root !== readLink(`/proc/${this.tasks.living[0]}/ns/net`);
    if (isOutside) refuse("it is the network of processes, or of a mount, outside of the tree");
    if (known !== undefined) return known;
    using clean = new CleanMounts(found.namespace.pid, found.tree.root, [mount]);
    using net = Fd.open(selfPath(clean.of(mount)), O.RDONLY);
    return this.namespaces.numberOf(net.number);
  }

  /** Whether somebody who is not of the tree lives in a network. */
  #hasOthers(net: string): boolean {
    return listNumbers("/proc").some((pid) => !this.tasks.has(hostPid(pid)) && networkOf(pid) === net);
  }

  #refuseSharing(mount: Mount, refuse: (what: string) => never): void {
    const { masterId } = mount;
    if (masterId === 0) return;
    if (this.#mounts.some((other) => other.sharedId === masterId)) return;
    const source = mount.peers.some(
      (peer) =>
        peer.masterId === masterId &&
        pathBelow(mount.root, peer.root) !== undefined &&
        (this.#isNamedExternal(peer) || peer === this.#trees[0]?.tree.root),
    );
    if (!source)
      refuse(
        `it is a slave of peer group ${masterId}, which is not of the tree; --enable-external-masters may help`,
      );
  }

  /** Devices of mqueue file systems. */
  readonly #queues = new Set<number>();

  #isNamedExternal(mount: Mount): boolean {
    const { external } = this.#judge(mount);
    return external !== undefined && external !== KEY.DEVICE;
  }

  #dumpContents(images: ImageDir): void {
    const groups = new Set(this.#mounts.map(({ peers }) => peers));
    const wanted: Mount[] = [];
    for (const peers of groups) {
      const mount = peers.find((peer) => showsAll(peer));
      // Where a part alone comes from outside (a masked file), the whole does not.
      if (mount === undefined || this.#isExternalBind(mount) || this.#isRootBind(mount)) continue;
      const { content, code } = this.#judge(mount).fileSystem;
      if (content === undefined || (code === Fstype.MQUEUE && this.#queuesAreSeenTo(mount))) continue;
      wanted.push(mount);
    }
    for (const { tree, namespace } of this.#trees) {
      const own = wanted.filter((mount) => mount.namespace === namespace.number);
      using clean = new CleanMounts(namespace.pid, tree.root, own);
      for (const mount of own) this.#dumpContent(images, mount, clean.of(mount));
    }
  }

  /** Told of the device of a mqueue file system whose queues are saved with their IPC namespace. */
  hasQueues(device: number): void {
    this.#queues.add(device);
  }

  /** Whether message queues are those of our own IPC namespace, which stay. */
  #queuesAreSeenTo({ namespace, device }: Mount): boolean {
    if (this.#queues.has(device)) return true;
    const pid = this.#trees.find((each) => each.namespace.number === namespace)?.namespace.pid;
    return pid !== undefined && readLink(`/proc/${pid}/ns/ipc`) === readLink("/proc/self/ns/ipc");
  }

  #dumpContent(images: ImageDir, mount: Mount, root: number): void {
    if (this.#judge(mount).fileSystem.content === "archive") {
      log.debug("mounts/dump", () => `${nameOf(mount)}: the content of device ${mount.device}`);
      dumpTmpfs(images, mount.device, root, this.tasks.owners);
      return;
    }
    const [first] = listDirectory(".", root);
    if (first !== undefined) {
      throw new MountDumpError(
        `${nameOf(mount)}: ${mount.type} with ${first} in it, of which the content cannot be saved yet`,
      );
    }
  }

  #entry(mount: Mount): MntEntry {
    const { fileSystem, external, source, internalSharing, withPlugin, root } = this.#judge(mount);
    const { code } = fileSystem;
    const ghostId = this.#deleted.ghostOf(mount);
    // The kernel mounts tracefs in it by itself, and lets no one have the one without the other.
    const flags = code === Fstype.DEBUGFS ? mount.flags | MS.REC : mount.flags;
    return {
      fstype: code,
      mnt_id: mount.id,
      root_dev: mount.device,
      parent_mnt_id: mount.parentId,
      flags,
      sb_flags: mount.superFlags,
      root: root ?? mount.root,
      mountpoint: mount.mountpoint,
      source: source ?? mount.source,
      options: this.#optionsOf(mount, code),
      shared_id: mount.sharedId,
      master_id: mount.masterId,
      ...(code === Fstype.AUTO && { fsname: mount.type }),
      ...(withPlugin && { with_plugin: true }),
      ...(internalSharing && { internal_sharing: true }),
      ...(mount.deleted && { deleted: true }),
      ...(external !== undefined && { ext_key: external }),
      ...(ghostId !== undefined && { ghost_id: ghostId }),
    };
  }

  #optionsOf(mount: Mount, code: Fstype): string {
    const options = mount.options
      .split(",")
      .map((option) => {
        const [, name, id] = /^(uid|gid)=(\d+)$/.exec(option) ?? [];
        if (name === undefined) return option;
        return `${name}=${name === "uid" ? this.tasks.owners.uid(Number(id)) : this.tasks.owners.gid(Number(id))}`;
      })
      .join(",");
    if (code !== Fstype.DEVPTS || this.#isOurs(mount)) return options;
    // The kernel does not show it. Terminals of ours are none of the tree's.
    return options === "" ? "newinstance" : `${options},newinstance`;
  }

  /** Whether we have the same super block mounted. */
  #isOurs(mount: Mount): boolean {
    this.#ours ??= readMountinfo("self");
    return this.#ours.some(({ device }) => device === mount.device);
  }
}
