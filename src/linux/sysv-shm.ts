/** System V shared memory segments of our own IPC namespace (shmctl(2)). */
import { ERRNO, isErrno } from "./errno.ts";
import { NR } from "./nr.ts";
import { addressOf, syscall } from "./syscall.ts";
import { IPC, shmidDs } from "./sysv-ipc.ts";

export type Segment = ReturnType<typeof shmidDs.decode>;

/** IPC_STAT of a segment. @throws KernelError (EINVAL, EIDRM: there is none) */
export function statSegment(id: number): Segment {
  const buffer = new Uint8Array(shmidDs.size);
  syscall(`segment ${id}`, NR.shmctl, id, IPC.STAT, addressOf(buffer));
  return shmidDs.decode(buffer);
}

/** IPC_STAT, undefined where there is no such segment. @throws KernelError */
export function findSegment(id: number): Segment | undefined {
  try {
    return statSegment(id);
  } catch (error) {
    if (isErrno(error, ERRNO.EINVAL, ERRNO.EIDRM)) return undefined;
    throw error;
  }
}

/** IPC_SET: owner and permission bits of a segment. @throws KernelError */
export function setSegmentOwner(id: number, owner: { uid: number; gid: number; mode: number }): void {
  const buffer = shmidDs.encode({ uid: owner.uid, gid: owner.gid, mode: owner.mode & 0o777 });
  syscall(`segment ${id}`, NR.shmctl, id, IPC.SET, addressOf(buffer));
}

/** IPC_RMID: the segment ends with its last attachment. @throws KernelError */
export function removeSegment(id: number): void {
  syscall(`segment ${id}`, NR.shmctl, id, IPC.RMID, 0);
}
