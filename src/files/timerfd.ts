/**
 * timerfd_create(2): timers that are read. An image has the time that is left, of absolute timers as well; of one that goes by
 * the wall clock also when by that clock, which is what the program waits for.
 */
import { FdTypes, type FileEntry, type TimerfdEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { CLOCK, itimerspec, NSEC_PER_SEC, readClock } from "../linux/clock.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, syscall } from "../linux/syscall.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { withAsync, withFlags } from "./status-flags.ts";

/** TFD_TIMER_ABSTIME (include/linux/timerfd.h). */
const ABSTIME = 1;
/** _IOW('T', 0, u64): sets how many expirations wait to be read (kernel 3.17). */
const TFD_IOC_SET_TICKS = 0x4008_5400;

export const timerfd: FileKind = {
  type: FdTypes.TIMERFD,
  recognises: (file) => file.link === "anon_inode:[timerfd]",
  dumper: (context) => new TimerfdDump(context),
  restorer: () => timerfdRestore,
};

class TimerfdDump implements FileDumper {
  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    // Expirations of an interval that nobody has read yet are counted when it is asked for, not before.
    const now = new Uint8Array(itimerspec.size);
    syscall(file.where, NR.timerfd_gettime, file.copy, addressOf(now));
    const field = (name: string) => {
      const value = file.fdinfo.fields.get(name)?.[0];
      if (value === undefined) throw new FileDumpError(`${file.where}: no "${name}" in its fdinfo`);
      return value;
    };
    const clockid = Number(field("clockid"));
    const tfd: TimerfdEntry = {
      id,
      flags: file.flags,
      fown: file.owner,
      clockid,
      ticks: BigInt(field("ticks")),
      settime_flags: Number.parseInt(field("settime flags"), 8),
      ...itimerspec.decode(now),
    };
    const left = tfd.vsec * NSEC_PER_SEC + tfd.vnsec;
    if (isByWallClock(tfd) && left > 0n) tfd.expires_nsec = readClock(CLOCK.REALTIME) + left;
    this.context.add({ type: FdTypes.TIMERFD, id, tfd });
  }
}

function isByWallClock({ clockid, settime_flags }: TimerfdEntry): boolean {
  return (settime_flags & ABSTIME) !== 0 && (clockid === CLOCK.REALTIME || clockid === CLOCK.REALTIME_ALARM);
}

const timerfdRestore: FileRestorer = {
  make(entry) {
    const { clockid, flags } = timerfdOf(entry);
    return restoring(`files.img: file ${entry.id}: a timerfd of clock ${clockid}`, () =>
      withFlags(syscall("", NR.timerfd_create, clockid, O.CLOEXEC), flags),
    );
  },

  thaw(entry, fd) {
    const timer = timerfdOf(entry);
    restoring(`files.img: file ${entry.id}: a timerfd`, () => {
      const value = nextExpiry(timer);
      if (value > 0n || timer.isec > 0n || timer.insec > 0n) {
        const setting = itimerspec.encode({
          isec: timer.isec,
          insec: timer.insec,
          vsec: value / NSEC_PER_SEC,
          vnsec: value % NSEC_PER_SEC,
        });
        syscall("", NR.timerfd_settime, fd, timer.settime_flags, addressOf(setting), 0);
      }
      if (timer.ticks === 0n) return;
      const ticks = new Uint8Array(BigUint64Array.of(timer.ticks).buffer);
      syscall("its ticks", NR.ioctl, fd, TFD_IOC_SET_TICKS, addressOf(ticks));
    });
  },

  owner: (entry): FownEntry => timerfdOf(entry).fown,
  asyncFlags: (entry) => withAsync(timerfdOf(entry).flags),
};

/** When it is to expire next, in nanoseconds: by its clock where it was set so, else from now on. 0 for never. */
function nextExpiry({ clockid, settime_flags, vsec, vnsec, expires_nsec }: TimerfdEntry): bigint {
  const left = vsec * NSEC_PER_SEC + vnsec;
  if ((settime_flags & ABSTIME) === 0 || left === 0n) return left;
  return expires_nsec ?? readClock(clockid) + left;
}

function timerfdOf(entry: FileEntry): TimerfdEntry {
  if (entry.tfd === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no timerfd`);
  return entry.tfd;
}
