/**
 * What the kernel tells of all sockets of a network namespace (NETLINK_SOCK_DIAG), by their inode: the namespace is the one that
 * the netlink socket was made in.
 */
import { ERRNO, isErrno } from "./errno.ts";
import { type Attributes, attributesIn, type Netlink, NLM } from "./netlink.ts";
import { type Shape, type Struct, u32, type Values } from "./struct.ts";

/** SOCK_DIAG_BY_FAMILY (include/uapi/linux/sock_diag.h) */
export const BY_FAMILY = 20;
export const ALL_STATES = 0xffff_ffff;

/** Asks for all sockets of a family. A kernel without that part of sock_diag (ENOENT) tells of none. @throws KernelError */
export function askAll<S extends Shape, T>(
  netlink: Netlink,
  what: string,
  request: Uint8Array,
  head: Struct<S>,
  take: (head: Values<S>, attributes: Attributes) => [number, T],
): Map<number, T> {
  const found = new Map<number, T>();
  const ask = { type: BY_FAMILY, flags: NLM.DUMP, body: request };
  try {
    netlink.ask(
      `list of ${what}`,
      ask,
      ({ body }) => {
        const [inode, socket] = take(head.decode(body), attributesIn(body, head.size));
        // Connections that nobody has accepted or that nobody holds any more have no inode.
        if (inode !== 0) found.set(inode, socket);
      },
      () => found.clear(),
    );
  } catch (error) {
    if (!isErrno(error, ERRNO.ENOENT)) throw error;
  }
  return found;
}

/** The words of an attribute. */
export function wordsOf(value: Uint8Array | undefined): number[] {
  const words: number[] = [];
  for (let at = 0; value !== undefined && at + u32.size <= value.length; at += u32.size)
    words.push(u32.read(value, at));
  return words;
}

/** Its first word; undefined where it has none. */
export function wordOf(value: Uint8Array | undefined): number | undefined {
  return value === undefined || value.length < u32.size ? undefined : u32.read(value, 0);
}

/** States of TCP, which other families use as well (include/net/tcp_states.h). */
export const TCP_STATE = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
  NEW_SYN_RECV: 12,
} as const;
