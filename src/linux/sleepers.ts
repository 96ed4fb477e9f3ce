/**
 * Since when threads sleep in a call that has a timeout, as far as it can be told from outside, before they are stopped: by
 * /proc/PID/task/TID/syscall, and by when they ran for the last time (se.exec_start of /proc/PID/task/TID/sched), which is when
 * they went to sleep unless they woke up meanwhile. So the time is never an earlier one than that of the call.
 */

import { affinityOf, onlyCpu, setAffinity } from "./affinity.ts";
import { lazily } from "./blocks.ts";
import { CLOCK, encodeTime, readClock } from "./clock.ts";
import { type Arguments, relativeTimeout } from "./interrupted-calls.ts";
import { readPiece } from "./io.ts";
import { NR } from "./nr.ts";
import { CALLER, type HostPid } from "./pid.ts";
import { SmallFiles } from "./read-many.ts";
import { addressOf, rawSyscall } from "./syscall.ts";
import { textOf } from "./text.ts";

/** A thread that sleeps in a call with a timeout. */
export interface Sleep {
  readonly nr: number;
  readonly sp: bigint;
  readonly ip: bigint;
  /** When it went to sleep, in nanoseconds of CLOCK_MONOTONIC. */
  readonly since: bigint;
  /** When it was looked at, likewise. */
  readonly seen: bigint;
  /** How often it had gone to sleep by then. */
  readonly times: number;
}

type Ids = { readonly pid: HostPid; readonly tid: HostPid };

const PATH_SIZE = 64;
const files = lazily(() => new SmallFiles(64, PATH_SIZE, 2048));

/** The texts of a file of each of some threads; undefined where it cannot be read. */
function textsOf(threads: readonly Ids[], name: string): (string | undefined)[] {
  const found: (string | undefined)[] = [];
  const small = files();
  small.read(
    threads.map(({ pid, tid }) => `/proc/${pid}/task/${tid}/${name}`),
    (_, opened, length, from) => {
      const ok = opened >= 0 && length > 0;
      found.push(ok ? textOf(small.bytes, from, from + length) : undefined);
    },
  );
  return found;
}

/** `NR ARG... SP IP`; a thread that runs, or is in no call, has no such line. */
function parseCall(
  text: string | undefined,
): { nr: number; args: Arguments; sp: bigint; ip: bigint } | undefined {
  const words = (text ?? "").trim().split(" ");
  if (words.length !== 9) return undefined;
  const [nr = 0n, di = 0n, si = 0n, dx = 0n, r10 = 0n, r8 = 0n, , sp = 0n, ip = 0n] = words.map(BigInt);
  return { nr: Number(nr), args: { di, si, dx, r10, r8 }, sp, ip };
}

const NSEC_PER_MSEC_DIGITS = 6;

/** When a thread ran for the last time, in nanoseconds of the clock of the processor that it ran on. */
function lastRun(sched: string | undefined): bigint | undefined {
  const [, whole, part = ""] = /^se\.exec_start +: +(\d+)\.(\d+)$/m.exec(sched ?? "") ?? [];
  return whole === undefined ? undefined : BigInt(whole + part.padEnd(NSEC_PER_MSEC_DIGITS, "0"));
}

function timesSlept(sched: string | undefined): number | undefined {
  const [, times] = /^nr_voluntary_switches +: +(\d+)$/m.exec(sched ?? "") ?? [];
  return times === undefined ? undefined : Number(times);
}

/** Field 39 of /proc/PID/stat: the processor that a thread ran on last. */
function lastCpu(stat: string | undefined): number | undefined {
  if (stat === undefined) return undefined;
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[36]);
}

const shortest = encodeTime(1n);

/** What CLOCK_MONOTONIC is ahead of the clock of a processor by which the scheduler measures; undefined where it cannot be told. */
function offsetOf(cpu: number): bigint | undefined {
  const ours = affinityOf(CALLER);
  if (ours === undefined || !setAffinity(CALLER, onlyCpu(cpu))) return undefined;
  try {
    // The clock is taken down when we begin to run.
    rawSyscall(NR.nanosleep, addressOf(shortest), 0);
    const now = readClock(CLOCK.MONOTONIC);
    const began = lastRun(readPiece("/proc/thread-self/sched"));
    return began === undefined ? undefined : now - began;
  } finally {
    setAffinity(CALLER, ours);
  }
}

/** Those of some threads that sleep in a call with a timeout (relativeTimeout), by their numbers. Never throws. */
export function findSleepers(threads: readonly Ids[]): Map<HostPid, Sleep> {
  const calls = textsOf(threads, "syscall").map(parseCall);
  const asleep = threads.flatMap(({ pid, tid }, i) => {
    const call = calls[i];
    const timed = call !== undefined && relativeTimeout(call.nr, call.args) !== undefined;
    return timed ? [{ pid, tid, call }] : [];
  });
  const found = new Map<HostPid, Sleep>();
  if (asleep.length === 0) return found;
  const scheds = textsOf(asleep, "sched");
  const stats = textsOf(asleep, "stat");
  const seen = readClock(CLOCK.MONOTONIC);
  const offsets = new Map<number, bigint | undefined>();
  asleep.forEach(({ tid, call: { nr, sp, ip } }, i) => {
    const ran = lastRun(scheds[i]);
    const times = timesSlept(scheds[i]);
    const cpu = lastCpu(stats[i]);
    if (ran === undefined || times === undefined || cpu === undefined) return;
    if (!offsets.has(cpu)) offsets.set(cpu, offsetOf(cpu));
    const offset = offsets.get(cpu);
    if (offset !== undefined) found.set(tid, { nr, sp, ip, since: ran + offset, seen, times });
  });
  return found;
}

/** How often stopped threads have gone to sleep by now; to be stopped is one more time. Undefined where it cannot be told. */
export function sleepsOf(threads: readonly Ids[]): (number | undefined)[] {
  return textsOf(threads, "sched").map(timesSlept);
}
