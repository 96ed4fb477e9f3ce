/** Where processes stand: root, working directory and umask (struct fs_struct), which they may share. */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { FsEntry } from "../images/schema/generated/process.ts";
import { NR } from "../linux/nr.ts";
import type { MountPaths } from "../linux/path-at.ts";
import type { NsPid } from "../linux/pid.ts";
import { cString } from "../linux/syscall.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";

const PERMISSIONS = 0o777;

export class FsDump {
  /** By the number of what is shared. */
  readonly #known = new Map<number, FsEntry>();

  /** `reference` gives the number in files.img of what a link in /proc/PID leads to. */
  constructor(
    private readonly images: ImageDir,
    private readonly reference: (dumpee: Dumpee, link: string, role: string) => number,
  ) {}

  /** @throws FileDumpError, KernelError, ImageError */
  dump(dumpee: Dumpee): void {
    let entry = this.#known.get(dumpee.ids.fs);
    if (entry === undefined) {
      entry = this.#entryOf(dumpee);
      this.#known.set(dumpee.ids.fs, entry);
    }
    this.images.writeAll(IMAGES.fs, [entry], dumpee.numberOf(dumpee.pid));
  }

  #entryOf(dumpee: Dumpee): FsEntry {
    const umask = dumpee.proc.status.get("Umask");
    return {
      cwd_id: this.reference(dumpee, "cwd", "its working directory"),
      root_id: this.reference(dumpee, "root", "its root directory"),
      umask: umask === undefined ? undefined : Number.parseInt(umask, 8),
    };
  }
}

export class FsRestore {
  /** Of the directories, by their ids in files.img, that are roots: whether that is ours. */
  readonly #ourRoot = new Map<number, boolean>();

  /** `directory` gives our descriptor, lent, of the directory that has a number in files.img. */
  constructor(
    private readonly images: ImageDir,
    private readonly mounts: MountPaths,
    private readonly directory: (id: number) => number,
  ) {}

  /** Adds to a process' table: its root, working directory and umask. @throws FileRestoreError, KernelError, ImageError */
  give(restoree: Restoree, pid: NsPid): void {
    const { cwd_id, root_id, umask } = this.images.readOne(IMAGES.fs, pid);
    const { table } = restoree;
    const root = this.directory(root_id);
    // Our root is that of a process born of us, and who may not change it needs not.
    if (!this.#isOurRoot(root_id, root)) {
      const fd = restoree.fetch("root", root);
      table.must("root", NR.fchdir, fd);
      table.must("root", NR.chroot, table.data(cString(".")));
      table.must("root", NR.close, fd);
    }
    const fd = restoree.fetch("working directory", this.directory(cwd_id));
    table.must("working directory", NR.fchdir, fd);
    table.must("working directory", NR.close, fd);
    if (umask !== undefined) table.must("umask", NR.umask, umask & PERMISSIONS);
  }

  #isOurRoot(id: number, directory: number): boolean {
    let ours = this.#ourRoot.get(id);
    if (ours === undefined) {
      ours = this.mounts.isRoot(directory);
      this.#ourRoot.set(id, ours);
    }
    return ours;
  }
}
