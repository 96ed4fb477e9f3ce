/** What the kernel offers for the memory of a process. */
import { packDevice } from "../linux/device.ts";
import { Fd } from "../linux/fd.ts";
import { AT, O, readText } from "../linux/io.ts";
import { MAP, PAGE_SIZE, readMemory, writeMemory } from "../linux/memory.ts";
import { MADV, MFD, MREMAP } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { PAGE_IS, PAGEMAP_SCAN, PM_SCAN, scanArgument } from "../linux/pagemap.ts";
import { ARCH, PR } from "../linux/prctl.ts";
import { ourMaps } from "../linux/proc.ts";
import { struct, u64, word } from "../linux/struct.ts";
import { addressOf } from "../linux/syscall.ts";
import { askFeatures, registerWrites, UFFD_FEATURE } from "../linux/userfaultfd.ts";
import { ChildProbe } from "./child-probe.ts";
import { attempt, call, descriptor, MissingError, Pages, refusal, wordIn } from "./probe.ts";

/** PR_SET_MM_MAP_SIZE, an argument of PR_SET_MM (include/uapi/linux/prctl.h). */
const PR_SET_MM_MAP_SIZE = 15;
/** struct page_region */
const pageRegion = struct({ start: word, end: word, categories: u64 });

/** Bytes of struct stat, which begins with the device and the inode. */
const FULL_STATUS_SIZE = 144;

export function mapFiles(): void {
  using page = new Pages(PAGE_SIZE, MAP.SHARED | MAP.ANONYMOUS);
  const name = `${page.address.toString(16)}-${(page.address + PAGE_SIZE).toString(16)}`;
  using _file = Fd.open(`/proc/self/map_files/${name}`, O.RDONLY);
}

