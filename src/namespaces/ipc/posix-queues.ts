/** POSIX message queues (mq_overview(7)), the files of an IPC namespace. What waits in one cannot be looked at without taking it. */
import { listDirectory } from "../../linux/io.ts";
import { UnsupportedError } from "../../process/errors.ts";
import type { Helper } from "../../tracee/build/helper.ts";
import { addMount } from "../mounts/context.ts";
import type { FoundNamespace } from "../namespace.ts";

/** `helper` is in the namespace. @throws UnsupportedError where there are any, KernelError */
export function refusePosixQueues({ pid, inode }: FoundNamespace, helper: Helper): void {
  const what = `ipc:[${inode}]`;
  const { fd } = addMount(helper.table, what, "mqueue", [], 0);
  helper.table.run();
  using mount = helper.take(fd.value);
  const [first] = listDirectory(".", mount.number);
  if (first === undefined) return;
  throw new UnsupportedError(
    `there is a POSIX message queue, /${first}, in its IPC namespace, which cannot be dumped; mq_unlink(3) removes it`,
    { process: pid },
  );
}
