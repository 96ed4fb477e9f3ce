/**
 * The network lock by nftables: a table of its own, named by the id of the dump, which the inventory keeps. While we work it is
 * ours alone and goes away with the socket that made it, if we are killed; to stay, it is replaced by one that is nobody's, at one
 * stroke.
 */
import { NETLINK, type Netlink } from "../linux/netlink.ts";
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
import { NR } from "../linux/nr.ts";
import { IPPROTO } from "../linux/socket.ts";
import { viewOf } from "../linux/struct.ts";
import { call, type UndoStep } from "../undo/calls.ts";
import type { Network } from "./net/network.ts";
import { type Connection, isV4, LOCK_MARK, type NetworkLock, reversed } from "./network-lock.ts";

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

/** CRIU 4.2 has room for 31 characters of "inet CRIU-" and the id: so many of the id are in the name. */
const ID_IN_NAME = 21;

/** Name of the table of a dump. */
export function lockTable(runId: string): string {
  return `CRIU-${runId.slice(0, ID_IN_NAME)}`;
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

/** A message to the kernel of which nobody reads the answer. */
function sending(netlink: Netlink, message: Uint8Array): UndoStep[] {
  return [call(NR.sendto, netlink.descriptor, message, message.length, 0, 0, 0)];
}

export class NftablesLock implements NetworkLock {
  readonly #table: string;
  #netlink: Netlink | undefined;
  #connections: readonly Connection[] = [];

  /** In a network namespace that is not ours nothing passes at all, as the tree has it for itself. */
  constructor(
    runId: string,
    private readonly network: Network,
  ) {
    this.#table = lockTable(runId);
  }

  get #socket(): Netlink {
    this.#netlink ??= this.network.netlink(NETLINK.NETFILTER);
    return this.#netlink;
  }

  #add(transaction: Transaction, flags: number): void {
    if (this.network.isOurs) addConnections(transaction, this.#table, flags, this.#connections);
    else addTable(transaction, this.#table, flags, VERDICT.DROP);
  }

  prepare(connections: readonly Connection[]): void {
    this.#connections = connections;
    void this.#socket;
  }

  get undoing(): readonly UndoStep[] {
    return sending(this.#socket, new Transaction().deleteTable(this.#table).bytes());
  }

  lock(): void {
    const transaction = new Transaction();
    this.#add(transaction, TABLE_FLAG.OWNER);
    transaction.commit(this.#socket, "network lock");
  }

  get staying(): readonly UndoStep[] {
    const transaction = new Transaction().deleteTable(this.#table);
    this.#add(transaction, TABLE_FLAG.NONE);
    return sending(this.#socket, transaction.bytes());
  }

  /** The lock goes away with it, unless it was made to stay. */
  [Symbol.dispose](): void {
    this.#netlink?.[Symbol.dispose]();
    this.#netlink = undefined;
  }
}

/** The end of the lock of a dump, by a message of which nobody reads the answer. */
export class NftablesUnlocking implements Disposable {
  readonly #netlink: Netlink;
  readonly steps: readonly UndoStep[];

  /** @throws KernelError */
  constructor(runId: string, network: Network) {
    this.#netlink = network.netlink(NETLINK.NETFILTER);
    this.steps = sending(this.#netlink, new Transaction().deleteTable(lockTable(runId)).bytes());
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }
}

/** Takes the lock of a dump away; false where there is none. @throws KernelError */
export function unlockNftables(runId: string, network: Network): boolean {
  using socket = network.netlink(NETLINK.NETFILTER);
  const table = lockTable(runId);
  if (!tableExists(socket, table)) return false;
  new Transaction().deleteTable(table).commit(socket, "network lock");
  return true;
}
