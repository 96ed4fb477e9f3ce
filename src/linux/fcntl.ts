/** fcntl(2) on open file descriptions, and which of them are the same one (kcmp(2)). */

import { NR } from "./nr.ts";
import { type HostPid, hostPid } from "./pid.ts";
import { s32, struct, u32 } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

/** fcntl(2) commands (include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h). */
export const F = {
  GETFD: 1,
  SETFD: 2,
  GETFL: 3,
  SETFL: 4,
  SETLK: 6,
  GETOWN: 9,
  SETSIG: 10,
  GETSIG: 11,
  SETOWN_EX: 15,
  GETOWN_EX: 16,
  GETOWNER_UIDS: 17,
  OFD_SETLK: 37,
  SETLEASE: 1024,
  DUPFD_CLOEXEC: 1030,
  SETPIPE_SZ: 1031,
  GETPIPE_SZ: 1032,
  ADD_SEALS: 1033,
  GET_SEALS: 1034,
} as const;

/** The descriptor flag of F.GETFD. */
export const FD_CLOEXEC = 1;

/** Whom signals of asynchronous input go to: f_owner_ex.type. */
export const F_OWNER = { TID: 0, PID: 1, PGRP: 2 } as const;

/** The seals of a memfd (include/uapi/linux/fcntl.h). */
export const SEAL = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8, FUTURE_WRITE: 0x10, EXEC: 0x20 } as const;

/** The owner of an open file description: who gets its signals, and which, and with whose rights they are sent. */
export interface FileOwner {
  /** A value of F_OWNER. */
  readonly type: number;
  /** 0 where there is none. */
  readonly pid: HostPid;
  readonly uid: number;
  readonly euid: number;
}

const ownerEx = struct({ type: s32, pid: s32 });
const ownerUids = struct({ uid: u32, euid: u32 });
const buffer = new Uint8Array(64);
const address = addressOf(buffer);
const NOBODY: FileOwner = { type: 0, pid: hostPid(0), uid: 0, euid: 0 };

/** Owner of an open file description, in pids of ours. @throws KernelError */
export function getOwner(fd: number): FileOwner {
  // Almost none has one.
  if (rawSyscall(NR.fcntl, fd, F.GETOWN) === 0) return NOBODY;
  checkResult(rawSyscall(NR.fcntl, fd, F.GETOWN_EX, address), NR.fcntl, `F_GETOWN_EX of descriptor ${fd}`);
  const { type, pid } = ownerEx.decode(buffer);
  if (pid === 0) return NOBODY;
  checkResult(
    rawSyscall(NR.fcntl, fd, F.GETOWNER_UIDS, address),
    NR.fcntl,
    `F_GETOWNER_UIDS of descriptor ${fd}`,
  );
  return { type, pid: hostPid(pid), ...ownerUids.decode(buffer) };
}

/**
 * Makes `pid` the owner. The kernel notes the real and the effective user of the caller as those whose rights the
 * signals are sent with; to set these is the caller's business. @throws KernelError (ESRCH: nobody of that number)
 */
export function setOwner(fd: number, type: number, pid: HostPid): void {
  ownerEx.encodeInto(buffer, 0, { type, pid });
  checkResult(rawSyscall(NR.fcntl, fd, F.SETOWN_EX, address), NR.fcntl, `F_SETOWN_EX of descriptor ${fd}`);
}

const KCMP_FILE = 0;

/**
 * Compares open file descriptions: 0 where descriptor `fd1` of task `pid1` and `fd2` of `pid2` are the same one, else
 * 1 (less) or 2 (greater) in an order that the kernel keeps among them. @throws KernelError
 */
export function compareFiles(pid1: HostPid, fd1: number, pid2: HostPid, fd2: number): number {
  return checkResult(
    rawSyscall(NR.kcmp, pid1, pid2, KCMP_FILE, fd1, fd2),
    NR.kcmp,
    `of descriptor ${fd1} of process ${pid1} and descriptor ${fd2} of process ${pid2}`,
  );
}

const KCMP_FILES = 2;

/** Whether two tasks have one table of descriptors. */
export function shareTable(pid1: HostPid, pid2: HostPid): boolean {
  return rawSyscall(NR.kcmp, pid1, pid2, KCMP_FILES, 0, 0) === 0;
}

/** close_range(2) (kernel 5.9): closes all our descriptors from `first` to `last`. */
export function closeRange(first: number, last: number): void {
  rawSyscall(NR.close_range, first, last, 0);
}
