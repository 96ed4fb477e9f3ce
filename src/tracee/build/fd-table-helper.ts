/**
 * A process that shares our table of descriptors, and lives in the user namespace of a tree: the processes of it fetch what we have
 * opened from it by pidfd_getfd(2), as from us the kernel does not let them (ptrace_may_access()). Whatever happens, it ends with
 * its owner, or with us.
 *
 * It is born before the root of the tree, which inherits its pidfd, and enters the namespace once that is there.
 */

import { ChildTable } from "../../linux/child-table.ts";
import { CLONE, NEW } from "../../linux/clone.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { O, writeAll } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { ourPid } from "../../linux/ourselves.ts";
import type { HostPid } from "../../linux/pid.ts";
import { POLL, pollfd } from "../../linux/poll.ts";
import { addressOf, syscall } from "../../linux/syscall.ts";

const ONE = new Uint8Array(BigUint64Array.of(1n).buffer);

/** eventfd(2), for a word from one to the other. */
function event(): Fd {
  return Fd.own(syscall("of ours", NR.eventfd2, 0, O.CLOEXEC));
}

/** The structure of ppoll(2) for these. */
function polling(fds: readonly Fd[]): Uint8Array {
  const polled = new Uint8Array(fds.length * pollfd.size);
  fds.forEach((fd, i) => {
    pollfd.encodeInto(polled, i * pollfd.size, { fd: fd.number, events: POLL.IN });
  });
  return polled;
}

/** Waits until one of them can be read; says which can. */
function awaitReadable(...fds: Fd[]): boolean[] {
  const polled = polling(fds);
  syscall("of a child", NR.ppoll, addressOf(polled), fds.length, 0, 0, 0);
  return fds.map((_, i) => pollfd.decode(polled, i * pollfd.size).revents !== 0);
}

export class FdTableHelper implements Disposable {
  /** Its number stands for the namespace once that is there. */
  readonly #namespace = Fd.open("/dev/null", O.RDONLY);
  readonly #go = event();
  readonly #done = event();
  readonly #us = Fd.ofProcess(ourPid());
  readonly #child = new ChildTable();
  readonly #entered;
  /** To be inherited by the root of the tree. */
  readonly pidfd: Fd;

  /** @throws KernelError */
  constructor() {
    const child = this.#child;
    const one = child.data(ONE).address;
    const awaits = (...fds: Fd[]) => {
      child.call(NR.ppoll, child.data(polling(fds)).address, fds.length, 0, 0, 0);
    };
    awaits(this.#go, this.#us);
    this.#entered = child.call(NR.setns, this.#namespace.number, NEW.USER);
    child.call(NR.write, this.#done.number, one, ONE.length);
    awaits(this.#us);
    this.pidfd = Fd.ofProcess(child.start(undefined, CLONE.FILES));
  }

  /** Enters the user namespace of a process. @throws KernelError */
  enter(pid: HostPid): void {
    const path = `/proc/${pid}/ns/user`;
    using namespace = Fd.open(path, O.RDONLY);
    syscall(path, NR.dup3, namespace.number, this.#namespace.number, O.CLOEXEC);
    writeAll(this.#go.number, ONE);
    const [done] = awaitReadable(this.#done, this.pidfd);
    const result = done === true ? this.#entered.raw : -ERRNO.ESRCH;
    if (result < 0) throw new KernelError("setns", path, -result);
  }

  [Symbol.dispose](): void {
    this.#child[Symbol.dispose]();
    for (const fd of [this.pidfd, this.#namespace, this.#go, this.#done, this.#us]) fd.close();
  }
}
