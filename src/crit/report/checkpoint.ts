/** What a directory of images says, put together: processes with what they have, files with who has them, sizes and times. */
import { ImageError } from "../../images/error.ts";
import { type Id, ImageDir } from "../../images/image-dir.ts";
import { type AnyImageKind, fileName, IMAGES, type ImageKind, RAW_IMAGES } from "../../images/kinds.ts";
import type { FdinfoEntry } from "../../images/schema/generated/files.ts";
import type { InventoryEntry } from "../../images/schema/generated/inventory.ts";
import type { MmEntry, VmaEntry } from "../../images/schema/generated/memory.ts";
import type {
  CoreEntry,
  FsEntry,
  PstreeEntry,
  TaskKobjIdsEntry,
} from "../../images/schema/generated/process.ts";
import type { StatsEntry } from "../../images/schema/generated/stats.ts";
import { KernelError } from "../../linux/errno.ts";
import { AT, isRegular, listDirectory, statIfThere } from "../../linux/io.ts";
import { TASK_STATE } from "../../process/core.ts";
import { isMapping } from "./mappings.ts";
import { Stored } from "./stored.ts";
import { type Extent, WordsReader } from "./words.ts";

export interface Thread {
  readonly tid: number;
  readonly core: CoreEntry | undefined;
}

export interface Memory {
  readonly mm: MmEntry;
  readonly stored: Stored;
  /** Bytes mapped. */
  readonly mapped: number;
}

export interface Process {
  readonly entry: PstreeEntry;
  readonly pid: number;
  readonly comm: string;
  /** The words of its command line, where they are stored here. */
  readonly words: readonly string[] | undefined;
  readonly core: CoreEntry | undefined;
  readonly threads: readonly Thread[];
  readonly ids: TaskKobjIdsEntry | undefined;
  readonly memory: Memory | undefined;
  readonly fs: FsEntry | undefined;
  readonly descriptors: readonly FdinfoEntry[];
  readonly children: Process[];
  readonly depth: number;
}

export interface ImageFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes on disk: less where there are holes. */
  readonly stored: number;
  readonly what: "pages" | "images" | "other";
}

/** A directory of images, read but for the pages. What is missing or damaged is among the problems, and left out. */
export class Checkpoint {
  readonly problems: string[] = [];
  readonly inventory: InventoryEntry | undefined;
  /** When the inventory was written, in seconds since 1970. */
  readonly writtenAt: number | undefined;
  readonly stats: { readonly dump: StatsEntry | undefined; readonly restore: StatsEntry | undefined };
  /** In the order of the tree: each before its children. */
  readonly processes: readonly Process[];
  readonly files: readonly ImageFile[];
  readonly hasParent: boolean;
  private readonly dir: ImageDir;
  private readonly memoryOwners = new Map<number, number>();

  /** @throws ImageError where there is no directory */
  constructor(path: string) {
    this.dir = ImageDir.open(path);
    this.inventory = this.one(IMAGES.inventory);
    this.writtenAt = statIfThere(this.dir.filePath(IMAGES.inventory))?.mtime;
    this.stats = { dump: this.tryOne(IMAGES.stats, "dump"), restore: this.tryOne(IMAGES.stats, "restore") };
    this.hasParent = statIfThere(`${path}/parent`) !== undefined;
    this.processes = this.readTree();
    this.files = this.listFiles();
  }

  get path(): string {
    return this.dir.path;
  }

  // --- images, by kind; a problem makes them empty

  /** The first entry of an image that has to be there. */
  one<T, H>(kind: ImageKind<T, H>, id?: Id): T | undefined {
    return this.attempt(() => this.dir.readOne(kind, id));
  }

  tryOne<T, H>(kind: ImageKind<T, H>, id?: Id): T | undefined {
    return this.attempt(() => this.dir.tryReadOne(kind, id));
  }

  all<T, H>(kind: ImageKind<T, H>, id?: Id): T[] {
    return this.attempt(() => this.dir.readAll(kind, id)) ?? [];
  }

  has(kind: AnyImageKind, id?: Id): boolean {
    return this.dir.has(kind, id);
  }

  /** The numbers of a kind's files, ascending. */
  numbersOf(kind: AnyImageKind): number[] {
    const [before = "", behind = ""] = kind.file.split("*");
    const numbers = this.files.flatMap(({ name }) => {
      if (!name.startsWith(before) || !name.endsWith(behind)) return [];
      const id = name.slice(before.length, name.length - behind.length);
      return /^\d+$/.test(id) ? [Number(id)] : [];
    });
    return numbers.sort((a, b) => a - b);
  }

  /** The process in whose images the memory of this one is, if it shares that. */
  memoryOwner({ memory, ids }: Process): number | undefined {
    return memory === undefined && ids !== undefined ? this.memoryOwners.get(ids.vm_id) : undefined;
  }

  /** What is stored of shared memory `id`, of `length` bytes; undefined where there is no image of it. */
  sharedStored(id: number, length: number): Stored | undefined {
    if (!this.has(IMAGES.shmem_pagemap, id)) return undefined;
    const whole = {
      start: 0n,
      end: BigInt(length),
      pgoff: 0n,
      shmid: 0n,
      prot: 0,
      flags: 0,
      status: 0,
      fd: -1n,
    };
    return this.readStored(IMAGES.shmem_pagemap, id, new Stored([whole]), []);
  }

