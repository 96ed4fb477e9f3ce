/** Calls made inside a process that we hold, one table each: a helper, a process under construction, or one that is being dumped. */
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { encodeReceiveRights, MSG, rightsIn, rightsMessage, send } from "../../linux/socket-messages.ts";
import { checkResult, cString } from "../../linux/syscall.ts";
import type { Restoree } from "../build/restoree.ts";
import type { Argument, Table } from "../table/table.ts";
import { MOST_GIVEN, type Place, type PlaceArgument } from "./place.ts";

/**
 * How descriptors of ours come into a process. By `pidfd`, its descriptor of us, it fetches them (pidfd_getfd(2)), which it may as
 * long as it is in our user namespace. By `socket`, its end of a pair of stream sockets of which `ours` is the other one, it is
 * sent them, wherever it lives.
 */
export type Door = { readonly pidfd: number } | { readonly socket: number; readonly ours: number };

export class InsidePlace implements Place {
  readonly where: string;

  /** Without a door nothing can be given to the process: none is opened in one that is being dumped. */
  constructor(
    private readonly pid: HostPid,
    private readonly table: Table,
    public door?: Door,
  ) {
    this.where = `in process ${pid}`;
  }

  /** Of a process under construction, in our user namespace. */
  static of({ pid, table, ourPidfd }: Restoree): InsidePlace {
    return new InsidePlace(pid, table, { pidfd: ourPidfd });
  }

  call(nr: number, ...args: readonly PlaceArgument[]): number {
    const { table } = this;
    table.run();
    const back: (() => void)[] = [];
    const inside = args.map((arg): Argument => {
      if (typeof arg === "number") return arg;
      if (typeof arg === "string") return table.data(cString(arg));
      const space = table.space(arg.length, arg);
      back.push(() => arg.set(space.bytes));
      return space.address;
    });
    const result = table.call(nr, ...inside);
    table.run();
    for (const each of back) each();
    return result.raw;
  }

  give(fds: readonly number[]): number[] {
    const { door, table } = this;
    if (door === undefined) throw new Error(`nothing is opened ${this.where}`);
    const numbers: number[] = [];
    for (let from = 0; from < fds.length; from += MOST_GIVEN) {
      const some = fds.slice(from, from + MOST_GIVEN);
      table.run();
      numbers.push(...("pidfd" in door ? this.#fetch(door.pidfd, some) : this.#send(door, some)));
    }
    return numbers;
  }

  take(number: number): Fd {
    using pidfd = Fd.ofProcess(this.pid);
    return Fd.outOf(pidfd.number, number);
  }

  #fetch(pidfd: number, fds: readonly number[]): number[] {
    const results = fds.map((fd) => this.table.call(NR.pidfd_getfd, pidfd, fd, 0));
    this.table.run();
    return results.map((result) => result.checked(`a descriptor ${this.where}`));
  }

  #send(
    { socket, ours }: { readonly socket: number; readonly ours: number },
    fds: readonly number[],
  ): number[] {
    const { table } = this;
    const space = table.space(encodeReceiveRights(0, fds.length).length);
    table.place(space.address, encodeReceiveRights(space.address.address, fds.length));
    send(ours, { bytes: new Uint8Array(1), control: [rightsMessage(fds)] });
    const result = table.call(NR.recvmsg, socket, space.address, MSG.CMSG_CLOEXEC | MSG.DONTWAIT);
    table.run();
    checkResult(result.raw, NR.recvmsg, `descriptors ${this.where}`);
    const numbers = rightsIn(space.bytes);
    // So many as it may have (RLIMIT_NOFILE); the kernel drops the others without a word.
    if (numbers.length < fds.length)
      throw new KernelError("recvmsg", `descriptors ${this.where}`, ERRNO.EMFILE);
    return numbers;
  }
}
