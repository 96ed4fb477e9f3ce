/**
 * What only the kernel's list tells of a TCP socket: keys that segments are signed with, and how much has come in truth. A machine may
 * have many more than the tree, so that each is looked up alone; where that has cost as much as the whole list, the list is read.
 */
import { type TcpFacts, tcpFacts, tcpSocket } from "../../linux/inet-diag.ts";
import { readText } from "../../linux/io.ts";
import { NETLINK, type Netlink } from "../../linux/netlink.ts";
import { AF, getOption, SO, SOL } from "../../linux/socket.ts";
import type { InetAddress } from "../../linux/socket-address.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";

const COOKIE_SIZE = 8;
/** So many in a list cost as much as one that is looked up alone. */
const WORTH = 10;
/** From so many on it is seen to how long the list is. */
const FEW = 16;

/** A socket, and where it is to be found. */
export interface Listed {
  /** Ours. */
  readonly fd: number;
  readonly inode: number;
  readonly own: InetAddress;
  readonly peer: InetAddress | undefined;
  /** Index of the interface that it is bound to; 0 for none. */
  readonly device: number;
  readonly net: SocketNet;
}

/** Of a namespace and a family. */
interface Asked {
  /** How many were looked up. */
  count: number;
  /** From so many on the list is read; not known at first. */
  most: number | undefined;
  list: ReadonlyMap<number, TcpFacts> | undefined;
}

export class ListedTcp implements Disposable {
  readonly #netlinks = new Map<number, Netlink>();
  readonly #asked = new Map<string, Asked>();

  /** Undefined for one that is not in the list: closed, or bound alone. @throws KernelError */
  find(socket: Listed): TcpFacts | undefined {
    const { inode, own, net } = socket;
    const asked = this.#askedOf(net.id, own.family);
    asked.count++;
    if (asked.count >= FEW) {
      asked.most ??= costOfList(own.family, net);
      if (asked.count >= asked.most) asked.list ??= tcpFacts(this.#netlink(net), own.family);
    }
    return asked.list === undefined ? this.#lookUp(socket) : asked.list.get(inode);
  }

  /** From now on all may be otherwise than they were; those that were looked up before are going to be once more. */
  renew(): void {
    for (const asked of this.#asked.values()) {
      if (asked.list === undefined) asked.count = 0;
      asked.list = undefined;
    }
  }

  #askedOf(net: number, family: number): Asked {
    const key = `${net}:${family}`;
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = { count: 0, most: undefined, list: undefined };
      this.#asked.set(key, asked);
    }
    return asked;
  }

  #lookUp({ fd, own, peer, device, net }: Listed): TcpFacts | undefined {
    return tcpSocket(this.#netlink(net), {
      family: own.family,
      source: own.host,
      sourcePort: own.port,
      destination: peer?.host ?? new Uint8Array(own.host.length),
      destinationPort: peer?.port ?? 0,
      interface: device,
      cookie: getOption(fd, SOL.SOCKET, SO.COOKIE, COOKIE_SIZE),
    });
  }

  #netlink(net: SocketNet): Netlink {
    let netlink = this.#netlinks.get(net.id);
    if (netlink === undefined) {
      netlink = net.netlink(NETLINK.SOCK_DIAG);
      this.#netlinks.set(net.id, netlink);
    }
    return netlink;
  }

  [Symbol.dispose](): void {
    for (const netlink of this.#netlinks.values()) netlink[Symbol.dispose]();
    this.#netlinks.clear();
  }
}

/** How many looks cost as much as the whole list. What is in another namespace is the tree's, mostly. */
function costOfList(family: number, net: SocketNet): number {
  if (!net.isOurs) return FEW;
  const [file, name] = family === AF.INET6 ? ["sockstat6", "TCP6"] : ["sockstat", "TCP"];
  const inUse = new RegExp(`^${name}: inuse (\\d+)`, "m").exec(readText(`/proc/net/${file}`))?.[1];
  return inUse === undefined ? Number.POSITIVE_INFINITY : Number(inUse) / WORTH;
}
