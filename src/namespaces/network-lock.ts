/**
 * The network lock: from the moment a connection is saved until it is restored no packet of it may reach this machine's TCP,
 * which would answer with a reset once the socket is gone. nftables-lock.ts and iptables-lock.ts do it; what they leave behind
 * is what CRIU 4.2 leaves, so that each takes away what the other has put.
 */
import type { UndoStep } from "../undo/calls.ts";

/** Packets with this mark pass: those by which a restore tells its own sockets of their peers. As in CRIU. */
export const LOCK_MARK = 0xc114;

/** Both ends of a connection. Hosts have 4 or 16 bytes, as on the wire. */
export interface Connection {
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
}

/** An IPv4 host, written as one of IPv6 (::ffff:1.2.3.4)? */
export function isMapped(host: Uint8Array): boolean {
  return (
    host.length === 16 &&
    host.subarray(0, 10).every((byte) => byte === 0) &&
    host[10] === 0xff &&
    host[11] === 0xff
  );
}

/** The same, seen from the other side. */
export function reversed({ source, sourcePort, destination, destinationPort }: Connection): Connection {
  return {
    source: destination,
    sourcePort: destinationPort,
    destination: source,
    destinationPort: sourcePort,
  };
}

/** Whether its packets are IPv4's. */
export function isV4({ destination }: Connection): boolean {
  return destination.length === 4 || isMapped(destination);
}

/** The lock of one network namespace during a dump. It is prepared, then laid into the undo list, then put. */
export interface NetworkLock extends Disposable {
  /** Says of which connections no packet is to pass. @throws KernelError */
  prepare(connections: readonly Connection[]): void;
  /** How it is taken away again. */
  readonly undoing: readonly UndoStep[];
  /** @throws KernelError */
  lock(): void;
  /** How it is made to stay when we are gone. */
  readonly staying: readonly UndoStep[];
}

/** No lock: whoever has asked for that has seen to it that no packet comes. */
export const noLock: NetworkLock = {
  prepare() {},
  undoing: [],
  lock() {},
  staying: [],
  [Symbol.dispose]() {},
};
