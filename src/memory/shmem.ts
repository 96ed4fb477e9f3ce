/**
 * Content of shared memory: objects of the kernel's tmpfs, which several processes map or which a memfd opens. Each is
 * stored once, under a number (shmid), as pagemap-shmem-SHMID.img, whose addresses are offsets in the object.
 *
 * Only what the object holds is stored and made again: a hole stays one.
 */
import { ImageError } from "../images/error.ts";
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { fstat, lseek, O, open, read, SEEK, selfPath, withFd, writeAll } from "../linux/io.ts";
import { MAP, PAGE_SIZE, PROT, pageUp } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { rawSyscall, syscall } from "../linux/syscall.ts";
import type { SharedCounts } from "../stats.ts";
import { type StoredPages, sinkOf } from "./page-sink.ts";
import { Pagemap, PE, RunList } from "./pages.ts";
import { FileBytes } from "./parent-pages.ts";

const ids = new WeakMap<ImageDir, { byObject: Map<string, number>; taken: Set<number> }>();
const FIRST_FREE_ID = 0x8000_0000;

/**
 * The shmid of a shared memory object in a dump: its inode number, as CRIU has it, or another where an object of
 * another kind has that already.
 */
export function shmidOf(images: ImageDir, device: number | string, inode: number): number {
  let known = ids.get(images);
  if (known === undefined) {
    known = { byObject: new Map(), taken: new Set() };
    ids.set(images, known);
  }
  const object = `${device}:${inode}`;
  const earlier = known.byObject.get(object);
  if (earlier !== undefined) return earlier;
  let id = inode;
  for (let next = FIRST_FREE_ID; known.taken.has(id); next++) id = next;
  known.taken.add(id);
  known.byObject.set(object, id);
  return id;
}

/** The ranges of a file that hold data, in whole pages. */
function dataRuns(fd: number, size: number): RunList {
  const runs = new RunList();
  for (let at = 0; at < size; ) {
    let start: number;
    try {
      start = lseek(fd, at, SEEK.DATA);
    } catch (error) {
      if (isErrno(error, ERRNO.ENXIO)) break;
      if (!isErrno(error, ERRNO.EINVAL)) throw error;
      // No holes are known here (hugetlbfs): all of it is data.
      runs.add(at, pageUp(size), PE.PRESENT);
      break;
    }
    const end = pageUp(Math.min(lseek(fd, start, SEEK.HOLE), size));
    start -= start % PAGE_SIZE;
    if (start < end) runs.add(start, end, PE.PRESENT);
    at = end;
  }
  return runs;
}

const CHUNK = 1 << 20;
/** As much as one call moves (MAX_RW_COUNT), in whole megabytes. */
const MOST = 0x7ff0_0000;

/** Copies bytes of shared memory to where `to` stands, by the kernel alone where it can. */
function copyOut(from: number, to: number, start: number, end: number, size: number): void {
  let at = start;
  syscall("shared memory", NR.lseek, from, at, SEEK.SET);
  while (at < Math.min(end, size)) {
    const sent = rawSyscall(NR.sendfile, to, from, 0, Math.min(MOST, Math.min(end, size) - at));
    if (sent <= 0) {
      if (sent !== -ERRNO.EINVAL && sent !== 0) throw new KernelError("sendfile", "of shared memory", -sent);
      break;
    }
    at += sent;
  }
  if (at === end) return;
  const buffer = new Uint8Array(Math.min(CHUNK, end - at));
  for (; at < end; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, end - at));
    part.fill(0);
    // What lies behind the end of the object, in its last page, is zero.
    for (let got = 0; got < part.length; ) {
      const more = read(from, part.subarray(got), at + got);
      if (more === 0) break;
      got += more;
    }
    writeAll(to, part);
  }
}

/** Drops runs of huge pages that hold nothing but zeros, which cannot be told from holes otherwise. */
function withoutZeros(fd: number, runs: RunList, unit: number): RunList {
  const kept = new RunList();
  const buffer = Buffer.alloc(Math.min(unit, CHUNK * 2));
  const zeros = Buffer.alloc(buffer.length);
  runs.start.forEach((start, i) => {
    for (let at = start; at < (runs.end[i] ?? start); at += buffer.length) {
      const got = read(fd, buffer, at);
      if (buffer.compare(zeros, 0, got, 0, got) !== 0) kept.add(at, at + pageUp(got), PE.PRESENT);
    }
  });
  return kept;
}

/** The pages of an object that are stored, as they stand in its pages file. */
class ObjectPages implements StoredPages {
  readonly #bytes: FileBytes;

  constructor(
    private readonly fd: number,
    private readonly size: number,
    readonly runs: RunList,
  ) {
    this.#bytes = new FileBytes(fd);
  }

  intoFile(fd: number): void {
    withFd(fd, (pages) => {
      this.#eachStored((start, end) => copyOut(this.fd, pages, start, end, this.size));
    });
  }

