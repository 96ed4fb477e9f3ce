/**
 * What only the kernel's list tells of a TCP socket: keys that segments are signed with, and how much has come in truth. Each is
 * looked up alone: a machine may have many more than the tree.
 */

import { type InetSocket, tcpSocket } from "../../linux/inet-diag.ts";
import { NETLINK, type Netlink } from "../../linux/netlink.ts";
import { getOption, SO, SOL } from "../../linux/socket.ts";
import type { InetAddress } from "../../linux/socket-address.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";

const COOKIE_SIZE = 8;

export class ListedTcp implements Disposable {
  readonly #netlinks = new Map<number, Netlink>();

  /** Undefined for one that is not in the list: closed, or bound alone. @throws KernelError */
  find(
    fd: number,
    own: InetAddress,
    peer: InetAddress | undefined,
    device: number,
    net: SocketNet,
  ): InetSocket | undefined {
    let netlink = this.#netlinks.get(net.id);
    if (netlink === undefined) {
      netlink = net.netlink(NETLINK.SOCK_DIAG);
      this.#netlinks.set(net.id, netlink);
    }
    return tcpSocket(netlink, {
      family: own.family,
      source: own.host,
      sourcePort: own.port,
      destination: peer?.host ?? new Uint8Array(own.host.length),
      destinationPort: peer?.port ?? 0,
      interface: device,
      cookie: getOption(fd, SOL.SOCKET, SO.COOKIE, COOKIE_SIZE),
    });
  }

  [Symbol.dispose](): void {
    for (const netlink of this.#netlinks.values()) netlink[Symbol.dispose]();
    this.#netlinks.clear();
  }
}
