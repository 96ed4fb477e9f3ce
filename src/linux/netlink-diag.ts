/** What the kernel tells of netlink sockets (include/uapi/linux/netlink_diag.h). */
import type { Netlink } from "./netlink.ts";
import { askAll, wordOf, wordsOf } from "./sock-diag.ts";
import { AF } from "./socket.ts";
import { bytes, struct, u8, u16, u32 } from "./struct.ts";

const netlinkRequest = struct({ family: u8, protocol: u8, pad: u16, ino: u32, show: u32, cookie: bytes(8) });
const netlinkHead = struct({
  family: u8,
  type: u8,
  protocol: u8,
  state: u8,
  port: u32,
  peerPort: u32,
  peerGroup: u32,
  ino: u32,
  cookie: bytes(8),
});
const ALL_PROTOCOLS = 0xff;
/** Groups and flags. */
const NETLINK_SHOW = 0xa;
const NETLINK_DIAG = { GROUPS: 1, FLAGS: 4 } as const;
/** Bits of `flags`. */
export const NETLINK_FLAG = {
  CB_RUNNING: 1,
  PKTINFO: 2,
  BROADCAST_ERROR: 4,
  NO_ENOBUFS: 8,
  LISTEN_ALL_NSID: 0x10,
  CAP_ACK: 0x20,
} as const;
/** The `state` of one that is connected; any other is not. */
export const NETLINK_CONNECTED = 1;

export interface NetlinkSocket {
  readonly inode: number;
  readonly type: number;
  /** A value of NETLINK. */
  readonly protocol: number;
  readonly state: number;
  readonly port: number;
  readonly peerPort: number;
  /** Number of the group that it sends to, from 1; 0 for none. */
  readonly peerGroup: number;
  /** Bit masks of 32 groups each. */
  readonly groups: readonly number[];
  readonly flags: number;
}

/** Netlink sockets of the namespace that are bound, of programs, of all protocols. @throws KernelError */
export function netlinkSockets(netlink: Netlink): Map<number, NetlinkSocket> {
  const request = netlinkRequest.encode({ family: AF.NETLINK, protocol: ALL_PROTOCOLS, show: NETLINK_SHOW });
  return askAll(netlink, "netlink sockets", request, netlinkHead, (head, attributes) => [
    head.ino,
    {
      inode: head.ino,
      type: head.type,
      protocol: head.protocol,
      state: head.state,
      port: head.port,
      peerPort: head.peerPort,
      peerGroup: head.peerGroup,
      groups: wordsOf(attributes.get(NETLINK_DIAG.GROUPS)),
      flags: wordOf(attributes.get(NETLINK_DIAG.FLAGS)) ?? 0,
    },
  ]);
}
