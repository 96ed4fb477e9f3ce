/** The limits of an IPC namespace: files of /proc/sys that show those of whoever opens them. */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import type { IpcVarEntry, MqueueEntry } from "../../images/schema/generated/namespaces.ts";
import { AT, O } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { cString } from "../../linux/syscall.ts";
import { textOf } from "../../linux/text.ts";
import type { Result, Space, Table } from "../../tracee/table/table.ts";

type Field = Exclude<keyof IpcVarEntry, "sem_ctls" | "queues">;

interface Variable {
  readonly path: string;
  readonly field: Field | "sem_ctls";
  /** Whether a larger value allows more. */
  readonly limit: boolean;
}

const VARIABLES: readonly Variable[] = [
  { path: "kernel/sem", field: "sem_ctls", limit: true },
  { path: "kernel/msgmax", field: "msg_ctlmax", limit: true },
  { path: "kernel/msgmnb", field: "msg_ctlmnb", limit: true },
  { path: "kernel/msgmni", field: "msg_ctlmni", limit: true },
  { path: "kernel/auto_msgmni", field: "auto_msgmni", limit: false },
  { path: "kernel/shmmax", field: "shm_ctlmax", limit: true },
  { path: "kernel/shmall", field: "shm_ctlall", limit: true },
  { path: "kernel/shmmni", field: "shm_ctlmni", limit: true },
  { path: "kernel/shm_rmid_forced", field: "shm_rmid_forced", limit: false },
  { path: "fs/mqueue/queues_max", field: "mq_queues_max", limit: true },
  { path: "fs/mqueue/msg_max", field: "mq_msg_max", limit: true },
  { path: "fs/mqueue/msgsize_max", field: "mq_msgsize_max", limit: true },
  { path: "fs/mqueue/msg_default", field: "mq_msg_default", limit: false },
  { path: "fs/mqueue/msgsize_default", field: "mq_msgsize_default", limit: false },
  { path: "kernel/msg_next_id", field: "msg_next_id", limit: false },
  { path: "kernel/sem_next_id", field: "sem_next_id", limit: false },
  { path: "kernel/shm_next_id", field: "shm_next_id", limit: false },
];

/** What *_next_id says when the next object gets any id. */
const ANY_ID = -1;
const SIZE = 128;

/** The numbers of each variable that the kernel has. @throws KernelError */
function readAll(table: Table): Map<Variable, bigint[]> {
  const asked: { variable: Variable; length: Result; space: Space }[] = [];
  for (const variable of VARIABLES) {
    table.reserve(1024);
    const path = `/proc/sys/${variable.path}`;
    const fd = table.call(NR.openat, AT.FDCWD, table.data(cString(path)), O.RDONLY | O.CLOEXEC, 0);
    const space = table.space(SIZE);
    const length = table.call(NR.read, fd, space.address, SIZE);
    table.call(NR.close, fd);
    asked.push({ variable, length, space });
  }
  table.run();
  const found = new Map<Variable, bigint[]>();
  for (const { variable, length, space } of asked) {
    // One that this kernel has not, or that is not for us: nothing was opened, and so nothing read.
    if (length.failed) continue;
    const words = textOf(space.bytes, 0, length.raw).trim().split(/\s+/);
    found.set(variable, words.map(BigInt));
  }
  return found;
}

/** Writes ipcns-var-ID.img, as `table` sees it, with the queues that stand in it as well. @throws KernelError, ImageError */
export function dumpVariables(images: ImageDir, id: number, table: Table, queues: MqueueEntry[]): void {
  const entry: IpcVarEntry = {
    queues,
    sem_ctls: [],
    msg_ctlmax: 0,
    msg_ctlmnb: 0,
    msg_ctlmni: 0,
    auto_msgmni: 0,
    shm_ctlmax: 0n,
    shm_ctlall: 0n,
    shm_ctlmni: 0,
    shm_rmid_forced: 0,
    mq_queues_max: 0,
    mq_msg_max: 0,
    mq_msgsize_max: 0,
  };
  for (const [{ field, path }, values] of readAll(table)) {
    const [value = 0n] = values;
    if (field === "sem_ctls") entry.sem_ctls = values.map(Number);
    else if (field === "shm_ctlmax" || field === "shm_ctlall") entry[field] = value;
    else if (!path.endsWith("_next_id") || Number(value) !== ANY_ID) entry[field] = Number(value);
  }
  images.writeAll(IMAGES.ipc_var, [entry], id);
}

/** Sets the variables of an image in a process that lives in the namespace. */
export class Variables {
  readonly #entry: IpcVarEntry;
  readonly #before: ReadonlyMap<Variable, bigint[]>;
  /** As they are, or will be when the table has run. */
  readonly #now: Map<Variable, bigint[]>;

  /** @throws KernelError, ImageError */
  constructor(
    images: ImageDir,
    id: number,
    private readonly table: Table,
  ) {
    this.#entry = images.readOne(IMAGES.ipc_var, id);
    this.#before = readAll(table);
    this.#now = new Map(this.#before);
  }

  /** POSIX message queues that the image has with them. */
  get queues(): readonly MqueueEntry[] {
    return this.#entry.queues;
  }

  /** Raises limits to what the image allows, or further for a time. @throws KernelError */
  raise(more: Partial<Record<Field, number>> = {}): void {
    for (const [variable, now] of this.#now) {
      if (!variable.limit) continue;
      const least = variable.field === "sem_ctls" ? 0 : (more[variable.field] ?? 0);
      const wanted = now.map((value, i) =>
        largest(value, this.#wanted(variable)?.[i] ?? value, BigInt(least)),
      );
      this.#write(variable, wanted);
    }
    this.table.run();
  }

  /** Sets them as the image has them, for good. @throws KernelError */
  set(): void {
    for (const variable of this.#now.keys()) {
      const wanted = this.#wanted(variable);
      if (wanted !== undefined) this.#write(variable, wanted);
    }
    this.table.run();
  }

  /** Sets them as they were when they were read. @throws KernelError */
  putBack(): void {
    for (const [variable, before] of this.#before) this.#write(variable, before);
    this.table.run();
  }

  #wanted({ field }: Variable): bigint[] | undefined {
    if (field === "sem_ctls") return this.#entry.sem_ctls.map(BigInt);
    const value = this.#entry[field];
    return value === undefined ? undefined : [BigInt(value)];
  }

  /** Only what is another value is written: who may set some may not set all. */
  #write(variable: Variable, wanted: bigint[]): void {
    const { table } = this;
    const words = wanted.join(" ");
    if (words === this.#now.get(variable)?.join(" ")) return;
    this.#now.set(variable, wanted);
    const path = `/proc/sys/${variable.path}`;
    table.reserve(1024);
    const text = new TextEncoder().encode(`${words}\n`);
    const fd = table.must(path, NR.openat, AT.FDCWD, table.data(cString(path)), O.WRONLY | O.CLOEXEC, 0);
    table.must(`${path} to ${words}`, NR.write, fd, table.data(text), text.length);
    table.must(path, NR.close, fd);
  }
}

function largest(...values: bigint[]): bigint {
  let most = 0n;
  for (const value of values) if (value > most) most = value;
  return most;
}
