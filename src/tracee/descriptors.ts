/**
 * Lending a descriptor of ours to a process that is being dumped, so that it writes to a file of ours by itself.
 *
 * A process with rights like ours takes it by pidfd_getfd(2), in the table that also uses it. To others it travels as
 * SCM_RIGHTS over a pair of sockets that the process makes. All its threads are stopped, so the numbers that it will
 * get are known beforehand: the lowest free ones. They are noted to be closed on the way out before they exist, so
 * that our death leaves none open.
 */
import { ERRNO } from "../linux/errno.ts";
import { close, listNumbers, pidfdGetfd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { s32, struct, u32, viewOf, word } from "../linux/struct.ts";
import { addressOf, checkResult, syscall } from "../linux/syscall.ts";
import type { Dumpee } from "./dumpee.ts";
import type { Result } from "./table.ts";

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** struct user_msghdr. */
const msghdr = struct({
  name: word,
  namelen: u32,
  iov: word,
  iovlen: word,
  control: word,
  controllen: word,
  flags: s32,
});
/** struct cmsghdr with one descriptor behind it, padded as CMSG_SPACE does. */
const rights = struct({ length: word, level: s32, type: s32, fd: s32, pad: s32 });
/** CMSG_LEN of one descriptor. */
const RIGHTS_LENGTH = 20;
const vector = struct({ base: word, length: word });

/** The lowest `count` numbers at which the process has nothing open. */
function freeNumbers(pid: number, count: number): number[] {
  const used = new Set(listNumbers(`/proc/${pid}/fd`));
  const out: number[] = [];
  for (let number = 0; out.length < count; number++) if (!used.has(number)) out.push(number);
  return out;
}

/** Sends our descriptor over our end of the pair. */
function send(socket: number, fd: number): void {
  const control = rights.encode({ length: RIGHTS_LENGTH, level: SOL_SOCKET, type: SCM_RIGHTS, fd });
  const byte = new Uint8Array(1);
  const iov = vector.encode({ base: addressOf(byte), length: 1 });
  const message = msghdr.encode({
    iov: addressOf(iov),
    iovlen: 1,
    control: addressOf(control),
    controllen: control.length,
  });
  syscall("a descriptor", NR.sendmsg, socket, addressOf(message), 0);
}

/** A descriptor that a process is about to take from us. */
export interface Taken {
  /** Its number inside, negative where it was refused. */
  readonly fd: Result;
  /** A pidfd of ours, to be closed as well. */
  readonly pidfd: Result;
}

/**
 * Adds to the table of a process: take our descriptor `fd`. Calls that use a refused one fail with EBADF. What was
 * taken is to be closed by {@link giveBack}. @throws KernelError
 */
export function take(dumpee: Dumpee, fd: number): Taken {
  const { table, infection } = dumpee;
  infection.adoptDescriptors(freeNumbers(dumpee.pid, 2));
  const pidfd = table.call(NR.pidfd_open, process.pid, 0);
  return { pidfd, fd: table.call(NR.pidfd_getfd, pidfd, fd, 0) };
}

/** Adds to the table: close what was taken. */
export function giveBack(dumpee: Dumpee, taken: Taken): void {
  for (const result of [taken.fd, taken.pidfd]) {
    if (!result.settled) dumpee.table.call(NR.close, result);
    else if (!result.failed) dumpee.table.call(NR.close, result.value);
  }
}

/**
 * Lends our descriptor `fd` to a process. Gives the number inside, to be closed there; undefined where the process may
 * not open as many. @throws KernelError
 */
export function lend(dumpee: Dumpee, fd: number): number | undefined {
  const { pid, table, infection } = dumpee;
  const numbers = freeNumbers(pid, 3);
  const [mine, theirs, lent] = numbers;
  if (mine === undefined || theirs === undefined || lent === undefined) return undefined;
  infection.adoptDescriptors(numbers);
  const pair = table.space(8);
  const made = table.call(NR.socketpair, AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair.address);
  table.run();
  if (made.raw === -ERRNO.EMFILE) return undefined;
  checkResult(made.raw, NR.socketpair, `in process ${pid}`);
  const view = viewOf(pair.bytes);
  if (view.getInt32(0, true) !== mine || view.getInt32(4, true) !== theirs)
    throw new Error(`process ${pid}: descriptors appear while it is stopped`);
  const ours = pidfdGetfd(dumpee.pidfd, theirs);
  try {
    send(ours, fd);
  } finally {
    close(ours);
  }
  const byte = table.space(16);
  const control = table.space(rights.size);
  const iov = table.data(vector.encode({ base: byte.address, length: 1 }));
  const message = table.data(
    msghdr.encode({ iov, iovlen: 1, control: control.address, controllen: rights.size }),
  );
  const received = table.call(NR.recvmsg, mine, message, MSG_CMSG_CLOEXEC);
  table.call(NR.close, mine);
  table.call(NR.close, theirs);
  table.run();
  const { length, fd: inside } = rights.decode(control.bytes);
  // A message whose descriptor could not be opened comes without it.
  if (received.value !== 1 || length !== RIGHTS_LENGTH) return undefined;
  if (inside !== lent) throw new Error(`process ${pid}: descriptors appear while it is stopped`);
  return inside;
}
