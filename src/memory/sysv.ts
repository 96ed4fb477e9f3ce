/**
 * System V shared memory, where only the processes of the tree have it attached: ipcns-shm-ID.img for the segments,
 * pagemap-shmem-SHMID.img for their content. The mappings themselves stand in mm-PID.img.
 *
 * A segment keeps its id. One that was removed (and lives until its last attachment ends) is made again and removed
 * again; one that still exists at restore is attached as it is.
 */

import type { ImageDir, WithPayload } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { IpcShmEntry } from "../images/schema/generated/namespaces.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { AT, fstat, listDirectory, O, open, readLink, withFd, writeAll } from "../linux/io.ts";
import { MAP_MORE } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid, NsPid } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";
import { cString, rawSyscall, syscall } from "../linux/syscall.ts";
import { IPC, SHM } from "../linux/sysv-ipc.ts";
import { findSegment, removeSegment, type Segment, setSegmentOwner, statSegment } from "../linux/sysv-shm.ts";
import { log } from "../log.ts";
import type { SharedCounts } from "../stats.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import { call, type UndoStep } from "../undo/calls.ts";
import type { Undo } from "../undo/undo.ts";
import { MemoryError, naming, rangeText } from "./errors.ts";
import { dumpShmemContent, fillShmem } from "./shmem.ts";

/** The number under which images have our own IPC namespace (namespaces/ipc/ipc.ts). */
const IPC_NAMESPACE = 3;
/** Permission bits, and that the segment is to end with its last attachment. */
export const SEGMENT_MODE = 0o777 | SHM.DEST;

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

  /** `isSaved` says of a process whether its IPC namespace is saved as a whole, and by others. */
  constructor(
    private readonly images: ImageDir,
    private readonly isSaved: (pid: HostPid) => boolean,
  ) {}

  note(dumpee: Dumpee, mapping: Mapping): void {
    if (this.isSaved(dumpee.pid)) return;
    // Processes that share their memory share the attachment.
    const place = `${dumpee.ids.vm}:${mapping.start}`;
    if (this.#seen.has(place)) return;
    this.#seen.add(place);
    const known = this.#segments.get(mapping.inode);
    if (known === undefined) this.#segments.set(mapping.inode, { pid: dumpee.pid, mapping, attachments: 1 });
    else known.attachments++;
  }

  /** Saves the segments and their content. @throws MemoryError for one that others have attached as well */
  finish(): SharedCounts[] {
    const entries: IpcShmEntry[] = [];
    const counts: SharedCounts[] = [];
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
  const key = keyOf(segment, mapping.path);
  const entry: IpcShmEntry = {
    desc: {
      key,
      uid: segment.uid,
      gid: segment.gid,
      cuid: segment.cuid,
      cgid: segment.cgid,
      mode: segment.mode & SEGMENT_MODE,
      id,
    },
    size: BigInt(segment.size),
    in_pagemaps: true,
  };
  if (mapping.flags.has("ht")) {
    const { blksize } = withFd(open(`/proc/${pid}/map_files/${rangeText(mapping)}`, O.RDONLY), fstat);
    entry.hugetlb_flag = hugeFlag(blksize);
  }
  return entry;
}

/** The key of a segment. One that was removed has none any more, but its mappings keep the name made of it. */
export function keyOf({ mode, key }: Pick<Segment, "mode" | "key">, mapping: string): number {
  if ((mode & SHM.DEST) === 0) return key >>> 0;
  return Number.parseInt(/^\/SYSV([0-9a-f]{8})/.exec(mapping)?.[1] ?? "0", 16);
}

/** The flags of shmget(2) for a segment of huge pages of so many bytes. */
export function hugeFlag(pageSize: number): number {
  return SHM.HUGETLB | (Math.round(Math.log2(pageSize)) << MAP_MORE.HUGE_SHIFT);
}

/**
 * Ours of the segment that is attached at an address, to be closed, and the name that its mapping has; open for writing where the
 * attachment is. @throws KernelError (ENOENT: nothing is attached there)
 */
export function openAttached(
  pid: HostPid | "self",
  address: number,
  flags: number = O.RDONLY,
): { readonly fd: number; readonly path: string } {
  const directory = `/proc/${pid}/map_files`;
  const name = listDirectory(directory).find((each) => each.startsWith(`${address.toString(16)}-`));
  const path = `${directory}/${name ?? address.toString(16)}`;
  const fd = open(path, flags);
  return { fd, path: readLink(path) };
}

/** Fills a segment that a process, or we, have attached at an address, with the content of that number. @throws KernelError, ImageError */
export function fillSegment(
  images: ImageDir,
  { desc, size, in_pagemaps }: IpcShmEntry,
  payload: Uint8Array,
  pid: HostPid | "self",
  address: number,
  content = desc.id,
): void {
  withFd(openAttached(pid, address, O.RDWR).fd, (fd) => {
    // Older images have the content behind the entry.
    if (in_pagemaps === true) fillShmem(images, content, fd, Number(size));
    else writeAll(fd, payload.subarray(0, Number(size)));
  });
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
  if (huge !== undefined) flags |= SHM.HUGETLB | huge;
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
    (segment.mode & SEGMENT_MODE) === (desc.mode & SEGMENT_MODE) &&
    (removed || segment.key >>> 0 === desc.key)
  );
}

