/**
 * What waits in pipes and FIFOs, and how much may: the entries of pipes-data.img and fifo-data.img.
 *
 * tee(2) copies the content into a pipe of ours and takes nothing out. In packet mode (O_DIRECT) every read gives one
 * packet; their lengths are noted in a field of our own, which CRIU passes over.
 */
import type { ImageDir } from "../images/image-dir.ts";
import type { Payload } from "../images/image-file.ts";
import { fileName, type ImageKind } from "../images/kinds.ts";
import type { PipeDataEntry } from "../images/schema/generated/files.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { F } from "../linux/fcntl.ts";
import { close, fcntl, O, read, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { s32, struct } from "../linux/struct.ts";
import { addressOf, checkResult, rawSyscall, syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { FileRestoreError, restoring } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";

const SPLICE_F_NONBLOCK = 2;
const FIONREAD = 0x541b;
const PIECE = 1 << 16;

const ends = struct({ read: s32, write: s32 });
const buffer = new Uint8Array(ends.size);
const address = addressOf(buffer);

/** pipe2(2), both ends with O_CLOEXEC. @throws KernelError */
export function makePipe(): { read: number; write: number } {
  syscall("", NR.pipe2, address, O.CLOEXEC);
  return ends.decode(buffer);
}

/** How many bytes wait in a pipe, by any end of it. @throws KernelError */
export function bytesWaiting(fd: number): number {
  syscall(`descriptor ${fd}`, NR.ioctl, fd, FIONREAD, address);
  return new DataView(buffer.buffer).getInt32(0, true);
}

// --- dump

interface Content {
  readonly size: number;
  /** A description of it writes, or wrote, packets. */
  packetMode: boolean;
  /** Copied, by an end that can be read from. */
  data: { bytes: Uint8Array; packets: number[] } | undefined;
}

/** The contents of all pipes, or of all FIFOs, by their inode. */
export class PipeDataDump {
  readonly #contents = new Map<number, Content>();

  constructor(private readonly kind: ImageKind<PipeDataEntry>) {}

  /** Takes the size of the pipe and, by the first end that can be read from, its content. @throws KernelError */
  dump(file: OpenFile, pipeId: number): void {
    let content = this.#contents.get(pipeId);
    if (content === undefined) {
      content = { size: fcntl(file.copy, F.GETPIPE_SZ), packetMode: false, data: undefined };
      this.#contents.set(pipeId, content);
    }
    if ((file.flags & O.DIRECT) !== 0) content.packetMode = true;
    if (content.data === undefined && (file.flags & O.ACCMODE) !== O.WRONLY) {
      content.data = peek(file.copy, content.size);
      // Whoever wrote packets may be no process of the tree.
      if (content.data.packets.slice(0, -1).some((length) => length < PIECE)) content.packetMode = true;
    }
  }

  /** @throws ImageError */
  write(images: ImageDir): void {
    using writer = images.writer(this.kind);
    for (const [pipeId, { size, packetMode, data }] of this.#contents) {
      const bytes = data?.bytes ?? new Uint8Array(0);
      const packets = packetMode ? (data?.packets ?? []) : [];
      writer.add({ pipe_id: pipeId, bytes: bytes.length, size, packets }, bytes);
    }
  }
}

/** A copy of what waits in a pipe, and the lengths of the reads that give it. */
function peek(fd: number, size: number): { bytes: Uint8Array; packets: number[] } {
  if (bytesWaiting(fd) === 0) return { bytes: new Uint8Array(0), packets: [] };
  const ours = makePipe();
  try {
    if (fcntl(ours.write, F.GETPIPE_SZ) < size) fcntl(ours.write, F.SETPIPE_SZ, size);
    const waiting = rawSyscall(NR.tee, fd, ours.write, 0x7fff_f000, SPLICE_F_NONBLOCK);
    if (waiting === -ERRNO.EAGAIN) return { bytes: new Uint8Array(0), packets: [] };
    checkResult(waiting, NR.tee, `of a pipe with ${size} bytes of room`);
    const bytes = new Uint8Array(waiting);
    const packets: number[] = [];
    for (let done = 0; done < waiting; ) {
      const got = read(ours.read, bytes.subarray(done, done + PIECE));
      if (got === 0) throw new KernelError("read", "our copy of a pipe", ERRNO.EIO);
      packets.push(got);
      done += got;
    }
    return { bytes, packets };
  } finally {
    close(ours.read);
    close(ours.write);
  }
}

// --- restore

interface Place {
  readonly entry: PipeDataEntry;
  readonly payload: Payload;
}

/** Contents as the image has them. */
export class PipeDataRestore implements Disposable {
  readonly #places = new Map<number, Place>();
  readonly #file: string;
  readonly #reader: ReturnType<ImageDir["reader"]> | undefined;

  /** @throws ImageError, FileRestoreError */
  constructor(images: ImageDir, kind: ImageKind<PipeDataEntry>) {
    this.#file = fileName(kind);
    if (!images.has(kind)) return;
    const reader = images.reader(kind);
    this.#reader = reader;
    try {
      for (const { entry, payload } of reader) {
        if (this.#places.has(entry.pipe_id)) {
          throw new FileRestoreError(`${this.#file}: pipe ${entry.pipe_id} is there twice`);
        }
        this.#places.set(entry.pipe_id, { entry, payload });
      }
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  /** Whether anything waits in it. */
  hasContent(pipeId: number): boolean {
    return (this.#places.get(pipeId)?.entry.bytes ?? 0) > 0;
  }

  /** Gives a pipe, by an end that can be written to, the size and the content it had. @throws FileRestoreError */
  restore(pipeId: number, write: number): void {
    const place = this.#places.get(pipeId);
    if (place === undefined) return;
    const { entry, payload } = place;
    const what = `${this.#file}: pipe ${pipeId}`;
    const { size } = entry;
    if (size !== undefined) restoring(`${what}: its size ${size}`, () => fcntl(write, F.SETPIPE_SZ, size));
    if (entry.bytes === 0) return;
    if (bytesWaiting(write) > 0) {
      log.warn("files/pipe-data", `${what} is in use elsewhere and holds what was in it still`);
      return;
    }
    restoring(`${what}: its ${entry.bytes} bytes`, () => fill(write, entry, payload, what));
  }

  [Symbol.dispose](): void {
    this.#reader?.close();
  }
}

function fill(write: number, entry: PipeDataEntry, payload: Payload, what: string): void {
  // A write into a full pipe must fail, not wait.
  const flags = fcntl(write, F.GETFL);
  const packets = entry.packets.length > 0;
  fcntl(write, F.SETFL, flags | O.NONBLOCK | (packets ? O.DIRECT : 0));
  let done = 0;
  const pieces = packets ? entry.packets : evenPieces(entry.bytes);
  for (const length of pieces) {
    if (done + length > entry.bytes) break;
    writeAll(write, payload.bytes(done, length));
    done += length;
  }
  if (done !== entry.bytes) {
    throw new FileRestoreError(`${what}: packets of ${done} bytes where there are ${entry.bytes}`);
  }
  fcntl(write, F.SETFL, flags);
}

function* evenPieces(length: number): Generator<number> {
  for (let at = 0; at < length; at += PIECE) yield Math.min(PIECE, length - at);
}
