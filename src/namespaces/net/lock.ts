/**
 * The network lock of a whole namespace of the tree: nothing passes but what has the mark, from before it is saved until what was
 * restored works. Of one that is the tree's alone nobody sees how it is locked; in one that is external, or is held by somebody else, the
 * lock of a dump stays, as CRIU would have put it.
 */
import { NETLINK } from "../../linux/netlink.ts";
import { knowsTables } from "../../linux/nftables.ts";
import type { Undo, UndoEntry } from "../../undo/undo.ts";
import { IptablesLock, IptablesUnlocking } from "../iptables-lock.ts";
import { type LockMethod, networkLock, type Unlocking } from "../lock-methods.ts";
import type { NetworkLock } from "../network-lock.ts";
import { NftablesLock, NftablesUnlocking } from "../nftables-lock.ts";
import type { Network } from "./network.ts";

/** A lock that is put. */
export class HeldLock implements Disposable {
  readonly #undone: UndoEntry;
  readonly #staying: UndoEntry | undefined;

  /** `stays`: also when the command has succeeded. @throws LockError, KernelError */
  constructor(
    private readonly lock: NetworkLock,
    undo: Undo,
    stays: boolean,
  ) {
    lock.prepare([]);
    this.#undone = undo.lay("network lock", lock.undoing);
    lock.lock();
    if (stays) this.#staying = undo.layAfter("network lock", lock.staying);
  }

  /** Takes it away. Never throws. */
  release(): void {
    this.#undone.undo();
    this.#staying?.drop();
    this[Symbol.dispose]();
  }

  /** Has it taken away when the command has succeeded. @throws KernelError */
  layRelease(undo: Undo): void {
    undo.layAfter("network lock", this.lock.undoing);
  }

  [Symbol.dispose](): void {
    this.lock[Symbol.dispose]();
  }
}

/** A lock that nobody but us is to take away again: of the newer kind, where the kernel knows it. */
export function ourLock(runId: string, network: Network): NetworkLock {
  using netfilter = network.netlink(NETLINK.NETFILTER);
  return knowsTables(netfilter) ? new NftablesLock(runId, network) : new IptablesLock(network);
}

/** The lock of a dump. `stays`: the tree ends, and the lock stays with a namespace that somebody else holds. */
export function dumpLock(
  method: LockMethod,
  runId: string,
  network: Network,
  isExternal: boolean,
  stays: boolean,
): NetworkLock {
  const isTheirs = isExternal || method === "skip" || (stays && method === "iptables");
  return isTheirs ? networkLock(method, runId, network) : ourLock(runId, network);
}

/** How a restore takes away what a dump may have put in a namespace that was there before it. @throws KernelError */
export function dumpUnlocking(method: LockMethod, runId: string, network: Network): Unlocking[] {
  if (method === "skip") return [];
  // Whether it was external to the dump as well, nobody tells.
  const ours = new NftablesUnlocking(runId, network);
  return method === "nftables" ? [ours] : [ours, new IptablesUnlocking([], network)];
}
