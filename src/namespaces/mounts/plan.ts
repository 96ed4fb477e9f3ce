/**
 * What a restore of mount namespaces is to build, out of mountpoints-N.img: every mount with the way it is made. Images may be of
 * a stranger: whatever they say of trees, paths and devices is checked here or where it is used.
 *
 * Of each super block one mount is the first: the root, which --root gives; one that is external; or one that shows the file system
 * from its root on, which is mounted anew. All others of it are bound from that one.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import { Fstype, type MntEntry } from "../../images/schema/generated/namespaces.ts";
import { majorOf, minorOf } from "../../linux/device.ts";
import { MS, MS_PROPAGATION } from "../../linux/mount.ts";
import { type MountInfo, ourMountOf, readMountinfo, splitOptions } from "../../linux/mountinfo.ts";
import { MountRestoreError } from "./errors.ts";
import { type Externals, KEY, NO_ROOT } from "./external.ts";
import { type FileSystem, fileSystemOfCode, NSFS } from "./file-systems.ts";
import {
  buildTree,
  fromRoot,
  joinSuperBlocks,
  type Mount,
  type MountTree,
  nameOf,
  pathBelow,
  showsAll,
  TreeError,
} from "./tree.ts";

/** An option of control groups. */
const RELEASE_AGENT = "release_agent=";

/** How a mount comes into being. */
export type Origin =
  /** A copy of what stands at a path of ours: the root of the tree, or what the user names for an external mount. */
  | { readonly kind: "outside"; readonly path: string }
  /** A file system, mounted in the namespaces of the tree. */
  | { readonly kind: "new"; readonly fsName: string }
  /** The same of a device, or of what else only we may mount. */
  | { readonly kind: "device"; readonly fsName: string; readonly path: string }
  /** The file of a network namespace, by its number in the images. */
  | { readonly kind: "network"; readonly number: number }
  /** What a plugin gives. */
  | { readonly kind: "plugin" }
  /** A part of what another mount shows. */
  | { readonly kind: "bind"; readonly from: PlannedMount; readonly path: string };

export interface PlannedMount {
  readonly mount: Mount;
  readonly fileSystem: FileSystem;
  readonly origin: Origin;
  /** Where it hears from a group of mounts that is not of the tree: a path of ours whose mount is of that group. */
  readonly outsideMaster: string | undefined;
  /** What its root was, which had lost its name; undefined in images of CRIU. */
  readonly ghostId: number | undefined;
}

export interface MountsPlan {
  /** By their numbers in the images; the first one is that of the root of the tree. */
  readonly trees: readonly MountTree[];
  readonly mounts: ReadonlyMap<Mount, PlannedMount>;
}

export interface PlanOptions {
  readonly root: string | undefined;
  readonly externals: Externals;
  /** The names of --enable-fs. */
  readonly enabled: ReadonlySet<string>;
  /** The SELinux context of mounts that have one (--lsm-mount-context). */
  readonly context: string | undefined;
  readonly networks: Networks;
}

/** The network namespaces that are restored. */
export interface Networks {
  /** Has one be there, by its number in the images. */
  mention(number: number): void;
  /** Whether one is not ours; undefined stands for that of the root of the tree. */
  isOther(number: number | undefined): boolean;
}

interface Read {
  readonly entry: MntEntry;
  readonly fileSystem: FileSystem;
  readonly external: string | undefined;
}

/**
 * Reads the images of these namespaces, that of the root first.
 * @throws MountRestoreError, ImageError
 */
export function planMounts(
  images: ImageDir,
  namespaces: readonly number[],
  options: PlanOptions,
): MountsPlan {
  const planner = new Planner(options);
  for (const number of namespaces) planner.read(images, number);
  return planner.plan();
}

class Planner {
  readonly #trees: MountTree[] = [];
  readonly #read = new Map<Mount, Read>();
  readonly #planned = new Map<Mount, PlannedMount>();

  constructor(private readonly options: PlanOptions) {}

