/**
 * The network lock: from the moment a connection is saved until it is restored no packet of it may reach this machine's TCP,
 * which would answer with a reset once the socket is gone.
 *
 * With nftables it is a table of its own, named by the id of the dump, which the inventory keeps: CRIU 4.2 takes ours away and
 * we take its. While we work it is ours alone and goes away with the socket that made it, if we are killed; to stay, it is
 * replaced by one that is nobody's, at one stroke.
 */
import { NETLINK, Netlink } from "../linux/netlink.ts";
import {
  HOOK_AT,
  isIn,
  isProtocol,
  markIs,
  NFPROTO,
  type Piece,
  TABLE_FLAG,
  Transaction,
  tableExists,
  VERDICT,
  verdict,
} from "../linux/nftables.ts";
import { IPPROTO } from "../linux/socket.ts";
import { viewOf } from "../linux/struct.ts";

/** Packets with this mark pass: those by which a restore tells its own sockets of their peers. As in CRIU. */
export const LOCK_MARK = 0xc114;

/** Both ends of a connection. Hosts have 4 or 16 bytes, as on the wire. */
export interface Connection {
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
}

/** How `nft list` names the types of a key's parts (libnftables' datatypes), 6 bits for each. */
const DATATYPE = { IPV4: 7, IPV6: 8, SERVICE: 13 } as const;

interface Family {
  readonly set: string;
  readonly nfproto: number;
  readonly hostType: number;
  /** Bytes of a host. */
  readonly host: number;
  /** Where the header has the source's host; the destination's follows it. */
  readonly at: number;
}

const V4: Family = { set: "conns4", nfproto: NFPROTO.IPV4, hostType: DATATYPE.IPV4, host: 4, at: 12 };
const V6: Family = { set: "conns6", nfproto: NFPROTO.IPV6, hostType: DATATYPE.IPV6, host: 16, at: 8 };
/** Bytes of a port in a key, which is made of words. */
const PORT = 4;
const CHAINS = [
  ["output", HOOK_AT.OUTPUT],
  ["input", HOOK_AT.INPUT],
] as const;

/** Name of the table of a dump. */
export function lockTable(runId: string): string {
  return `CRIU-${runId}`;
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

/** What a rule compares: the connection as packets have it that go from source to destination. */
function key({ source, sourcePort, destination, destinationPort }: Connection, { host }: Family): Uint8Array {
  const bytes = new Uint8Array(2 * (host + PORT));
  const view = viewOf(bytes);
  bytes.set(source.subarray(-host), 0);
  view.setUint16(host, sourcePort);
  bytes.set(destination.subarray(-host), host + PORT);
  view.setUint16(2 * host + PORT, destinationPort);
  return bytes;
}

function reversed({ source, sourcePort, destination, destinationPort }: Connection): Connection {
  return {
    source: destination,
    sourcePort: destinationPort,
    destination: source,
    destinationPort: sourcePort,
  };
}

function isV4({ destination }: Connection): boolean {
  return destination.length === 4 || isMapped(destination);
}

function keysOf(connections: readonly Connection[], family: Family): Uint8Array[] {
  const keys: Uint8Array[] = [];
  const seen = new Set<string>();
  for (const connection of connections) {
    if (isV4(connection) !== (family === V4)) continue;
    for (const each of [reversed(connection), connection]) {
      const bytes = key(each, family);
      // Both ends may be of the tree.
      const text = bytes.toHex();
      if (!seen.has(text)) keys.push(bytes);
      seen.add(text);
    }
  }
  return keys;
}

function addTable(transaction: Transaction, table: string, flags: number, policy: number): void {
  transaction.newTable(table, flags);
  for (const [chain, hook] of CHAINS) {
    transaction.newChain(table, chain, hook, policy);
    transaction.newRule(table, chain, [...markIs(LOCK_MARK), verdict(VERDICT.ACCEPT)]);
  }
}

/** A table that drops the packets of the connections, in both directions, and lets all else pass. */
function addConnections(
  transaction: Transaction,
  table: string,
  flags: number,
  connections: readonly Connection[],
): void {
  addTable(transaction, table, flags, VERDICT.ACCEPT);
  for (const family of [V4, V6]) {
    const { set, nfproto, hostType, host, at } = family;
    const type = (hostType << 18) | (DATATYPE.SERVICE << 12) | (hostType << 6) | DATATYPE.SERVICE;
    transaction.newSet(table, set, type, 2 * (host + PORT));
    transaction.newElements(table, set, keysOf(connections, family));
    const pieces: Piece[] = [
      { of: "network", offset: at, length: host },
      { of: "transport", offset: 0, length: 2 },
      { of: "network", offset: at + host, length: host },
      { of: "transport", offset: 2, length: 2 },
    ];
    const drop = [...isProtocol(nfproto, IPPROTO.TCP), ...isIn(set, pieces), verdict(VERDICT.DROP)];
    for (const [chain] of CHAINS) transaction.newRule(table, chain, drop);
  }
}

/** The lock of one network namespace, by nftables. */
export class NftablesLock implements Disposable {
  readonly #netlink: Netlink;
  readonly #table: string;
  #connections: readonly Connection[] | undefined;

  /** `netlink` speaks with the namespace's netfilter (our own, where it is not said) and is this lock's from now on. */
  constructor(runId: string, netlink: Netlink = Netlink.open(NETLINK.NETFILTER)) {
    this.#netlink = netlink;
    this.#table = lockTable(runId);
  }

  /** Stops the packets of connections, until we are gone or `release`. @throws KernelError */
  lock(connections: readonly Connection[]): void {
    const transaction = new Transaction();
    addConnections(transaction, this.#table, TABLE_FLAG.OWNER, connections);
    transaction.commit(this.#netlink, "network lock");
    this.#connections = connections;
  }

  /** A message to the descriptor that makes the lock stay when we are gone; nobody needs to read the answer. */
  persisting(): { readonly descriptor: number; readonly message: Uint8Array } | undefined {
    if (this.#connections === undefined) return undefined;
    const transaction = new Transaction().deleteTable(this.#table);
    addConnections(transaction, this.#table, TABLE_FLAG.NONE, this.#connections);
    return { descriptor: this.#netlink.descriptor, message: transaction.bytes() };
  }

  /** Lets the packets pass again, if the lock was not made to stay. */
  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }
}

/** Takes the lock of a dump away; false where there is none. @throws KernelError */
export function unlockNftables(runId: string, netlink: Netlink = Netlink.open(NETLINK.NETFILTER)): boolean {
  using socket = netlink;
  const table = lockTable(runId);
  if (!tableExists(socket, table)) return false;
  new Transaction().deleteTable(table).commit(socket, "network lock");
  return true;
}
