/** System V message queues (msgop(2)): ipcns-msg-ID.img, each queue with its messages behind its entry. */

import type { ImageDir } from "../../images/image-dir.ts";
import { decodeQueue, encodeQueue, type QueuedMessage } from "../../images/ipc-queue.ts";
import { IMAGES } from "../../images/kinds.ts";
import { ERRNO } from "../../linux/errno.ts";
import { MAP, PROT, readMemory, writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import { IPC, MSG, msgbufHead, msqidDs } from "../../linux/sysv-ipc.ts";
import { UnsupportedError } from "../../process/errors.ts";
import type { Helper } from "../../tracee/build/helper.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { Result } from "../../tracee/table/table.ts";
import { descOf, type Listing, listObjects, NextId } from "./objects.ts";
import type { Variables } from "./variables.ts";

const MODE = 0o777;

const QUEUES: Listing = {
  name: "message queue",
  control: (table, id, command, address) => table.call(NR.msgctl, id, command, address),
  info: MSG.INFO,
  statAny: MSG.STAT_ANY,
  size: msqidDs.size,
};

/** @throws KernelError (ENOSYS: a kernel without CONFIG_CHECKPOINT_RESTORE), ImageError */
export function dumpQueues(images: ImageDir, namespace: number, helper: Helper, owners: Owners): void {
  const queues = listObjects(helper.table, QUEUES).map(({ id, bytes }) => ({ id, ...msqidDs.decode(bytes) }));
  if (queues.length === 0) {
    images.writeAll(IMAGES.ipcns_msg, [], namespace);
    return;
  }
  using writer = images.writer(IMAGES.ipcns_msg, namespace);
  for (const queue of queues) {
    const { id, qnum, qbytes, cbytes } = queue;
    const messages = readMessages(helper, id, qnum, cbytes);
    const desc = descOf(id, queue, owners);
    const entry = { desc: { ...desc, mode: desc.mode & MODE }, qbytes, qnum: messages.length };
    writer.add(entry, encodeQueue(messages));
  }
}

/** Messages that are asked for in one table. */
const SOME = 64;

/** Copies the messages of a queue, which stay in it: no one is longer than all of them, `cbytes`. */
function readMessages({ table, pid }: Helper, id: number, count: number, cbytes: number): QueuedMessage[] {
  if (count === 0) return [];
  const what = `message queue ${id}`;
  const messages: QueuedMessage[] = [];
  const slot = Math.ceil((msgbufHead.size + cbytes) / 8) * 8;
  // The kernel fills no more of it than there is.
  const size = slot * Math.min(SOME, count);
  const prot = PROT.READ | PROT.WRITE;
  const flags = MAP.PRIVATE | MAP.ANONYMOUS | MAP.NORESERVE;
  const buffer = table.must(what, NR.mmap, 0, size, prot, flags, -1, 0);
  table.run();
  for (let from = 0; from < count; from += SOME) {
    const lengths: Result[] = [];
    for (let nth = from; nth < Math.min(from + SOME, count); nth++) {
      table.reserve(512);
      const at = buffer.value + (nth - from) * slot;
      lengths.push(table.call(NR.msgrcv, id, at, cbytes, nth, IPC.NOWAIT | MSG.COPY));
    }
    table.run();
    lengths.forEach((length, i) => {
      if (length.raw === -ERRNO.EINVAL)
        throw new UnsupportedError(
          `${what}: message ${from + i} is longer than kernel.msgmax allows by now: it cannot be copied`,
        );
      length.checked(what);
      const bytes = readMemory(pid, buffer.value + i * slot, new Uint8Array(msgbufHead.size + length.value));
      const { type } = msgbufHead.decode(bytes);
      messages.push({ mtype: type, text: bytes.subarray(msgbufHead.size) });
    });
  }
  table.must(what, NR.munmap, buffer, size);
  table.run();
  return messages;
}

/** Larger messages do not go by way of a table. */
const LARGE = 0x8000;

/** @throws KernelError, ImageError */
export function restoreQueues(
  images: ImageDir,
  namespace: number,
  first: Restoree,
  variables: Variables,
): void {
  const queues = images
    .readWithPayload(IMAGES.ipcns_msg, namespace)
    .map(({ entry, payload }) => ({ entry, messages: decodeQueue(payload) }));
  if (queues.length === 0) return;
  const sizeOf = (messages: readonly QueuedMessage[]) =>
    messages.reduce((sum, { text }) => sum + text.length, messages.length);
  const largest = Math.max(0, ...queues.flatMap(({ messages }) => messages.map(({ text }) => text.length)));
  // A queue may hold more than it would take by now, and more than any new one.
  const most = Math.max(...queues.map(({ entry, messages }) => Math.max(entry.qbytes, sizeOf(messages))));
  variables.raise({ msg_ctlmax: largest, msg_ctlmnb: most });
  const { table } = first;
  const next = new NextId(table, "msg");
  for (const { entry, messages } of queues) {
    const { desc, qbytes } = entry;
    const { id, uid, gid, mode } = desc;
    const what = `message queue ${id}`;
    const set = (bytes: number) => {
      table.reserve(1024);
      const owned = msqidDs.encode({ uid, gid, mode: mode & MODE, qbytes: bytes });
      table.must(what, NR.msgctl, id, IPC.SET, table.data(owned));
    };
    next.make(what, desc, () =>
      table.must(what, NR.msgget, desc.key | 0, IPC.CREAT | IPC.EXCL | (mode & MODE)),
    );
    set(Math.max(qbytes, sizeOf(messages)));
    for (const message of messages) send(first, what, id, message);
    set(qbytes);
    table.run();
  }
  next.close();
}

function send({ table, pid }: Restoree, what: string, id: number, { mtype, text }: QueuedMessage): void {
  const message = new Uint8Array(msgbufHead.size + text.length);
  msgbufHead.encodeInto(message, 0, { type: mtype });
  message.set(text, msgbufHead.size);
  if (message.length < LARGE) {
    table.reserve(1024 + message.length);
    table.must(what, NR.msgsnd, id, table.data(message), text.length, IPC.NOWAIT);
    return;
  }
  const prot = PROT.READ | PROT.WRITE;
  const buffer = table.must(what, NR.mmap, 0, message.length, prot, MAP.PRIVATE | MAP.ANONYMOUS, -1, 0);
  table.run();
  writeMemory(pid, buffer.value, message);
  table.must(what, NR.msgsnd, id, buffer, text.length, IPC.NOWAIT);
  table.must(what, NR.munmap, buffer, message.length);
  table.run();
}
