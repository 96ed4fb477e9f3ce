/** Addresses of sockets (struct sockaddr and its kinds) as bytes and back. */

import { AF } from "./socket.ts";
import { struct, u16, u32, viewOf } from "./struct.ts";

/** The family of an address; AF.UNSPEC of an empty one. */
export function familyOf(address: Uint8Array): number {
  return address.length < u16.size ? AF.UNSPEC : u16.read(address, 0);
}

/** An address over IP, v4 or v6. */
export interface InetAddress {
  readonly family: number;
  readonly port: number;
  /** 4 or 16 bytes, as on the wire. */
  readonly host: Uint8Array;
  /** Index of the interface that a link-local IPv6 address belongs to. */
  readonly scope: number;
  readonly flowinfo: number;
}

const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

/** struct sockaddr_in or struct sockaddr_in6. */
export function encodeInet(
  address: Omit<InetAddress, "scope" | "flowinfo"> & Partial<InetAddress>,
): Uint8Array {
  const { family, port, host, scope = 0, flowinfo = 0 } = address;
  const bytes = new Uint8Array(family === AF.INET6 ? SOCKADDR_IN6 : SOCKADDR_IN);
  const view = viewOf(bytes);
  view.setUint16(0, family, true);
  view.setUint16(2, port);
  if (family === AF.INET6) {
    view.setUint32(4, flowinfo);
    bytes.set(host.subarray(0, 16), 8);
    view.setUint32(24, scope, true);
  } else {
    bytes.set(host.subarray(0, 4), 4);
  }
  return bytes;
}

/** Reads struct sockaddr_in or sockaddr_in6; undefined for any other address. */
export function decodeInet(bytes: Uint8Array): InetAddress | undefined {
  const family = familyOf(bytes);
  const view = viewOf(bytes);
  if (family === AF.INET && bytes.length >= 8)
    return { family, port: view.getUint16(2), host: bytes.slice(4, 8), scope: 0, flowinfo: 0 };
  if (family !== AF.INET6 || bytes.length < SOCKADDR_IN6) return undefined;
  return {
    family,
    port: view.getUint16(2),
    host: bytes.slice(8, 24),
    scope: view.getUint32(24, true),
    flowinfo: view.getUint32(4),
  };
}

/**
 * struct sockaddr_un of a name as the kernel has it: empty for a socket without one, beginning with a zero byte for an
 * abstract one, a path without a zero byte at its end otherwise.
 */
export function encodeUnix(name: Uint8Array): Uint8Array {
  const path = name.length > 0 && name[0] !== 0;
  const bytes = new Uint8Array(u16.size + name.length + (path ? 1 : 0));
  u16.write(bytes, 0, AF.UNIX);
  bytes.set(name, u16.size);
  return bytes;
}

/** The name in a struct sockaddr_un: see encodeUnix. */
export function decodeUnix(bytes: Uint8Array): Uint8Array {
  const name = bytes.slice(u16.size);
  if (name.length === 0 || name[0] === 0) return name;
  const end = name.indexOf(0);
  return end < 0 ? name : name.subarray(0, end);
}

const sockaddrNl = struct({ family: u16, pad: u16, pid: u32, groups: u32 });

/** struct sockaddr_nl: port of a netlink socket, and the first 32 groups it hears. */
export function encodeNetlink(port: number, groups = 0): Uint8Array {
  return sockaddrNl.encode({ family: AF.NETLINK, pid: port, groups });
}

/** Reads struct sockaddr_nl. */
export function decodeNetlink(bytes: Uint8Array): { readonly port: number; readonly groups: number } {
  const { pid, groups } = sockaddrNl.decode(bytes);
  return { port: pid, groups };
}