  read(images: ImageDir, number: number): void {
    const file = `mountpoints-${number}.img`;
    const entries = images.readAll(IMAGES.mnts, number).reverse();
    if (entries.length === 0) throw new MountRestoreError(`${file}: it is not there, or has no mounts`);
    const infos = entries.map((entry) => infoOf(entry, file, this.options.context));
    try {
      const tree = buildTree(infos, number);
      tree.all.forEach((mount, i) => {
        const entry = entries[i];
        if (entry === undefined) return;
        const external = this.#externalPath(entry, file);
        this.#read.set(mount, { entry, fileSystem: fileSystemOfCode(entry.fstype, entry.fsname), external });
      });
      this.#trees.push(tree);
    } catch (error) {
      if (!(error instanceof TreeError)) throw error;
      throw new MountRestoreError(`${file}: ${error.message}`, { cause: error });
    }
  }

  plan(): MountsPlan {
    const all = this.#trees.flatMap((tree) => [...tree.all]);
    const ids = new Set<number>();
    for (const mount of all) {
      if (ids.has(mount.id)) throw new MountRestoreError(`${nameOf(mount)}: it is in two namespaces`);
      ids.add(mount.id);
    }
    joinSuperBlocks(all);
    for (const peers of new Set(all.map((mount) => mount.peers))) this.#planSuperBlock(peers);
    return { trees: this.#trees, mounts: this.#planned };
  }

  /** The path of ours that an external mount is bound from, or {@link KEY.DEVICE}; undefined for one that is not external. */
  #externalPath(entry: MntEntry, file: string): string | undefined {
    const key = entry.ext_mount === true ? entry.root : entry.ext_key;
    if (key === undefined || key === "") return undefined;
    if (key === KEY.DEVICE) return key;
    const where = `${file}: mount ${entry.mnt_id} at ${entry.mountpoint}`;
    if (key === KEY.FOUND) {
      if (!this.options.externals.found)
        throw new MountRestoreError(`${where}: the dump found it outside; --external mnt[] allows it`);
      return entry.source;
    }
    const path = this.options.externals.path(key);
    if (path === undefined)
      throw new MountRestoreError(
        `${where}: it is external; --external mnt[${key}]:PATH says where it is now`,
      );
    return path;
  }

