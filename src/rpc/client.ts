/**
 * What a worker of the service is for the kernel: its client. It has the client's ids and groups, and no capability beyond the
 * client's but CAP_CHECKPOINT_RESTORE, which the kernel made for this: to choose pids, and to look at one's own processes. So it is
 * the kernel that decides what a client may dump, which files it may read and write, and with what rights a tree comes back.
 */
import {
  CAP_CHECKPOINT_RESTORE,
  CAP_SETUID,
  capabilityBit,
  capsetArguments,
  hasCapability,
  lastCapability,
  ownCapabilities,
} from "../linux/capability.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { readLink } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { type HostPid, hostPid } from "../linux/pid.ts";
import { PR, PR_CAP_AMBIENT } from "../linux/prctl.ts";
import { readStatus } from "../linux/proc.ts";
import type { Preparation } from "../linux/program.ts";
import { getOption, SO, SOL, tryGetInt, tryGetOption } from "../linux/socket.ts";
import { type Credentials, credentialsOf } from "../linux/socket-messages.ts";
import { rawSyscall } from "../linux/syscall.ts";

/** struct ucred has 12 bytes. */
const UCRED = 12;
/** NGROUPS_MAX. */
const MOST_GROUPS = 65536;
const ROOT = 0;
const NONE = 0n;

/** The calls that make a child of ours the client of a connection. @throws Error when we may not be that one */
export function becomeClient(socket: number): Preparation[] {
  const client = credentialsOf(getOption(socket, SOL.SOCKET, SO.PEERCRED, UCRED));
  const ourUid = rawSyscall(NR.geteuid);
  const ours = ownCapabilities().permitted;
  const rights = rightsOf(socket, client);
  // Whoever may do what we may is served as we are.
  if (client.uid === ourUid && (ourUid !== ROOT || (rights.effective & ours) === ours)) return [];
  if (!hasCapability(CAP_SETUID)) {
    if (client.uid === ROOT) return [];
    throw new Error(
      `user ${client.uid} cannot be served: this is the service of user ${ourUid}, who may become nobody else`,
    );
  }
  const kept = ((rights.effective & ours) | capabilityBit(CAP_CHECKPOINT_RESTORE)) & ours;
  const step = (what: string, nr: number, ...args: (number | Uint8Array)[]) => ({
    what: `${what} of the client`,
    nr,
    args,
  });
  const groups = groupsOf(socket);
  const last = lastCapability();
  const numbers = Array.from({ length: last + 1 }, (_, number) => number);
  return [
    // What a root with less than everything may have through execve(2).
    ...numbers
      .filter((number) => client.uid === ROOT && (rights.bounding & capabilityBit(number)) === NONE)
      .map((number) => step("the limits", NR.prctl, PR.CAPBSET_DROP, number, 0, 0, 0)),
    step("the groups", NR.setgroups, groups.length, new Uint8Array(new Uint32Array(groups).buffer)),
    step("the group", NR.setresgid, client.gid, client.gid, client.gid),
    step("the rights", NR.prctl, PR.SET_KEEPCAPS, 1, 0, 0, 0),
    step("the user", NR.setresuid, client.uid, client.uid, client.uid),
    step(
      "the rights",
      NR.capset,
      ...capsetArguments({ effective: kept, permitted: kept, inheritable: kept }),
    ),
    ...numbers
      .filter((number) => (kept & capabilityBit(number)) !== NONE)
      .map((number) => step("the rights", NR.prctl, PR.CAP_AMBIENT, PR_CAP_AMBIENT.RAISE, number, 0, 0)),
  ];
}

/** Capabilities of a client in our own user namespace. */
interface Rights {
  readonly effective: bigint;
  readonly bounding: bigint;
}

/** Only root's are looked at: others have none, or can do without. None where they cannot be told. */
function rightsOf(socket: number, { pid, uid }: Credentials): Rights {
  const none = { effective: NONE, bounding: NONE };
  if (uid !== ROOT) return none;
  const client = hostPid(pid);
  try {
    using alive = pidfdOf(socket, client);
    const status = readStatus(client);
    const set = (name: string) => BigInt(`0x${status.get(name) ?? "0"}`);
    const here = readLink(`/proc/${client}/ns/user`) === readLink("/proc/self/ns/user");
    const rights = here ? { effective: set("CapEff"), bounding: set("CapBnd") } : none;
    // As long as it lives its number is nobody else's.
    return rawSyscall(NR.pidfd_send_signal, alive.number, 0, 0, 0) === 0 ? rights : none;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return none;
  }
}

/** A pidfd of who made the connection (SO_PEERPIDFD, Linux 6.5); before that, of who has its number. @throws KernelError */
function pidfdOf(socket: number, pid: HostPid): Fd {
  const number = tryGetInt(socket, SOL.SOCKET, SO.PEERPIDFD);
  return number === undefined ? Fd.ofProcess(pid) : Fd.own(number);
}

/** The supplementary groups of who made the connection (SO_PEERGROUPS). None if they cannot be told. */
function groupsOf(socket: number): number[] {
  let groups = new Uint8Array(64 * Uint32Array.BYTES_PER_ELEMENT);
  let length = tryGetOption(socket, SOL.SOCKET, SO.PEERGROUPS, groups);
  if (length === -ERRNO.ERANGE) {
    groups = new Uint8Array(MOST_GROUPS * Uint32Array.BYTES_PER_ELEMENT);
    length = tryGetOption(socket, SOL.SOCKET, SO.PEERGROUPS, groups);
  }
  if (length < 0) return [];
  return [...new Uint32Array(groups.buffer, 0, length / Uint32Array.BYTES_PER_ELEMENT)];
}
