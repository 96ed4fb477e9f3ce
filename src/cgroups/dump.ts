/**
 * Saving control groups: in which groups each task is (sets), and, unless --manage-cgroups=ignore, what those groups and all below
 * look like. A set that is our own is not written: a tree that lives where we do comes back where its restorer lives.
 */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type {
  CgControllerEntry,
  CgMemberEntry,
  CgroupDirEntry,
  CgroupPropEntry,
} from "../images/schema/generated/cgroups.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { AT, isDirectory, listDirectory, O, readText } from "../linux/io.ts";
import type { HostPid } from "../linux/pid.ts";
import { readTexts } from "../linux/read-many.ts";
import { fullStatusOf, statusAt, statusOf } from "../linux/statx.ts";
import { pathAddress } from "../linux/syscall.ts";
import { log } from "../log.ts";
import type { Freezer } from "./freezer.ts";
import {
  Hierarchies,
  inside,
  type Membership,
  membershipsIn,
  parseMemberships,
  propertyIn,
  sameSet,
} from "./hierarchies.ts";
import { rootOf, rootsOf } from "./namespace-root.ts";
import { isList, Properties } from "./properties.ts";
import { parseRoots } from "./roots.ts";

export interface CgroupDumpOptions {
  readonly manageCgroups: "none" | "props" | "soft" | "full" | "strict" | "ignore";
  readonly cgroupRoot: readonly string[];
  readonly cgroupDumpController: readonly string[];
  readonly cgroupYard: string | undefined;
  /** What to save of them; of both the first. */
  readonly cgroupProps: string | undefined;
  readonly cgroupPropsFile: string | undefined;
}

/** Our own set. */
export const OWN_SET = 1;

/** A directory of a hierarchy, with its path from the root. */
interface Directory {
  readonly path: string;
  readonly entry: CgroupDirEntry;
}

export class CgroupsDump implements Disposable {
  readonly #sets: { readonly id: number; readonly members: readonly Membership[] }[] = [];
  readonly #hierarchies: Hierarchies;
  readonly #properties: Properties;
  /** By what /proc says. */
  readonly #known = new Map<string, number>();
  readonly #threaded = new Set<string>();
  /** How long, in each hierarchy, the path of the root of the tree's cgroup namespace is. */
  #prefixes: ReadonlyMap<string, number> = new Map();

  /** Those of processes below the root. */
  readonly #namespaces: { readonly id: number; readonly roots: readonly Membership[] }[] = [];

  /** @throws CgroupError */
  constructor(
    private readonly options: CgroupDumpOptions,
    private readonly freezer?: Freezer,
  ) {
    this.#hierarchies = new Hierarchies(options.cgroupYard);
    const { cgroupProps, cgroupPropsFile: file } = options;
    this.#properties = new Properties(cgroupProps ?? (file === undefined ? undefined : readText(file)));
    this.#sets.push({ id: OWN_SET, members: this.#wanted(membershipsIn("/proc/self/cgroup")) });
  }

  /** The namespace that the root of the tree has is all the tree's. @throws KernelError */
  lookAtRoot(pid: HostPid): void {
    this.#prefixes = rootOf(pid);
  }

  /** Number `id` in the images is the cgroup namespace of a process below the root. @throws KernelError, UnsupportedError */
  addNamespace(id: number, pid: HostPid): void {
    this.#namespaces.push({ id, roots: this.#wanted(rootsOf(pid)) });
  }

  /** The numbers of the sets that threads of a process are in. @throws KernelError */
  setsOf(pid: HostPid, tids: readonly HostPid[]): Map<HostPid, number> {
    const sets = new Map<HostPid, number>();
    readTexts(tids.map((tid) => `/proc/${pid}/task/${tid}/cgroup`)).forEach((text, i) => {
      const tid = tids[i];
      // Mostly all are where the first one is.
      if (tid !== undefined && text !== undefined) sets.set(tid, this.#known.get(text) ?? this.#setOf(text));
    });
    return sets;
  }

  #setOf(text: string): number {
    const id = this.#numberOf(this.#wanted(parseMemberships(text)));
    this.#known.set(text, id);
    return id;
  }

