/**
 * Moving pages of a process into its pages file.
 *
 * Much memory is written by the process itself, by pwritev(2) straight from its pages: one copy. Little is read from
 * outside, through /proc/PID/mem, and written by us, which needs no descriptor inside; so is what the process may not
 * read. Not by process_vm_readv(2): that pins the pages, and since Linux 5.19 a pinned page is first copied away from
 * those who share it copy-on-write, which costs time and doubles the memory of a tree of forked processes.
 */
import { ERRNO, KernelError } from "../linux/errno.ts";
import { O, open, readText, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { lend, takeBack } from "../tracee/descriptors.ts";
import type { Dumpee } from "../tracee/dumpee.ts";
import type { Result } from "../tracee/table.ts";
import { Pieces } from "./pieces.ts";

/** From so many bytes on it pays to have the process write. */
const WRITE_INSIDE = 2 << 20;
const WINDOW = 1 << 20;
let window: Uint8Array | undefined;

/** Fills `into` through /proc/PID/mem, which no protection stops. @throws KernelError */
function readThrough(mem: number, pid: number, address: number, into: Uint8Array): void {
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

/** Copies pieces of a process' memory to a file of ours. @throws KernelError */
function copyFromOutside(pid: number, pieces: Pieces, fd: number): void {
  if (pieces.length === 0) return;
  window ??= new Uint8Array(WINDOW);
  const buffer = window;
  let filled = 0;
  let begin = 0;
  const flush = () => {
    if (filled > 0) writeAll(fd, buffer.subarray(0, filled), begin);
    filled = 0;
  };
  withFd(open(`/proc/${pid}/mem`, O.RDONLY), (mem) => {
    for (let i = 0; i < pieces.length; i++) {
      const from = pieces.address[i] ?? 0;
      const size = pieces.bytes[i] ?? 0;
      const offset = pieces.offset[i] ?? 0;
      if (offset !== begin + filled) flush();
      for (let done = 0; done < size; ) {
        if (filled === 0) begin = offset + done;
        const length = Math.min(size - done, WINDOW - filled);
        readThrough(mem, pid, from + done, buffer.subarray(filled, filled + length));
        filled += length;
        done += length;
        if (filled === WINDOW) flush();
      }
    }
  });
  flush();
}

let ourGroups: string | undefined;

/**
 * Whether the pages that the process would fill are charged to the memory cgroup that ours are charged to. If not, they
 * would weigh on a limit of its own.
 */
function chargedAlike(pid: number): boolean {
  const groupsOf = (who: number | "self") =>
    readText(`/proc/${who}/cgroup`)
      .split("\n")
      .filter((line) => line.startsWith("0::") || line.includes(":memory:"))
      .join("\n");
  ourGroups ??= groupsOf("self");
  return groupsOf(pid) === ourGroups;
}

/** What one pwritev(2) inside was to do. */
interface Write {
  readonly result: Result;
  readonly first: number;
  readonly count: number;
  readonly bytes: number;
}

/**
 * Has the process write pieces of its memory to the file `inside`, which it has from us. Gives what it could not read
 * after all (memory under a protection key). @throws KernelError
 */
function copyFromInside({ table }: Dumpee, pieces: Pieces, inside: number): Pieces {
  const rest = new Pieces();
  let writes: Write[] = [];
  const settle = () => {
    table.run();
    for (const { result, first, count, bytes } of writes) {
      if (result.failed && result.raw !== -ERRNO.EFAULT)
        throw new KernelError("pwritev", "of pages", -result.raw);
      let done = result.failed ? 0 : result.raw;
      if (done === bytes) continue;
      for (let i = first; i < first + count; i++) {
        const length = pieces.bytes[i] ?? 0;
        const skip = Math.min(done, length);
        done -= skip;
        if (skip < length)
          rest.add((pieces.address[i] ?? 0) + skip, length - skip, (pieces.offset[i] ?? 0) + skip);
      }
    }
    writes = [];
  };
  let first = 0;
  pieces.eachGroup((group, count, bytes, offset) => {
    if (table.free < group.length + 512) settle();
    const result = table.call(NR.pwritev, inside, table.data(group), count, offset, 0);
    writes.push({ result, first, count, bytes });
    first += count;
  });
  settle();
  return rest;
}

/**
 * Copies pieces of a process' memory to where they belong in `fd`, a file of ours. `readable` are those that the
 * process may read itself. @throws KernelError
 */
export function copyPages(dumpee: Dumpee, readable: Pieces, unreadable: Pieces, fd: number): void {
  const { pid } = dumpee;
  const bytes = readable.bytes.reduce((sum, length) => sum + length, 0);
  const end = bytes + unreadable.bytes.reduce((sum, length) => sum + length, 0);
  const inside = bytes >= WRITE_INSIDE && chargedAlike(pid) ? lend(dumpee, fd, end) : undefined;
  let rest = readable;
  if (inside !== undefined) {
    rest = copyFromInside(dumpee, readable, inside);
    takeBack(dumpee, inside);
  }
  copyFromOutside(pid, rest, fd);
  copyFromOutside(pid, unreadable, fd);
}
