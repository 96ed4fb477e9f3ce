/**
 * The hierarchies of control groups (cgroups(7)): that of version 2, whose name is empty, and those of version 1, named by their
 * controllers (`cpu,cpuacct`) or by a name of their own (`name=systemd`).
 */
import { errnoName, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { O, readText, readWhole } from "../linux/io.ts";
import { FSCONFIG, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from "../linux/mount.ts";
import { readMountinfo } from "../linux/mountinfo.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, cString, rawSyscall, syscall } from "../linux/syscall.ts";
import { CgroupError } from "./errors.ts";

/** Of a hierarchy that has a name of its own. */
const NAMED = "name=";

/** Where a task is in a hierarchy: a path from the root of the hierarchy, as our cgroup namespace shows it. */
export interface Membership {
  readonly hierarchy: string;
  readonly path: string;
}

/** The groups of a task by /proc, in the order of the names of the hierarchies. @throws KernelError */
export function membershipsIn(file: string): Membership[] {
  return parseMemberships(readText(file));
}

export function parseMemberships(text: string): Membership[] {
  const memberships: Membership[] = [];
  for (const line of text.split("\n")) {
    const found = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (found?.[1] !== undefined && found[2] !== undefined)
      memberships.push({ hierarchy: found[1], path: found[2].replace(/ \(deleted\)$/, "") });
  }
  return memberships.sort((a, b) => (a.hierarchy < b.hierarchy ? -1 : 1));
}

/** The directory of a hierarchy in a yard (--cgroup-yard). */
function yardName(hierarchy: string): string {
  if (hierarchy === "") return "unified";
  return hierarchy.startsWith(NAMED) ? hierarchy.slice(NAMED.length) : hierarchy;
}

/** Opens the roots of hierarchies: where they are mounted, in a yard, or by a mount of our own that nobody sees. */
export class Hierarchies implements Disposable {
  readonly #roots = new Map<string, Fd>();

  constructor(private readonly yard: string | undefined) {}

  /** A descriptor of the root directory; it stays ours. @throws CgroupError */
  root(hierarchy: string): number {
    let fd = this.#roots.get(hierarchy);
    if (fd === undefined) {
      fd = this.#open(hierarchy);
      this.#roots.set(hierarchy, fd);
    }
    return fd.number;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#roots.values()) fd.close();
    this.#roots.clear();
  }

  #open(hierarchy: string): Fd {
    const what = `cgroup hierarchy "${hierarchy}"`;
    try {
      if (this.yard !== undefined)
        return Fd.open(`${this.yard}/${yardName(hierarchy)}`, O.RDONLY | O.DIRECTORY);
      const mounted = mountpointOf(hierarchy);
      if (mounted !== undefined) return Fd.open(mounted, O.RDONLY | O.DIRECTORY);
      return mountDetached(hierarchy);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw new CgroupError(`${what}: ${error.call}: ${errnoName(error.errno)}`, { cause: error });
    }
  }
}

/** Where all of a hierarchy is mounted; a mount of our own would change the options of version 2 for everybody. */
function mountpointOf(hierarchy: string): string | undefined {
  const controllers = hierarchy.split(",");
  for (const { type, root, mountpoint, options: shown } of readMountinfo("self")) {
    if (root !== "/") continue;
    if (hierarchy === "" ? type === "cgroup2" : type === "cgroup") {
      const options = shown.split(",");
      if (hierarchy === "" || controllers.every((name) => options.includes(name))) return mountpoint;
    }
  }
  return undefined;
}

function mountDetached(hierarchy: string): Fd {
  const type = hierarchy === "" ? "cgroup2" : "cgroup";
  using fs = Fd.own(syscall(type, NR.fsopen, addressOf(cString(type)), FSOPEN_CLOEXEC));
  const set = (flag: string) =>
    syscall(flag, NR.fsconfig, fs.number, FSCONFIG.SET_FLAG, addressOf(cString(flag)), 0, 0);
  if (hierarchy.startsWith(NAMED)) {
    set("none");
    const name = addressOf(cString(hierarchy.slice(NAMED.length)));
    syscall(hierarchy, NR.fsconfig, fs.number, FSCONFIG.SET_STRING, addressOf(cString("name")), name, 0);
  } else for (const controller of hierarchy.split(",")) if (controller !== "") set(controller);
  syscall(type, NR.fsconfig, fs.number, FSCONFIG.CREATE, 0, 0, 0);
  return Fd.own(syscall(type, NR.fsmount, fs.number, FSMOUNT_CLOEXEC, 0));
}

/** Moves a task, by its number in our pid namespace, into a group: all of its process by cgroup.procs. @throws KernelError */
export function writeTo(root: number, path: string, file: string, text: string): void {
  using fd = Fd.openAt(root, inside(path, file), O.WRONLY);
  const bytes = Buffer.from(text);
  syscall(`${path}/${file}`, NR.write, fd.number, addressOf(bytes), bytes.length);
}

/** What stands in a file of a group, without a line's end behind it. @throws KernelError */
export function readFrom(root: number, path: string, file: string): string {
  using fd = Fd.openAt(root, inside(path, file), O.RDONLY);
  return propertyIn(fd.number);
}

/** The same of an open file. @throws KernelError */
export function propertyIn(fd: number): string {
  return Buffer.from(readWhole(fd)).toString().replace(/\n$/, "");
}

/** A path from the root of a hierarchy, as one from its descriptor. */
export function inside(path: string, file = ""): string {
  const relative = path.replace(/^\/+/, "");
  if (relative === "") return file === "" ? "." : file;
  return file === "" ? relative : `${relative}/${file}`;
}

/** Whether two memberships are the same. */
export function sameSet(a: readonly Membership[], b: readonly Membership[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ hierarchy, path }, i) => hierarchy === b[i]?.hierarchy && path === b[i].path)
  );
}

/** Whether a directory is there. */
export function isThere(root: number, path: string): boolean {
  const fd = rawSyscall(NR.openat, root, addressOf(cString(inside(path))), O.PATH | O.DIRECTORY | O.CLOEXEC);
  if (fd < 0) return false;
  rawSyscall(NR.close, fd);
  return true;
}
