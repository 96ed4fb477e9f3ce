/**
 * Looking at mounts of another namespace as they are without what is mounted on them. A child of ours goes there, and gives us
 * descriptors of copies that are attached nowhere; of mounts that are covered or unbindable in a namespace of its own, where it
 * has unmounted what covers them, and all are private. The tree sees nothing of it, and all of it goes with the child and the descriptors.
 */
import { type ChildResult, ChildTable } from "../../linux/child-table.ts";
import { NEW } from "../../linux/clone.ts";
import { KernelError } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, O, readLink, readText } from "../../linux/io.ts";
import { AT_NO_AUTOMOUNT, MNT_DETACH, MS, OPEN_TREE } from "../../linux/mount.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { rawSyscall } from "../../linux/syscall.ts";
import { bytesToText } from "../../linux/text.ts";
import { isCovered, type Mount, nameOf, visibleAt } from "./tree.ts";

/** ioctl(2) on a namespace: one of the user namespace that owns it (include/uapi/linux/nsfs.h). */
const NS_GET_USERNS = 0xb701;
/** Calls that one child makes at the most, so that its table holds them. */
const MOST_CALLS = 100;

/** Descriptors of copies of the mounts, each without what is mounted on it; all of one namespace, that of process `pid`. */
export class CleanMounts implements Disposable {
  readonly #fds = new Map<Mount, Fd>();

  /** @throws KernelError that names the mount */
  constructor(pid: HostPid, root: Mount, wanted: readonly Mount[]) {
    if (wanted.length === 0) return;
    using namespace = Fd.open(`/proc/${pid}/ns/mnt`, O.RDONLY);
    try {
      const plain = wanted.filter((mount) => !needsCopy(root, mount));
      for (let from = 0; from < plain.length; from += MOST_CALLS)
        this.#openPlain(namespace, plain.slice(from, from + MOST_CALLS));
      const others = wanted.filter((mount) => needsCopy(root, mount));
      if (others.length > 0) this.#openInCopy(namespace, root, others);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The descriptor, lent. @throws Error for a mount that was not wanted */
  of(mount: Mount): number {
    const fd = this.#fds.get(mount);
    if (fd === undefined) throw new Error(`${nameOf(mount)} was not opened`);
    return fd.number;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.values()) fd.close();
    this.#fds.clear();
  }

  #openPlain(namespace: Fd, mounts: readonly Mount[]): void {
    using child = new ChildTable();
    const steps = [enter(child, namespace)];
    const results = mounts.map((mount) => ({ mount, result: openTree(child, mount) }));
    this.#take(child, steps, results);
  }

  #openInCopy(namespace: Fd, root: Mount, wanted: readonly Mount[]): void {
    using child = new ChildTable();
    // Not to be told by what the namespace was copied from, nor to have its mounts locked, it is copied where it is owned.
    const owner = rawSyscall(NR.ioctl, namespace.number, NS_GET_USERNS);
    using owned = owner < 0 ? undefined : Fd.own(owner);
    // Refused where it is ours, in which the child is already.
    if (owned !== undefined) child.call(NR.setns, owned.number, NEW.USER);
    const steps = [
      enter(child, namespace),
      child.callOrEnd(NR.unshare, NEW.NS),
      child.callOrEnd(NR.mount, 0, "/", 0, MS.REC | MS.PRIVATE, 0),
    ];
    const results: { mount: Mount; result: ChildResult }[] = [];
    const plan = uncovering(root, wanted);
    if (plan.length > MOST_CALLS) throw new RangeError(`${plan.length} steps are too many to uncover mounts`);
    for (const { open, unmount } of plan) {
      if (open !== undefined) results.push({ mount: open, result: openTree(child, open) });
      if (unmount !== undefined) steps.push(child.callOrEnd(NR.umount2, unmount.mountpoint, MNT_DETACH));
    }
    this.#take(child, steps, results);
  }

  #take(
    child: ChildTable,
    steps: readonly ChildResult[],
    results: readonly { mount: Mount; result: ChildResult }[],
  ): void {
    const pid = child.hold();
    for (const { raw } of steps) if (raw < 0) throw new KernelError("setns", "to look at mounts", -raw);
    using pidfd = Fd.ofProcess(pid);
    for (const { mount, result } of results) {
      const { raw } = result;
      if (raw < 0) throw new KernelError("open_tree", nameOf(mount), -raw);
      this.#fds.set(mount, Fd.outOf(pidfd.number, raw));
    }
  }
}

/** What is read in one go. */
const PIECE = 0x10000;

/** A mount namespace, as it is seen from its root. */
export interface SeenNamespace {
  /** Its mountinfo. */
  readonly mounts: string;
  /** O_PATH, of the root directory; the caller's. */
  readonly root: Fd;
}

