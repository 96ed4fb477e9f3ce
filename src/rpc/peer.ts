/** The client's descriptors: opened anew by us, as the files that they lead to, and closed when the request is done. */
import { errnoName, KernelError } from "../linux/errno.ts";
import { closeAll, Fd } from "../linux/fd.ts";
import { O } from "../linux/io.ts";
import { ourPid } from "../linux/ourselves.ts";
import { OptionError } from "../options.ts";
import type { Peer } from "./options.ts";

export class PeerDescriptors implements Peer, Disposable {
  readonly #opened: Fd[] = [];

  /** `pid` is the client's, as ours are. */
  constructor(private readonly pid: number) {}

  directory(field: string, fd: number): string {
    return `/proc/${ourPid()}/fd/${this.#open(field, fd, O.RDONLY | O.DIRECTORY)}`;
  }

  descriptor(field: string, fd: number): number {
    return this.#open(field, fd, O.WRONLY | O.NOCTTY);
  }

  #open(field: string, fd: number, flags: number): number {
    if (fd < 0) throw new OptionError(`${field} of the request: ${fd} is no descriptor`);
    try {
      const opened = Fd.open(`/proc/${this.pid}/fd/${fd}`, flags);
      this.#opened.push(opened);
      return opened.number;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw new OptionError(
        `${field} of the request: descriptor ${fd} of process ${this.pid} cannot be opened: ${errnoName(error.errno)}`,
      );
    }
  }

  [Symbol.dispose](): void {
    closeAll(this.#opened.splice(0));
  }
}
