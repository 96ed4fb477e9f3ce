/** Memory that is not a process' own: shared anonymous mappings, System V segments, memfds. */
import { IMAGES } from "../../images/kinds.ts";
import { STATUS } from "../../memory/vma.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { OpenFiles } from "./open-files.ts";
import type { Bytes } from "./stored.ts";

export interface SharedMemory {
  /** shmid of the images. */
  readonly id: number;
  /** Bytes: as far as it is mapped, or what its inode says. */
  readonly length: number;
  /** What it is, where that is more than a mapping. */
  readonly name: string;
  /** Who has it. */
  readonly pids: readonly number[];
  /** What is stored of it; undefined where there is no image. */
  readonly total: Bytes | undefined;
}

export function sharedMemory(checkpoint: Checkpoint, files: OpenFiles): SharedMemory[] {
  const found = new Map<number, { length: number; name: string; pids: Set<number> }>();
  const grow = (id: number, length: number, name = "") => {
    const one = found.get(id) ?? { length: 0, name, pids: new Set() };
    one.length = Math.max(one.length, length);
    found.set(id, one);
    return one;
  };
  for (const { pid, memory } of checkpoint.processes) {
    for (const { status, shmid, start, end, pgoff } of memory?.mm.vmas ?? []) {
      if ((status & (STATUS.ANON_SHARED | STATUS.SYSVIPC)) === 0) continue;
      const name = (status & STATUS.SYSVIPC) === 0 ? "" : "System V segment";
      grow(Number(shmid), Number(end - start + pgoff), name).pids.add(pid);
    }
  }
  const inodes = new Map(checkpoint.all(IMAGES.memfd_inode).map((inode) => [Number(inode.inode_id), inode]));
  for (const { id, memfd } of checkpoint.all(IMAGES.files)) {
    const inode = inodes.get(memfd?.inode_id ?? 0);
    if (inode === undefined) continue;
    const { pids } = grow(inode.shmid, Number(inode.size), `memfd:${inode.name}`);
    for (const { pid } of files.get(id)?.holders ?? []) pids.add(pid);
  }
  // Of the memory of processes that are no more, or whose images are damaged.
  for (const id of checkpoint.numbersOf(IMAGES.shmem_pagemap)) grow(id, 0);
  return [...found].map(([id, { pids, ...rest }]) => ({
    id,
    ...rest,
    pids: [...pids],
    total: checkpoint.sharedStored(id, rest.length)?.total,
  }));
}
