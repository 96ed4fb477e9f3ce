/**
 * System V shared memory of a namespace of the tree's own: ipcns-shm-ID.img for the segments, pagemap-shmem-SHMID.img for their
 * content. Processes attach them when their memory is put in place (memory/sysv.ts).
 */

import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import type { IpcShmEntry } from "../../images/schema/generated/namespaces.ts";
import { fstat, withFd } from "../../linux/io.ts";
import { PAGE_SIZE } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import { IPC, SHM, shmidDs } from "../../linux/sysv-ipc.ts";
import { dumpShmemContent } from "../../memory/shmem.ts";
import { fillSegment, hugeFlag, keyOf, openAttached, SEGMENT_MODE } from "../../memory/sysv.ts";
import type { Helper } from "../../tracee/build/helper.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { FoundNamespace, NamespaceDumpContext, PlannedNamespace } from "../namespace.ts";
import { descOf, type Listing, listObjects, NextId } from "./objects.ts";

const SEGMENTS: Listing = {
  name: "shared memory segment",
  control: (table, id, command, address) => table.call(NR.shmctl, id, command, address),
  info: SHM.INFO,
  statAny: SHM.STAT_ANY,
  size: shmidDs.size,
};

/** The number that the content of a segment has in the images: its id, in the root's namespace, as CRIU has it. */
function contentOf({ id, isRoot }: Pick<FoundNamespace, "id" | "isRoot">, segment: number): number {
  return isRoot ? segment : id * 2 ** 32 + segment;
}

/** @throws KernelError, ImageError */
export function dumpSegments(
  images: ImageDir,
  namespace: FoundNamespace,
  { table, pid }: Helper,
  owners: Owners,
  countShared: NamespaceDumpContext["countShared"],
): void {
  const entries = listObjects(table, SEGMENTS).map(({ id, bytes }): IpcShmEntry => {
    const segment = shmidDs.decode(bytes);
    const what = `segment ${id}`;
    const attached = table.must(what, NR.shmat, id, 0, SHM.RDONLY);
    table.run();
    const opened = openAttached(pid, attached.value);
    const entry = withFd(opened.fd, (fd): IpcShmEntry => {
      const { blksize } = fstat(fd);
      countShared(dumpShmemContent(images, contentOf(namespace, id), fd, segment.size));
      const desc = descOf(id, segment, owners);
      const key = keyOf(segment, opened.path);
      const found: IpcShmEntry = {
        desc: { ...desc, key, mode: desc.mode & SEGMENT_MODE },
        size: BigInt(segment.size),
        in_pagemaps: true,
      };
      if (blksize > PAGE_SIZE) found.hugetlb_flag = hugeFlag(blksize);
      return found;
    });
    table.must(what, NR.shmdt, attached);
    table.run();
    return entry;
  });
  images.writeAll(IMAGES.ipcns_shm, entries, namespace.id);
}

/** @throws KernelError, ImageError */
export function restoreSegments(
  images: ImageDir,
  namespace: PlannedNamespace,
  { table, pid }: Restoree,
): void {
  const segments = images.readWithPayload(IMAGES.ipcns_shm, namespace.id);
  if (segments.length === 0) return;
  const next = new NextId(table, "shm");
  for (const { entry, payload } of segments) {
    const { desc, size, hugetlb_flag: huge } = entry;
    const { id, uid, gid, mode } = desc;
    const what = `segment ${id}`;
    const flags = IPC.CREAT | IPC.EXCL | (mode & 0o777) | (huge === undefined ? 0 : SHM.HUGETLB | huge);
    next.make(what, desc, () => table.must(what, NR.shmget, desc.key | 0, Number(size), flags));
    const owned = shmidDs.encode({ uid, gid, mode: mode & 0o777 });
    const attached = table.must(what, NR.shmat, id, 0, 0);
    table.run();
    fillSegment(images, entry, payload, pid, attached.value, contentOf(namespace, id));
    table.must(what, NR.shmdt, attached);
    table.must(what, NR.shmctl, id, IPC.SET, table.data(owned));
    table.run();
  }
  next.close();
}

/** Lets those go that were removed: they end with their last attachments. @throws KernelError, ImageError */
export function removeSegments(images: ImageDir, namespace: number, { table }: Restoree): void {
  for (const { entry } of images.readWithPayload(IMAGES.ipcns_shm, namespace)) {
    const { id, mode } = entry.desc;
    if ((mode & SHM.DEST) === 0) continue;
    table.reserve(512);
    table.must(`segment ${id}`, NR.shmctl, id, IPC.RMID, 0);
  }
  table.run();
}