  #numberOf(members: readonly Membership[]): number {
    const known = this.#sets.find((set) => sameSet(set.members, members));
    if (known !== undefined) return known.id;
    const id = this.#sets.length + 1;
    this.#sets.push({ id, members });
    return id;
  }

  /** @throws CgroupError, KernelError, ImageError */
  write(images: ImageDir): void {
    const sets = this.#sets.slice(1);
    if (sets.length === 0 && this.#namespaces.length === 0) return;
    const own = new Map(this.#sets[0]?.members.map(({ hierarchy, path }) => [hierarchy, path]));
    const roots = this.#namespaces.flatMap((each) => each.roots);
    // What we are in ourselves is there.
    const used = [...sets.flatMap(({ members }) => members), ...roots.filter((root) => !isWithin(own, root))];
    const names = [...new Set(used.map(({ hierarchy }) => hierarchy))];
    const controllers = names.map((hierarchy): CgControllerEntry => {
      const paths = used.filter((member) => member.hierarchy === hierarchy).map(({ path }) => path);
      const dirs = this.options.manageCgroups === "ignore" ? [] : this.#directories(hierarchy, paths);
      return { cnames: hierarchy.split(","), dirs, is_threaded: this.#threaded.has(hierarchy) };
    });
    const entries = sets.map(({ id, members }) => ({
      id,
      ctls: members.map(({ hierarchy, path }): CgMemberEntry => {
        const prefix = this.#prefixes.get(hierarchy) ?? 0;
        return prefix > 0 ? { name: hierarchy, path, cgns_prefix: prefix } : { name: hierarchy, path };
      }),
    }));
    const namespaces = this.#namespaces.map(({ id, roots }) => ({
      id,
      roots: roots.map(({ hierarchy, path }) => ({ name: hierarchy, path })),
    }));
    images.writeAll(IMAGES.cgroup, [{ sets: entries, controllers, namespaces }]);
  }

  [Symbol.dispose](): void {
    this.#hierarchies[Symbol.dispose]();
  }

  #wanted(memberships: Membership[]): Membership[] {
    const { cgroupDumpController: only } = this.options;
    if (only.length === 0) return memberships;
    return memberships.filter(({ hierarchy }) => hierarchy.split(",").some((name) => only.includes(name)));
  }

  /** The directories that the given paths lead to, with all below. */
  #directories(hierarchy: string, paths: readonly string[]): CgroupDirEntry[] {
    const { all, of } = parseRoots(this.options.cgroupRoot);
    const root = this.#hierarchies.root(hierarchy);
    const known = new Map<string, Directory>();
    const heads: CgroupDirEntry[] = [];
    for (const path of paths) this.#walk(hierarchy, root, of.get(hierarchy) ?? all ?? path, known, heads);
    return heads;
  }

  #walk(
    hierarchy: string,
    root: number,
    path: string,
    known: Map<string, Directory>,
    heads: CgroupDirEntry[],
  ): void {
    if (!known.has(path)) {
      const entry = this.#directory(hierarchy, root, path);
      if (entry === undefined) return;
      const parent = nearest(path, known);
      entry.dir_name =
        parent === undefined ? inside(path).replace(/^\.$/, "") : inside(path.slice(parent.path.length));
      (parent?.entry.children ?? heads).push(entry);
      known.set(path, { path, entry });
    }
    for (const name of groupsIn(root, path))
      this.#walk(hierarchy, root, `${path === "/" ? "" : path}/${name}`, known, heads);
  }

  /** The group that we have frozen is to be as it was before that. */
  #addFreezer(directory: number, properties: CgroupPropEntry[]): void {
    if (this.freezer === undefined || !isSameFile(directory, this.freezer.path)) return;
    const { name, value } = this.freezer.state;
    const known = properties.find((each) => each.name === name);
    if (known !== undefined) known.value = value;
    else {
      const read = readProperty(directory, name);
      if (read !== undefined) properties.push({ ...read, value });
    }
  }

  #directory(hierarchy: string, root: number, path: string): CgroupDirEntry | undefined {
    try {
      using fd = Fd.openAt(root, inside(path), O.RDONLY | O.DIRECTORY);
      const { mode, uid, gid } = fullStatusOf(fd.number);
      const properties: CgroupPropEntry[] = [];
      for (const name of this.#properties.of(hierarchy)) {
        const property = readProperty(fd.number, name);
        if (property !== undefined) properties.push(property);
        if (
          property !== undefined &&
          (name === "tasks" || (name === "cgroup.type" && property.value === "threaded"))
        )
          this.#threaded.add(hierarchy);
      }
      this.#addFreezer(fd.number, properties);
      return { dir_name: "", children: [], properties, dir_perms: { mode, uid, gid } };
    } catch (error) {
      if (!isErrno(error, ERRNO.ENOENT)) throw error;
      log.info("cgroups", `${hierarchy}:${path} is gone`);
      return undefined;
    }
  }
}

