/**
 * Open POSIX message queues (mq_open(3)). What is in one belongs to its IPC namespace (namespaces/ipc/posix-queues.ts), unless the queue
 * has lost its name: then it is saved with the first descriptor that leads to it. One that was opened by a path below a mount is a file
 * as others are.
 */
import { FdTypes, type FileEntry, type MqueueFileEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { NEW } from "../linux/clone.ts";
import { Fd } from "../linux/fd.ts";
import { O, readLink, S, selfPath } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { FS_MAGIC, statusAt } from "../linux/statx.ts";
import { cString, pathAddress } from "../linux/syscall.ts";
import { furnishQueue, makeQueue, mountQueues, queueEntry } from "../namespaces/ipc/posix-queues.ts";
import { Variables } from "../namespaces/ipc/variables.ts";
import { Helper } from "../tracee/build/helper.ts";
import { layOwnName, nameBeside } from "../undo/names.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { openPath, withoutDeleted } from "./path.ts";

/** By the kernel's own mount of it a queue stands in the root. */
const NAME = /^\/[^/]+$/;

/** More than there are, where one more is to be made. */
const MANY_QUEUES = 0x10000;

export const mqueue: FileKind = {
  type: FdTypes.MQUEUE,
  recognises: (file) =>
    file.format === S.IFREG &&
    (file.status.nlink === 0 || NAME.test(file.link)) &&
    file.fsMagic === FS_MAGIC.MQUEUE,
  dumper: (context) => new MqueueDump(context),
  restorer: (context) => new MqueueRestore(context),
};

// --- dump

class MqueueDump implements FileDumper {
  /** Numbers of those without a name, by their inodes. */
  readonly #unlinked = new Map<string, number>();

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const { where, link, status, flags, owner } = file;
    if (file.isPath)
      throw new FileDumpError(`${where}: ${link} is a POSIX message queue that is open as a path`);
    const name = withoutDeleted(link).replace(/^.*\//, "");
    const ipc = readLink(`/proc/${file.pid}/ns/ipc`);
    const ipc_ns_id = this.context.namespaces.find(ipc);
    if (ipc_ns_id === undefined)
      throw new FileDumpError(`${where}: ${link} is of ${ipc}, where nobody of the tree lives`);
    const entry: MqueueFileEntry = { id, flags, fown: owner, name, ipc_ns_id };
    if (status.nlink === 0) {
      const key = `${status.dev}:${status.ino}`;
      const known = this.#unlinked.get(key);
      entry.unlinked = known ?? this.#unlinked.size + 1;
      this.#unlinked.set(key, entry.unlinked);
      if (known === undefined) entry.content = this.#contentOf(file, name);
    } else this.#checkNamed(file, name, ipc);
    this.context.add({ type: FdTypes.MQUEUE, id, mqueue: entry });
  }

  #contentOf(file: OpenFile, name: string) {
    using queue = Fd.own(openPath(selfPath(file.copy), O.RDWR | O.NONBLOCK));
    return queueEntry(queue.number, name, file.owners, (text) => {
      throw new FileDumpError(
        `${file.where}: the POSIX message queue /${name}, which has lost its name, ${text}`,
      );
    });
  }

  /** A descriptor may have come from another namespace. */
  #checkNamed({ where, pid, status, link }: OpenFile, name: string, ipc: string): void {
    using helper = Helper.start();
    helper.enter(`/proc/${pid}/ns/ipc`, NEW.IPC);
    using mount = mountQueues(helper);
    const there = statusAt(mount.number, pathAddress(name));
    if (typeof there === "number" || there.ino !== status.ino || there.dev !== status.dev)
      throw new FileDumpError(
        `${where}: ${link} is a POSIX message queue of another IPC namespace than ${ipc}`,
      );
  }
}

// --- restore

