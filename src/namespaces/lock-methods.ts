/** Which network lock a dump puts, and a restore takes away: --network-lock, which the inventory keeps. */

import type { InventoryEntry } from "../images/schema/generated/inventory.ts";
import { readText } from "../linux/io.ts";
import { IptablesLock, unlockIptables } from "./iptables-lock.ts";
import { type Connection, type NetworkLock, noLock } from "./network-lock.ts";
import { NftablesLock, unlockNftables } from "./nftables-lock.ts";

/** By their names in options and their numbers in images. */
export const LOCK_METHOD = { iptables: 0, nftables: 1, skip: 2 } as const;
export type LockMethod = keyof typeof LOCK_METHOD;

/** A name for the lock of one dump. @throws KernelError */
export function newRunId(): string {
  return readText("/proc/sys/kernel/random/uuid").trim();
}

export function networkLock(method: LockMethod, runId: string): NetworkLock {
  switch (method) {
    case "iptables":
      return new IptablesLock();
    case "nftables":
      return new NftablesLock(runId);
    case "skip":
      return noLock;
  }
}

/**
 * Takes away what a dump has put; what is not there is nothing. `rootPid` names the lock of images that are older than CRIU 4.2.
 * @throws KernelError
 */
export function unlockNetwork(
  inventory: InventoryEntry,
  rootPid: number,
  connections: readonly Connection[],
): void {
  const { network_lock_method: method = LOCK_METHOD.iptables, dump_criu_run_id: runId } = inventory;
  if (method === LOCK_METHOD.nftables) unlockNftables(runId ?? String(rootPid));
  if (method === LOCK_METHOD.iptables) unlockIptables(connections);
}
