/**
 * Calls by which the kernel notes who makes them, for the socket on the other side to ask for (SO_PEERCRED, SO_PEERGROUPS,
 * SO_PEERPIDFD): socketpair(2), listen(2), connect(2). They are made in the process that once made them; for one that has ended,
 * in a child of ours that has its number for a moment.
 */
import type { SkUcredEntry, UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { type ChildResult, ChildTable } from "../../linux/child-table.ts";
import { NEW } from "../../linux/clone.ts";
import { ERRNO } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { O } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import type { HostPid, NsPid } from "../../linux/pid.ts";
import { AF, SOCK } from "../../linux/socket.ts";
import { s32, u32 } from "../../linux/struct.ts";
import { addressOf, checkResult, rawSyscall, syscall } from "../../linux/syscall.ts";
import { log } from "../../log.ts";
import type { TreeNets } from "../../namespaces/net/restore.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { Table } from "../../tracee/table/table.ts";

/** Whom the kernel is to note. */
export interface Caller {
  readonly credentials: SkUcredEntry;
  readonly groups: readonly number[];
}

/** Processes that are being restored, our numbers of all, and children with such numbers; what we call users and groups. */
export interface Processes {
  processOf(number: NsPid): Restoree | undefined;
  hostOf(number: NsPid): HostPid | undefined;
  readonly nets: TreeNets;
  withNumbers<T>(act: () => T): T;
  readonly owners: Owners;
}

/** What a socket is connected to: an address; a path in it starts at a directory of ours. */
export interface Target {
  readonly address: Uint8Array;
  readonly directory: number | undefined;
}

/** So many pairs are made in one table. */
const BATCH = 64;
const PAIR_SIZE = 2 * s32.size;
const WHAT = "a Unix socket";

export class Callers {
  constructor(private readonly processes: Processes) {}

  /**
   * So many pairs of connected sockets of a type and in a network, the caller's to close. Both of a pair note `who`, or
   * `otherwise`, which is there, where that one cannot be had. @throws KernelError
   */
  pairs(
    { type, ns_id }: Pick<UnixSkEntry, "type" | "ns_id">,
    count: number,
    who: Caller | undefined,
    otherwise: Restoree,
  ): [Fd, Fd][] {
    const restoree = this.#inTree(who, otherwise);
    const network = this.processes.nets.elsewhere(restoree?.pid, ns_id);
    const pairs: [Fd, Fd][] = [];
    while (pairs.length < count) {
      const some = Math.min(BATCH, count - pairs.length);
      pairs.push(
        ...(restoree === undefined
          ? this.#pairsByChild(type, some, who, network)
          : pairsInside(restoree, type, some, who, network)),
      );
    }
    return pairs;
  }

  /** listen(2) on a socket of ours. @throws KernelError */
  listen(fd: number, backlog: number, who: Caller | undefined, otherwise: Restoree): void {
    const restoree = this.#inTree(who, otherwise);
    if (restoree === undefined) {
      this.#byChild(who, (child) => child.call(NR.listen, fd, backlog), NR.listen);
      return;
    }
    const { table } = restoree;
    const there = restoree.fetch(WHAT, fd);
    become(table, who);
    table.must(WHAT, NR.listen, there, backlog);
    becomeUs(table, who);
    table.must(WHAT, NR.close, there);
    table.run();
  }

  /**
   * connect(2) of a socket of ours. A process of the tree that makes it may stand elsewhere afterwards: it is put where it belongs later.
   * @throws KernelError
   */
  connect(fd: number, { address, directory }: Target, who: Caller | undefined, otherwise: Restoree): void {
    const restoree = this.#inTree(who, otherwise);
    if (restoree === undefined) {
      const add = (child: ChildTable) => {
        // It has our descriptors, by the same numbers.
        if (directory !== undefined) child.call(NR.fchdir, directory);
        return child.call(NR.connect, fd, child.data(address).address, address.length);
      };
      this.#byChild(who, add, NR.connect);
      return;
    }
    const { table } = restoree;
    if (directory !== undefined) {
      const there = restoree.fetch(WHAT, directory);
      table.must(WHAT, NR.fchdir, there);
      table.must(WHAT, NR.close, there);
    }
    const there = restoree.fetch(WHAT, fd);
    become(table, who);
    table.must(WHAT, NR.connect, there, table.data(address), address.length);
    becomeUs(table, who);
    table.must(WHAT, NR.close, there);
    table.run();
  }

  /** Who of the tree makes the calls; undefined where a child has to. */
  #inTree(who: Caller | undefined, otherwise: Restoree): Restoree | undefined {
    const number = who?.credentials.pid;
    if (number === undefined) return otherwise;
    // Somebody who cannot be seen from the tree's pid namespace: as no child of ours can.
    if (number === 0) return undefined;
    const restoree = this.processes.processOf(number);
    if (restoree !== undefined || this.#isFree(number)) return restoree;
    log.warn(
      "files/unix",
      `process ${number}, which a Unix socket tells of as its peer's (SO_PEERCRED), is not of the tree: it is process ${otherwise.pid} now`,
    );
    return otherwise;
  }

  /** Whether nobody has the number. */
  #isFree(number: NsPid): boolean {
    const host = this.processes.hostOf(number);
    return host === undefined || rawSyscall(NR.kill, host, 0) === -ERRNO.ESRCH;
  }

  #byChild(who: Caller | undefined, add: (child: ChildTable) => ChildResult, nr: number): void {
    using child = new ChildTable();
    if (who !== undefined) this.#becomeInChild(child, who);
    const result = add(child);
    this.#bear(who, (number) => child.run(number).pid);
    checkResult(result.raw, nr, `${WHAT}, in a child with number ${who?.credentials.pid}`);
  }

  #pairsByChild(
    type: number,
    count: number,
    who: Caller | undefined,
    network: number | undefined,
  ): [Fd, Fd][] {
    using child = new ChildTable();
    if (network !== undefined) child.callOrEnd(NR.setns, network, NEW.NET);
    if (who !== undefined) this.#becomeInChild(child, who);
    const made = Array.from({ length: count }, () => {
      const space = child.data(PAIR_SIZE);
      return { space, result: child.call(NR.socketpair, AF.UNIX, type | SOCK.CLOEXEC, 0, space.address) };
    });
    using pidfd = Fd.ofProcess(this.#bear(who, (number) => child.hold(number)));
    return made.map(({ space: { bytes }, result }) => {
      checkResult(result.raw, NR.socketpair, `in a child with number ${who?.credentials.pid}`);
      return [Fd.outOf(pidfd.number, s32.read(bytes, 0)), Fd.outOf(pidfd.number, s32.read(bytes, s32.size))];
    });
  }

  #bear(who: Caller | undefined, act: (number: NsPid | undefined) => HostPid): HostPid {
    const number = who?.credentials.pid;
    if (number === undefined || number === 0) return act(undefined);
    return this.processes.withNumbers(() => act(number));
  }

  /** It lives in our user namespace. */
  #becomeInChild(child: ChildTable, { credentials: { uid, gid }, groups }: Caller): void {
    const { owners } = this.processes;
    const theirs = groups.map((group) => owners.gid(group));
    child.call(NR.setgroups, theirs.length, child.data(bytesOf(theirs)).address);
    child.call(NR.setresgid, KEEP, owners.gid(gid), KEEP);
    child.call(NR.setresuid, KEEP, owners.uid(uid), KEEP);
  }
}

