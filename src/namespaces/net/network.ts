/**
 * A network namespace, ours or another: sockets are made in it, also those by which the kernel is asked about it. Once made, a socket
 * is used by us as any other.
 */
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { fcntl, O } from "../../linux/io.ts";
import { Netlink } from "../../linux/netlink.ts";
import { openSocket } from "../../linux/socket.ts";
import type { NetHelper } from "./helper.ts";

export interface Network {
  readonly isOurs: boolean;
  /** The namespace, to be entered; the caller's. @throws KernelError */
  open(): Fd;
  /** socket(2) with O_CLOEXEC; the caller's. @throws KernelError */
  socket(family: number, type: number, protocol?: number): Fd;
  /** A socket that speaks with the kernel about it; the caller's. @throws KernelError */
  netlink(protocol: number): Netlink;
}

export const OUR_NETWORK: Network = {
  isOurs: true,
  open: () => Fd.open("/proc/self/ns/net", O.RDONLY),
  socket: openSocket,
  netlink: (protocol) => Netlink.open(protocol),
};

/** Another one, to which a descriptor of ours leads, lent for as long as it is used. */
export function networkAt(helper: NetHelper, namespace: number): Network {
  return {
    isOurs: false,
    open: () => Fd.own(fcntl(namespace, F.DUPFD_CLOEXEC)),
    socket: (family, type, protocol) => helper.socket(namespace, family, type, protocol),
    netlink: (protocol) => helper.netlink(namespace, protocol),
  };
}
