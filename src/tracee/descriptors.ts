/**
 * Lending a descriptor of ours to a process that is being dumped, so that it writes to a file of ours by itself.
 *
 * It travels as SCM_RIGHTS over a pair of sockets that the process makes: its own rights would not let it take the
 * descriptor from us. All its threads are stopped, so the numbers that it will get are known beforehand: the lowest
 * free ones. They are noted to be closed on the way out before they exist, so that our death leaves none open.
 */
import { KernelError } from "../linux/errno.ts";
import { close, listNumbers, pidfdGetfd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { s32, struct, u32, viewOf, word } from "../linux/struct.ts";
import { addressOf, syscall } from "../linux/syscall.ts";
import type { Dumpee } from "./dumpee.ts";

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
const rlimit = struct({ current: word, maximum: word });

const RLIMIT = { FSIZE: 1, NOFILE: 7 } as const;

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

/**
 * Lends our descriptor `fd` to a process, for `bytes` bytes to be written by it. Gives the number inside, to be given
 * to {@link takeBack}; undefined where the process' limits on descriptors or file sizes forbid. @throws KernelError
 */
export function lend(dumpee: Dumpee, fd: number, bytes: number): number | undefined {
  const { pid, table, infection } = dumpee;
  const numbers = freeNumbers(pid, 3);
  const [mine, theirs, lent] = numbers;
  if (mine === undefined || theirs === undefined || lent === undefined) return undefined;
  const fileSize = table.space(rlimit.size);
  const openFiles = table.space(rlimit.size);
  table.must("its limits", NR.prlimit64, 0, RLIMIT.FSIZE, 0, fileSize.address);
  table.must("its limits", NR.prlimit64, 0, RLIMIT.NOFILE, 0, openFiles.address);
  table.run();
  if (rlimit.decode(fileSize.bytes).current < bytes) return undefined;
  if (rlimit.decode(openFiles.bytes).current <= lent) return undefined;

  infection.adoptDescriptors(numbers);
  const pair = table.space(8);
  table.must("a pair of sockets", NR.socketpair, AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair.address);
  table.run();
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
  if (received.value !== 1 || length !== RIGHTS_LENGTH || inside !== lent)
    throw new KernelError("recvmsg", `of a descriptor in process ${pid}`, 0);
  return inside;
}

/** Closes what was lent. @throws KernelError */
export function takeBack(dumpee: Dumpee, inside: number): void {
  dumpee.table.call(NR.close, inside);
  dumpee.table.run();
}
