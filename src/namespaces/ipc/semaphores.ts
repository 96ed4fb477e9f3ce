/** System V semaphores (semop(2)): ipcns-sem-ID.img, each set with its values behind its entry. */

import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import { IPC, SEM, semidDs } from "../../linux/sysv-ipc.ts";
import type { Table } from "../../tracee/table/table.ts";
import { descOf, type Listing, listObjects, NextId } from "./objects.ts";

const MODE = 0o777;
/** What the values of a set take: padded to 8 bytes, as in the image. */
const valuesSize = (nsems: number) => Math.ceil(nsems / 4) * 8;

export const SEMAPHORES: Listing = {
  name: "semaphore set",
  control: (table, id, command, address) => table.call(NR.semctl, id, 0, command, address),
  info: SEM.INFO,
  statAny: SEM.STAT_ANY,
  size: semidDs.size,
};

/** @throws KernelError, ImageError */
export function dumpSemaphores(images: ImageDir, namespace: number, table: Table, owners: Owners): void {
  const sets = listObjects(table, SEMAPHORES).map(({ id, bytes }) => ({ id, ...semidDs.decode(bytes) }));
  if (sets.length === 0) {
    images.writeAll(IMAGES.ipcns_sem, [], namespace);
    return;
  }
  const values = sets.map(({ id, nsems }) => {
    table.reserve(512 + valuesSize(nsems));
    const space = table.space(valuesSize(nsems));
    table.must(`semaphore set ${id}`, NR.semctl, id, 0, SEM.GETALL, space.address);
    return space;
  });
  table.run();
  using writer = images.writer(IMAGES.ipcns_sem, namespace);
  sets.forEach((set, i) => {
    const desc = descOf(set.id, set, owners);
    writer.add({ desc: { ...desc, mode: desc.mode & MODE }, nsems: set.nsems }, values[i]?.bytes);
  });
}

/** @throws KernelError, ImageError */
export function restoreSemaphores(images: ImageDir, namespace: number, table: Table): void {
  const sets = images.readWithPayload(IMAGES.ipcns_sem, namespace);
  if (sets.length === 0) return;
  const next = new NextId(table, "sem");
  for (const { entry, payload } of sets) {
    const { desc, nsems } = entry;
    const { id, uid, gid, mode } = desc;
    const what = `semaphore set ${id}`;
    next.make(what, desc, () =>
      table.must(what, NR.semget, desc.key | 0, nsems, IPC.CREAT | IPC.EXCL | (mode & MODE)),
    );
    table.reserve(1024 + payload.length);
    table.must(what, NR.semctl, id, 0, SEM.SETALL, table.data(payload));
    table.must(what, NR.semctl, id, 0, IPC.SET, table.data(semidDs.encode({ uid, gid, mode: mode & MODE })));
    table.run();
  }
  next.close();
}
