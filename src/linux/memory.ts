/** Reading and writing the memory of other processes (process_vm_readv(2)); needs ptrace access to them. */
import { instant } from "../faults.ts";
import { ERRNO, KernelError } from "./errno.ts";
import { NR } from "./nr.ts";
import { struct, word } from "./struct.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

export const PAGE_SIZE = 4096;
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

const iovec = struct({ base: word, length: word });
const vectors = new Uint8Array(2 * iovec.size);
const localVector = addressOf(vectors);
const remoteVector = localVector + iovec.size;

function transfer(
  nr: number,
  name: string,
  pid: number,
  address: number,
  local: number,
  length: number,
): void {
  let done = 0;
  while (done < length) {
    iovec.encodeInto(vectors, 0, { base: local + done, length: length - done });
    iovec.encodeInto(vectors, iovec.size, { base: address + done, length: length - done });
    const got = rawSyscall(nr, pid, localVector, 1, remoteVector, 1, 0);
    if (got <= 0) {
      const place = `memory of process ${pid} at 0x${(address + done).toString(16)}`;
      throw new KernelError(name, place, got === 0 ? ERRNO.EFAULT : -got);
    }
    done += got;
  }
}

/** Fills `buffer` from memory of process `pid`. @throws KernelError when any byte cannot be read */
export function readMemory(pid: number, address: number, buffer: Uint8Array): Uint8Array {
  transfer(NR.process_vm_readv, "process_vm_readv", pid, address, addressOf(buffer), buffer.length);
  return buffer;
}

/** Writes `buffer` to writable memory of process `pid`. @throws KernelError when any byte cannot be written */
export function writeMemory(pid: number, address: number, buffer: Uint8Array): void {
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
 * As readMemory and writeMemory for many places, which follow each other without a gap in `buffer`; a piece of no bytes is
 * none. @throws KernelError when any byte cannot be read or written
 */
function transferPieces(
  nr: number,
  name: string,
  pid: number,
  pieces: readonly Piece[],
  buffer: Uint8Array,
): void {
  const local = addressOf(buffer);
  let done = 0;
  for (let from = 0; from < pieces.length; from += MOST_PIECES) {
    const chunk = pieces.slice(from, from + MOST_PIECES);
    const length = chunk.reduce((sum, piece) => sum + piece.length, 0);
    const list = new Uint8Array((1 + chunk.length) * iovec.size);
    iovec.encodeInto(list, 0, { base: local + done, length });
    chunk.forEach(({ address, length: size }, i) => {
      iovec.encodeInto(list, (1 + i) * iovec.size, { base: address, length: size });
    });
    const at = addressOf(list);
    const got = rawSyscall(nr, pid, at, 1, at + iovec.size, chunk.length, 0);
    if (got !== length)
      throw new KernelError(name, `memory of process ${pid}`, got < 0 ? -got : ERRNO.EFAULT);
    done += length;
  }
}

/** Fills `buffer` from the places in turn. @throws KernelError */
export function readPieces(pid: number, pieces: readonly Piece[], buffer: Uint8Array): void {
  transferPieces(NR.process_vm_readv, "process_vm_readv", pid, pieces, buffer);
}

/** Writes `buffer` to the places in turn. @throws KernelError */
export function writePieces(pid: number, pieces: readonly Piece[], buffer: Uint8Array): void {
  instant();
  transferPieces(NR.process_vm_writev, "process_vm_writev", pid, pieces, buffer);
}

export function pageDown(address: number): number {
  return address - (address % PAGE_SIZE);
}

export function pageUp(address: number): number {
  return pageDown(address + PAGE_SIZE - 1);
}