  readAt(into: Uint8Array, offset: number): number {
    let before = 0;
    let got = 0;
    this.#eachStored((start, end) => {
      const at = start + offset - before;
      before += end - start;
      if (at >= start && at < end) got = this.#bytes.readAt(into.subarray(0, end - at), at);
    });
    return got;
  }

  #eachStored(use: (start: number, end: number) => void): void {
    const { start, end, flags } = this.runs;
    start.forEach((from, i) => {
      if (flags[i] === PE.PRESENT) use(from, end[i] ?? from);
    });
  }
}

/** The same runs, with what the images of the dump before have apart from what is to be stored. */
function changedRuns(images: ImageDir, shmid: number, fd: number, runs: RunList): RunList {
  const open = () => new FileBytes(fd);
  using before = sinkOf(images).before(IMAGES.shmem_pagemap, shmid, Number.MAX_SAFE_INTEGER, open);
  if (before === undefined) return runs;
  const changed = new RunList();
  runs.start.forEach((start, i) => {
    before.eachPart(start, runs.end[i] ?? start, (from, to, isThere) => {
      changed.add(from, to, isThere ? PE.PARENT : PE.PRESENT);
    });
  });
  return changed;
}

/**
 * Stores the content of the shared memory object that `fd`, a descriptor of ours, is open on: `size` bytes of it,
 * as pagemap-shmem-`shmid`.img and a pages file. The descriptor's offset stays as it is. @throws KernelError
 */
export function dumpShmemContent(images: ImageDir, shmid: number, fd: number, size: number): SharedCounts {
  // lseek(2) on the descriptor itself would move its offset, which may be the process' own.
  return withFd(open(selfPath(fd), O.RDONLY), (own) => {
    let runs = dataRuns(own, size);
    const { blksize } = fstat(own);
    if (Number(blksize) > PAGE_SIZE) runs = withoutZeros(own, runs, Number(blksize));
    const stored = changedRuns(images, shmid, own, runs);
    sinkOf(images).store(IMAGES.shmem_pagemap, shmid, new ObjectPages(own, size, stored));
    return { scanned: pageUp(size) / PAGE_SIZE, written: stored.pages, inParent: stored.inParent };
  });
}

/** So much of an object is mapped at once to be filled: its pages count as ours while they are. */
const WINDOW = 64 << 20;

/**
 * Makes the object that `fd` is open on (for writing) `size` bytes long and fills it from the image. An object of no
 * size has no image. @throws KernelError, ImageError
 */
export function restoreShmemContent(images: ImageDir, shmid: number, fd: number, size: number): void {
  if (size === 0) return;
  syscall("shared memory", NR.ftruncate, fd, size);
  fillShmem(images, shmid, fd, size);
}

/** Fills an object of `size` bytes from the image. @throws KernelError, ImageError */
export function fillShmem(images: ImageDir, shmid: number, fd: number, size: number): void {
  using map = Pagemap.read(images, IMAGES.shmem_pagemap, shmid, pageUp(size));
  const { blksize } = fstat(fd);
  const unit = Math.max(PAGE_SIZE, Number(blksize));
  map.vaddr.forEach((start, i) => {
    const end = start + (map.bytes[i] ?? 0);
    const offset = map.offset[i] ?? 0;
    const source = map.sourceAt(offset);
    for (let at = start; at < end; ) {
      const base = at - (at % unit);
      const part = Math.min(end, base + WINDOW);
      const length = Math.ceil((part - base) / unit) * unit;
      const address = syscall(
        "shared memory",
        NR.mmap,
        0,
        length,
        PROT.READ | PROT.WRITE,
        MAP.SHARED,
        fd,
        base,
      );
      try {
        for (let done = at; done < part; ) {
          const got = syscall(
            source.file,
            NR.pread64,
            source.fd,
            address + done - base,
            part - done,
            offset - source.base + done - start,
          );
          if (got === 0) throw new ImageError("the file is cut short", { file: source.file });
          done += got;
        }
      } finally {
        rawSyscall(NR.munmap, address, length);
      }
      at = part;
    }
  });
}

/**
 * A shared anonymous mapping of ours, of `size` bytes and without content, as a descriptor: what MAP_SHARED with
 * MAP_ANONYMOUS makes, rather than a memfd, so that /proc/PID/maps shows it as it was. `hugeFlags` are the MAP_HUGE*
 * flags, or 0. The caller closes it. @throws KernelError
 */
export function createSharedMemory(size: number, flags: number): number {
  const length = pageUp(size);
  const address = syscall(
    "shared memory",
    NR.mmap,
    0,
    length,
    PROT.READ | PROT.WRITE,
    MAP.SHARED | MAP.ANONYMOUS | flags,
    -1,
    0,
  );
  try {
    const path = `/proc/self/map_files/${address.toString(16)}-${(address + length).toString(16)}`;
    return open(path, O.RDWR);
  } finally {
    rawSyscall(NR.munmap, address, length);
  }
}