  #root(): Mount {
    const root = this.#trees[0]?.root;
    if (root === undefined) throw new MountRestoreError("there is no mount namespace of the root");
    return root;
  }

  #of(mount: Mount): Read {
    const read = this.#read.get(mount);
    if (read === undefined) throw new Error(`${nameOf(mount)} was not read`);
    return read;
  }

  #planSuperBlock(peers: readonly Mount[]): void {
    const firsts: PlannedMount[] = [];
    const first = (mount: Mount, origin: Origin) => {
      const planned = this.#add(mount, origin);
      firsts.push(planned);
    };
    for (const mount of peers) {
      const { external } = this.#of(mount);
      if (mount === this.#root()) {
        const { root } = this.options;
        if (root === undefined)
          throw new MountRestoreError(
            "the tree has a mount namespace of its own: --root PATH gives it its root",
          );
        first(mount, { kind: "outside", path: root });
      } else if (external === KEY.DEVICE) first(mount, this.#device(mount));
      else if (external !== undefined) first(mount, { kind: "outside", path: external });
      else if (this.#of(mount).entry.with_plugin === true) first(mount, { kind: "plugin" });
      else if (mount.type === NSFS) first(mount, this.#network(mount));
    }
    for (const mount of peers) {
      if (this.#planned.has(mount)) continue;
      const from =
        firsts.find((each) => this.#contains(each, mount) && this.#sameSource(each.mount, mount)) ??
        (this.#isNew(mount) ? undefined : firsts.find((each) => this.#contains(each, mount)));
      if (from === undefined && showsAll(mount)) first(mount, this.#fresh(mount));
    }
    for (const mount of peers) {
      if (this.#planned.has(mount)) continue;
      const from = firsts.find((each) => this.#contains(each, mount));
      if (from === undefined)
        this.#refuse(mount, "it shows a part of a file system of which the images have no other mount");
      this.#add(mount, { kind: "bind", from, path: pathBelow(mount.root, from.mount.root) ?? "" });
    }
  }

  #contains({ mount }: PlannedMount, other: Mount): boolean {
    return mount.root !== NO_ROOT && pathBelow(other.root, mount.root) !== undefined;
  }

  /** What the kernel finds again has a source of its own for each mount; of all others the first one's is everybody's. */
  #sameSource(one: Mount, other: Mount): boolean {
    return !this.#isNew(other) || one.source === other.source;
  }

  #isNew(mount: Mount): boolean {
    return showsAll(mount) && this.#of(mount).fileSystem.isFound === true;
  }

  #fresh(mount: Mount): Origin {
    const { fileSystem, entry } = this.#of(mount);
    const { code } = fileSystem;
    if (code === Fstype.UNSUPPORTED) this.#refuse(mount, "its file system cannot be mounted");
    if (code === Fstype.FUSE) this.#refuse(mount, "the server of a FUSE file system is not in the images");
    if (code === Fstype.CGROUP) this.#refuseAgent(mount);
    const ours = code === Fstype.DEVPTS ? this.#ourTerminals(mount) : undefined;
    if (ours !== undefined) return { kind: "outside", path: ours };
    if (code !== Fstype.AUTO) return { kind: "new", fsName: fileSystem.name };
    if (majorOf(mount.device) !== 0) return this.#device(mount);
    const fsName = entry.fsname ?? "";
    // The image alone must not have any file system mounted that the machine knows.
    if (fileSystem.name !== fsName && !this.#isEnabled(fsName))
      this.#refuse(mount, `it is ${fsName}, which --enable-fs ${fsName} allows`);
    return { kind: "new", fsName };
  }

  #isEnabled(fsName: string): boolean {
    return this.options.enabled.has("all") || this.options.enabled.has(fsName);
  }

  /** What a hierarchy of control groups runs when a group is empty, the machine runs, as its root. */
  #refuseAgent(mount: Mount): void {
    const agent = splitOptions(mount.options).find((option) => option.startsWith(RELEASE_AGENT));
    if (agent === undefined) return;
    const ours = readMountinfo("self").filter(({ type }) => type === "cgroup");
    if (!ours.some(({ options }) => splitOptions(options).includes(agent)))
      this.#refuse(mount, `${agent}, which no hierarchy of this machine has`);
  }

  /** Where we have the terminals that the machine has: those of a tree are its own, unless it says nothing of that. */
  #ourTerminals({ options }: Mount): string | undefined {
    if (splitOptions(options).includes("newinstance")) return undefined;
    return ourMountOf("devpts")?.mountpoint;
  }

  #network(mount: Mount): Origin {
    const { networks } = this.options;
    const [, digits] = /^\/net:\[(\d{1,9})\]$/.exec(mount.root) ?? [];
    const number = Number(digits);
    if (digits === undefined) this.#refuse(mount, `it shows ${mount.root}, which is no network`);
    // The image alone must not give a tree a way to ours.
    if (!networks.isOther(number) && networks.isOther(undefined))
      this.#refuse(mount, "it shows our own network, in which the tree does not live");
    networks.mention(number);
    return { kind: "network", number };
  }

  #device(mount: Mount): Origin {
    const { entry } = this.#of(mount);
    const fsName = entry.fsname ?? "";
    const path = this.options.externals.devicePath(mount.source);
    if (path !== undefined) return { kind: "device", fsName, path };
    const device = `${majorOf(mount.device)}:${minorOf(mount.device)}`;
    // The image alone must not have a disk of the machine mounted.
    if (!this.#isEnabled(fsName)) {
      this.#refuse(
        mount,
        `it is ${fsName} of device ${device}, ${mount.source}; --external dev[NAME]:PATH or --enable-fs ${fsName} allows it`,
      );
    }
    return { kind: "device", fsName, path: mount.source };
  }

  #add(mount: Mount, origin: Origin): PlannedMount {
    const { fileSystem, entry } = this.#of(mount);
    const outsideMaster = this.#outsideMaster(mount);
    const planned = { mount, fileSystem, origin, outsideMaster, ghostId: entry.ghost_id };
    this.#planned.set(mount, planned);
    return planned;
  }

  #outsideMaster(mount: Mount): string | undefined {
    const { masterId } = mount;
    if (masterId === 0) return undefined;
    for (const { all } of this.#trees)
      if (all.some(({ sharedId }) => sharedId === masterId)) return undefined;
    for (const peer of [mount, ...mount.peers]) {
      if (peer.masterId !== masterId && peer !== mount) continue;
      const { external } = this.#of(peer);
      if (external !== undefined && external !== KEY.DEVICE) return external;
      if (peer === this.#root()) return this.options.root;
    }
    // By the dump's rules there is one. Whose images say otherwise has the mount refused.
    for (const peer of mount.peers) {
      const { external } = this.#of(peer);
      if (external !== undefined && external !== KEY.DEVICE) return external;
      if (peer === this.#root()) return this.options.root;
    }
    return this.#refuse(mount, `it is a slave of group ${masterId}, which the images do not have`);
  }

  #refuse(mount: Mount, what: string): never {
    throw new MountRestoreError(`mountpoints-${mount.namespace}.img: ${nameOf(mount)}: ${what}`);
  }
}

