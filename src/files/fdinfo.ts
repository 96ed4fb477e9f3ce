/**
 * What only the process itself knows of its descriptors, and /proc/PID/fdinfo tells: whether one is closed by execve(2), and
 * whether the process holds a lock by it.
 *
 * A file of fdinfo costs the kernel some twenty microseconds, all told. So where there are many descriptors the process is
 * asked instead, and /proc/locks, which names the inodes that have locks; but whoever reads that waits some milliseconds
 * for all processors (the kernel's file_rwsem is a per-processor one). A second thread does.
 */

import { lazily } from "../linux/blocks.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { HelperThread } from "../linux/helper-thread.ts";
import { AT, O, open, readText, withFd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { SmallFiles } from "../linux/read-many.ts";
import { checkResult } from "../linux/syscall.ts";
import { textOf, writeText } from "../linux/text.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
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
  #locks: LocksReading | undefined;

  /** Says that so many descriptors will be looked at soon. */
  expect(count: number): void {
    if (count <= FEW || this.#locks !== undefined) return;
    this.#locks = locksReading();
    this.#locks.begin();
  }

  /** After a failure: nothing goes on beside us. Never throws. */
  abandon(): void {
    this.#locks?.await();
  }

  /** Of the descriptors of a process, the table of its live thread `tid`, in their order. @throws KernelError */
  at(dumpee: Dumpee, tid: HostPid, sights: readonly Sight[]): DescriptorFacts[] {
    const numbers = sights.map(({ fd }) => fd);
    if (numbers.length <= FEW) return readOf(tid, numbers);
    const flags = dumpee.table.each(NR.fcntl, [], numbers, [F.GETFD]);
    this.expect(numbers.length);
    this.#lockedInodes ??= inodesIn(this.#locks?.end() ?? readText(LOCKS));
    const locked = this.#lockedInodes;
    return sights.map(({ status }, i) => ({
      cloexec: (Math.max(flags[i] ?? 0, 0) & FD_CLOEXEC) !== 0,
      locked: locked.has(status.ino),
    }));
  }
}

function inodesIn(locks: string): ReadonlySet<number> {
  const inodes = new Set<number>();
  for (const [, inode] of locks.matchAll(/ [0-9a-f]+:[0-9a-f]+:(\d+) /g)) inodes.add(Number(inode));
  return inodes;
}

const LOCKS = "/proc/locks";
/** A read(2) of a list gives so much at the most. */
const PIECE = 4096;
/** Reads, the last of which is to find nothing more. */
const PIECES = 5;
const OPEN = 0;
const LOCKS_NAME_SIZE = 16;

/** The text of /proc/locks, read meanwhile. */
class LocksReading extends HelperThread {
  constructor() {
    super(2 * PIECES + 3, LOCKS_NAME_SIZE + PIECES * PIECE);
    const own = this.address + this.dataAt;
    this.bytes[writeText(this.bytes, this.dataAt, LOCKS)] = 0;
    this.entry(OPEN, NR.openat, AT.FDCWD, own, O.RDONLY | O.CLOEXEC);
    for (let i = 0; i <= PIECES; i++) this.move(1 + 2 * i, OPEN, 2 + 2 * i, 0);
    for (let i = 0; i < PIECES; i++)
      this.entry(2 + 2 * i, NR.read, 0, own + LOCKS_NAME_SIZE + i * PIECE, PIECE);
    this.entry(2 + 2 * PIECES, NR.close, 0);
  }

  begin(): void {
    this.start(2 * PIECES + 3);
  }

  /** Waits for it. Undefined where it was refused, or is longer. */
  end(): string | undefined {
    this.await();
    let text = "";
    for (let i = 0; i < PIECES; i++) {
      const length = this.resultOf(2 + 2 * i);
      if (length < 0) return undefined;
      if (length === 0) return text;
      const from = this.dataAt + LOCKS_NAME_SIZE + i * PIECE;
      text += textOf(this.bytes, from, from + length);
    }
    return undefined;
  }
}

const locksReading = lazily(() => new LocksReading());

const fdinfoFiles = lazily(() => new SmallFiles(FEW, NAME_SIZE, TEXT_SIZE));

function readOf(tid: HostPid, numbers: readonly number[]): DescriptorFacts[] {
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
