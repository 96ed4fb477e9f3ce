/**
 * Trees of mounts: who is mounted on whom, what covers what, and which mounts are of one super block.
 *
 * A mount is found by its path only if nothing covers it. Covered it is by a mount on its own root, or by one that its
 * parent got later at a directory above its mountpoint; both are told by the paths and the parents alone.
 */
import { BaseError } from "../../linux/base-error.ts";
import type { MountInfo } from "../../linux/mountinfo.ts";

/** A mount in its tree. */
export interface Mount extends MountInfo {
  /** The number of its namespace in the images. */
  readonly namespace: number;
  /** undefined for the root of a namespace. */
  parent: Mount | undefined;
  readonly children: Mount[];
  /** All mounts of its super block, itself too, in all namespaces; set by {@link joinSuperBlocks}. */
  peers: readonly Mount[];
}

/** What is wrong with a tree; the message begins with the mount. */
export class TreeError extends BaseError {
  override readonly name = "TreeError";
  readonly kind = "mount";
}

export interface MountTree {
  readonly namespace: number;
  readonly root: Mount;
  /** In the order in which they were given. */
  readonly all: readonly Mount[];
}

/** For messages: `mount 12 at /proc`. */
export function nameOf({ id, mountpoint }: Pick<MountInfo, "id" | "mountpoint">): string {
  return `mount ${id} at ${mountpoint}`;
}

/** `path` from directory `above`, without a slash before it; undefined where it is not there or below. */
export function pathBelow(path: string, above: string): string | undefined {
  if (path === above) return "";
  const start = above === "/" ? "/" : `${above}/`;
  return path.startsWith(start) ? path.slice(start.length) : undefined;
}

/** The path of `below` in a directory. */
export function joinPath(directory: string, below: string): string {
  if (below === "") return directory;
  return directory === "/" ? `/${below}` : `${directory}/${below}`;
}

/**
 * Puts the mounts of a namespace together. @throws TreeError where they are no tree: two roots, a parent that is missing, a
 * circle, a mountpoint that is not in its parent, two mounts of one parent at the same place
 */
export function buildTree(infos: readonly MountInfo[], namespace: number): MountTree {
  const byId = new Map<number, Mount>();
  const all = infos.map((info): Mount => {
    if (byId.has(info.id)) throw new TreeError(`${nameOf(info)}: this number is there twice`);
    const mount: Mount = { ...info, namespace, parent: undefined, children: [], peers: [] };
    byId.set(info.id, mount);
    return mount;
  });
  let root: Mount | undefined;
  for (const mount of all) {
    const parent = mount.parentId === mount.id ? undefined : byId.get(mount.parentId);
    if (parent === undefined) {
      if (mount.mountpoint !== "/" || root !== undefined)
        throw new TreeError(`${nameOf(mount)}: its parent ${mount.parentId} is missing`);
      root = mount;
      continue;
    }
    if (pathBelow(mount.mountpoint, parent.mountpoint) === undefined)
      throw new TreeError(`${nameOf(mount)}: its parent is ${nameOf(parent)}`);
    if (parent.children.some(({ mountpoint }) => mountpoint === mount.mountpoint))
      throw new TreeError(`${nameOf(mount)}: its parent has two mounts there`);
    mount.parent = parent;
    parent.children.push(mount);
  }
  if (root === undefined) throw new TreeError("there is no mount at /");
  if (fromRoot(root).length !== all.length)
    throw new TreeError("mounts are mounted on each other in a circle");
  return { namespace, root, all };
}

/** A mount and all below it; parents come before their children. */
export function fromRoot(root: Mount): Mount[] {
  const found = [root];
  for (let i = 0; i < found.length; i++) found.push(...(found[i]?.children ?? []));
  return found;
}

/** The mount that a look-up of `path` from `root` ends in. */
export function visibleAt(root: Mount, path: string): Mount {
  let mount = root;
  for (;;) {
    // Walking down, the nearest mountpoint comes first, and from there on only what is mounted on that one counts.
    let next: Mount | undefined;
    for (const child of mount.children) {
      if (pathBelow(path, child.mountpoint) === undefined) continue;
      if (next === undefined || child.mountpoint.length < next.mountpoint.length) next = child;
    }
    if (next === undefined) return mount;
    mount = next;
  }
}

/** Whether its mountpoint leads elsewhere. */
export function isCovered(root: Mount, mount: Mount): boolean {
  return visibleAt(root, mount.mountpoint) !== mount;
}

/** Tells each of the mounts which ones are of its super block. `same` decides for two of the same device. */
export function joinSuperBlocks(
  mounts: readonly Mount[],
  same: (one: Mount, other: Mount) => boolean = () => true,
): void {
  const groups = new Map<number, Mount[][]>();
  for (const mount of mounts) {
    const ofDevice = groups.get(mount.device) ?? [];
    groups.set(mount.device, ofDevice);
    const group = ofDevice.find(([first]) => first !== undefined && same(first, mount));
    if (group === undefined) ofDevice.push([mount]);
    else group.push(mount);
  }
  for (const ofDevice of groups.values())
    for (const group of ofDevice) for (const mount of group) mount.peers = group;
}

/** Whether a mount shows a file system from its root on. */
export function showsAll({ root, deleted }: MountInfo): boolean {
  return root === "/" && !deleted;
}
