/**
 * Datagrams of UDP that wait to be read. They are copied out by a peek offset, which takes none; a restore sends them once more, from
 * whom they were. What a datagram was told of besides (when it came, to which of our addresses) is not told any more.
 */
import type { SkDatagramEntry } from "../../images/schema/generated/sockets.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { NR } from "../../linux/nr.ts";
import type { Ends, PacketSender } from "../../linux/packets.ts";
import { AF, getInt, SO, SOL, setInt } from "../../linux/socket.ts";
import { decodeInet, type InetAddress } from "../../linux/socket-address.ts";
import { MSG, tryReceive } from "../../linux/socket-messages.ts";
import { s32 } from "../../linux/struct.ts";
import { log } from "../../log.ts";
import { isMapped } from "../../namespaces/network-lock.ts";
import { call } from "../../undo/calls.ts";
import type { Undo } from "../../undo/undo.ts";

/** No datagram over IP is longer. */
const LONGEST = 1 << 16;

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(s32.size);
  s32.write(bytes, 0, value);
  return bytes;
}

/** What waits in a socket, first come first. `where` names it. @throws KernelError */
export function peekDatagrams(fd: number, undo: Undo, where: string): SkDatagramEntry[] {
  const before = getInt(fd, SOL.SOCKET, SO.PEEK_OFF);
  const back = [call(NR.setsockopt, fd, SOL.SOCKET, SO.PEEK_OFF, int(before), s32.size)];
  const entry = undo.lay(`${where}: its peek offset`, back);
  try {
    setInt(fd, SOL.SOCKET, SO.PEEK_OFF, 0);
    return peekAll(fd);
  } finally {
    entry.undo();
  }
}

function peekAll(fd: number): SkDatagramEntry[] {
  const room = new Uint8Array(LONGEST);
  const datagrams: SkDatagramEntry[] = [];
  for (;;) {
    const got = tryReceive(fd, room, MSG.PEEK | MSG.DONTWAIT);
    if (got === -ERRNO.EAGAIN) return datagrams;
    if (typeof got === "number") throw new KernelError("recvmsg", "a datagram that waits", -got);
    datagrams.push({ from: got.from, data: got.bytes.slice() });
  }
}

const LOOPBACK_V4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_V6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** As the datagram's packet has them, which comes to a socket bound to `own`; undefined where none would. */
function endsOf(from: InetAddress, own: InetAddress): Ends | undefined {
  const v4 = from.family === AF.INET || isMapped(from.host);
  const any = own.host.every((byte) => byte === 0);
  const to = any ? (v4 ? LOOPBACK_V4 : LOOPBACK_V6) : v4 ? own.host.subarray(-4) : own.host;
  const host = v4 ? from.host.subarray(-4) : from.host;
  if (to.length !== host.length) return undefined;
  // One that is bound to a group, or hears everybody of a network.
  const [first = 0] = to;
  if (v4 ? first >= 224 : first === 0xff) return undefined;
  return { from: host, fromPort: from.port, to, toPort: own.port };
}

/**
 * Sends datagrams once more to a socket that is bound and not connected yet. What does not come, as the socket is bound to a
 * device or to a group, is lost, and said to be. @throws KernelError
 */
export function resendDatagrams(
  datagrams: readonly SkDatagramEntry[],
  own: InetAddress,
  protocol: number,
  sender: PacketSender,
  what: string,
): void {
  let lost = 0;
  for (const { from, data } of datagrams) {
    const address = decodeInet(from);
    const ends = address === undefined ? undefined : endsOf(address, own);
    if (ends === undefined) lost++;
    else sender.datagram(ends, data, protocol);
  }
  if (lost > 0) log.warn("files/datagrams", `${what}: ${lost} datagrams that waited to be read are lost`);
}
