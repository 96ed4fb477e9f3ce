/**
 * Moving pages of a process into its pages file.
 *
 * Much memory is written by the process itself, by pwritev(2) straight from its pages: one copy. Little is read from
 * outside (process_vm_readv(2)) and written by us, which needs no descriptor inside. Memory that the process may not
 * read is read through /proc/PID/mem.
 */
import { ERRNO, KernelError } from "../linux/errno.ts";
import { close, O, open, writeAll } from "../linux/io.ts";
import { IOV_MAX, iovec } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { viewOf } from "../linux/struct.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";

const WINDOW = 1 << 20;
const vectors = new Uint8Array((IOV_MAX + 1) * iovec.size);
const vectorsView = viewOf(vectors);
let window: Uint8Array | undefined;

function putWord(at: number, value: number): void {
  vectorsView.setUint32(at, value % 0x1_0000_0000, true);
  vectorsView.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Reads one range through /proc/PID/mem, which no protection stops. */
function readForced(pid: number, mem: number, address: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    const part = into.subarray(done);
    const got = rawSyscall(NR.pread64, mem, addressOf(part), part.length, address + done);
    if (got <= 0) {
      const place = `memory of process ${pid} at 0x${(address + done).toString(16)}`;
      throw new KernelError("pread64", place, got === 0 ? ERRNO.EIO : -got);
    }
    done += got;
  }
}

/**
 * Reads ranges of a process' memory, in order, and hands them to `sink` in pieces of at most a megabyte, which the
 * next piece overwrites. @throws KernelError
 */
export function readRanges(
  pid: number,
  start: readonly number[],
  end: readonly number[],
  sink: (bytes: Uint8Array) => void,
): void {
  window ??= new Uint8Array(WINDOW);
  const buffer = window;
  const address = addressOf(buffer);
  let mem: number | undefined;
  try {
    let filled = 0;
    let count = 0;
    const flush = () => {
      if (count === 0) return;
      const piece = buffer.subarray(0, filled);
      putWord(0, address);
      putWord(8, filled);
      const table = addressOf(vectors);
      const got = rawSyscall(NR.process_vm_readv, pid, table, 1, table + iovec.size, count, 0);
      if (got !== filled) {
        mem ??= open(`/proc/${pid}/mem`, O.RDONLY);
        let at = 0;
        for (let i = 1; i <= count; i++) {
          const { base, length } = iovec.decode(vectors, i * iovec.size);
          readForced(pid, mem, base, piece.subarray(at, at + length));
          at += length;
        }
      }
      sink(piece);
      filled = 0;
      count = 0;
    };
    for (let i = 0; i < start.length; i++) {
      const last = end[i] ?? 0;
      for (let at = start[i] ?? 0; at < last; ) {
        const length = Math.min(last - at, WINDOW - filled);
        count++;
        putWord(count * iovec.size, at);
        putWord(count * iovec.size + 8, length);
        filled += length;
        at += length;
        if (filled === WINDOW || count === IOV_MAX) flush();
      }
    }
    flush();
  } finally {
    if (mem !== undefined) close(mem);
  }
}

/** Copies ranges of a process' memory to a file of ours, one behind the other. @throws KernelError */
export function copyFromOutside(
  pid: number,
  start: readonly number[],
  end: readonly number[],
  fd: number,
  offset: number,
): void {
  let at = offset;
  readRanges(pid, start, end, (bytes) => {
    writeAll(fd, bytes, at);
    at += bytes.length;
  });
}
