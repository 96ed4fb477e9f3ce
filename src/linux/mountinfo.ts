/** /proc/PID/mountinfo (proc_pid_mountinfo(5)): the mounts that a process sees. */

import { readText } from "./io.ts";
import type { HostPid } from "./pid.ts";

export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  readonly major: number;
  readonly minor: number;
  /** What of the file system is mounted. */
  readonly root: string;
  /** Where, from the root of the process. */
  readonly mountpoint: string;
  /** Of the mount: `rw`, `nosuid`, ... */
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly tags: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Of the file system. */
  readonly superOptions: string;
}

/** The mounts of a process in their order: those that are mounted on others come after them. @throws KernelError */
export function readMountinfo(pid: HostPid | "self"): MountInfo[] {
  return parseMountinfo(readText(`/proc/${pid}/mountinfo`));
}

export function parseMountinfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) {
    const words = line.split(" ");
    const dash = words.indexOf("-", 6);
    if (dash < 0) continue;
    const [id = "", parent = "", device = "", root = "", mountpoint = "", options = ""] = words;
    const [major, minor] = device.split(":").map(Number);
    mounts.push({
      id: Number(id),
      parent: Number(parent),
      major: major ?? 0,
      minor: minor ?? 0,
      root: unescapeOctal(root),
      mountpoint: unescapeOctal(mountpoint),
      options: options.split(","),
      tags: words.slice(6, dash),
      type: unescapeOctal(words[dash + 1] ?? ""),
      source: unescapeOctal(words[dash + 2] ?? ""),
      superOptions: unescapeOctal(words.slice(dash + 3).join(" ")),
    });
  }
  return mounts;
}

/** Blanks, tabs, line ends, backslashes and hashes stand as \ooo (the kernel's mangle). */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
