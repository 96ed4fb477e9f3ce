/** What the kernel tells of packet sockets (include/uapi/linux/packet_diag.h). */
import type { Netlink } from "./netlink.ts";
import { askAll, wordOf } from "./sock-diag.ts";
import { AF } from "./socket.ts";
import { bytes, struct, u8, u16, u32 } from "./struct.ts";

const packetRequest = struct({ family: u8, protocol: u8, pad: u16, ino: u32, show: u32, cookie: bytes(8) });
const packetHead = struct({ family: u8, type: u8, protocol: u16, ino: u32, cookie: bytes(8) });
const packetInfo = struct({
  index: u32,
  version: u32,
  reserve: u32,
  copyThreshold: u32,
  timestamp: u32,
  flags: u32,
});
const packetMember = struct({ index: u32, count: u32, type: u16, length: u16, address: bytes(32) });
/** struct packet_diag_ring, and by the same fields struct tpacket_req3. */
export const packetRing = struct({
  block_size: u32,
  block_nr: u32,
  frame_size: u32,
  frame_nr: u32,
  retire_tmo: u32,
  sizeof_priv: u32,
  features: u32,
});
/** Info, memberships, rings, fanout, filter. */
const PACKET_SHOW = 0x2f;
const PACKET = { INFO: 0, MCLIST: 1, RX_RING: 2, TX_RING: 3, FANOUT: 4 } as const;
/** Bits of `flags`. */
export const PACKET_FLAG = { RUNNING: 1, AUXDATA: 2, ORIGDEV: 4, VNET_HDR: 8, LOSS: 0x10 } as const;

export type PacketRing = ReturnType<typeof packetRing.decode>;
export type PacketMember = ReturnType<typeof packetMember.decode>;

export interface PacketSocket extends Readonly<ReturnType<typeof packetInfo.decode>> {
  readonly inode: number;
  readonly type: number;
  /** ETH_P_*, in the order of this machine. */
  readonly protocol: number;
  readonly members: readonly PacketMember[];
  readonly receiveRing: PacketRing | undefined;
  readonly sendRing: PacketRing | undefined;
  /** As PACKET_FANOUT takes it. */
  readonly fanout: number | undefined;
}

/** Packet sockets of the namespace. @throws KernelError */
export function packetSockets(netlink: Netlink): Map<number, PacketSocket> {
  const request = packetRequest.encode({ family: AF.PACKET, show: PACKET_SHOW });
  return askAll(netlink, "packet sockets", request, packetHead, ({ ino, type, protocol }, attributes) => {
    const ring = (attribute: number): PacketRing | undefined => {
      const value = attributes.get(attribute);
      return value === undefined ? undefined : packetRing.decode(value);
    };
    const list = attributes.get(PACKET.MCLIST) ?? new Uint8Array(0);
    const members = [];
    for (let at = 0; at + packetMember.size <= list.length; at += packetMember.size)
      members.push(packetMember.decode(list, at));
    const info = packetInfo.decode(attributes.get(PACKET.INFO) ?? new Uint8Array(packetInfo.size));
    return [
      ino,
      {
        ...info,
        inode: ino,
        type,
        protocol,
        members,
        receiveRing: ring(PACKET.RX_RING),
        sendRing: ring(PACKET.TX_RING),
        fanout: wordOf(attributes.get(PACKET.FANOUT)),
      },
    ];
  });
}
