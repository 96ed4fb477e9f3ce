/** An open file of a process being dumped, looked at through our own copy of its descriptor. */

import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { F, getOwner } from "../linux/fcntl.ts";
import { AT, close, fcntl, O, pidfdGetfd, S } from "../linux/io.ts";
import type { Owners } from "../linux/owners.ts";
import type { TreeMounts } from "../linux/path-at.ts";
import { type HostPid, type NsPid, nsPid, type TreeTasks } from "../linux/pid.ts";
import { type Fdinfo, readFdinfo } from "../linux/proc.ts";
import {
  type FileStatus,
  type FullStatus,
  fsMagicOf,
  fullStatusOf,
  statusAt,
  statusOf,
} from "../linux/statx.ts";
import { pathAddress } from "../linux/syscall.ts";
import { FileDumpError } from "./errors.ts";
import { linkOf, PATH_MAX } from "./path.ts";
import type { Sight } from "./survey.ts";

/** Nobody gets its signals. */
export const NO_OWNER: FownEntry = { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: nsPid(0) };

/** An open file description, or a file that a process refers to otherwise (its cwd, what it maps). */
export class OpenFile {
  /** By which recognition begins. */
  readonly status: FileStatus;
  /** Of a descriptor: F_GETFL; 0 for the others. */
  readonly flags: number;
  readonly #sight: Sight | undefined;
  #copy: number | undefined;
  #link: string | undefined;
  #fullStatus: FullStatus | undefined;
  #fdinfo: Fdinfo | undefined;

  private constructor(
    /** The process, and in it the descriptor's number or what else the file is to it ("its working directory"). */
    readonly pid: HostPid,
    readonly role: number | string,
    private readonly source: number,
    sight: Sight | undefined,
    private readonly tasks: TreeTasks,
    private readonly place?: string,
  ) {
    this.#sight = sight;
    this.#link = sight?.link;
    if (sight === undefined) this.#copy = source;
    this.status = sight?.status ?? statusOf(source);
    this.flags = sight?.flags ?? 0;
  }

  /** A descriptor of the process of `pidfd`, already looked at. To be closed. */
  static descriptor(pid: HostPid, pidfd: number, sight: Sight, tasks: TreeTasks): OpenFile {
    return new OpenFile(pid, sight.fd, pidfd, sight, tasks);
  }

  /**
   * A descriptor of ours, found elsewhere than in a table: `where` says where. It stays the caller's.
   */
  static ours(us: HostPid, fd: number, where: string, sight: Sight, tasks: TreeTasks): OpenFile {
    return new OpenFile(us, fd, -1, sight, tasks, where);
  }

  /** What a process refers to otherwise than by a descriptor; `copy` is ours and becomes the object's. To be closed. */
  static reference(pid: HostPid, role: string, copy: number, tasks: TreeTasks): OpenFile {
    return new OpenFile(pid, role, copy, undefined, tasks);
  }

  /** Closes our copy, if it was taken. */
  close(): void {
    if (this.#copy !== undefined) close(this.#copy);
    this.#copy = undefined;
  }

  /** Our descriptor: the same open file description, or an O_PATH one of the same file. @throws KernelError */
  get copy(): number {
    this.#copy ??=
      this.place === undefined
        ? pidfdGetfd(this.source, Number(this.role))
        : fcntl(Number(this.role), F.DUPFD_CLOEXEC, 0);
    return this.#copy;
  }

  /** For messages: `process 12: descriptor 3`. */
  get where(): string {
    if (this.place !== undefined) return this.place;
    return `process ${this.pid}: ${typeof this.role === "number" ? `descriptor ${this.role}` : this.role}`;
  }

  /** A value of S.IF*; 0 for anonymous inodes of older kernels. */
  get format(): number {
    return this.status.mode & S.IFMT;
  }

  /** What /proc/PID/fd shows: a path, or a word like `pipe:[12]`. */
  get link(): string {
    this.#link ??= this.#readLink();
    return this.#link;
  }

  #readLink(): string {
    try {
      return linkOf(this.copy);
    } catch (error) {
      if (!isErrno(error, ERRNO.ENAMETOOLONG)) throw error;
      const what = `its path has more than the ${PATH_MAX} bytes that the kernel tells of one: ENAMETOOLONG`;
      throw new FileDumpError(`${this.where}: ${what}`, { errno: ERRNO.ENAMETOOLONG, cause: error });
    }
  }

  /** What is not in `status`. */
  get fullStatus(): FullStatus {
    this.#fullStatus ??= fullStatusOf(this.copy);
    return this.#fullStatus;
  }

  /** What stands at the path that `link` is, in the mounts of the tree; a negative errno where nothing does. */
  thereIn(mounts: TreeMounts): FileStatus | number {
    if (this.#sight?.there !== undefined) return this.#sight.there;
    const root = mounts.rootFor(this.status.mntId);
    if (root === AT.FDCWD) return statusAt(root, pathAddress(this.link));
    return this.link === "/" ? statusOf(root) : statusAt(root, pathAddress(this.link.slice(1)));
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
    const low = this.#sight?.offsetLow ?? 0;
    const high = this.#sight?.offsetHigh ?? 0;
    if (high === 0) return BigInt(low);
    // Offsets in directories use all 63 bits. Pipes and the like have none.
    if (high > 0) return (BigInt(high) << 32n) | BigInt(low);
    return this.isPath ? 0n : BigInt(this.fdinfo.pos);
  }

  /** Who gets its signals. */
  get owner(): FownEntry {
    const sight = this.#sight;
    if (sight === undefined || this.isPath || (sight.signal === 0 && sight.owner === 0)) return NO_OWNER;
    const { type, pid, uid, euid } = getOwner(this.copy);
    const { owners } = this;
    return {
      uid: owners.uid(uid),
      euid: owners.uid(euid),
      signum: sight.signal,
      pid_type: type,
      pid: this.#numberOf(pid),
    };
  }

  #numberOf(owner: HostPid): NsPid {
    const number = this.tasks.numberOf(owner);
    if (owner !== 0 && number === 0)
      throw new FileDumpError(`${this.where}: its signals go to process ${owner}, outside of the tree`);
    return number;
  }

  /** What the tree calls the owners of files. */
  get owners(): Owners {
    return this.tasks.owners;
  }

  /** Magic number of its file system. */
  get fsMagic(): number {
    return fsMagicOf(this.copy);
  }
}
