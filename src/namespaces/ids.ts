/** Namespaces by number, as ids-PID and the inventory have them. Today a tree must live in our own namespaces. */

import type { TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid, NsPid } from "../linux/pid.ts";
import { readLinks } from "../linux/read-many.ts";
import { UnsupportedError } from "../process/errors.ts";
import type { ObjectIds } from "../tracee/enter/dumpee.ts";

/** The kinds of namespace, with the number that the image gives to our own, and its field. */
const KINDS = [
  { name: "pid", field: "pid_ns_id", own: 1 },
  { name: "net", field: "net_ns_id", own: 2 },
  { name: "ipc", field: "ipc_ns_id", own: 3 },
  { name: "uts", field: "uts_ns_id", own: 4 },
  { name: "time", field: "time_ns_id", own: 5 },
  { name: "mnt", field: "mnt_ns_id", own: 6 },
  { name: "user", field: "user_ns_id", own: 7 },
  { name: "cgroup", field: "cgroup_ns_id", own: 8 },
] as const;

/** The kinds that unshare(2) changes for processes yet to be born alone. */
const FOR_CHILDREN = [
  { name: "pid", field: "pid_ns_id" },
  { name: "time", field: "time_ns_id" },
] as const;

/** Links of /proc/PID/ns: those of the kinds, then those for children. */
const LINKS = [...KINDS.map(({ name }) => name), ...FOR_CHILDREN.map(({ name }) => `${name}_for_children`)];

/** What they say, in their order; undefined for a kind that this kernel is built without. @throws KernelError */
function namespacesOf(pid: HostPid | "self"): (string | undefined)[] {
  return readLinks(LINKS.map((name) => `/proc/${pid}/ns/${name}`));
}

const ownNamespaces = oncePerRun(() => namespacesOf("self"));

/** The numbers of a process' objects and namespaces. @throws UnsupportedError when it lives in another namespace */
export function dumpIds(pid: HostPid, objects: ObjectIds): TaskKobjIdsEntry {
  const entry: TaskKobjIdsEntry = {
    vm_id: objects.vm,
    files_id: objects.files,
    fs_id: objects.fs,
    sighand_id: objects.sighand,
  };
  const own = ownNamespaces();
  const theirs = namespacesOf(pid);
  KINDS.forEach(({ name, field, own: number }, i) => {
    if (own[i] === undefined) return;
    if (theirs[i] !== own[i]) {
      throw new UnsupportedError(
        `process ${pid}: lives in a ${name} namespace of its own, which cannot be dumped yet`,
      );
    }
    entry[field] = number;
  });
  FOR_CHILDREN.forEach(({ name, field }, i) => {
    const kind = KINDS.findIndex((each) => each.field === field);
    if (entry[field] === undefined || theirs[KINDS.length + i] === own[kind]) return;
    throw new UnsupportedError(
      `process ${pid}: has another ${name} namespace for its children, which cannot be dumped yet`,
    );
  });
  return entry;
}

/** What the inventory says of ourselves: a process with the same numbers lives where the dump was made. */
export function ownIds(): TaskKobjIdsEntry {
  const entry: TaskKobjIdsEntry = { vm_id: 1, files_id: 1, fs_id: 1, sighand_id: 1 };
  KINDS.forEach(({ field, own }, i) => {
    if (ownNamespaces()[i] !== undefined) entry[field] = own;
  });
  return entry;
}

/** Refuses images whose processes lived in namespaces of their own. @throws UnsupportedError */
export function checkIds(pid: NsPid, ids: TaskKobjIdsEntry, root: TaskKobjIdsEntry | undefined): void {
  for (const { name, field } of KINDS) {
    if (ids[field] !== undefined && root?.[field] !== undefined && ids[field] !== root[field]) {
      throw new UnsupportedError(
        `process ${pid}: lived in a ${name} namespace of its own, which cannot be restored yet`,
      );
    }
  }
}
