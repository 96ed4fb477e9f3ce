/** NUMA policies of mappings (mbind(2)). */

import type { MemoryPolicyEntry } from "../images/schema/generated/memory.ts";
import { ERRNO } from "../linux/errno.ts";
import { TASK_SIZE } from "../linux/memory.ts";
import {
  MPOL_DEFAULT,
  MPOL_F_ADDR,
  NODES_BITS,
  NODES_SIZE,
  policyHere,
  trimNodes,
} from "../linux/mempolicy.ts";
import { NR } from "../linux/nr.ts";
import type { Mapping } from "../linux/proc.ts";
import { viewOf } from "../linux/struct.ts";
import { log } from "../log.ts";
import type { Table } from "../tracee/table/table.ts";
import { rangeText } from "./errors.ts";
import type { Steps } from "./steps.ts";
import type { Vma } from "./vma.ts";

/** Mappings that are asked about in one table. */
const CHUNK = 128;
const MODE_SIZE = 4;

/** Those of the mappings of a process that have a policy of their own. @throws KernelError */
export function askPolicies(table: Table, mappings: readonly Mapping[]): Map<Mapping, MemoryPolicyEntry> {
  const found = new Map<Mapping, MemoryPolicyEntry>();
  const candidates = mappings.filter(({ end, path }) => end <= TASK_SIZE && !path.startsWith("[v"));
  for (let from = 0; from < candidates.length; from += CHUNK) {
    const some = candidates.slice(from, from + CHUNK);
    const modes = table.space(some.length * MODE_SIZE);
    const results = some.map(({ start }, i) =>
      table.call(NR.get_mempolicy, modes.at(i * MODE_SIZE), 0, 0, start, MPOL_F_ADDR),
    );
    table.run();
    if (results[0]?.raw === -ERRNO.ENOSYS) return found;
    some.forEach((mapping, i) => {
      const mode = viewOf(modes.bytes).getUint32(i * MODE_SIZE, true);
      if (results[i]?.failed === false && mode !== MPOL_DEFAULT)
        found.set(mapping, { mode, nodes: nodesOf(table, mapping) });
    });
  }
  return found;
}

function nodesOf(table: Table, { start }: Mapping): Uint8Array {
  const nodes = table.space(NODES_SIZE);
  table.must("a memory policy", NR.get_mempolicy, 0, nodes.address, NODES_BITS, start, MPOL_F_ADDR);
  table.run();
  return trimNodes(nodes.bytes);
}

/** Gives a mapping its policy, before anything is put into it. */
export function givePolicy(steps: Steps, vma: Vma): void {
  const { policy, start, end } = vma;
  if (policy === undefined) return;
  const here = policyHere(policy.mode, policy.nodes, () =>
    log.warn("memory", `mapping ${rangeText(vma)}: its policy names nodes that this machine does not have`),
  );
  if (here === undefined) return;
  const { mode, nodes, bits } = here;
  steps.reserve(NODES_SIZE);
  const given = nodes === undefined ? 0 : steps.data(nodes);
  steps.must(`policy of mapping ${rangeText(vma)}`, NR.mbind, start, end - start, mode, given, bits, 0);
}