class MqueueRestore implements FileRestorer {
  /** In IPC namespaces, by their numbers. */
  readonly #helpers = new Map<number, Helper>();
  /** Descriptors of those without a name, by their numbers in files.img: all of one are opened while it has one. */
  readonly #unlinked = new Map<number, number>();

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const file = mqueueOf(entry);
    return restoring(`files.img: file ${entry.id}: POSIX message queue /${file.name}`, () => {
      if (file.unlinked === undefined)
        return openQueue(this.#helperIn(file.ipc_ns_id), file.name, file.flags);
      if (!this.#unlinked.has(file.id)) this.#makeUnlinked(file.unlinked);
      return this.context.kept.release(this.#unlinked.get(file.id) ?? -1);
    });
  }

  owner(entry: FileEntry): FownEntry {
    return mqueueOf(entry).fown;
  }

  release(): void {
    for (const helper of this.#helpers.values()) helper[Symbol.dispose]();
    this.#helpers.clear();
  }

  /** Makes one, and opens it for all who have it, under a name that goes at once. */
  #makeUnlinked(number: number): void {
    const { kept, undo, owners, entries } = this.context;
    const all = [...entries.values()].flatMap(({ mqueue: each }) =>
      each?.unlinked === number ? [each] : [],
    );
    const whole = all.find(({ content }) => content !== undefined);
    if (whole?.content === undefined)
      throw new FileRestoreError(`files.img: nothing tells what was in message queue ${number}`);
    const { content, ipc_ns_id } = whole;
    const helper = this.#helperIn(ipc_ns_id);
    const variables = this.#variablesOf(ipc_ns_id, helper);
    variables?.raise({
      mq_queues_max: MANY_QUEUES,
      mq_msg_max: Number(content.max_messages),
      mq_msgsize_max: Number(content.message_size),
    });
    const name = nameBeside(whole.name);
    const mount = mountQueues(helper);
    const laid = layOwnName(undo, { directory: kept.keep(mount.release()), path: name });
    {
      using queue = makeQueue(helper, content, name);
      for (const { id, flags } of all) this.#unlinked.set(id, kept.keep(openQueue(helper, name, flags)));
      laid.undo();
      furnishQueue(queue.number, content, owners);
    }
    variables?.putBack();
  }

  /** The limits of a namespace of the tree's; undefined where that is ours, whose are not to be touched. */
  #variablesOf(ipc: number, { pid, table }: Helper): Variables | undefined {
    if (readLink(`/proc/${pid}/ns/ipc`) === readLink("/proc/self/ns/ipc")) return undefined;
    return new Variables(this.context.images, ipc, table);
  }

  #helperIn(ipc: number): Helper {
    const known = this.#helpers.get(ipc);
    if (known !== undefined) return known;
    const pid = this.context.livesIn("ipc", ipc);
    if (pid === undefined) throw new FileRestoreError(`files.img: nobody lives in IPC namespace ${ipc}`);
    const helper = Helper.start();
    this.#helpers.set(ipc, helper);
    if (pid !== "self") helper.enter(`/proc/${pid}/ns/ipc`, NEW.IPC);
    return helper;
  }
}

/** Opens a queue in the IPC namespace of a helper as an image says: our descriptor, the caller's. @throws KernelError */
function openQueue(helper: Helper, name: string, flags: number): number {
  const { table } = helper;
  const wanted = flags & (O.ACCMODE | O.NONBLOCK);
  const opened = table.must(name, NR.mq_open, table.data(cString(name)), wanted | O.CLOEXEC, 0, 0);
  table.run();
  const fd = helper.take(opened.value);
  table.must(name, NR.close, opened.value);
  table.run();
  if ((flags & O.LARGEFILE) === 0) return fd.release();
  // By a path, and not by mq_open(2).
  using first = fd;
  return openPath(selfPath(first.number), wanted);
}

function mqueueOf(entry: FileEntry): MqueueFileEntry {
  if (entry.mqueue === undefined)
    throw new FileRestoreError(`files.img: file ${entry.id} is no message queue`);
  return entry.mqueue;
}