/**
 * The mount namespace of a process. Who reads mountinfo is told of mounts below his own root, and the roots of control group mounts
 * as seen from his own control group namespace: where those of the process will not do, a child of ours goes there. @throws KernelError
 */
export function seeNamespace(pid: HostPid): SeenNamespace {
  const path = `/proc/${pid}/mountinfo`;
  const isOurCgroup = readLink(`/proc/${pid}/ns/cgroup`) === readLink("/proc/self/ns/cgroup");
  if (isOurCgroup && readLink(`/proc/${pid}/root`) === "/")
    return { mounts: readText(path), root: Fd.open(`/proc/${pid}/root`, O.PATH | O.DIRECTORY) };
  using namespace = Fd.open(`/proc/${pid}/ns/mnt`, O.RDONLY);
  using cgroups = Fd.open(`/proc/${pid}/ns/cgroup`, O.RDONLY);
  // Its own /proc may be another one, or none.
  using proc = Fd.open("/proc", O.PATH | O.DIRECTORY);
  const parts: Uint8Array[] = [];
  for (let at = 0; ; ) {
    using child = new ChildTable();
    const steps = [
      child.callOrEnd(NR.setns, cgroups.number, NEW.CGROUP),
      child.callOrEnd(NR.setns, namespace.number, NEW.NS),
    ];
    const fd = child.callOrEnd(NR.openat, proc.number, "self/mountinfo", O.RDONLY | O.CLOEXEC, 0);
    const text = child.data(PIECE);
    const read = child.call(NR.pread64, fd, text.address, PIECE, at);
    const childPid = child.hold();
    for (const { raw } of [...steps, fd, read]) if (raw < 0) throw new KernelError("read", path, -raw);
    parts.push(text.bytes.slice(0, read.raw));
    at += read.raw;
    if (read.raw === 0) {
      const root = Fd.open(`/proc/${childPid}/root`, O.PATH | O.DIRECTORY);
      return { mounts: bytesToText(Buffer.concat(parts)), root };
    }
  }
}

/** Whether it can only be opened in a copy of its namespace, where we may unmount what covers it, and unbindable mounts are not. */
function needsCopy(root: Mount, mount: Mount): boolean {
  return (mount.flags & MS.UNBINDABLE) !== 0 || isCovered(root, mount);
}

/** To the root of the namespace. */
function enter(child: ChildTable, namespace: Fd): ChildResult {
  return child.callOrEnd(NR.setns, namespace.number, NEW.NS);
}

function openTree(child: ChildTable, { mountpoint }: Mount): ChildResult {
  const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT_NO_AUTOMOUNT | AT.SYMLINK_NOFOLLOW;
  return child.call(NR.open_tree, AT.FDCWD, mountpoint, flags);
}

interface Step {
  readonly open?: Mount;
  readonly unmount?: Mount;
}

/** In which order mounts are unmounted so that each of the wanted ones comes to light before it goes itself. */
export function uncovering(root: Mount, wanted: readonly Mount[]): Step[] {
  // A model of the tree, from which mounts are taken.
  const models = new Map<Mount, Mount>();
  const origins = new Map<Mount, Mount>();
  const model = (mount: Mount, parent: Mount | undefined): Mount => {
    const copy: Mount = { ...mount, parent, children: [] };
    models.set(mount, copy);
    origins.set(copy, mount);
    copy.children.push(...mount.children.map((child) => model(child, copy)));
    return copy;
  };
  const top = model(root, undefined);
  const left = new Set(wanted.map((mount) => models.get(mount)).filter((mount) => mount !== undefined));
  const steps: Step[] = [];
  const within = (mount: Mount, above: Mount): boolean => {
    for (let each: Mount | undefined = mount; each !== undefined; each = each.parent)
      if (each === above) return true;
    return false;
  };
  const openVisible = () => {
    for (const mount of left) {
      const origin = origins.get(mount);
      if (origin === undefined || visibleAt(top, mount.mountpoint) !== mount) continue;
      steps.push({ open: origin });
      left.delete(mount);
    }
  };
  openVisible();
  while (left.size > 0) {
    let [next] = left;
    if (next === undefined) break;
    let cover = visibleAt(top, next.mountpoint);
    // What is wanted of the mounts that go with the cover comes first.
    for (;;) {
      const inner = [...left].find((mount) => within(mount, cover));
      if (inner === undefined || inner === next) break;
      next = inner;
      cover = visibleAt(top, next.mountpoint);
    }
    const unmount = origins.get(cover);
    const parent = cover.parent;
    if (unmount === undefined || parent === undefined) throw new Error(`${nameOf(next)} cannot be uncovered`);
    steps.push({ unmount });
    parent.children.splice(parent.children.indexOf(cover), 1);
    openVisible();
  }
  return steps;
}
