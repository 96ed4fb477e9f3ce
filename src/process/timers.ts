/** Interval timers (setitimer(2)) and POSIX timers (timer_create(2)) of a process. */

import type { ItimerEntry, PosixTimerEntry, TaskTimersEntry } from "../images/schema/generated/process.ts";
import { encodeTime, itimerspec, NSEC_PER_SEC, readClock, timespec } from "../linux/clock.ts";
import { NR } from "../linux/nr.ts";
import { type HostPid, hostPid, type NsPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { SIGEV_THREAD_ID, sigevent } from "../linux/signal.ts";
import { struct, u64 } from "../linux/struct.ts";
import { log } from "../log.ts";
import type { Table } from "../tracee/table/table.ts";
import { ImageValueError } from "./errors.ts";

const itimerval = struct({ isec: u64, iusec: u64, vsec: u64, vusec: u64 });

const ITIMERS = ["real", "virt", "prof"] as const;
/** What the two calls for a timer take in a table, and what they write. */
const TABLE_BYTES = 512;
const SIGSET_SIZE = 8;

/** The timers of a process as /proc/PID/timers lists them (CONFIG_CHECKPOINT_RESTORE). */
interface ListedTimer {
  readonly id: number;
  readonly signo: number;
  readonly value: bigint;
  readonly notify: number;
  /** The thread that gets its signal, or the process. */
  readonly target: HostPid;
  readonly clock: number;
}

const NOTIFY: Readonly<Record<string, number>> = { signal: 0, none: 1, thread: 2 };

/** What /proc/PID/timers lists. */
function listed(text: string): ListedTimer[] {
  const out: ListedTimer[] = [];
  if (text === "") return out;
  const entry = /ID: (\d+)\nsignal: (\d+)\/([0-9a-fx]+)\nnotify: (\w+)\/(pid|tid)\.(\d+)\nClockID: (-?\d+)/g;
  for (let m = entry.exec(text); m !== null; m = entry.exec(text)) {
    out.push({
      id: Number(m[1]),
      signo: Number(m[2]),
      value: BigInt(`0x${(m[3] ?? "0").replace(/^0x/, "")}`),
      notify: (NOTIFY[m[4] ?? ""] ?? 0) | (m[5] === "tid" ? SIGEV_THREAD_ID : 0),
      target: hostPid(Number(m[6])),
      clock: Number(m[7]),
    });
  }
  return out;
}

/** Asks for the interval timers of the process that runs the table. */
export function askItimers(table: Table): () => Omit<TaskTimersEntry, "posix"> {
  const itimers = ITIMERS.map((name, which) => {
    const space = table.space(itimerval.size);
    table.must(`interval timer ${name}`, NR.getitimer, which, space.address);
    return space;
  });
  return () => {
    const [real, virt, prof] = itimers.map((space) => itimerval.decode(space.bytes));
    if (real === undefined || virt === undefined || prof === undefined)
      throw new Error("three interval timers");
    return { real, virt, prof };
  };
}

/**
 * The POSIX timers of the process that runs the table; `list` is its /proc/PID/timers, `numberOf` gives a thread's number in the
 * images. @throws KernelError
 */
export function dumpPosixTimers(
  table: Table,
  list: string,
  numberOf: (tid: HostPid) => NsPid,
): PosixTimerEntry[] {
  const asked = listed(list).map((timer) => {
    table.reserve(TABLE_BYTES);
    const space = table.space(itimerspec.size);
    table.must(`timer ${timer.id}`, NR.timer_gettime, timer.id, space.address);
    return { timer, space, overrun: table.must(`timer ${timer.id}`, NR.timer_getoverrun, timer.id) };
  });
  table.run();
  return asked.map(({ timer, space, overrun }) => {
    const entry: PosixTimerEntry = {
      it_id: timer.id,
      clock_id: timer.clock >>> 0,
      si_signo: timer.signo,
      it_sigev_notify: timer.notify,
      sival_ptr: timer.value,
      overrun: overrun.value,
      ...itimerspec.decode(space.bytes),
    };
    if ((timer.notify & SIGEV_THREAD_ID) !== 0) entry.notify_thread_id = numberOf(timer.target);
    return entry;
  });
}

/**
 * Creates the POSIX timers under their ids, not yet armed: arming is the last thing before the process runs.
 * Kernels before 6.16 give ids in turn, so that those in between are created and deleted. `ownNumber` gives what the process calls a
 * thread.
 */
export function createPosixTimers(
  table: Table,
  entries: readonly PosixTimerEntry[],
  ownNumber: (tid: NsPid) => NsPid,
): void {
  if (entries.length === 0) return;
  const on = table.call(NR.prctl, PR.TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0);
  table.run();
  const byId = [...entries].sort((a, b) => a.it_id - b.it_id);
  let next = 0;
  for (const entry of byId) {
    const event = sigevent.encode({
      value: entry.sival_ptr,
      signo: entry.si_signo,
      notify: entry.it_sigev_notify,
      tid: entry.notify_thread_id === undefined ? 0 : ownNumber(entry.notify_thread_id),
    });
    for (;;) {
      const id = table.space(8, new Uint8Array(Uint32Array.of(entry.it_id, 0).buffer));
      const object = `timer ${entry.it_id}`;
      const created = table.call(NR.timer_create, entry.clock_id | 0, table.data(event), id.address);
      table.run();
      created.checked(object);
      const got = new DataView(id.bytes.buffer, id.bytes.byteOffset).getInt32(0, true);
      if (got === entry.it_id) break;
      if (!on.failed || got < next)
        throw new ImageValueError(`timer id ${entry.it_id} cannot be had, the kernel gave ${got}`);
      next = got + 1;
      table.call(NR.timer_delete, got);
    }
  }
  if (!on.failed) table.call(NR.prctl, PR.TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0);
}

/** Clocks that go as ours do, if they do not show the same, and that began long ago: REALTIME, MONOTONIC, BOOTTIME, TAI. */
const COMMON_CLOCKS: readonly number[] = [0, 1, 7, 11];
const TIMER_ABSTIME = 1;
/** How often a count may be missed, when the process comes too late to its signal; from the middle on, in the middle of an interval. */
const ATTEMPTS = 48;
/** So many nanoseconds after it was told the process takes its signal; twice as many after every eight attempts. */
const SLACK = 1_000_000n;

/**
 * Gives timers the overruns of their last delivery (timer_getoverrun(2)). No call sets them: so the timer is armed as
 * if it had begun as many intervals ago, and the process takes the signal at a set time, by which the kernel counts them. It must
 * have no signal pending yet, and blocks them all. What cannot be had so (a clock that has not run for so long, one of CPU
 * time, a timer of another thread, an interval shorter than it takes to wake up) stays without, and is told. Returns the ids of the
 * timers that run from now on.
 */
export function giveOverruns(
  table: Table,
  pid: NsPid,
  entries: readonly PosixTimerEntry[],
): ReadonlySet<number> {
  const running = new Set<number>();
  for (const entry of entries) {
    if (entry.overrun <= 0 || (entry.isec <= 0n && entry.insec <= 0n)) continue;
    const isOurs = entry.it_sigev_notify === 0 || entry.notify_thread_id === pid;
    const outcome =
      isOurs && COMMON_CLOCKS.includes(entry.clock_id) ? giveOverrun(table, entry) : "cannot be counted";
    if (outcome !== "cannot be counted") running.add(entry.it_id);
    if (outcome !== "given")
      log.warn(
        "timers",
        `process ${pid}: timer ${entry.it_id}: the ${entry.overrun} overruns of its last signal are lost`,
      );
  }
  return running;
}

/** Whether a timer has its overruns now; "missed" where it runs with others. */
function giveOverrun(table: Table, entry: PosixTimerEntry): "given" | "missed" | "cannot be counted" {
  const { overrun: wanted, clock_id: clock, it_id: id } = entry;
  const object = `timer ${id}`;
  const interval = entry.isec * NSEC_PER_SEC + entry.insec;
  const left = entry.vsec * NSEC_PER_SEC + entry.vnsec;
  const set = new Uint8Array(BigUint64Array.of(1n << BigInt(entry.si_signo - 1)).buffer);
  const patience = encodeTime(NSEC_PER_SEC / 10n);
  const ahead = aheadOfOurs(table, clock);
  let late = 0n;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const rest = attempt < ATTEMPTS / 2 ? left : interval / 2n;
    const taking = readClock(clock) + ahead + (SLACK << BigInt(attempt >> 3));
    const begin = taking - (BigInt(wanted + 1) * interval - rest) + late;
    if (begin <= 0n) return attempt === 0 ? "cannot be counted" : "missed";
    const value = itimerspec.encode({
      isec: entry.isec,
      insec: entry.insec,
      vsec: begin / NSEC_PER_SEC,
      vnsec: begin % NSEC_PER_SEC,
    });
    table.must(object, NR.timer_settime, id, TIMER_ABSTIME, table.data(value), 0);
    table.call(NR.clock_nanosleep, clock, TIMER_ABSTIME, table.data(encodeTime(taking)), 0);
    const taken = table.call(NR.rt_sigtimedwait, table.data(set), 0, table.data(patience), SIGSET_SIZE);
    const overrun = table.must(object, NR.timer_getoverrun, id);
    table.run();
    if (taken.failed && late === 0n) return attempt === 0 ? "cannot be counted" : "missed";
    if (!taken.failed && overrun.value === wanted) return "given";
    // It comes later than it was told, by about as many intervals; or not any more, and the signal is not there yet.
    late = taken.failed ? 0n : late + BigInt(overrun.value - wanted) * interval;
  }
  return "missed";
}

