/** crit x DIR ps, fds, mems, rss: a checkpoint at a glance, line by line as CRIU's crit has it. */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import type { FileEntry } from "../images/schema/generated/files.ts";
import { FdTypes } from "../images/schema/generated/files.ts";
import type { VmaEntry } from "../images/schema/generated/memory.ts";
import type { PstreeEntry } from "../images/schema/generated/process.ts";
import { MAP, PAGE_SIZE } from "../linux/memory.ts";
import { pagesOf } from "../memory/pages.ts";
import { STATUS } from "../memory/vma.ts";
import { CritError } from "./error.ts";
import { toQuotedPrintable } from "./quoted-printable.ts";

/** What can be explored, by the word that asks for it. */
export const EXPLORERS: Readonly<Record<string, (images: ImageDir) => Iterable<string>>> = {
  ps,
  fds,
  mems,
  rss,
};

const right = (value: number | string, width: number): string => String(value).padStart(width);
const hex = (value: bigint, width = 0): string => value.toString(16).padStart(width, "0");

/** The tree, in the order of pstree.img. */
function* ps(images: ImageDir): Generator<string> {
  const entries = images.readAll(IMAGES.pstree);
  const children = new Map<number, PstreeEntry[]>();
  for (const entry of entries) {
    const others = children.get(entry.ppid);
    if (others === undefined) children.set(entry.ppid, [entry]);
    else others.push(entry);
  }
  yield `${right("PID", 7)}${right("PGID", 7)}${right("SID", 7)}   COMM`;
  const shown = new Set<PstreeEntry>();
  // By hand: a tree may be deeper than a stack of calls.
  const stack = (children.get(0) ?? []).map((entry) => ({ entry, depth: 0 })).reverse();
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { entry, depth } = next;
    if (shown.has(entry)) throw new CritError(`pstree.img: process ${entry.pid} is its own ancestor`);
    shown.add(entry);
    const comm = images.readOne(IMAGES.core, entry.pid).tc?.comm ?? "?";
    yield `${right(entry.pid, 7)}${right(entry.pgid, 7)}${right(entry.sid, 7)}   ${" ".repeat(4 * depth)}${comm}`;
    for (const child of (children.get(entry.pid) ?? []).toReversed())
      stack.push({ entry: child, depth: depth + 1 });
  }
  if (shown.size < entries.length) throw new CritError("pstree.img: there are processes without a parent");
}

/** What files are called; files.img is read once. */
class FileNames {
  private readonly files = new Map<number, FileEntry>();

  constructor(images: ImageDir) {
    for (const entry of images.readAll(IMAGES.files)) this.files.set(entry.id, entry);
  }

  of(type: FdTypes, id: number): string {
    const file = this.files.get(id);
    switch (type) {
      case FdTypes.REG:
        return file?.reg?.name || "unknown path";
      case FdTypes.PIPE:
        return file?.pipe === undefined ? "pipe[?]" : `pipe[${file.pipe.pipe_id}]`;
      case FdTypes.UNIXSK: {
        if (file?.usk === undefined) return "unix[?]";
        const { ino, peer, name } = file.usk;
        return `unix[${ino} (${peer})${name.length > 0 ? ` ${toQuotedPrintable(name)}` : ""}]`;
      }
      default:
        return `${typeName(type)}.${id}`;
    }
  }

  path(id: number): string {
    return this.of(FdTypes.REG, id);
  }
}

function typeName(type: FdTypes): string {
  for (const [name, value] of Object.entries(FdTypes)) if (value === type) return name;
  return String(type);
}

/** Descriptors, the current and the root directory of each process. One that has ended has none. */
function* fds(images: ImageDir): Generator<string> {
  const names = new FileNames(images);
  for (const { pid } of images.readAll(IMAGES.pstree)) {
    yield `${pid}`;
    const ids = images.tryReadOne(IMAGES.ids, pid);
    if (ids !== undefined) {
      for (const { fd, type, id } of images.readAll(IMAGES.fdinfo, ids.files_id)) {
        yield `\t${right(fd, 7)}: ${names.of(type, id)}`;
      }
    }
    const fs = images.tryReadOne(IMAGES.fs, pid);
    if (fs === undefined) continue;
    yield `\t${right("cwd", 7)}: ${names.path(fs.cwd_id)}`;
    yield `\t${right("root", 7)}: ${names.path(fs.root_id)}`;
  }
}

