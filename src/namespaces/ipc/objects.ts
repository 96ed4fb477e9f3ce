/** What segments, queues and semaphores have in common. */
import type { IpcDescEntry } from "../../images/schema/generated/namespaces.ts";
import { AT, O } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import { cString } from "../../linux/syscall.ts";
import { INFO_SIZE, type ipcHead } from "../../linux/sysv-ipc.ts";
import type { Pointer } from "../../tracee/table/pointer.ts";
import type { Result, Space, Table } from "../../tracee/table/table.ts";

/** Permission bits, and what else `mode` says of an object. */
export type Perm = ReturnType<typeof ipcHead.decode>;

/** Calls that tell of the objects of a kind, as messages name it. */
export interface Listing {
  readonly name: string;
  /** Adds a call of the kind's *ctl(2) to a table that fails the table if it `must`. */
  control(table: Table, id: number, command: number, address: Pointer): Result;
  readonly info: number;
  readonly statAny: number;
  /** Bytes of the structure that statAny fills. */
  readonly size: number;
}

/** What a call in a table takes beside its data. */
const CALL = 256;

/** The objects of a kind: their ids, and what the kernel tells of each. @throws KernelError */
export function listObjects(
  table: Table,
  { name, control, info, statAny, size }: Listing,
): { id: number; bytes: Uint8Array }[] {
  table.reserve(CALL + INFO_SIZE);
  const highest = control(table, 0, info, table.space(INFO_SIZE).address);
  table.run();
  const asked: { result: Result; space: Space }[] = [];
  const last = highest.checked(`the ${name}s`);
  for (let index = 0; index <= last; index++) {
    table.reserve(CALL + size);
    const space = table.space(size);
    asked.push({ result: control(table, index, statAny, space.address), space });
  }
  table.run();
  // Of an index without an object the kernel tells nothing.
  return asked.flatMap(({ result, space }) =>
    result.failed ? [] : [{ id: result.value, bytes: space.bytes }],
  );
}

/** What all three images say of an object. */
export function descOf(id: number, { key, mode, ...perm }: Perm, { uid, gid }: Owners): IpcDescEntry {
  return {
    key: key >>> 0,
    uid: uid(perm.uid),
    gid: gid(perm.gid),
    cuid: uid(perm.cuid),
    cgid: gid(perm.cgid),
    mode,
    id,
  };
}

/** Has the kernel give chosen ids to objects that are made in a process: /proc/sys/kernel/{shm,msg,sem}_next_id. */
export class NextId {
  readonly #fd: Result;

  constructor(
    private readonly table: Table,
    kind: "shm" | "msg" | "sem",
  ) {
    const path = `/proc/sys/kernel/${kind}_next_id`;
    this.#fd = table.must(path, NR.openat, AT.FDCWD, table.data(cString(path)), O.WRONLY | O.CLOEXEC, 0);
    table.run();
  }

  /**
   * Adds to the table what makes an object of the image, with its creator for its maker; `get` adds the call itself.
   * Runs it. @throws KernelError
   */
  make(what: string, { id, cuid, cgid }: IpcDescEntry, get: () => Result): void {
    const { table } = this;
    table.reserve(2048);
    const text = new TextEncoder().encode(`${id}\n`);
    table.must(what, NR.pwrite64, this.#fd, table.data(text), text.length, 0);
    const KEEP = -1;
    if (cgid !== 0) table.must(what, NR.setresgid, KEEP, cgid, KEEP);
    if (cuid !== 0) table.must(what, NR.setresuid, KEEP, cuid, KEEP);
    const made = get();
    if (cuid !== 0) table.must(what, NR.setresuid, KEEP, 0, KEEP);
    if (cgid !== 0) table.must(what, NR.setresgid, KEEP, 0, KEEP);
    table.run();
    if (made.checked(what) !== id) throw new Error(`${what} cannot have its id again: it got ${made.value}`);
  }

  close(): void {
    this.table.must("next id", NR.close, this.#fd);
    this.table.run();
  }
}
