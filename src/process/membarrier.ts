/** For which expedited barriers a process is registered: membarrier(2). */
import { NR } from "../linux/nr.ts";
import type { Table } from "../tracee/table/table.ts";

const GET_REGISTRATIONS = 1 << 9;
/** Barriers that only registered processes may make, and the commands that register, which registrations are named by. */
const PRIVATE = [
  { barrier: 1 << 3, registration: 1 << 4 },
  { barrier: 1 << 5, registration: 1 << 6 },
  { barrier: 1 << 7, registration: 1 << 8 },
] as const;
/** Commands are bits below this one. */
const BITS = 10;

/**
 * Asks for the registrations, a bit each; what it gives may make further calls by the table that it is given. Kernels before 6.3 do not
 * tell: then the barriers are tried, which does nobody any harm. That of a barrier for all processes cannot be told there.
 */
export function askMembarrier(table: Table): (again: Table) => number {
  const told = table.call(NR.membarrier, GET_REGISTRATIONS, 0, 0);
  return (again) => {
    if (!told.failed) return told.raw;
    const tried = PRIVATE.map(({ barrier, registration }) => ({
      registration,
      result: again.call(NR.membarrier, barrier, 0, 0),
    }));
    again.run();
    return tried.reduce((mask, { registration, result }) => (result.failed ? mask : mask | registration), 0);
  };
}

export function giveMembarrier(table: Table, registrations: number): void {
  for (let bit = 0; bit < BITS; bit++)
    if ((registrations & (1 << bit)) !== 0) table.must("membarrier", NR.membarrier, 1 << bit, 0, 0);
}
