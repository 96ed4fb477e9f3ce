/**
 * Which mounts hear of what is mounted in others (Documentation/filesystems/sharedsubtree.rst). Mounts of a group hear of each
 * other; a group may have a master, a group whose events it hears and that does not hear its own.
 *
 * A mount joins the group of another one by MOVE_MOUNT_SET_GROUP (kernel 5.15), if that one shows all that it shows. Who is made
 * a slave leaves the group for one of its own below it. So groups are made from the masters down: their first mount joins the
 * master's group, becomes a slave, is shared; the others join it.
 */

import { NEW } from "../../linux/clone.ts";
import { Fd } from "../../linux/fd.ts";
import { AT } from "../../linux/io.ts";
import { cloneMount, MOVE_MOUNT, MS, mountAttr, propagationStruct } from "../../linux/mount.ts";
import { NR } from "../../linux/nr.ts";
import { cString, nameAddress, syscall } from "../../linux/syscall.ts";
import type { MadeMount, MountsBuilder } from "./build.ts";
import { describe } from "./context.ts";
import { MountRestoreError } from "./errors.ts";
import { type Mount, pathBelow } from "./tree.ts";

interface Group {
  readonly sharedId: number;
  readonly masterId: number;
  readonly members: MadeMount[];
  /** Whose descriptor the others join by; of a copy that shows everything, where no member does. */
  leader: Leader | undefined;
}

interface Leader {
  readonly fd: number;
  readonly inside: number;
  readonly mount: Mount;
  /** The namespace that it stands in; undefined for one that is attached nowhere. */
  readonly namespace: number | undefined;
}

export class Sharing {
  readonly #groups = new Map<string, Group>();
  readonly #copies: Fd[] = [];
  /** Of which namespace the process sees the mounts. */
  #at: number;

  constructor(
    private readonly builder: MountsBuilder,
    private readonly own: number,
  ) {
    this.#at = own;
    for (const made of this.#final) {
      const { sharedId, masterId } = made.planned.mount;
      if (sharedId === 0 && masterId === 0) continue;
      const key = `${sharedId} ${masterId}`;
      const group = this.#groups.get(key);
      if (group !== undefined) group.members.push(made);
      else this.#groups.set(key, { sharedId, masterId, members: [made], leader: undefined });
    }
  }

