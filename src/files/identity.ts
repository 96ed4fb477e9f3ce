/**
 * Which descriptors lead to the same open file description, through dup(2), fork(2) or a message: those are dumped
 * once. Only descriptors of the same inode can, and among those the kernel keeps an order (kcmp(2)), so that the one
 * that a descriptor is like is found by halving.
 */

import { compareFiles } from "../linux/fcntl.ts";
import type { HostPid } from "../linux/pid.ts";

/** An open file description by one of the descriptors that lead to it. */
export interface Known {
  readonly pid: HostPid;
  readonly fd: number;
  readonly id: number;
}

export class Descriptions<K extends Known> {
  /** By inode number; those of different devices lie together, and are told apart like any others. */
  readonly #byInode = new Map<number, K[]>();

  /** The known description of an inode of which `is` says that it is the one. */
  search(ino: number, is: (known: K) => boolean): K | undefined {
    return this.#byInode.get(ino)?.find(is);
  }

  /** The description that a descriptor leads to, or where among `of` it belongs. @throws KernelError */
  find(ino: number, pid: HostPid, fd: number): { known: K } | { known: undefined; of: K[]; at: number } {
    const list = this.#byInode.get(ino);
    if (list === undefined) {
      const of: K[] = [];
      this.#byInode.set(ino, of);
      return { known: undefined, of, at: 0 };
    }
    // After fork(2) it is mostly under the same number.
    let namesake: K | undefined;
    for (const known of list) {
      if (known.fd !== fd) continue;
      namesake = known;
      break;
    }
    if (namesake !== undefined && compareFiles(pid, fd, namesake.pid, namesake.fd) === 0) {
      return { known: namesake };
    }
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const known = list[middle];
      if (known === undefined) break;
      const order = compareFiles(pid, fd, known.pid, known.fd);
      if (order === 0) return { known };
      if (order === 1) high = middle;
      else low = middle + 1;
    }
    return { known: undefined, of: list, at: low };
  }
}
