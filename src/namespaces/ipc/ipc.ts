/**
 * IPC namespaces: their limits (ipcns-var-ID.img), and all System V segments, message queues and semaphores in them, whoever has
 * made them. A dump looks at them from a helper in the namespace, as the rights of its processes may not do for it.
 */
import { NEW } from "../../linux/clone.ts";
import { Helper } from "../../tracee/build/helper.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type {
  FoundNamespace,
  NamespaceDumpContext,
  NamespaceKind,
  NamespaceRestoreContext,
  PlannedNamespace,
} from "../namespace.ts";
import { dumpPosixQueues, restorePosixQueues } from "./posix-queues.ts";
import { dumpQueues, restoreQueues } from "./queues.ts";
import { dumpSegments, removeSegments, restoreSegments } from "./segments.ts";
import { dumpSemaphores, restoreSemaphores } from "./semaphores.ts";
import { dumpVariables, Variables } from "./variables.ts";

export const ipc: NamespaceKind = {
  name: "ipc",
  flag: NEW.IPC,
  field: "ipc_ns_id",
  own: 3,
  nests: true,
  dump: (found, context) => {
    for (const each of found) dumpIpc(each, context);
  },
  fill: restoreIpc,
  settle: ({ id }, first, { images }) => removeSegments(images, id, first),
};

function dumpIpc(found: FoundNamespace, context: NamespaceDumpContext): void {
  const { id, pid } = found;
  const { images, tasks } = context;
  const { owners } = tasks;
  if (pid === undefined) return;
  using helper = Helper.start();
  helper.enter(`/proc/${pid}/ns/ipc`, NEW.IPC);
  const { queues, device } = dumpPosixQueues(found, helper, owners);
  context.mounts.hasQueues(device);
  dumpVariables(images, id, helper.table, queues);
  dumpSegments(images, found, helper, owners, (counts) => context.countShared(counts));
  dumpQueues(images, id, helper, owners);
  dumpSemaphores(images, id, helper.table, owners);
}

function restoreIpc(
  namespace: PlannedNamespace,
  first: Restoree,
  { images, owners }: NamespaceRestoreContext,
): void {
  const { id } = namespace;
  const variables = new Variables(images, id, first.table);
  // What is there may be more than what is allowed by now.
  variables.raise();
  restoreSegments(images, namespace, first);
  restoreQueues(images, id, first, variables);
  restoreSemaphores(images, id, first.table);
  restorePosixQueues(variables, first, owners);
  variables.set();
}
