/** A probe in a child of ours, where it may unshare namespaces, mount, install filters: all of it goes with the child. */
import { type ChildArgument, type ChildResult, ChildTable } from "../linux/child-table.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { textOf } from "../linux/text.ts";
import { refusal } from "./probe.ts";

/** unshare(2) (include/uapi/linux/sched.h). */
export const NEW = {
  TIME: 0x80,
  NS: 0x2_0000,
  CGROUP: 0x200_0000,
  UTS: 0x400_0000,
  IPC: 0x800_0000,
  USER: 0x1000_0000,
  PID: 0x2000_0000,
  NET: 0x4000_0000,
} as const;

const MS = { BIND: 0x1000, REC: 0x4000, PRIVATE: 0x4_0000, SHARED: 0x10_0000 } as const;

const MSG_DONTWAIT = 0x40;
/** No answer of netlink that a probe asks for is longer. */
const ANSWER = 0x2000;

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

  /** Sends a request to netlink and takes what comes at once, in so many pieces; gives them for when the child has run. */
  exchange(socket: ChildResult, request: Uint8Array, pieces = 1): () => Uint8Array {
    this.must("sendto to netlink", NR.sendto, socket, request, request.length, 0, 0, 0);
    const answer = this.data(pieces * ANSWER);
    const parts: ChildResult[] = [];
    for (let i = 0; i < pieces; i++)
      parts.push(this.call(NR.recvfrom, socket, answer.address + i * ANSWER, ANSWER, MSG_DONTWAIT, 0, 0));
    return () =>
      Buffer.concat(
        parts.map(({ raw }, i) => answer.bytes.subarray(i * ANSWER, i * ANSWER + Math.max(raw, 0))),
      );
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
    for (const { what, result } of this.#needed) {
      const { raw } = result;
      if (raw < 0 && raw > -4096) throw refusal(what, raw);
    }
  }
}
