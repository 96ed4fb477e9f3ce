/** Calls made inside processes that stand, for something else than a dump; they are as they were found afterwards. */

import { type Mapping, readSmaps } from "../linux/proc.ts";
import { askAll, askingGroups, enterAll, leaveAll } from "../tracee/enter/enter.ts";
import type { Entered } from "../tracee/enter/entered.ts";
import { saveThreads } from "../tracee/enter/saved.ts";
import type { FrozenProcess } from "../tracee/hold/freeze.ts";
import { refuseDeadLeader, refuseThreads } from "./core.ts";

/**
 * Enters processes, each of which has memory of its own, and gives each to `use` with a table to call by, and its mappings as they were
 * before. All are left again, whatever happens. @throws KernelError, UnsupportedError, whatever `use` throws
 */
export function within(
  processes: readonly FrozenProcess[],
  use: (inside: Entered, mappings: readonly Mapping[]) => void,
): void {
  const requests = processes.map((process, i) => {
    const { pid, threads } = process;
    refuseDeadLeader(process);
    const saved = saveThreads(pid, threads);
    refuseThreads(process, saved);
    const [task] = threads;
    const [first] = saved;
    if (task === undefined || first === undefined) throw new Error(`no process ${pid}`);
    const carrier = { task, saved: first };
    return { carrier, threads: [carrier], maps: readSmaps(pid), vm: i + 1, sighand: i + 1 };
  });
  const entered: Entered[] = [];
  try {
    const inside = enterAll(requests, entered);
    for (const group of askingGroups(inside)) askAll(group, () => undefined).answers.awaitAll();
    inside.forEach((each, i) => {
      use(each, requests[i]?.maps ?? []);
    });
  } catch (error) {
    // What went wrong first is what is told.
    leaveAll(entered, () => {});
    throw error;
  }
  let failure: unknown;
  leaveAll(entered, (_, error) => {
    failure ??= error;
  });
  if (failure !== undefined) throw failure;
}
