/** Which sockets over IP are of which protocol. A raw one is of none: it has packets of that number. */
import { IPPROTO, SOCK } from "../../linux/socket.ts";
import type { SocketType } from "./options.ts";

export const isTcp = ({ type, protocol }: SocketType): boolean =>
  type !== SOCK.RAW && protocol === IPPROTO.TCP;
export const isMptcp = ({ type, protocol }: SocketType): boolean =>
  type !== SOCK.RAW && protocol === IPPROTO.MPTCP;
export const isUdp = ({ type, protocol }: SocketType): boolean =>
  type !== SOCK.RAW && (protocol === IPPROTO.UDP || protocol === IPPROTO.UDPLITE);