/** Whether we are in a group or below it, by our own paths. */
function isWithin(own: ReadonlyMap<string, string>, { hierarchy, path }: Membership): boolean {
  const ours = own.get(hierarchy);
  return ours !== undefined && (path === "/" || ours === path || ours.startsWith(`${path}/`));
}

function isSameFile(fd: number, path: string): boolean {
  const there = statusAt(AT.FDCWD, pathAddress(path));
  const { dev, ino } = statusOf(fd);
  return typeof there !== "number" && there.dev === dev && there.ino === ino;
}

/** Names of the groups in a group. Those of others come and go meanwhile. */
function groupsIn(root: number, path: string): string[] {
  try {
    using fd = Fd.openAt(root, inside(path), O.RDONLY | O.DIRECTORY);
    return listDirectory(".", fd.number).filter(
      (name) => name !== "." && name !== ".." && isGroup(fd.number, name),
    );
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT, ERRNO.ENODEV)) return [];
    throw error;
  }
}

function isGroup(directory: number, name: string): boolean {
  try {
    using fd = Fd.openAt(directory, name, O.PATH | O.NOFOLLOW);
    return isDirectory(fullStatusOf(fd.number).mode);
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT)) return false;
    throw error;
  }
}

/** The known directory that is nearest above a path. */
function nearest(path: string, known: ReadonlyMap<string, Directory>): Directory | undefined {
  for (let above = path; above !== ""; ) {
    above = above.slice(0, above.lastIndexOf("/"));
    const found = known.get(above === "" ? "/" : above);
    if (found !== undefined) return found.path === "/" ? { ...found, path: "" } : found;
  }
  return undefined;
}

/** Undefined where the kernel has no such property, or does not tell. */
function readProperty(directory: number, name: string): CgroupPropEntry | undefined {
  try {
    using fd = Fd.openAt(directory, name, O.RDONLY);
    const { mode, uid, gid } = fullStatusOf(fd.number);
    const text = isList(name) ? "" : propertyIn(fd.number);
    return { name, value: normalized(name, text), perms: { mode, uid, gid } };
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT, ERRNO.EOPNOTSUPP, ERRNO.EACCES, ERRNO.EINVAL, ERRNO.ENODEV))
      return undefined;
    throw error;
  }
}

/** The largest limits are said as -1, which means the same everywhere. */
const NO_LIMIT = "9223372036854771712";

function normalized(name: string, text: string): string {
  if (text === NO_LIMIT || text === "9223372036854775807") return "-1";
  if (name === "memory.oom_control") return /oom_kill_disable (\d)/.exec(text)?.[1] ?? "0";
  return text;
}
