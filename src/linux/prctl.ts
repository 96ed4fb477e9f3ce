/** Operations of prctl(2) and arch_prctl(2) (include/uapi/linux/prctl.h, arch/x86/include/uapi/asm/prctl.h). */
export const PR = {
  SET_PDEATHSIG: 1,
  GET_PDEATHSIG: 2,
  GET_DUMPABLE: 3,
  SET_DUMPABLE: 4,
  SET_KEEPCAPS: 8,
  SET_NAME: 15,
  GET_NAME: 16,
  CAPBSET_DROP: 24,
  GET_TSC: 25,
  SET_TSC: 26,
  GET_SECUREBITS: 27,
  SET_SECUREBITS: 28,
  SET_TIMERSLACK: 29,
  GET_TIMERSLACK: 30,
  MCE_KILL: 33,
  MCE_KILL_GET: 34,
  SET_MM: 35,
  SET_CHILD_SUBREAPER: 36,
  GET_CHILD_SUBREAPER: 37,
  SET_NO_NEW_PRIVS: 38,
  GET_TID_ADDRESS: 40,
  SET_THP_DISABLE: 41,
  GET_THP_DISABLE: 42,
  CAP_AMBIENT: 47,
  GET_SPECULATION_CTRL: 52,
  SET_SPECULATION_CTRL: 53,
  SET_IO_FLUSHER: 57,
  GET_IO_FLUSHER: 58,
  SCHED_CORE: 62,
  /** Refuses memory to be written and executed (6.3). */
  SET_MDWE: 65,
  GET_MDWE: 66,
  SET_MEMORY_MERGE: 67,
  GET_MEMORY_MERGE: 68,
  /** timer_create(2) takes the id that is asked for (6.16). */
  TIMER_CREATE_RESTORE_IDS: 77,
  SET_VMA: 0x5356_4d41,
} as const;

/** Second argument of SET_MM: struct prctl_mm_map. */
export const PR_SET_MM_MAP = 14;
/** Second argument of SET_VMA (5.17, CONFIG_ANON_VMA_NAME). */
export const PR_SET_VMA_ANON_NAME = 0;
/** Second argument of CAP_AMBIENT. */
export const PR_CAP_AMBIENT = { RAISE: 2, CLEAR_ALL: 4 } as const;

/** Of MCE_KILL: its second argument, and what MCE_KILL_GET gives where nothing was set. */
export const PR_MCE_KILL = { CLEAR: 0, SET: 1, DEFAULT: 2 } as const;
/** Of SET_TSC. */
export const PR_TSC = { ENABLE: 1, SIGSEGV: 2 } as const;

/** arch_prctl(2). */
export const ARCH = {
  SET_FS: 0x1002,
  /** Whether cpuid is executed rather than a fault. */
  GET_CPUID: 0x1011,
  SET_CPUID: 0x1012,
  /** Which components of an extended state a process may use that are not for everybody (AMX). */
  GET_XCOMP_PERM: 0x1022,
  REQ_XCOMP_PERM: 0x1023,
  /** The bits of an address that are not ignored (LAM). */
  GET_UNTAG_MASK: 0x4001,
  /** Maps the kernel's vDSO, data pages first, at an address (CONFIG_CHECKPOINT_RESTORE). */
  MAP_VDSO_64: 0x2003,
} as const;
