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

/** A policy as calls take it; without `nodes` it names none, and `bits` is 0. */
export interface PolicyHere {
  readonly mode: number;
  readonly nodes: Uint8Array | undefined;
  readonly bits: number;
}

/**
 * A policy as this machine can have it; undefined where it has none of its nodes. `onMissing` is told where it lacks any of them.
 */
export function policyHere(mode: number, nodes: Uint8Array, onMissing: () => void): PolicyHere | undefined {
  const none = { mode, nodes: undefined, bits: 0 };
  if (mode === MPOL_DEFAULT) return none;
  const here = online();
  const common = here?.map((byte, i) => byte & (nodes[i] ?? 0));
  const isEmpty = common === undefined || common.every((byte) => byte === 0);
  // Some policies name no nodes (MPOL_LOCAL, MPOL_PREFERRED without any).
  const isLost = here === undefined || (isEmpty && nodes.length > 0);
  if (isLost || nodes.some((byte, i) => (byte & ~(here[i] ?? 0)) !== 0)) onMissing();
  if (isLost) return undefined;
  return isEmpty ? none : { mode, nodes: common, bits: NODES_BITS };
}
