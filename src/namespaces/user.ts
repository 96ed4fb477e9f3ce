/**
 * User namespaces: what ids are called in them (userns-ID.img). Images have all ids as the processes of the tree know them.
 */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { UsernsEntry } from "../images/schema/generated/namespaces.ts";
import type { TaskKobjIdsEntry } from "../images/schema/generated/process.ts";
import { NEW } from "../linux/clone.ts";
import { O, open, readText, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { NO_ID, type Owners, SAME_OWNERS } from "../linux/owners.ts";
import type { HostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { readStatus } from "../linux/proc.ts";
import { formatIdMap, type IdExtent, UserMap } from "../linux/user-map.ts";
import { SECBITS_WHILE_CHANGING } from "../process/credentials.ts";
import { UnsupportedError } from "../process/errors.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { NamespaceKind, NamespaceRestoreContext } from "./namespace.ts";

export const user: NamespaceKind = {
  name: "user",
  flag: NEW.USER,
  field: "user_ns_id",
  own: 7,
  dump: (found, { images, tasks }) => {
    for (const { id, pid } of found) {
      if (pid === undefined) continue;
      const entry = entryOf(pid);
      refuseNameless(tasks.living, entry);
      images.writeAll(IMAGES.userns, [entry], id);
    }
  },
  fill: ({ id }, first, context) => fillUser(id, first, context),
};

function entryOf(pid: HostPid): UsernsEntry {
  const { uids, gids } = UserMap.of(pid);
  const entry: UsernsEntry = { uid_map: [...uids], gid_map: [...gids], binfmt_misc: [] };
  if (!mayChangeGroups(pid)) entry.setgroups_denied = true;
  return entry;
}

/** Whether groups may be changed in the user namespace of a process. @throws KernelError */
export function mayChangeGroups(pid: HostPid): boolean {
  return readText(`/proc/${pid}/setgroups`).trim() !== "deny";
}

/**
 * Ids that have no name in a user namespace can be given to nobody in it. Where it has no names at all, its tasks keep the ids that they
 * are born with, which are ours; where nobody may change groups, those as well. @throws UnsupportedError
 */
function refuseNameless(pids: readonly HostPid[], { uid_map, gid_map, setgroups_denied }: UsernsEntry): void {
  const { inside } = new UserMap(uid_map, gid_map);
  const ours = readStatus(ourPid());
  const fields = [
    { field: "Uid", isKept: uid_map.length === 0, nameOf: inside.uid },
    { field: "Gid", isKept: gid_map.length === 0, nameOf: inside.gid },
  ];
  if (setgroups_denied !== true)
    fields.push({ field: "Groups", isKept: gid_map.length === 0, nameOf: inside.gid });
  for (const pid of pids) {
    const theirs = readStatus(pid);
    for (const { field, isKept, nameOf } of fields) {
      if (isKept && theirs.get(field) === ours.get(field)) continue;
      const ids = (theirs.get(field) ?? "").split(/\s+/).filter((word) => word !== "");
      const nameless = ids.find((id) => nameOf(Number(id)) === NO_ID);
      if (nameless !== undefined)
        throw new UnsupportedError(
          `process ${pid}: its id ${nameless} (${field}) has no name in its user namespace, and could not be given again`,
        );
    }
  }
}

/** The maps of a namespace of the images. @throws ImageError */
export function readUserMap(images: ImageDir, id: number): UserMap {
  const { uid_map, gid_map } = images.readOne(IMAGES.userns, id);
  return new UserMap(uid_map, gid_map);
}

/** What we call the owners that images name, of a tree whose root has the numbers `ids`, dumped by one of `own`. @throws ImageError */
export function treeOwners(
  images: ImageDir,
  ids: TaskKobjIdsEntry | undefined,
  own: TaskKobjIdsEntry | undefined,
): Owners {
  const id = ids?.user_ns_id;
  if (id === undefined || own?.user_ns_id === undefined || id === own.user_ns_id) return SAME_OWNERS;
  return readUserMap(images, id).outside;
}

/** Whether nobody may change groups in it. @throws ImageError */
export function keepsGroups(images: ImageDir, id: number): boolean {
  const { setgroups_denied, gid_map } = images.readOne(IMAGES.userns, id);
  return setgroups_denied === true || gid_map.length === 0;
}

function fillUser(id: number, first: Restoree, { images, fdTableHelper }: NamespaceRestoreContext): void {
  const { uid_map, gid_map, setgroups_denied } = images.readOne(IMAGES.userns, id);
  const { pid } = first;
  const write = (name: string, text: string) => {
    withFd(open(`/proc/${pid}/${name}`, O.WRONLY), (fd) => writeAll(fd, new TextEncoder().encode(text)));
  };
  // Each can be written once, and all of it at a time.
  if (setgroups_denied === true) write("setgroups", "deny");
  write("uid_map", formatIdMap(uid_map));
  write("gid_map", formatIdMap(gid_map));
  const uid = rootOf(uid_map);
  const gid = rootOf(gid_map);
  becomeRoot(first, uid, gid, setgroups_denied !== true);
  fdTableHelper?.enter(pid);
}

/** Has a process that has entered a user namespace be somebody in it: NO_ID for nobody else than now. @throws KernelError */
export function becomeRoot({ table }: Restoree, uid: number, gid: number, mayChangeGroups: boolean): void {
  if (gid !== NO_ID) table.must("its group in its user namespace", NR.setresgid, gid, gid, gid);
  if (mayChangeGroups && gid !== NO_ID) table.must("its groups", NR.setgroups, 0, 0);
  // Who is no root there has the rights of one for as long as the tree is built; its credentials come last.
  if (uid !== 0) table.must("its securebits", NR.prctl, PR.SET_SECUREBITS, SECBITS_WHILE_CHANGING, 0, 0, 0);
  if (uid !== NO_ID) table.must("its user in its user namespace", NR.setresuid, uid, uid, uid);
  // That takes away what lets its own files in /proc be its own.
  table.must("its files in /proc", NR.prctl, PR.SET_DUMPABLE, 1, 0, 0, 0);
  table.run();
}

/** Who builds the tree: its root, where there is one. */
function rootOf(extents: readonly IdExtent[]): number {
  return extents.some(({ first }) => first === 0) ? 0 : (extents[0]?.first ?? NO_ID);
}
