/** An open file of a process being dumped, looked at through our own copy of its descriptor. */
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { F, getOwner } from "../linux/fcntl.ts";
import { O, S, SEEK } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { type Fdinfo, readFdinfo } from "../linux/proc.ts";
import { type FileStatus, type FullStatus, fsMagicOf, fullStatusOf, statusOf } from "../linux/statx.ts";
import { checkResult, rawSyscall } from "../linux/syscall.ts";
import { linkOf } from "./path.ts";

const NOBODY: FownEntry = { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: 0 };

/** An open file description, or a file that a process refers to otherwise (its cwd, what it maps). */
export class OpenFile {
  /** Of a descriptor: F_GETFL; 0 for the others. */
  readonly flags: number;
  #link: string | undefined;
  #fullStatus: FullStatus | undefined;
  #fdinfo: Fdinfo | undefined;

  constructor(
    /** The process, and in it the descriptor's number or what else the file is to it ("its working directory"). */
    readonly pid: number,
    readonly role: number | string,
    /** Our descriptor: the same open file description, or an O_PATH one of the same file. The caller closes it. */
    readonly copy: number,
    /** By which recognition begins. */
    readonly status: FileStatus = statusOf(copy),
  ) {
    this.flags = typeof role === "number" ? this.#fcntl(F.GETFL) : 0;
  }

  /** For messages: `process 12: descriptor 3`. */
  get where(): string {
    return `process ${this.pid}: ${typeof this.role === "number" ? `descriptor ${this.role}` : this.role}`;
  }

  /** A value of S.IF*; 0 for anonymous inodes of older kernels. */
  get format(): number {
    return this.status.mode & S.IFMT;
  }

  /** What /proc/PID/fd shows: a path, or a word like `pipe:[12]`. */
  get link(): string {
    this.#link ??= linkOf(this.copy);
    return this.#link;
  }

  /** What is not in `status`. */
  get fullStatus(): FullStatus {
    this.#fullStatus ??= fullStatusOf(this.copy);
    return this.#fullStatus;
  }

  get isPath(): boolean {
    return (this.flags & O.PATH) !== 0;
  }

  /** /proc/PID/fdinfo of a descriptor. */
  get fdinfo(): Fdinfo {
    if (typeof this.role !== "number") throw new TypeError(`${this.where} is no descriptor`);
    this.#fdinfo ??= readFdinfo(this.pid, this.role);
    return this.#fdinfo;
  }

  /** The offset of a descriptor. */
  get position(): bigint {
    if (typeof this.role !== "number" || this.isPath) return 0n;
    if (this.format === S.IFREG || this.format === S.IFDIR) {
      // Some devices do something when they are asked; these do not, and fdinfo costs ten times as much.
      const offset = rawSyscall(NR.lseek, this.copy, 0, SEEK.CUR);
      if (offset >= 0) return BigInt(offset);
    }
    return BigInt(this.fdinfo.pos);
  }

  /** Who gets its signals. */
  get owner(): FownEntry {
    if (typeof this.role !== "number" || this.isPath) return NOBODY;
    const signum = this.#fcntl(F.GETSIG);
    const { type, pid, uid, euid } = getOwner(this.copy);
    if (signum === 0 && pid === 0) return NOBODY;
    return { uid, euid, signum, pid_type: type, pid };
  }

  /** Magic number of its file system. */
  get fsMagic(): number {
    return fsMagicOf(this.copy);
  }

  #fcntl(command: number): number {
    const result = rawSyscall(NR.fcntl, this.copy, command);
    return result < 0 ? checkResult(result, NR.fcntl, this.where) : result;
  }
}
