/**
 * POSIX message queues (mq_overview(7)), by descriptors of them. A message can be looked at in no other way than by taking it: a child
 * of ours takes all and puts them back, in one go, that it finishes even when we are killed meanwhile.
 */
import { ChildTable, ChildWord } from "./child-table.ts";
import { instant } from "./instants.ts";
import { MAP, PROT } from "./memory.ts";
import { NR } from "./nr.ts";
import { s64, struct, word } from "./struct.ts";
import { addressOf, memoryAt, rawSyscall, syscall } from "./syscall.ts";

/** struct mq_attr (include/uapi/linux/mqueue.h). */
export const mqAttr = struct({ flags: s64, maxmsg: s64, msgsize: s64, curmsgs: s64 }, 64);

export interface QueueMessage {
  readonly priority: number;
  readonly text: Uint8Array;
}

export interface QueueState {
  readonly maxMessages: number;
  /** The largest message that it takes, in bytes. */
  readonly messageSize: number;
  readonly messages: number;
}

/** @throws KernelError */
export function queueState(fd: number, what: string): QueueState {
  const bytes = new Uint8Array(mqAttr.size);
  syscall(what, NR.mq_getsetattr, fd, 0, addressOf(bytes));
  const { maxmsg, msgsize, curmsgs } = mqAttr.decode(bytes);
  return { maxMessages: Number(maxmsg), messageSize: Number(msgsize), messages: Number(curmsgs) };
}

/** What its file says: the bytes that wait in it, and the process that is told when the next message comes to an empty one; 0 for none. */
export interface QueueFile {
  readonly bytes: number;
  readonly notified: number;
}

/** `text` is what reading the file gives. */
export function parseQueueFile(text: string): QueueFile {
  const field = (name: string) => Number(new RegExp(`\\b${name}:(\\d+)`).exec(text)?.[1] ?? 0);
  return { bytes: field("QSIZE"), notified: field("NOTIFY_PID") };
}

/** Entries of the table for each message: a receive, a send, and two of its arguments. */
const ENTRIES = 4;
/** More of them would take a table of more than 64 MiB. */
const MOST = 0x40000;

/**
 * The messages of a queue, which stay in it, in their order. `fd` is ours, non-blocking, for reading and writing; `bytes` is what waits
 * in it. Nobody else uses it meanwhile, and nobody is told of messages. @throws KernelError; RangeError for more than can be
 */
export function peekQueue(fd: number, what: string, bytes: number): QueueMessage[] {
  const { messages: count, messageSize } = queueState(fd, what);
  if (count === 0) return [];
  if (count > MOST) throw new RangeError(`${what} has ${count} messages, of which ${MOST} can be dumped`);
  // No one is longer than all of them.
  const slot = Math.ceil(Math.max(1, Math.min(messageSize, bytes)) / word.size) * word.size;
  const size = slot * count;
  const flags = MAP.SHARED | MAP.ANONYMOUS | MAP.NORESERVE;
  const buffer = syscall(what, NR.mmap, 0, size, PROT.READ | PROT.WRITE, flags, -1, 0);
  try {
    using child = new ChildTable(true, ENTRIES * count + 2, tableSize(count));
    const priorities = child.data(count * word.size);
    const at = (i: number) => priorities.address + i * word.size;
    const received = Array.from({ length: count }, (_, i) =>
      child.call(NR.mq_timedreceive, fd, buffer + i * slot, messageSize, at(i), 0),
    );
    const sent = received.map((length, i) =>
      child.call(NR.mq_timedsend, fd, buffer + i * slot, length, new ChildWord(at(i)), 0),
    );
    child.start();
    instant();
    child.end();
    const memory = memoryAt(buffer, size);
    return received.map((length, i) => {
      const result = sent[i];
      if (length.raw < 0 || result === undefined || result.raw < 0)
        throw new Error(`${what}: somebody else has taken a message of it, or sent one, just now`);
      const text = memory.slice(i * slot, i * slot + length.raw);
      return { priority: word.read(priorities.bytes, i * word.size), text };
    });
  } finally {
    rawSyscall(NR.munmap, buffer, size);
  }
}

function tableSize(count: number): number {
  const ENTRY = 64;
  return (ENTRIES * count + 2) * ENTRY + count * word.size + 4096;
}

/** Puts messages into a queue that is empty. `fd` is ours, for writing. @throws KernelError */
export function fillQueue(fd: number, what: string, messages: readonly QueueMessage[]): void {
  for (const { priority, text } of messages) {
    // An address is needed for none as well.
    const bytes = text.length === 0 ? new Uint8Array(1) : text;
    syscall(what, NR.mq_timedsend, fd, addressOf(bytes), text.length, priority, 0);
  }
}
