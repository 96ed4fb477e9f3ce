/**
 * Control groups, brought back: directories that are missing are made before any process is born; each process is put into its
 * groups at its birth, so that its memory is charged there; limits and the like are set when all are in.
 */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type {
  CgMemberEntry,
  CgroupDirEntry,
  CgroupPropEntry,
  CgSetEntry,
} from "../images/schema/generated/cgroups.ts";
import { NEW } from "../linux/clone.ts";
import { ERRNO, errnoName, isErrno, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { addressOf, cString, syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { call } from "../undo/calls.ts";
import type { Undo } from "../undo/undo.ts";
import type { CgroupDumpOptions } from "./dump.ts";
import { CgroupError } from "./errors.ts";
import {
  type Hierarchies,
  inside,
  isThere,
  membershipsIn,
  propertyIn,
  readFrom,
  writeTo,
} from "./hierarchies.ts";
import { isFirst, isList } from "./properties.ts";
import { parseRoots } from "./roots.ts";

const AT_REMOVEDIR = 0x200;
const PERMISSIONS = 0o7777;
/** Set last of all: a frozen group runs nothing, ours neither. */
const FREEZERS: ReadonlySet<string> = new Set(["cgroup.freeze", "freezer.state"]);

export type CgroupRestoreOptions = Pick<CgroupDumpOptions, "manageCgroups" | "cgroupRoot" | "cgroupYard">;

/** A directory of the images, where it is to be. */
interface Planned {
  readonly hierarchy: string;
  readonly path: string;
  readonly entry: CgroupDirEntry;
  isMade: boolean;
}

export class CgroupsRestore {
  readonly #sets = new Map<number, CgSetEntry>();
  /** Where cgroup namespaces begin, by their numbers in the images. */
  readonly #namespaces = new Map<number, readonly CgMemberEntry[]>();
  readonly #directories: Planned[] = [];
  /** Of groups that are to be frozen. */
  readonly #freezers: { readonly planned: Planned; readonly property: CgroupPropEntry }[] = [];

  /**
   * `own` is the set of who dumped the tree, `rootSet` that of the root of the tree.
   * @throws CgroupError, ImageError
   */
  constructor(
    images: ImageDir,
    private readonly options: CgroupRestoreOptions,
    private readonly undo: Undo,
    /** They stay open for as long as the undo list, which removes what was made. */
    private readonly hierarchies: Hierarchies,
    private readonly own: number | undefined,
    rootSet: number | undefined,
  ) {
    const image = options.manageCgroups === "ignore" ? undefined : images.tryReadOne(IMAGES.cgroup);
    if (image === undefined) return;
    for (const set of image.sets) {
      for (const { path } of set.ctls) checkPath(path);
      this.#sets.set(set.id, set);
    }
    const move = this.#mover(rootSet);
    for (const set of image.sets) {
      set.ctls = set.ctls.map((member) => moved(member, move));
    }
    for (const { id, roots } of image.namespaces) {
      for (const { path } of roots) checkPath(path);
      this.#namespaces.set(
        id,
        roots.map((root) => moved(root, move)),
      );
    }
    for (const { cnames, dirs } of image.controllers) {
      const hierarchy = cnames.join(",");
      for (const head of dirs) this.#plan(hierarchy, move(hierarchy, `/${head.dir_name}`), head);
    }
  }

  /** Makes the directories that are missing. @throws CgroupError */
  prepare(): void {
    for (const planned of this.#directories) this.#prepare(planned);
  }

  /**
   * Puts a process, which has just been born of one in set `before`, into set `wanted`; undefined is where we are ourselves.
   * @throws CgroupError
   */
  place(pid: HostPid, wanted: number | undefined, before: number | undefined): void {
    if (wanted === undefined || wanted === 0 || wanted === (before ?? this.own)) return;
    if (this.options.manageCgroups === "ignore") return;
    // Our own is in no image.
    const members = wanted === this.own ? ourMembers() : (this.#set(wanted)?.ctls ?? []);
    for (const { name, path } of members) this.#move(name, path, pid);
  }

  /** The same of a further thread, whose process is in set `before`. @throws CgroupError */
  placeThread(tid: HostPid, wanted: number | undefined, before: number | undefined): void {
    if (wanted === undefined || wanted === 0 || wanted === (before ?? this.own)) return;
    const there = new Map(this.#set(before ?? 0)?.ctls.map(({ name, path }) => [name, path]));
    for (const { name, path } of this.#set(wanted)?.ctls ?? []) {
      if (there.get(name) === path) continue;
      this.#write(name, path, name === "" ? "cgroup.threads" : "tasks", String(tid));
    }
  }

  /** Has the root of the tree, which has just been born, begin its cgroup namespace where that began. @throws CgroupError */
  beginNamespace(root: Restoree, wanted: number | undefined): void {
    const members = this.#set(wanted ?? 0)?.ctls ?? [];
    for (const { name, path, cgns_prefix = 0 } of members)
      if (cgns_prefix > 0) this.#move(name, path.slice(0, cgns_prefix), root.pid);
    root.table.must("its cgroup namespace", NR.unshare, NEW.CGROUP);
    root.table.run();
    for (const { name, path } of members) this.#move(name, path, root.pid);
  }

  /**
   * Has a process below the root, which has just been born, begin cgroup namespace `id` where that began, and puts it into set
   * `wanted`. Without an image of groups it begins where the process is. @throws CgroupError
   */
  beginNested(process: Restoree, id: number, wanted: number | undefined): void {
    const roots = this.#namespaces.get(id) ?? [];
    const here = new Map(
      membershipsIn(`/proc/${process.pid}/cgroup`).map((each) => [each.hierarchy, each.path]),
    );
    const elsewhere = roots.filter(({ name, path }) => here.get(name) !== path);
    for (const { name, path } of elsewhere) this.#move(name, path, process.pid);
    process.table.must("its cgroup namespace", NR.unshare, NEW.CGROUP);
    process.table.run();
    const members =
      wanted === undefined || wanted === this.own ? ourMembers() : (this.#set(wanted)?.ctls ?? []);
    const left = new Set(elsewhere.map(({ name }) => name));
    for (const { name, path } of members) if (left.has(name)) this.#move(name, path, process.pid);
  }

  /** Sets what can be set when all tasks are in their groups. @throws CgroupError */
  finish(): void {
    for (const planned of this.#directories) {
      for (const property of planned.entry.properties) {
        if (!this.#wantsProperties(planned) || isFirst(property.name)) continue;
        if (FREEZERS.has(property.name)) this.#freezers.push({ planned, property });
        else this.#give(planned, property);
      }
    }
  }

  /** Freezes what was frozen. Nothing of ours runs in the tree any more. Never throws. */
  freeze(): void {
    for (const { planned, property } of this.#freezers) {
      try {
        this.#give(planned, property);
      } catch (error) {
        log.error("cgroups", error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** Where a path of the images is now (--cgroup-root): what was below the group of the tree's root is below the given one. */
  #mover(rootSet: number | undefined): (hierarchy: string, path: string) => string {
    const { all, of } = parseRoots(this.options.cgroupRoot);
    const roots = new Map(this.#sets.get(rootSet ?? 0)?.ctls.map(({ name, path }) => [name, path]));
    return (hierarchy, path) => {
      const wanted = of.get(hierarchy) ?? all;
      const root = roots.get(hierarchy);
      if (wanted === undefined || root === undefined) return path;
      const isBelow = path === root || path.startsWith(root === "/" ? "/" : `${root}/`);
      return isBelow ? joined(wanted, path.slice(root === "/" ? 0 : root.length)) : path;
    };
  }

  #plan(hierarchy: string, path: string, entry: CgroupDirEntry): void {
    checkPath(path);
    for (const { name } of entry.properties) checkProperty(name);
    this.#directories.push({ hierarchy, path, entry, isMade: false });
    for (const child of entry.children) this.#plan(hierarchy, joined(path, child.dir_name), child);
  }

  #prepare(planned: Planned): void {
    const { hierarchy, path, entry } = planned;
    if (inside(path) === ".") return;
    const root = this.hierarchies.root(hierarchy);
    const { manageCgroups: mode } = this.options;
    if (isThere(root, path)) {
      if (mode === "strict")
        throw new CgroupError(`cgroup ${hierarchy}:${path} is there already, which strict forbids`);
    } else {
      if (mode === "none" || mode === "props")
        throw new CgroupError(`cgroup ${hierarchy}:${path} is not there, which ${mode} asks for`);
      this.#make(hierarchy, root, path);
      planned.isMade = true;
    }
    if (mode !== "none") this.#givePermissions(planned);
    if (!this.#wantsProperties(planned)) return;
    for (const property of entry.properties) if (isFirst(property.name)) this.#give(planned, property);
  }

  #make(hierarchy: string, root: number, path: string): void {
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (inside(parent) !== "." && !isThere(root, parent)) this.#make(hierarchy, root, parent);
    this.#try(hierarchy, path, () => {
      const name = cString(inside(path));
      this.undo.lay(`cgroup ${hierarchy}:${path}`, [
        call(NR.unlinkat, root, name, AT_REMOVEDIR).allowing(ERRNO.ENOENT),
      ]);
      syscall("", NR.mkdirat, root, addressOf(name), 0o755);
    });
  }

  #givePermissions({ hierarchy, path, entry }: Planned): void {
    const { dir_perms: perms } = entry;
    if (perms === undefined) return;
    this.#try(hierarchy, path, () => {
      using fd = Fd.openAt(this.hierarchies.root(hierarchy), inside(path), O.RDONLY | O.DIRECTORY);
      syscall("its owner", NR.fchown, fd.number, perms.uid, perms.gid);
      syscall("its mode", NR.fchmod, fd.number, perms.mode & PERMISSIONS);
    });
  }

  /** By the mode: of all groups, of those that are made here, or of none. */
  #wantsProperties({ isMade }: Planned): boolean {
    const { manageCgroups: mode } = this.options;
    if (mode === "none" || mode === "ignore") return false;
    return mode !== "soft" || isMade;
  }

  #give(planned: Planned, property: CgroupPropEntry): void {
    const { hierarchy, path } = planned;
    const { name, value } = property;
    this.#try(hierarchy, joined(path, name), () => {
      if (name === "devices.list") {
        // Where groups stand in it already this cannot be written any more.
        if (readFrom(this.hierarchies.root(hierarchy), path, name) === value) return;
        this.#write(hierarchy, path, "devices.deny", "a");
        for (const line of linesOf(value)) this.#write(hierarchy, path, "devices.allow", line);
        return;
      }
      const before = this.#givePropertyPermissions(planned, property);
      if (before === undefined || isList(name) || before === value) return;
      if (name === "cgroup.type" && value !== "threaded") return;
      if (name === "cgroup.subtree_control") this.#write(hierarchy, path, name, difference(before, value));
      else for (const line of linesOf(value)) this.#writeLine(hierarchy, path, name, line);
    });
  }

  #writeLine(hierarchy: string, path: string, name: string, line: string): void {
    // A host has other network interfaces, and nearly all have priority 0, which they begin with.
    if (name === "net_prio.ifpriomap" && line.endsWith(" 0")) return;
    this.#write(hierarchy, path, name, line);
  }

  /** Gives what stands there now; undefined where it cannot be read. */
  #givePropertyPermissions(
    { hierarchy, path }: Planned,
    { name, perms }: CgroupPropEntry,
  ): string | undefined {
    using fd = Fd.openAt(this.hierarchies.root(hierarchy), inside(path, name), O.RDONLY);
    if (perms !== undefined) {
      syscall("its owner", NR.fchown, fd.number, perms.uid, perms.gid);
      syscall("its mode", NR.fchmod, fd.number, perms.mode & PERMISSIONS);
    }
    return isList(name) ? "" : propertyIn(fd.number);
  }

  #move(hierarchy: string, path: string, pid: HostPid): void {
    this.#write(hierarchy, path, "cgroup.procs", String(pid));
  }

  #write(hierarchy: string, path: string, file: string, text: string): void {
    this.#try(hierarchy, joined(path, file), () => {
      if (text !== "") writeTo(this.hierarchies.root(hierarchy), path, file, text);
    });
  }

  #try(hierarchy: string, path: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Limits of memory of the kernel's own are no more.
      if (isErrno(error, ERRNO.EOPNOTSUPP) && path.endsWith("memory.kmem.limit_in_bytes")) return;
      throw new CgroupError(`cgroup ${hierarchy}:${path}: ${error.call}: ${errnoName(error.errno)}`, {
        cause: error,
      });
    }
  }

  #set(id: number): CgSetEntry | undefined {
    if (this.options.manageCgroups === "ignore") return undefined;
    const set = this.#sets.get(id);
    if (set === undefined && id !== 0 && id !== this.own)
      throw new CgroupError(`cgroup.img: there is no set ${id}`);
    return set;
  }
}

