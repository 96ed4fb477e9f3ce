/**
 * The mount namespaces of a tree that is being restored, for all who have to do with paths in them. Where the tree lives in our
 * own, paths are looked up as we see them.
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import { NEW } from "../../linux/clone.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, O, selfPath } from "../../linux/io.ts";
import { RESOLVE, rawOpenat2 } from "../../linux/mount.ts";
import { NR } from "../../linux/nr.ts";
import { type Owners, SAME_OWNERS } from "../../linux/owners.ts";
import { type LookUp, type MountPath, type MountPaths, OUR_PATHS, type PathAt } from "../../linux/path-at.ts";
import type { NsPid } from "../../linux/pid.ts";
import { statusOf } from "../../linux/statx.ts";
import { checkResult } from "../../linux/syscall.ts";
import { Plugins } from "../../plugins/plugins.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { Undo } from "../../undo/undo.ts";
import { giveToServer } from "./autofs.ts";
import { type MadeMount, MountsBuilder, resolveIn } from "./build.ts";
import { MountRestoreError } from "./errors.ts";
import { type ExternalOptions, Externals } from "./external.ts";
import { enabledNames } from "./file-systems.ts";
import { type MountsPlan, type Networks, planMounts } from "./plan.ts";
import { Sharing } from "./sharing.ts";
import { nameOf, pathBelow } from "./tree.ts";

export interface MountsRestoreOptions extends ExternalOptions {
  readonly root: string | undefined;
  readonly enableFs: readonly string[];
  readonly lsmMountContext: string | undefined;
}

/** A path on a mount, which nothing that is mounted on it takes elsewhere, and no link. */
const ON_MOUNT = RESOLVE.IN_ROOT | RESOLVE.NO_XDEV | RESOLVE.NO_MAGICLINKS;
/** A path from the root of a namespace. */
const IN_NAMESPACE = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;

export class MountsRestore implements MountPaths, Disposable {
  #plan: MountsPlan | undefined;
  #builder: MountsBuilder | undefined;
  readonly #byId = new Map<number, MadeMount>();
  /** Directories that names are made in. */
  readonly #places = new Map<string, number>();
  /** The number that images have for the mount namespace of the root; undefined where it is ours. */
  #own: number | undefined;
  /** The root of a namespace of others that the tree lives in instead of ours (--join-ns mnt:...). */
  #joined: Fd | undefined;

  constructor(
    private readonly images: ImageDir,
    private readonly options: MountsRestoreOptions,
    private readonly undo: Undo,
    private readonly owners: Owners = SAME_OWNERS,
    private readonly plugins: Plugins = Plugins.none(),
  ) {}