// --- in a process of the tree

/** `network` is a descriptor of ours of the one to make them in, if the process is in another one. */
function pairsInside(
  restoree: Restoree,
  type: number,
  count: number,
  who: Caller | undefined,
  network: number | undefined,
): [Fd, Fd][] {
  const { table, pid } = restoree;
  using own = network === undefined ? undefined : Fd.open(`/proc/${pid}/ns/net`, O.RDONLY);
  if (network !== undefined) enter(restoree, network);
  become(table, who);
  const spaces = Array.from({ length: count }, () => {
    const space = table.space(PAIR_SIZE);
    table.must(`a pair of Unix sockets of type ${type}`, NR.socketpair, AF.UNIX, type, 0, space.address);
    return space;
  });
  becomeUs(table, who);
  table.run();
  if (own !== undefined) enter(restoree, own.number);
  const numbers = spaces.map(({ bytes }) => [s32.read(bytes, 0), s32.read(bytes, s32.size)] as const);
  using pidfd = Fd.ofProcess(pid);
  const pairs = numbers.map(([one, other]): [Fd, Fd] => [
    Fd.outOf(pidfd.number, one),
    Fd.outOf(pidfd.number, other),
  ]);
  for (const number of numbers.flat()) table.must(WHAT, NR.close, number);
  table.run();
  return pairs;
}

/** Puts a process into a network, for a time. */
function enter(restoree: Restoree, network: number): void {
  const { table } = restoree;
  const there = restoree.fetch(WHAT, network);
  table.must(WHAT, NR.setns, there, NEW.NET);
  table.must(WHAT, NR.close, there);
  table.run();
}

/** Leaves a number as it is, to setresuid(2) and setresgid(2). */
const KEEP = -1;

/** Adds the calls that give the process the credentials that the kernel is to note: it keeps ours to come back to. */
function become(table: Table, who: Caller | undefined): void {
  if (who === undefined) return;
  const { uid, gid } = who.credentials;
  const ours = ourCredentials();
  if (!sameGroups(ours.groups, who.groups)) setGroups(table, who.groups);
  if (gid !== ours.gid) table.must(WHAT, NR.setresgid, KEEP, gid, KEEP);
  if (uid !== ours.uid) table.must(WHAT, NR.setresuid, KEEP, uid, KEEP);
}

function becomeUs(table: Table, who: Caller | undefined): void {
  if (who === undefined) return;
  const { uid, gid } = who.credentials;
  const ours = ourCredentials();
  if (uid !== ours.uid) table.must(WHAT, NR.setresuid, KEEP, ours.uid, KEEP);
  if (gid !== ours.gid) table.must(WHAT, NR.setresgid, KEEP, ours.gid, KEEP);
  if (!sameGroups(ours.groups, who.groups)) setGroups(table, ours.groups);
}

function setGroups(table: Table, groups: readonly number[]): void {
  const bytes = bytesOf(groups);
  table.must(WHAT, NR.setgroups, groups.length, bytes.length === 0 ? 0 : table.data(bytes));
}

/** What processes are born with. */
function ourCredentials(): {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
} {
  const uid = syscall("", NR.geteuid);
  const gid = syscall("", NR.getegid);
  const count = syscall("", NR.getgroups, 0, 0);
  const bytes = new Uint8Array(count * u32.size);
  if (count > 0) syscall("", NR.getgroups, count, addressOf(bytes));
  return { uid, gid, groups: Array.from({ length: count }, (_, i) => u32.read(bytes, i * u32.size)) };
}

function sameGroups(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((group, i) => group === other[i]);
}

function bytesOf(groups: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(groups.length * u32.size);
  for (const [i, group] of groups.entries()) u32.write(bytes, i * u32.size, group);
  return bytes;
}