export function otherMemory(): void {
  using child = new ChildProbe();
  const there = child.data(8);
  const pid = child.hold();
  writeMemory(pid, there.address, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const back = readMemory(pid, there.address, new Uint8Array(8));
  if (back[7] !== 8) throw new MissingError("what was written into a process is not what is read there");
}

export function setMemoryMap(): void {
  const size = new Uint8Array(4);
  call("PR_SET_MM_MAP_SIZE", NR.prctl, PR.SET_MM, PR_SET_MM_MAP_SIZE, size, 0, 0);
}

/** Maps the vDSO once more, in a child that has unmapped its own. */
export function mapVdso(): void {
  const parts = ourMaps().filter(({ path }) => path === "[vdso]" || path.startsWith("[vvar"));
  const [first] = parts;
  using child = new ChildProbe();
  for (const { start, end } of parts) child.call(NR.munmap, start, end - start);
  const mapped = child.call(NR.arch_prctl, ARCH.MAP_VDSO_64, first?.start ?? 0);
  child.run();
  if (mapped.raw < 0) throw refusal("arch_prctl ARCH_MAP_VDSO_64", mapped.raw);
}

/** arch_prctl(2): maps the vDSO of 32-bit programs. */
const ARCH_MAP_VDSO_32 = 0x2002;

export function mapVdso32(): void {
  const parts = ourMaps().filter(({ path }) => path === "[vdso]" || path.startsWith("[vvar"));
  using child = new ChildProbe();
  for (const { start, end } of parts) child.call(NR.munmap, start, end - start);
  const mapped = child.call(NR.arch_prctl, ARCH_MAP_VDSO_32, 0x1000_0000);
  child.run();
  if (mapped.raw < 0) throw refusal("arch_prctl ARCH_MAP_VDSO_32", mapped.raw);
}

/** One pass of PAGEMAP_SCAN over pages of ours: the categories of the first page that it tells of. */
function scan(page: Pages, flags: number, mask: bigint): { result: number; categories: bigint } {
  using file = Fd.open("/proc/self/pagemap", O.RDONLY);
  const region = new Uint8Array(pageRegion.size);
  const argument = scanArgument.encode({
    size: scanArgument.size,
    flags,
    start: page.address,
    end: page.address + page.length,
    vec: addressOf(region),
    vec_len: 1,
    category_anyof_mask: mask,
    return_mask: mask,
  });
  const result = attempt(NR.ioctl, file.number, PAGEMAP_SCAN, argument);
  return { result, categories: pageRegion.decode(region).categories };
}

export function pagemapScan(): void {
  using page = new Pages();
  page.touch();
  const { result, categories } = scan(page, 0, PAGE_IS.PRESENT | PAGE_IS.SWAPPED);
  if (result < 0) throw refusal("ioctl PAGEMAP_SCAN", result);
  if (categories === 0n) throw new MissingError("ioctl PAGEMAP_SCAN does not see a page that is there");
}

export function pagemapScanGuards(): void {
  using page = new Pages();
  const installed = attempt(NR.madvise, page.address, PAGE_SIZE, MADV.GUARD_INSTALL);
  const { result, categories } = scan(page, 0, PAGE_IS.GUARD);
  if (result < 0) throw refusal("ioctl PAGEMAP_SCAN with PAGE_IS_GUARD", result);
  if (installed === 0 && categories === 0n)
    throw new MissingError("ioctl PAGEMAP_SCAN does not see a guard that is there");
}

function openUserfault(features: number): { fd: Fd; offered: number } {
  const fd = descriptor("", NR.userfaultfd, 0);
  const offered = askFeatures(fd.number, features);
  if (offered >= 0) return { fd, offered };
  fd[Symbol.dispose]();
  throw refusal("ioctl UFFDIO_API", offered);
}

export function userfault(): void {
  openUserfault(0).fd[Symbol.dispose]();
}

/** The events by which who serves another's memory follows what that one does with it. */
export function userfaultEvents(): void {
  const { EVENT_FORK, EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP } = UFFD_FEATURE;
  const wanted = EVENT_FORK | EVENT_REMAP | EVENT_REMOVE | EVENT_UNMAP;
  const { fd, offered } = openUserfault(wanted);
  fd[Symbol.dispose]();
  if ((offered & wanted) !== wanted)
    throw new MissingError(`userfaultfd offers ${offered.toString(16)} only`);
}

/** Which pages were written to since they were looked at last: PAGEMAP_SCAN over memory that userfaultfd protects. */
function writeTracking(): void {
  using page = new Pages();
  page.touch();
  using fd = descriptor("", NR.userfaultfd, 0);
  registerWrites(fd.number, [{ start: page.address, end: page.address + page.length }]);
  const flags = PM_SCAN.WP_MATCHING | PM_SCAN.CHECK_WPASYNC;
  const first = scan(page, flags, PAGE_IS.WRITTEN);
  if (first.result < 0) throw refusal("ioctl PAGEMAP_SCAN of written pages", first.result);
  const clean = scan(page, flags, PAGE_IS.WRITTEN);
  page.touch();
  const written = scan(page, flags, PAGE_IS.WRITTEN);
  if (clean.result !== 0 || written.result !== 1)
    throw new MissingError("ioctl PAGEMAP_SCAN does not tell pages that were written to from others");
}

/** What has changed since a dump: tracked by the kernel, or compared with the images, for which memory has to be readable from outside. */
export function changedPages(): void {
  try {
    writeTracking();
  } catch {
    otherMemory();
  }
}

export function hugeMemfd(): void {
  using _file = descriptor("of huge pages", NR.memfd_create, "criu-check", MFD.HUGETLB);
}

/** A context of asynchronous input and output is where its ring is: it has to work where the ring is moved to. */
export function moveAioRing(): void {
  const context = new Uint8Array(8);
  call("of 16 events", NR.io_setup, 16, context);
  let at = wordIn(context);
  try {
    const line = new RegExp(`^0*${at.toString(16)}-([0-9a-f]+) .*\\[aio\\]`, "m").exec(
      readText("/proc/self/maps"),
    );
    if (line?.[1] === undefined) throw new MissingError("the ring of a context is not in /proc/self/maps");
    const length = Number.parseInt(line[1], 16) - at;
    const place = call("for a ring", NR.mmap, 0, length, 3, MAP.PRIVATE | MAP.ANONYMOUS, -1, 0);
    const moved = attempt(NR.mremap, at, length, length, MREMAP.MAYMOVE | MREMAP.FIXED, place);
    if (moved < 0) {
      attempt(NR.munmap, place, length);
      throw refusal("mremap of the ring of a context", moved);
    }
    at = moved;
    const got = attempt(NR.io_getevents, at, 0, 1, 0, 0);
    if (got < 0) throw refusal("io_getevents of a context that was moved", got);
  } finally {
    attempt(NR.io_destroy, at);
  }
}

/** The device and the inode of a mapped file of an overlay are those that stat(2) gives. */
export function overlayMaps(): void {
  using child = new ChildProbe();
  const maps = child.must("/proc/self/maps", NR.openat, AT.FDCWD, "/proc/self/maps", 0, 0);
  child.ownMounts();
  child.ownDirectory("/proc");
  for (const name of ["l", "u", "w", "m"]) child.must("mkdir", NR.mkdirat, AT.FDCWD, `/proc/${name}`, 0o700);
  const how = "lowerdir=/proc/l,upperdir=/proc/u,workdir=/proc/w";
  child.must("mount of an overlay", NR.mount, "none", "/proc/m", "overlay", 0, how);
  const flags = O.RDWR | O.CREAT;
  const file = child.must("a file of an overlay", NR.openat, AT.FDCWD, "/proc/m/criu-check", flags, 0o600);
  const status = child.data(FULL_STATUS_SIZE);
  child.must("fstat of it", NR.fstat, file, status.address);
  child.must("mmap of it", NR.mmap, 0, PAGE_SIZE, 3, MAP.SHARED, file, 0);
  const text = child.readAll(maps, 16);
  child.ask();
  const line = /^\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) .*criu-check$/m.exec(text());
  const [, major = "", minor = "", inode = ""] = line ?? [];
  const device = wordIn(status.bytes);
  const told = `${packDevice(Number.parseInt(major, 16), Number.parseInt(minor, 16))} ${inode}`;
  const real = `${device} ${wordIn(status.bytes, 8)}`;
  if (told !== real)
    throw new MissingError(`a mapped file of an overlay is ${told} in /proc/PID/maps, and ${real} for stat`);
}
