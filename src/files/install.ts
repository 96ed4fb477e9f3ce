/**
 * Putting descriptors into a process: it fetches each of ours by pidfd_getfd(2), which gives the lowest free number. In
 * a table that begins empty that number is known beforehand, and, taken in ascending order, mostly the wanted one.
 */
import { KernelError } from "../linux/errno.ts";
import { F, FD_CLOEXEC } from "../linux/fcntl.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { struct, word } from "../linux/struct.ts";
import { addressOf, syscall } from "../linux/syscall.ts";
import { ENTRY_SIZE } from "../machine/runner.ts";
import type { Restoree } from "../tracee/restoree.ts";
import type { Result } from "../tracee/table.ts";

/** A descriptor that a process is to have. */
export interface Wanted {
  readonly number: number;
  /** Our descriptor of the same description. */
  readonly ours: number;
  readonly flags: number;
  /** Flags of the description that the process is to set by this descriptor. */
  readonly asyncFlags: number | undefined;
  /** For messages. */
  readonly what: string;
}

/** What installing one takes at most: fetch, dup3 or fcntl, close, fcntl, and the end of the table. */
const ROOM = 6 * ENTRY_SIZE;

/**
 * Installs the descriptors, which come in ascending order and are distinct from each other and from
 * `restoree.ourPidfd`. The process has no other descriptors. @throws KernelError
 */
export function installDescriptors(restoree: Restoree, wanted: readonly Wanted[]): void {
  const last = wanted.at(-1);
  if (last === undefined) return;
  allowDescriptors(restoree.pid, Math.max(last.number, restoree.ourPidfd, wanted.length) + 2);
  const { table, ourPidfd } = restoree;
  const fetched: { result: Result; expected: number }[] = [];
  let free = 0;
  for (const { number, ours, flags, asyncFlags, what } of wanted) {
    if (table.free < ROOM) table.run();
    if (free === ourPidfd) free++;
    fetched.push({ result: restoree.fetch(what, ours), expected: free });
    const cloexec = (flags & FD_CLOEXEC) !== 0;
    if (free === number) {
      if (!cloexec) table.must(what, NR.fcntl, number, F.SETFD, 0);
      free++;
    } else {
      table.must(what, NR.dup3, free, number, cloexec ? O.CLOEXEC : 0);
      table.must(what, NR.close, free);
    }
    if (asyncFlags !== undefined) table.must(what, NR.fcntl, number, F.SETFL, asyncFlags);
  }
  table.run();
  const stray = fetched.find(({ result, expected }) => result.value !== expected);
  if (stray !== undefined) {
    throw new KernelError(
      "pidfd_getfd",
      `gave ${stray.result.raw}, not ${stray.expected}, in process ${restoree.pid}`,
      9,
    );
  }
}

const RLIMIT_NOFILE = 7;
const rlimit = struct({ soft: word, hard: word });
const buffer = new Uint8Array(rlimit.size);
const address = addressOf(buffer);

/** Sees to it that a process, 0 for us, may have descriptors below `number`. @throws KernelError */
export function allowDescriptors(pid: number, number: number): void {
  const what = `RLIMIT_NOFILE of process ${pid}`;
  syscall(what, NR.prlimit64, pid, RLIMIT_NOFILE, 0, address);
  const { soft, hard } = rlimit.decode(buffer);
  if (soft >= number) return;
  rlimit.encodeInto(buffer, 0, { soft: number, hard: Math.max(hard, number) });
  syscall(what, NR.prlimit64, pid, RLIMIT_NOFILE, address, 0);
}