  /** Reads what the mount namespaces of these numbers are, the first one that of the root. @throws MountRestoreError, ImageError */
  plan(numbers: readonly number[], networks: Networks): void {
    this.#own = numbers[0];
    this.#plan = planMounts(this.images, numbers, {
      root: this.options.root,
      externals: new Externals(this.options),
      enabled: enabledNames(this.options.enableFs),
      context: this.options.lsmMountContext,
      networks,
    });
  }

  /**
   * Builds them inside the root, which has just been born into one of its own. `pathOfNet` says where network namespaces can be
   * opened. @throws MountRestoreError, KernelError, ImageError
   */
  build(root: Restoree, pathOfNet: (number: number) => string | undefined): void {
    const plan = this.#plan;
    const own = this.#own;
    if (plan === undefined || own === undefined) throw new Error("the mounts were not planned");
    const makesNames = this.images.has(IMAGES.remap_fpath);
    const builder = new MountsBuilder(
      root,
      this.images,
      plan,
      this.owners,
      this.undo,
      this.plugins,
      pathOfNet,
      makesNames,
    );
    this.#builder = builder;
    builder.build();
    new Sharing(builder, own).restore();
    builder.removeTemporary();
    builder.leave();
    for (const [mount, made] of builder.made) if (mount.namespace === own) this.#byId.set(mount.id, made);
    for (const [mount, made] of builder.copies) this.#byId.set(mount.id, made);
  }

  /** The root of the tree has joined the mount namespace of others: paths are looked up there. @throws KernelError */
  join(root: Restoree): void {
    this.#joined = Fd.open(`/proc/${root.pid}/root`, O.PATH | O.DIRECTORY);
  }

  /** Adds to the table of a process that has just been born of one in namespace `before`: its own namespace. */
  enter(restoree: Restoree, number: number | undefined, before: number | undefined): void {
    if (number === undefined || number === before || this.#builder === undefined) return;
    const namespace = this.#builder.namespaces.find(({ tree }) => tree.namespace === number)?.namespace;
    if (namespace === undefined) throw new MountRestoreError(`there is no mount namespace ${number}`);
    const fd = restoree.fetch("its mount namespace", namespace.number);
    restoree.table.must("its mount namespace", NR.setns, fd, NEW.NS);
    restoree.table.must("its mount namespace", NR.close, fd);
  }

  /** Gives automounts to their servers: from then on nobody of ours may go there, as these cannot answer. */
  giveAutomounts(processOf: (number: NsPid) => Restoree | undefined): void {
    for (const { planned, fd } of this.#builder?.automounts ?? []) {
      using root = Fd.openAt(fd.number, ".", O.RDONLY | O.DIRECTORY);
      giveToServer(this.images, planned.mount, root.number, processOf);
    }
  }

  open(at: MountPath, flags: number, mode = 0): number {
    const found = this.lookUp(at);
    if (found === undefined) return OUR_PATHS.open(at, flags, mode);
    // The root of a mount may be a file: it is opened by the descriptor of the mount.
    if (found.path === "") {
      return rawOpenat2(AT.FDCWD, selfPath(found.directory), flags & ~O.NOFOLLOW, 0, mode);
    }
    return rawOpenat2(found.directory, found.path, flags, found.resolve, mode);
  }

  place(at: MountPath): PathAt {
    if (!this.#areOthers) return OUR_PATHS.place(at);
    const { mount, path } = at;
    const slash = path.lastIndexOf("/");
    const above = slash <= 0 ? "/" : path.slice(0, slash);
    const name = path.slice(slash + 1);
    if (name === "" || name === "." || name === "..")
      throw new MountRestoreError(`${JSON.stringify(path)} is no path of a file`);
    const key = `${mount} ${above}`;
    let directory = this.#places.get(key);
    if (directory === undefined) {
      const found = this.#lookUp({ mount, path: above }, true);
      const flags = O.PATH | O.DIRECTORY;
      const fd = rawOpenat2(found.directory, found.path === "" ? "." : found.path, flags, found.resolve);
      directory = this.undo.keep(Fd.own(checkResult(fd, NR.openat2, above)));
      this.#places.set(key, directory);
    }
    return { directory, path: name };
  }

  isRoot(directory: number): boolean {
    const root = this.#root;
    if (root === undefined) return OUR_PATHS.isRoot(directory);
    const [theirs, ours] = [statusOf(directory), statusOf(root.number)];
    return ours.dev === theirs.dev && ours.ino === theirs.ino && ours.mntId === theirs.mntId;
  }

  takeTerminal({ mount }: MountPath, index: number): number | undefined {
    const on = mount === undefined ? undefined : this.#byId.get(mount)?.planned.mount.peers;
    const terminals = this.#builder?.terminals ?? [];
    const found = terminals.find(
      (each) => each.index === index && each.master.isOpen && (on === undefined || on === each.peers),
    );
    return found?.master.release();
  }

  lookUp(at: MountPath): LookUp | undefined {
    return this.#areOthers ? this.#lookUp(at, false) : undefined;
  }

  /** Closes all. */
  [Symbol.dispose](): void {
    this.#builder?.[Symbol.dispose]();
    this.#builder = undefined;
    this.#joined?.close();
  }

  /** Whether paths are looked up in another mount namespace than ours. */
  get #areOthers(): boolean {
    return this.#builder !== undefined || this.#joined !== undefined;
  }

  /** The root of the namespace that the root of the tree lives in; undefined where that is ours. */
  get #root(): Fd | undefined {
    return this.#joined ?? this.#namespace()?.root;
  }

  #namespace() {
    return this.#builder?.namespaces.find(({ tree }) => tree.namespace === this.#own);
  }

  /** With `forNames`, from the mount by which names are made. */
  #lookUp({ mount, path }: MountPath, forNames: boolean): LookUp {
    if (!path.startsWith("/")) throw new MountRestoreError(`${JSON.stringify(path)} is no path`);
    if (mount === undefined || mount < 0) {
      const root = this.#root;
      if (root === undefined) throw new Error("the mounts are not built");
      return { directory: root.number, path: path.slice(1), resolve: IN_NAMESPACE };
    }
    const made = this.#byId.get(mount);
    if (made === undefined) throw new MountRestoreError(`${path}: there is no mount ${mount} that it is on`);
    const below = pathBelow(path, made.planned.mount.mountpoint);
    if (below === undefined)
      throw new MountRestoreError(`${path}: it is not on ${nameOf(made.planned.mount)}`);
    const resolve = resolveIn(made.planned.mount, ON_MOUNT);
    if (!forNames) return { directory: made.fd.number, path: below, resolve };
    const { origin } = made.planned;
    const first = origin.kind === "bind" ? origin.from.mount : made.planned.mount;
    const named = this.#builder?.forNames.get(first);
    if (named === undefined) throw new MountRestoreError(`${path}: no name can be made there`);
    const directory = named.fd.number;
    const parts = [origin.kind === "bind" ? origin.path : "", below].filter((part) => part !== "");
    return { directory, path: parts.join("/"), resolve };
  }
}