/** How far a clock, in the time namespace of a process, is ahead of what it shows to us, in nanoseconds. */
function aheadOfOurs(table: Table, clock: number): bigint {
  const space = table.space(timespec.size);
  table.must(`clock ${clock}`, NR.clock_gettime, clock, space.address);
  const ours = readClock(clock);
  table.run();
  const { sec, nsec } = timespec.decode(space.bytes);
  return sec * NSEC_PER_SEC + nsec - ours;
}

/** A timer with an interval whose rest was too short to be seen would never fire: it gets a whole interval. */
function rest(
  interval: readonly [bigint, bigint],
  value: readonly [bigint, bigint],
): readonly [bigint, bigint] {
  return value[0] === 0n && value[1] === 0n ? interval : value;
}

/** Arms all timers but those `running` with the time that was left when they were dumped. */
export function armTimers(table: Table, entry: TaskTimersEntry, running: ReadonlySet<number>): void {
  ITIMERS.forEach((name, which) => {
    const timer: ItimerEntry = entry[name];
    if (timer.vsec === 0n && timer.vusec === 0n && timer.isec === 0n && timer.iusec === 0n) return;
    const [vsec, vusec] = rest([timer.isec, timer.iusec], [timer.vsec, timer.vusec]);
    const value = itimerval.encode({ ...timer, vsec, vusec });
    table.must(`interval timer ${name}`, NR.setitimer, which, table.data(value), 0);
  });
  for (const timer of entry.posix) {
    if (running.has(timer.it_id)) continue;
    if (timer.vsec === 0n && timer.vnsec === 0n && timer.isec === 0n && timer.insec === 0n) continue;
    if (table.free < 1024) table.run();
    const [vsec, vnsec] = rest([timer.isec, timer.insec], [timer.vsec, timer.vnsec]);
    const value = itimerspec.encode({ isec: timer.isec, insec: timer.insec, vsec, vnsec });
    table.must(`timer ${timer.it_id}`, NR.timer_settime, timer.it_id, 0, table.data(value), 0);
  }
}
