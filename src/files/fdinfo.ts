/**
 * What only the process itself knows of its descriptors, and /proc/PID/fdinfo tells: whether one is closed by execve(2), and
 * whether the process holds a lock by it.
 *
 * A file of fdinfo costs the kernel some twenty microseconds, all told. So where there are many descriptors the process is
 * asked instead, and /proc/locks, which names the inodes that have locks; but whoever opens that waits some milliseconds
 * for all processors (the kernel's file_rwsem is a per-processor one).
 */

import { lazily } from "../linux/blocks.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { O, open, readText, withFd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { SmallFiles } from "../linux/read-many.ts";
import { checkResult } from "../linux/syscall.ts";
import type { Dumpee } from "../tracee/dumpee.ts";
import type { Sight } from "./survey.ts";

/** More than these are many. */
const FEW = 128;
const NAME_SIZE = 16;
/** Position, flags, mount and inode come first, then a line for each lock. */
const TEXT_SIZE = 240;
const FLAGS = Buffer.from("\nflags:\t0");
const LOCK = Buffer.from("\nlock:");
const ZERO = 0x30;

export interface DescriptorFacts {
  readonly cloexec: boolean;
  /** Whether a lock is held; or may be, where only the inode has one. */
  readonly locked: boolean;
}

/** Looks at the descriptors of one process after the other. */
export class FdinfoLook {
  #lockedInodes: ReadonlySet<number> | undefined;

  /** Of the descriptors of a process, the table of its live thread `tid`, in their order. @throws KernelError */
  at(dumpee: Dumpee, tid: number, sights: readonly Sight[]): DescriptorFacts[] {
    const numbers = sights.map(({ fd }) => fd);
    if (numbers.length <= FEW) return readOf(tid, numbers);
    const flags = dumpee.table.each(NR.fcntl, [], numbers, [F.GETFD]);
    this.#lockedInodes ??= inodesWithLocks();
    const locked = this.#lockedInodes;
    return sights.map(({ status }, i) => ({
      cloexec: (Math.max(flags[i] ?? 0, 0) & FD_CLOEXEC) !== 0,
      locked: locked.has(status.ino),
    }));
  }
}

function inodesWithLocks(): ReadonlySet<number> {
  const inodes = new Set<number>();
  for (const [, inode] of readText("/proc/locks").matchAll(/ [0-9a-f]+:[0-9a-f]+:(\d+) /g)) {
    inodes.add(Number(inode));
  }
  return inodes;
}

const fdinfoFiles = lazily(() => new SmallFiles(FEW, NAME_SIZE, TEXT_SIZE));

function readOf(tid: number, numbers: readonly number[]): DescriptorFacts[] {
  const files = fdinfoFiles();
  const facts: DescriptorFacts[] = [];
  withFd(open(`/proc/${tid}/fdinfo`, O.PATH | O.DIRECTORY), (directory) => {
    const take = (fd: string, opened: number, length: number, from: number) => {
      const path = `/proc/${tid}/fdinfo/${fd}`;
      checkResult(opened, NR.openat, path);
      checkResult(length, NR.pread64, path);
      const text = Buffer.from(files.bytes.buffer, files.bytes.byteOffset + from, length);
      facts.push({ cloexec: (flagsIn(text) & O.CLOEXEC) !== 0, locked: text.includes(LOCK) });
    };
    files.read(numbers.map(String), take, directory);
  });
  return facts;
}

/** The octal number behind "flags:". */
function flagsIn(text: Buffer): number {
  let flags = 0;
  for (let at = text.indexOf(FLAGS) + FLAGS.length; ; at++) {
    const digit = (text[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 7) return flags;
    flags = flags * 8 + digit;
  }
}
