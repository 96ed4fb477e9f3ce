/**
 * System V shared memory, where only the processes of the tree have it attached: ipcns-shm-ID.img for the segments,
 * pagemap-shmem-SHMID.img for their content. The mappings themselves stand in mm-PID.img.
 *
 * A segment keeps its id. One that was removed (and lives until its last attachment ends) is made again and removed
 * again; one that still exists at restore is attached as it is.
 */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { IpcShmEntry } from "../images/schema/generated/namespaces.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { AT, close, fstat, O, open, withFd, writeAll } from "../linux/io.ts";
import { PAGE_SIZE, pageUp } from "../linux/memory.ts";
import { IPC, MAP_MORE, SHM } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import { cString, rawSyscall, syscall } from "../linux/syscall.ts";
import { findSegment, removeSegment, type Segment, setSegmentOwner, statSegment } from "../linux/sysv-shm.ts";
import { log } from "../log.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import { call, type UndoStep } from "../undo/calls.ts";
import type { Undo } from "../undo/undo.ts";
import { MemoryError, naming, rangeText } from "./errors.ts";
import { dumpShmemContent, fillShmem, type ShmemCounts } from "./shmem.ts";

/** The number under which images have our own IPC namespace (namespaces/ids.ts). */
const IPC_NAMESPACE = 3;
const SHM_HUGETLB = 0o4000;
/** Permission bits, and that the segment is to end with its last attachment. */
const MODE = 0o777 | SHM.DEST;

interface Noted {
  readonly pid: HostPid;
  readonly mapping: Mapping;
  /** Mappings in the tree; the kernel counts each as an attachment. */
  attachments: number;
}

/** Collects the segments that the processes have attached. */
export class SysvDump {
  readonly #segments = new Map<number, Noted>();
  readonly #seen = new Set<string>();

  constructor(private readonly images: ImageDir) {}

  note(dumpee: Dumpee, mapping: Mapping): void {
    // Processes that share their memory share the attachment.
    const place = `${dumpee.ids.vm}:${mapping.start}`;
    if (this.#seen.has(place)) return;
    this.#seen.add(place);
    const known = this.#segments.get(mapping.inode);
    if (known === undefined) this.#segments.set(mapping.inode, { pid: dumpee.pid, mapping, attachments: 1 });
    else known.attachments++;
  }

  /** Saves the segments and their content. @throws MemoryError for one that others have attached as well */
  finish(): ShmemCounts[] {
    const entries: IpcShmEntry[] = [];
    const counts: ShmemCounts[] = [];
    for (const [id, noted] of this.#segments) {
      const { pid, mapping } = noted;
      naming(pid, mapping, () => {
        entries.push(segmentEntry(id, noted));
        const path = `/proc/${pid}/map_files/${rangeText(mapping)}`;
        withFd(open(path, O.RDONLY), (fd) => {
          counts.push(dumpShmemContent(this.images, id, fd, fstat(fd).size));
        });
      });
    }
    this.images.writeAll(IMAGES.ipcns_shm, entries, IPC_NAMESPACE);
    return counts;
  }
}

function segmentEntry(id: number, { pid, mapping, attachments }: Noted): IpcShmEntry {
  const segment = statSegment(id);
  if (segment.attached > attachments) {
    const others = segment.attached - attachments;
    throw new MemoryError(
      pid,
      `mapping ${rangeText(mapping)}: System V segment ${id} is attached ${others} times outside of the tree`,
    );
  }
  // A removed segment has no key any more, but its mappings keep the name made of it.
  const name = /^\/SYSV([0-9a-f]{8})/.exec(mapping.path)?.[1] ?? "0";
  const key = (segment.mode & SHM.DEST) !== 0 ? Number.parseInt(name, 16) : segment.key >>> 0;
  const entry: IpcShmEntry = {
    desc: {
      key,
      uid: segment.uid,
      gid: segment.gid,
      cuid: segment.cuid,
      cgid: segment.cgid,
      mode: segment.mode & MODE,
      id,
    },
    size: BigInt(segment.size),
    in_pagemaps: true,
  };
  if (mapping.flags.has("ht")) {
    const { blksize } = withFd(open(`/proc/${pid}/map_files/${rangeText(mapping)}`, O.RDONLY), fstat);
    entry.hugetlb_flag = Math.round(Math.log2(blksize)) << MAP_MORE.HUGE_SHIFT;
  }
  return entry;
}

const NEXT_ID = "/proc/sys/kernel/shm_next_id";
const text = new TextEncoder();

function setNextId(id: number): void {
  withFd(open(NEXT_ID, O.WRONLY), (fd) => writeAll(fd, text.encode(`${id}\n`)));
}

/** Removes a segment that is about to be made, and sees to it that nobody else gets its id if it is not. */
function undoingSegment(id: number): UndoStep[] {
  const next = call(NR.openat, AT.FDCWD, cString(NEXT_ID), O.WRONLY | O.CLOEXEC);
  return [
    call(NR.shmctl, id, IPC.RMID, 0).allowing(ERRNO.EINVAL, ERRNO.EIDRM),
    next,
    call(NR.write, next, text.encode("-1\n"), 3),
    call(NR.close, next),
  ];
}

/** Makes a segment with the id and key of the image. @throws KernelError */
function createSegment(entry: IpcShmEntry): void {
  const { desc, size, hugetlb_flag: huge } = entry;
  let flags = IPC.CREAT | IPC.EXCL | (desc.mode & 0o777);
  if (huge !== undefined) flags |= SHM_HUGETLB | huge;
  const make = (key: number) => {
    setNextId(desc.id);
    return syscall(`segment ${desc.id}`, NR.shmget, key, Number(size), flags);
  };
  let made: number;
  try {
    try {
      made = make(desc.key | 0);
    } catch (error) {
      // A removed segment has no claim on its key.
      if ((desc.mode & SHM.DEST) === 0 || !isErrno(error, ERRNO.EEXIST)) throw error;
      made = make(IPC.PRIVATE);
    }
  } catch (error) {
    setNextId(-1);
    throw error;
  }
  if (made !== desc.id) {
    removeSegment(made);
    throw new Error(`System V segment ${desc.id} cannot have its id again`);
  }
}

/** Whether a segment that exists is the one of the image. One that was removed has no key to tell it by. */
function isSegment(segment: Segment, { desc, size }: IpcShmEntry): boolean {
  const removed = (desc.mode & SHM.DEST) !== 0;
  return (
    segment.size === Number(size) &&
    segment.uid === desc.uid &&
    segment.gid === desc.gid &&
    segment.cuid === desc.cuid &&
    segment.cgid === desc.cgid &&
    (segment.mode & MODE) === (desc.mode & MODE) &&
    (removed || segment.key >>> 0 === desc.key)
  );
}

/** Makes the segments of an image available to be attached, and lets removed ones go in the end. */
export class SysvRestore {
  readonly #entries = new Map<number, IpcShmEntry>();
  /** Those that are there to be attached. */
  readonly #ready = new Map<number, IpcShmEntry>();

