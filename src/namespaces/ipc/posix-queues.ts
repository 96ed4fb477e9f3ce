/**
 * POSIX message queues (mq_overview(7)) of an IPC namespace of the tree: the files of its mqueue file system, in ipcns-var-ID.img with
 * the limits of them. Those that have lost their name, and open descriptors, are files: files/mqueue.ts.
 */
import type { MqueueEntry } from "../../images/schema/generated/namespaces.ts";
import { Fd } from "../../linux/fd.ts";
import { fstat, listDirectory, O, readText, selfPath } from "../../linux/io.ts";
import { fillQueue, mqAttr, parseQueueFile, peekQueue, queueState } from "../../linux/mqueue.ts";
import { NR } from "../../linux/nr.ts";
import type { Owners } from "../../linux/owners.ts";
import { statusOf } from "../../linux/statx.ts";
import { cString, syscall } from "../../linux/syscall.ts";
import { UnsupportedError } from "../../process/errors.ts";
import type { Helper } from "../../tracee/build/helper.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import { addMount } from "../mounts/context.ts";
import type { FoundNamespace } from "../namespace.ts";
import type { Variables } from "./variables.ts";

const PERMISSIONS = 0o7777;

/**
 * All queues of a namespace that have a name, and the device of its file system. `helper` is in the namespace.
 * @throws UnsupportedError, KernelError
 */
export function dumpPosixQueues(
  { pid }: FoundNamespace,
  helper: Helper,
  owners: Owners,
): { queues: MqueueEntry[]; device: number } {
  using mount = mountQueues(helper);
  const queues = listDirectory(".", mount.number).map((name) => {
    using queue = Fd.openAt(mount.number, name, O.RDWR | O.NONBLOCK);
    return queueEntry(queue.number, name, owners, (text) => {
      throw new UnsupportedError(`the POSIX message queue /${name} in its IPC namespace ${text}`, {
        process: pid,
      });
    });
  });
  return { queues, device: statusOf(mount.number).dev };
}

/** The mqueue file system of the IPC namespace that a helper is in, mounted nowhere: our descriptor, the caller's. @throws KernelError */
export function mountQueues(helper: Helper): Fd {
  const what = "message queues";
  const { fd } = addMount(helper.table, what, "mqueue", [], 0);
  helper.table.run();
  const mount = helper.take(fd.value);
  helper.table.must(what, NR.close, fd.value);
  helper.table.run();
  return mount;
}

/**
 * What an image says of a queue; `fd` is ours, non-blocking, for reading and writing. `refuse` throws, naming the queue.
 * @throws KernelError, what `refuse` throws
 */
export function queueEntry(
  fd: number,
  name: string,
  owners: Owners,
  refuse: (text: string) => never,
): MqueueEntry {
  const what = `POSIX message queue /${name}`;
  const { mode, uid, gid } = fstat(fd);
  const { maxMessages, messageSize, messages } = queueState(fd, what);
  const { bytes, notified } = parseQueueFile(readText(selfPath(fd)));
  // With what value, no call tells.
  if (notified !== 0)
    refuse(
      `tells process ${notified} when a message comes (mq_notify(3)), which cannot be dumped: the kernel does not tell with what value`,
    );
  return {
    name,
    mode: mode & PERMISSIONS,
    uid: owners.uid(uid),
    gid: owners.gid(gid),
    max_messages: BigInt(maxMessages),
    message_size: BigInt(messageSize),
    messages: messages === 0 ? [] : peekQueue(fd, what, bytes),
  };
}

/** @throws KernelError (EMFILE: a limit of the bytes in queues, RLIMIT_MSGQUEUE), ImageValueError */
export function restorePosixQueues(variables: Variables, first: Restoree, owners: Owners): void {
  const { queues } = variables;
  if (queues.length === 0) return;
  const largest = (values: readonly bigint[]) => Math.max(...values.map(Number));
  variables.raise({
    mq_queues_max: queues.length,
    mq_msg_max: largest(queues.map(({ max_messages }) => max_messages)),
    mq_msgsize_max: largest(queues.map(({ message_size }) => message_size)),
  });
  for (const queue of queues) {
    using fd = makeQueue(first, queue, queue.name);
    furnishQueue(fd.number, queue, owners);
  }
}

/** Makes a queue in the IPC namespace of a process, under a name: our descriptor of it, for reading and writing. @throws KernelError */
export function makeQueue(
  { table, pid }: Pick<Restoree, "table" | "pid">,
  { max_messages, message_size }: MqueueEntry,
  name: string,
): Fd {
  const what = `POSIX message queue /${name}`;
  const attributes = mqAttr.encode({ maxmsg: max_messages, msgsize: message_size });
  const flags = O.RDWR | O.CREAT | O.EXCL | O.NONBLOCK | O.CLOEXEC;
  const made = table.must(what, NR.mq_open, table.data(cString(name)), flags, 0o600, table.data(attributes));
  table.run();
  using pidfd = Fd.ofProcess(pid);
  const fd = Fd.outOf(pidfd.number, made.value);
  table.must(what, NR.close, made.value);
  table.run();
  return fd;
}

/** Gives a new queue its messages, its owner and its mode. @throws KernelError */
export function furnishQueue(
  fd: number,
  { name, mode, uid, gid, messages }: MqueueEntry,
  owners: Owners,
): void {
  const what = `POSIX message queue /${name}`;
  fillQueue(fd, what, messages);
  syscall(what, NR.fchown, fd, owners.uid(uid), owners.gid(gid));
  syscall(what, NR.fchmod, fd, mode & PERMISSIONS);
}
