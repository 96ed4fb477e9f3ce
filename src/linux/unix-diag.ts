/** What the kernel tells of Unix sockets (include/uapi/linux/unix_diag.h). */
import type { Netlink } from "./netlink.ts";
import { ALL_STATES, askAll, wordOf, wordsOf } from "./sock-diag.ts";
import { AF } from "./socket.ts";
import { bytes, struct, u8, u16, u32 } from "./struct.ts";

const unixRequest = struct({
  family: u8,
  protocol: u8,
  pad: u16,
  states: u32,
  ino: u32,
  show: u32,
  cookie: bytes(8),
});
const unixHead = struct({ family: u8, type: u8, state: u8, pad: u8, ino: u32, cookie: bytes(8) });
/** Name, inode of the name, peer, who waits to be accepted, lengths of queues. */
const UNIX_SHOW = 0x1f;
const UNIX = { NAME: 0, VFS: 1, PEER: 2, ICONS: 3, RQLEN: 4, SHUTDOWN: 6 } as const;

export interface UnixSocket {
  readonly inode: number;
  /** A value of SOCK. */
  readonly type: number;
  /** A value of TCP_STATE: ESTABLISHED, CLOSE, LISTEN; SYN_SENT where a connection is not accepted yet. */
  readonly state: number;
  /** As in struct sockaddr_un: a path may end with a zero byte, an abstract name begins with one. Undefined where it has none. */
  readonly name: Uint8Array | undefined;
  /** Where the name stands in the file system: its inode, and the device, major << 20 | minor. */
  readonly file: { readonly inode: number; readonly device: number } | undefined;
  /** Inode of the socket that it is connected to: undefined where to none, 0 where that has none (was never accepted). */
  readonly peer: number | undefined;
  /** Of a listening one: the inodes of those that connected and wait to be accepted, first come first; 0 where it is closed. */
  readonly waiting: readonly number[];
  /** Bytes that wait to be read; of a listening one, how many wait to be accepted. */
  readonly receiveQueue: number;
  /** Bytes sent that the peer has not read; of a listening one, its backlog. */
  readonly sendQueue: number;
  /** Bits: 1 receives no more, 2 sends no more. */
  readonly shutdown: number;
}

/** Unix sockets of the namespace that have an inode. @throws KernelError */
export function unixSockets(netlink: Netlink): Map<number, UnixSocket> {
  const request = unixRequest.encode({ family: AF.UNIX, states: ALL_STATES, show: UNIX_SHOW });
  return askAll(netlink, "Unix sockets", request, unixHead, ({ ino, type, state }, attributes) => {
    const [receiveQueue = 0, sendQueue = 0] = wordsOf(attributes.get(UNIX.RQLEN));
    const [inode, device = 0] = wordsOf(attributes.get(UNIX.VFS));
    return [
      ino,
      {
        inode: ino,
        type,
        state,
        name: attributes.get(UNIX.NAME)?.slice(),
        file: inode === undefined ? undefined : { inode, device },
        peer: wordOf(attributes.get(UNIX.PEER)),
        waiting: wordsOf(attributes.get(UNIX.ICONS)),
        receiveQueue,
        sendQueue,
        shutdown: attributes.get(UNIX.SHUTDOWN)?.[0] ?? 0,
      },
    ];
  });
}
