/**
 * What mounts show that has lost its name: a file or a directory that is removed and is a bind mount still. It is a ghost as an open
 * file would be, in ghost-file-ID.img, of which `ghost_id` of the mount tells; images of CRIU have none, and get an empty one.
 */
import { fillGhost, overGhostLimit, saveGhost, setGhostAttributes } from "../../images/ghost-file.ts";
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import { AT, O, openAt, S, selfPath, withFd } from "../../linux/io.ts";
import type { Owners } from "../../linux/owners.ts";
import type { HostPid, TreeTasks } from "../../linux/pid.ts";
import { type FileStatus, fullStatusOf, statusOf } from "../../linux/statx.ts";
import { CleanMounts } from "./access.ts";
import { MountDumpError, MountRestoreError } from "./errors.ts";
import { type Mount, nameOf } from "./tree.ts";

/** Ghosts of open files count from 1. */
const FIRST_ID = 0x4000_0000;

interface Deleted {
  readonly mount: Mount;
  readonly status: FileStatus;
  readonly ghostId: number;
  readonly pid: HostPid;
  readonly root: Mount;
}

/** Of a dump: the mounts of a tree whose roots have lost their names. */
export class DeletedRoots {
  readonly #found: Deleted[] = [];

  constructor(private readonly tasks: TreeTasks) {}

  /** Looks at mounts of one namespace, that of process `pid`. @throws MountDumpError for one that could not come back */
  add(pid: HostPid, root: Mount, mounts: readonly Mount[]): void {
    using clean = new CleanMounts(pid, root, mounts);
    for (const mount of mounts) {
      const status = statusOf(clean.of(mount));
      const format = status.mode & S.IFMT;
      const refuse = (what: string): never => {
        throw new MountDumpError(`${nameOf(mount)}: ${mount.root}, which was deleted, ${what}`);
      };
      if (format !== S.IFREG && format !== S.IFDIR) refuse("is neither a file nor a directory");
      if (format === S.IFREG && status.nlink > 0) refuse("has another name, which would be another file's");
      const same = this.#found.find((each) => isSame(each.status, status));
      const named = this.#found.find(
        (each) => each.mount.peers === mount.peers && each.mount.root === mount.root,
      );
      if (named !== undefined && named !== same) refuse("is not the only deleted one of this name");
      const ghostId = same?.ghostId ?? FIRST_ID + this.#found.length;
      this.#found.push({ mount, status, ghostId, pid, root });
    }
  }

  ghostOf(mount: Mount): number | undefined {
    return this.#found.find((each) => each.mount === mount)?.ghostId;
  }

  /** The mount that shows a deleted file, or deleted directory: that by which it was looked at, if there are several. */
  showing(status: FileStatus): Mount | undefined {
    const all = this.#found.filter((each) => isSame(each.status, status)).map(({ mount }) => mount);
    return all.find(({ id }) => id === status.mntId) ?? all[0];
  }

  /** @throws MountDumpError, also for one of more than `limit` bytes, KernelError, ImageError */
  dump(images: ImageDir, limit: number): void {
    const saved = new Set<number>();
    for (const { mount, ghostId, pid, root } of this.#found) {
      if (saved.has(ghostId)) continue;
      saved.add(ghostId);
      using clean = new CleanMounts(pid, root, [mount]);
      const copy = clean.of(mount);
      const ghost = { copy, where: nameOf(mount), fullStatus: fullStatusOf(copy), owners: this.tasks.owners };
      const excess = overGhostLimit(ghost, mount.root, limit);
      if (excess !== undefined) throw new MountDumpError(excess);
      saveGhost(images, ghost, ghostId);
    }
  }
}

function isSame(one: FileStatus, other: FileStatus): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** Makes what has just been made at `made` (O_PATH) for a mount what the ghost was. @throws MountRestoreError, KernelError, ImageError */
export function fillDeleted(
  images: ImageDir,
  ghostId: number,
  made: number,
  what: string,
  owners: Owners,
): void {
  using reader = images.reader(IMAGES.ghost_file, ghostId);
  const { head } = reader;
  const format = head.mode & S.IFMT;
  if (format !== (statusOf(made).mode & S.IFMT))
    throw new MountRestoreError(`${what}: ghost ${ghostId} is not what can be mounted there`);
  if (format === S.IFDIR) setGhostAttributes(made, head, owners);
  else withFd(openAt(AT.FDCWD, selfPath(made), O.WRONLY), (fd) => fillGhost(reader, fd, owners));
}
