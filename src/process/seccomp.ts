/** Secure computing: the mode of a thread and its chain of filters (seccomp(2)); seccomp.img holds each filter once. */

import type { SeccompEntry, SeccompFilter, ThreadCoreEntry } from "../images/schema/generated/process.ts";
import { ERRNO, isErrno } from "../linux/errno.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import type { TaskStatus } from "../linux/proc.ts";
import { PTRACE, ptrace } from "../linux/ptrace.ts";
import { struct, u16, u64, word } from "../linux/struct.ts";
import { addressOf } from "../linux/syscall.ts";
import type { Calls } from "../tracee/table/calls.ts";
import { ImageValueError } from "./errors.ts";

export const SECCOMP_MODE = { DISABLED: 0, STRICT: 1, FILTER: 2 } as const;
const SECCOMP_SET_MODE_STRICT = 0;
const SECCOMP_SET_MODE_FILTER = 1;
const SOCK_FILTER_SIZE = 8;
/** BPF_MAXINSNS. */
const MAX_INSTRUCTIONS = 4096;

const sockFprog = struct({ length: u16, filter: word });
const metadata = struct({ filter_off: u64, flags: u64 });

type SeccompState = Pick<ThreadCoreEntry, "seccomp_mode" | "seccomp_filter">;

function getFilter(tid: HostPid, index: number): Uint8Array {
  const program = new Uint8Array(MAX_INSTRUCTIONS * SOCK_FILTER_SIZE);
  const count = ptrace(PTRACE.SECCOMP_GET_FILTER, tid, index, addressOf(program));
  return program.slice(0, count * SOCK_FILTER_SIZE);
}

function getFlags(tid: HostPid, index: number): number {
  const query = metadata.encode({ filter_off: BigInt(index) });
  ptrace(PTRACE.SECCOMP_GET_METADATA, tid, metadata.size, addressOf(query));
  return Number(metadata.decode(query).flags);
}

/**
 * Collects the filters of all threads, a chain that many have once. In the image a chain is in the order in which it is to be
 * given: a thread names its oldest filter, and `prev` of each is the next newer one, which stands before it.
 */
export class SeccompDump {
  readonly #filters: SeccompFilter[] = [];
  /** Which filter stands for a chain that is known. */
  readonly #known = new Map<string, number>();

  /** The state of a stopped thread whose seccomp we suspended; `status` is its /proc status. */
  dump(tid: HostPid, status: TaskStatus): SeccompState {
    const mode = Number(status.get("Seccomp") ?? 0);
    if (mode !== SECCOMP_MODE.FILTER) return mode === SECCOMP_MODE.STRICT ? { seccomp_mode: 1 } : {};
    // Index 0 is the oldest (get_nth_filter() of kernel/seccomp.c; ptrace(2) has it the other way round).
    const chain: { filter: Uint8Array; flags: number }[] = [];
    for (;;) {
      try {
        chain.push({ filter: getFilter(tid, chain.length), flags: getFlags(tid, chain.length) });
      } catch (error) {
        if (isErrno(error, ERRNO.ENOENT)) break;
        throw error;
      }
    }
    const key = chain.map(({ filter, flags }) => `${flags} ${Buffer.from(filter).toString("base64")}`).join();
    let id = this.#known.get(key);
    if (id === undefined) {
      for (const { filter, flags } of chain.reverse()) {
        const entry: SeccompFilter = { filter };
        if (id !== undefined) entry.prev = id;
        if (flags !== 0) entry.flags = flags;
        id = this.#filters.push(entry) - 1;
      }
      if (id !== undefined) this.#known.set(key, id);
    }
    return { seccomp_mode: 2, ...(id === undefined ? {} : { seccomp_filter: id }) };
  }

  get image(): SeccompEntry {
    return { seccomp_filters: this.#filters };
  }
}

/** The filters of a thread, oldest first. @throws ImageValueError */
function chainOf(state: SeccompState, image: SeccompEntry | undefined): SeccompFilter[] {
  if (state.seccomp_mode !== SECCOMP_MODE.FILTER) return [];
  const chain: SeccompFilter[] = [];
  for (let id = state.seccomp_filter; id !== undefined; ) {
    const filter = image?.seccomp_filters[id];
    if (filter === undefined) throw new ImageValueError(`no seccomp filter ${id}`);
    chain.push(filter);
    if (filter.prev !== undefined && filter.prev >= id)
      throw new ImageValueError(`seccomp filter ${id} follows itself`);
    id = filter.prev;
  }
  return chain;
}

/**
 * How many filters, the oldest, all the threads of a process have in common. They have inherited them from one another
 * and can be given more at once (SECCOMP_FILTER_FLAG_TSYNC) only for as long as these are the same to the kernel, not
 * just equal: so they are given to the first thread before the others are born. @throws ImageValueError
 */
export function commonFilters(states: readonly SeccompState[], image: SeccompEntry | undefined): number {
  const [first, ...others] = states;
  if (first === undefined || states.some((state) => state.seccomp_mode !== SECCOMP_MODE.FILTER)) return 0;
  const common = chainOf(first, image);
  for (const state of others) {
    const chain = chainOf(state, image);
    const differs = common.findIndex((filter, i) => !equalFilters(filter, chain[i]));
    if (differs >= 0) common.length = differs;
  }
  return common.length;
}

function equalFilters(a: SeccompFilter, b: SeccompFilter | undefined): boolean {
  if (a === b) return true;
  return b !== undefined && (a.flags ?? 0) === (b.flags ?? 0) && Buffer.compare(a.filter, b.filter) === 0;
}

/**
 * Puts a thread under its filters `from` to `to`, oldest first. The tracer suspends them (PTRACE_O_SUSPEND_SECCOMP)
 * until it lets go, so that our further calls pass; without no_new_privs this needs CAP_SYS_ADMIN and comes before the
 * credentials.
 */
export function giveFilters(
  table: Calls,
  state: SeccompState,
  image: SeccompEntry | undefined,
  from: number,
  to?: number,
): void {
  for (const { filter, flags } of chainOf(state, image).slice(from, to)) {
    table.reserve(filter.length + 1024);
    const program = sockFprog.encode({
      length: filter.length / SOCK_FILTER_SIZE,
      filter: table.data(filter).address,
    });
    table.must("a seccomp filter", NR.seccomp, SECCOMP_SET_MODE_FILTER, flags ?? 0, table.data(program));
  }
}

/** Puts a thread under strict seccomp, or under all its filters but the `inherited` oldest, which it has. */
export function giveSeccomp(
  table: Calls,
  state: SeccompState,
  image: SeccompEntry | undefined,
  inherited: number,
): void {
  if (state.seccomp_mode === SECCOMP_MODE.STRICT) {
    table.must("strict seccomp", NR.seccomp, SECCOMP_SET_MODE_STRICT, 0, 0);
  }
  giveFilters(table, state, image, inherited);
}