function ourMembers(): Pick<CgMemberEntry, "name" | "path">[] {
  return membershipsIn("/proc/self/cgroup").map(({ hierarchy, path }) => ({ name: hierarchy, path }));
}

function moved(member: CgMemberEntry, move: (hierarchy: string, path: string) => string): CgMemberEntry {
  const { name, path, cgns_prefix } = member;
  const now = move(name, path);
  if (cgns_prefix === undefined) return { ...member, path: now };
  return { ...member, path: now, cgns_prefix: move(name, path.slice(0, cgns_prefix)).length };
}

function joined(path: string, name: string): string {
  const below = name.replace(/^\/+/, "");
  return below === "" ? path : `${path.replace(/\/+$/, "")}/${below}`;
}

/** An image must not lead out of the hierarchies, where we write, make and give away as root. @throws CgroupError */
function checkPath(path: string): void {
  if (path.includes("\0") || path.split("/").some((name) => name === ".." || name === "."))
    throw new CgroupError(`cgroup.img: ${JSON.stringify(path)} is no path of a group`);
}

/** @throws CgroupError */
function checkProperty(name: string): void {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name))
    throw new CgroupError(`cgroup.img: ${JSON.stringify(name)} is no name of a property`);
}

function linesOf(value: string): string[] {
  return value.split("\n").filter((line) => line !== "");
}

/** What is to be written to cgroup.subtree_control so that it holds these controllers. */
function difference(before: string, wanted: string): string {
  const [had, has] = [before, wanted].map((text) => text.split(" ").filter((name) => name !== ""));
  const less = (had ?? []).filter((name) => has?.includes(name) !== true).map((name) => `-${name}`);
  const more = (has ?? []).filter((name) => had?.includes(name) !== true).map((name) => `+${name}`);
  return [...less, ...more].join(" ");
}
