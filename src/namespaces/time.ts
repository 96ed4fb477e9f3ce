/**
 * Time namespaces: what the monotonic clock and that since the boot show (timens-ID.img). A tree that lived in ours is restored into
 * one of its own as well, so that its clocks go on from where they were, on another machine and after a boot too (timens-0.img).
 */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { TimensEntry, Timespec } from "../images/schema/generated/namespaces.ts";
import { CAP_SYS_ADMIN, CAP_SYS_TIME, hasCapability } from "../linux/capability.ts";
import { CLOCK, NSEC_PER_SEC, readClock, timespec } from "../linux/clock.ts";
import { NEW } from "../linux/clone.ts";
import { AT, exists, O, open, readText, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid } from "../linux/pid.ts";
import { cString } from "../linux/syscall.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Table } from "../tracee/table/table.ts";
import type { NamespaceKind } from "./namespace.ts";

/** The number of the image when the tree has no time namespace of its own. */
const HOST = 0;
/** The two clocks that a namespace has of its own: their fields in the image, and what /proc/PID/timens_offsets calls them. */
const CLOCKS = [
  { field: "monotonic", clock: CLOCK.MONOTONIC },
  { field: "boottime", clock: CLOCK.BOOTTIME },
] as const;

export const time: NamespaceKind = {
  name: "time",
  flag: NEW.TIME,
  field: "time_ns_id",
  own: 5,
  nests: true,
  dump: (found, { images, tableOf }) => {
    for (const { id, pid, ancestor } of found) {
      if (pid !== undefined) dumpInside(images, id, tableOf(pid));
      else if (ancestor !== undefined) dumpForChildren(images, id, ancestor);
    }
  },
  fill: ({ id }, first, { images }) => goOn(images.readOne(IMAGES.timens, id), first),
};

function dumpInside(images: ImageDir, id: number, table: Table): void {
  const [monotonic, boottime] = CLOCKS.map(({ field, clock }) => {
    const space = table.space(timespec.size);
    table.must(`its clock ${field}`, NR.clock_gettime, clock, space.address);
    return space;
  });
  if (monotonic === undefined || boottime === undefined) throw new Error("there are two clocks");
  table.run();
  const entry = {
    monotonic: entryOf(timespec.decode(monotonic.bytes)),
    boottime: entryOf(timespec.decode(boottime.bytes)),
  };
  images.writeAll(IMAGES.timens, [entry], id);
}

function entryOf({ sec, nsec }: { sec: bigint; nsec: bigint }): Timespec {
  return { tv_sec: sec, tv_nsec: nsec };
}

/** Writes timens-0.img: what our clocks show, which are those of a tree in our time namespace. @throws ImageError */
export function dumpClocks(images: ImageDir): void {
  const show = (clock: number): Timespec => {
    const now = readClock(clock);
    return { tv_sec: now / NSEC_PER_SEC, tv_nsec: now % NSEC_PER_SEC };
  };
  images.writeAll(
    IMAGES.timens,
    [{ monotonic: show(CLOCK.MONOTONIC), boottime: show(CLOCK.BOOTTIME) }],
    HOST,
  );
}

/** One that nobody lives in yet: what its clocks would show now. */
function dumpForChildren(images: ImageDir, id: number, ancestor: HostPid): void {
  const offsets = offsetsOf(ancestor);
  const own = offsetsOf("self");
  const show = ({ field, clock }: (typeof CLOCKS)[number]): Timespec => {
    const now = readClock(clock) - (own.get(field) ?? 0n) + (offsets.get(field) ?? 0n);
    return { tv_sec: now / NSEC_PER_SEC, tv_nsec: now % NSEC_PER_SEC };
  };
  images.writeAll(IMAGES.timens, [{ monotonic: show(CLOCKS[0]), boottime: show(CLOCKS[1]) }], id);
}

/**
 * How far the clocks that children of a process are born with are from those of the machine, in nanoseconds, by their names: a line
 * each, with seconds and the rest.
 */
function offsetsOf(pid: HostPid | "self"): ReadonlyMap<string, bigint> {
  const lines = readText(`/proc/${pid}/timens_offsets`).trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [name = "", seconds = "0", rest = "0"] = line.trim().split(/\s+/);
      return [name, BigInt(seconds) * NSEC_PER_SEC + BigInt(rest)];
    }),
  );
}

/**
 * Puts a process that has just been born into a new time namespace, in which clocks go on from where the image has them. Offsets
 * count from the clocks of the machine, and can be set as long as nobody is inside: so it makes one for its children first.
 * @throws KernelError (EPERM without CAP_SYS_TIME; ERANGE: no clock can show that)
 */
function goOn(clocks: TimensEntry, process: Restoree): void {
  beginForChildren(clocks, process);
  const { table } = process;
  const path = table.data(cString("/proc/self/ns/time_for_children"));
  const fd = table.must("its time namespace", NR.openat, AT.FDCWD, path, O.RDONLY | O.CLOEXEC, 0);
  table.must("its time namespace", NR.setns, fd, NEW.TIME);
  table.must("its time namespace", NR.close, fd);
  table.run();
}

/** Begins a time namespace for the children of a process that are yet to be born. @throws as goOn */
export function beginForChildren(clocks: TimensEntry, { pid, table }: Restoree): void {
  table.must("its time namespace", NR.unshare, NEW.TIME);
  table.run();
  const own = offsetsOf("self");
  const lines = CLOCKS.map(({ field, clock }) => {
    const { tv_sec, tv_nsec } = clocks[field];
    const offset = tv_sec * NSEC_PER_SEC + tv_nsec - (readClock(clock) - (own.get(field) ?? 0n));
    const rest = ((offset % NSEC_PER_SEC) + NSEC_PER_SEC) % NSEC_PER_SEC;
    return `${field} ${(offset - rest) / NSEC_PER_SEC} ${rest}\n`;
  });
  withFd(open(`/proc/${pid}/timens_offsets`, O.WRONLY), (fd) => {
    writeAll(fd, new TextEncoder().encode(lines.join("")));
  });
}

/**
 * Lets the root of a tree that lived in the time namespace of who dumped it go on with its clocks. Without the image, or the rights,
 * or a kernel that knows time namespaces (5.6), it has ours. @throws KernelError, ImageError
 */
export function keepClocks(images: ImageDir, root: Restoree): void {
  const clocks = images.tryReadOne(IMAGES.timens, HOST);
  if (clocks === undefined || !hasTimeNamespaces() || ![CAP_SYS_ADMIN, CAP_SYS_TIME].every(hasCapability))
    return;
  goOn(clocks, root);
}

const hasTimeNamespaces = oncePerRun(() => exists("/proc/self/timens_offsets"));
