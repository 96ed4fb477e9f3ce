/**
 * File locks (--file-locks): flock(2), POSIX locks, locks of open file descriptions, and leases (fcntl(2)). /proc/PID/fdinfo shows
 * those that a descriptor has to do with. A POSIX lock is its process's, all others are their description's.
 */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { FileLockEntry } from "../images/schema/generated/files.ts";
import { F } from "../linux/fcntl.ts";
import { AT, O, selfPath } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { type HostPid, hostPid, type TreeTasks } from "../linux/pid.ts";
import { SIG } from "../linux/signal.ts";
import { s16, s32, s64, struct } from "../linux/struct.ts";
import { cString } from "../linux/syscall.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Table } from "../tracee/table/table.ts";
import { FileDumpError, FileRestoreError } from "./errors.ts";
import type { RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";

/** Kinds of locks in an image. */
const KIND = { POSIX: 1, FLOCK: 2, OFD: 4, LEASE: 8 } as const;
const KIND_WORDS = new Map<string, number>([
  ["POSIX", KIND.POSIX],
  ["FLOCK", KIND.FLOCK],
  ["OFDLCK", KIND.OFD],
  ["LEASE", KIND.LEASE],
]);
/** Types of locks (include/uapi/asm-generic/fcntl.h). */
const TYPE = { READ: 0, WRITE: 1, UNLOCK: 2 } as const;
const TYPE_WORDS = new Map<string, number>([
  ["READ", TYPE.READ],
  ["WRITE", TYPE.WRITE],
  ["UNLCK", TYPE.UNLOCK],
]);
/** In an image: somebody waits for a lease to be given back, or has waited; the type is what it is to become. */
const BREAKING = 4;
/** Operations of flock(2). */
const LOCK = { SH: 1, EX: 2, NB: 4 } as const;

/** struct flock of 64-bit programs. */
const flock = struct({ type: s16, whence: s16, start: s64, len: s64, pid: s32 });

/** A lock as a line of fdinfo has it. */
interface Lock {
  readonly kind: number;
  readonly type: number;
  readonly isBreaking: boolean;
  readonly pid: number;
  readonly start: bigint;
  /** 0 up to the end of the file, wherever that will be. */
  readonly length: bigint;
}

// --- dump

/** `1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF` */
function parseLock(line: string, where: string): Lock {
  const [, word = "", mode = "", access = "", pid = "", , start = "", end = ""] = line.split(/\s+/);
  const kind = KIND_WORDS.get(word);
  const type = TYPE_WORDS.get(access);
  if (kind === undefined || type === undefined)
    throw new FileDumpError(`${where}: a lock of unknown kind: ${line}`);
  const from = BigInt(start);
  return {
    kind,
    type,
    isBreaking: kind === KIND.LEASE && mode === "BREAKING",
    pid: Number(pid),
    start: from,
    length: end === "EOF" ? 0n : BigInt(end) - from + 1n,
  };
}

export class LocksDump {
  readonly #entries: FileLockEntry[] = [];
  readonly #known = new Set<string>();

  constructor(
    private readonly wanted: boolean,
    private readonly tasks: TreeTasks,
  ) {}

  /**
   * Takes the locks that descriptor `file` of the process `pid` shows; `table` and `description` are the numbers of the table
   * and of the description. `shares` tells whether another process has the same table. @throws FileDumpError
   */
  dump(
    file: OpenFile,
    pid: HostPid,
    table: number,
    description: number,
    shares: (pid: HostPid) => boolean,
  ): void {
    for (const line of file.isPath ? [] : (file.fdinfo.fields.get("lock") ?? [])) {
      const lock = parseLock(line, file.where);
      if (!this.wanted) {
        throw new FileDumpError(`${file.where}: ${file.link} is locked (${line}): --file-locks saves locks`);
      }
      if (lock.kind === KIND.POSIX) {
        const owner = hostPid(lock.pid);
        // It is shown wherever the description is, and dumped with the process that has it.
        if (owner !== pid && !shares(owner)) {
          if (this.tasks.has(owner)) continue;
          throw new FileDumpError(
            `${file.where}: ${file.link} is locked by process ${lock.pid}, not of the tree`,
          );
        }
      }
      const of =
        lock.kind === KIND.POSIX ? `${table}:${file.status.dev}:${file.status.ino}` : `#${description}`;
      const key = `${of}:${lock.kind}:${lock.type}:${lock.start}:${lock.length}`;
      if (this.#known.has(key)) continue;
      this.#known.add(key);
      this.#entries.push({
        flag: lock.kind,
        type: lock.isBreaking ? lock.type | BREAKING : lock.type,
        pid: this.tasks.numberOf(pid),
        fd: Number(file.role),
        start: lock.start,
        len: lock.length,
      });
    }
  }

  /** @throws ImageError */
  write(images: ImageDir): void {
    if (this.#entries.length > 0) images.writeAll(IMAGES.file_locks, this.#entries);
  }
}

// --- restore

/** What the calls for one lock take in a table at most, with their data. */
const TABLE_BYTES = 1024;

/**
 * Adds to the tables of the processes the calls that take their locks again; all have their descriptors.
 * @throws FileRestoreError where a lock is of nobody
 */
export function armLocks(context: Pick<RestoreContext, "images" | "processOf">): void {
  for (const entry of context.images.readAll(IMAGES.file_locks)) {
    const process = context.processOf(entry.pid);
    if (process === undefined)
      throw new FileRestoreError(`filelocks.img: a lock of process ${entry.pid}, which is not there`);
    process.table.reserve(TABLE_BYTES);
    armLock(process, entry);
  }
}

function armLock({ table }: Restoree, { flag, type, fd, start, len }: FileLockEntry): void {
  const what = `the lock of descriptor ${fd}`;
  const lock = () => table.data(flock.encode({ type, whence: 0, start, len, pid: 0 }));
  switch (flag) {
    case KIND.POSIX:
      table.must(what, NR.fcntl, fd, F.SETLK, lock());
      break;
    case KIND.OFD:
      table.must(what, NR.fcntl, fd, F.OFD_SETLK, lock());
      break;
    case KIND.FLOCK:
      table.must(what, NR.flock, fd, (type === TYPE.READ ? LOCK.SH : LOCK.EX) | LOCK.NB);
      break;
    case KIND.LEASE:
      if ((type & BREAKING) === 0) table.must(what, NR.fcntl, fd, F.SETLEASE, type);
      else breakLease(table, fd, type & ~BREAKING, what);
      break;
    default:
      throw new FileRestoreError(`filelocks.img: ${what} is of kind ${flag}`);
  }
}

/** A lease that somebody waits for, or has waited for, is taken again and broken again; who has it was told already. */
function breakLease(table: Table, fd: number, becomes: number, what: string): void {
  const path = table.data(cString(selfPath(fd)));
  // For reading alone a lease for writing becomes one for reading; for writing it stays.
  table.must(what, NR.fcntl, fd, F.SETLEASE, TYPE.WRITE);
  table.call(NR.fcntl, fd, F.SETLEASE, TYPE.READ);
  // This is refused, and that is all it is for.
  table.call(NR.openat, AT.FDCWD, path, (becomes === TYPE.UNLOCK ? O.WRONLY : O.RDONLY) | O.NONBLOCK);
  const signal = table.call(NR.fcntl, fd, F.GETSIG);
  table.run();
  const set = 1n << BigInt((signal.raw > 0 ? signal.raw : SIG.IO) - 1);
  const now = table.data(new Uint8Array(16));
  table.call(NR.rt_sigtimedwait, table.data(new Uint8Array(BigUint64Array.of(set).buffer)), 0, now, 8);
}