  private attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ImageError || error instanceof KernelError)) throw error;
      this.problems.push(error.message);
      return undefined;
    }
  }

  private readTree(): Process[] {
    const entries = this.all(IMAGES.pstree);
    const byParent = Map.groupBy(entries, ({ ppid }) => Number(ppid));
    const pids = new Set(entries.map(({ pid }) => Number(pid)));
    const descriptors = new Map<number, readonly FdinfoEntry[]>();
    const processes: Process[] = [];
    // Whose parent is not there, and 0 is nobody, is a root.
    const roots = entries.filter(({ ppid }) => !pids.has(ppid));
    const stack: { entry: PstreeEntry; parent: Process | undefined }[] = roots
      .map((entry) => ({ entry, parent: undefined }))
      .reverse();
    const seen = new Set<PstreeEntry>();
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { entry, parent } = next;
      if (seen.has(entry)) continue;
      seen.add(entry);
      const process = this.readProcess(entry, parent, descriptors);
      processes.push(process);
      parent?.children.push(process);
      for (const child of (byParent.get(entry.pid) ?? []).toReversed())
        stack.push({ entry: child, parent: process });
    }
    const left = entries.length - processes.length;
    if (left > 0) this.problems.push(`pstree.img: ${left} processes hang on no root`);
    return processes;
  }

  private readProcess(
    entry: PstreeEntry,
    parent: Process | undefined,
    descriptors: Map<number, readonly FdinfoEntry[]>,
  ): Process {
    const { pid } = entry;
    const core = this.one(IMAGES.core, pid);
    const isAlive = core?.tc?.task_state !== TASK_STATE.DEAD;
    const ids = core?.ids ?? this.tryOne(IMAGES.ids, pid);
    const filesId = ids?.files_id;
    if (filesId !== undefined && !descriptors.has(filesId))
      descriptors.set(filesId, this.all(IMAGES.fdinfo, filesId));
    const mm = isAlive ? this.tryOne(IMAGES.mm, pid) : undefined;
    if (mm !== undefined && ids !== undefined) this.memoryOwners.set(ids.vm_id, pid);
    const { memory, words } = mm === undefined ? {} : this.readMemory(pid, mm);
    return {
      entry,
      pid,
      comm: core?.tc?.comm ?? "?",
      words,
      core,
      threads: entry.threads.map((tid) => ({
        tid,
        core: Number(tid) === Number(pid) ? core : isAlive ? this.one(IMAGES.core, tid) : undefined,
      })),
      ids,
      memory,
      fs: isAlive ? this.tryOne(IMAGES.fs, pid) : undefined,
      descriptors: (filesId === undefined ? undefined : descriptors.get(filesId)) ?? [],
      children: [],
      depth: parent === undefined ? 0 : parent.depth + 1,
    };
  }

  private readMemory(pid: number, mm: MmEntry): { memory: Memory; words: string[] | undefined } {
    const mappings = this.ascending(pid, mm.vmas.filter(isMapping));
    const stored = new Stored(mappings);
    const words = new WordsReader(Number(mm.mm_arg_start), Number(mm.mm_arg_end));
    const pagesId = this.attempt(() => this.dir.tryReader(IMAGES.pagemap, pid));
    pagesId?.close();
    if (pagesId !== undefined) {
      this.readStored(IMAGES.pagemap, pid, stored, words.extents, (extent) => words.wants(extent));
    }
    const memory = { mm: { ...mm, vmas: mappings }, stored, mapped: stored.line.length };
    const id = pagesId?.head.pages_id;
    const path = id === undefined ? undefined : this.dir.rawPath(RAW_IMAGES.pages, id);
    return { memory, words: path === undefined ? undefined : this.attempt(() => words.read(path)) };
  }

  /** Mappings that are not behind the one before cannot be drawn. */
  private ascending(pid: number, vmas: readonly VmaEntry[]): VmaEntry[] {
    let floor = 0n;
    const kept = vmas.filter(({ start, end }) => {
      if (start < floor || end <= start) return false;
      floor = end;
      return true;
    });
    const left = vmas.length - kept.length;
    if (left > 0) this.problems.push(`${fileName(IMAGES.mm, pid)}: ${left} mappings are out of order`);
    return kept;
  }

  /** Walks over a pagemap, which may have millions of entries. */
  private readStored(
    kind: typeof IMAGES.pagemap,
    id: number,
    stored: Stored,
    extents: Extent[],
    wants: (extent: Extent) => boolean = () => false,
  ): Stored {
    this.attempt(() => {
      using reader = this.dir.reader(kind, id);
      for (let entry = reader.nextEntry(); entry !== undefined; entry = reader.nextEntry()) {
        stored.add(entry, (start, end, offset) => {
          if (wants({ start, end, offset })) extents.push({ start, end, offset });
        });
      }
    });
    return stored;
  }

  private listFiles(): ImageFile[] {
    const pages = fileName(RAW_IMAGES.pages, "").replace(/\.img$/, "");
    const files = listDirectory(this.path).map((name): ImageFile | undefined => {
      const stat = statIfThere(`${this.path}/${name}`, AT.SYMLINK_NOFOLLOW);
      if (stat === undefined || !isRegular(stat.mode)) return undefined;
      const isImage = name.endsWith(".img") || name.startsWith("stats-") || name === "irmap-cache";
      const what = name.startsWith(pages) && isImage ? "pages" : isImage ? "images" : "other";
      return { name, size: stat.size, stored: stat.blocks * 512, what };
    });
    return files
      .filter((file) => file !== undefined)
      .sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
  }
}