/** Short numbers for shmids. */
class ShortIds {
  private readonly ids = new Map<bigint, number>();

  of(id: bigint): string {
    const short = this.ids.get(id) ?? this.ids.size + 1;
    this.ids.set(id, short);
    return short.toString(16);
  }
}

/** The mappings of each process. One whose memory is another's, or that has ended, has no image of its own. */
function* mems(images: ImageDir): Generator<string> {
  const names = new FileNames(images);
  const shmids = new ShortIds();
  for (const { pid } of images.readAll(IMAGES.pstree)) {
    yield `${pid}`;
    const mm = images.tryReadOne(IMAGES.mm, pid);
    if (mm === undefined) continue;
    yield `\t${"exe".padEnd(36)}    ${names.path(mm.exe_file_id)}`;
    for (const vma of mm.vmas) {
      const range = `${hex(vma.start, 8)}-${hex(vma.end, 8)}`.padEnd(36);
      yield `\t${range}${protection(vma.prot)}${vmaName(vma, names, shmids)}`;
    }
  }
}

function protection(prot: number): string {
  return `${prot & 1 ? "r" : "-"}${prot & 2 ? "w" : "-"}${prot & 4 ? "x" : "-"}`;
}

function vmaName(vma: VmaEntry, names: FileNames, shmids: ShortIds): string {
  const name = vmaKind(vma, names, shmids);
  const named = name === "" ? "" : ` ${name}`;
  return (vma.status & STATUS.REGULAR) === 0 ? `${named} *` : named;
}

function vmaKind(vma: VmaEntry, names: FileNames, shmids: ShortIds): string {
  const { status, shmid } = vma;
  if (status & STATUS.SYSVIPC) return `ips[${shmids.of(shmid)}]`;
  if (status & STATUS.ANON_SHARED) return `shmem[${shmids.of(shmid)}]`;
  if (status & STATUS.SOCKET) return `packet[${shmids.of(shmid)}]`;
  if (isOfFile(vma)) {
    const offset = vma.pgoff === 0n ? "" : ` + 0x${hex(vma.pgoff)}`;
    return `${names.path(Number(shmid))}${offset}${status & STATUS.FILE_SHARED ? " (s)" : ""}`;
  }
  if (status & STATUS.STACK) return "[stack]";
  if (status & STATUS.VSYSCALL) return "[vsyscall]";
  if (status & STATUS.VDSO) return "[vdso]";
  return vma.flags & MAP.GROWSDOWN ? "[stack?]" : "";
}

function isOfFile(vma: VmaEntry): boolean {
  return (vma.status & (STATUS.FILE_PRIVATE | STATUS.FILE_SHARED)) !== 0;
}

/** Which pages are stored, and which mappings they are of; `~` is the mapping of the line before. */
function* rss(images: ImageDir): Generator<string> {
  const names = new FileNames(images);
  for (const { pid } of images.readAll(IMAGES.pstree)) {
    yield `${pid}`;
    const vmas = images.tryReadOne(IMAGES.mm, pid)?.vmas;
    using pagemap = images.tryReader(IMAGES.pagemap, pid);
    if (vmas === undefined || pagemap === undefined) continue;
    let at = 0;
    let named = -1;
    for (let run = pagemap.nextEntry(); run !== undefined; run = pagemap.nextEntry()) {
      const pages = pagesOf(run);
      const end = run.vaddr + BigInt(pages * PAGE_SIZE);
      let said = "";
      while (at < vmas.length && (vmas[at]?.end ?? 0n) <= run.vaddr) at++;
      for (let vma = vmas[at]; vma !== undefined && vma.start < end; vma = vmas[++at]) {
        if (at === named) said += " ~";
        else {
          const size = String((vma.end - vma.start) / BigInt(PAGE_SIZE)).padEnd(8);
          said += ` ${hex(vma.start, 8)} / ${size}${isOfFile(vma) ? ` ${names.path(Number(vma.shmid))}` : ""}`;
          named = at;
        }
        said += `\n\t${" ".repeat(23)}`;
      }
      at = Math.max(at - 1, 0);
      yield `${`\t${hex(run.vaddr)} / ${String(pages).padEnd(8)}`.padEnd(24)}${said}`;
    }
  }
}
