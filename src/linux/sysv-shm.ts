/** System V shared memory segments of our own IPC namespace (shmctl(2)). */
import { ERRNO, isErrno } from "./errno.ts";
import { IPC } from "./mman.ts";
import { NR } from "./nr.ts";
import { s32, s64, struct, u16, u32, word } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

/** struct shmid64_ds with its struct ipc64_perm (include/uapi/asm-generic/{shmbuf,ipcbuf}.h). */
const shmidDs = struct({
  key: s32,
  uid: u32,
  gid: u32,
  cuid: u32,
  cgid: u32,
  mode: u32,
  seq: u16,
  pad: u16,
  unused1: word,
  unused2: word,
  size: word,
  atime: s64,
  dtime: s64,
  ctime: s64,
  cpid: s32,
  lpid: s32,
  attached: word,
  unused3: word,
  unused4: word,
});

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