/** Flags that are a mount's, in old images that have them together with those of the super block. */
const OLD_MOUNT_FLAGS =
  MS_PROPAGATION | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOATIME | MS.NODIRATIME | MS.RELATIME;

function infoOf(entry: MntEntry, file: string, context: string | undefined): MountInfo {
  const where = `${file}: mount ${entry.mnt_id}`;
  const sharedId = entry.shared_id ?? 0;
  const masterId = entry.master_id ?? 0;
  if ((sharedId | masterId) !== 0 && (entry.flags & MS.UNBINDABLE) !== 0 && sharedId !== 0)
    throw new MountRestoreError(`${where}: it is shared and unbindable`);
  const old = entry.sb_flags === undefined;
  return {
    id: entry.mnt_id,
    parentId: entry.parent_mnt_id,
    device: entry.root_dev,
    root: entry.ext_mount === true ? NO_ROOT : checkPath(entry.root, where, "root"),
    deleted: entry.deleted === true,
    mountpoint: checkPath(entry.mountpoint.replace(/^\.(?=\/)/, ""), where, "mountpoint"),
    flags: old ? entry.flags & OLD_MOUNT_FLAGS : entry.flags,
    sharedId,
    masterId,
    type: entry.fsname ?? fileSystemOfCode(entry.fstype, undefined).name,
    source: entry.source,
    superFlags: entry.sb_flags ?? entry.flags & ~OLD_MOUNT_FLAGS,
    options: context === undefined ? entry.options : withContext(entry.options, context),
    idmapped: false,
  };
}

/** Options with another SELinux context in the place of theirs, if they have one. */
export function withContext(options: string, context: string): string {
  const changed = splitOptions(options).map((option) =>
    option.replace(/(context=).*$/s, (_, key) => `${key}"${context}"`),
  );
  return changed.join(",");
}

function checkPath(path: string, where: string, what: string): string {
  const isPlain =
    path.startsWith("/") &&
    !path.split("/").some((name) => name === ".." || name === ".") &&
    !path.includes("\0");
  if (!isPlain) throw new MountRestoreError(`${where}: ${JSON.stringify(path)} for its ${what}`);
  return path;
}

/** The mounts of a tree, parents before their children. */
export function parentsFirst({ root }: MountTree): Mount[] {
  return fromRoot(root);
}
