/** The root of a cgroup namespace (cgroup_namespaces(7)): the path that its tasks see as "/". */
import { ChildTable } from "../linux/child-table.ts";
import { NEW } from "../linux/clone.ts";
import { Fd } from "../linux/fd.ts";
import { AT, O, readLink } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { UnsupportedError } from "../process/errors.ts";
import { type Membership, membershipsIn, parseMemberships } from "./hierarchies.ts";

const MOST = 0x4000;

/**
 * How many characters of a process' paths, in each hierarchy, are the root of its cgroup namespace; empty where that is ours.
 * A child of ours looks from inside: no other can tell. @throws KernelError
 */
export function rootOf(pid: HostPid): Map<string, number> {
  const prefixes = new Map<string, number>();
  if (readLink(`/proc/${pid}/ns/cgroup`) === readLink("/proc/self/ns/cgroup")) return prefixes;
  const within = new Map(lookFromInside(pid).map(({ hierarchy, path }) => [hierarchy, path]));
  for (const { hierarchy, path } of membershipsIn(`/proc/${pid}/cgroup`)) {
    const inner = within.get(hierarchy);
    if (inner === undefined) continue;
    const rest = inner === "/" ? "" : inner;
    if (path.endsWith(rest)) prefixes.set(hierarchy, path.length - rest.length);
  }
  return prefixes;
}

function lookFromInside(pid: HostPid): Membership[] {
  using namespace = Fd.open(`/proc/${pid}/ns/cgroup`, O.RDONLY);
  using child = new ChildTable();
  child.call(NR.setns, namespace.number, NEW.CGROUP);
  const file = child.call(NR.openat, AT.FDCWD, `/proc/${pid}/cgroup`, O.RDONLY);
  const buffer = child.data(MOST);
  const length = child.call(NR.read, file, buffer.address, MOST);
  child.run();
  return parseMemberships(Buffer.from(buffer.bytes.subarray(0, Math.max(length.raw, 0))).toString());
}

/**
 * The roots of the cgroup namespace of a process, another one than ours, with paths as we see them. @throws KernelError, UnsupportedError
 * for a process that is outside of a root: who is within can be told by nobody then
 */
export function rootsOf(pid: HostPid): Membership[] {
  const lengths = rootOf(pid);
  return membershipsIn(`/proc/${pid}/cgroup`).map(({ hierarchy, path }) => {
    const length = lengths.get(hierarchy);
    if (length === undefined)
      throw new UnsupportedError(
        `process ${pid}: is in control group ${hierarchy}:${path}, outside of the root of its cgroup namespace, which cannot be told then`,
      );
    return { hierarchy, path: length === 0 ? "/" : path.slice(0, length) };
  });
}
