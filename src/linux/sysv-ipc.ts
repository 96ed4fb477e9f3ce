/** System V shared memory, semaphores and message queues (sysvipc(7)): commands and structures (include/uapi/linux/{ipc,shm,sem,msg}.h). */
import { s16, s32, s64, struct, u16, u32, word } from "./struct.ts";

export const IPC = {
  CREAT: 0o1000,
  EXCL: 0o2000,
  NOWAIT: 0o4000,
  RMID: 0,
  SET: 1,
  STAT: 2,
  PRIVATE: 0,
} as const;
/** The commands of *ctl(2) that tell of an index rather than an id need no right to the object (kernel 4.17). */
export const SHM = {
  RDONLY: 0o10000,
  EXEC: 0o100000,
  DEST: 0o1000,
  HUGETLB: 0o4000,
  INFO: 14,
  STAT_ANY: 15,
} as const;
export const SEM = { UNDO: 0x1000, GETVAL: 12, GETALL: 13, SETALL: 17, INFO: 19, STAT_ANY: 20 } as const;
/** The largest value of a semaphore (SEMVMX), and of what is to be undone of it (SEMAEM). */
export const SEM_MOST = 32767;
export const MSG = { NOERROR: 0o10000, COPY: 0o40000, INFO: 12, STAT_ANY: 13 } as const;

/** struct ipc64_perm of x86-64. */
const ipcPerm = {
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
} as const;

export const shmidDs = struct({
  ...ipcPerm,
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

export const semidDs = struct({
  ...ipcPerm,
  otime: s64,
  unused3: word,
  ctime: s64,
  unused4: word,
  nsems: word,
  unused5: word,
  unused6: word,
});

export const msqidDs = struct({
  ...ipcPerm,
  stime: s64,
  rtime: s64,
  ctime: s64,
  cbytes: word,
  qnum: word,
  qbytes: word,
  lspid: s32,
  lrpid: s32,
  unused3: word,
  unused4: word,
});

/** What all three begin with. */
export const ipcHead = struct(ipcPerm);
/** The largest of struct seminfo, msginfo and shm_info. */
export const INFO_SIZE = 64;
/** struct msgbuf: the type, then the text. */
export const msgbufHead = struct({ type: s64 });
export const sembuf = struct({ num: u16, op: s16, flags: u16 });
