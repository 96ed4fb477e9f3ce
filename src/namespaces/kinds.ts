/** All kinds of namespaces, in the order in which a process that begins several of them has them filled. */
import { cgroup } from "./cgroup.ts";
import { ipc } from "./ipc/ipc.ts";
import { mnt } from "./mnt.ts";
import type { NamespaceKind } from "./namespace.ts";
import { net } from "./net/net.ts";
import { pid } from "./pid.ts";
import { time } from "./time.ts";
import { user } from "./user.ts";
import { uts } from "./uts.ts";

/** The owner of the others first; what needs the /proc of before, or sets what others show, before the mounts. */
export const KINDS: readonly NamespaceKind[] = [user, pid, time, uts, ipc, net, cgroup, mnt];
