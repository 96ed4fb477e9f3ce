/**
 * How much memory the control group of a process may still take (memory.max of version 2, memory.limit_in_bytes of version 1):
 * what is written to a process' memory for the first time is charged to it, and if there is no more its processes are killed.
 */

import { isAbsent, readPiece } from "./io.ts";
import { readMountinfo } from "./mountinfo.ts";
import { oncePerRun } from "./once-per-run.ts";
import type { HostPid } from "./pid.ts";

/** A hierarchy of control groups that limits memory: where it is mounted, and what is its file names. */
interface Hierarchy {
  readonly mount: string;
  /** The path, in the hierarchy, of the group that is mounted there. */
  readonly root: string;
  readonly limit: string;
  readonly usage: string;
}

const FILES = {
  first: { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes" },
  second: { limit: "memory.max", usage: "memory.current" },
} as const;

/** Where they are nearly everywhere, so that the list of mounts need not be read. */
function findHierarchy(version: keyof typeof FILES): Hierarchy | undefined {
  const usual = version === "first" ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
  const files = FILES[version];
  const known = version === "first" ? files.limit : "cgroup.controllers";
  if (!isAbsent(`${usual}/${known}`)) return { mount: usual, root: "/", ...files };
  const type = version === "first" ? "cgroup" : "cgroup2";
  const mount = readMountinfo("self").find(
    (each) => each.type === type && (version === "second" || each.options.split(",").includes("memory")),
  );
  return mount === undefined ? undefined : { mount: mount.mountpoint, root: mount.root, ...files };
}

const first = oncePerRun(() => findHierarchy("first"));
const second = oncePerRun(() => findHierarchy("second"));

/** Bytes left, by the path of a group. */
const known = oncePerRun(() => new Map<string, number>());

/** Bytes that the control groups of a process may still take; infinity where nothing limits them. @throws KernelError */
export function memoryLeft(pid: HostPid): number {
  const lines = readPiece(`/proc/${pid}/cgroup`).split("\n");
  const ofFirst = lines.find((line) => line.split(":")[1]?.split(",").includes("memory") === true);
  const line = ofFirst ?? lines.find((each) => each.startsWith("0::"));
  const path = line
    ?.split(":")
    .slice(2)
    .join(":")
    .replace(/ \(deleted\)$/, "");
  if (path === undefined || path === "/") return Number.POSITIVE_INFINITY;
  const key = `${ofFirst === undefined ? "second" : "first"}:${path}`;
  const left = known().get(key) ?? leftIn(ofFirst === undefined ? second() : first(), path);
  known().set(key, left);
  return left;
}

function leftIn(hierarchy: Hierarchy | undefined, path: string): number {
  if (hierarchy === undefined) return Number.POSITIVE_INFINITY;
  const { mount, root } = hierarchy;
  const within = root === "/" || !path.startsWith(`${root}/`) ? path : path.slice(root.length);
  let left = Number.POSITIVE_INFINITY;
  for (let group = within; group.length > 1; group = group.slice(0, group.lastIndexOf("/"))) {
    const limit = numberIn(`${mount}${group}/${hierarchy.limit}`);
    if (limit === undefined) continue;
    left = Math.min(left, limit - (numberIn(`${mount}${group}/${hierarchy.usage}`) ?? 0));
  }
  return left;
}

/** The number in a file; undefined for `max`, for one that no number can hold, and where there is no such file. */
function numberIn(path: string): number | undefined {
  if (isAbsent(path)) return undefined;
  const number = Number(readPiece(path));
  return Number.isSafeInteger(number) ? number : undefined;
}
