/** Bytes that are written later than they are read: in memory while they are few, then in a file without a name. */
import type { Fd } from "../linux/fd.ts";
import { read, writeAll } from "../linux/io.ts";
import { temporaryFile } from "./input.ts";
import type { Output } from "./output.ts";

const IN_MEMORY = 1 << 20;
const PIECE = 1 << 17;

export class Spool implements Disposable {
  private memory = new Uint8Array(256);
  /** Bytes in memory; those in the file come before them. */
  private kept = 0;
  private file: Fd | undefined;
  /** Bytes of all of it. */
  length = 0;

  /** Adds a copy of the bytes. @throws KernelError */
  add(bytes: Uint8Array): void {
    if (this.kept + bytes.length > IN_MEMORY) this.moveToFile();
    if (this.kept + bytes.length > this.memory.length) {
      const larger = new Uint8Array(Math.max(this.kept + bytes.length, this.memory.length * 2));
      larger.set(this.memory.subarray(0, this.kept));
      this.memory = larger;
    }
    this.memory.set(bytes, this.kept);
    this.kept += bytes.length;
    this.length += bytes.length;
  }

  /** @throws KernelError */
  writeTo(out: Output): void {
    if (this.file !== undefined) {
      const piece = new Uint8Array(PIECE);
      for (let at = 0; at < this.length - this.kept; ) {
        const got = read(this.file.number, piece, at);
        out.bytes(piece.subarray(0, got));
        at += got;
      }
    }
    out.bytes(this.memory.subarray(0, this.kept));
  }

  [Symbol.dispose](): void {
    this.file?.close();
    this.file = undefined;
  }

  private moveToFile(): void {
    this.file ??= temporaryFile();
    writeAll(this.file.number, this.memory.subarray(0, this.kept));
    this.kept = 0;
  }
}
