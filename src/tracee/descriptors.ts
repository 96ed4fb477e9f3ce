/**
 * Lending a descriptor of ours to a process that is being dumped, so that it writes to a file of ours by itself.
 *
 * A process with rights like ours takes it by pidfd_getfd(2), in the table that also uses it. To others it travels as
 * SCM_RIGHTS over a pair of sockets that the process makes. The table that opens a descriptor also notes its number
 * where the way out finds it, so that our death leaves none open. It must be the number that the call gave: when we are
 * dead, the other threads run again and open files too.
 */
import { ERRNO, isErrno } from "../linux/errno.ts";
import { close, pidfdGetfd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { s32, struct, u32, viewOf, word } from "../linux/struct.ts";
import { addressOf, syscall } from "../linux/syscall.ts";
import { OP } from "../machine/runner.ts";
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
  const [one = 0, other = 0] = infection.holdDescriptors();
  const pidfd = table.call(NR.pidfd_open, ourPid(), 0);
  table.keep(pidfd, one);
  const taken = table.call(NR.pidfd_getfd, pidfd, fd, 0);
  table.keep(taken, other);
  return { pidfd, fd: taken };
}

/** Adds to the table: close what was taken. */
export function giveBack(dumpee: Dumpee, taken: Taken): void {
  const { table, infection } = dumpee;
  const { held, none } = infection.area;
  for (const word of held) table.operation(OP.MOVE, none, word);
  for (const result of [taken.fd, taken.pidfd]) {
    if (!result.settled) table.call(NR.close, result);
    else if (!result.failed) table.call(NR.close, result.value);
  }
}

/**
 * Lends our descriptor `fd` to a process. Gives the number inside, to be closed there by {@link takeBack}; undefined where
 * the process may not open as many. @throws KernelError
 */
export function lend(dumpee: Dumpee, fd: number): number | undefined {
  const { table, infection } = dumpee;
  const { none } = infection.area;
  const [one = 0, other = 0, third = 0] = infection.holdDescriptors();
  const pair = table.space(16);
  table.must("a pair of sockets", NR.socketpair, AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair.address);
  // close(2) looks at the lower half of a word alone.
  table.operation(OP.MOVE, pair.address, one);
  table.operation(OP.MOVE, pair.address + 4, other);
  try {
    table.run();
  } catch (error) {
    if (isErrno(error, ERRNO.EMFILE)) return undefined;
    throw error;
  }
  const view = viewOf(pair.bytes);
  const mine = view.getInt32(0, true);
  const theirs = view.getInt32(4, true);
  const ours = pidfdGetfd(dumpee.pidfd, theirs);
  try {
    send(ours, fd);
  } finally {
    close(ours);
  }
  const byte = table.space(16);
  const nothing = rights.encode({ length: 0, level: 0, type: 0, fd: -1, pad: -1 });
  const control = table.space(nothing.length, nothing);
  const iov = table.data(vector.encode({ base: byte.address, length: 1 }));
  const message = table.data(
    msghdr.encode({ iov, iovlen: 1, control: control.address, controllen: rights.size }),
  );
  const received = table.call(NR.recvmsg, mine, message, MSG_CMSG_CLOEXEC);
  table.operation(OP.MOVE, control.address + rights.size - 8, third);
  table.operation(OP.MOVE, none, one);
  table.operation(OP.MOVE, none, other);
  table.call(NR.close, mine);
  table.call(NR.close, theirs);
  table.run();
  const { length, fd: inside } = rights.decode(control.bytes);
  // A message whose descriptor could not be opened comes without it.
  return received.value === 1 && length === RIGHTS_LENGTH ? inside : undefined;
}

/** Adds to the table: close what was lent. */
export function takeBack({ table, infection }: Dumpee, inside: number): void {
  const { held, none } = infection.area;
  for (const word of held) table.operation(OP.MOVE, none, word);
  table.call(NR.close, inside);
}
