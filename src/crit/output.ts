/** Where crit writes: standard output, or a file that appears when all is there. */
import { Fd } from "../linux/fd.ts";
import { AT, isRegular, O, rename, statIfThere, unlink, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { syscall } from "../linux/syscall.ts";

const STDOUT = 1;
/** How much is kept before it is written. */
const BUFFER_SIZE = 1 << 16;

export class Output implements Disposable {
  private readonly buffer = Buffer.allocUnsafe(BUFFER_SIZE);
  private length = 0;

  private constructor(
    private readonly fd: number,
    private readonly file: Replacement | undefined,
    private readonly owned: Fd | undefined,
  ) {}

  /** Standard output where there is no path. @throws KernelError */
  static to(path: string | undefined): Output {
    if (path === undefined) return new Output(STDOUT, undefined, undefined);
    const file = Replacement.of(path);
    const fd = file?.fd ?? Fd.open(path, O.WRONLY | O.CREAT | O.TRUNC, 0o666);
    return new Output(fd.number, file, fd);
  }

  /** ASCII characters. */
  text(text: string): void {
    if (text.length > BUFFER_SIZE - this.length) this.flush();
    if (text.length > BUFFER_SIZE) writeAll(this.fd, Buffer.from(text, "latin1"));
    else this.length += this.buffer.write(text, this.length, "latin1");
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.length > BUFFER_SIZE - this.length) this.flush();
    if (bytes.length > BUFFER_SIZE) writeAll(this.fd, bytes);
    else {
      this.buffer.set(bytes, this.length);
      this.length += bytes.length;
    }
  }

  /** All is said: the file is there from now on. @throws KernelError */
  finish(): void {
    this.flush();
    this.file?.keep();
  }

  /** Lets go of the file, which is not there unless `finish` was called. */
  [Symbol.dispose](): void {
    this.file?.drop();
    this.owned?.close();
  }

  private flush(): void {
    if (this.length > 0) writeAll(this.fd, this.buffer.subarray(0, this.length));
    this.length = 0;
  }
}

/** A file under another name until it is whole: who reads an image and writes it to the same name does not destroy it. */
class Replacement {
  private done = false;

  private constructor(
    readonly fd: Fd,
    private readonly temporary: string,
    private readonly path: string,
  ) {}

  /** undefined for what is there and no regular file: a device, a FIFO, a link. @throws KernelError */
  static of(path: string): Replacement | undefined {
    const there = statIfThere(path, AT.SYMLINK_NOFOLLOW);
    if (there !== undefined && !isRegular(there.mode)) return undefined;
    const temporary = `${path}.${ourPid()}.tmp`;
    const fd = Fd.open(temporary, O.WRONLY | O.CREAT | O.EXCL, 0o666);
    if (there !== undefined) syscall(temporary, NR.fchmod, fd.number, there.mode & 0o7777);
    return new Replacement(fd, temporary, path);
  }

  keep(): void {
    rename(this.temporary, this.path);
    this.done = true;
  }

  drop(): void {
    if (!this.done) unlink(this.temporary);
  }
}
