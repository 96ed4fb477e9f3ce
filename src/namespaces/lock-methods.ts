/** Which network lock a dump puts, and a restore takes away: --network-lock, which the inventory keeps. */

import type { InventoryEntry } from "../images/schema/generated/inventory.ts";
import { readText } from "../linux/io.ts";
import type { UndoStep } from "../undo/calls.ts";
import { IptablesLock, IptablesUnlocking } from "./iptables-lock.ts";
import type { Network } from "./net/network.ts";
import { type Connection, type NetworkLock, noLock } from "./network-lock.ts";
import { NftablesLock, NftablesUnlocking, unlockNftables } from "./nftables-lock.ts";

/** By their names in options and their numbers in images. */
export const LOCK_METHOD = { iptables: 0, nftables: 1, skip: 2 } as const;
export type LockMethod = keyof typeof LOCK_METHOD;

/** A name for the lock of one dump. @throws KernelError */
export function newRunId(): string {
  return readText("/proc/sys/kernel/random/uuid").trim();
}

export function networkLock(method: LockMethod, runId: string, network: Network): NetworkLock {
  switch (method) {
    case "iptables":
      return new IptablesLock(network);
    case "nftables":
      return new NftablesLock(runId, network);
    case "skip":
      return noLock;
  }
}

/** The method that a dump has used. */
export function lockMethodOf({ network_lock_method: number }: InventoryEntry): LockMethod {
  if (number === LOCK_METHOD.nftables) return "nftables";
  return number === LOCK_METHOD.skip ? "skip" : "iptables";
}

/** How a restore takes a lock away, by steps that are made when the tree lives. To be disposed of afterwards. */
export interface Unlocking extends Disposable {
  readonly steps: readonly UndoStep[];
}

/**
 * How what a dump has put is taken away; what is not there is nothing. Undefined where nothing is to be done. `rootPid` names the
 * lock of images that are older than CRIU 4.2. @throws KernelError
 */
export function unlocking(
  inventory: InventoryEntry,
  rootPid: number,
  connections: readonly Connection[],
  network: Network,
): Unlocking | undefined {
  const { network_lock_method: method = LOCK_METHOD.iptables, dump_criu_run_id: runId } = inventory;
  const id = runId ?? String(rootPid);
  if (connections.length > 0) {
    if (method === LOCK_METHOD.nftables) return new NftablesUnlocking(id, network);
    return method === LOCK_METHOD.iptables ? new IptablesUnlocking(connections, network) : undefined;
  }
  // CRIU puts one whether there are connections or not.
  if (method === LOCK_METHOD.nftables) unlockNftables(id, network);
  return undefined;
}