/** Makes the segments of an image available to be attached, and lets removed ones go in the end. */
export class SysvRestore {
  readonly #entries = new Map<number, ReadonlyMap<number, WithPayload<IpcShmEntry>>>();
  /** Those that are there to be attached. */
  readonly #ready = new Map<number, IpcShmEntry>();

  constructor(
    private readonly images: ImageDir,
    private readonly undo: Undo,
    /** The number of the IPC namespace of a process, in which all segments have been made; undefined where it is ours. */
    private readonly namespaceOf: (pid: NsPid) => number | undefined,
  ) {}

  /** The segments of the namespace of a process. */
  #entriesOf(pid: NsPid): ReadonlyMap<number, WithPayload<IpcShmEntry>> {
    const namespace = this.namespaceOf(pid) ?? IPC_NAMESPACE;
    let entries = this.#entries.get(namespace);
    if (entries === undefined) {
      const all = this.images.readWithPayload(IMAGES.ipcns_shm, namespace);
      entries = new Map(all.map((each) => [each.entry.desc.id, each]));
      this.#entries.set(namespace, entries);
    }
    return entries;
  }

  /** Size in bytes of a segment that a process has attached, undefined where the images have none. */
  size(pid: NsPid, id: number): number | undefined {
    const known = this.#entriesOf(pid).get(id);
    return known === undefined ? undefined : Number(known.entry.size);
  }

  /** The segment exists, with its content. @throws KernelError, ImageError */
  ready(pid: NsPid, id: number): void {
    const known = this.#entriesOf(pid).get(id);
    if (known === undefined) throw new Error(`System V segment ${id} is not in the image`);
    if (this.#ready.has(id) || this.namespaceOf(pid) !== undefined) return;
    const { entry } = known;
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
    if (there === undefined || there.attached === 0) this.#fill(id, known);
    else log.warn("memory/sysv", `segment ${id} is in use: its content stays as it is`);
  }

  #fill(id: number, { entry, payload }: WithPayload<IpcShmEntry>): void {
    const address = syscall(`segment ${id}`, NR.shmat, id, 0, 0);
    try {
      fillSegment(this.images, entry, payload, "self", address);
    } finally {
      rawSyscall(NR.shmdt, address);
    }
  }

  /** After all attachments: segments that were removed are removed. */
  finish(): void {
    for (const [id, entry] of this.#ready) if ((entry.desc.mode & SHM.DEST) !== 0) removeSegment(id);
  }
}
