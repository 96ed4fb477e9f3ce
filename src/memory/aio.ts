/**
 * Rings of Linux asynchronous I/O (io_setup(2)): a context is known by the address of its ring, which the kernel maps. The ring holds
 * what has been completed and not yet fetched; what is under way nobody can see, and it is completed in any case.
 */
import type { AioRingEntry } from "../images/schema/generated/memory.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { AT, O } from "../linux/io.ts";
import { PAGE_SIZE, readMemory, writeMemory } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import { s64, struct, u16, u32, u64, word } from "../linux/struct.ts";
import { cString } from "../linux/syscall.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { MemoryError } from "./errors.ts";

/** struct aio_ring (fs/aio.c), which libaio reads as well; struct io_event of 32 bytes follow. */
const ring = struct({
  id: u32,
  nr: u32,
  head: u32,
  tail: u32,
  magic: u32,
  compatFeatures: u32,
  incompatFeatures: u32,
  headerLength: u32,
});
const MAGIC = 0xa10a_10a1;
const EVENT_SIZE = 32;
/** struct iocb (include/uapi/linux/aio_abi.h). */
const iocb = struct({
  data: u64,
  key: u32,
  rwFlags: u32,
  opcode: u16,
  priority: u16,
  fd: u32,
  buffer: word,
  bytes: u64,
  offset: s64,
  reserved: u64,
  flags: u32,
  eventFd: u32,
});
const IOCB_CMD_PWRITE = 1;
const MREMAP_MAYMOVE_FIXED = 3;
/** Requests in one io_submit(2). */
const BATCH = 64;
/** How often the kernel may take none of them. */
const PATIENCE = 1000;

export function isRing({ path }: Mapping): boolean {
  return path.startsWith("/[aio]");
}

/** The entry of a ring. @throws MemoryError for one that is none */
export function ringEntry(pid: HostPid, { start, end }: Mapping): AioRingEntry {
  const { magic, nr, headerLength } = ring.decode(readMemory(pid, start, new Uint8Array(ring.size)));
  const events = eventsIn(end - start);
  if (magic !== MAGIC || headerLength !== ring.size || nr !== events)
    throw new MemoryError(pid, `a ring of asynchronous I/O at ${start.toString(16)} is of unknown form`);
  // The kernel doubles what is asked for, adds two, and fills pages up with it.
  return { id: BigInt(start), nr_req: (events - 2) >> 1, ring_len: end - start };
}

function eventsIn(bytes: number): number {
  return Math.floor((bytes - ring.size) / EVENT_SIZE);
}

/**
 * Makes a context where its ring was: there lies now, as ordinary memory, what the ring held. Makes calls in the process.
 * @throws MemoryError, KernelError
 */
export function restoreRing(restoree: Restoree, entry: AioRingEntry): void {
  const { pid, table } = restoree;
  const address = Number(entry.id);
  const length = entry.ring_len;
  const fail = (what: string): never => {
    throw new MemoryError(
      restoree.number,
      `its ring of asynchronous I/O at ${address.toString(16)}: ${what}`,
    );
  };
  if (length < PAGE_SIZE || length % PAGE_SIZE !== 0) fail(`it has ${length} bytes`);
  const content = readMemory(pid, address, new Uint8Array(length));
  const { nr, head, tail } = ring.decode(content);
  if (nr !== eventsIn(length) || head >= nr || tail >= nr)
    fail(`head ${head} and tail ${tail} of ${nr} events`);
  const context = table.space(8);
  table.must("its ring of asynchronous I/O", NR.io_setup, entry.nr_req, context.address);
  table.run();
  const made = word.read(context.bytes, 0);
  const now = ring.decode(readMemory(pid, made, new Uint8Array(ring.size)));
  if (now.nr !== nr) fail(`the kernel makes one of ${now.nr} events where it had ${nr}`);
  turn(restoree, made, nr, head, tail);
  writeMemory(pid, made + ring.size, content.subarray(ring.size));
  table.must("its ring of asynchronous I/O", NR.mremap, made, length, length, MREMAP_MAYMOVE_FIXED, address);
  table.run();
}

/** Has the kernel's own tail come to where it was: by as many writes to /dev/null, which are completed at once. */
function turn(restoree: Restoree, made: number, nr: number, head: number, tail: number): void {
  const count = tail < head ? nr + tail : tail;
  if (count === 0) return;
  const { pid, table } = restoree;
  const null_ = table.must(
    "/dev/null",
    NR.openat,
    AT.FDCWD,
    table.data(cString("/dev/null")),
    O.WRONLY | O.CLOEXEC,
  );
  table.run();
  const fd = null_.value;
  for (let done = 0, idle = 0; done < count; ) {
    const request = table.data(
      iocb.encode({
        data: 0n,
        key: 0,
        rwFlags: 0,
        opcode: IOCB_CMD_PWRITE,
        priority: 0,
        fd,
        buffer: made,
        bytes: 1n,
        offset: 0n,
        reserved: 0n,
        flags: 0,
        eventFd: 0,
      }),
    );
    const some = Math.min(count - done, BATCH);
    const pointers = table.data(
      new Uint8Array(new BigUint64Array(some).fill(BigInt(request.address)).buffer),
    );
    const submitted = table.call(NR.io_submit, made, some, pointers);
    table.run();
    if (submitted.failed && submitted.raw !== -ERRNO.EAGAIN)
      submitted.checked("its ring of asynchronous I/O");
    done += Math.max(submitted.raw, 0);
    if (submitted.raw <= 0 && ++idle > PATIENCE)
      throw new KernelError("io_submit", `in process ${pid}`, ERRNO.EAGAIN);
    // As if all of them had been fetched, so that there is room; in the end those that really were.
    const position = done < count ? done % nr : head;
    writeMemory(pid, made + ring.offset.head, new Uint8Array(Uint32Array.of(position).buffer));
  }
  table.must("/dev/null", NR.close, fd);
  table.run();
}
