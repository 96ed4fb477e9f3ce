/** A probe in a child of ours, where it may unshare namespaces, mount, install filters: all of it goes with the child. */
import { type ChildArgument, type ChildResult, ChildTable } from "../linux/child-table.ts";
import { NEW } from "../linux/clone.ts";
import { Fd } from "../linux/fd.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { Netlink } from "../linux/netlink.ts";
import { NR } from "../linux/nr.ts";
import { AF, SOCK } from "../linux/socket.ts";
import { textOf } from "../linux/text.ts";
import { refusal } from "./probe.ts";

const MS = { BIND: 0x1000, REC: 0x4000, PRIVATE: 0x4_0000, SHARED: 0x10_0000 } as const;

export class ChildProbe extends ChildTable {
  readonly #needed: { readonly what: string; readonly result: ChildResult }[] = [];

  /** Adds a call that has to succeed. */
  must(what: string, nr: number, ...args: ChildArgument[]): ChildResult {
    const result = this.call(nr, ...args);
    this.#needed.push({ what, result });
    return result;
  }

  /** Has the child see mounts that are nobody else's. */
  ownMounts(): void {
    this.must("unshare of the mount namespace", NR.unshare, NEW.NS);
    this.must("mount of / as private", NR.mount, 0, "/", 0, MS.REC | MS.PRIVATE, 0);
  }

  /** Makes a directory with a tmpfs that is seen by the child alone, and by nobody else. */
  ownDirectory(path: string): void {
    this.must("mount of a tmpfs", NR.mount, "none", path, "tmpfs", 0, 0);
  }

  /** Reads an open file of /proc, page by page; gives its text, for when the child has run. */
  readAll(fd: ChildResult, pages: number): () => string {
    const text = this.data(pages * PAGE_SIZE);
    const parts: ChildResult[] = [];
    for (let i = 0; i < pages; i++)
      parts.push(this.call(NR.read, fd, text.address + i * PAGE_SIZE, PAGE_SIZE));
    return () =>
      parts.map(({ raw }, i) => textOf(text.bytes, i * PAGE_SIZE, i * PAGE_SIZE + Math.max(raw, 0))).join("");
  }

  /**
   * Has the child make a netlink socket, in the network namespace that it has by then, and be held; gives the socket to us, who
   * owns it. @throws as `ask`
   */
  netlink(family: number): Netlink {
    const socket = this.must("socket of netlink", NR.socket, AF.NETLINK, SOCK.RAW, family);
    const pid = this.hold();
    this.#refuse();
    using pidfd = Fd.ofProcess(pid);
    return new Netlink(Fd.outOf(pidfd.number, socket.raw));
  }

  bind(path: string): void {
    this.must("mount of a bind", NR.mount, path, path, 0, MS.BIND, 0);
  }

  share(path: string): void {
    this.must("mount as shared", NR.mount, 0, path, 0, MS.SHARED, 0);
  }

  /** Runs it. @throws MissingError about the first call that had to succeed and did not, KernelError */
  ask(): void {
    this.run();
    this.#refuse();
  }

  #refuse(): void {
    for (const { what, result } of this.#needed) {
      const { raw } = result;
      if (raw < 0 && raw > -4096) throw refusal(what, raw);
    }
  }
}
