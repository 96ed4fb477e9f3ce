/**
 * The error that a connected socket of UDP tells next (SO_ERROR): to ask for it takes it. It is put back, and made again by a restore,
 * as it came: by a message of ICMP about a datagram that it has sent.
 */
import { ERRNO, errnoName } from "../../linux/errno.ts";
import { NR } from "../../linux/nr.ts";
import { PacketSender } from "../../linux/packets.ts";
import { POLL, poll } from "../../linux/poll.ts";
import { AF, getInt, SO, SOL, tryGetInt } from "../../linux/socket.ts";
import type { InetAddress } from "../../linux/socket-address.ts";
import { send } from "../../linux/socket-messages.ts";
import { IP, IPV6 } from "../../linux/socket-options.ts";
import { log } from "../../log.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";
import { isMapped, LOCK_MARK } from "../../namespaces/network-lock.ts";
import { call } from "../../undo/calls.ts";
import type { Undo } from "../../undo/undo.ts";
import { FileDumpError } from "../errors.ts";

/** Codes of "destination unreachable" by what they become (net/ipv4/icmp.c, net/ipv6/icmp.c): those that connected sockets are told. */
const CODES_V4: ReadonlyMap<number, number> = new Map([
  [ERRNO.ENOPROTOOPT, 2],
  [ERRNO.ECONNREFUSED, 3],
  [ERRNO.ENETUNREACH, 9],
  [ERRNO.EHOSTUNREACH, 10],
]);
const CODES_V6: ReadonlyMap<number, number> = new Map([
  [ERRNO.EACCES, 1],
  [ERRNO.ECONNREFUSED, 4],
]);

interface Pair {
  readonly own: InetAddress;
  readonly peer: InetAddress;
}

/** Ends as the packets have them. */
function endsOf({ own, peer }: Pair) {
  const v4 = peer.family === AF.INET || isMapped(peer.host);
  const hostOf = ({ host }: InetAddress) => (v4 ? host.subarray(-4) : host);
  return { from: hostOf(own), fromPort: own.port, to: hostOf(peer), toPort: peer.port };
}

function codesFor(pair: Pair): ReadonlyMap<number, number> {
  return endsOf(pair).to.length === 4 ? CODES_V4 : CODES_V6;
}

/** Whether errors are queued, with what caused them. */
function queuesErrors(fd: number): boolean {
  return (tryGetInt(fd, SOL.IP, IP.RECVERR) ?? 0) !== 0 || (tryGetInt(fd, SOL.IPV6, IPV6.RECVERR) ?? 0) !== 0;
}

/**
 * Does something while a socket of UDP, which has an error to tell, has none; gives the error. `peer` is undefined where it is not
 * connected. @throws FileDumpError where it cannot be put back, KernelError
 */
export function withoutError<T>(
  fd: number,
  { own, peer }: { readonly own: InetAddress; readonly peer: InetAddress | undefined },
  net: SocketNet,
  undo: Undo,
  where: string,
  act: () => T,
): { readonly error: number; readonly result: T } {
  if (queuesErrors(fd)) refuse(where, "errors wait in its queue (IP_RECVERR)");
  if (peer === undefined) refuse(where, "an error waits to be told, or a message in its queue of errors");
  const pair = { own, peer };
  using sender = new PacketSender(LOCK_MARK, net.socket);
  const made = new Map(
    [...codesFor(pair)].map(([error, code]) => [error, sender.unreachable(endsOf(pair), code)]),
  );
  // What it is, is known when it is taken: until then it is the usual one.
  const usual = made.get(ERRNO.ECONNREFUSED);
  if (usual === undefined) refuse(where, "an error waits to be told");
  const back = ({ fd: raw, bytes, to }: typeof usual) =>
    call(NR.sendto, raw, bytes, bytes.length, 0, to, to.length);
  const entry = undo.lay(`${where}: its error`, [back(usual)]);
  let error = ERRNO.ECONNREFUSED as number;
  try {
    error = getInt(fd, SOL.SOCKET, SO.ERROR);
    if (error === 0) refuse(where, "a message waits in its queue of errors");
    if (!made.has(error)) refuse(where, `${errnoName(error)} waits to be told, and cannot be put back`);
    return { error, result: act() };
  } finally {
    const right = made.get(error);
    if (error === ERRNO.ECONNREFUSED || right === undefined) entry.undo();
    else {
      send(right.fd, right);
      entry.drop();
    }
  }
}

function refuse(where: string, what: string): never {
  throw new FileDumpError(`${where}: ${what}, which cannot be dumped; it can be when they have been read`);
}

/** Has a connected socket tell an error next. @throws KernelError */
export function restoreError(
  fd: number,
  pair: Pair,
  error: number,
  sender: PacketSender,
  what: string,
): void {
  const code = codesFor(pair).get(error);
  if (code !== undefined) {
    const packet = sender.unreachable(endsOf(pair), code);
    send(packet.fd, packet);
  }
  if (code === undefined || (poll(fd, 0) & POLL.ERR) === 0)
    log.warn("files/inet", `${what}: the error that it was to tell next is lost (${errnoName(error)})`);
}
