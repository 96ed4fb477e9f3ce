/** Numbers of mmap(2), madvise(2), mremap(2) and shmat(2) that deal with memory, on the generic layout. */
import { struct, u32, word } from "./struct.ts";

/** Flags of mmap(2) beside those in memory.ts. */
export const MAP_MORE = {
  /** Pages may be dropped by the kernel under pressure (6.11); takes the place of MAP_PRIVATE. */
  DROPPABLE: 0x08,
  /** The logarithm of a huge page's size stands above this bit. */
  HUGE_SHIFT: 26,
  HUGE_MASK: 0x3f,
} as const;

export const MADV = {
  RANDOM: 1,
  SEQUENTIAL: 2,
  DONTNEED: 4,
  DONTFORK: 10,
  DOFORK: 11,
  MERGEABLE: 12,
  HUGEPAGE: 14,
  NOHUGEPAGE: 15,
  DONTDUMP: 16,
  WIPEONFORK: 18,
  /** Faults all pages of a range in, for reading or for writing, without touching them (5.14). */
  POPULATE_READ: 22,
  POPULATE_WRITE: 23,
  /** Makes huge pages of a range at once, whatever the range's own advice (6.1). */
  COLLAPSE: 25,
  /** Accesses fault until the guard is removed (6.13). */
  GUARD_INSTALL: 102,
} as const;

export const MREMAP = { MAYMOVE: 1, FIXED: 2 } as const;
export const MLOCK_ONFAULT = 1;
export const MCL = { CURRENT: 1, FUTURE: 2, ONFAULT: 4 } as const;

export const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, HUGETLB: 4 } as const;

/** struct prctl_mm_map (include/uapi/linux/prctl.h). */
export const prctlMmMap = struct({
  start_code: word,
  end_code: word,
  start_data: word,
  end_data: word,
  start_brk: word,
  brk: word,
  start_stack: word,
  arg_start: word,
  arg_end: word,
  env_start: word,
  env_end: word,
  auxv: word,
  auxv_size: u32,
  exe_fd: u32,
});

/** No change of the executable, in `exe_fd` above. */
export const NO_EXE_FD = 0xffff_ffff;

/** Modes of fallocate(2) (include/uapi/linux/falloc.h). */
export const FALLOC = { KEEP_SIZE: 1, PUNCH_HOLE: 2 } as const;
