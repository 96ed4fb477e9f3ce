/**
 * What raw sockets have of their own: whom they are connected to, as of all kinds of socket they are not told to be where no port is
 * given; and routes of multicast, which belong to the socket of a router.
 */
import { readText } from "../../linux/io.ts";
import { attributesIn, NETLINK, RequestBody } from "../../linux/netlink.ts";
import { RTM } from "../../linux/rtnetlink.ts";
import { AF, IPPROTO } from "../../linux/socket.ts";
import type { InetAddress } from "../../linux/socket-address.ts";
import { struct, u8, u32 } from "../../linux/struct.ts";
import type { SocketNet } from "../../namespaces/net/dump.ts";
import type { SocketType } from "./options.ts";

/** Columns of /proc/PID/net/raw: addresses, as HOST:PORT in hexadecimal words of this machine; the inode. */
const REMOTE = 2;
const INODE = 9;

/** The peer of a raw socket, by its inode; `pid` lives where it is of. Undefined where it has none. @throws KernelError */
export function rawPeer(pid: number, family: number, inode: number): InetAddress | undefined {
  const text = readText(`/proc/${pid}/net/${family === AF.INET6 ? "raw6" : "raw"}`);
  for (const line of text.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    if (Number(columns[INODE]) !== inode) continue;
    const [words = "", port = "0"] = (columns[REMOTE] ?? "").split(":");
    const host = new Uint8Array(words.length / 2);
    for (let at = 0; at < host.length; at += u32.size)
      u32.write(host, at, Number.parseInt(words.slice(2 * at, 2 * at + 8), 16));
    if (host.every((byte) => byte === 0)) return undefined;
    return { family, host, port: Number.parseInt(port, 16), scope: 0, flowinfo: 0 };
  }
  return undefined;
}

/** struct netconfmsg, padded. */
const netconfmsg = struct({ family: u8 }, 4);
const NETCONFA = { IFINDEX: 1, MC_FORWARDING: 4 } as const;
/** NETCONFA_IFINDEX_ALL */
const OF_ALL_DEVICES = 0xffff_ffff;

/** Which namespaces have a router of multicast: a raw socket of IGMP, or of ICMPv6. One for each dump. */
export class MulticastRouters {
  readonly #known = new Map<string, boolean>();

  /** Whether a socket may be the router's: which one is, nobody tells. @throws KernelError */
  mayBe({ family, protocol }: SocketType, net: SocketNet): boolean {
    if (protocol !== (family === AF.INET6 ? IPPROTO.ICMPV6 : IPPROTO.IGMP)) return false;
    const key = `${net.id}:${family}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = routesMulticast(family, net);
      this.#known.set(key, known);
    }
    return known;
  }
}

function routesMulticast(family: number, net: SocketNet): boolean {
  using route = net.netlink(NETLINK.ROUTE);
  const body = new RequestBody(netconfmsg.encode({ family })).u32(NETCONFA.IFINDEX, OF_ALL_DEVICES).bytes;
  let routes = false;
  route.ask("whether multicast is routed", { type: RTM.GETNETCONF, flags: 0, body }, (message) => {
    const value = attributesIn(message.body, netconfmsg.size).get(NETCONFA.MC_FORWARDING);
    routes ||= value !== undefined && u32.read(value, 0) !== 0;
  });
  return routes;
}
