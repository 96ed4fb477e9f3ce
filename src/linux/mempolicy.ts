/** NUMA policies of memory: which nodes it is taken from (set_mempolicy(2), mbind(2), get_mempolicy(2)). */

import { isAbsent, readPiece } from "./io.ts";
import { oncePerRun } from "./once-per-run.ts";

/** Of get_mempolicy(2): the policy of the mapping at an address. */
export const MPOL_F_ADDR = 2;
export const MPOL_DEFAULT = 0;
/** Bits and bytes of a set of nodes: the kernel refuses one that is smaller than its own (MAX_NUMNODES is 1024 at the most). */
export const NODES_BITS = 1024;
export const NODES_SIZE = NODES_BITS / 8;

/** A set of nodes without the zeros at its end. */
export function trimNodes(nodes: Uint8Array): Uint8Array {
  let length = nodes.length;
  while (length > 0 && nodes[length - 1] === 0) length--;
  return nodes.slice(0, length);
}

/** The nodes of this machine that have memory, a bit for each; undefined on a kernel that knows no nodes. */
const online = oncePerRun(() => {
  const path = "/sys/devices/system/node/online";
  if (isAbsent(path)) return undefined;
  const nodes = new Uint8Array(NODES_SIZE);
  for (const range of readPiece(path).trim().split(",")) {
    const [first = 0, last = first] = range.split("-").map(Number);
    for (let node = first; node <= last && node < NODES_BITS; node++)
      nodes[node >> 3] = (nodes[node >> 3] ?? 0) | (1 << (node & 7));
  }
  return nodes;
});

/**
 * A policy as this machine can have it, its nodes as the kernel takes them; undefined where it has none of them. `missing` says that
 * some are not there.
 */
export function policyHere(
  mode: number,
  nodes: Uint8Array,
): { readonly mode: number; readonly nodes: Uint8Array; readonly missing: boolean } | undefined {
  const here = online();
  if (here === undefined) return undefined;
  const common = here.map((byte, i) => byte & (nodes[i] ?? 0));
  const missing = nodes.some((byte, i) => (byte & ~(here[i] ?? 0)) !== 0);
  const isNone = common.every((byte) => byte === 0);
  // Some policies name no nodes (MPOL_LOCAL, MPOL_PREFERRED without any).
  return isNone && nodes.length > 0 ? undefined : { mode, nodes: common, missing };
}
