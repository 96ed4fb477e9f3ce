/**
 * The table that the runner program works through: the one contract between TypeScript and machine code.
 *
 * The runner knows nothing of checkpointing. It takes entries of 64 bytes, eight little-endian words each,
 *
 *     word 0   operation (low 32 bits) and flags (high 32 bits)
 *     word 1-6 arguments
 *     word 7   result
 *
 * and executes them in order. An operation below {@link OP.MOVE} is a system call of that number. With
 * {@link FLAG_MUST} set, a result in -4095..-1 ends the table there, so that dependent calls cost one round trip.
 */
export const ENTRY_SIZE = 64;
export const ENTRY_ARGS = 8;
export const ENTRY_RESULT = 56;

/** Flag: a failure of this call ends the table. */
export const FLAG_MUST = 1;

export const OP = {
  /** Copies the word at address a1 to address a2: how a later entry takes its argument from an earlier result. */
  MOVE: 0x10000,
  /**
   * Goes back to the previous entry while the word at address a1 is greater than a2 (signed), but not for ever: each time
   * takes one from the word at address a3, and goes on when that becomes zero.
   */
  REPEAT: 0x10001,
  /** Atomically takes one from the word at address a1. */
  DECREMENT: 0x10002,
  /** Leaves for good: sp = a1, continues at address a2 with the call registers nr = a3, first = a4, second = a5. */
  LEAVE: 0x10003,
  /** Ends the table: a breakpoint tells the tracer, or, where there is none any more, wakes the heal entry. */
  END: 0x10004,
  /** Atomically adds one to the word at address a1. */
  INCREMENT: 0x10005,
  /**
   * clone3(2) with a1 and a2; what is born works through the table at address a3: it may not have the memory
   * of this one. It begins on the same stack, unused.
   */
  SPAWN: 0x10006,
  /**
   * Continues at the table whose address stands in the word at address a1, unless the word at address a2 lies in a3..a4
   * (signed, both ends included). With an empty range (1, 0) it always does.
   */
  JUMP: 0x10007,
  /** Loads a configuration of tiles (AMX) from address a1 and touches one, so that the kernel makes room for them; leaves none. */
  TILES: 0x10008,
} as const;

/** A slot is the private stack and heal pointer of one thread inside the area; it is aligned to its own size. */
export const SLOT_SIZE = 0x8000;
/** In the first word of a slot: address of the table to run when the holder is gone. */
export const SLOT_HEAL = 0;
/**
 * In a slot: the heal entry puts the thread's alternate stack here, a stack_t of three words as the signal's frame has
 * it. The delivery of any signal takes that stack away if it is one that disarms itself (SS_AUTODISARM).
 */
export const SLOT_STACK = 0x18;

/**
 * The data of an executable that begins with the starter: a page behind its code, in a page of its own. The checks are
 * entries of {@link CHECK_SIZE} bytes: leaf and subleaf of cpuid, four masks, and what remains of the four registers; a leaf
 * of -1 ends them.
 */
export const STARTER = {
  DATA: 0x1000,
  ARGV: 0,
  ENVP: 8,
  TABLE: 0x10,
  OTHERWISE: 0x18,
  CHECKS: 0x20,
  /** From here to the end of the page is for whatever the executable becomes. */
  NOTES: 0x800,
} as const;
export const CHECK_SIZE = 40;

/** What an architecture supplies. */
export interface Machine {
  readonly name: string;
  /** A native function (nr, a1..a6) -> result, in the C calling convention. */
  readonly syscallThunk: Uint8Array;
  /** A native function (address of a table) that runs it in our own process, to its end or to a must that fails. */
  readonly batchThunk: Uint8Array;
  /**
   * The beginning of an executable file. Its first instruction notes where the words and the environment are that it was
   * started with, and works through the table that its data name; through the other one if the CPU is not the one that
   * its data tell of, or when the first ends. Position independent, shorter than a page.
   */
  readonly starter: {
    readonly code: Uint8Array;
    /** rt_sigreturn over the frame that the stack pointer points at. */
    readonly sigreturn: number;
  };
  /** A signal handler that does nothing, and behind it what it returns to: rt_sigreturn. */
  readonly idleHandler: { readonly code: Uint8Array; readonly restorer: number };
  /** A native function (leaf, subleaf, address of 16 bytes) that reads the CPU's features. */
  readonly cpuidThunk: Uint8Array;
  /** The runner with its entry points as offsets into `code`. Position independent. */
  readonly runner: {
    readonly code: Uint8Array;
    /** Enter with the table's address in the table register and the stack pointer inside a slot. */
    readonly run: number;
    /** Where the breakpoint's signal handler points: runs the heal table of the slot that the stack is in. */
    readonly heal: number;
    /** rt_sigreturn over the frame that the stack pointer points at. */
    readonly sigreturn: number;
  };
  /** Byte patterns to find in a process' code: a system call, one that returns, and a call of rt_sigreturn. */
  readonly gadgets: {
    readonly call: Uint8Array;
    readonly callAndReturn: Uint8Array;
    readonly sigreturn: readonly Uint8Array[];
  };
}
