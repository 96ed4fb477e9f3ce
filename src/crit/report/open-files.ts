/** Open files: what each is, and who has it. */
import { STATUS } from "../../memory/vma.ts";
import type { Checkpoint, Process } from "./checkpoint.ts";
import { describeFile, FileImages, typeName } from "./file-kinds.ts";

/** Who has a file: a process, and as what: the number of a descriptor, or its directory, program, mapping. */
export interface Holder {
  readonly pid: number;
  readonly as: string;
}

export interface OpenFile {
  readonly id: number;
  readonly type: string;
  readonly name: string;
  readonly details: readonly string[];
  /** Bytes that wait in it; undefined where nothing can. */
  readonly waiting: number | undefined;
  /** What it has in common with its other ends. */
  readonly link: string | undefined;
  readonly holders: readonly Holder[];
}

export class OpenFiles {
  readonly all: readonly OpenFile[];
  private readonly byId: ReadonlyMap<number, OpenFile>;

  constructor(checkpoint: Checkpoint) {
    const holders = holdersOf(checkpoint.processes);
    const images = new FileImages(checkpoint);
    this.all = images.entries.map((entry) => {
      const { name, details = [], waiting, link } = describeFile(entry, images);
      return {
        id: entry.id,
        type: typeName(entry.type),
        name,
        details: details.flatMap((detail) => detail || []),
        waiting,
        link,
        holders: holders.get(entry.id) ?? [],
      };
    });
    this.byId = new Map(this.all.map((file) => [file.id, file]));
  }

  get(id: number): OpenFile | undefined {
    return this.byId.get(id);
  }

  /** The name of a file that is a directory, a program or mapped. */
  nameOf(id: number): string {
    return this.get(id)?.name ?? `file ${id}`;
  }

  /** Pipes, FIFOs and pairs of sockets, with their ends. */
  connections(): [link: string, ends: OpenFile[]][] {
    const linked = this.all.filter(({ link }) => link !== undefined);
    return [...Map.groupBy(linked, ({ link }) => link ?? "")];
  }
}

function holdersOf(processes: readonly Process[]): ReadonlyMap<number, Holder[]> {
  const holders = new Map<number, Holder[]>();
  const add = (id: number, pid: number, as: string) => {
    const list = holders.get(id);
    if (list === undefined) holders.set(id, [{ pid, as }]);
    else list.push({ pid, as });
  };
  for (const { pid, descriptors, memory, fs } of processes) {
    for (const { id, fd } of descriptors) add(id, pid, String(fd));
    if (fs !== undefined) add(fs.cwd_id, pid, "cwd");
    if (fs !== undefined) add(fs.root_id, pid, "root");
    if (memory === undefined) continue;
    add(memory.mm.exe_file_id, pid, "program");
    const mapped = memory.mm.vmas.filter(
      ({ status }) => (status & (STATUS.FILE_PRIVATE | STATUS.FILE_SHARED)) !== 0,
    );
    for (const id of new Set(mapped.map(({ shmid }) => Number(shmid)))) add(id, pid, "mapped");
  }
  return holders;
}
