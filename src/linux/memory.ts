/** Reading and writing the memory of other processes (process_vm_readv(2)); needs ptrace access to them. */

import { ERRNO, KernelError } from "./errno.ts";
import { instant } from "./instants.ts";
import { iovec } from "./iovec.ts";
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

export const PAGE_SIZE = 4096;
/** What one entry of a page table of the second level maps. */
export const HUGE_PAGE_SIZE = 2 << 20;
/** One past the highest user-space address with 4-level page tables, less the guard page. */
export const TASK_SIZE = 0x7fff_ffff_f000;

export const PROT = { NONE: 0, READ: 1, WRITE: 2, EXEC: 4, GROWSDOWN: 0x01000000 } as const;
export const MAP = {
  SHARED: 1,
  PRIVATE: 2,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  GROWSDOWN: 0x100,
  LOCKED: 0x2000,
  NORESERVE: 0x4000,
  STACK: 0x20000,
  HUGETLB: 0x40000,
  FIXED_NOREPLACE: 0x100000,
} as const;

const vectors = new Uint8Array(2 * iovec.size);
const localVector = addressOf(vectors);
const remoteVector = localVector + iovec.size;

function transfer(
  nr: number,
  name: string,
  pid: HostPid,
  address: number,
  local: number,
  length: number,
): void {
  let done = 0;
  while (done < length) {
    iovec.write(vectors, 0, { base: local + done, length: length - done });
    iovec.write(vectors, iovec.size, { base: address + done, length: length - done });
    const got = rawSyscall(nr, pid, localVector, 1, remoteVector, 1, 0);
    if (got <= 0) {
      const place = `memory of process ${pid} at 0x${(address + done).toString(16)}`;
      throw new KernelError(name, place, got === 0 ? ERRNO.EFAULT : -got);
    }
    done += got;
  }
}

/** Fills `buffer` from memory of process `pid`. @throws KernelError when any byte cannot be read */
export function readMemory(pid: HostPid, address: number, buffer: Uint8Array): Uint8Array {
  transfer(NR.process_vm_readv, "process_vm_readv", pid, address, addressOf(buffer), buffer.length);
  return buffer;
}

/** Writes `buffer` to writable memory of process `pid`. @throws KernelError when any byte cannot be written */
export function writeMemory(pid: HostPid, address: number, buffer: Uint8Array): void {
  instant();
  transfer(NR.process_vm_writev, "process_vm_writev", pid, address, addressOf(buffer), buffer.length);
}

/** A place in another process' memory. */
export interface Piece {
  readonly address: number;
  readonly length: number;
}

/** UIO_MAXIOV. */
const MOST_PIECES = 1024;

/**
 * As readMemory and writeMemory for many places, in turn with the bytes of `buffers`, one behind the other; both have as
 * many bytes. @throws KernelError when any byte cannot be read or written
 */
function transferPieces(
  nr: number,
  name: string,
  pid: HostPid,
  pieces: readonly Piece[],
  buffers: readonly Uint8Array[],
): void {
  const [whole] = buffers;
  if (pieces.length > MOST_PIECES && buffers.length === 1 && whole !== undefined) {
    let done = 0;
    for (let from = 0; from < pieces.length; from += MOST_PIECES) {
      const some = pieces.slice(from, from + MOST_PIECES);
      const length = some.reduce((sum, piece) => sum + piece.length, 0);
      transferPieces(nr, name, pid, some, [whole.subarray(done, done + length)]);
      done += length;
    }
    return;
  }
  const list = new Uint8Array((buffers.length + pieces.length) * iovec.size);
  let wanted = 0;
  buffers.forEach((buffer, i) => {
    iovec.encodeInto(list, i * iovec.size, { base: addressOf(buffer), length: buffer.length });
    wanted += buffer.length;
  });
  pieces.forEach(({ address, length }, i) => {
    iovec.encodeInto(list, (buffers.length + i) * iovec.size, { base: address, length });
  });
  const local = addressOf(list);
  const remote = local + buffers.length * iovec.size;
  const got = rawSyscall(nr, pid, local, buffers.length, remote, pieces.length, 0);
  if (got !== wanted) throw new KernelError(name, `memory of process ${pid}`, got < 0 ? -got : ERRNO.EFAULT);
}

/** Fills `buffers` from the places, in turn. @throws KernelError */
export function readPieces(pid: HostPid, pieces: readonly Piece[], ...buffers: Uint8Array[]): void {
  transferPieces(NR.process_vm_readv, "process_vm_readv", pid, pieces, buffers);
}

/** Writes `buffers` to the places, in turn. @throws KernelError */
export function writePieces(pid: HostPid, pieces: readonly Piece[], ...buffers: Uint8Array[]): void {
  instant();
  transferPieces(NR.process_vm_writev, "process_vm_writev", pid, pieces, buffers);
}

let scattered = new Uint8Array(0);
/** Bytes that {@link Scatter} gathers before it writes: what a processor keeps close. */
const SCATTER_SIZE = 0x4_0000;

/**
 * Many pieces for the memory of a process, made one after the other in the same few pages of ours: what is made for
 * hundreds of threads would otherwise take fresh memory, and a page fault for each page of it. One at a time.
 */
export class Scatter {
  #pieces: Piece[] = [];
  #end = 0;
  readonly #pid: HostPid;

  constructor(pid: HostPid) {
    this.#pid = pid;
  }

  /** Where pieces are made; another buffer after one too large for it. */
  get bytes(): Uint8Array {
    return scattered;
  }

  /**
   * A place in `bytes` for a piece that goes to `address`, zeroed, directly behind the one before: where it begins. Whoever
   * asks fills it before the next is asked for. @throws KernelError
   */
  piece(address: number, length: number): number {
    if (this.#end + length > scattered.length || this.#pieces.length === MOST_PIECES) this.flush();
    if (length > scattered.length) scattered = new Uint8Array(Math.max(length, SCATTER_SIZE));
    const at = this.#end;
    this.bytes.fill(0, at, at + length);
    this.#pieces.push({ address, length });
    this.#end += length;
    return at;
  }

  /** Writes what was made. @throws KernelError when any byte cannot be written */
  flush(): void {
    if (this.#end > 0) writePieces(this.#pid, this.#pieces, this.bytes.subarray(0, this.#end));
    this.#pieces = [];
    this.#end = 0;
  }
}

let zeros = new Uint8Array(PAGE_SIZE);

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  if (zeros.length < bytes.length) zeros = new Uint8Array(bytes.length);
  return Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0;
}

/** The huge page that an address lies in. */
export function hugePageDown(address: number): number {
  return address - (address % HUGE_PAGE_SIZE);
}

export function pageDown(address: number): number {
  return address - (address % PAGE_SIZE);
}

export function pageUp(address: number): number {
  return pageDown(address + PAGE_SIZE - 1);
}