  constructor(
    private readonly images: ImageDir,
    private readonly undo: Undo,
  ) {
    for (const { entry } of images.readWithPayload(IMAGES.ipcns_shm, IPC_NAMESPACE))
      this.#entries.set(entry.desc.id, entry);
  }

  /** Size in bytes of a segment of the image, undefined where it has none. */
  size(id: number): number | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : Number(entry.size);
  }

  /** The segment exists, with its content. @throws KernelError, ImageError */
  ready(id: number): void {
    if (this.#ready.has(id)) return;
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new Error(`System V segment ${id} is not in the image`);
    const there = findSegment(id);
    if (there !== undefined && !isSegment(there, entry))
      throw new Error(`System V segment ${id} exists and is another one`);
    if (there === undefined) {
      this.undo.lay(`System V segment ${id}`, undoingSegment(id));
      createSegment(entry);
    }
    this.#ready.set(id, entry);
    if (there === undefined) setSegmentOwner(id, entry.desc);
    // Somebody else's work on a segment that lived on is not undone.
    if (there === undefined || there.attached === 0) this.#fill(id, entry);
    else log.warn("memory/sysv", `segment ${id} is in use: its content stays as it is`);
  }

  #fill(id: number, entry: IpcShmEntry): void {
    const size = Number(entry.size);
    const address = syscall(`segment ${id}`, NR.shmat, id, 0, 0);
    try {
      const unit = entry.hugetlb_flag === undefined ? PAGE_SIZE : 2 ** (entry.hugetlb_flag >>> 26);
      const end = address + Math.ceil(pageUp(size) / unit) * unit;
      const fd = open(`/proc/self/map_files/${rangeText({ start: address, end })}`, O.RDWR);
      try {
        fillShmem(this.images, id, fd, size);
      } finally {
        close(fd);
      }
    } finally {
      rawSyscall(NR.shmdt, address);
    }
  }

  /** After all attachments: segments that were removed are removed. */
  finish(): void {
    for (const [id, entry] of this.#ready) if ((entry.desc.mode & SHM.DEST) !== 0) removeSegment(id);
  }
}
