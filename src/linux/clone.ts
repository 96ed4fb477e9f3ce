/** clone3(2) and its argument structure (kernel 5.3; set_tid 5.5). */

import { ENTRY_SIZE, OP } from "../machine/runner.ts";
import { NR } from "./nr.ts";
import { OwnTable } from "./own-table.ts";
import type { NsPid } from "./pid.ts";
import { SIG_SETMASK } from "./signal.ts";
import { struct, word } from "./struct.ts";
import { addressOf } from "./syscall.ts";

export const CLONE = {
  VM: 0x100,
  FS: 0x200,
  FILES: 0x400,
  SIGHAND: 0x800,
  /** The child is held by whoever holds its parent, with the same options, and stops before its first instruction. */
  PTRACE: 0x2000,
  /** Whoever bears it stands still until what is born has left their memory: by execve(2), or by its end. */
  VFORK: 0x4000,
  PARENT: 0x8000,
  THREAD: 0x10000,
  SYSVSEM: 0x40000,
  SETTLS: 0x80000,
  /** The kernel zeroes the word at child_tid when the thread ends, and wakes who waits there. */
  CHILD_CLEARTID: 0x20_0000,
  /** The parent's tracer is not told of the birth, whatever it asked for. */
  UNTRACED: 0x80_0000,
  /** The id of what is born is written to child_tid, in its memory. */
  CHILD_SETTID: 0x100_0000,
  CLEAR_SIGHAND: 0x1_0000_0000,
} as const;

/** New namespaces: flags of clone3(2), of unshare(2) and setns(2), and in images of descriptors of namespaces. */
export const NEW = {
  TIME: 0x80,
  NS: 0x2_0000,
  CGROUP: 0x200_0000,
  UTS: 0x400_0000,
  IPC: 0x800_0000,
  USER: 0x1000_0000,
  PID: 0x2000_0000,
  NET: 0x4000_0000,
} as const;

/** What all threads of a process share. */
export const CLONE_AS_THREAD =
  CLONE.VM | CLONE.FS | CLONE.FILES | CLONE.SIGHAND | CLONE.THREAD | CLONE.SYSVSEM;

export const cloneArgs = struct({
  flags: word,
  pidfd: word,
  child_tid: word,
  parent_tid: word,
  exit_signal: word,
  stack: word,
  stack_size: word,
  tls: word,
  set_tid: word,
  set_tid_size: word,
  cgroup: word,
});

/** The ids array that set_tid points to: one for each pid namespace, from that of what is born upwards. */
export function setTid(...ids: readonly NsPid[]): Uint8Array {
  const array = new Uint8Array(Math.ceil(ids.length / 2) * 8);
  new Uint32Array(array.buffer).set(ids);
  return array;
}

/**
 * clone3(2) with all signals blocked in what is born, which works through the table at `address`. One native call, because
 * the runtime stops its threads by signals of its own and must not wait for us in between. Gives the call's raw result.
 */
export function spawnMasked(args: Uint8Array, address: number): number {
  const batch = new OwnTable(4 * ENTRY_SIZE + 16);
  const all = batch.address + 4 * ENTRY_SIZE;
  const before = all + 8;
  batch.words.fill(0xffff_ffff, (4 * ENTRY_SIZE) / 4, (4 * ENTRY_SIZE + 8) / 4);
  batch.entry(0, NR.rt_sigprocmask, SIG_SETMASK, all, before, 8);
  batch.entry(1, OP.SPAWN, addressOf(args), args.length, address);
  batch.entry(2, NR.rt_sigprocmask, SIG_SETMASK, before, 0, 8);
  batch.run(3);
  return batch.resultOf(1);
}