  /** Mounts as they stand in their namespaces. */
  get #final(): MadeMount[] {
    const own = [...this.builder.made.values()].filter(({ planned }) => planned.mount.namespace === this.own);
    return [...own, ...this.builder.copies.values()];
  }

  /** @throws MountRestoreError, KernelError */
  restore(): void {
    const { table } = this.builder.root;
    const left = new Set(this.#groups.values());
    try {
      while (left.size > 0) {
        const before = left.size;
        for (const group of left) {
          const master = this.#masterOf(group);
          if (master !== undefined && left.has(master)) continue;
          this.#make(group, master);
          left.delete(group);
        }
        if (left.size === before) {
          const [group] = left;
          throw new MountRestoreError(`mounts: group ${group?.masterId} is its own master`);
        }
      }
      for (const { planned, inside } of this.#final) {
        const { mount } = planned;
        if ((mount.flags & MS.UNBINDABLE) === 0 || mount.sharedId !== 0) continue;
        this.#propagate(mount.namespace, inside, MS.UNBINDABLE, describe(mount));
      }
      this.#goTo(this.own);
      table.run();
    } finally {
      for (const copy of this.#copies) copy.close();
    }
  }

  #masterOf({ masterId }: Group): Group | undefined {
    if (masterId === 0) return undefined;
    let found: Group | undefined;
    for (const group of this.#groups.values()) {
      if (group.sharedId !== masterId) continue;
      if (found !== undefined) throw new MountRestoreError(`mounts: group ${masterId} has two masters`);
      found = group;
    }
    return found;
  }

  /** Slaves that have no peers of their own: each hears by itself. */
  #makeSlaves(group: Group, master: Group | undefined): void {
    this.builder.root.table.run();
    for (const { planned, fd, inside } of group.members) {
      const { mount, outsideMaster } = planned;
      const what = describe(mount);
      if (master !== undefined) this.#join(this.#sourceIn(master, mount), fd.number, what);
      else this.#joinOutside(outsideMaster, fd.number, what);
      this.#propagate(mount.namespace, inside, MS.SLAVE, what);
    }
  }

  #make(group: Group, master: Group | undefined): void {
    if (group.sharedId === 0) {
      this.#makeSlaves(group, master);
      return;
    }
    const leader = this.#leaderOf(group);
    group.leader = leader;
    const what = describe(leader.mount);
    this.builder.root.table.run();
    if (group.masterId !== 0) {
      if (master !== undefined) this.#join(this.#sourceIn(master, leader.mount), leader.fd, what);
      else this.#joinOutside(this.#outsideOf(group, leader), leader.fd, what);
      this.#propagate(leader.namespace, leader.inside, MS.SLAVE, what);
    }
    this.#propagate(leader.namespace, leader.inside, MS.SHARED, what);
    this.builder.root.table.run();
    for (const { fd, planned } of group.members)
      if (fd.number !== leader.fd) this.#join(leader.fd, fd.number, describe(planned.mount));
  }

  /** A member that shows what all of them show, or a copy of the super block's first mount. */
  #leaderOf(group: Group): Leader {
    const shows = ({ planned }: MadeMount) =>
      group.members.every((each) => pathBelow(each.planned.mount.root, planned.mount.root) !== undefined);
    const member = group.members.find(shows);
    if (member !== undefined) {
      const { mount } = member.planned;
      return { fd: member.fd.number, inside: member.inside, mount, namespace: mount.namespace };
    }
    const [any] = group.members;
    const origin = any?.planned.origin;
    const first = origin?.kind === "bind" ? this.builder.made.get(origin.from.mount) : undefined;
    if (any === undefined || first === undefined)
      throw new MountRestoreError(`mounts: no mount of group ${group.sharedId} shows what all of them do`);
    const copy = this.builder.copyOf(first, describe(any.planned.mount));
    this.#copies.push(copy.fd);
    return { fd: copy.fd.number, inside: copy.inside, mount: any.planned.mount, namespace: undefined };
  }

  /** A mount of the master's group that shows what `mount` shows. */
  #sourceIn(master: Group, mount: Mount): number {
    const { leader } = master;
    const member = master.members.find(
      ({ planned }) => pathBelow(mount.root, planned.mount.root) !== undefined,
    );
    if (member !== undefined) return member.fd.number;
    if (leader !== undefined && leader.namespace === undefined) return leader.fd;
    throw new MountRestoreError(`${describe(mount)}: no mount of its master's group shows what it shows`);
  }

  #outsideOf({ members }: Group, leader: Leader): string | undefined {
    return members.find(({ planned }) => planned.mount === leader.mount)?.planned.outsideMaster;
  }

  /** Joins a group of ours that the image says is its master: that of the mount that a path stands on. */
  #joinOutside(path: string | undefined, target: number, what: string): void {
    if (path === undefined)
      throw new MountRestoreError(`${what}: there is nothing that its master's group is of`);
    // A copy is of the same group.
    using source = Fd.own(cloneMount(AT.FDCWD, path));
    this.#join(source.number, target, `${what}: to hear of what is mounted at ${path}`);
  }

  #join(source: number, target: number, what: string): void {
    const flags = MOVE_MOUNT.SET_GROUP | MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH;
    syscall(`${what}: its peers`, NR.move_mount, source, nameAddress(""), target, nameAddress("", 1), flags);
  }

  /** Adds a call to the process, which has to see the mount for it. */
  #propagate(namespace: number | undefined, inside: number, propagation: number, what: string): void {
    if (namespace !== undefined) this.#goTo(namespace);
    const { table } = this.builder.root;
    table.reserve(0x1000);
    const attributes = table.data(propagationStruct(propagation));
    const empty = table.data(cString(""));
    table.must(what, NR.mount_setattr, inside, empty, AT.EMPTY_PATH, attributes, mountAttr.size);
  }

  #goTo(namespace: number): void {
    if (this.#at === namespace) return;
    const made = this.builder.namespaces.find(({ tree }) => tree.namespace === namespace);
    if (made === undefined) throw new Error(`no mount namespace ${namespace}`);
    const { root } = this.builder;
    root.table.reserve(0x1000);
    const fd = root.fetch("a mount namespace", made.namespace.number);
    root.table.must("a mount namespace", NR.setns, fd, NEW.NS);
    root.table.must("a mount namespace", NR.close, fd);
    this.#at = namespace;
  }
}
